# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_run, by the common test."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from quadruple import compared, quadruple

from hosts import Host

MODULE = "container_run"
SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
BASE = {"image": "busybox", "command": SLEEP}
VALUES: Dict[str, Tuple[Dict[str, Any], Any, Any]] = {
    # option: (the others, first, second)
    "command": ({}, SLEEP, [*SLEEP[:2], SLEEP[2] + " "]),
    "entrypoint": ({"command": SLEEP[1:]}, ["/bin/sh"], ["/bin/busybox", "sh"]),
    "env": ({}, {"A": "one"}, {"A": "One"}),
    "working_dir": ({}, "/tmp", "/data"),
    "user": ({}, "0", "web"),
    "groups": ({}, ["2000"], ["2001"]),
    "hostname": ({}, "first", "second"),
    "runtime": ({}, "coracle", "runc"),
    "init": ({}, False, True),
    "annotations": ({}, {"org.example.kind": "x"}, {"org.example.kind": "y"}),
    "interactive": ({}, False, True),
    "tty": ({}, False, True),
    "labels": ({}, {"app": "x"}, {"App": "x"}),
    "stop_signal": ({}, "TERM", "SIGTERM"),
    "stop_timeout": ({}, "2s", "3s"),
    "restart_policy": ({}, "no", "on-failure:3"),
    "depends_on": ({}, ["cache"], ["cache", "db:healthy"]),
    "sdnotify": ({}, "conmon", "ignore"),
    "idle_timeout": ({"activation": "socket", "published_ports": ["18079:80"]}, "5m", "10m"),
    "healthcheck": ({}, {"test": "true", "interval": "1h"}, {"test": "true", "interval": "2h"}),
    "post_start": ({}, [{"command": ["true"]}], [{"command": ["true"], "user": "web"}]),
    "pre_stop": ({}, [{"command": ["true"]}], [{"command": ["true"], "timeout": "5s"}]),
    "log_driver": ({}, "json-file", "k8s-file"),
    "log_options": ({"log_driver": "syslog"}, {"tag": "one"}, {"tag": "two", "facility": "local3"}),
    "log_max_size": ({}, "1M", "2M"),
    "log_max_files": ({}, 2, 3),
    "cpus": ({}, "0.5", "1.25"),
    "cpu_quota": ({}, 20000, 50000),
    "cpu_period": ({"cpu_quota": 20000}, 100000, 50000),
    "cpu_burst": ({"cpu_quota": 20000}, 0, 10000),
    "cpu_weight": ({}, 50, 300),
    "cpu_idle": ({}, False, True),
    "cpuset_cpus": ({}, "0", "0-1"),
    "memory_max": ({}, "64M", "128M"),
    "memory_low": ({}, "16M", "32M"),
    "memory_swap_max": ({"memory_max": "64M"}, "64M", "128M"),
    "pids_max": ({}, 100, "max"),
    "io_limits": ({}, [{"device": "/dev/vda", "read_bps": "10M"}], [{"device": "/dev/vda", "read_bps": "20M"}]),
    "mounts": ({}, [{"type": "tmpfs", "target": "/a"}], [{"type": "tmpfs", "target": "/a", "size": "1M"}]),
    "read_only": ({}, False, True),
    "shm_size": ({}, "1M", "2M"),
    "capabilities": ({}, ["NET_ADMIN"], ["NET_ADMIN", "SYS_TIME"]),
    "cap_drop": ({}, ["NET_RAW"], ["ALL"]),
    "security_opts": ({}, None, ["seccomp=unconfined"]),
    "privileged": ({}, False, True),
    "uidmap": ({}, ["0:200000:1000"], ["0:200000:1001"]),
    "gidmap": ({}, ["0:200000:1000"], ["0:200000:900", "900:300000"]),
    "ipc_mode": ({}, "private", "shareable"),
    "pid_mode": ({}, "private", "host"),
    "uts": ({}, "private", "host"),
    "cgroupns_mode": ({}, "private", "host"),
    "devices": ({}, ["/dev/fuse"], ["/dev/fuse:/dev/other:r"]),
    "device_cgroup_rules": ({}, ["c 10:229 rw"], ["c 10:* rw"]),
    "no_new_privileges": ({}, True, False),
    "userns_mode": ({}, "host", "auto"),
    "sysctls": ({}, {"net.core.somaxconn": "100"}, {"net.core.somaxconn": "200"}),
    "ulimits": ({}, ["nofile:100:200"], ["nofile:100:300"]),
    "oom_score_adj": ({}, 100, 200),
    "network_mode": ({}, "none", "bridge"),
    "networks": ({}, [{"name": "coracle"}], [{"name": "coracle", "aliases": ["www"]}]),
    "published_ports": ({}, ["18080:80"], ["18080:81"]),
    "publish_mode": ({"published_ports": ["18070:80"]}, "proxy", "nat"),
    "policy": ({}, {"ingress": []}, {"ingress": [{"allow": ["label:tier=web"], "ports": ["80"]}], "egress": [{"deny": ["host"]}]}),
    "etc_hosts": ({}, {"db": "192.0.2.1"}, {"db": "192.0.2.2"}),
    "dns_servers": ({}, ["192.0.2.53"], ["192.0.2.54"]),
    "dns_search_domains": ({}, ["example.org"], ["example.com"]),
    "dns_opts": ({}, ["ndots:1"], ["ndots:2"]),
}
ELSEWHERE = {"image", "memory_high", "cpuset_mems", "io_weight",
             "activation",  # in test_activation.py
             "secrets",  # in test_container_secret.py
             "cgroup_parent", "cgroup_manager",  # the latter with systemd, in test_scopes.py
             # tried with container_cgroup, as far as the kernel has them
             "cpu_rt_runtime", "cpu_rt_period", "cpuset_partition", "memory_min", "memory_swappiness", "memory_oom_kill",
             "memory_oom_group", "io_device_weights", "hugetlb", "rdma", "misc", "unified"}
EQUAL = {"stop_signal"}


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted([*VALUES, *ELSEWHERE])


@pytest.mark.parametrize("option", sorted(set(VALUES) - EQUAL))
def test_option(machine: Host, option: str) -> None:
    others, first, second = VALUES[option]
    name = "option-" + option.replace("_", "-")
    base = {"name": name, **BASE, "stop_timeout": "2s", **others}
    base.pop(option, None)
    try:
        quadruple(machine, MODULE, base, option, first, second)
    finally:
        machine.module(MODULE, name=name, state="absent")


def test_a_group_that_is_given(machine: Host) -> None:
    parent = machine.cgroup_root + "/batch"
    machine.module("container_cgroup", path=parent, pids_max=50)
    name = "option-cgroup-parent"
    try:
        base = {"name": name, **BASE, "stop_timeout": "2s", "pids_max": 100}
        changed = quadruple(machine, MODULE, base, "cgroup_parent", None, parent)
        assert changed["container"]["cgroup"] == parent + "/" + name
        (told,) = machine.module("container_info", name=name)["containers"]
        assert told["limits"]["pids_max"] == {"value": 50, "cgroup": parent}
        assert machine.module(MODULE, {**base, "cgroup_parent": parent, "pids_max": 20})["actions"][0]["action"] == "update"
        inner = machine.module("container_cgroup", path="%s/%s" % (parent, name), pids_max=20, check_mode=True)
        assert inner["changed"] is False and told["pid"] in inner["cgroup"]["processes"]
    finally:
        machine.module(MODULE, name=name, state="absent")
    assert machine.module("container_cgroup", path=parent, pids_max=50)["changed"] is False  # it is not the container's to remove
    machine.module("container_cgroup", path=parent, state="absent")


def test_two_ways_to_write_one_value_are_equal(machine: Host) -> None:
    first = {"name": "same", **BASE, "stop_signal": "TERM", "memory_max": "64M", "cpuset_cpus": "0,1", "stop_timeout": "2",
             "published_ports": ["18090:80", "18091:81"], "capabilities": ["NET_ADMIN", "SYS_TIME"]}
    second = {"name": "same", **BASE, "stop_signal": "sigterm", "memory_max": "65536k", "cpuset_cpus": "0-1",
              "stop_timeout": "2000ms", "published_ports": ["18090-18091:80-81/tcp"],
              "capabilities": ["cap_sys_time", "CAP_NET_ADMIN"]}
    try:
        assert machine.module(MODULE, first)["changed"] is True
        again = machine.module(MODULE, second)
        assert again["changed"] is False, again["diff"]
    finally:
        machine.module(MODULE, name="same", state="absent")


def test_another_image_under_the_same_name_recreates(machine: Host) -> None:
    try:
        first = machine.module(MODULE, name="image", **BASE)
        source = str(machine.folder / "busybox.tar")
        machine.module("container_image", name="busybox", source=source, cmd=["/bin/sh"], env={"PATH": "/bin", "NEW": "1"})
        predicted = machine.module(MODULE, name="image", check_mode=True, **BASE)
        changed = machine.module(MODULE, name="image", **BASE)
        assert "image" in changed["diff"]["before"] and changed["diff"] == predicted["diff"]
        assert changed["container"]["id"] != first["container"]["id"]
        machine.module("container_image", name="busybox", source=source, cmd=["/bin/sh"], env={"PATH": "/bin"})
    finally:
        machine.module(MODULE, name="image", state="absent")
