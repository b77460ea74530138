# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong value in each option of container_run: one error that names the option, the value and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.option import parse
from ansible_collections.coracle.containers.plugins.module_utils.options.container import OPTIONS

MOUNT = {"type": "bind", "source": None, "target": None, "read_only": False, "options": None, "propagation": None,
         "size": None, "mode": None, "no_copy": False}
WRONG = [
    ("name", "-web"), ("name", "a/b"), ("name", "x" * 64), ("name", ""),
    ("env", {"A": 1}), ("env", {"A=B": "1"}), ("env", {"": "1"}), ("env", {"A": "x\0y"}),
    ("working_dir", "tmp"), ("working_dir", "/a/../b"),
    ("user", "1:"), ("user", ":5"), ("user", "1:2:3"), ("user", ""), ("user", "a b"),
    ("runtime", ""), ("runtime", "-x"), ("runtime", "a/b"), ("runtime", "../crun"),
    ("cgroup_parent", "batch"), ("cgroup_parent", "/a/../b"), ("cgroup_parent", "a--b.slice"), ("cgroup_parent", ".slice"),
    ("cgroup_parent", "a/b.slice"), ("cgroup_parent", "a.slice\n"), ("cgroup_parent", "web.scope"),
    ("hostname", "-a"), ("hostname", "a_b"), ("hostname", "x" * 64),
    ("annotations", {"a": 1}), ("labels", {"a": True}), ("stop_signal", "NOTHING"), ("stop_signal", "65"), ("stop_timeout", "soon"),
    ("depends_on", ["-web"]), ("depends_on", ["db:completed"]), ("idle_timeout", "soon"),
    ("restart_policy", "sometimes"), ("restart_policy", "on-failure:x"), ("restart_policy", "always:3"),
    ("healthy_wait_timeout", "soon"), ("drain_timeout", "later"), ("comparisons", {"env": "loose"}), ("comparisons", {"colour": "ignore"}),
    ("comparisons", {"*": "allow_more_present"}), ("comparisons", {"user": "allow_more_present"}),
    *(("healthcheck", {key: value}) for key, value in (
        ("test", ""), ("test", ["true"]), ("test", ["CMD"]), ("test", ["CMD-SHELL", "a", "b"]), ("test", 5), ("test", ["CMD", 5]),
        ("http", "localhost"), ("http", "http://web/"), ("http", "ftp://localhost/"), ("http", "http://localhost:0/"),
        ("http", "http://1.2.3/"), ("tcp", "http"), ("tcp", "70000"), ("tcp", "web:80"), ("interval", "0s"), ("interval", "soon"),
        ("timeout", "0"), ("retries", 0), ("start_period", "-1"), ("start_interval", "0s"))),
    *((option, [{"command": ["true"], **each}]) for option in ("post_start", "pre_stop") for each in (
        {"command": ["a\0b"]}, {"user": "a b"}, {"working_dir": "tmp"}, {"env": {"A": 1}}, {"timeout": "0s"})),
    *(("log_options", {key: value}) for key, value in (
        ("tag", ""), ("tag", "a b"), ("syslog_address", "log.example.org:514"), ("syslog_address", "udp://log.example.org:514"),
        ("syslog_address", "tcp://127.0.0.1:0"), ("syslog_address", "unix:///a/../b"))),
    ("log_max_size", "big"), ("log_max_files", 0), ("command", ["a\0b"]), ("entrypoint", ["a\0b"]),
    ("cpus", "0"), ("cpus", "many"), ("cpu_weight", 0), ("cpuset_cpus", "2-1"), ("memory_max", "1M"),
    ("memory_max", "lots"), ("pids_max", 0), ("shm_size", "x"),
    ("mounts", [{**MOUNT, "target": "data", "source": "/a"}]), ("mounts", [{**MOUNT, "target": "/", "source": "/a"}]),
    ("mounts", [{**MOUNT, "target": "/a"}]), ("mounts", [{**MOUNT, "target": "/a", "source": "b/c"}]),
    ("mounts", [{**MOUNT, "type": "tmpfs", "target": "/a", "source": "/b"}]),
    ("mounts", [{**MOUNT, "target": "/a", "source": "/b", "size": "1M"}]),
    ("mounts", [{**MOUNT, "target": "/a", "source": "/b", "gid": 0}]), ("mounts", [{**MOUNT, "type": "tmpfs", "target": "/a", "uid": -1}]),
    ("mounts", [{**MOUNT, "type": "tmpfs", "target": "/a", "mode": "999"}]),
    ("mounts", [{**MOUNT, "type": "volume", "target": "/a", "source": "../b"}]),
    *(("secrets", [{"source": "key", **each}]) for each in (
        {"source": "a/b"}, {"target": "a/b"}, {"target": "/a/../b"}, {"uid": "a b"}, {"gid": ""}, {"mode": 256}, {"mode": "8"},
        {"on_change": "sometimes"}, {"on_change": "signal:"}, {"on_change": "signal:NOTHING"})),
    ("volumes", ["a"]), ("volumes", [":/a"]), ("volumes", [":/a:ro"]), ("volumes", ["/a:b"]), ("volumes", ["/a:/b:nocopy"]),
    ("volumes", ["a b:/c"]), ("volumes", ["/a:/b:odd"]),
    ("capabilities", ["net admin"]), ("capabilities", ["CAP_NOTHING"]), ("cap_drop", ["x"]), ("groups", ["a:b"]),
    ("groups", [""]), ("security_opts", ["seccomp"]), ("security_opts", ["seccomp=profile.json"]),
    ("security_opts", ["seccomp=/a/../b"]), ("security_opts", ["seccomp=unconfined", "seccomp=/a.json"]),
    ("security_opts", ["apparmor=a b"]), ("security_opts", ["label=colour:red"]), ("security_opts", ["label=type:a b"]),
    ("security_opts", ["systempaths=some"]), ("security_opts", ["mask=proc"]), ("security_opts", ["unmask="]),
    ("security_opts", ["no-new-privileges:maybe"]), ("userns_mode", "private"), ("userns_mode", "auto:size=0"),
    ("userns_mode", "auto:size=99999999999"), ("userns_mode", "remap:a b"), ("userns_mode", "host\n"),
    ("uidmap", ["0:1"] * 2), ("uidmap", ["0:100000:4294967295"]), ("uidmap", ["1:100000:10"]), ("uidmap", ["-1:5:1"]),
    ("uidmap", ["0:100000:0"]), ("uidmap", ["0:0:10", "5:100:10"]), ("gidmap", ["0:5:10", "20:6:1"]), ("gidmap", ["0"]),
    ("ipc_mode", "container:"), ("ipc_mode", "shared"), ("pid_mode", "shareable"), ("pid_mode", "container:a b"),
    ("devices", ["dev/fuse"]), ("devices", ["/dev/../etc"]), ("devices", ["/dev/a:/dev/b:x"]), ("devices", ["/dev/a:/b:c:d"]),
    ("devices", ["/dev/a:/dev/b:rr"]), ("devices", ["/"]), ("device_cgroup_rules", ["c 1"]),
    ("device_cgroup_rules", ["d 1:2 r"]), ("device_cgroup_rules", ["c 5000:1 r"]), ("device_cgroup_rules", ["c 1:2 rq"]),
    ("sysctls", {"kernel.core_pattern": "x"}), ("sysctls", {"net.ipv4.ip_forward": "1\nkernel.x=1"}),
    ("sysctls", {"net.../kernel": "1"}), ("sysctls", {"net.a": ""}), ("sysctls", {"net.a": "1\n"}), ("sysctls", {"net.a\n": "1"}),
    ("ulimits", ["nofile"]), ("ulimits", ["nofile:5:4"]), ("ulimits", ["nofile:1", "nofile:2"]),
    ("ulimits", ["nofile:99999999999999999999"]), ("ulimits", ["nofile:1\n"]), ("ulimits", ["files:5"]),
    ("oom_score_adj", 2000), ("network_mode", "container:"), ("network_mode", "a b"),
    ("networks", [{"name": "a/b", "ipv4_address": None, "mac_address": None, "aliases": None}]),
    ("networks", [{"name": "a", "ipv4_address": "10.0.0.300", "mac_address": None, "aliases": None}]),
    ("networks", [{"name": "a", "ipv4_address": None, "mac_address": "01:00:00:00:00:00", "aliases": None}]),
    ("published_ports", ["80"]), ("published_ports", ["80:80/icmp"]), ("published_ports", ["80-82:80-81"]),
    ("published_ports", ["70000:80"]), ("etc_hosts", {"db": "nowhere"}), ("etc_hosts", {"-": "192.0.2.1"}),
    ("policy", {"ingress": [{"allow": None, "deny": None, "except": None, "ports": None}], "egress": None}),
    ("dns_servers", ["localhost"]), ("dns_search_domains", ["a b"]), ("dns_opts", ["ndots 1"]),
    ("platform", "linux/arm64/v8/x"), ("platform", "linux/"), ("registry", {"timeout": 0}), ("registry", {"ca_path": "ca.crt"}),
]


@pytest.mark.parametrize("option, value", WRONG)
def test_a_wrong_value_is_named_with_its_option_and_a_remedy(option: str, value: Any) -> None:
    row = next(row for row in OPTIONS if row.name == option)
    with pytest.raises(InvalidValue) as caught:
        parse((row,), {option: value})
    text = str(caught.value)
    assert text.startswith("option '%s" % option) and "value " in text and ". Write " in text


def test_a_secret_in_the_environment_is_not_shown_when_it_is_wrong() -> None:
    row = next(row for row in OPTIONS if row.name == "env")
    with pytest.raises(InvalidValue) as caught:
        parse((row,), {"env": {"DB_PASSWORD": "hunter2", "PORT": 80}})
    assert "hunter2" not in str(caught.value) and "PORT" in str(caught.value)


def test_every_option_that_has_a_parser_is_tried() -> None:
    elsewhere = {"state_root", "run_root", "cgroup_root", "cpu_quota", "cpu_period", "cpu_burst", "cpuset_mems", "memory_high",
                 "memory_low", "memory_swap_max", "io_weight", "io_limits", "cpu_rt_runtime", "cpu_rt_period", "memory_min",
                 "memory_swappiness", "io_device_weights", "hugetlb", "rdma", "misc", "unified"}
    assert {row.name for row in OPTIONS if row.parse or row.options} - elsewhere == {option for option, _value in WRONG}
