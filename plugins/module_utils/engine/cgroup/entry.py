# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in a group: putting processes into it, in all hierarchies, and telling which are there."""

from __future__ import annotations

import os
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..errors import Conflict, InvalidValue, KernelError, NotFound
from ..kernel import cgroupfs
from .hierarchy import V1_CONTROLLERS, Hierarchies, ancestors, discover, folder


class Entry(NamedTuple):
    """An opened door to a group: what attaching needs, opened once.

    Attributes:
        path: The group.
        doors: Descriptors of its C(cgroup.procs) in each hierarchy, v2 last.
    """

    path: str
    doors: Tuple[int, ...]


class Birthplace(NamedTuple):
    """What a process needs that begins its life in a group.

    Attributes:
        path: The group.
        own: Descriptors of its C(tasks) in each v1 hierarchy, for C(enter_self).
        v2: A descriptor of its v2 folder, for C(clone3) with C(CLONE_INTO_CGROUP); C(None) without v2.
    """

    path: str
    own: Tuple[int, ...]
    v2: Optional[int]


def open_entry(path: str) -> Entry:
    """Open a group, so that processes can be put into it by C(enter) without a path being resolved again.

    Raises:
        NotFound: There is no such group.
    """
    return Entry(path, tuple(_open_each(path, [(folder(root, path) + "/cgroup.procs", os.O_WRONLY)
                                               for root in discover().all_roots()])))


def open_birthplace(path: str, below: Optional[Mapping[str, str]] = None, v2: str = "") -> Birthplace:
    """Open a group for a process that is yet to be born.

    Args:
        below: A path below the group for each v1 hierarchy, by one of its controllers' names in v1, or by nothing for all.
        v2: Another group in the v2 hierarchy.

    Raises:
        NotFound: There is no such group.
        InvalidValue: There is no hierarchy with such a controller.
    """
    hierarchies = discover()
    below = below or {}
    _check(hierarchies, below)

    def place(root: str) -> str:
        if root == hierarchies.v2 and v2:
            return folder(root, v2)
        names = [name for name in below if name in _names(root)]
        return (folder(root, path) + "/" + below.get(names[0] if names else "", "").strip("/")).rstrip("/")
    wanted = [(place(root) + "/tasks", os.O_WRONLY) for root in hierarchies.folders]
    if hierarchies.v2:
        wanted.append((place(hierarchies.v2), os.O_RDONLY | os.O_DIRECTORY))
    opened = _open_each(path, wanted)
    return Birthplace(path, tuple(opened), None) if not hierarchies.v2 else Birthplace(path, tuple(opened[:-1]), opened[-1])


def _open_each(path: str, wanted: Sequence[Tuple[str, int]]) -> List[int]:
    opened: List[int] = []
    try:
        for place, flags in wanted:
            opened.append(os.open(place, flags | os.O_CLOEXEC))
    except OSError as error:
        for handle in opened:
            os.close(handle)
        raise NotFound("cgroup %s cannot be entered: adding pid to %s: %s" % (path, error.filename, (error.strerror or "").lower()),
                       "Create it first")
    return opened


def _names(root: str) -> List[str]:
    """The names of a v1 hierarchy: those of its controllers, as its folder is called by everyone."""
    return os.path.basename(root).split(",")


def _check(hierarchies: Hierarchies, below: Mapping[str, str]) -> None:
    known = {name for root in hierarchies.folders for name in _names(root)}
    for name, path in below.items():
        if ".." in path.split("/"):
            raise InvalidValue("cgroup", path, "is a bad sub cgroup path: %s is not a sub cgroup path" % path,
                               "Give one below the container's")
        if name and name not in known:
            raise InvalidValue("cgroup", name + ":" + path, "names an unknown controller %s" % name,
                               "This host has %s" % (", ".join(sorted(known)) or "cgroup v2 alone, with one path for all"))


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


def enter_self(place: Birthplace) -> None:
    """Put the caller, a process of one thread that was born into the v2 group, into the others; by a child before anything else.

    C(enter) makes the kernel wait until all forks and exits on the machine are done (an RCU grace period of 5 to 15 ms,
    unless another move was just before). A thread that moves itself in v1 does not, and takes 0.01 ms for each
    hierarchy. In v2 a child is born into the group by C(clone3) with C(CLONE_INTO_CGROUP), which costs nothing.

    Args:
        place: Opened by a parent who may.

    Raises:
        KernelError: The kernel refused.
    """
    for door in place.own:
        try:
            os.write(door, b"0")
        except OSError as error:
            raise KernelError("write", error.errno or 0, "itself to cgroup %s" % place.path)


def close_entry(entry: Entry) -> None:
    """Close the door again."""
    for door in entry.doors:
        os.close(door)


def close_birthplace(place: Birthplace) -> None:
    """Let go of its descriptors."""
    for handle in place.own:
        os.close(handle)
    if place.v2 is not None:
        os.close(place.v2)


def attach(path: str, pid: int) -> None:
    """Put a process into the group, in all hierarchies."""
    entry = open_entry(path)
    try:
        enter(entry, pid)
    finally:
        close_entry(entry)


def v2_group_of(pid: int) -> str:
    """The v2 group that a process is in (proc_pid_cgroup(5)); nothing where it has ended or there is no v2."""
    for line in (cgroupfs.read_if_there("/proc/%d/cgroup" % pid) or "").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""


def processes(path: str) -> List[int]:
    """The processes in the group itself, in whichever hierarchy, in ascending order."""
    found: Set[int] = set()
    for root in discover().all_roots():
        found.update(cgroupfs.numbers(folder(root, path) + "/cgroup.procs"))
    return sorted(found - {0})  # 0: a process of another PID namespace


def everyone(path: str) -> List[int]:
    """The processes of the group and of all below it, in whichever hierarchy, in ascending order."""
    found: Set[int] = set()
    for root in discover().all_roots():
        for at in _with_all_below(folder(root, path)):
            found.update(cgroupfs.numbers(at + "/cgroup.procs"))
    return sorted(found - {0})  # 0: a process of another PID namespace; to kill(2) it would mean ourselves


def _with_all_below(path: str) -> Iterator[str]:
    """A group's folder and those below it; which has none is known from its number of links, without listing its many files."""
    try:
        links = os.stat(path).st_nlink
    except FileNotFoundError:
        return
    yield path
    if links == 2:
        return
    for at, _folders, _files in os.walk(path):
        if at != path:
            yield at


def _own(pid: int, file: str) -> str:
    """A file of a process; empty where it has ended (ESRCH where that happened meanwhile)."""
    try:
        return cgroupfs.read_if_there("/proc/%d/%s" % (pid, file)) or ""
    except KernelError:
        return ""


def destination(path: str) -> str:
    """The nearest group above that may hold processes: in v2 one that has given no controllers to those below it."""
    unified = discover().v2
    for above in reversed(ancestors(path)):
        if unified is None or not cgroupfs.words(folder(unified, above) + "/cgroup.subtree_control"):
            return above
    return "/"


def of_process(pid: int) -> str:
    """The group that a process is in.

    Raises:
        NotFound: There is no such process.
        Conflict: It is in the root group, or in different groups of different hierarchies.
    """
    text = _own(pid, "cgroup")
    if not text:
        raise NotFound("there is no process %d" % pid, "Name one that runs")
    hierarchies = discover()
    places = set()
    for line in text.splitlines():
        number, controllers, place = line.split(":", 2)
        mounted = hierarchies.v2 is not None if number == "0" else controllers.startswith("name=") or any(
            V1_CONTROLLERS.get(each) in hierarchies.v1 for each in controllers.split(","))
        if mounted:  # others may be mounted elsewhere, and are nothing to us
            places.add(place)
    if len(places) > 1:
        raise Conflict("process %d is in several groups: %s" % (pid, ", ".join(sorted(places))),
                       "Give it a group of its own, with 'name' or 'path' and 'processes: [%d]'" % pid)
    (place,) = places
    if place == "/":
        raise Conflict("process %d is in the root group, whose limits would be the whole host's" % pid,
                       "Give it a group of its own, with 'name' or 'path' and 'processes: [%d]'" % pid)
    return place


def family(pids: Iterable[int]) -> Set[int]:
    """These processes with all their descendants (proc_pid_stat(5))."""
    parents: Dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            text = _own(int(name), "stat").rpartition(")")[2].split()
            if len(text) > 1:
                parents[int(name)] = int(text[1])
    found = set(pids)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def holds(path: str, pid: int) -> bool:
    """Whether a process is in the group in every hierarchy (proc_pid_cgroup(5))."""
    text = _own(pid, "cgroup")
    hierarchies = discover()
    if not text:
        return False
    found = 0
    for line in text.splitlines():
        _number, _controllers, at = line.split(":", 2)
        found += at == path
    return found >= len(hierarchies.all_roots())
