# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits from and to C(linux.resources) of the OCI runtime specification."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import (
    DeviceRule,
    IoLimit,
    Limits,
    from_oci,
    to_oci,
)

FULL: Dict[str, Any] = {
    "devices": [{"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                {"allow": True, "type": "b", "major": 8, "minor": -1, "access": "mr"}],
    "memory": {"limit": 536870912, "reservation": 268435456, "swap": 805306368, "kernel": -1, "kernelTCP": -1,
               "swappiness": 0, "disableOOMKiller": False},
    "cpu": {"shares": 1024, "quota": 1000000, "burst": 100, "period": 500000, "realtimeRuntime": 950000, "cpus": "2-3",
            "mems": "0-7", "idle": 0},
    "pids": {"limit": 32771},
    "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854771712}, {"pageSize": "64KB", "limit": 1000000}],
    "blockIO": {"weight": 10, "leafWeight": 10,
                "weightDevice": [{"major": 8, "minor": 0, "weight": 500}, {"major": 8, "minor": 16, "leafWeight": 5}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 300}]},
    "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 1000}},
    "unified": {"memory.high": "1000000", "io.latency": "8:0 target=100", "io.weight": "default 77"},
}


def test_the_example_of_the_specification() -> None:
    limits = from_oci(FULL)
    assert limits == Limits(
        cpu_quota=1000000, cpu_period=500000, cpu_burst=100, cpu_weight=100, cpu_idle=False, cpu_rt_runtime=950000,
        cpuset_cpus="2-3",
        cpuset_mems="0-7", memory_max=536870912, memory_low=268435456, memory_swap_max=268435456, memory_high=1000000,
        memory_swappiness=0, pids_max=32771, io_weight=77, io_device_weights=(("8:0", 4950),),
        io_limits=(IoLimit("8:0", read_bps=600), IoLimit("8:16", write_iops=300)),
        hugetlb=(("2MB", 9223372036854771712), ("64KB", 1000000)),
        rdma=(("mlx4_0", -1, 1000), ("mlx5_1", 3, 10000)), network_class=1048577, network_priorities=(("eth0", 500),),
        devices=(DeviceRule(False), DeviceRule(True, "c", 10, 229, "rw"), DeviceRule(True, "b", 8, None, "rm")),
        unified=(("io.latency", "8:0 target=100"),))
    assert from_oci(to_oci(limits)) == limits


@pytest.mark.parametrize("limits", [
    Limits(),
    Limits(cpu_weight=37), Limits(cpu_weight=59, cpu_shares=511), Limits(cpu_quota=-1),
    Limits(memory_max=-1), Limits(memory_swap_max=0), Limits(memory_swap_max=-1), Limits(memory_max=100, memory_swap_max=0),
    Limits(memory_max=-1, memory_swap_max=5), Limits(memory_high=-1, memory_min=5, memory_low=0),
    Limits(pids_max=-1), Limits(pids_max=0), Limits(pids_max=7), Limits(io_weight=150), Limits(memory_oom_kill=False),
    Limits(io_limits=(IoLimit("8:0", 1, 2, 3, 4),)), Limits(devices=(DeviceRule(True),)), Limits(cpu_idle=True),
    Limits(cpu_rt_runtime=10000, cpu_rt_period=500000), Limits(cpuset_partition="isolated"), Limits(memory_oom_group=True),
    Limits(hugetlb=(("2MB", -1),)), Limits(misc=(("sev", 3), ("sev_es", -1))), Limits(unified=(("io.latency", "8:0 target=9"),)),
])
def test_what_is_written_to_a_bundle_is_read_from_it(limits: Limits) -> None:
    assert from_oci(to_oci(limits)) == limits


def test_figures_of_v1_are_kept_exactly() -> None:
    assert from_oci({"cpu": {"shares": 513}})[3:5] == (59, 513)
    asked = from_oci({"blockIO": {"weight": 500}})
    assert (asked.io_weight, asked.blkio_weight) == (4950, 500)
    assert to_oci(asked) == {"blockIO": {"weight": 500}}


def test_zero_says_nothing_where_runtimes_have_it_so() -> None:
    assert from_oci({"cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": ""}, "memory": {"limit": 0, "swap": 0},
                     "pids": {"limit": 0}, "blockIO": {"weight": 0}}) == Limits()
    assert from_oci({"cpu": None, "memory": None, "devices": None}) == Limits()


@pytest.mark.parametrize("resources, text", [
    ({"memory": {"swap": 5}}, "memory.limit must be said too"),
    ({"memory": {"swap": 5, "limit": 6}}, "less than memory.limit"),
    ({"devices": [{"allow": True, "type": "x"}]}, "none of a, b, c"),
    ({"unified": {"../memory.max": "5"}}, "no file of a controller"),
    ({"unified": {"cgroup.procs": "5"}}, "no file of a controller"),
    ({"cpu": "5"}, "linux.resources.cpu is no object"),
])
def test_what_cannot_be_meant_is_refused(resources: Dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        from_oci(resources)
