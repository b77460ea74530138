# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits as file writes: for both versions, in an order that the kernel takes."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import DeviceRule, IoLimit, Limits
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.render import Layout, render, rounded

ALL = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "net_cls", "net_prio", "devices")
V1 = Layout(dict.fromkeys(ALL, 1), "blkio.bfq.weight")
V2 = Layout(dict.fromkeys(ALL, 2), "io.weight")
MIB = 1 << 20


def writes(layout: Layout, wanted: Limits, current: Optional[Limits] = None) -> List[Tuple[str, str]]:
    return [(write.file, write.value) for write in render(layout, wanted, current)]


EVERYTHING = Limits(
    cpu_quota=50000, cpu_period=200000, cpu_burst=1000, cpu_weight=200, cpu_idle=True, cpuset_cpus="0-1",
    cpuset_mems="0", memory_max=64 * MIB, memory_low=8 * MIB, memory_swap_max=16 * MIB, pids_max=10, io_weight=50,
    io_limits=(IoLimit("8:0", read_bps=1000, write_iops=5),), hugetlb=(("2MB", 4 * MIB),),
    rdma=(("mlx5_0", 3, -1),))


def test_everything_in_v2() -> None:
    wanted = EVERYTHING._replace(memory_high=60 * MIB, memory_min=MIB, unified=(("memory.oom.group", "1"),))
    assert writes(V2, wanted) == [
        ("cpuset.mems", "0"), ("cpuset.cpus", "0-1"),
        ("cpu.weight", "200"), ("cpu.idle", "1"), ("cpu.max", "50000 200000"), ("cpu.max.burst", "1000"),
        ("memory.min", str(MIB)), ("memory.low", str(8 * MIB)), ("memory.high", str(60 * MIB)),
        ("memory.swap.max", str(16 * MIB)), ("memory.max", str(64 * MIB)),
        ("pids.max", "10"), ("io.weight", "default 50"), ("io.max", "8:0 rbps=1000 wbps=max riops=max wiops=5"),
        ("hugetlb.2MB.max", str(4 * MIB)), ("hugetlb.2MB.rsvd.max", str(4 * MIB)), ("rdma.max", "mlx5_0 hca_handle=3 hca_object=max"),
        ("memory.oom.group", "1")]


def test_everything_in_v1() -> None:
    wanted = EVERYTHING._replace(memory_swappiness=10, memory_oom_kill=False, network_class=0x100001,
                                 network_priorities=(("eth0", 5),), rdma=None,
                                 devices=(DeviceRule(False), DeviceRule(True, "c", 1, 3)))
    assert writes(V1, wanted) == [
        ("cpuset.mems", "0"), ("cpuset.cpus", "0-1"),
        ("cpu.shares", "2451"), ("cpu.idle", "1"), ("cpu.cfs_period_us", "200000"), ("cpu.cfs_quota_us", "50000"),
        ("cpu.cfs_burst_us", "1000"),
        ("memory.limit_in_bytes", str(64 * MIB)), ("memory.memsw.limit_in_bytes", str(80 * MIB)),
        ("memory.soft_limit_in_bytes", str(8 * MIB)), ("memory.swappiness", "10"), ("memory.oom_control", "1"),
        ("pids.max", "10"), ("blkio.bfq.weight", "50"),
        ("blkio.throttle.read_bps_device", "8:0 1000"), ("blkio.throttle.write_iops_device", "8:0 5"),
        ("hugetlb.2MB.limit_in_bytes", str(4 * MIB)), ("hugetlb.2MB.rsvd.limit_in_bytes", str(4 * MIB)), ("net_cls.classid", str(0x100001)),
        ("net_prio.ifpriomap", "eth0 5"), ("devices.deny", "a"), ("devices.allow", "c 1:3 rwm")]


def test_what_only_some_kernels_have() -> None:
    layout = V2._replace(versions=dict(V2.versions, misc=2))
    wanted = Limits(cpuset_cpus="1", cpuset_partition="isolated", memory_oom_group=True, misc=(("sev", 3), ("sev_es", -1)),
                    unified=(("rdma.max", "a hca_handle=1\nb hca_handle=2"),))
    assert writes(layout, wanted) == [
        ("cpuset.cpus", "1"), ("cpuset.cpus.partition", "isolated"), ("memory.oom.group", "1"), ("misc.max", "sev 3"),
        ("misc.max", "sev_es max"), ("rdma.max", "a hca_handle=1"), ("rdma.max", "b hca_handle=2")]
    back = Limits(cpuset_cpus="", cpuset_partition="member")  # a partition may not lose its CPUs
    assert writes(layout, back, wanted) == [("cpuset.cpus.partition", "member"), ("cpuset.cpus", "\n")]
    assert writes(V1, Limits(rdma=(("mlx5_0", 3, -1),))) == [("rdma.max", "mlx5_0 hca_handle=3 hca_object=max")]


def test_real_time_fits_in_its_period_at_every_moment() -> None:
    longer = Limits(cpu_rt_runtime=800000, cpu_rt_period=2000000)
    assert [file for file, _value in writes(V1, longer)] == ["cpu.rt_period_us", "cpu.rt_runtime_us"]
    shorter = Limits(cpu_rt_runtime=1000, cpu_rt_period=5000)
    assert [file for file, _value in writes(V1, shorter, longer)] == ["cpu.rt_runtime_us", "cpu.rt_period_us"]


def test_controllers_that_a_host_has_not_are_left_out() -> None:
    assert writes(Layout({"pids": 2}), EVERYTHING) == [("pids.max", "10")]


def test_a_hybrid_host_is_asked_for_each_controller() -> None:
    mixed = Layout({"memory": 2, "pids": 1, "cpu": 1}, "")
    assert writes(mixed, Limits(memory_max=64 * MIB, pids_max=-1, cpu_quota=-1, cpu_weight=100),
                  Limits(memory_max=-1, pids_max=5, cpu_quota=5000, cpu_weight=1)) == [
        ("cpu.shares", "1024"), ("cpu.cfs_quota_us", "-1"), ("memory.max", str(64 * MIB)), ("pids.max", "max")]


@pytest.mark.parametrize("layout", [V1, V2])
def test_what_holds_already_is_not_written(layout: Layout) -> None:
    wanted = EVERYTHING._replace(rdma=None, devices=(DeviceRule(False),))
    assert render(layout, wanted, wanted) == []


@pytest.mark.parametrize("before, after, expected", [
    # (memory, swap) -> the sum is raised before the memory and lowered after it
    ((64, 0), (128, 0), ["memsw 128", "limit 128"]),
    ((128, 0), (64, 0), ["limit 64", "memsw 64"]),
    ((64, 64), (128, 0), ["limit 128"]),
    ((128, 0), (64, 64), ["limit 64"]),
    ((128, 128), (64, 0), ["limit 64", "memsw 64"]),
    ((64, 0), (128, 128), ["memsw 256", "limit 128"]),
    ((64, 0), (-1, -1), ["memsw -1", "limit -1"]),
    ((-1, -1), (64, 0), ["limit 64", "memsw 64"]),
    ((64, 64), (64, 0), ["memsw 64"]),
    ((64, 0), (-1, 0), ["memsw -1", "limit -1"]),
])
def test_memory_and_swap_in_v1(before: Tuple[int, int], after: Tuple[int, int], expected: List[str]) -> None:
    names = {"memory.limit_in_bytes": "limit", "memory.memsw.limit_in_bytes": "memsw"}
    found = writes(V1, Limits(memory_max=after[0], memory_swap_max=after[1]),
                   Limits(memory_max=before[0], memory_swap_max=before[1]))
    assert ["%s %s" % (names[file], value) for file, value in found] == expected


def test_a_new_memory_limit_keeps_the_amount_of_swap_in_v1() -> None:
    assert writes(V1, Limits(memory_max=128), Limits(memory_max=64, memory_swap_max=10)) == [
        ("memory.memsw.limit_in_bytes", "138"), ("memory.limit_in_bytes", "128")]


def test_without_swap_accounting_v1_has_the_memory_alone() -> None:
    assert writes(V1._replace(memsw=False), Limits(memory_max=64)) == [("memory.limit_in_bytes", "64")]


@pytest.mark.parametrize("before, after, expected", [
    ((50000, 100000), (10000, 20000), ["quota 10000", "period 20000"]),
    ((10000, 20000), (50000, 100000), ["period 100000", "quota 50000"]),
    ((-1, 100000), (10000, 20000), ["quota 10000", "period 20000"]),
    ((10000, 20000), (-1, 100000), ["period 100000", "quota -1"]),
    ((10000, 100000), (20000, 100000), ["quota 20000"]),
])
def test_quota_and_period_in_v1_never_give_more_in_between(before: Tuple[int, int], after: Tuple[int, int],
                                                          expected: List[str]) -> None:
    names = {"cpu.cfs_quota_us": "quota", "cpu.cfs_period_us": "period"}
    found = writes(V1, Limits(cpu_quota=after[0], cpu_period=after[1]), Limits(cpu_quota=before[0], cpu_period=before[1]))
    assert ["%s %s" % (names[file], value) for file, value in found] == expected
    quota, period = before
    most = max(each[0] / each[1] if each[0] >= 0 else 1e9 for each in (before, after))
    for file, value in found:
        quota, period = (int(value), period) if "quota" in file else (quota, int(value))
        assert (quota / period if quota >= 0 else 1e9) <= most


@pytest.mark.parametrize("layout, last, burst", [
    (V1, "cpu.cfs_quota_us", "cpu.cfs_burst_us"), (V2, "cpu.max", "cpu.max.burst")])
def test_a_burst_never_passes_the_quota(layout: Layout, last: str, burst: str) -> None:
    low = Limits(cpu_quota=10000, cpu_period=100000, cpu_burst=5000)
    high = Limits(cpu_quota=50000, cpu_period=100000, cpu_burst=50000)
    assert [file for file, _value in writes(layout, high, low)] == [last, burst]
    assert [file for file, _value in writes(layout, low, high)] == [burst, last]


def test_only_a_period_keeps_the_quota_in_v2() -> None:
    assert writes(V2, Limits(cpu_period=50000), Limits(cpu_quota=1000, cpu_period=100000)) == [("cpu.max", "1000 50000")]


@pytest.mark.parametrize("layout, expected", [
    (V2, [("io.max", "8:0 rbps=5 wbps=max riops=max wiops=max"), ("io.max", "9:0 rbps=max wbps=max riops=max wiops=max")]),
    (V1, [("blkio.throttle.read_bps_device", "8:0 5"), ("blkio.throttle.write_bps_device", "8:0 0"),
          ("blkio.throttle.read_iops_device", "9:0 0")]),
])
def test_devices_that_are_not_named_are_freed(layout: Layout, expected: List[Tuple[str, str]]) -> None:
    before = Limits(io_limits=(IoLimit("8:0", read_bps=4, write_bps=4), IoLimit("9:0", read_iops=3)))
    assert writes(layout, Limits(io_limits=(IoLimit("8:0", read_bps=5),)), before) == expected


def test_own_figures_of_v1_take_precedence_there() -> None:
    asked = Limits(cpu_weight=59, cpu_shares=513, io_weight=4950, blkio_weight=500)
    assert writes(V1, asked) == [("cpu.shares", "513"), ("blkio.bfq.weight", "500")]
    assert writes(V2, asked) == [("cpu.weight", "59"), ("io.weight", "default 4950")]
    assert writes(V2._replace(io_weight="io.bfq.weight"), asked) == [("cpu.weight", "59"), ("io.bfq.weight", "500")]


def test_both_schedulers_of_v2_are_told() -> None:
    assert writes(V2._replace(bfq=True), Limits(io_weight=1000)) == [
        ("io.weight", "default 1000"), ("io.bfq.weight", "181")]
    assert writes(V2._replace(bfq=True), Limits(io_weight=1000), Limits(io_weight=1000)) == []


def test_an_emptied_cpuset_reaches_the_kernel() -> None:
    assert writes(V2, Limits(cpuset_cpus=""), Limits(cpuset_cpus="0")) == [("cpuset.cpus", "\n")]


def test_rounding_is_the_kernels() -> None:
    asked = Limits(memory_max=10000001, memory_low=4097, memory_swap_max=-1, memory_high=0, io_weight=150)
    v1 = rounded(V1, asked)
    assert (v1.memory_max, v1.memory_low, v1.memory_swap_max, v1.memory_high) == (9998336, 4096, -1, 0)
    assert v1.io_weight == 144 and rounded(V2, asked).io_weight == 150
    assert rounded(V1, Limits(memory_max=2 ** 63 - 1)).memory_max == -1
    assert rounded(V1, v1) == v1


def test_a_disks_weight_is_bfqs_own_where_that_of_all_is() -> None:
    wanted = Limits(io_weight=3263, blkio_weight=333, io_device_weights=(("7:0", 4384),))
    assert writes(V1, wanted) == [("blkio.bfq.weight", "333"), ("blkio.bfq.weight_device", "7:0 444")]
    assert writes(V1, wanted, rounded(V1, wanted._replace(io_weight=2663)))[-1:] != [("blkio.bfq.weight_device", "7:0 444")]
    assert writes(V1, Limits(io_device_weights=(("7:0", 4384),))) == [("blkio.bfq.weight_device", "7:0 489")]
