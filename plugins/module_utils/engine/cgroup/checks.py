# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel would refuse, or take and not keep: found before anything is changed. Reads only."""

from __future__ import annotations

import os
from typing import List, Mapping, Optional, Sequence, Set, Tuple

from ..errors import Conflict, InvalidValue, Unsupported
from ..kernel import cgroupfs
from . import devices
from .hierarchy import Hierarchies, ancestors, folder
from .limits import Limits, given, merged
from .support import FILES, require


def check(hierarchies: Hierarchies, path: str, limits: Limits, current: Limits,
          options: Optional[Mapping[str, str]] = None) -> None:
    """Refuse limits that could not hold for this group.

    Args:
        hierarchies: Of this host.
        path: The group, existing or not.
        limits: What is asked for.
        current: What holds now; all C(None) for a group to be made.
        options: Field to the name of the option that it came from, where these differ.

    Raises:
        Unsupported: The kernel does not have one of the limits.
        InvalidValue: A value cannot hold here.
        Conflict: A group above allows less.
    """
    names = options or {}
    require(hierarchies, path, limits, names)
    refuse_below_processes(hierarchies, path, needed(hierarchies, limits))
    _resources(hierarchies, limits)
    after = merged(current, limits)
    _swap(hierarchies, limits, after)
    if limits.memory_low == -1 and hierarchies.version("memory") == 1:
        raise InvalidValue("memory_low", "max", "cannot be told from no protection by cgroup v1",
                           "Give a size; one of the host's whole memory protects all")
    if limits.cpu_quota is not None and limits.cpu_quota >= 0:
        refuse_wider(hierarchies, path, limits.cpu_quota, after.cpu_period or 100000,
                     names.get("cpu_quota", "cpu_quota"))
    for field, file in (("cpuset_cpus", "cpuset.cpus"), ("cpuset_mems", "cpuset.mems")):
        if getattr(limits, field):
            _cpuset(hierarchies, path, field, file, getattr(limits, field))
    if limits.devices is not None and hierarchies.version("devices") == 1 \
            and not devices.is_plain(devices.canonical(limits.devices)):
        raise Unsupported("option '%s': cgroup v1 cannot take a part out of a wider rule"
                          % names.get("devices", "devices"), "Write the wider rule as several that leave the part out")


def needed(hierarchies: Hierarchies, limits: Limits) -> Set[str]:
    """The controllers of v2 that these limits take."""
    found = {FILES[field][0] for field in given(limits)} | {file.split(".")[0] for file, _value in limits.unified or ()}
    return found & hierarchies.v2_controllers


def refuse_below_processes(hierarchies: Hierarchies, path: str, controllers: Set[str]) -> None:
    """Refuse a group below one that holds processes itself, to which v2 gives no controllers for others (cgroup-v2.rst, "No
    Internal Process Constraint").

    Raises:
        Conflict: Names the group and the processes.
    """
    for above in ancestors(path) if controllers else ():
        at = folder(hierarchies.v2 or "", above)
        lacking = sorted(controllers - set(cgroupfs.words(at + "/cgroup.subtree_control")))
        holders = cgroupfs.numbers(at + "/cgroup.procs") if lacking else []
        if holders:
            raise Conflict("cgroup %s holds processes itself (%s), so that cgroup v2 gives its groups no controller '%s'"
                           % (above, some(holders), lacking[0]), "Move them into a group below it, or choose another place")


def some(pids: Sequence[int]) -> str:
    """The first few of many processes, for a message."""
    return ", ".join(map(str, pids[:8])) + (", ..." if len(pids) > 8 else "")


def _resources(hierarchies: Hierarchies, limits: Limits) -> None:
    """Refuse sizes of pages, RDMA devices and scalar resources that the host does not have."""
    for field, known in (("hugetlb", _page_sizes), ("rdma", _rdma_devices), ("misc", _scalar_resources)):
        for row in getattr(limits, field) or ():
            there = known(hierarchies)
            if row[0] not in there:
                raise InvalidValue(field, row[0], "is not what this host has",
                                   "Name some of %s" % ", ".join(there) if there else "Leave it out: there is none")


def _page_sizes(_hierarchies: Hierarchies) -> List[str]:
    """As the controller calls them: C(2MB) for C(hugepages-2048kB)."""
    found = []
    for name in _listed("/sys/kernel/mm/hugepages"):
        size = int(name[len("hugepages-"):-len("kB")])
        found.append("%dGB" % (size >> 20) if size >= 1 << 20 else "%dMB" % (size >> 10) if size >= 1 << 10 else "%dKB" % size)
    return found


def _rdma_devices(_hierarchies: Hierarchies) -> List[str]:
    return _listed("/sys/class/infiniband")


def _scalar_resources(hierarchies: Hierarchies) -> List[str]:
    return sorted(cgroupfs.pairs("%s/misc.capacity" % hierarchies.root("misc")))


def _listed(at: str) -> List[str]:
    return sorted(os.listdir(at)) if os.path.isdir(at) else []


def _swap(hierarchies: Hierarchies, limits: Limits, after: Limits) -> None:
    if hierarchies.version("memory") == 1 and limits.memory_swap_max is not None and limits.memory_swap_max >= 0 \
            and (after.memory_max is None or after.memory_max < 0):
        raise InvalidValue("memory_swap_max", limits.memory_swap_max,
                           "cannot be had alone: cgroup v1 limits memory and swap together",
                           "Set memory_max too")


def wider_than_ancestor(hierarchies: Hierarchies, path: str, quota: int, period: int) -> Optional[Tuple[str, float]]:
    """The lowest group above that has fewer CPUs than quota / period, with its number; v1 demands that none has."""
    root = hierarchies.v1.get("cpu")
    if root is None or quota < 0:
        return None
    for above in reversed(ancestors(path)):
        at = folder(root, above)
        theirs = cgroupfs.number(at + "/cpu.cfs_quota_us"), cgroupfs.number(at + "/cpu.cfs_period_us")
        if theirs[0] is not None and theirs[1] and theirs[0] >= 0 and theirs[0] * period < quota * theirs[1]:
            return above, theirs[0] / theirs[1]
    return None


def refuse_wider(hierarchies: Hierarchies, path: str, quota: int, period: int, option: str) -> None:
    """Refuse a CPU limit that v1 would refuse because a group above has less."""
    wider = wider_than_ancestor(hierarchies, path, quota, period)
    if wider:
        raise Conflict("option '%s': %g CPUs for cgroup %s are more than the %g of cgroup %s above it"
                       % (option, quota / period, path, wider[1], wider[0]),
                       "Ask for at most %g, or raise the limit of %s first" % (wider[1], wider[0]), option=option)


def members(text: str) -> Set[int]:
    """The numbers of a list such as C(0-2,4) (cpuset(7), list format)."""
    found: Set[int] = set()
    for part in text.split(","):
        first, _dash, last = part.strip().partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def _cpuset(hierarchies: Hierarchies, path: str, field: str, file: str, value: str) -> None:
    root = hierarchies.root("cpuset") or ""
    for above in ["/"] + ancestors(path):
        at = folder(root, above).rstrip("/")
        theirs = cgroupfs.read_if_there("%s/%s" % (at, file if hierarchies.version("cpuset") == 1
                                                   else file + ".effective"))
        if theirs and not members(value) <= members(theirs):
            what = "CPUs" if field == "cpuset_cpus" else "memory nodes"
            raise InvalidValue(field, value, "names %s that %s not have" % (
                what, "this host does" if above == "/" else "cgroup %s above does" % above),
                "Name some of %s" % theirs)


def refuse_below_use(path: str, memory_max: int, used: Tuple[int, int], option: str = "memory_max") -> None:
    """Refuse a memory limit that what the group uses does not fit in; pure.

    Args:
        path: The group.
        memory_max: The limit.
        used: As C(usage.memory_in_use) tells it: bytes in use, of these file pages, which do not count.
        option: Which to blame.

    Raises:
        Conflict: With both figures.
    """
    if memory_max < 0 or used[0] - used[1] <= memory_max:
        return
    raise Conflict("option '%s': cgroup %s uses %d bytes, of which %d can be given back at once; the rest is "
                   "more than %d" % (option, path, used[0], used[1], memory_max),
                   "Ask for at least %d, or set 'force: true', upon which cgroup v2 kills processes of the group"
                   % (used[0] - used[1]), option=option, current=used[0], reclaimable=used[1])


def block_device(option: str, device: str) -> str:
    """C(MAJ:MIN) of a whole disk that was named by path or by numbers.

    Raises:
        InvalidValue: There is none, or it is a part of a disk, which the kernel does not limit by itself.
    """
    numbers = device
    if device.startswith("/"):
        try:
            status = os.stat(device)
        except OSError as error:
            raise InvalidValue(option, device, "cannot be looked at: %s" % error.strerror,
                               "See 'lsblk' for what there is")
        if status.st_mode & 0o170000 != 0o060000:
            raise InvalidValue(option, device, "is no block device", "See 'lsblk' for what there is")
        numbers = "%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev))
    at = "/sys/dev/block/" + numbers
    if not os.path.exists(at):
        raise InvalidValue(option, device, "is no block device of this host", "See 'lsblk' for what there is")
    if os.path.exists(at + "/partition"):
        disk = os.path.basename(os.path.dirname(os.path.realpath(at)))
        raise InvalidValue(option, device, "is a part of a disk, which the kernel does not limit by itself",
                           "Name the disk: /dev/" + disk)
    return numbers
