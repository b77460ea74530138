# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as rates and as Prometheus reads them."""

from __future__ import annotations

import re
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import exposition, metrics


def used(cpu: int = 0, periods: int = 0, throttled: int = 0, read: int = 0) -> Dict[str, Any]:
    return {"cpu": {"usage_ns": cpu, "user_ns": cpu, "system_ns": 0, "periods": periods, "throttled_periods": throttled,
                    "throttled_ns": None},
            "memory": {"current": 3000, "working_set": 2000, "peak": None, "anon": 1, "file": 2, "swap_current": 0,
                       "events": {"max": 4, "oom_kill": 1}},
            "pids": {"current": 2}, "io": {"8:0": {"read_bytes": read, "write_bytes": 0}},
            "pressure": {"cpu": {"some": {"total_us": 1500000}}, "memory": None, "io": None}}


LINK = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")


def sample(at: int, **counters: Any) -> metrics.Sample:
    return metrics.Sample("web", "running", 'a"b\\c\nd', "1", {"team.name": "x", "other": "y"}, "/coracle/web", 7, 1000.5,
                          at=at, usage=used(**counters), network={"eth0": dict.fromkeys(LINK, at // 10 ** 9)},
                          limits={"memory_max": {"value": 8000, "cgroup": "/coracle"}, "cpus": {"value": -1, "cgroup": None}})


def test_rates_are_of_the_time_between() -> None:
    before, now = sample(10 ** 9, cpu=5 * 10 ** 9, periods=10, throttled=5), sample(
        3 * 10 ** 9, cpu=6 * 10 ** 9, periods=30, throttled=20, read=4096)
    found = metrics.rates(now, before)
    assert found == {"cpu_percent": 50.0, "throttled_percent": 75.0, "read_bps": 2048.0, "write_bps": 0.0, "rx_bps": 1.0,
                     "tx_bps": 1.0}
    assert metrics.rates(now, before._replace(pid=8))["cpu_percent"] != 50.0  # another run of it
    assert set(metrics.rates(now._replace(usage=None)).values()) == {None}
    assert metrics.rates(now._replace(started=10.0 ** 10, age=4.0))["cpu_percent"] == 150.0  # wherever the clock has gone since it began
    assert metrics.memory_percent(now) == 25.0


@pytest.mark.parametrize("text, number", [("1970-01-01T00:00:01.500000000Z", 1.5), ("2026-11-21T12:00:00Z", 1795262400.0),
                                          (None, 0.0), ("yesterday", 0.0)])
def test_seconds(text: Any, number: float) -> None:
    assert metrics.seconds(text) == number


def test_every_line_is_one_that_prometheus_reads() -> None:
    text = exposition.render([sample(10 ** 9, cpu=1500000000), sample(1)._replace(name="gone", usage=None, status="exited")],
                             ["team.name", "missing"])
    help_, kind = re.compile(r"^# HELP [a-z_]+ [^\\\n]+$"), re.compile(r"^# TYPE [a-z_]+ (counter|gauge)$")
    value = re.compile(r'^[a-z_]+\{([a-z_]+="([^"\\\n]|\\[\\"n])*"(,|(?=\})))*\} -?[0-9.e-]+$')
    assert text.endswith("\n") and [line for line in text.splitlines() if not any(
        each.match(line) for each in (help_, kind, value))] == []
    common = 'id="/coracle/web",name="web",image="a\\"b\\\\c\\nd",container_label_team_name="x"'
    assert "container_cpu_usage_seconds_total{%s} 1.5\n" % common in text
    assert "container_spec_memory_limit_bytes{%s} 8000\n" % common in text
    assert "container_spec_cpus{%s} 0\n" % common in text
    assert "container_pressure_cpu_waiting_seconds_total{%s} 1.5\n" % common in text
    assert "container_memory_max_usage_bytes" not in text  # the kernel did not tell
    assert text.count('name="gone"') == len(exposition.STATES) + 1
    families = re.findall(r"^# TYPE ([a-z_]+)", text, re.MULTILINE)
    assert len(families) == len(set(families))


def test_no_container_is_no_text() -> None:
    assert exposition.render([]) == ""
