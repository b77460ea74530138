# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing, thawing and killing all processes of a group and those below it.

v2's freezer is preferred wherever its tree is mounted, on hybrid hosts too: what it freezes
can still be killed and traced. Sources: cgroup-v2.rst (C(cgroup.freeze), C(cgroup.kill)),
cgroup-v1/freezer-subsystem.rst.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Optional

from ..errors import Conflict, KernelError, NotFound, Unsupported
from ..kernel import cgroupfs
from .entry import close_entry, enter, everyone, open_entry
from .hierarchy import discover, folder

TIMEOUT = 30.0


def _v2(path: str, file: str) -> Optional[str]:
    root = discover().v2
    at = "%s/%s" % (folder(root, path), file) if root else ""
    return at if at and os.path.exists(at) else None


def _v1(path: str) -> Optional[str]:
    root = discover().v1.get("freezer")
    at = folder(root, path) + "/freezer.state" if root else ""
    return at if at and os.path.exists(at) else None


def freeze(path: str, timeout: float = TIMEOUT) -> None:
    """Stop all processes of the group where they are, and wait until they have stopped.

    Raises:
        Unsupported: The host has no freezer.
        Conflict: A process cannot be stopped in time; the group was thawed again.
    """
    unified = _v2(path, "cgroup.freeze")
    state = None if unified else _v1(path)
    until, pause = time.monotonic() + timeout, 0.0005
    if unified:
        cgroupfs.write(unified, "1")
    elif state:
        cgroupfs.write(state, "FROZEN")
    else:
        _none(path)
    while not _settled(path, unified, state):
        if time.monotonic() > until:
            thaw(path)
            raise Conflict("cgroup %s could not be frozen within %g s" % (path, timeout),
                           "A process of it waits in the kernel (state D); look for a disk or network mount that hangs")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
        if state:
            cgroupfs.write(state, "FROZEN")  # v1 leaves behind what was forked meanwhile unless asked again


def _settled(path: str, unified: Optional[str], state: Optional[str]) -> bool:
    if unified:
        return cgroupfs.pairs(os.path.dirname(unified) + "/cgroup.events").get("frozen") == 1
    return state is None or cgroupfs.read(state) == "FROZEN"


def thaw(path: str) -> None:
    """Let the processes of the group go on, whichever freezer stopped them."""
    unified, state = _v2(path, "cgroup.freeze"), _v1(path)
    if not unified and not state:
        _none(path)
    if unified:
        cgroupfs.write(unified, "0")
    if state:
        cgroupfs.write(state, "THAWED")


def _none(path: str) -> None:
    hierarchies = discover()
    if not any(os.path.isdir(folder(root, path)) for root in hierarchies.all_roots()):
        raise NotFound("there is no cgroup %s" % path, "Create it first")
    raise Unsupported("this host has no freezer for cgroups",
                      "Mount the v2 hierarchy of a kernel of version 5.2 or newer, or v1's controller 'freezer'")


def frozen(path: str) -> bool:
    """Whether the group itself was told to freeze, by either freezer."""
    unified, state = _v2(path, "cgroup.freeze"), _v1(path)
    if unified and cgroupfs.read_if_there(unified) == "1":
        return True
    parent = os.path.dirname(state) + "/freezer.self_freezing" if state else ""
    return bool(parent) and cgroupfs.read_if_there(parent) == "1"


def move(path: str, to: str, timeout: float = TIMEOUT) -> None:
    """Move all processes of the group and those below it to another group; they stand still meanwhile, so that none is
    missed that is just being made. Where the host has no freezer, they are moved until none is left.

    Raises:
        Conflict: They are not all moved in time, or could not be frozen.
        KernelError: The other group takes none.
    """
    door = open_entry(to)
    try:
        if _v2(path, "cgroup.freeze") or _v1(path):
            freeze(path, timeout)
        until = time.monotonic() + timeout
        while True:
            left = everyone(path)
            if not left:
                return
            for pid in left:
                try:
                    enter(door, pid)
                except NotFound:  # it has ended
                    continue
            if time.monotonic() > until:
                raise Conflict("processes %s of cgroup %s could not be moved within %g s"
                               % (", ".join(map(str, left[:8])), path, timeout), "Look what starts them again and again")
    finally:
        close_entry(door)
        if _v2(path, "cgroup.freeze") or _v1(path):
            thaw(path)


def kill(path: str, timeout: float = TIMEOUT) -> None:
    """Kill all processes of the group and those below it (SIGKILL), and wait until they are gone.

    C(cgroup.kill) misses none that is just being made. Where that is missing, v1's freezer holds them while they are killed,
    so that they make no more; without it they are killed again and again. No error where there is no such group.

    Raises:
        Conflict: A process does not end in time.
    """
    unified = _v2(path, "cgroup.kill")
    if unified:
        try:
            cgroupfs.write(unified, "1")
        except KernelError as error:
            if error.errno not in (2, 19):
                raise
    until, pause, first = time.monotonic() + timeout, 0.0005, True
    state = None if unified else _v1(path)
    while True:
        if state:
            _hold(state)
        left = everyone(path)
        if not left:
            _thaw_all(path)
            return
        if not (first and unified):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        _thaw_all(path)
        if time.monotonic() > until:
            raise Conflict("processes %s of cgroup %s do not end within %g s of being killed"
                           % (", ".join(map(str, left[:8])), path, timeout),
                           "They wait in the kernel (state D); look for a disk or network mount that hangs",
                           processes=left)
        time.sleep(pause)
        pause, first = min(pause * 2, 0.02), False


def _hold(state: str) -> None:
    """Freeze in v1 as far as that goes at once: a process in state D does not stop, and forks nothing either."""
    for _attempt in range(20):
        try:
            cgroupfs.write(state, "FROZEN")
            if cgroupfs.read(state) == "FROZEN":
                return
        except KernelError:  # it has been removed
            return
        time.sleep(0.0005)


def _thaw_all(path: str) -> None:
    """Thaw the group and all below it in v1's freezer, where the frozen do not die."""
    root = discover().v1.get("freezer")
    for at, _folders, _files in os.walk(folder(root, path) if root else ""):
        if cgroupfs.read_if_there(at + "/freezer.self_freezing") == "1":
            cgroupfs.write(at + "/freezer.state", "THAWED")
