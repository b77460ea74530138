# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group may use in the end: its own limits and those of all groups above it, the least of each."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ..kernel import cgroupfs
from .hierarchy import Hierarchies, ancestors, discover, folder

UNLIMITED = -1
Known = Dict[Tuple[str, str], Optional[float]]
"""What has been read already, by limit and group; one for many groups saves reading those above them again."""


def effective(path: str, known: Optional[Known] = None) -> Dict[str, Dict[str, Any]]:
    """The limits that hold for a group by itself or by a group above.

    Args:
        path: The group.
        known: Kept between calls that belong together.

    Returns: Option to C(value) (C(-1): none) and C(cgroup), the group that it comes from (C(None): none). CPUs and
        memory nodes are what the kernel grants. What this kernel does not limit is left out.
    """
    hierarchies = discover()
    memory = {} if known is None else known
    found: Dict[str, Dict[str, Any]] = {}
    for option, (controller, read) in _LEAST.items():
        version = hierarchies.version(controller)
        if not version:
            continue
        least: Tuple[float, Optional[str]] = (UNLIMITED, None)
        told = False
        for each in ancestors(path) + [path]:
            key = (option, each)
            if key not in memory or each == path:
                memory[key] = read(folder(hierarchies.root(controller) or "", each), version)
            value = memory[key]
            told = told or value is not None
            if value is not None and value >= 0 and (least[0] < 0 or value < least[0]):
                least = (value, each)
        if told:
            found[option] = {"value": least[0], "cgroup": least[1]}
    found.update(_granted(hierarchies, path))
    return found


def _cpus(at: str, version: int) -> Optional[float]:
    if version == 1:
        quota, period = cgroupfs.number(at + "/cpu.cfs_quota_us"), cgroupfs.number(at + "/cpu.cfs_period_us")
    else:
        words = cgroupfs.words(at + "/cpu.max")
        quota, period = (UNLIMITED if words[0] == "max" else int(words[0]), int(words[1])) if len(words) == 2 else (None, None)
    if quota is None or not period:
        return None
    return UNLIMITED if quota < 0 else quota / period


def _file(v1: Optional[str], v2: str) -> Callable[[str, int], Optional[float]]:
    def read(at: str, version: int) -> Optional[float]:
        file = v1 if version == 1 else v2
        value = cgroupfs.number("%s/%s" % (at, file)) if file else None
        return UNLIMITED if value is not None and value >= cgroupfs.V1_ENDLESS else value
    return read


_LEAST: Mapping[str, Tuple[str, Callable[[str, int], Optional[float]]]] = {
    "cpus": ("cpu", _cpus),
    "memory_max": ("memory", _file("memory.limit_in_bytes", "memory.max")),
    "memory_high": ("memory", _file(None, "memory.high")),
    "memory_swap_max": ("memory", _file(None, "memory.swap.max")),
    "pids_max": ("pids", _file("pids.max", "pids.max")),
}


def _granted(hierarchies: Hierarchies, path: str) -> Dict[str, Dict[str, Any]]:
    root, version = hierarchies.root("cpuset"), hierarchies.version("cpuset")
    found: Dict[str, Dict[str, Any]] = {}
    for option, kind in (("cpuset_cpus", "cpus"), ("cpuset_mems", "mems")):
        file = "cpuset.effective_" + kind if version == 1 else "cpuset.%s.effective" % kind
        for each in [path] + ancestors(path)[::-1] + ["/"] if root else ():
            at = folder(root or "", each).rstrip("/")
            text = cgroupfs.read_if_there("%s/%s" % (at, file)) or cgroupfs.read_if_there("%s/cpuset.%s" % (at, kind))
            if text:
                found[option] = {"value": text, "cgroup": each}
                break
    return found
