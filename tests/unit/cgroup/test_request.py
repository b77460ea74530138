# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a task as limits, and back."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import request
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import Limits
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.option import parse
from ansible_collections.coracle.containers.plugins.module_utils.options.cgroup import OPTIONS
from ansible_collections.coracle.containers.plugins.module_utils.options.limits import LIMITS


def limits_of(**given: Any) -> Limits:
    return request.from_options(parse(OPTIONS, given))


@pytest.mark.parametrize("given, quota, period", [
    ({"cpus": "0.5"}, 50000, 100000), ({"cpus": 2}, 200000, 100000), ({"cpus": "0.5", "cpu_period": 20000}, 10000, 20000),
    ({"cpus": "max"}, -1, 100000), ({"cpu_quota": 1500}, 1500, 100000), ({"cpu_quota": "max", "cpu_period": 5000}, -1, 5000),
    ({"cpus": "0.333333"}, 33333, 100000), ({"cpus": "0.005", "cpu_period": 1000000}, 5000, 1000000), ({}, None, None),
])
def test_cpus_are_quota_by_period(given: Dict[str, Any], quota: int, period: int) -> None:
    limits = limits_of(**given)
    assert (limits.cpu_quota, limits.cpu_period) == (quota, period)
    if quota and quota > 0:
        assert request.to_options(limits)["cpus"] == quota / period


@pytest.mark.parametrize("given, text", [
    ({"cpus": "0.005"}, "option 'cpus': value 0.005 of a period of 100000 microseconds is less than the kernel's least"),
    ({"cpus": "0"}, "option 'cpus': value '0'"), ({"cpus": "nan"}, "option 'cpus'"), ({"cpus": "-2"}, "option 'cpus'"),
    ({"cpu_period": 5000}, "option 'cpu_period'"), ({"cpu_period": 999}, "option 'cpu_period'"),
    ({"cpu_quota": 999}, "option 'cpu_quota'"), ({"cpu_quota": 5000, "cpus": 1}, "option 'cpu_quota'"),
    ({"cpus": "0.1", "cpu_burst": 10001}, "option 'cpu_burst': value 10001 is more than the quota of 10000"),
    ({"cpu_weight": 0}, "option 'cpu_weight'"), ({"cpu_weight": 10001}, "option 'cpu_weight'"),
    ({"cpuset_cpus": "3-1"}, "option 'cpuset_cpus': value '3-1' has a range that ends before it begins"),
    ({"cpuset_mems": "x"}, "option 'cpuset_mems'"),
    ({"memory_max": "6291455"}, "option 'memory_max': value '6291455' is below 6 MiB"),
    ({"memory_max": "12 monkeys"}, "option 'memory_max'"), ({"memory_low": "-5"}, "option 'memory_low'"),
    ({"pids_max": 0}, "option 'pids_max'"), ({"io_weight": 10001}, "option 'io_weight'"),
    ({"io_limits": [{"device": "/dev/null", "read_bps": 5}]}, "option 'io_limits.device': value '/dev/null' is no block device"),
    ({"io_limits": [{"device": "/dev/nothing", "read_bps": 5}]}, "option 'io_limits.device': value '/dev/nothing' cannot"),
    ({"io_limits": [{"device": "4095:77", "read_bps": 5}]}, "is no block device of this host"),
    ({"io_limits": [{"device": "sda", "read_bps": 5}]}, "is neither MAJ:MIN nor an absolute path"),
    ({"io_limits": [{"device": "8:0"}]}, "has no limit for the device 8:0"),
    ({"device_rules": [{"allow": True, "type": "c", "access": "rx"}]}, "option 'device_rules'"),
    ({"device_rules": [{"allow": True, "type": "c", "access": "r", "major": 5000}]}, r"device_rules\[0\].major"),
    ({"name": "../up"}, "option 'name'"), ({"name": "a//b"}, "option 'name'"), ({"path": "/"}, "option 'path'"),
    ({"path": "/a/../b"}, "option 'path'"),
])
def test_a_wrong_value_is_one_clear_error(given: Dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=text) as caught:
        limits_of(**given)
    assert caught.value.remedy


def test_a_nested_name_is_taken() -> None:
    assert parse(OPTIONS, {"name": "batch/night"})["name"] == "batch/night"


def test_only_what_is_said_is_compared() -> None:
    params = parse(OPTIONS, {"cpus": "0.5", "memory_max": "max"})
    assert request.said(params, request.from_options(params)) == {"cpus": 0.5, "memory_max": -1}


def test_what_a_container_is_not_given_is_lifted() -> None:
    held = Limits(cpu_quota=5000, cpu_period=100000, cpu_weight=100, memory_max=1 << 30, memory_swap_max=5, pids_max=-1)
    assert request.wholly(Limits(pids_max=7), held) == Limits(cpu_quota=-1, memory_max=-1, memory_swap_max=-1, pids_max=7)


def test_tables_that_a_container_is_not_given_are_lifted() -> None:
    held = Limits(hugetlb=(("1GB", -1), ("2MB", 4096)), misc=(("sev", 3),), rdma=(("mlx5_0", 3, -1),),
                  unified=(("io.latency", "8:0 target=9"), ("memory.high", "5"), ("memory.low", "0")))
    assert request.wholly(Limits(hugetlb=(("1GB", 0),)), held) == Limits(
        hugetlb=(("1GB", 0), ("2MB", -1)), misc=(("sev", -1),), rdma=(("mlx5_0", -1, -1),),
        unified=(("memory.high", "max"),))


def test_a_file_says_what_was_asked_for() -> None:
    asked, told = Limits(unified=(("io.max", "8:0  rbps=1"),)), Limits(unified=(("io.max", "7:0 wbps=2\n8:0 rbps=1"),))
    assert request.as_asked(asked, told) == asked
    assert request.as_asked(asked._replace(unified=(("io.max", "8:0 rbps=2"),)), told) == told


def test_a_file_and_its_option_are_not_both_said() -> None:
    with pytest.raises(InvalidValue, match="option 'unified': value 'memory.max' is what 'memory_max' says too"):
        request.from_options(parse(OPTIONS, {"memory_max": "64M", "unified": {"memory.max": "1"}}))


@pytest.mark.parametrize("given", [
    {"hugetlb": {"2M": "4M"}}, {"hugetlb": {"2MB": "some"}}, {"rdma": {"mlx5_0": 3}}, {"rdma": {"mlx5_0": {"handles": 3}}},
    {"misc": {"sev": "x"}}, {"unified": {"cgroup.procs": "1"}}, {"unified": {"../x.y": "1"}}, {"unified": {"memory.max": ""}},
    {"memory_swappiness": 101}, {"cpu_rt_period": 0}])
def test_wrong_values_of_tables(given: Any) -> None:
    with pytest.raises(InvalidValue, match="option '%s'" % next(iter(given))):
        parse(OPTIONS, given)


def test_the_fields_of_options() -> None:
    limits = Limits(cpu_quota=1, cpu_period=2, memory_max=3, devices=())
    assert request.fields_of(["cpus", "device_rules"], limits) == Limits(cpu_quota=1, cpu_period=2, devices=())


def test_every_limit_has_its_place_in_the_kernel() -> None:
    assert [option.name for option in LIMITS if not option.read_from or not option.form] == []
    assert set(request.NAMES) == {option.name for option in LIMITS}
