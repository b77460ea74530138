# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits as an ordered list of file writes; a pure function for both versions.

The order matters where the kernel relates two files: it never lets a value pass a
state that it refuses or that is wider than both the old and the new one.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..kernel import cgroupfs
from . import v1, v2
from .limits import Limits
from .write import Write


class Layout(NamedTuple):
    """What rendering has to know of a host.

    Attributes:
        versions: Controller to 1 or 2; missing where the host has it not.
        io_weight: The file that holds the I/O weight: C(io.weight), C(io.bfq.weight), C(blkio.weight),
            C(blkio.bfq.weight), or empty.
        page: Bytes of a page of memory.
        memsw: Whether v1 accounts swap.
        bfq: Whether v2 has C(io.bfq.weight) beside C(io.weight); each rules the disks of its own kind.
    """

    versions: Mapping[str, int]
    io_weight: str = "io.weight"
    page: int = 4096
    memsw: bool = True
    bfq: bool = False


def render(layout: Layout, wanted: Limits, current: Optional[Limits] = None) -> List[Write]:
    """The writes that bring a group to the wanted limits, in order.

    Args:
        layout: Of the host.
        wanted: What is asked for; C(None) fields are left as they are.
        current: What holds now; C(None) for a group just made.
    """
    now = current if current is not None else FRESH
    writes: List[Write] = []
    for controller in ORDER:
        version = layout.versions.get(controller, 0)
        if version == 1 and controller not in V1_SAME:
            writes += v1.render(controller, wanted, now, layout.io_weight, layout.memsw)
        elif version:
            writes += v2.render(controller, wanted, now, layout.io_weight, layout.bfq)
    if wanted.unified is not None:
        known = dict(now.unified or ())
        writes += [Write(file.split(".")[0], file, line, "unified") for file, value in wanted.unified
                   if known.get(file) != value for line in value.splitlines()]
    return writes


ORDER = ("cpuset", "cpu", "memory", "pids", "io", "hugetlb", "rdma", "misc", "net_cls", "net_prio", "devices")
V1_SAME = ("rdma", "misc")
"""The controllers that have the same files in v1 as in v2."""
FRESH = Limits(cpu_quota=-1, cpu_period=100000, cpu_burst=0, cpu_weight=100, cpu_idle=False, cpu_rt_runtime=0,
               cpu_rt_period=1000000, cpuset_partition="member", memory_max=-1, memory_high=-1, memory_low=0,
               memory_min=0, memory_swap_max=-1, memory_oom_kill=True, memory_oom_group=False, pids_max=-1,
               io_device_weights=(), io_limits=())
"""What the kernel gives a new group."""


def rounded(layout: Layout, limits: Limits) -> Limits:
    """These limits as the kernel will tell them when asked: memory in whole pages, weights through v1's scales."""
    changed: Dict[str, Any] = {}
    for field in ("memory_max", "memory_high", "memory_low", "memory_min", "memory_swap_max"):
        value = getattr(limits, field)
        if value is not None and value > 0:
            changed[field] = value // layout.page * layout.page if value < cgroupfs.V1_ENDLESS else -1
    if limits.io_weight is not None:
        changed["io_weight"] = v2.weight_from(layout.io_weight, v2.weight_to(layout.io_weight, limits.io_weight))
    if limits.io_device_weights is not None:
        changed["io_device_weights"] = tuple((device, v2.weight_from(layout.io_weight, v2.device_weight(layout.io_weight, limits, weight)))
                                             for device, weight in limits.io_device_weights)
    if limits.hugetlb is not None:
        changed["hugetlb"] = tuple((size, most if most < 0 else most // page_size(size) * page_size(size))
                                   for size, most in limits.hugetlb)
    if limits.cpu_shares is not None and layout.versions.get("cpu") == 2:
        changed["cpu_shares"] = None
    return limits._replace(**changed)


def page_size(name: str) -> int:
    """Bytes of a huge page by its name in the files of the controller, such as C(2MB)."""
    return int(name[:-2]) << {"K": 10, "M": 20, "G": 30}[name[-2]]
