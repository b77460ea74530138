# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill: send a signal to a container."""

from __future__ import annotations

import os

from ..errors import Conflict, EngineError
from ..kernel import processes
from . import record

_SIGKILL = 9


def kill(state_dir: str, number: int, everyone: bool = False) -> None:
    """Signal a container's first process.

    Args:
        number: The signal's; 0 asks only whether there is a process to be signalled.
        everyone: Signal all processes of its cgroup. So does SIGKILL where they do not end with the first one.

    Raises:
        Conflict: It is not running.
        EngineError: All are to be signalled, but it has no cgroup of its own.
    """
    kept = record.load(state_dir)
    now = record.status(state_dir, kept)
    if everyone or number == _SIGKILL and kept.cgroup and not kept.own_pid_namespace and (now != "stopped" or _left(kept)):
        _all(kept, number, now)
        return
    if now in ("stopped", "creating"):
        raise Conflict("container not running: '%s' is %s" % (kept.id, now))
    pidfd = processes.open_pidfd(kept.process)
    if pidfd is None:
        raise Conflict("container not running: '%s' has just ended" % kept.id)
    try:
        processes.send_signal(pidfd, number)
    finally:
        os.close(pidfd)
    if number == _SIGKILL and now == "paused":
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        group.thaw(kept.cgroup)  # on v1 a frozen process cannot die


def _left(kept: record.Record) -> bool:
    """Whether processes remain though the first has ended."""
    from ..cgroup import group  # pylint: disable=import-outside-toplevel
    return bool(group.processes(kept.cgroup))


def _all(kept: record.Record, number: int, now: str) -> None:
    from ..cgroup import group  # pylint: disable=import-outside-toplevel
    if not kept.cgroup:
        if kept.own_pid_namespace and number == _SIGKILL and now != "stopped":
            _one(kept.process, number)  # the kernel ends the whole PID namespace with it
            return
        raise EngineError("container '%s' has no cgroup of its own, so its processes are not known" % kept.id,
                          "Signal its first process alone")
    if number == _SIGKILL:
        group.kill(kept.cgroup)
        return
    for pid in group.processes(kept.cgroup):
        found = processes.identify(pid)
        if found is not None:
            _one(found, number)


def _one(process: processes.Process, number: int) -> None:
    pidfd = processes.open_pidfd(process)
    if pidfd is not None:
        try:
            processes.send_signal(pidfd, number)
        finally:
            os.close(pidfd)
