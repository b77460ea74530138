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
         "size": None, "mode": None}
WRONG = [
    ("name", "-web"), ("name", "a/b"), ("name", "x" * 64), ("name", ""),
    ("env", {"A": 1}), ("env", {"A=B": "1"}), ("env", {"": "1"}), ("env", {"A": "x\0y"}),
    ("working_dir", "tmp"), ("working_dir", "/a/../b"),
    ("user", "1:"), ("user", ":5"), ("user", "1:2:3"), ("user", ""), ("user", "a b"),
    ("hostname", "-a"), ("hostname", "a_b"), ("hostname", "x" * 64),
    ("labels", {"a": True}), ("stop_signal", "NOTHING"), ("stop_signal", "65"), ("stop_timeout", "soon"),
    ("restart_policy", "sometimes"), ("restart_policy", "on-failure:x"), ("restart_policy", "always:3"),
    ("log_max_size", "big"), ("log_max_files", 0), ("command", ["a\0b"]), ("entrypoint", ["a\0b"]),
    ("cpus", "0"), ("cpus", "many"), ("cpu_weight", 0), ("cpuset_cpus", "2-1"), ("memory_max", "1M"),
    ("memory_max", "lots"), ("pids_max", 0), ("shm_size", "x"),
    ("mounts", [{**MOUNT, "target": "data", "source": "/a"}]), ("mounts", [{**MOUNT, "target": "/", "source": "/a"}]),
    ("mounts", [{**MOUNT, "target": "/a"}]), ("mounts", [{**MOUNT, "target": "/a", "source": "b/c"}]),
    ("mounts", [{**MOUNT, "type": "tmpfs", "target": "/a", "source": "/b"}]),
    ("mounts", [{**MOUNT, "target": "/a", "source": "/b", "size": "1M"}]),
    ("mounts", [{**MOUNT, "type": "tmpfs", "target": "/a", "mode": "999"}]),
    ("mounts", [{**MOUNT, "type": "volume", "target": "/a", "source": "../b"}]),
    ("volumes", ["/a"]), ("volumes", ["/a:b"]), ("volumes", ["a b:/c"]), ("volumes", ["/a:/b:odd"]),
    ("capabilities", ["net admin"]), ("cap_drop", ["x"]), ("security_opts", ["apparmor=x"]),
    ("sysctls", {"kernel.core_pattern": "x"}), ("sysctls", {"net.ipv4.ip_forward": "1\nkernel.x=1"}),
    ("sysctls", {"net.../kernel": "1"}), ("ulimits", ["nofile"]), ("ulimits", ["nofile:5:4"]), ("ulimits", ["files:5"]),
    ("oom_score_adj", 2000), ("network_mode", "container:"), ("network_mode", "a b"),
    ("networks", [{"name": "a/b", "ipv4_address": None, "mac_address": None, "aliases": None}]),
    ("networks", [{"name": "a", "ipv4_address": "10.0.0.300", "mac_address": None, "aliases": None}]),
    ("networks", [{"name": "a", "ipv4_address": None, "mac_address": "01:00:00:00:00:00", "aliases": None}]),
    ("published_ports", ["80"]), ("published_ports", ["80:80/icmp"]), ("published_ports", ["80-82:80-81"]),
    ("published_ports", ["70000:80"]), ("etc_hosts", {"db": "nowhere"}), ("etc_hosts", {"-": "192.0.2.1"}),
    ("dns_servers", ["localhost"]), ("dns_search_domains", ["a b"]),
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
                 "memory_low", "memory_swap_max", "io_weight", "io_limits"}
    assert {row.name for row in OPTIONS if row.parse or row.options} - elsewhere == {option for option, _value in WRONG}
