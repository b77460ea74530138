# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroup v2: limits to file writes and back.

Source: Documentation/admin-guide/cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping

from ..kernel import cgroupfs
from . import devices, weights
from .limits import UNLIMITED, IoLimit, Limits
from .write import Write

_MEMORY = (("memory_min", "memory.min"), ("memory_low", "memory.low"), ("memory_high", "memory.high"),
           ("memory_swap_max", "memory.swap.max"), ("memory_max", "memory.max"), ("memory_oom_group", "memory.oom.group"))
_RATES = (("rbps", "read_bps"), ("wbps", "write_bps"), ("riops", "read_iops"), ("wiops", "write_iops"))


def render(controller: str, wanted: Limits, now: Limits, io_weight: str, bfq: bool) -> List[Write]:
    """The writes for one controller that lives in v2; device rules are no file and not among them."""
    if controller == "io":
        writes = _io(wanted, now, io_weight)
        if bfq and any(write.file == io_weight and ":" not in write.value for write in writes):
            value = wanted.blkio_weight or weights.bfq_weight(wanted.io_weight or 100)
            writes.insert(1, Write("io", "io.bfq.weight", str(value), "io_weight"))
        return writes
    step = _RENDER.get(controller)
    return step(wanted, now) if step else []


def _text(value: int) -> str:
    return "max" if value < 0 else str(value)


def _simple(controller: str, field: str, file: str, wanted: Limits, now: Limits) -> List[Write]:
    value = getattr(wanted, field)
    if value is None or value == getattr(now, field):
        return []
    return [Write(controller, file, value if isinstance(value, str) else _text(int(value)), field)]


def _cpu(wanted: Limits, now: Limits) -> List[Write]:
    writes = _simple("cpu", "cpu_idle", "cpu.idle", wanted, now)
    if not now.cpu_idle:
        writes = _simple("cpu", "cpu_weight", "cpu.weight", wanted, now) + writes
    elif wanted.cpu_idle is False:  # an idle group has no weight, and refuses to be given one
        writes += _simple("cpu", "cpu_weight", "cpu.weight", wanted, now)
    quota = now.cpu_quota if wanted.cpu_quota is None else wanted.cpu_quota
    period = now.cpu_period if wanted.cpu_period is None else wanted.cpu_period
    burst = _simple("cpu", "cpu_burst", "cpu.max.burst", wanted, now)
    less = bool(burst) and wanted.cpu_burst is not None and wanted.cpu_burst < (now.cpu_burst or 0)
    if less:  # a burst must not pass the quota
        writes += burst
    if (quota, period) != (now.cpu_quota, now.cpu_period):
        value = "%s %d" % (_text(UNLIMITED if quota is None else quota), period or 100000)
        writes.append(Write("cpu", "cpu.max", value, "cpu_period" if wanted.cpu_quota is None else "cpu_quota"))
    return writes if less else writes + burst


def _cpuset(wanted: Limits, now: Limits) -> List[Write]:
    # Empty text stands for "as the parent"; a write of nothing would not reach the kernel.
    sets = [each._replace(value=each.value or "\n") for each in
            _simple("cpuset", "cpuset_mems", "cpuset.mems", wanted, now)
            + _simple("cpuset", "cpuset_cpus", "cpuset.cpus", wanted, now)]
    partition = _simple("cpuset", "cpuset_partition", "cpuset.cpus.partition", wanted, now)
    return partition + sets if wanted.cpuset_partition == "member" else sets + partition


def _memory(wanted: Limits, now: Limits) -> List[Write]:
    return [write for field, file in _MEMORY for write in _simple("memory", field, file, wanted, now)]


def _pids(wanted: Limits, now: Limits) -> List[Write]:
    return _simple("pids", "pids_max", "pids.max", wanted, now)


def weight_to(file: str, weight: int) -> int:
    """An I/O weight in the scale of the file that holds it."""
    if file.endswith("bfq.weight"):
        return weights.bfq_weight(weight)
    return weights.blkio_weight(weight) if file == "blkio.weight" else weight


def device_weight(file: str, wanted: Limits, weight: int) -> int:
    """The weight of one device in the scale of the file that holds it: BFQ's own figure stays what C(blkio_weight) is beside."""
    if file.endswith("bfq.weight") and wanted.blkio_weight is not None:
        return weights.blkio_weight(weight)
    return weight_to(file, weight)


def weight_from(file: str, value: int) -> int:
    """The I/O weight that a file's figure stands for."""
    if file.endswith("bfq.weight"):
        return weights.io_weight_of_bfq(value)
    return weights.io_weight(value) if file == "blkio.weight" else value


def _io(wanted: Limits, now: Limits, io_weight: str) -> List[Write]:
    writes = []
    if io_weight and (wanted.io_weight is not None or wanted.blkio_weight is not None):
        value = wanted.blkio_weight if wanted.blkio_weight is not None and io_weight == "io.bfq.weight" \
            else weight_to(io_weight, wanted.io_weight or 100)
        if now.io_weight is None or weight_to(io_weight, now.io_weight) != value:
            writes.append(Write("io", io_weight, "default %d" % value if io_weight == "io.weight" else str(value),
                                "io_weight"))
    if io_weight and wanted.io_device_weights is not None:
        before = dict(now.io_device_weights or ())
        for device, weight in wanted.io_device_weights:
            value = device_weight(io_weight, wanted, weight)
            if device not in before or weight_to(io_weight, before.pop(device)) != value:
                writes.append(Write("io", io_weight, "%s %d" % (device, value), "io_device_weights"))
        writes += [Write("io", io_weight, "%s default" % device, "io_device_weights") for device in sorted(before)]
    if wanted.io_limits is not None:
        known = {limit.device: limit for limit in now.io_limits or ()}
        for limit in list(wanted.io_limits):
            if known.pop(limit.device, IoLimit(limit.device)) != limit:
                writes.append(_rates(limit))
        writes += [_rates(IoLimit(device)) for device in sorted(known)]
    return writes


def _rates(limit: IoLimit) -> Write:
    return Write("io", "io.max", " ".join([limit.device] + ["%s=%s" % (key, _text(getattr(limit, field)))
                                                            for key, field in _RATES]), "io_limits")


def _hugetlb(wanted: Limits, now: Limits) -> List[Write]:
    before = dict(now.hugetlb or ())
    # What is reserved is limited as what is used, where the kernel counts it (runtime-spec config-linux.md, Huge page limits).
    return [Write("hugetlb", "hugetlb.%s%s.max" % (size, kind), _text(limit), "hugetlb", bool(kind))
            for size, limit in wanted.hugetlb or () if before.get(size) != limit for kind in ("", ".rsvd")]


def _rdma(wanted: Limits, now: Limits) -> List[Write]:
    return [Write("rdma", "rdma.max", "%s hca_handle=%s hca_object=%s" % (row[0], _text(row[1]), _text(row[2])), "rdma")
            for row in wanted.rdma or () if row not in (now.rdma or ())]


def _misc(wanted: Limits, now: Limits) -> List[Write]:
    before = dict(now.misc or ())
    return [Write("misc", "misc.max", "%s %s" % (name, _text(most)), "misc")
            for name, most in wanted.misc or () if before.get(name) != most]


_RENDER: Mapping[str, Callable[[Limits, Limits], List[Write]]] = {
    "cpu": _cpu, "cpuset": _cpuset, "memory": _memory, "pids": _pids, "hugetlb": _hugetlb,
    "rdma": _rdma, "misc": _misc}


def read(controller: str, folder: str, io_weight: str) -> Dict[str, Any]:
    """The fields that one controller that lives in v2 tells, from the group's folder."""
    step = _READ.get(controller)
    return step(folder, io_weight) if step else {}


def _read_cpu(folder: str, _io_weight: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {"cpu_burst": cgroupfs.number(folder + "/cpu.max.burst")}
    bandwidth = cgroupfs.words(folder + "/cpu.max")
    if len(bandwidth) == 2:
        found["cpu_quota"] = UNLIMITED if bandwidth[0] == "max" else int(bandwidth[0])
        found["cpu_period"] = int(bandwidth[1])
    idle = cgroupfs.number(folder + "/cpu.idle")
    found["cpu_idle"] = None if idle is None else bool(idle)
    found["cpu_weight"] = None if idle else cgroupfs.number(folder + "/cpu.weight")  # an idle group has none
    return found


def _read_cpuset(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"cpuset_cpus": cgroupfs.read_if_there(folder + "/cpuset.cpus"),
            "cpuset_mems": cgroupfs.read_if_there(folder + "/cpuset.mems"),
            "cpuset_partition": cgroupfs.read_if_there(folder + "/cpuset.cpus.partition")}


def _read_memory(folder: str, _io_weight: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {field: cgroupfs.number("%s/%s" % (folder, file)) for field, file in _MEMORY}
    if found["memory_oom_group"] is not None:
        found["memory_oom_group"] = bool(found["memory_oom_group"])
    return found


def _read_pids(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"pids_max": cgroupfs.number(folder + "/pids.max")}


def _read_io(folder: str, io_weight: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    if io_weight:
        rows = [row.split() for row in (cgroupfs.read_if_there("%s/%s" % (folder, io_weight)) or "").splitlines()]
        per_device = [(row[0], weight_from(io_weight, int(row[1]))) for row in rows if len(row) == 2 and ":" in row[0]]
        general = [int(row[-1]) for row in rows if row and ":" not in row[0]]
        found["io_weight"] = weight_from(io_weight, general[0]) if general else None
        found["io_device_weights"] = tuple(per_device)
    limits = []
    for device, rates in sorted(cgroupfs.nested(folder + "/io.max").items()):
        values = {field: UNLIMITED if rates.get(key, "max") == "max" else int(rates[key]) for key, field in _RATES}
        limits.append(IoLimit(device, **values))
    found["io_limits"] = tuple(limit for limit in limits if limit != IoLimit(limit.device))
    return found


def _read_hugetlb(folder: str, _io_weight: str) -> Dict[str, Any]:
    sizes = sorted(name.split(".")[1] for name in os.listdir(folder)
                   if name.startswith("hugetlb.") and name.endswith(".max") and ".rsvd." not in name)
    found = ((size, cgroupfs.number("%s/hugetlb.%s.max" % (folder, size))) for size in sizes)
    return {"hugetlb": tuple((size, UNLIMITED if limit is None else limit) for size, limit in found)}


def _read_rdma(folder: str, _io_weight: str) -> Dict[str, Any]:
    def count(text: str) -> int:
        return UNLIMITED if text == "max" else int(text)
    return {"rdma": tuple((device, count(each.get("hca_handle", "max")), count(each.get("hca_object", "max")))
                          for device, each in sorted(cgroupfs.nested(folder + "/rdma.max").items()))}


def _read_misc(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"misc": tuple(sorted(cgroupfs.pairs(folder + "/misc.max").items()))}


def _read_devices(folder: str, _io_weight: str) -> Dict[str, Any]:
    return {"devices": devices.from_v2(folder)}


_READ: Mapping[str, Callable[[str, str], Dict[str, Any]]] = {
    "cpu": _read_cpu, "cpuset": _read_cpuset, "memory": _read_memory, "pids": _read_pids, "io": _read_io,
    "hugetlb": _read_hugetlb, "rdma": _read_rdma, "misc": _read_misc, "devices": _read_devices}
