# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as Prometheus reads them: a pure function of samples.

The names are cAdvisor's where it has one, so that dashboards made for it show these too; C(id) is the cgroup, as there.
Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .metrics import Sample

_Value = Optional[float]
_Row = Tuple[Mapping[str, str], _Value]

FAMILIES: Tuple[Tuple[str, str, str], ...] = (
    ("container_start_time_seconds", "gauge", "When the container was started, in seconds since the epoch."),
    ("container_cpu_usage_seconds_total", "counter", "CPU time used."),
    ("container_cpu_user_seconds_total", "counter", "CPU time used in programs."),
    ("container_cpu_system_seconds_total", "counter", "CPU time used in the kernel."),
    ("container_cpu_cfs_periods_total", "counter", "Periods of the CPU limit that have passed."),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Periods in which the CPU limit held the container up."),
    ("container_cpu_cfs_throttled_seconds_total", "counter", "How long the CPU limit held the container up."),
    ("container_memory_usage_bytes", "gauge", "Memory used, file pages included."),
    ("container_memory_working_set_bytes", "gauge", "Memory used without file pages that were not used lately."),
    ("container_memory_max_usage_bytes", "gauge", "The most memory ever used."),
    ("container_memory_rss", "gauge", "Anonymous memory."),
    ("container_memory_cache", "gauge", "File pages."),
    ("container_memory_swap", "gauge", "Swap used."),
    ("container_memory_failcnt", "counter", "How often the memory limit was met."),
    ("container_oom_events_total", "counter", "Processes that the kernel killed for want of memory."),
    ("container_threads", "gauge", "Processes and threads."),
    ("container_spec_memory_limit_bytes", "gauge", "The least memory limit that holds for the container; 0 is none."),
    ("container_spec_cpus", "gauge", "The least CPU limit that holds for the container, in CPUs; 0 is none."),
    ("container_threads_max", "gauge", "The least limit on processes and threads; 0 is none."),
    ("container_fs_reads_bytes_total", "counter", "Bytes read from a disk."),
    ("container_fs_writes_bytes_total", "counter", "Bytes written to a disk."),
    ("container_fs_reads_total", "counter", "Operations that read from a disk."),
    ("container_fs_writes_total", "counter", "Operations that wrote to a disk."),
    ("container_network_receive_bytes_total", "counter", "Bytes received."),
    ("container_network_receive_packets_total", "counter", "Packets received."),
    ("container_network_receive_errors_total", "counter", "Errors at receiving."),
    ("container_network_receive_packets_dropped_total", "counter", "Packets dropped at receiving."),
    ("container_network_transmit_bytes_total", "counter", "Bytes sent."),
    ("container_network_transmit_packets_total", "counter", "Packets sent."),
    ("container_network_transmit_errors_total", "counter", "Errors at sending."),
    ("container_network_transmit_packets_dropped_total", "counter", "Packets dropped at sending."),
    ("container_pressure_cpu_waiting_seconds_total", "counter", "Time in which some task waited for a CPU."),
    ("container_pressure_cpu_stalled_seconds_total", "counter", "Time in which no task could go on for want of a CPU."),
    ("container_pressure_memory_waiting_seconds_total", "counter", "Time in which some task waited for memory."),
    ("container_pressure_memory_stalled_seconds_total", "counter", "Time in which no task could go on for want of memory."),
    ("container_pressure_io_waiting_seconds_total", "counter", "Time in which some task waited for a disk."),
    ("container_pressure_io_stalled_seconds_total", "counter", "Time in which no task could go on for want of a disk."),
    ("coracle_container_state", "gauge", "1 for the state that the container is in."),
    ("coracle_container_restarts", "gauge", "How often the restart policy has started the container since it was last started by hand."),
)
STATES = ("created", "running", "paused", "restarting", "exited")


def render(samples: Sequence[Sample], labels: Sequence[str] = ()) -> str:
    """The text of all metrics.

    Args:
        samples: The containers.
        labels: Keys of containers' labels that become labels C(container_label_KEY) of their metrics.
    """
    rows: Dict[str, List[_Row]] = {}
    for sample in samples:
        common = {"id": sample.cgroup, "name": sample.name, "image": sample.image}
        common.update(("container_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", key), sample.labels[key])
                      for key in labels if key in sample.labels)
        for name, more, value in _values(sample):
            rows.setdefault(name, []).append((dict(common, **more), value))
    lines: List[str] = []
    for name, kind, text in FAMILIES:
        told = [(labels_, value) for labels_, value in rows.get(name, ()) if value is not None]
        if told:
            lines += ["# HELP %s %s" % (name, text), "# TYPE %s %s" % (name, kind)]
            lines += ["%s{%s} %s" % (name, ",".join('%s="%s"' % (key, _escaped(each)) for key, each in labels_.items()),
                                     _number(value)) for labels_, value in told]
    return "\n".join(lines) + "\n" if lines else ""


def _escaped(text: str) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return "%d" % value if value == int(value) else repr(round(value, 9))


def _values(sample: Sample) -> List[Tuple[str, Dict[str, str], _Value]]:
    found: List[Tuple[str, Dict[str, str], _Value]] = [
        ("coracle_container_state", {"state": state}, int(state == sample.status)) for state in STATES]
    found.append(("coracle_container_restarts", {}, sample.restarts))
    if sample.usage is None:
        return found
    for name, value in _scalars(sample).items():
        found.append(("container_" + name, {}, value))
    for device, row in sorted(sample.usage["io"].items()):
        for name, key in (("reads_bytes", "read_bytes"), ("writes_bytes", "write_bytes"), ("reads", "read_operations"),
                          ("writes", "write_operations")):
            found.append(("container_fs_%s_total" % name, {"device": device}, row.get(key)))
    for link, row in sorted((sample.network or {}).items()):
        for direction, prefix in (("receive", "rx_"), ("transmit", "tx_")):
            for name, key in (("bytes", "bytes"), ("packets", "packets"), ("errors", "errors"), ("packets_dropped", "dropped")):
                found.append(("container_network_%s_%s_total" % (direction, name), {"interface": link}, row[prefix + key]))
    for what, pressure in sample.usage["pressure"].items():
        for name, key in (("waiting", "some"), ("stalled", "full")):
            if pressure and key in pressure:
                found.append(("container_pressure_%s_%s_seconds_total" % (what, name), {}, pressure[key]["total_us"] / 1e6))
    return found


def _scalars(sample: Sample) -> Dict[str, _Value]:
    used: Dict[str, Any] = sample.usage or {}
    cpu, memory, pids = used["cpu"], used["memory"], used["pids"]
    return {
        "start_time_seconds": sample.started or None,
        "cpu_usage_seconds_total": _seconds(cpu["usage_ns"]), "cpu_user_seconds_total": _seconds(cpu["user_ns"]),
        "cpu_system_seconds_total": _seconds(cpu["system_ns"]), "cpu_cfs_periods_total": cpu["periods"],
        "cpu_cfs_throttled_periods_total": cpu["throttled_periods"],
        "cpu_cfs_throttled_seconds_total": _seconds(cpu["throttled_ns"]),
        "memory_usage_bytes": memory["current"], "memory_working_set_bytes": memory["working_set"],
        "memory_max_usage_bytes": memory["peak"], "memory_rss": memory["anon"], "memory_cache": memory["file"],
        "memory_swap": memory["swap_current"], "memory_failcnt": memory["events"]["max"],
        "oom_events_total": memory["events"]["oom_kill"], "threads": pids["current"],
        "spec_memory_limit_bytes": _limit(sample, "memory_max"), "spec_cpus": _limit(sample, "cpus"),
        "threads_max": _limit(sample, "pids_max"),
    }


def _seconds(nanoseconds: Optional[int]) -> _Value:
    return None if nanoseconds is None else nanoseconds / 1e9


def _limit(sample: Sample, option: str) -> _Value:
    row = sample.limits.get(option)
    return None if row is None else max(row["value"], 0)
