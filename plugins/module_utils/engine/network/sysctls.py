# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's network sysctls that our networks need, and giving them back."""

from __future__ import annotations

import os
from typing import Dict, Iterable, Optional

from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from .ends import ALIAS

FORWARD = {"0.0.0.0/0": "net.ipv4.ip_forward", "::/0": "net.ipv6.conf.all.forwarding"}
"""What lets the host pass packets on, by the default route of the family."""


def route_localnet(bridge: str) -> str:
    """The sysctl that lets 127.0.0.0/8 leave by a bridge: needed for published ports on the host's loopback."""
    return "net.ipv4.conf.%s.route_localnet" % bridge.replace(".", "/")


def accept_ra(link: str) -> str:
    """The sysctl that lets a link take default routes from anybody on it (RFC 4861 section 6.3.4; CVE-2020-13401)."""
    return "net.ipv6.conf.%s.accept_ra" % link.replace(".", "/")


def disable_ipv6(link: str) -> str:
    """The sysctl that keeps IPv6 off a link."""
    return "net.ipv6.conf.%s.disable_ipv6" % link.replace(".", "/")


def read(name: str) -> Optional[str]:
    """The value of a sysctl in this thread's network namespace, blanks made single; C(None) where there is none."""
    try:
        handle = os.open(_path(name), os.O_RDONLY | os.O_CLOEXEC)  # a third of the system calls of a stream
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return " ".join(os.read(handle, 65536).decode("ascii", "replace").split())
    finally:
        os.close(handle)


def write(name: str, value: str) -> None:
    """Set a sysctl in this thread's network namespace.

    Raises:
        OSError: It does not exist or the value does not do.
    """
    handle = os.open(_path(name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, (value + "\n").encode("ascii"))
    finally:
        os.close(handle)


def need(instance: Instance, name: str, value: str) -> None:
    """Set a sysctl of the host and remember what it was, unless it has the value already."""
    before = read(name)
    if before == value:
        return
    kept = _kept(instance)
    kept.setdefault(name, {"before": before or "", "set": value})
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("network"))
    files.write_json(_record(instance), kept, durable=False)
    write(name, value)


def allow_ipv6(link: str) -> None:
    """Let a link of this thread's network namespace have IPv6; some hosts switch it off for all links to come."""
    if read(disable_ipv6(link)) == "1":
        write(disable_ipv6(link), "0")


def forward(instance: Instance, destinations: Iterable[str]) -> None:
    """Let the host pass packets on.

    Args:
        destinations: The default routes that lead to it: C(0.0.0.0/0), C(::/0).
    """
    for destination in destinations:
        name = FORWARD[destination]
        if destination == "::/0" and read(name) == "0":
            for link in sorted(os.listdir("/proc/sys/net/ipv6/conf")):
                # A host that forwards takes no advertisement of a router any more unless it is told to (ip-sysctl).
                if link not in ("all", "default") and read(accept_ra(link)) == "1":
                    need(instance, accept_ra(link), "2")
        need(instance, name, "1")


def give_back(instance: Instance, sock: Socket) -> None:
    """Set back what C(need) has set, where nobody else changed it since and no other network of ours is left."""
    kept = _kept(instance)
    if kept and not any(link.kind == "bridge" and link.alias.startswith(ALIAS) for link in rtnetlink.links(sock)):
        for name, was in kept.items():
            if was["before"] and read(name) == was["set"]:
                write(name, was["before"])
    files.remove(_record(instance))


def _kept(instance: Instance) -> Dict[str, Dict[str, str]]:
    return files.read_json(_record(instance)) or {}


def _record(instance: Instance) -> str:
    return instance.run("network", "sysctls.json")


def _path(name: str) -> str:
    """The file of a sysctl; in names with a slash, dots and slashes change places (sysctl.d(5))."""
    swapped = name.translate(str.maketrans("./", "/.")) if "/" not in name.partition(".")[0] else name
    return os.path.join("/proc/sys", swapped)
