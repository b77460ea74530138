# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that need others: at boot, at the host's end, and by hand; and when one counts as ready."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from containers import PYTHON, READY, SLEEP, Runner
from hosts import Host

def coracle(machine: Host, *words: str, check: bool = True) -> str:
    done = machine.run([machine.state_root + "/engine/current/coracle", "--state-root", machine.state_root,
                        "--run-root", machine.run_root, "--cgroup-root", machine.cgroup_root, *words], check=check)
    return done.stdout + done.stderr


def status(machine: Host) -> Dict[str, str]:
    return {each["name"]: each["status"] for each in json.loads(coracle(machine, "ps", "--json"))}


def happened(machine: Host, action: str) -> List[str]:
    """The containers to which it has happened, the last time for each, in this order."""
    names = [each["name"] for each in map(json.loads, coracle(machine, "events", "--json").splitlines()) if each["action"] == action]
    return sorted(set(names), key=lambda name: len(names) - names[::-1].index(name))


def test_started_after_and_stopped_before_what_it_needs(machine: Host, run: Runner) -> None:
    policy: Dict[str, Any] = {"restart_policy": "unless-stopped", "network_mode": "none"}
    first = run("a-web", depends_on=["m-app:healthy", "z-cache"], **policy)
    assert [each in str(first["warnings"]) for each in ("no container 'm-app' on this host", "no container 'z-cache'")] == [True, True]
    run("m-app", depends_on=["z-db"],
        healthcheck={"test": "test -e /tmp/up", "interval": "1s", "start_period": "1h", "start_interval": "1s"},
        command=["/bin/sh", "-c", "echo > /tmp/up; " + SLEEP[2]], **policy)
    run("z-cache", **policy)
    run("z-db", restart_policy="on-failure", network_mode="none")
    run("idle", **policy)
    run("never", state="stopped", image="busybox", command=SLEEP, **policy)
    run("idle", state="stopped")

    # A circle is refused before anything is changed, in check mode as well.
    for mode in (True, False):
        refused = machine.module("container_run", name="z-db", image="busybox", command=SLEEP, network_mode="none",
                                 depends_on=["a-web"], check_mode=mode, fail=True)
        assert "z-db -> a-web -> m-app -> z-db" in refused["msg"]
    assert "new -> new" in machine.module("container_run", name="new", image="busybox", network_mode="none", depends_on=["new"],
                                          fail=True)["msg"]

    # The host goes down and comes up.
    coracle(machine, "shutdown")
    assert set(status(machine).values()) == {"exited", "created"}
    order = happened(machine, "die")
    assert order.index("a-web") < order.index("m-app") < order.index("z-db") and order.index("a-web") < order.index("z-cache")
    assert coracle(machine, "boot") == ""
    assert status(machine) == {"a-web": "running", "m-app": "running", "z-cache": "running", "z-db": "running", "idle": "exited",
                               "never": "created"}
    order = happened(machine, "start")
    assert order.index("z-db") < order.index("m-app") < order.index("a-web") and order.index("z-cache") < order.index("a-web")
    order = [(each["name"], each["action"]) for each in map(json.loads, coracle(machine, "events", "--json").splitlines())][::-1]
    assert order.index(("a-web", "start")) < order.index(("m-app", "health_status")) < order.index(("m-app", "start"))
    assert machine.module("container_run", name="z-db", image="busybox", command=SLEEP, network_mode="none", restart_policy="on-failure",
                          stop_timeout="2s")["changed"] is False

    # By hand they count as stopped; all can be started again, in order.
    coracle(machine, "stop", "--all")
    assert coracle(machine, "boot") == "" and set(status(machine).values()) == {"exited", "created"}
    assert coracle(machine, "start", "--all") == "" and set(status(machine).values()) == {"running"}
    coracle(machine, "stop", "a-web", "idle")
    assert sorted(name for name, state in status(machine).items() if state == "exited") == ["a-web", "idle"]
    assert "there is no container 'nobody'" in coracle(machine, "stop", "nobody", check=False)


def test_a_dependency_that_cannot_be_had_is_reported_and_holds_nobody_up(machine: Host, run: Runner) -> None:
    run("broken", restart_policy="always", network_mode="none", mounts=[{"source": str(machine.folder), "target": "/there"}])
    run("after", restart_policy="always", network_mode="none", depends_on=["broken"])
    coracle(machine, "shutdown")
    record = machine.state_root + "/containers/broken/container.json"
    machine.shell("sed -i 's,\"target\": *\"/there\",\"target\":\"/proc/there\",' %s" % record)
    said = coracle(machine, "boot", check=False)
    assert "coracle: broken: " in said and status(machine)["after"] == "running"


@pytest.mark.parametrize("policy", ["always", "on-failure"])
def test_what_the_host_ended_comes_back_and_a_power_cut_is_no_other_end(machine: Host, run: Runner, policy: str) -> None:
    run("back", restart_policy=policy, network_mode="none")
    coracle(machine, "shutdown", "--if-stopping")  # nobody says that the host goes down
    assert status(machine)["back"] == "running"
    coracle(machine, "shutdown")
    coracle(machine, "boot")
    assert status(machine)["back"] == "running"


def test_started_means_ready_where_the_program_says_so(machine: Host, run: Runner) -> None:
    asked: Dict[str, Any] = {"sdnotify": "container", "network_mode": "none", "mounts": PYTHON,
                             "command": ["/usr/bin/python3", "-c", READY]}
    assert run("tells", **asked)["container"]["status"] == "running"
    assert run("tells", **asked)["changed"] is False
    # One that ends before, and one that does not say it in time.
    early = machine.module("container_run", name="ends", image="busybox", network_mode="none", sdnotify="container",
                           command=["/bin/sh", "-c", "exit 3"], fail=True)
    run.names += ["ends", "late"]
    assert "ended with exit code 3 before it was ready" in early["msg"]
    late = machine.module("container_run", name="late", image="busybox", network_mode="none", sdnotify="container", command=SLEEP,
                          stop_timeout="2s", healthy_wait_timeout="1s", fail=True)
    assert "did not become ready within 1 s" in late["msg"]
    assert "needs a health check" in machine.module("container_run", name="none", image="busybox", sdnotify="healthy", fail=True)["msg"]
    healthy = run("healthy", sdnotify="healthy", network_mode="none", healthcheck={"test": "true", "interval": "1s"})
    assert healthy["container"]["health"]["status"] == "healthy"
