# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_cgroup, by the common test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest

from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import discover
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
    "cpu_idle": ({}, False, True),
    "network_class": ({}, "10:1", "10:2a"),
    "network_priorities": ({"network_class": "10:1"}, {"lo": 3}, {"lo": 4}),
    "freeze": ({}, False, True),
}
SOMETIMES: Dict[str, Tuple[str, Tuple[int, ...], Any, Any]] = {
    # option: (controller, the versions that have it, first, second)
    "memory_high": ("memory", (2,), "64M", "96M"),
    "memory_min": ("memory", (2,), "8M", "9M"),
    "memory_oom_group": ("memory", (2,), False, True),
    "memory_swappiness": ("memory", (1,), 10, 20),
    "memory_oom_kill": ("memory", (1,), True, False),
    "hugetlb": ("hugetlb", (1, 2), {"2MB": "5M"}, {"2MB": "8M"}),
    "unified": ("", (2,), None, None),
    "rdma": ("rdma", (1, 2), {"mlx5_0": {"hca_handle": 2}}, {"mlx5_0": {"hca_handle": "max"}}),
    "misc": ("misc", (1, 2), {"sev": 1}, {"sev": 2}),
}


@pytest.fixture
def group(shared_host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a group for one test."""
    name = "options-" + str(request.node.callspec.params["option"]).replace("_", "-")
    yield name
    shared_host.module(MODULE, name=name, state="absent", force=True)


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted([
        *VALUES, *SOMETIMES, "processes", "cpuset_mems", "cpu_rt_runtime", "cpu_rt_period", "cpuset_partition",
        "io_device_weights"])  # the last on a disk of the test's own, with the limits at work


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


@pytest.mark.parametrize("option", sorted(SOMETIMES))
def test_option_of_some_hosts(shared_host: Host, group: str, option: str) -> None:
    controller, version, first, second = SOMETIMES[option]
    there = discover().version(controller)
    if option == "unified":
        first, second = ({"hugetlb.2MB.max": each} for each in ("4194304", "8388608"))
        controller = "hugetlb"
        there = discover().version(controller)
    if there and there in version and option not in ("misc", "rdma"):  # these take a device that no test has
        quadruple(shared_host, MODULE, {"name": group}, option, first, second)
        return
    for check_mode in (True, False):
        failed = shared_host.module(MODULE, {"name": group, option: first}, check_mode=check_mode, fail=True)
        assert "option '%s'" % option in failed["msg"] and controller in failed["msg"]
    assert not list(Path("/sys/fs/cgroup").glob("*" + shared_host.cgroup_root + "/" + group))


@pytest.mark.parametrize("option", ["cpu_rt_runtime", "cpu_rt_period"])
def test_real_time(shared_host: Host, group: str, option: str) -> None:
    asked = {"name": group, "cpu_rt_runtime": 10000, "cpu_rt_period": 500000}
    if not Path("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists():
        assert "option 'cpu_rt_runtime'" in shared_host.module(MODULE, asked, fail=True)["msg"]
        return
    failed = shared_host.module(MODULE, asked, fail=True)  # the group above has none yet
    assert "cgroup %s above" % shared_host.cgroup_root in failed["msg"]
    shared_host.module(MODULE, path=shared_host.cgroup_root, cpu_rt_runtime=300000)
    others = {key: value for key, value in asked.items() if key != option}
    quadruple(shared_host, MODULE, others, option, asked[option], asked[option] * 2)
    shared_host.module(MODULE, name=group, cpu_rt_runtime=0)
    shared_host.module(MODULE, path=shared_host.cgroup_root, cpu_rt_runtime=0)


@pytest.mark.parametrize("option", ["cpuset_partition"])
def test_partition(shared_host: Host, group: str, option: str) -> None:
    path = shared_host.cgroup_root + "-" + group
    if discover().version("cpuset") != 2:
        assert "option 'cpuset_partition'" in shared_host.module(MODULE, path=path, cpuset_partition="root", fail=True)["msg"]
        return
    try:
        quadruple(shared_host, MODULE, {"path": path, "cpuset_cpus": "1"}, option, "member", "root")
        failed = shared_host.module(MODULE, path=path + "/below", cpuset_cpus="0", cpuset_partition="root", fail=True)
        assert "cpuset" in failed["msg"]
    finally:
        shared_host.module(MODULE, path=path, state="absent")


@pytest.mark.parametrize("option", ["cpuset_mems"])
def test_cpuset_mems(shared_host: Host, group: str, option: str) -> None:
    if Path("/sys/devices/system/node/online").read_text(encoding="ascii").strip() == "0":
        shared_host.module(MODULE, name=group, cpuset_mems="0")
        assert shared_host.module(MODULE, name=group, cpuset_mems="0")["changed"] is False
        assert "cpuset_mems" in shared_host.module(MODULE, name=group, cpuset_mems="0-1", fail=True)["msg"]
    else:
        quadruple(shared_host, MODULE, {"name": group}, option, "0", "0-1")


@pytest.fixture(params=["as it is", "v1"])
def marking(new_host: Callable[[], Host], request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host whose packets are marked by nftables, or by v1's controllers; with a queueing discipline of two classes."""
    host = new_host()
    if request.param == "v1":
        done = host.run(["sh", "-c", "mkdir /run/marks && mount -t cgroup -o net_cls,net_prio none /run/marks"], check=False)
        if done.returncode:
            pytest.skip("this kernel has no net_cls and net_prio of cgroup v1: " + done.stderr)
    elif discover(fresh=True).version("net_cls"):
        pytest.skip("net_cls is mounted, so that nftables is not used")
    host.shell("tc qdisc add dev lo root handle 10: htb default 1; tc class add dev lo parent 10: classid 10:1 htb rate 1gbit;"
               "tc class add dev lo parent 10: classid 10:2a htb rate 1gbit")
    yield host
    if request.param == "v1":  # the hierarchy lives on with its groups, and containerd fails where one is mounted nowhere
        host.shell("cat $(find /run/marks -mindepth 2 -name cgroup.procs) | xargs -r kill -9;"
                   "for each in $(find /run/marks -depth -mindepth 1 -type d); do until rmdir $each; do sleep 0.1; done; done;"
                   "umount /run/marks")


@pytest.mark.alone  # a hierarchy of v1 is the whole machine's
@pytest.mark.parametrize("option, value", [("network_class", "10:2A"), ("network_priorities", {"lo": 0x10002a})])
def test_packets_of_a_group_get_to_its_class(marking: Host, request: pytest.FixtureRequest, option: str, value: Any) -> None:
    by_v1 = request.node.callspec.params["marking"] == "v1"
    if by_v1 and option == "network_priorities":
        pytest.skip("net_prio knows the links of the machine alone, not those of a test host")
    if by_v1:  # what net_cls says is for filters to match
        marking.run(["nft", "-f", "-"], input="table inet filter { chain output { type route hook output priority 0;\n"
                    "meta cgroup 0x10002a meta priority set 10:2a\n}\n}\n")
    send = ("import socket, sys; sys.stdin.readline(); s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
            "[s.sendto(b'x' * 100, ('127.0.0.1', 9)) for _each in range(50)]; print('sent', flush=True); sys.stdin.readline()")
    worker = marking.start(["/usr/bin/python3", "-c", "import os; print(os.getpid(), flush=True); " + send],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.stdin is not None and worker.stdout is not None
    pid = int(worker.stdout.readline())
    asked: Dict[str, Any] = {"name": "classy", option: value, "processes": [pid]}
    marking.module(MODULE, asked)
    assert marking.module(MODULE, asked)["changed"] is False
    worker.stdin.write(b"\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == b"sent\n"
    told = marking.shell("tc -s class show dev lo classid 10:2a")
    assert int(told.split("Sent ")[1].split()[2]) >= 50, told
    assert ("coracle_cgroups" in marking.shell("nft list tables")) is not by_v1
    worker.communicate(b"\n")
    marking.module(MODULE, name="classy", state="absent")
    assert "coracle_cgroups" not in marking.shell("nft list tables")
