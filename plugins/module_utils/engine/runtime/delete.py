# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""delete: remove what is left of a container: its processes, cgroup and state."""

from __future__ import annotations

import os
from typing import List

from ..errors import Conflict, Corrupt, EngineError, KernelError, NotFound
from ..kernel import mounts, processes
from ..store import files
from . import hooks, record, spec

_SIGKILL = 9
_SOON = 2.0
"""Seconds within which a process that is killed ends if nothing holds it."""
_OWN = (record.START_FIFO, record.RESULT_FIFO, record.CONFIG, record.FILE)
_HALF_MADE = (record.DEVICE, *(files.TEMPORARY + name for name in _OWN))
"""What the names of files begin with that a creator leaves which is killed."""


def delete(state_dir: str, force: bool = False, timeout: float = 30.0) -> List[str]:
    """Delete a container that has ended.

    Args:
        force: Kill it first; no error where there is none, or where its record is damaged.
        timeout: Seconds to wait for the killed, and for the kernel to let go of their cgroup.

    Returns: Warnings: poststop hooks that failed.

    Raises:
        NotFound: There is no such container.
        Conflict: It runs, and force was not said; or it does not end.
    """
    try:
        kept = record.load(state_dir)
    except (Corrupt, NotFound):
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
        _remove_cgroup(kept.cgroup, timeout)
    if kept.covered:
        mounts.unmount(kept.rootfs, mounts.MNT_DETACH)
        record.save(state_dir, kept._replace(covered=False))  # for a second try not to reach what lies below
    warnings = _poststop(state_dir, kept)
    _clear(state_dir)
    return warnings


def _remove_cgroup(path: str, timeout: float) -> None:
    """Remove the container's group, and kill who still lives in it: mostly nobody, when the first process has ended."""
    from ..cgroup import group  # pylint: disable=import-outside-toplevel
    of_systemd = path.endswith((".scope", ".slice"))
    if not of_systemd and group.remove_vacant(path):
        return
    try:
        group.kill(path)
    except KernelError:
        pass
    if of_systemd:
        from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
        systemd.stop_at(path)
    group.remove(path, timeout)


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
            if not processes.wait(pidfd, min(timeout, _SOON)):
                _call_home(kept)
        if not processes.wait(pidfd, timeout):
            raise Conflict("process %d of container '%s' does not end" % (kept.pid, kept.id),
                           "It waits in the kernel (state D); look for a disk or network mount that hangs")
    finally:
        os.close(pidfd)


def _call_home(kept: record.Record) -> None:
    """Take the first process back from a group into which somebody has moved it, which may be frozen."""
    from ..cgroup import entry  # pylint: disable=import-outside-toplevel
    try:
        entry.attach(kept.cgroup, kept.pid)
    except EngineError:
        pass  # it has ended, or the group has


def _poststop(state_dir: str, kept: record.Record) -> List[str]:
    try:
        wanted = spec.hooks_of(os.path.join(state_dir, record.CONFIG), "poststop")
        return hooks.run_through("poststop", wanted, record.encode(kept, "stopped"))
    except EngineError as error:
        return [str(error)]


def _clear(state_dir: str) -> None:
    """Remove the state; the record goes last, so that what is half deleted can be deleted again."""
    try:
        half_made = [name for name in os.listdir(state_dir) if name.startswith(_HALF_MADE)]
    except FileNotFoundError:
        return
    for name in (*half_made, *_OWN):
        files.remove(os.path.join(state_dir, name))
    try:
        os.rmdir(state_dir)
    except OSError:
        pass  # the caller keeps more in it
