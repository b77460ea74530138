# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroup v1: limits to file writes and back.

Source: Documentation/admin-guide/cgroup-v1 and Documentation/scheduler/sched-bwc.rst of the kernel.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..kernel import cgroupfs
from . import devices, weights
from .limits import UNLIMITED, IoLimit, Limits
from .v2 import device_weight, weight_from, weight_to
from .write import Write

THROTTLES = (("blkio.throttle.read_bps_device", "read_bps"), ("blkio.throttle.write_bps_device", "write_bps"),
             ("blkio.throttle.read_iops_device", "read_iops"), ("blkio.throttle.write_iops_device", "write_iops"))


def render(controller: str, wanted: Limits, now: Limits, io_weight: str, memsw: bool) -> List[Write]:
    """The writes for one controller that lives in v1."""
    if controller == "memory":
        return _memory(wanted, now, memsw)
    if controller == "io":
        return _io(wanted, now, io_weight)
    step = _RENDER.get(controller)
    return step(wanted, now) if step else []


def _cpu(wanted: Limits, now: Limits) -> List[Write]:
    writes = []
    if wanted.cpu_idle is not None and wanted.cpu_idle != now.cpu_idle:
        writes.append(Write("cpu", "cpu.idle", str(int(wanted.cpu_idle)), "cpu_idle"))
    shares = wanted.cpu_shares or (wanted.cpu_weight and weights.cpu_shares(wanted.cpu_weight))
    if shares and shares != (now.cpu_shares or (now.cpu_weight and weights.cpu_shares(now.cpu_weight))):
        weight = Write("cpu", "cpu.shares", str(shares), "cpu_weight")
        if not now.cpu_idle:
            writes.insert(0, weight)
        elif wanted.cpu_idle is False:  # an idle group has no weight, and refuses to be given one
            writes.append(weight)
    writes += _realtime(wanted, now)
    quota = Write("cpu", "cpu.cfs_quota_us", str(wanted.cpu_quota), "cpu_quota")
    period = Write("cpu", "cpu.cfs_period_us", str(wanted.cpu_period), "cpu_period")
    bandwidth = []
    if wanted.cpu_period is not None and wanted.cpu_period != now.cpu_period:
        bandwidth.append(period)
    if wanted.cpu_quota is not None and wanted.cpu_quota != now.cpu_quota:
        # Longer period first, shorter period last: what holds in between is never wider than
        # either side, so that no ancestor's limit refuses it.
        shorter = wanted.cpu_period is not None and wanted.cpu_period < (now.cpu_period or 100000)
        bandwidth.insert(0 if shorter and wanted.cpu_quota >= 0 else len(bandwidth), quota)
    if wanted.cpu_burst is not None and wanted.cpu_burst != now.cpu_burst:
        # A burst must not pass the quota: less of it before, more of it after the quota has changed.
        less = wanted.cpu_burst < (now.cpu_burst or 0)
        bandwidth.insert(0 if less else len(bandwidth),
                         Write("cpu", "cpu.cfs_burst_us", str(wanted.cpu_burst), "cpu_burst"))
    return writes + bandwidth


def _realtime(wanted: Limits, now: Limits) -> List[Write]:
    writes = [Write("cpu", "cpu.%s_us" % field[4:], str(getattr(wanted, field)), field)
              for field in ("cpu_rt_period", "cpu_rt_runtime")
              if getattr(wanted, field) not in (None, getattr(now, field))]
    # The runtime must fit in the period: a shorter period comes after it.
    shorter = len(writes) == 2 and (wanted.cpu_rt_period or 0) < (now.cpu_rt_period or 1000000)
    return writes[::-1] if shorter else writes


def _cpuset(wanted: Limits, now: Limits) -> List[Write]:
    return [Write("cpuset", file, value, field)
            for field, file, value, before in (
                ("cpuset_mems", "cpuset.mems", wanted.cpuset_mems, now.cpuset_mems),
                ("cpuset_cpus", "cpuset.cpus", wanted.cpuset_cpus, now.cpuset_cpus))
            if value is not None and value != before]


def _memory(wanted: Limits, now: Limits, memsw: bool) -> List[Write]:
    writes = []
    before = UNLIMITED if now.memory_max is None else now.memory_max
    before_swap = UNLIMITED if now.memory_swap_max is None else now.memory_swap_max
    limit = before if wanted.memory_max is None else wanted.memory_max
    swap = before_swap if wanted.memory_swap_max is None else wanted.memory_swap_max
    both, both_before = _sum(limit, swap), _sum(before, before_swap)
    if limit != before:
        writes.append(Write("memory", "memory.limit_in_bytes", str(limit), "memory_max"))
    if memsw and both != both_before:
        # The sum must never be less than the memory: raised before it, lowered after it.
        raising = before >= 0 and (limit < 0 or limit > before)
        writes.insert(0 if raising else len(writes),
                      Write("memory", "memory.memsw.limit_in_bytes", str(both),
                            "memory_max" if wanted.memory_swap_max is None else "memory_swap_max"))
    if wanted.memory_low is not None and wanted.memory_low != now.memory_low:
        writes.append(Write("memory", "memory.soft_limit_in_bytes", str(wanted.memory_low or UNLIMITED), "memory_low"))
    if wanted.memory_swappiness is not None and wanted.memory_swappiness != now.memory_swappiness:
        writes.append(Write("memory", "memory.swappiness", str(wanted.memory_swappiness), "memory_swappiness"))
    if wanted.memory_oom_kill is not None and wanted.memory_oom_kill != now.memory_oom_kill:
        writes.append(Write("memory", "memory.oom_control", str(int(not wanted.memory_oom_kill)), "memory_oom_kill"))
    return writes


def _sum(memory: int, swap: int) -> int:
    return UNLIMITED if memory < 0 or swap < 0 else memory + swap


def _pids(wanted: Limits, now: Limits) -> List[Write]:
    if wanted.pids_max is None or wanted.pids_max == now.pids_max:
        return []
    return [Write("pids", "pids.max", "max" if wanted.pids_max < 0 else str(wanted.pids_max), "pids_max")]


def _io(wanted: Limits, now: Limits, io_weight: str) -> List[Write]:
    writes = []
    if io_weight and (wanted.io_weight is not None or wanted.blkio_weight is not None):
        value = wanted.blkio_weight or weight_to(io_weight, wanted.io_weight or 100)
        if now.io_weight is None or weight_to(io_weight, now.io_weight) != value:
            writes.append(Write("io", io_weight, str(value), "io_weight"))
    if io_weight and wanted.io_device_weights is not None:
        now_weights = dict(now.io_device_weights or ())
        for device, weight in wanted.io_device_weights:
            value = device_weight(io_weight, wanted, weight)
            if device not in now_weights or weight_to(io_weight, now_weights.pop(device)) != value:
                writes.append(Write("io", io_weight + "_device", "%s %d" % (device, value), "io_device_weights"))
        none = "default" if "bfq" in io_weight else "0"
        writes += [Write("io", io_weight + "_device", "%s %s" % (device, none), "io_device_weights") for device in now_weights]
    if wanted.io_limits is not None:
        before = {limit.device: limit for limit in now.io_limits or ()}
        for limit in wanted.io_limits:
            writes += _throttles(before.pop(limit.device, IoLimit(limit.device)), limit)
        for device in sorted(before):
            writes += _throttles(before[device], IoLimit(device))
    return writes


def _throttles(before: IoLimit, after: IoLimit) -> List[Write]:
    return [Write("io", file, "%s %d" % (after.device, max(getattr(after, field), 0)), "io_limits")  # 0 lifts it
            for file, field in THROTTLES if getattr(before, field) != getattr(after, field)]


def _hugetlb(wanted: Limits, now: Limits) -> List[Write]:
    before = dict(now.hugetlb or ())
    # What is reserved is limited as what is used, where the kernel counts it (runtime-spec config-linux.md, Huge page limits).
    return [Write("hugetlb", "hugetlb.%s%s.limit_in_bytes" % (size, kind), str(limit), "hugetlb", bool(kind))
            for size, limit in wanted.hugetlb or () if before.get(size) != limit for kind in ("", ".rsvd")]


def _network_class(wanted: Limits, now: Limits) -> List[Write]:
    if wanted.network_class is None or wanted.network_class == now.network_class:
        return []
    return [Write("net_cls", "net_cls.classid", str(wanted.network_class), "network_class")]


def _network_priorities(wanted: Limits, now: Limits) -> List[Write]:
    before = dict(now.network_priorities or ())
    return [Write("net_prio", "net_prio.ifpriomap", "%s %d" % (link, priority), "network_priorities")
            for link, priority in wanted.network_priorities or () if before.get(link) != priority]


def _devices(wanted: Limits, now: Limits) -> List[Write]:
    if wanted.devices is None:
        return []
    rules = devices.canonical(wanted.devices)
    before = None if now.devices is None else devices.canonical(now.devices)
    if rules == before and not (rules[0].allow and len(rules) > 1):
        return []
    return [Write("devices", file, value, "devices") for file, value in devices.v1_writes(before, rules)]


_RENDER: Mapping[str, Callable[[Limits, Limits], List[Write]]] = {
    "cpu": _cpu, "cpuset": _cpuset, "pids": _pids, "hugetlb": _hugetlb, "net_cls": _network_class,
    "net_prio": _network_priorities, "devices": _devices}


def read(controller: str, folder: str, io_weight: str) -> Dict[str, Any]:
    """The fields that one controller that lives in v1 tells, from its folder of the group."""
    step = _READ.get(controller)
    return step(folder, io_weight) if step else {}


def _read_cpu(folder: str, _io_weight: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "cpu_quota": cgroupfs.number(folder + "/cpu.cfs_quota_us"),
        "cpu_period": cgroupfs.number(folder + "/cpu.cfs_period_us"),
        "cpu_burst": cgroupfs.number(folder + "/cpu.cfs_burst_us")}
    idle = cgroupfs.number(folder + "/cpu.idle")
    shares = cgroupfs.number(folder + "/cpu.shares")
    if shares is not None and not idle:  # an idle group has no weight
        found["cpu_weight"] = weights.cpu_weight(shares)
        if weights.cpu_shares(found["cpu_weight"]) != shares:
            found["cpu_shares"] = shares
    found["cpu_idle"] = None if idle is None else bool(idle)
    found["cpu_rt_runtime"] = cgroupfs.number(folder + "/cpu.rt_runtime_us")
    found["cpu_rt_period"] = cgroupfs.number(folder + "/cpu.rt_period_us")
    return found


def _read_cpuset(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"cpuset_cpus": cgroupfs.read_if_there(folder + "/cpuset.cpus"),
            "cpuset_mems": cgroupfs.read_if_there(folder + "/cpuset.mems")}


def _read_memory(folder: str, _io_weight: str) -> Dict[str, Any]:
    limit = _endless(cgroupfs.number(folder + "/memory.limit_in_bytes"))
    both = _endless(cgroupfs.number(folder + "/memory.memsw.limit_in_bytes"))
    soft = _endless(cgroupfs.number(folder + "/memory.soft_limit_in_bytes"))
    swap = both
    if both is not None and both >= 0:
        swap = 0 if limit is None or limit < 0 else both - limit
    stops = cgroupfs.pairs(folder + "/memory.oom_control").get("oom_kill_disable")
    return {"memory_max": limit, "memory_swap_max": swap, "memory_low": 0 if soft == UNLIMITED else soft,
            "memory_swappiness": cgroupfs.number(folder + "/memory.swappiness"),
            "memory_oom_kill": None if stops is None else not stops}


def _endless(value: Optional[int]) -> Optional[int]:
    return UNLIMITED if value is not None and value >= cgroupfs.V1_ENDLESS else value


def _read_pids(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"pids_max": cgroupfs.number(folder + "/pids.max")}


def _read_io(folder: str, io_weight: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    if io_weight:
        weight = cgroupfs.number("%s/%s" % (folder, io_weight))
        found["io_weight"] = None if weight is None else weight_from(io_weight, weight)
        found["io_device_weights"] = tuple(
            (device, weight_from(io_weight, value))
            for device, value in _by_device("%s/%s_device" % (folder, io_weight)))
    rates: Dict[str, Dict[str, int]] = {}
    for file, field in THROTTLES:
        for device, value in _by_device("%s/%s" % (folder, file)):
            rates.setdefault(device, {})[field] = value
    found["io_limits"] = tuple(IoLimit(device, **rates[device]) for device in sorted(rates))
    return found


def _by_device(path: str) -> List[Tuple[str, int]]:
    rows = [row.split() for row in (cgroupfs.read_if_there(path) or "").splitlines()]
    return [(row[0], int(row[1])) for row in rows if len(row) == 2 and ":" in row[0] and row[1].isdigit()]


def _read_hugetlb(folder: str, _io_weight: str) -> Dict[str, Any]:
    sizes = sorted(name.split(".")[1] for name in os.listdir(folder)
                   if name.startswith("hugetlb.") and name.endswith(".limit_in_bytes") and ".rsvd." not in name)
    found = ((size, _endless(cgroupfs.number("%s/hugetlb.%s.limit_in_bytes" % (folder, size)))) for size in sizes)
    return {"hugetlb": tuple((size, UNLIMITED if limit is None else limit) for size, limit in found)}


def _read_network_class(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"network_class": cgroupfs.number(folder + "/net_cls.classid")}


def _read_network_priorities(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"network_priorities": tuple(sorted(cgroupfs.pairs(folder + "/net_prio.ifpriomap").items()))}


def _read_devices(folder: str, _io_weight: str) -> Dict[str, Any]:
    text = cgroupfs.read_if_there(folder + "/devices.list")
    return {} if text is None else {"devices": devices.from_v1(text)}


_READ: Mapping[str, Callable[[str, str], Dict[str, Any]]] = {
    "cpu": _read_cpu, "cpuset": _read_cpuset, "memory": _read_memory, "pids": _read_pids, "io": _read_io,
    "hugetlb": _read_hugetlb, "net_cls": _read_network_class, "net_prio": _read_network_priorities,
    "devices": _read_devices}
