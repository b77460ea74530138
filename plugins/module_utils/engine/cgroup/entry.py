# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a group: putting processes into it, in all hierarchies, and telling which are there."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Set, Tuple

from ..errors import KernelError, NotFound
from ..kernel import cgroupfs
from .hierarchy import discover, folder


class Entry(NamedTuple):
    """An opened door to a group: what attaching needs, opened once.

    Attributes:
        path: The group.
        doors: Descriptors of its C(cgroup.procs) in each hierarchy, v2 last.
        own: Descriptors of its C(tasks) in each v1 hierarchy, for C(enter_self).
        v2: A descriptor of its v2 folder, for C(clone3) with C(CLONE_INTO_CGROUP); C(None) without v2.
    """

    path: str
    doors: Tuple[int, ...]
    own: Tuple[int, ...]
    v2: Optional[int]


def open_entry(path: str) -> Entry:
    """Open a group, so that processes can be put into it by C(enter) without a path being resolved again.

    Raises:
        NotFound: There is no such group.
    """
    hierarchies = discover()
    doors: List[int] = []
    own: List[int] = []
    try:
        for root in hierarchies.folders:
            own.append(os.open(folder(root, path) + "/tasks", os.O_WRONLY | os.O_CLOEXEC))
        for root in hierarchies.all_roots():
            doors.append(os.open(folder(root, path) + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        unified = os.open(folder(hierarchies.v2, path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) \
            if hierarchies.v2 else None
    except OSError as error:
        for door in doors + own:
            os.close(door)
        raise NotFound("cgroup %s cannot be entered: %s: %s" % (path, error.filename, error.strerror),
                       "Create it first")
    return Entry(path, tuple(doors), tuple(own), unified)


def enter(entry: Entry, pid: int) -> None:
    """Put a process (all of its threads) into the group; 0 is the caller.

    Raises:
        NotFound: There is no such process.
        KernelError: The kernel refused.
    """
    text = b"%d" % pid
    for door in entry.doors:
        try:
            os.write(door, text)
        except OSError as error:
            if error.errno == 3:  # ESRCH
                raise NotFound("there is no process %d to put into cgroup %s" % (pid, entry.path))
            raise KernelError("write", error.errno or 0, "process %d to cgroup.procs of cgroup %s" % (pid, entry.path),
                              "A kernel thread, a real-time thread without a budget in the group, or a group "
                              "that is not a leaf of cgroup v2 cannot be served")


def enter_self(entry: Entry, born: bool) -> None:
    """Put the caller, a process of one thread, into the group; to be called by a child before anything else.

    C(enter) makes the kernel wait until all forks and exits on the machine are done (an RCU grace period of 5 to 15 ms,
    unless another move was just before). A thread that moves itself in v1 does not, and takes 0.01 ms for each
    hierarchy. In v2 a child is born into the group by C(clone3) with C(CLONE_INTO_CGROUP), which costs nothing.

    Args:
        entry: Opened by a parent who may.
        born: Whether the caller was born into the v2 group.

    Raises:
        KernelError: The kernel refused.
    """
    for door in entry.own + (() if born or entry.v2 is None else entry.doors[-1:]):
        try:
            os.write(door, b"0")
        except OSError as error:
            raise KernelError("write", error.errno or 0, "itself to cgroup %s" % entry.path)


def close_entry(entry: Entry) -> None:
    """Close the door again."""
    for door in entry.doors + entry.own:
        os.close(door)
    if entry.v2 is not None:
        os.close(entry.v2)


def attach(path: str, pid: int) -> None:
    """Put a process into the group, in all hierarchies."""
    entry = open_entry(path)
    try:
        enter(entry, pid)
    finally:
        close_entry(entry)


def processes(path: str) -> List[int]:
    """The processes in the group itself, in whichever hierarchy, in ascending order."""
    found: Set[int] = set()
    for root in discover().all_roots():
        found.update(cgroupfs.numbers(folder(root, path) + "/cgroup.procs"))
    return sorted(found - {0})  # 0: a process of another PID namespace


def holds(path: str, pid: int) -> bool:
    """Whether a process is in the group in every hierarchy (proc_pid_cgroup(5))."""
    text = cgroupfs.read_if_there("/proc/%d/cgroup" % pid)
    hierarchies = discover()
    if not text:
        return False
    found = 0
    for line in text.splitlines():
        _number, _controllers, at = line.split(":", 2)
        found += at == path
    return found >= len(hierarchies.all_roots())
