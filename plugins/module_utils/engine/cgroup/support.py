# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host's kernel has, asked before anything is changed."""

from __future__ import annotations

import os
from typing import Dict, Mapping, Optional, Tuple

from ..errors import Unsupported
from ..kernel import cgroupfs
from .hierarchy import Hierarchies, folder
from .limits import Limits, given
from .render import Layout

FILES: Dict[str, Tuple[str, Optional[str], Optional[str]]] = {
    "cpu_quota": ("cpu", "cpu.cfs_quota_us", "cpu.max"),
    "cpu_period": ("cpu", "cpu.cfs_period_us", "cpu.max"),
    "cpu_burst": ("cpu", "cpu.cfs_burst_us", "cpu.max.burst"),
    "cpu_weight": ("cpu", "cpu.shares", "cpu.weight"),
    "cpu_shares": ("cpu", "cpu.shares", "cpu.weight"),
    "cpu_idle": ("cpu", "cpu.idle", "cpu.idle"),
    "cpu_rt_runtime": ("cpu", "cpu.rt_runtime_us", None),
    "cpu_rt_period": ("cpu", "cpu.rt_period_us", None),
    "cpuset_partition": ("cpuset", None, "cpuset.cpus.partition"),
    "cpuset_cpus": ("cpuset", "cpuset.cpus", "cpuset.cpus"),
    "cpuset_mems": ("cpuset", "cpuset.mems", "cpuset.mems"),
    "memory_max": ("memory", "memory.limit_in_bytes", "memory.max"),
    "memory_high": ("memory", None, "memory.high"),
    "memory_low": ("memory", "memory.soft_limit_in_bytes", "memory.low"),
    "memory_min": ("memory", None, "memory.min"),
    "memory_swap_max": ("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
    "memory_swappiness": ("memory", "memory.swappiness", None),
    "memory_oom_kill": ("memory", "memory.oom_control", None),
    "memory_oom_group": ("memory", None, "memory.oom.group"),
    "pids_max": ("pids", "pids.max", "pids.max"),
    "io_weight": ("io", "", ""),
    "blkio_weight": ("io", "", ""),
    "io_device_weights": ("io", "", ""),
    "io_limits": ("io", "blkio.throttle.read_bps_device", "io.max"),
    "hugetlb": ("hugetlb", "", ""),
    "rdma": ("rdma", "rdma.max", "rdma.max"),
    "misc": ("misc", "misc.max", "misc.max"),
    "network_class": ("net_cls", "net_cls.classid", None),
    "network_priorities": ("net_prio", "net_prio.ifpriomap", None),
    "devices": ("devices", "devices.allow", ""),
    "unified": ("", "", ""),
}
"""Field to controller and its file in v1 and in v2; C(None): that version has no such limit; empty: see the code."""

_INSTEAD = {
    "memory_high": "Use memory_max or memory_low",
    "memory_min": "Use memory_low",
    "cpu_rt_runtime": "Leave it out: cgroup v2 has no real-time budgets",
    "cpu_rt_period": "Leave it out: cgroup v2 has no real-time budgets",
    "cpuset_partition": "Use cpuset_cpus alone",
    "memory_oom_group": "Leave it out",
    "memory_swappiness": "Leave it out",
    "memory_oom_kill": "Leave it out: cgroup v2 always lets the kernel kill",
    "network_class": "Match on the cgroup's path in nftables instead ('socket cgroupv2')",
    "network_priorities": "Set the priority by nftables instead ('meta priority')",
}


def versions(hierarchies: Hierarchies) -> Dict[str, int]:
    """Controller to version, for all that this host has; C(devices) is in v2 wherever it is not in v1."""
    found = dict.fromkeys(hierarchies.v2_controllers, 2)
    if hierarchies.v2:
        found["devices"] = 2
    found.update(dict.fromkeys(hierarchies.v1, 1))
    return found


def layout(hierarchies: Hierarchies, path: str) -> Layout:
    """What rendering has to know; found at the group itself, or at another where it does not exist yet."""
    return Layout(versions(hierarchies), _io_weight_file(hierarchies, path), os.sysconf("SC_PAGE_SIZE"),
                  has_file(hierarchies, path, "memory", "memory.memsw.limit_in_bytes") is not False,
                  hierarchies.version("io") == 2 and bool(has_file(hierarchies, path, "io", "io.weight"))
                  and bool(has_file(hierarchies, path, "io", "io.bfq.weight")))


def _io_weight_file(hierarchies: Hierarchies, path: str) -> str:
    version = hierarchies.version("io")
    if version == 1:
        root = hierarchies.v1["io"]
        if os.path.exists(root + "/blkio.bfq.io_serviced") or os.path.exists(root + "/blkio.bfq.io_service_bytes"):
            return "blkio.bfq.weight"
        return "blkio.weight" if os.path.exists(root + "/blkio.leaf_weight") \
            or has_file(hierarchies, path, "io", "blkio.weight") else ""
    if version == 2:
        there = {file: has_file(hierarchies, path, "io", file) for file in ("io.weight", "io.bfq.weight")}
        if there["io.weight"] is not False:
            return "io.weight"
        return "io.bfq.weight" if there["io.bfq.weight"] else ""
    return ""


def has_file(hierarchies: Hierarchies, path: str, controller: str, file: str) -> Optional[bool]:
    """Whether groups have this file; C(None) where no group exists that would show it.

    The root groups lack many files, so a group is looked for: the one meant, one above, or any.
    """
    root = hierarchies.root(controller)
    if root is None:
        return False
    if os.path.exists("%s/%s" % (root, file)):
        return True
    sample = _sample(hierarchies, root, path, controller)
    return None if sample is None else os.path.exists("%s/%s" % (sample, file))


def _sample(hierarchies: Hierarchies, root: str, path: str, controller: str) -> Optional[str]:
    def serves(candidate: str) -> bool:
        return os.path.isdir(candidate) and (
            root != hierarchies.v2 or controller in cgroupfs.words(candidate + "/cgroup.controllers"))
    while path.strip("/"):
        if serves(folder(root, path)):
            return folder(root, path)
        path = os.path.dirname(path)
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and serves(entry.path):
                return entry.path
    return None


def require(hierarchies: Hierarchies, path: str, limits: Limits, options: Mapping[str, str]) -> None:
    """Refuse limits that this kernel does not have.

    Args:
        hierarchies: Of this host.
        path: The group, existing or not.
        limits: What is asked for.
        options: Field to the name of the option that it came from, where these differ.

    Raises:
        Unsupported: For the first such limit; names option, controller and remedy.
    """
    layout_ = None
    for field in given(limits):
        controller, v1_file, v2_file = FILES[field]
        option = options.get(field, field)
        if field == "unified":
            _require_unified(hierarchies, path, limits)
            continue
        version = versions(hierarchies).get(controller, 0)
        if version == 0:
            raise Unsupported("option '%s': this host has no cgroup controller '%s'" % (option, controller),
                              _how_to_get(hierarchies, controller), option=option, controller=controller)
        file = v1_file if version == 1 else v2_file
        if file is None:
            raise Unsupported(
                "option '%s': cgroup v%d has no such limit, and the controller '%s' is in v%d here"
                % (option, version, controller, version),
                _INSTEAD[field] + (", or boot with 'systemd.unified_cgroup_hierarchy=1' for cgroup v2"
                                   if version == 1 else ""), option=option, controller=controller)
        if file:
            if has_file(hierarchies, path, controller, file) is False:
                raise no_file(field, option, controller, file)
        elif controller == "io":
            layout_ = layout_ or layout(hierarchies, path)
            if not layout_.io_weight:
                raise Unsupported("option '%s': no I/O scheduler of this kernel weighs the groups of controller 'io'"
                                  % option, "Load the module 'bfq' and make it the scheduler of the disks: "
                                  "'echo bfq > /sys/block/DISK/queue/scheduler'", option=option, controller=controller)


def _require_unified(hierarchies: Hierarchies, path: str, limits: Limits) -> None:
    for file, _value in limits.unified or ():
        controller = file.split(".")[0]
        if hierarchies.version(controller) == 2:
            if has_file(hierarchies, path, controller, file) is False:
                raise no_file("unified", "unified", controller, file)
        elif hierarchies.version(controller) == 1:
            raise Unsupported("option 'unified': '%s' is a file of cgroup v2, and the controller '%s' is in v1 here"
                              % (file, controller), "Use the option that has a name of its own, or boot with "
                              "'systemd.unified_cgroup_hierarchy=1' for cgroup v2", option="unified", controller=controller)
        else:
            raise Unsupported("option 'unified': '%s' is of no cgroup controller that this host has" % file,
                              _how_to_get(hierarchies, controller), option="unified", controller=controller)


def no_file(field: str, option: str, controller: str, file: str) -> Unsupported:
    """The error for a controller that lacks a file."""
    return Unsupported("option '%s': this kernel (%s) has no '%s' in the controller '%s'"
                       % (option, os.uname().release, file, controller), _file_remedy(field),
                       option=option, controller=controller)


def _file_remedy(field: str) -> str:
    return {"memory_swap_max": "Boot with 'swapaccount=1' on the kernel's command line, or leave it out",
            "cpu_burst": "Run a kernel of version 5.14 or newer, or leave it out",
            "cpu_idle": "Run a kernel of version 5.15 or newer, or leave it out",
            "cpu_quota": "Run a kernel with CONFIG_CFS_BANDWIDTH, or use cpu_weight",
            "cpu_period": "Run a kernel with CONFIG_CFS_BANDWIDTH, or use cpu_weight",
            "io_limits": "Run a kernel with CONFIG_BLK_DEV_THROTTLING, or leave it out",
            }.get(field, "Run a kernel that has it, or leave it out")


def _how_to_get(hierarchies: Hierarchies, controller: str) -> str:
    v1_name = "blkio" if controller == "io" else controller
    for row in (cgroupfs.read_if_there("/proc/cgroups") or "").splitlines():
        fields = row.split()
        if fields and fields[0] == v1_name:
            if fields[-1] == "0":
                return "Boot with 'cgroup_enable=%s' on the kernel's command line" % controller
            if hierarchies.kind != "v2":
                return "Mount it: 'mount -t cgroup -o %s none %s'" % (
                    v1_name, os.path.join(os.path.dirname(hierarchies.all_roots()[0]), v1_name))
    if hierarchies.kind == "v2" and controller in ("cpu", "cpuset", "io", "memory", "pids", "hugetlb"):
        return "Give it to the groups that this host may use: it is missing in %s/cgroup.controllers" % hierarchies.v2
    return "Run a kernel that has it, or leave the option out"
