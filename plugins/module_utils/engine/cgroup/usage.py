# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group has used, in the same units from v1 and v2. C(None): this kernel does not tell."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from ..errors import NotFound
from ..kernel import cgroupfs
from .hierarchy import Hierarchies, discover, folder


def usage(path: str) -> Dict[str, Any]:
    """CPU time, memory, processes, block I/O and pressure of a group with all below it.

    Returns: C(cpu), C(memory), C(pids), C(io), C(pressure); times in nanoseconds but where the name says otherwise, amounts
        in bytes. C(io) is by C(MAJ:MIN), C(pressure) by C(cpu), C(memory), C(io).

    Raises:
        NotFound: There is no such group.
    """
    hierarchies = discover()
    found = {"cpu": _cpu(hierarchies, path), "memory": _memory(hierarchies, path), "pids": _pids(hierarchies, path),
             "io": _io(hierarchies, path), "pressure": _pressure(hierarchies, path)}
    if all(value is None for value in found["cpu"].values()) and found["pids"]["current"] is None \
            and found["memory"]["current"] is None:
        raise NotFound("there is no cgroup %s" % path, "Create it first")
    return found


def _at(hierarchies: Hierarchies, controller: str, path: str) -> Tuple[int, str]:
    root = hierarchies.root(controller)
    return hierarchies.version(controller), folder(root, path) if root else ""


def split(total: int, user: int, system: int) -> Tuple[int, int]:
    """The total shared out in the proportion of user to system, so that both add up to it.

    The kernel counts the total exactly and the two in samples; it scales in the same way
    wherever it tells both (C(cputime_adjust)).
    """
    if user + system == 0:
        return total, 0
    of_user = total * user // (user + system)
    return of_user, total - of_user


def _cpu(hierarchies: Hierarchies, path: str) -> Dict[str, Optional[int]]:
    found: Dict[str, Optional[int]] = dict.fromkeys((
        "usage_ns", "user_ns", "system_ns", "periods", "throttled_periods", "throttled_ns", "bursts", "burst_ns"))
    version, at = _at(hierarchies, "cpu", path)
    throttling = cgroupfs.pairs(at + "/cpu.stat") if version else {}
    found["periods"] = throttling.get("nr_periods")
    found["throttled_periods"] = throttling.get("nr_throttled")
    found["bursts"] = throttling.get("nr_bursts")
    if version == 1:
        found["throttled_ns"], found["burst_ns"] = throttling.get("throttled_time"), throttling.get("burst_time")
    elif version == 2:
        for key, source in (("throttled_ns", "throttled_usec"), ("burst_ns", "burst_usec")):
            found[key] = throttling[source] * 1000 if source in throttling else None
    accounting = hierarchies.v1.get("cpuacct")
    if accounting:
        at = folder(accounting, path)
        total = cgroupfs.number(at + "/cpuacct.usage")
        user, system = cgroupfs.number(at + "/cpuacct.usage_user"), cgroupfs.number(at + "/cpuacct.usage_sys")
        if total is not None:
            found["usage_ns"] = total
            found["user_ns"], found["system_ns"] = split(total, user or 0, system or 0)
    elif hierarchies.v2:  # cpu.stat tells the times with or without the controller
        times = cgroupfs.pairs(folder(hierarchies.v2, path) + "/cpu.stat")
        for key, source in (("usage_ns", "usage_usec"), ("user_ns", "user_usec"), ("system_ns", "system_usec")):
            found[key] = times[source] * 1000 if source in times else None
    return found


def _memory(hierarchies: Hierarchies, path: str) -> Dict[str, Any]:
    version, at = _at(hierarchies, "memory", path)
    found: Dict[str, Any] = dict.fromkeys(("current", "peak", "working_set", "swap_current", "reclaimable", "anon", "file",
                                           "kernel"))
    events: Dict[str, Optional[int]] = dict.fromkeys(("low", "high", "max", "oom", "oom_kill"))
    found["events"] = events
    if version == 0:
        return found
    stat = cgroupfs.pairs(at + "/memory.stat")
    if version == 1:
        found["current"] = cgroupfs.number(at + "/memory.usage_in_bytes")
        found["peak"] = cgroupfs.number(at + "/memory.max_usage_in_bytes")
        found["swap_current"] = stat.get("total_swap")  # only where swap is accounted for
        found["kernel"] = cgroupfs.number(at + "/memory.kmem.usage_in_bytes")
        found["anon"], found["file"] = stat.get("total_rss"), stat.get("total_cache")
        events["max"] = cgroupfs.number(at + "/memory.failcnt")
        events["oom_kill"] = cgroupfs.pairs(at + "/memory.oom_control").get("oom_kill")
        prefix, slab = "total_", 0
    else:
        found["current"] = cgroupfs.number(at + "/memory.current")
        found["peak"] = cgroupfs.number(at + "/memory.peak")
        found["swap_current"] = cgroupfs.number(at + "/memory.swap.current")
        for key in ("anon", "file", "kernel"):
            found[key] = stat.get(key)
        events.update({key: value for key, value in cgroupfs.pairs(at + "/memory.events").items() if key in events})
        prefix, slab = "", stat.get("slab_reclaimable", 0)
    if stat and found["current"] is not None:
        cache = stat.get(prefix + "inactive_file", 0) + stat.get(prefix + "active_file", 0) + slab
        found["reclaimable"] = min(cache, found["current"])
        # As the kubelet and Docker count it: what is not likely to be given back soon.
        found["working_set"] = max(found["current"] - stat.get(prefix + "inactive_file", 0), 0)
    return found


def memory_stat(path: str) -> Dict[str, int]:
    """The kernel's own counters of memory.stat, by their names in cgroups(7) v1 or v2."""
    version, at = _at(discover(), "memory", path)
    return cgroupfs.pairs(at + "/memory.stat") if version else {}


def _pids(hierarchies: Hierarchies, path: str) -> Dict[str, Any]:
    version, at = _at(hierarchies, "pids", path)
    if not version:
        return {"current": None, "peak": None, "events": {"max": None}}
    return {"current": cgroupfs.number(at + "/pids.current"), "peak": cgroupfs.number(at + "/pids.peak"),
            "events": {"max": cgroupfs.pairs(at + "/pids.events").get("max")}}


def _io(hierarchies: Hierarchies, path: str) -> Dict[str, Dict[str, int]]:
    version, at = _at(hierarchies, "io", path)
    found: Dict[str, Dict[str, int]] = {}
    if version == 2:
        for device, row in cgroupfs.nested(at + "/io.stat").items():
            counts = {name: int(row[key]) for name, key in (("read_bytes", "rbytes"), ("write_bytes", "wbytes"),
                                                            ("read_operations", "rios"), ("write_operations", "wios"))
                      if key in row}
            if any(counts.values()):
                found[device] = counts
    elif version == 1:
        for file, suffix in (("blkio.throttle.io_service_bytes", "bytes"),
                             ("blkio.throttle.io_serviced", "operations")):
            text = cgroupfs.read_if_there("%s/%s_recursive" % (at, file)) \
                or cgroupfs.read_if_there("%s/%s" % (at, file)) or ""
            for line in text.splitlines():
                fields = line.split()
                if len(fields) == 3 and fields[1] in ("Read", "Write"):
                    row_ = found.setdefault(fields[0], dict.fromkeys(
                        ("read_bytes", "write_bytes", "read_operations", "write_operations"), 0))
                    row_["%s_%s" % (fields[1].lower(), suffix)] += int(fields[2])
    return found


def _pressure(hierarchies: Hierarchies, path: str) -> Dict[str, Any]:
    """v2 has the files in every group, with or without the controllers."""
    at = folder(hierarchies.v2, path) if hierarchies.v2 else ""
    return {what: cgroupfs.pressure("%s/%s.pressure" % (at, what)) if at else None for what in ("cpu", "memory", "io")}


def oom_kills(path: str) -> int:
    """How many processes of the group the kernel has killed for want of memory; 0 where it does not tell."""
    version, at = _at(discover(), "memory", path)
    file = {1: "/memory.oom_control", 2: "/memory.events"}.get(version)
    return cgroupfs.pairs(at + file).get("oom_kill", 0) if file else 0


def memory_in_use(path: str) -> Optional[Tuple[int, int]]:
    """(bytes in use, of these the bytes that the kernel can give back at once), or C(None) where it does not tell."""
    memory = _memory(discover(), path)
    if memory["current"] is None:
        return None
    return memory["current"], memory["reclaimable"] or 0
