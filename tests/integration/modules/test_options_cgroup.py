# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_cgroup, by the common test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

from hosts import Host
from quadruple import compared, quadruple

MODULE = "container_cgroup"
VALUES: Dict[str, Tuple[Dict[str, Any], Any, Any]] = {
    # option: (the others, first, second)
    "cpus": ({}, "0.5", "1.25"),
    "cpu_quota": ({}, 20000, 50000),
    "cpu_period": ({"cpu_quota": 20000}, 100000, 50000),
    "cpu_burst": ({"cpu_quota": 20000}, 0, 10000),
    "cpu_weight": ({}, 100, 300),
    "cpuset_cpus": ({}, "0", "0-1"),
    "memory_max": ({}, "64M", "128M"),
    "memory_low": ({}, "16M", "32M"),
    "memory_swap_max": ({"memory_max": "64M"}, "64M", "128M"),
    "pids_max": ({}, 100, "max"),
    "io_weight": ({}, 100, 500),
    "io_limits": ({}, [{"device": "/dev/vda", "read_bps": "10M"}], [{"device": "/dev/vda", "read_bps": "20M"}]),
    "device_rules": ({}, [{"allow": False}], [{"allow": False}, {"type": "c", "major": 1, "minor": 3, "access": "rw"}]),
    "freeze": ({}, False, True),
}


@pytest.fixture
def group(shared_host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a group for one test."""
    name = "options-" + str(request.node.callspec.params["option"]).replace("_", "-")
    yield name
    shared_host.module(MODULE, name=name, state="absent", force=True)


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted([*VALUES, "processes", "memory_high", "cpuset_mems"])


@pytest.mark.parametrize("option", sorted(VALUES))
def test_option(shared_host: Host, group: str, option: str) -> None:
    others, first, second = VALUES[option]
    quadruple(shared_host, MODULE, {"name": group, **others}, option, first, second)


@pytest.mark.parametrize("option", ["processes"])
def test_processes(shared_host: Host, group: str, option: str) -> None:
    sleepers = [shared_host.start(["sleep", "600"]) for _each in range(2)]
    try:
        inside = []
        while len(inside) < 2:
            inside = [int(number) for number in shared_host.run(["pgrep", "-x", "sleep"], check=False).stdout.split()]
        changed = quadruple(shared_host, MODULE, {"name": group}, option, inside[:1], inside)
        assert changed["diff"]["after"]["processes"] == sorted(inside)
    finally:
        for pid in inside:
            shared_host.run(["kill", str(pid)], check=False)
        for sleeper in sleepers:
            sleeper.wait()
        os.sched_yield()


@pytest.mark.parametrize("option", ["memory_high"])
def test_memory_high(shared_host: Host, group: str, option: str) -> None:
    if Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        failed = shared_host.module(MODULE, name=group, memory_high="64M", fail=True)
        assert "cgroup v1 has no such limit" in failed["msg"]
        assert not Path("/sys/fs/cgroup/memory" + shared_host.cgroup_root, group).exists()
    else:
        quadruple(shared_host, MODULE, {"name": group}, option, "64M", "96M")


@pytest.mark.parametrize("option", ["cpuset_mems"])
def test_cpuset_mems(shared_host: Host, group: str, option: str) -> None:
    if Path("/sys/devices/system/node/online").read_text(encoding="ascii").strip() == "0":
        shared_host.module(MODULE, name=group, cpuset_mems="0")
        assert shared_host.module(MODULE, name=group, cpuset_mems="0")["changed"] is False
        assert "cpuset_mems" in shared_host.module(MODULE, name=group, cpuset_mems="0-1", fail=True)["msg"]
    else:
        quadruple(shared_host, MODULE, {"name": group}, option, "0", "0-1")
