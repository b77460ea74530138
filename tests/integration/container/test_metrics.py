# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers use, as container_info, coracle stats, coracle top and Prometheus tell it."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

import pytest
from hosts import Host
from waiting import until

SPIN = ["/bin/sh", "-c", "while :; do :; done"]
HOLD = ["/bin/sh", "-c", "dd if=/dev/zero of=/dev/shm/held bs=1M count=24 2>/dev/null; trap 'exit 0' TERM; "
        "while :; do sleep 0.1; done"]


def coracle(host: Host, *words: str) -> str:
    """What the command prints."""
    return host.run([host.state_root + "/engine/current/coracle", "--cgroup-root", host.cgroup_root, *words]).stdout


def info(host: Host, **options: Any) -> List[Dict[str, Any]]:
    result = host.module("container_info", **options)
    assert result["changed"] is False
    return list(result["containers"])


@pytest.mark.measures
def test_told_in_full_and_filtered(run: Any, machine: Host) -> None:
    assert info(machine, name="nobody") == [{"name": "nobody", "exists": False, "status": "absent"}]
    run("spinning", command=SPIN, cpus="0.5", memory_max="64M", pids_max=20, labels={"app": "shop", "tier": "web"},
        mounts=[{"type": "volume", "source": "data", "target": "/data", "read_only": True}, {"type": "tmpfs", "target": "/a"}],
        env={"DB_PASSWORD": "hunter2"}, stop_timeout="0s")
    run("idle", labels={"app": "other"})
    run("ended", state="stopped", image="busybox", command=SPIN)
    every = {each["name"]: each for each in info(machine)}
    assert sorted(every) == ["ended", "idle", "spinning"]
    assert {name: each["status"] for name, each in every.items()} == {
        "ended": "created", "idle": "running", "spinning": "running"}
    assert every["ended"]["usage"] is None and every["ended"]["limits"] is None

    (spinning,) = info(machine, label={"app": None, "tier": "web"}, interval="1s")
    assert spinning["name"] == "spinning" and "hunter2" not in json.dumps(spinning)
    # A busy machine gives less than the limit; more only as far as a second meets eleven periods.
    assert 0 < spinning["usage"]["rates"]["cpu_percent"] <= 70, spinning["usage"]["rates"]
    assert 0 <= spinning["usage"]["rates"]["throttled_percent"] <= 100
    assert spinning["limits"]["memory_max"] == {"value": 64 << 20, "cgroup": machine.cgroup_root + "/spinning"}
    assert spinning["limits"]["cpus"]["value"] == 0.5 and spinning["limits"]["pids_max"]["value"] == 20
    memory = spinning["usage"]["memory"]
    assert 0 < memory["working_set"] <= memory["current"] < 64 << 20
    assert abs(spinning["usage"]["memory_percent"] - 100 * memory["working_set"] / (64 << 20)) < 0.01
    mounts = {each["target"]: each for each in spinning["mounts"]}
    assert mounts["/data"]["mounted"] and mounts["/data"]["read_only"] and mounts["/data"]["source"].endswith("/volumes/data/_data")
    assert mounts["/a"]["file_system"] == "tmpfs" and not mounts["/a"]["read_only"]
    (attachment,) = spinning["network"]["networks"]
    assert attachment["ipv4_address"] == spinning["addresses"]["coracle"] and "eth0" in spinning["usage"]["network"]

    assert [each["name"] for each in info(machine, state=["created", "exited"])] == ["ended"]
    assert [each["name"] for each in info(machine, image="busybox", label={"app": "other"}, gather=[])] == ["idle"]
    assert info(machine, image="another:1") == [] and "usage" not in info(machine, name="idle", gather=["processes"])[0]
    (process,) = [each for each in info(machine, name="spinning", gather=["processes"])[0]["processes"] if each["ppid"]][:1]
    assert process["command"].startswith("/bin/sh") and process["cpu_seconds"] > 0
    assert "option 'interval'" in machine.module("container_info", interval="soon", fail=True)["msg"]

    told = json.loads(coracle(machine, "stats", "--no-stream", "--json", "--interval", "500ms"))
    assert [each["name"] for each in told] == ["idle", "spinning"] and 0 < told[1]["rates"]["cpu_percent"] <= 90
    table = coracle(machine, "stats", "--no-stream", "spinning").splitlines()
    assert table[0].split()[:3] == ["NAME", "CPU", "%"] and re.match(r"^spinning +\d+\.\d\d%", table[1]) and len(table) == 2
    assert "ended" in coracle(machine, "stats", "--no-stream", "--all")
    top = coracle(machine, "top", "spinning").splitlines()
    assert top[0].split()[0] == "PID" and "while :; do :; done" in top[1]
    refused = machine.run([machine.state_root + "/engine/current/coracle", "top", "nobody"], check=False)
    assert refused.returncode == 1 and "there is no container 'nobody'" in refused.stderr

    folder = machine.run_root + "/textfile"
    machine.run(["mkdir", folder])
    coracle(machine, "metrics", "--output", folder + "/coracle.prom", "--label", "app")
    text = machine.run(["cat", folder + "/coracle.prom"]).stdout
    assert machine.run(["ls", folder]).stdout == "coracle.prom\n" and text == text.strip() + "\n"
    labels = r'\{id="%s/spinning",name="spinning",image="[^"]*busybox[^"]*",container_label_app="shop"' % machine.cgroup_root
    for name, pattern in (("container_cpu_usage_seconds_total", r"\d+\.\d+"), ("container_spec_memory_limit_bytes", "67108864"),
                          ("container_memory_working_set_bytes", r"\d+"), ("container_threads_max", "20"),
                          ("container_spec_cpus", "0.5"), ("container_oom_events_total", "0")):
        assert re.search(r"^%s%s\} %s$" % (name, labels, pattern), text, re.MULTILINE), name
        assert len(re.findall(r"^# TYPE %s " % name, text, re.MULTILINE)) == 1
    assert re.search(r'^container_network_receive_bytes_total%s,interface="eth0"\} \d+$' % labels, text, re.MULTILINE)
    assert re.search(r'^coracle_container_state\{[^}]*name="ended"[^}]*state="created"\} 1$', text, re.MULTILINE)


def test_memory_below_what_a_container_uses_is_refused_with_the_figures(run: Any, machine: Host) -> None:
    run("holding", command=HOLD, memory_max="96M", memory_swap_max=0)
    machine.run(["timeout", "240", "sh", "-c", "until [ $(stat -c %%s /proc/%d/root/dev/shm/held) = 25165824 ]; do sleep 0.05; done"
                 % info(machine, name="holding", gather=[])[0]["pid"]])
    for check_mode in (True, False):
        refused = run("holding", command=HOLD, memory_max="16M", memory_swap_max=0, check_mode=check_mode, fail=True)
        assert refused["current"] > 24 << 20 and str(refused["current"]) in refused["msg"] and "force: true" in refused["msg"]
    (told,) = info(machine, name="holding")
    assert told["status"] == "running" and told["limits"]["memory_max"]["value"] == 96 << 20
    less = run("holding", command=HOLD, memory_max="64M", memory_swap_max=0)
    assert [(step["action"], step["disruption"]) for step in less["actions"]] == [("update", "live")]
    if machine.shell("[ -e /sys/fs/cgroup/memory ] && echo v1 || echo v2") == "v1\n":
        assert "uses" in run("holding", command=HOLD, memory_max="16M", memory_swap_max=0, force=True, fail=True)["msg"]
        assert info(machine, name="holding")[0]["limits"]["memory_max"]["value"] == 64 << 20
    else:
        run("holding", command=HOLD, memory_max="16M", memory_swap_max=0, force=True)
        # The kernel kills, since what lies in /dev/shm cannot be given back.
        until(lambda: info(machine, name="holding", gather=[])[0]["status"] == "exited")
        assert info(machine, name="holding", gather=[])[0]["oom_killed"]
