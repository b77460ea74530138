# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers use: read for many at once, turned into rates, and put into words for people and for Prometheus."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..cgroup import effective, usage
from ..errors import NotFound
from ..instance import Instance
from ..kernel.processes import age
from . import cgroups, records
from . import status as states

_COUNTERS = (("rx_bytes", 0), ("rx_packets", 1), ("rx_errors", 2), ("rx_dropped", 3),
             ("tx_bytes", 8), ("tx_packets", 9), ("tx_errors", 10), ("tx_dropped", 11))
"""Columns of C(/proc/PID/net/dev) (proc_pid_net(5))."""


class Sample(NamedTuple):
    """What one container used at one moment.

    Attributes:
        name, status, image, id: The container's.
        labels: Its labels.
        cgroup: Its group's path.
        pid: Its first process; C(None) where it does not run.
        started: When, seconds since the epoch; 0 where it does not run.
        age: Seconds since then, whatever has become of the clock meanwhile.
        restarts: How often its policy has started it.
        at: When this was read, nanoseconds of a clock that only goes forward.
        usage: As C(cgroup.usage); C(None) where it does not run.
        network: Interface to counters; C(None) where it has no network of its own.
        limits: As C(cgroup.effective).
    """

    name: str
    status: str
    image: str
    id: str
    labels: Mapping[str, str]
    cgroup: str
    pid: Optional[int] = None
    started: float = 0.0
    age: float = 0.0
    restarts: int = 0
    at: int = 0
    usage: Optional[Dict[str, Any]] = None
    network: Optional[Dict[str, Dict[str, int]]] = None
    limits: Mapping[str, Dict[str, Any]] = {}


def samples(instance: Instance, names: Sequence[str]) -> List[Sample]:
    """All of these containers at this moment; those that are gone are left out."""
    known: effective.Known = {}
    found = (sample(instance, name, known) for name in names)
    return [each for each in found if each is not None]


def sample(instance: Instance, name: str, known: Optional[effective.Known] = None) -> Optional[Sample]:
    """One container at this moment; C(None) where there is none."""
    record = records.read(instance, name)
    if record is None:
        return None
    live, last = records.read_live(instance, name), records.read_status(instance, name)
    status = states.status(instance, name, record, live)
    found = Sample(record.shown, status, record.image, record.id, record.options.get("labels") or {},
                   cgroups.path(instance, name, record.options),
                   restarts=last.restarts, at=time.monotonic_ns())
    if status not in (states.RUNNING, states.PAUSED) or live.init is None:
        return found
    try:
        used = usage.usage(found.cgroup)
    except NotFound:  # it has ended meanwhile
        return found
    own = record.options.get("network_mode") != "host" and not str(record.options.get("network_mode")).startswith(
        ("container:", "ns:"))
    return found._replace(pid=live.init.pid, started=seconds(last.started_at), age=age(live.init), usage=used,
                          network=interfaces(live.init.pid) if own else None,
                          limits=effective.effective(found.cgroup, known))


def seconds(timestamp: Optional[str]) -> float:
    """Seconds since the epoch from RFC 3339 in UTC; 0 where there is none."""
    text = timestamp or ""
    try:  # by hand: what parses dates takes longer to load than all else here
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        clock = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + float(text[17:].rstrip("Z"))
    except ValueError:
        return 0.0
    shifted, era = (month + 9) % 12, year - (month <= 2)  # the year begins in March, so that its last day is the odd one
    days = 365 * era + era // 4 - era // 100 + era // 400 + (153 * shifted + 2) // 5 + day - 1 - 719468
    return days * 86400 + clock


def interfaces(pid: int) -> Optional[Dict[str, Dict[str, int]]]:
    """The counters of the links in a process's network namespace, without the loopback's."""
    try:
        with open("/proc/%d/net/dev" % pid, encoding="ascii", errors="replace") as stream:
            rows = [line.split(":", 1) for line in stream if ":" in line]
    except OSError:
        return None
    found = {}
    for name, counters in rows:
        columns = counters.split()
        if name.strip() != "lo":
            found[name.strip()] = {key: int(columns[column]) for key, column in _COUNTERS}
    return found


def rates(now: Sample, before: Optional[Sample] = None) -> Dict[str, Optional[float]]:
    """What follows from the counters: C(cpu_percent) (100 is one CPU) and bytes a second; a pure function.

    Args:
        now: The later sample.
        before: An earlier one of the same run; without it, the mean since the container was started.
    """
    keys = ("cpu_percent", "throttled_percent", "read_bps", "write_bps", "rx_bps", "tx_bps")
    if now.usage is None:
        return dict.fromkeys(keys)
    totals = _totals(now)
    if before is not None and before.usage is not None and before.pid == now.pid and now.at > before.at:
        earlier = _totals(before)
        elapsed = (now.at - before.at) / 1e9
    else:
        earlier, elapsed = {}, now.age
    found: Dict[str, Optional[float]] = {}
    for key, counter, scale in (("cpu_percent", "cpu", 1e-7), ("read_bps", "read", 1), ("write_bps", "write", 1),
                                ("rx_bps", "rx", 1), ("tx_bps", "tx", 1)):
        total = totals[counter]
        found[key] = None if total is None or elapsed <= 0 else round(
            max(total - (earlier.get(counter) or 0), 0) * scale / elapsed, 2)
    periods = (totals["periods"] or 0) - (earlier.get("periods") or 0)
    throttled = (totals["throttled"] or 0) - (earlier.get("throttled") or 0)
    found["throttled_percent"] = round(100 * throttled / periods, 2) if periods > 0 else 0.0
    return found


def _totals(sample_: Sample) -> Dict[str, Optional[int]]:
    used = sample_.usage or {}
    links = (sample_.network or {}).values()
    return {"cpu": used["cpu"]["usage_ns"], "periods": used["cpu"]["periods"], "throttled": used["cpu"]["throttled_periods"],
            "read": sum(row.get("read_bytes", 0) for row in used["io"].values()),
            "write": sum(row.get("write_bytes", 0) for row in used["io"].values()),
            "rx": None if sample_.network is None else sum(link["rx_bytes"] for link in links),
            "tx": None if sample_.network is None else sum(link["tx_bytes"] for link in links)}


def report(now: Sample, before: Optional[Sample] = None) -> Dict[str, Any]:
    """One container's metrics as plain values; those that cannot be told are C(None)."""
    return {"name": now.name, "status": now.status, "pid": now.pid, "cgroup": now.cgroup, "rates": rates(now, before),
            "usage": now.usage, "network": now.network, "limits": dict(now.limits),
            "memory_percent": memory_percent(now)}


def memory_percent(now: Sample) -> Optional[float]:
    """The working set in per cent of what it may be: the least limit, or else the host's memory."""
    held = (now.usage or {"memory": {"working_set": None}})["memory"]["working_set"]
    most = now.limits.get("memory_max", {}).get("value", -1)
    most = most if most > 0 else host_memory()
    return None if held is None or not most else round(100 * held / most, 2)


def host_memory() -> int:
    """Bytes of memory of this host."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processes(instance: Instance, name: str) -> List[Dict[str, Any]]:
    """The processes of a running container with all groups below its own, by PID as the host counts.

    Raises:
        NotFound: There is no such container.
    """
    from ..cgroup import entry  # pylint: disable=import-outside-toplevel
    record = records.read(instance, name)
    if record is None:
        raise NotFound("there is no container '%s'" % name, "'coracle ps' lists them")
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = []
    for pid in entry.everyone(cgroups.path(instance, name, record.options)):
        try:
            with open("/proc/%d/stat" % pid, "rb") as stream:
                text = stream.read().decode("utf-8", "replace")
            with open("/proc/%d/cmdline" % pid, "rb") as stream:
                words = stream.read().rstrip(b"\0").split(b"\0")
            owner = os.stat("/proc/%d" % pid).st_uid
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        fields = text.rpartition(")")[2].split()  # proc_pid_stat(5), from the third on
        command = b" ".join(words).decode("utf-8", "replace") or "[%s]" % text[text.index("(") + 1:text.rindex(")")]
        found.append({"pid": pid, "ppid": int(fields[1]), "uid": owner, "state": fields[0],
                      "cpu_seconds": (int(fields[11]) + int(fields[12])) / tick, "threads": int(fields[17]),
                      "rss": int(fields[21]) * page, "command": command})
    return found
