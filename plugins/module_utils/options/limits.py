# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that limit what a group of processes may use; shared by all modules that make such groups."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Tuple

from .. import values
from ..option import CONTAINED, UNORDERED, Option

LEAST_MEMORY = 6 << 20
"""Below this an init cannot even start; Docker draws the same line."""


def cpus(value: Any) -> float:
    """A number of CPUs; C(-1) for C(max)."""
    if str(value).strip().lower() in ("max", "unlimited", "-1"):
        return values.UNLIMITED
    return values.cpus(value)


def memory(value: Any) -> int:
    """A limit that a process can live with."""
    number = values.size(value)
    if 0 <= number < LEAST_MEMORY:
        raise ValueError("is below 6 MiB, with which no process gets going")
    return number


def count(low: int) -> Callable[[Any], int]:
    """A parser of whole numbers from low on, or C(max)."""
    whole = values.integer(low, (1 << 62) - 1, also=(values.UNLIMITED,))

    def parse(value: Any) -> int:
        return whole("-1" if str(value).strip().lower() in ("max", "unlimited") else value)
    return parse


def _device(value: Any) -> str:
    text = str(value).strip()
    if re.match(r"^\d{1,4}:\d{1,7}$", text):
        return text
    if text.startswith("/"):
        return values.absolute_path(text)
    raise ValueError("is neither MAJ:MIN nor an absolute path")


def _io_limit(rows: Any) -> Any:
    for row in rows:
        if all(row[field] is None for field in ("read_bps", "write_bps", "read_iops", "write_iops")):
            raise ValueError("has no limit for the device %s" % row["device"])
    return rows


def _huge_pages(value: Any) -> Dict[str, int]:
    for page in value:
        if not re.match(r"^[1-9]\d{0,3}[KMG]B$", str(page)):
            raise ValueError("has '%s', which is no size of huge pages" % page)
    return {str(page): values.size(most) for page, most in value.items()}


def _amounts(value: Any) -> Dict[str, int]:
    return {values.name(key): count(0)(most) for key, most in value.items()}


def _rdma(value: Any) -> Dict[str, Dict[str, int]]:
    found = {}
    for device, row in value.items():
        if not isinstance(row, dict) or not row or set(row) - {"hca_handle", "hca_object"}:
            raise ValueError("has for '%s' something else than hca_handle and hca_object" % device)
        found[values.name(device)] = {key: count(0)(row.get(key, "max")) for key in ("hca_handle", "hca_object")}
    return found


def _unified(value: Any) -> Dict[str, str]:
    for file, content in value.items():
        if not re.match(r"^[a-z_]+(\.[a-zA-Z0-9_]+)+$", str(file)) or str(file).startswith("cgroup."):
            raise ValueError("has '%s', which is no file of a controller" % file)
        if isinstance(content, (dict, list)) or not str(content).strip():
            raise ValueError("has no text for '%s'" % file)
    return {str(file): str(content).strip() for file, content in value.items()}


_WEIGHTS: Tuple[Option, ...] = (
    Option("device", required=True, parse=_device, form="a path such as /dev/sda, or its numbers such as 8:0"),
    Option("weight", type="int", required=True, parse=values.integer(1, 10000), form="1 to 10000"),
)
_RATES: Tuple[Option, ...] = (
    Option("device", required=True, parse=_device, form="a path such as /dev/sda, or its numbers such as 8:0"),
    Option("read_bps", parse=values.size, form="a size such as 10M, or max"),
    Option("write_bps", parse=values.size, form="a size such as 10M, or max"),
    Option("read_iops", parse=count(1), form="a number of at least 1, or max"),
    Option("write_iops", parse=count(1), form="a number of at least 1, or max"),
)
_SIZE = "a size such as 512M, or max"

LIMITS: Tuple[Option, ...] = (
    Option("cpus", parse=cpus, form="a number such as 0.5, or max", read_from="cpu.max, cpu.cfs_quota_us"),
    Option("cpu_quota", parse=count(1000), form="at least 1000 microseconds, or max",
           read_from="cpu.max, cpu.cfs_quota_us"),
    Option("cpu_period", type="int", parse=values.integer(1000, 1000000), form="1000 to 1000000 microseconds",
           read_from="cpu.max, cpu.cfs_period_us"),
    Option("cpu_burst", type="int", parse=values.integer(0, (1 << 62) - 1), form="microseconds, at most the quota",
           read_from="cpu.max.burst, cpu.cfs_burst_us"),
    Option("cpu_weight", type="int", parse=values.integer(1, 10000), form="1 to 10000; 100 is the default of all",
           read_from="cpu.weight, cpu.shares"),
    Option("cpu_idle", type="bool", form="true or false", read_from="cpu.idle"),
    Option("cpu_rt_runtime", type="int", parse=values.integer(0, 1000000000), form="microseconds, at most cpu_rt_period",
           read_from="cpu.rt_runtime_us"),
    Option("cpu_rt_period", type="int", parse=values.integer(1, 1000000000), form="microseconds",
           read_from="cpu.rt_period_us"),
    Option("cpuset_cpus", parse=values.cpu_set, form="numbers and ranges such as 0-2,4", read_from="cpuset.cpus"),
    Option("cpuset_mems", parse=values.cpu_set, form="numbers and ranges such as 0", read_from="cpuset.mems"),
    Option("cpuset_partition", choices=("member", "root", "isolated"), form="member, root or isolated",
           read_from="cpuset.cpus.partition"),
    Option("memory_max", parse=memory, form="a size of at least 6M, or max", aliases=("memory",),
           read_from="memory.max, memory.limit_in_bytes"),
    Option("memory_high", parse=values.size, form=_SIZE, read_from="memory.high"),
    Option("memory_low", aliases=("memory_reservation",), parse=values.size, form="a size such as 64M",
           read_from="memory.low, memory.soft_limit_in_bytes"),
    Option("memory_min", parse=values.size, form="a size such as 64M", read_from="memory.min"),
    Option("memory_swap_max", parse=values.size, form=_SIZE,
           read_from="memory.swap.max, memory.memsw.limit_in_bytes"),
    Option("memory_swappiness", type="int", parse=values.integer(0, 100), form="0 to 100", read_from="memory.swappiness"),
    Option("memory_oom_kill", type="bool", form="true or false", read_from="memory.oom_control"),
    Option("memory_oom_group", type="bool", form="true or false", read_from="memory.oom.group"),
    Option("pids_max", parse=count(1), form="a number of at least 1, or max", aliases=("pids_limit",),
           read_from="pids.max"),
    Option("io_weight", type="int", parse=values.integer(1, 10000), form="1 to 10000; 100 is the default of all",
           read_from="io.weight, io.bfq.weight, blkio.bfq.weight"),
    Option("io_limits", type="list", elements="dict", options=_RATES, parse=_io_limit, compare=UNORDERED,
           form="for each device at least one of read_bps, write_bps, read_iops, write_iops",
           read_from="io.max, blkio.throttle.*_device"),
    Option("io_device_weights", type="list", elements="dict", options=_WEIGHTS, compare=UNORDERED,
           form="for each device its weight, 1 to 10000",
           read_from="io.weight, io.bfq.weight, blkio.bfq.weight_device"),
    Option("hugetlb", type="dict", parse=_huge_pages, compare=CONTAINED, form="for each size of page, such as 2MB, a size or max",
           read_from="hugetlb.*.max, hugetlb.*.limit_in_bytes"),
    Option("rdma", type="dict", parse=_rdma, compare=CONTAINED,
           form="for each device hca_handle, hca_object or both, numbers or max", read_from="rdma.max"),
    Option("misc", type="dict", parse=_amounts, compare=CONTAINED, form="for each resource, such as sev, a number or max",
           read_from="misc.max"),
    Option("unified", aliases=("cgroup_conf",), type="dict", parse=_unified, compare=CONTAINED,
           form="for each file of cgroup v2 its content, as text",
           read_from="the file of that name"),
)
"""All of them take effect at once and are read back from the kernel."""


def device_rules(rows: Any) -> Any:
    """Rules whose access is in the order C(rwm)."""
    for row in rows:
        access = str(row["access"])
        if not access or set(access) - set("rwm"):
            raise ValueError("has an access '%s' with other letters than r, w, m" % access)
        row["access"] = "".join(each for each in "rwm" if each in access)
    return rows


RULE: Tuple[Option, ...] = (
    Option("allow", type="bool", default=True),
    Option("type", default="a", choices=("a", "b", "c")),
    Option("major", type="int", parse=values.integer(0, 4095), form="0 to 4095"),
    Option("minor", type="int", parse=values.integer(0, 1048575), form="0 to 1048575"),
    Option("access", default="rwm"),
)
