# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group may use: one specification in the vocabulary of cgroup v2, and its form in OCI.

Sources: Documentation/admin-guide/cgroup-v2.rst; OCI runtime specification, C(config-linux.md),
"Control groups".
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import weights

UNLIMITED = -1
"""Stands for C(max)."""


class IoLimit(NamedTuple):
    """The most that a group may transfer from and to one block device; C(-1) is unlimited.

    Attributes:
        device: C(MAJ:MIN) of a whole disk.
        read_bps, write_bps: Bytes a second.
        read_iops, write_iops: Operations a second.
    """

    device: str
    read_bps: int = UNLIMITED
    write_bps: int = UNLIMITED
    read_iops: int = UNLIMITED
    write_iops: int = UNLIMITED


class DeviceRule(NamedTuple):
    """One rule on device nodes; of a list the last that matches decides, and what none matches is denied.

    Attributes:
        allow: The verdict.
        type: C(b), C(c), or C(a) for both.
        major, minor: Numbers, or C(None) for all.
        access: Some of C(rwm): read, write, mknod; in this order.
    """

    allow: bool
    type: str = "a"
    major: Optional[int] = None
    minor: Optional[int] = None
    access: str = "rwm"


class Limits(NamedTuple):
    """What a group may use; C(None) is "not said" when asked for, and "the host has none" when read.

    Attributes:
        cpu_quota: Microseconds of CPU time in each period; C(-1) unlimited. quota / period is the number of CPUs.
        cpu_period: Microseconds, 1000 to 1000000.
        cpu_burst: Microseconds of unused quota that may be saved up.
        cpu_weight: 1 to 10000; 100 is everybody's.
        cpu_shares: v1's own figure where C(cpu_weight) does not say it exactly; takes precedence on v1.
        cpu_idle: Whether it runs only when nobody else wants to.
        cpu_rt_runtime, cpu_rt_period: Microseconds of real-time scheduling in each period, v1 alone.
        cpuset_cpus, cpuset_mems: Lists such as C(0-2,4); empty text: as the parent.
        cpuset_partition: C(member), C(root) or C(isolated), v2 alone.
        memory_max, memory_high, memory_low, memory_min: Bytes; C(-1) unlimited.
        memory_swap_max: Bytes of swap beside the memory, not together with it; C(-1) unlimited.
        memory_swappiness: 0 to 100, v1 alone.
        memory_oom_kill: Whether the kernel may kill, v1 alone; v2 always may.
        memory_oom_group: Whether the kernel, if it kills, kills all of the group, v2 alone.
        pids_max: Processes and threads; C(-1) unlimited.
        io_weight: 1 to 10000; 100 is everybody's.
        blkio_weight: BFQ's or CFQ's own figure, 10 to 1000; takes precedence where these rule.
        io_device_weights: (C(MAJ:MIN), weight as C(io_weight)).
        io_limits: All devices that have a limit.
        hugetlb: (page size as in C(2MB), bytes).
        rdma: (device, handles, objects); C(-1) unlimited.
        misc: (resource, amount), such as C(sev); C(-1) unlimited.
        network_class, network_priorities: v1's net_cls and net_prio.
        devices: Rules in order.
        unified: Further (file, value) of v2, in order of the files.
    """

    cpu_quota: Optional[int] = None
    cpu_period: Optional[int] = None
    cpu_burst: Optional[int] = None
    cpu_weight: Optional[int] = None
    cpu_shares: Optional[int] = None
    cpu_idle: Optional[bool] = None
    cpu_rt_runtime: Optional[int] = None
    cpu_rt_period: Optional[int] = None
    cpuset_cpus: Optional[str] = None
    cpuset_mems: Optional[str] = None
    cpuset_partition: Optional[str] = None
    memory_max: Optional[int] = None
    memory_high: Optional[int] = None
    memory_low: Optional[int] = None
    memory_min: Optional[int] = None
    memory_swap_max: Optional[int] = None
    memory_swappiness: Optional[int] = None
    memory_oom_kill: Optional[bool] = None
    memory_oom_group: Optional[bool] = None
    pids_max: Optional[int] = None
    io_weight: Optional[int] = None
    blkio_weight: Optional[int] = None
    io_device_weights: Optional[Tuple[Tuple[str, int], ...]] = None
    io_limits: Optional[Tuple[IoLimit, ...]] = None
    hugetlb: Optional[Tuple[Tuple[str, int], ...]] = None
    rdma: Optional[Tuple[Tuple[str, int, int], ...]] = None
    misc: Optional[Tuple[Tuple[str, int], ...]] = None
    network_class: Optional[int] = None
    network_priorities: Optional[Tuple[Tuple[str, int], ...]] = None
    devices: Optional[Tuple[DeviceRule, ...]] = None
    unified: Optional[Tuple[Tuple[str, str], ...]] = None


NOTHING = Limits()
_ENDLESS = 2 ** 64 - 1
"""What says C(max) of huge pages in OCI, whose figure has no sign."""


def given(limits: Any) -> Dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in zip(limits._fields, limits) if value is not None}


def merged(current: Limits, wanted: Limits) -> Limits:
    """What holds after C(wanted) has been asked for."""
    return current._replace(**given(wanted))


_UNIFIED = {
    "memory.max": "memory_max", "memory.high": "memory_high", "memory.low": "memory_low", "memory.min": "memory_min",
    "memory.swap.max": "memory_swap_max", "pids.max": "pids_max", "cpu.weight": "cpu_weight",
    "cpu.max.burst": "cpu_burst", "cpuset.cpus": "cpuset_cpus", "cpuset.mems": "cpuset_mems",
    "cpuset.cpus.partition": "cpuset_partition", "memory.oom.group": "memory_oom_group", "cpu.idle": "cpu_idle",
}


OCI_KEYS = {
    "cpu_quota": "cpu.quota", "cpu_period": "cpu.period", "cpu_burst": "cpu.burst", "cpu_weight": "cpu.shares",
    "cpu_shares": "cpu.shares", "cpu_idle": "cpu.idle", "cpu_rt_runtime": "cpu.realtimeRuntime",
    "cpu_rt_period": "cpu.realtimePeriod", "cpuset_cpus": "cpu.cpus", "cpuset_mems": "cpu.mems", "memory_max": "memory.limit",
    "memory_swap_max": "memory.swap", "memory_low": "memory.reservation", "memory_swappiness": "memory.swappiness",
    "memory_oom_kill": "memory.disableOOMKiller", "pids_max": "pids.limit", "io_weight": "blockIO.weight",
    "blkio_weight": "blockIO.weight", "io_device_weights": "blockIO.weightDevice", "io_limits": "blockIO",
    "hugetlb": "hugepageLimits", "rdma": "rdma", "network_class": "network.classID",
    "network_priorities": "network.priorities", "devices": "devices", "unified": "unified"}
"""Where C(linux.resources) says each of the fields, for errors."""


def from_oci(resources: Mapping[str, Any]) -> Limits:
    """The limits that a C(linux.resources) object asks for.

    Raises:
        ValueError: A value is of the wrong type or form; the text names its key.
    """
    found: Dict[str, Any] = {}
    cpu = _part(resources, "cpu")
    for key, field in (("quota", "cpu_quota"), ("period", "cpu_period"), ("burst", "cpu_burst"),
                       ("realtimeRuntime", "cpu_rt_runtime"), ("realtimePeriod", "cpu_rt_period")):
        if cpu.get(key) or key == "burst" and cpu.get(key) is not None:
            found[field] = _limit(cpu[key])
    if cpu.get("shares"):
        found["cpu_weight"] = weights.cpu_weight(cpu["shares"])
        if weights.cpu_shares(found["cpu_weight"]) != cpu["shares"]:
            found["cpu_shares"] = cpu["shares"]
    if cpu.get("idle") is not None:
        found["cpu_idle"] = bool(cpu["idle"])
    for key, field in (("cpus", "cpuset_cpus"), ("mems", "cpuset_mems")):
        if cpu.get(key):
            found[field] = cpu[key]
    _memory_from_oci(_part(resources, "memory"), found)
    if _part(resources, "pids").get("limit"):
        found["pids_max"] = _limit(resources["pids"]["limit"])
    _io_from_oci(_part(resources, "blockIO"), found)
    if resources.get("hugepageLimits"):
        found["hugetlb"] = tuple((each["pageSize"], each["limit"] if each["limit"] < _ENDLESS else UNLIMITED)
                                 for each in resources["hugepageLimits"])
    if resources.get("rdma"):
        found["rdma"] = tuple((name, each.get("hcaHandles", UNLIMITED), each.get("hcaObjects", UNLIMITED))
                              for name, each in sorted(resources["rdma"].items()))
    network = _part(resources, "network")
    if network.get("classID") is not None:
        found["network_class"] = network["classID"]
    if network.get("priorities"):
        found["network_priorities"] = tuple((each["name"], each["priority"]) for each in network["priorities"])
    if resources.get("devices"):
        found["devices"] = tuple(_rule_from_oci(each) for each in resources["devices"])
    _unified_from_oci(_part(resources, "unified"), found)
    return Limits(**found)


def _part(resources: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = resources.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError("linux.resources.%s is no object" % key)
    return value


def _limit(value: int) -> int:
    return value if value >= 0 else UNLIMITED


def _memory_from_oci(memory: Mapping[str, Any], found: Dict[str, Any]) -> None:
    limit, swap = memory.get("limit") or None, memory.get("swap") or None
    if limit is not None:
        found["memory_max"] = _limit(limit)
    if swap is not None and swap < 0:
        found["memory_swap_max"] = UNLIMITED
    elif swap is not None:
        if limit is None or limit < 0:
            raise ValueError("linux.resources.memory.swap is memory and swap together: memory.limit must be said too")
        if swap < limit:
            raise ValueError("linux.resources.memory.swap (%d) is less than memory.limit (%d)" % (swap, limit))
        found["memory_swap_max"] = swap - limit
    if memory.get("reservation"):
        found["memory_low"] = _limit(memory["reservation"])
    if memory.get("swappiness") is not None:
        found["memory_swappiness"] = memory["swappiness"]
    if memory.get("disableOOMKiller"):
        found["memory_oom_kill"] = False


_THROTTLES = (("throttleReadBpsDevice", "read_bps"), ("throttleWriteBpsDevice", "write_bps"),
              ("throttleReadIOPSDevice", "read_iops"), ("throttleWriteIOPSDevice", "write_iops"))


def _io_from_oci(block: Mapping[str, Any], found: Dict[str, Any]) -> None:
    if block.get("weight"):
        found["io_weight"] = weights.io_weight(block["weight"])
        found["blkio_weight"] = block["weight"]
    if block.get("weightDevice"):
        found["io_device_weights"] = tuple(
            ("%d:%d" % (each["major"], each["minor"]), weights.io_weight(each["weight"]))
            for each in block["weightDevice"] if each.get("weight"))
    rates: Dict[str, Dict[str, int]] = {}
    for key, field in _THROTTLES:
        for each in block.get(key) or ():
            rates.setdefault("%d:%d" % (each["major"], each["minor"]), {})[field] = each["rate"] or UNLIMITED
    if rates:
        found["io_limits"] = tuple(IoLimit(device, **rates[device]) for device in sorted(rates))


def _rule_from_oci(rule: Mapping[str, Any]) -> DeviceRule:
    kind = rule.get("type") or "a"
    if kind not in ("a", "b", "c"):
        raise ValueError("linux.resources.devices: type %r is none of a, b, c" % kind)
    major, minor = (None if rule.get(key) in (None, -1) else rule[key] for key in ("major", "minor"))
    asked = rule.get("access") or "rwm"
    return DeviceRule(bool(rule["allow"]), kind, major, minor, "".join(each for each in "rwm" if each in asked))


def _unified_from_oci(unified: Mapping[str, str], found: Dict[str, Any]) -> None:
    others = []
    for key, text in sorted(unified.items()):
        value = text.strip()
        field = _UNIFIED.get(key)
        if field is not None:
            found[field] = (value if field.startswith("cpuset") else value == "1" if field in ("cpu_idle", "memory_oom_group")
                            else UNLIMITED if value == "max" else int(value))
        elif key == "cpu.max" and value:
            quota, _space, period = value.partition(" ")
            found["cpu_quota"] = UNLIMITED if quota == "max" else int(quota)
            if period:
                found["cpu_period"] = int(period)
        elif key == "misc.max":
            found["misc"] = tuple((name, UNLIMITED if most == "max" else int(most)) for name, most in
                                  (line.split() for line in value.splitlines()))
        elif key == "io.weight" and value.replace("default ", "").isdigit():
            found["io_weight"] = int(value.replace("default ", ""))
            found.pop("blkio_weight", None)
        elif "/" in key or key.startswith("cgroup."):
            raise ValueError("linux.resources.unified: %r is no file of a controller" % key)
        else:
            others.append((key, text))
    if others:
        found["unified"] = tuple(others)


def to_oci(limits: Limits) -> Dict[str, Any]:
    """These limits as a C(linux.resources) object, such that C(from_oci) gives them back.

    What OCI has no key for goes to C(unified), which other runtimes accept on cgroup v2 alone.
    """
    unified = dict(limits.unified or ())
    parts: Dict[str, Any] = {
        "cpu": {"quota": limits.cpu_quota, "period": limits.cpu_period, "burst": limits.cpu_burst,
                "shares": limits.cpu_shares or (limits.cpu_weight and weights.cpu_shares(limits.cpu_weight)),
                "idle": None if limits.cpu_idle is None else int(limits.cpu_idle),
                "realtimeRuntime": limits.cpu_rt_runtime, "realtimePeriod": limits.cpu_rt_period,
                "cpus": limits.cpuset_cpus, "mems": limits.cpuset_mems},
        "memory": {"limit": limits.memory_max, "swappiness": limits.memory_swappiness,
                   "reservation": limits.memory_low or None,
                   "disableOOMKiller": True if limits.memory_oom_kill is False else None},
        "pids": {"limit": limits.pids_max or None},
        "network": {"classID": limits.network_class,
                    "priorities": _list(("name", "priority"), limits.network_priorities)},
        "rdma": None if limits.rdma is None else {
            name: _said({"hcaHandles": handles if handles >= 0 else None,
                         "hcaObjects": objects if objects >= 0 else None})
            for name, handles, objects in limits.rdma},
        "hugepageLimits": _list(("pageSize", "limit"), limits.hugetlb and [
            (size, limit if limit >= 0 else _ENDLESS) for size, limit in limits.hugetlb]),
        "blockIO": _io_to_oci(limits),
        "devices": None if limits.devices is None else [_said(rule._asdict()) for rule in limits.devices],
    }
    swap = limits.memory_swap_max
    if swap == UNLIMITED:
        parts["memory"]["swap"] = UNLIMITED
    elif swap is not None and limits.memory_max is not None and limits.memory_max > 0:
        parts["memory"]["swap"] = limits.memory_max + swap
    elif swap is not None:
        unified["memory.swap.max"] = str(swap)
    for field, key in (("memory_high", "memory.high"), ("memory_min", "memory.min")):
        value = getattr(limits, field)
        if value is not None:
            unified[key] = "max" if value == UNLIMITED else str(value)
    for field, key in (("memory_low", "memory.low"), ("pids_max", "pids.max")):
        if getattr(limits, field) == 0:
            unified[key] = "0"  # in OCI's own keys 0 says nothing
    if limits.cpuset_partition is not None:
        unified["cpuset.cpus.partition"] = limits.cpuset_partition
    if limits.memory_oom_group is not None:
        unified["memory.oom.group"] = str(int(limits.memory_oom_group))
    if limits.misc:
        unified["misc.max"] = "\n".join("%s %s" % (name, "max" if most < 0 else most) for name, most in limits.misc)
    if limits.io_weight is not None and limits.blkio_weight is None:
        unified["io.weight"] = str(limits.io_weight)
    parts["unified"] = unified
    return {key: value for key, value in
            ((key, _said(value) if isinstance(value, dict) else value) for key, value in parts.items()) if value}


def _said(mapping: Dict[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}


def _list(keys: Tuple[str, ...], rows: Any) -> Optional[List[Dict[str, Any]]]:
    return None if rows is None else [dict(zip(keys, row)) for row in rows]


def _io_to_oci(limits: Limits) -> Dict[str, Any]:
    block: Dict[str, Any] = {"weight": limits.blkio_weight}
    if limits.io_device_weights is not None:
        block["weightDevice"] = [dict(_numbers(device), weight=weights.blkio_weight(weight))
                                 for device, weight in limits.io_device_weights]
    for key, field in _THROTTLES:
        rows = [dict(_numbers(limit.device), rate=getattr(limit, field))
                for limit in limits.io_limits or () if getattr(limit, field) != UNLIMITED]
        block[key] = rows or None
    return _said(block)


def _numbers(device: str) -> Dict[str, int]:
    major, minor = device.split(":")
    return {"major": int(major), "minor": int(minor)}
