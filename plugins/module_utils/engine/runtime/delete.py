# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""delete: remove what is left of a container: its processes, cgroup and state."""

from __future__ import annotations

import os
from typing import List

from ..errors import Conflict, Corrupt, EngineError, KernelError
from ..kernel import processes
from ..store import files
from . import hooks, record, spec

_SIGKILL = 9
_OWN = (record.START_FIFO, record.RESULT_FIFO, record.CONFIG, record.FILE)


def delete(state_dir: str, force: bool = False, timeout: float = 10.0) -> List[str]:
    """Delete a container that has ended.

    Args:
        force: Kill it first; no error where there is none, or where its record is damaged.
        timeout: Seconds to wait for the killed.

    Returns: Warnings: poststop hooks that failed.

    Raises:
        NotFound: There is no such container.
        Conflict: It runs, and force was not said; or it does not end.
    """
    try:
        kept = record.load(state_dir)
    except Corrupt:
        if not force:
            raise
        _clear(state_dir)
        return []
    now = record.status(state_dir, kept)
    if now not in ("stopped", "creating") and not (force or now == "created"):
        raise Conflict("container '%s' is %s" % (kept.id, now), "Kill it first, or delete it with force")
    if kept.pid:
        _end(kept, timeout)
    if kept.cgroup:
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        try:
            group.kill(kept.cgroup)
        except KernelError:
            pass
        group.remove(kept.cgroup)
    warnings = _poststop(state_dir, kept)
    _clear(state_dir)
    return warnings


def _end(kept: record.Record, timeout: float) -> None:
    """Kill the first process and wait for its end."""
    pidfd = processes.open_pidfd(kept.process)
    if pidfd is None:
        return
    try:
        processes.send_signal(pidfd, _SIGKILL)
        if kept.cgroup:
            from ..cgroup import group  # pylint: disable=import-outside-toplevel
            if group.frozen(kept.cgroup):
                group.thaw(kept.cgroup)  # on v1 a frozen process cannot die
        if not processes.wait(pidfd, timeout):
            raise Conflict("process %d of container '%s' does not end" % (kept.pid, kept.id),
                           "It waits in the kernel (state D); look for a disk or network mount that hangs")
    finally:
        os.close(pidfd)


def _poststop(state_dir: str, kept: record.Record) -> List[str]:
    try:
        wanted = (spec.load(os.path.join(state_dir, record.CONFIG)).get("hooks") or {}).get("poststop")
        return hooks.run_through("poststop", wanted or (), record.encode(kept, "stopped"))
    except EngineError as error:
        return [str(error)]


def _clear(state_dir: str) -> None:
    """Remove the state; the record goes last, so that what is half deleted can be deleted again."""
    for name in _OWN:
        files.remove(os.path.join(state_dir, name))
    try:
        os.rmdir(state_dir)
    except OSError:
        pass  # the caller keeps more in it
