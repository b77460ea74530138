# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on the host's ports (proc_pid_net(5): /proc/net/{tcp,tcp6,udp,udp6})."""

from __future__ import annotations

import os
import socket
import struct
from typing import Dict, List, NamedTuple, Sequence, Tuple

_STATES = {"tcp": b"0A", "udp": b"07"}
"""TCP_LISTEN; for UDP an unconnected socket shows as TCP_CLOSE."""

_FEW = 64


class Listener(NamedTuple):
    """A bound socket.

    Attributes:
        address: Empty for all addresses.
        inode: Of the socket, as in C(/proc/PID/fd).
    """

    protocol: str
    address: str
    port: int
    inode: int


def on(ports: Sequence[Tuple[str, int]]) -> Dict[Tuple[str, int], List[Listener]]:
    """The listeners of this network namespace on some (protocol, port)."""
    found: Dict[Tuple[str, int], List[Listener]] = {}
    wanted = set(ports)
    if len(wanted) <= _FEW:  # the kernel writes its tables in milliseconds, but refuses a bind in microseconds
        wanted = {each for each in wanted if _in_use(*each)}
    for protocol in sorted({protocol for protocol, _port in wanted} & set(_STATES)):
        for family, suffix in ((socket.AF_INET, ""), (socket.AF_INET6, "6")):
            try:
                with open("/proc/thread-self/net/%s%s" % (protocol, suffix), "rb") as stream:
                    lines = stream.read().splitlines()[1:]
            except FileNotFoundError:  # a kernel without IPv6
                continue
            for line in lines:
                fields = line.split(None, 10)
                if fields[3] != _STATES[protocol]:
                    continue
                shown, _colon, port = fields[1].partition(b":")
                key = (protocol, int(port, 16))
                if key in wanted:
                    found.setdefault(key, []).append(
                        Listener(protocol, _address(family, shown), key[1], int(fields[9])))
    return found


def _in_use(protocol: str, port: int) -> bool:
    """Whether the kernel refuses to bind a port, which it does wherever somebody listens on it (bind(2))."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC) as probe:
        if protocol == "tcp":  # past connections do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


OWNERS = ("process 'coracle-names'", "process 'coracle-proxy'")
"""Who listens for published ports: see C(proxied)."""


def owner(listener: Listener) -> str:
    """A name for who holds a socket: C(process 'nginx' (PID 42)), or what is known of it."""
    target = "socket:[%d]" % listener.inode
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        folder = "/proc/%s/fd" % pid
        try:
            for handle in os.listdir(folder):
                if os.readlink(os.path.join(folder, handle)) == target:
                    with open("/proc/%s/comm" % pid, encoding="utf-8", errors="replace") as stream:
                        return "process '%s' (PID %s)" % (stream.read().strip(), pid)
        except OSError:  # it ended while we looked
            continue
    return "a process that cannot be seen from here (socket inode %d)" % listener.inode


def _address(family: int, shown: bytes) -> str:
    """The address as /proc/net/tcp prints it: 32-bit words in the host's byte order."""
    words = [int(shown[at:at + 8], 16) for at in range(0, len(shown), 8)]
    packed = struct.pack("=%dI" % len(words), *words)
    if not any(packed):
        return ""
    if family == socket.AF_INET6 and packed[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:]) if any(packed[12:]) else ""
    return socket.inet_ntop(family, packed)
