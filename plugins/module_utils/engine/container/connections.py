# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have to do with a container at the moment, as the kernel shows it of a network namespace (proc_pid_net(5))."""

from __future__ import annotations

from typing import List, Set, Tuple

_LISTEN = "0A"
_OPEN = ("01", "03", "04", "08")
"""ESTABLISHED, SYN_RECV, FIN_WAIT1 and CLOSE_WAIT: the server may yet have something to say (include/net/tcp_states.h)."""


def opened(pid: int) -> int:
    """How many connections others have to what listens in a process's namespace."""
    listening: Set[str] = set()
    found: List[Tuple[str, str]] = []
    for table in ("tcp", "tcp6"):
        try:
            with open("/proc/%d/net/%s" % (pid, table), encoding="ascii") as stream:
                rows = [line.split()[1:4] for line in stream][1:]
        except OSError:  # it has ended
            continue
        for local, _peer, state in rows:
            port = local.rpartition(":")[2]
            if state == _LISTEN:
                listening.add(port)
            found.append((port, state))
    return sum(1 for port, state in found if port in listening and state in _OPEN)


def sent(pid: int) -> int:
    """Packets that have left a process's namespace: whoever answers a connection sends some."""
    try:
        with open("/proc/%d/net/dev" % pid, encoding="ascii") as stream:
            rows = [line.partition(":") for line in stream][2:]
    except OSError:
        return 0
    return sum(int(counters.split()[9]) for name, _colon, counters in rows if name.strip() != "lo")
