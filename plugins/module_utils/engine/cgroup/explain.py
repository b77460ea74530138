# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel means when it refuses a value: the cause and the remedy."""

from __future__ import annotations

import errno
import os
from typing import Optional

from ..errors import Conflict, EngineError, InvalidValue, KernelError
from ..kernel import cgroupfs
from .checks import refuse_wider
from .hierarchy import Hierarchies, folder
from .limits import Limits
from .support import no_file
from .write import Write


def explained(error: KernelError, hierarchies: Hierarchies, path: str, write: Write, limits: Limits) -> EngineError:
    """The error to raise for a write that was refused."""
    if error.errno == errno.ENOENT:  # no group existed before this one that could have shown it
        return no_file(write.field, write.field, write.controller, write.file)
    step = {"cpu_quota": _cpu, "cpu_period": _cpu, "cpu_burst": _burst, "cpuset_cpus": _cpuset, "cpuset_mems": _cpuset,
            "memory_max": _memory, "memory_swap_max": _memory, "io_limits": _io, "io_device_weights": _io,
            "io_weight": _io, "devices": _devices, "cpu_rt_runtime": _realtime, "cpu_rt_period": _realtime}.get(write.field)
    found = step(error.errno, hierarchies, path, write, limits) if step else None
    if found is not None:
        return found
    return KernelError(error.call, error.errno, "%s (option '%s' of cgroup %s)" % (error.target, write.field, path),
                       _REMEDIES.get(error.errno))


_REMEDIES = {
    errno.EINVAL: "The kernel takes no such value here; see the documentation of the option for its range",
    errno.ERANGE: "The value is out of the kernel's range",
    errno.EPERM: "Run with CAP_SYS_ADMIN in the host's own user namespace",
    errno.EACCES: "Run where the cgroup file systems are mounted writable",
    errno.EBUSY: "Something in the group still uses what would be taken away; try again after it has ended",
}


def _cpu(number: int, hierarchies: Hierarchies, path: str, _write: Write, limits: Limits) -> Optional[EngineError]:
    if number != errno.EINVAL:
        return None
    period = limits.cpu_period or 100000
    quota = -1 if limits.cpu_quota is None else limits.cpu_quota
    try:
        refuse_wider(hierarchies, path, quota, period, "cpu_quota")
    except Conflict as conflict:
        return conflict
    root = hierarchies.v1.get("cpu")
    for at, _folders, _files in os.walk(folder(root, path) if root else ""):
        theirs = cgroupfs.number(at + "/cpu.cfs_quota_us"), cgroupfs.number(at + "/cpu.cfs_period_us")
        if root is None or at == folder(root, path) or not theirs[0] or not theirs[1]:
            continue
        if theirs[0] * period > quota * theirs[1] >= 0:
            below = at[len(root):]
            return Conflict("option 'cpu_quota': %g CPUs for cgroup %s are less than the %g of cgroup %s below it"
                            % (quota / period, path, theirs[0] / theirs[1], below),
                            "Lower the limit of %s first" % below)
    return InvalidValue("cpu_quota", "%d / %d" % (quota, period), "is refused by the kernel",
                        "Give a period of 1000 to 1000000 and a quota of at least 1000 microseconds")


def _realtime(number: int, hierarchies: Hierarchies, path: str, write: Write, limits: Limits) -> Optional[EngineError]:
    if number != errno.EINVAL:
        return None
    root, above = hierarchies.v1.get("cpu", ""), os.path.dirname(path)
    at = folder(root, above).rstrip("/")
    return Conflict("option '%s': %s of %s microseconds for cgroup %s do not fit into what cgroup %s above has, %s of %s, "
                    "together with the groups beside it" % (
                        write.field, limits.cpu_rt_runtime, limits.cpu_rt_period or 1000000, path, above,
                        cgroupfs.read_if_there(at + "/cpu.rt_runtime_us"), cgroupfs.read_if_there(at + "/cpu.rt_period_us")),
                    "Give that group enough first, with container_cgroup and 'path: %s'" % above, option=write.field)


def _burst(number: int, _hierarchies: Hierarchies, path: str, write: Write, limits: Limits) -> Optional[EngineError]:
    if number != errno.EINVAL:
        return None
    return InvalidValue("cpu_burst", write.value, "is refused by the kernel for cgroup %s with a quota of %s"
                        % (path, limits.cpu_quota), "Set cpus, and give a burst of at most its quota")


def _cpuset(number: int, hierarchies: Hierarchies, path: str, write: Write, _limits: Limits) -> Optional[EngineError]:
    what = "CPUs" if write.field == "cpuset_cpus" else "memory nodes"
    root = hierarchies.root("cpuset") or ""
    above = os.path.dirname(path)
    theirs = cgroupfs.read_if_there("%s/%s" % (folder(root, above).rstrip("/"), write.file)) \
        or cgroupfs.read_if_there("%s/%s.effective" % (folder(root, above).rstrip("/"), write.file))
    if number in (errno.EACCES, errno.EINVAL, errno.ERANGE, errno.ENODEV):
        return InvalidValue(write.field, write.value.strip(),
                            "names %s that cgroup %s above does not have" % (what, above),
                            "It has %s: name some of these, or widen it first" % (theirs or "none"))
    if number == errno.ENOSPC:
        return InvalidValue(write.field, write.value.strip(), "would leave the processes of cgroup %s without %s"
                            % (path, what), "Name some of %s" % (theirs or "those of the group above"))
    if number == errno.EBUSY:
        return Conflict("option '%s': a cgroup below %s holds %s outside of %s"
                        % (write.field, path, what, write.value.strip()), "Narrow the groups below it first")
    return None


def _memory(number: int, hierarchies: Hierarchies, path: str, write: Write, _limits: Limits) -> Optional[EngineError]:
    if number not in (errno.EBUSY, errno.EINVAL):
        return None
    root = hierarchies.root("memory") or ""
    now = cgroupfs.number(folder(root, path) + "/memory.usage_in_bytes")
    return Conflict("option '%s': cgroup %s uses %s bytes, of which the kernel cannot free enough for a limit of %s"
                    % (write.field, path, "?" if now is None else now, write.value),
                    "Ask for more, or end processes of the group first", option=write.field, current=now)


def _io(number: int, _hierarchies: Hierarchies, _path: str, write: Write, _limits: Limits) -> Optional[EngineError]:
    device = write.value.split(" ")[0]
    if number in (errno.ENODEV, errno.ENXIO):
        return InvalidValue(write.field, device, "is no whole disk that the kernel has",
                            "Name a disk, not a partition; see 'lsblk'")
    if number == errno.EOPNOTSUPP:
        return InvalidValue(write.field, device, "is a disk whose I/O scheduler does not weigh groups",
                            "Make bfq its scheduler, or leave the option out")
    return None


def _devices(number: int, _hierarchies: Hierarchies, path: str, write: Write, _limits: Limits) -> Optional[EngineError]:
    above = os.path.dirname(path)
    if number == errno.EPERM and write.file:
        return Conflict("option 'devices': '%s' for cgroup %s is more than cgroup %s above it allows"
                        % (write.value, path, above), "Allow it there first, or leave the rule out")
    if number == errno.EINVAL and write.value == "a":
        return Conflict("option 'devices': cgroup v1 cannot change the default of cgroup %s, because of groups "
                        "below it or of a group above that denies by default" % path,
                        "Remove the groups below it first, or begin the list with the other default")
    return None
