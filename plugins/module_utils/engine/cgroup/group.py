# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group: created, entered, read, updated and removed in all hierarchies as if there were one.

A path is absolute below each hierarchy, such as C(/coracle/web). What holds is read from the
kernel; limits of groups above are never touched.
"""

from __future__ import annotations

import os
import time
from typing import Dict, List, Optional, Sequence

from ..errors import Conflict, EngineError, KernelError, NotFound, Unsupported
from ..kernel import cgroupfs
from . import checks, devices, support, v1, v2
from .entry import (Birthplace, Entry, attach, close_birthplace, close_entry, enter, enter_self, holds, open_birthplace, open_entry,
                    processes)
from .freezer import freeze, frozen, kill, thaw
from .hierarchy import Hierarchies, ancestors, discover, folder
from .limits import NOTHING, Limits, given
from .render import ORDER, V1_SAME, render
from .usage import memory_in_use, oom_kills, usage
from .write import Write

__all__ = (
    "Birthplace", "Entry", "attach", "close_birthplace", "close_entry", "create", "enter", "enter_self", "exists", "freeze",
    "frozen", "holds", "kill", "memory_in_use", "oom_kills", "open_birthplace", "open_entry", "paths", "processes", "prune",
    "read", "remove", "remove_vacant", "thaw", "update", "usage")

USUAL = frozenset(("cpu", "cpuset", "io", "memory", "pids"))
"""The controllers of v2 that every group has on a host that has v2 alone; others where a limit needs them."""
REMOVE_TIMEOUT = 15.0


def paths(path: str) -> Dict[str, str]:
    """Controller to the folder where this group has it; C(unified) is the group's folder in v2."""
    hierarchies = discover()
    found = {controller: folder(root, path) for controller, root in hierarchies.v1.items()}
    if hierarchies.v2:
        at = folder(hierarchies.v2, path)
        found["unified"] = at
        for controller in cgroupfs.words(at + "/cgroup.controllers"):
            found[controller] = at
    return {controller: at for controller, at in found.items() if os.path.isdir(at)}


def exists(path: str) -> bool:
    """Whether the group is there in every hierarchy."""
    return all(os.path.isdir(folder(root, path)) for root in discover().all_roots())


def create(path: str, limits: Limits = NOTHING) -> None:
    """Make a group with these limits, and the groups above it where they are missing.

    A group that is there already is brought to these limits. A failure removes what was made.

    Raises:
        Unsupported: The kernel does not have one of the limits; nothing was changed.
        EngineError: The kernel refused a value.
    """
    hierarchies = discover()
    checks.check(hierarchies, path, limits, NOTHING)
    made: List[str] = []
    try:
        fresh = [_make(hierarchies, root, path, made, limits) for root in hierarchies.all_roots()]
        if all(fresh):
            _write_all(hierarchies, path, limits, None)
        else:
            update(path, limits)
    except BaseException:
        for each in reversed(made):
            try:
                os.rmdir(each)
            except OSError:
                pass
        raise


def _make(hierarchies: Hierarchies, root: str, path: str, made: List[str], limits: Limits) -> bool:
    """Make the group in one hierarchy; say whether it was not there."""
    fresh = False
    for attempt in range(4):
        try:
            fresh = _mkdir(folder(root, path), made)
            if root == hierarchies.v1.get("cpuset"):
                _inherit_cpuset(root, path)
        except FileNotFoundError:
            if attempt == 3:
                raise
            for above in ancestors(path):  # another run may remove them meanwhile: hence the attempts
                try:
                    _mkdir(folder(root, above), made)
                except FileNotFoundError:
                    break
            continue
        break
    if root == hierarchies.v2:
        _delegate(hierarchies, path, limits)
    return fresh


def _mkdir(at: str, made: List[str]) -> bool:
    try:
        os.mkdir(at, 0o755)
    except FileExistsError:
        return False
    except PermissionError as error:
        raise Unsupported("%s: %s" % (at, error.strerror),
                          "Run where the cgroup file systems are mounted writable")
    made.append(at)
    return True


def _inherit_cpuset(root: str, path: str) -> None:
    """In v1 a new cpuset is empty, and nothing may enter it before it has CPUs and memory nodes; nor may those above it be empty."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        at = "%s/%s" % (folder(root, path), file)
        if not cgroupfs.read(at):
            above = os.path.dirname(path)
            place = "%s/%s" % (folder(root, above).rstrip("/"), file)
            found = cgroupfs.read(place)
            if not found and above != "/":
                _inherit_cpuset(root, above)
                found = cgroupfs.read(place)
            cgroupfs.write(at, found)


def _delegate(hierarchies: Hierarchies, path: str, limits: Limits) -> None:
    """See to it that the group has its controllers, by enabling them in the groups above it."""
    needed = checks.needed(hierarchies, limits)
    wanted = hierarchies.v2_controllers & (needed | USUAL if hierarchies.kind == "v2" else needed)
    root = hierarchies.v2 or ""
    if not wanted or wanted <= set(cgroupfs.words(folder(root, path) + "/cgroup.controllers")):
        return
    checks.refuse_below_processes(hierarchies, path, needed)
    for above in ["/"] + ancestors(path):
        at = folder(root, above).rstrip("/")
        missing = sorted(wanted - set(cgroupfs.words(at + "/cgroup.subtree_control")))
        if not missing:
            continue
        if above != "/" and cgroupfs.numbers(at + "/cgroup.procs"):
            return  # some controllers could be had, and would make the groups below unfit for processes (threaded mode)
        try:
            cgroupfs.write(at + "/cgroup.subtree_control", " ".join("+" + each for each in missing))
            continue
        except KernelError:
            pass
        for controller in missing:  # one at a time: what no limit needs may be refused
            try:
                cgroupfs.write(at + "/cgroup.subtree_control", "+" + controller)
            except KernelError as error:
                if controller in needed:
                    raise Unsupported("cgroup %s cannot give the controller '%s' to the groups below it: %s"
                                      % (above, controller, error), "Look at %s/cgroup.controllers and cgroup.type" % at)


def update(path: str, limits: Limits) -> None:
    """Change limits of an existing group; what C(limits) does not say stays. A failure restores what was.

    Raises:
        NotFound: There is no such group.
        Unsupported: The kernel does not have one of the limits; nothing was changed.
        EngineError: The kernel refused a value.
    """
    hierarchies = discover()
    files = [file for file, _value in limits.unified or ()]
    current = read(path, files)
    checks.check(hierarchies, path, limits, current)
    before = Limits(**{field: getattr(current, field) for field in given(limits)})
    unit = _unit(path)
    if unit:  # first, since it enables controllers by itself, and takes back what it does not know of
        _tell(unit, limits)
        current = read(path, files)
    if hierarchies.v2:
        _delegate(hierarchies, path, limits)
    try:
        _write_all(hierarchies, path, limits, current)
    except EngineError:
        try:
            if unit:
                _tell(unit, before)
            _write_all(hierarchies, path, before, read(path, files))
        except EngineError:
            pass
        raise


def _unit(path: str) -> Optional[str]:
    """The unit of systemd whose group this is; others are not systemd's business."""
    if not path.endswith((".service", ".scope", ".slice")):
        return None
    from . import systemd  # pylint: disable=import-outside-toplevel
    return systemd.unit_of(path)


def _tell(unit: str, limits: Limits) -> None:
    from . import systemd  # pylint: disable=import-outside-toplevel
    systemd.tell(unit, limits)


def _write_all(hierarchies: Hierarchies, path: str, limits: Limits, current: Optional[Limits]) -> None:
    if limits == NOTHING:
        return
    layout = support.layout(hierarchies, path)
    for write in render(layout, limits, current):
        at = folder(hierarchies.root(write.controller) or hierarchies.v2 or "", path)
        if write.optional and not os.path.exists("%s/%s" % (at, write.file)):
            continue
        try:
            cgroupfs.write("%s/%s" % (at, write.file), write.value)
        except KernelError as error:
            from .explain import explained  # pylint: disable=import-outside-toplevel
            raise explained(error, hierarchies, path, write, limits)
    if limits.cpuset_partition not in (None, "member"):
        _hold_partition(folder(hierarchies.root("cpuset") or "", path), path, str(limits.cpuset_partition))
    if limits.devices is not None and layout.versions["devices"] == 2:
        at = folder(hierarchies.v2 or "", path)
        rules = devices.canonical(limits.devices)
        if devices.from_v2(at) != rules:
            try:
                devices.to_v2(at, rules)
            except KernelError as error:
                from .explain import explained  # pylint: disable=import-outside-toplevel
                raise explained(error, hierarchies, path, Write("devices", "", "program", "devices"), limits)


def _hold_partition(at: str, path: str, wanted: str) -> None:
    """The kernel takes a partition that cannot be, and says so only when it is read."""
    told = cgroupfs.read(at + "/cpuset.cpus.partition")
    if "invalid" in told:
        raise Conflict("option 'cpuset_partition': cgroup %s is no partition '%s': the kernel says '%s'" % (path, wanted, told),
                       "Give it cpuset_cpus of its own that the groups beside it do not have, and make the group above a "
                       "partition too, unless that is the root", option="cpuset_partition")


def read(path: str, files: Sequence[str] = ()) -> Limits:
    """The limits that the kernel holds this group to.

    Args:
        path: The group.
        files: Of v2, to be read as they are into C(unified).

    Raises:
        NotFound: There is no such group.
    """
    hierarchies = discover()
    if not any(os.path.isdir(folder(root, path)) for root in hierarchies.all_roots()):
        raise NotFound("there is no cgroup %s" % path, "Create it first")
    layout = support.layout(hierarchies, path)
    found = {}
    for controller in ORDER:
        version = layout.versions.get(controller, 0)
        if not version:
            continue
        at = folder(hierarchies.root(controller) or hierarchies.v2 or "", path)
        if os.path.isdir(at):
            found.update((v1 if version == 1 and controller not in V1_SAME else v2).read(controller, at, layout.io_weight))
    if files and hierarchies.v2:
        told = [(file, cgroupfs.read_if_there("%s/%s" % (folder(hierarchies.v2, path), file))) for file in files]
        found["unified"] = tuple((file, text) for file, text in told if text is not None)
    return Limits(**found)


def remove(path: str, timeout: float = REMOVE_TIMEOUT) -> None:
    """Remove a group and those below it; kills nothing, but waits for the dying.

    Args:
        path: The group; no error where it is gone.
        timeout: Seconds to wait for processes that end and for the kernel to let go of them.

    Raises:
        Conflict: Processes remain.
    """
    until = time.monotonic() + timeout
    pause = 0.0005
    for root in discover().all_roots():
        while True:
            busy = _remove_tree(folder(root, path))
            if busy is None:
                break
            if time.monotonic() > until:
                pids = cgroupfs.numbers(busy + "/cgroup.procs")
                why = "processes %s are in %s" % (checks.some(pids), busy) if pids else "the kernel keeps %s busy" % busy
                raise Conflict(
                    "cgroup %s cannot be removed: %s" % (path, why),
                    "End these processes first" if pids else "Try again, or look what has it open", processes=pids)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


def remove_vacant(path: str) -> bool:
    """Remove a group in which nobody is and below which there is none; say whether it is gone.

    The kernel is asked, by rmdir(2), and refuses otherwise; so nothing has to be looked at before, nor be stopped meanwhile.
    """
    for root in discover().all_roots():
        try:
            os.rmdir(folder(root, path))
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != 16:  # EBUSY
                raise
            return False
    return True


def _remove_tree(at: str) -> Optional[str]:
    """Remove folders from the leaves on; return the first that is busy."""
    try:
        os.rmdir(at)
        return None
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != 16:  # EBUSY
            raise
    try:
        with os.scandir(at) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return None
    for each in below:
        busy = _remove_tree(each)
        if busy is not None:
            return busy
    try:
        os.rmdir(at)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != 16:
            raise
        return at
    return None


def prune(path: str) -> bool:
    """Remove a group if it is empty, has none below it and limits nothing of its own; say whether it went."""
    hierarchies = discover()
    for root in hierarchies.all_roots():
        at = folder(root, path)
        try:
            with os.scandir(at) as entries:
                if any(entry.is_dir(follow_symlinks=False) for entry in entries):
                    return False
        except FileNotFoundError:  # not there, or somebody else was faster
            continue
        if cgroupfs.numbers(at + "/cgroup.procs"):
            return False
    try:
        limited = given(read(path))
    except NotFound:
        return False
    if any(limited.get(field, value) not in (value, None) for field, value in given(_UNLIMITED).items()):
        return False
    try:
        remove(path, 0.2)
    except Conflict:
        return False
    return True


_UNLIMITED = Limits(cpu_quota=-1, cpu_weight=100, memory_max=-1, memory_high=-1, memory_low=0, memory_min=0,
                    memory_swap_max=-1, pids_max=-1, io_limits=())
