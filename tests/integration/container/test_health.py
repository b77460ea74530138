# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks: each form against a real program, the wait for it, and what becomes of the unhealthy."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List

import pytest

import busybox
import imagery
from containers import Runner
from hosts import Host
from waiting import until

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
SERVE = ["/bin/sh", "-c", "mkdir -p /tmp/w; echo fine > /tmp/w/page; exec httpd -f -p 8080 -h /tmp/w"]
SOON = {"interval": "100ms", "timeout": "60s"}


def seen(host: Host, name: str) -> Dict[str, Any]:
    """The container as container_info tells of it."""
    return dict(host.module("container_info", name=[name], gather=[])["containers"][0])


def until_health(host: Host, name: str, status: str) -> Dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        found = seen(host, name)
        if (found.get("health") or {}).get("status") == status:
            return found
        assert time.monotonic() < deadline, found.get("health")
        time.sleep(0.1)


@pytest.mark.parametrize("check", [
    {"test": "test -e /data/ready || { echo not yet; exit 1; }"}, {"test": ["CMD", "/bin/test", "-e", "/data/ready"]},
    {"test": ["CMD-SHELL", "test -e /data/ready"]}])
def test_a_program_inside_tells(run: Runner, machine: Host, check: Dict[str, Any]) -> None:
    run("one", healthcheck={**check, **SOON, "retries": 1}, read_only=False,
        command=["/bin/sh", "-c", "trap 'touch /data/ready' USR1; while :; do sleep 0.1; done"], stop_timeout="0s")
    sick = until_health(machine, "one", "unhealthy")
    assert sick["status"] == "running" and sick["health"]["log"][-1]["exit_code"] == 1
    if isinstance(check["test"], str):
        assert sick["health"]["log"][-1]["output"] == "not yet\n"
    machine.run(["kill", "-USR1", str(sick["pid"])])
    assert until_health(machine, "one", "healthy")["health"]["failing_streak"] == 0
    listed = machine.run([machine.state_root + "/engine/current/coracle", "--cgroup-root", machine.cgroup_root, "ps"]).stdout
    assert "running (healthy)" in listed


@pytest.mark.parametrize("check, healthy", [
    ({"http": "http://localhost:8080/page"}, True), ({"http": "http://127.0.0.1:8080/missing"}, False),
    ({"http": "http://localhost:8081/page"}, False), ({"tcp": "8080"}, True), ({"tcp": "127.0.0.1:8081"}, False)])
def test_a_page_and_a_port_need_no_tool_inside(run: Runner, machine: Host, check: Dict[str, Any], healthy: bool) -> None:
    run("one", command=SERVE, healthcheck={**check, **SOON, "retries": 6000 if healthy else 20},
        state="healthy" if healthy else "started", image="busybox", stop_timeout="0s")
    found = seen(machine, "one") if healthy else until_health(machine, "one", "unhealthy")
    assert found["health"]["status"] == ("healthy" if healthy else "unhealthy")
    output = found["health"]["log"][-1]["output"]
    if check.get("http", "").endswith("8080/page"):
        assert output == "HTTP/1.0 200 OK\nfine\n" or output == "HTTP/1.1 200 OK\nfine\n"
    if "8081" in str(check):
        assert "refused" in output


def test_what_the_probe_may_do_is_what_the_container_may(run: Runner, machine: Host) -> None:
    look = ("grep -e Cap -e Seccomp: -e NoNewPrivs /proc/self/status; id; cat /proc/self/cgroup; cat /proc/1/comm; "
            "ls -d /proc/[0-9]*; hostname")
    run("one", state="healthy", image="busybox", command=SLEEP, user="web", hostname="inside", cap_drop=["ALL"],
        healthcheck={"test": look, **SOON})
    said = seen(machine, "one")["health"]["log"][-1]["output"]
    own = machine.run(["sh", "-c", "grep -e CapBnd -e Seccomp: -e NoNewPrivs /proc/%d/status" % seen(machine, "one")["pid"]]).stdout
    for line in own.splitlines():
        assert line in said.splitlines(), said
    assert "uid=1000(web)" in said and "\ninside\n" in said and "\nsh\n" in said


def test_a_probe_that_takes_too_long_is_ended_with_all_its_processes(run: Runner, machine: Host) -> None:
    run("one", healthcheck={"test": "echo begun; sleep 4321 & sleep 4321", "interval": "50ms", "timeout": "300ms", "retries": 2})
    found = until_health(machine, "one", "unhealthy")
    assert {(entry["exit_code"], entry["output"]) for entry in found["health"]["log"]} == {
        (-1, "the probe took longer than 0.3 s")}
    run("one", healthcheck={"test": ["NONE"]})
    until(lambda: not machine.run(["pgrep", "-f", "sleep 4321"], check=False).stdout, 60, 0.1)


def test_much_output_is_cut(run: Runner, machine: Host) -> None:
    run("one", state="healthy", image="busybox", command=SLEEP,
        healthcheck={"test": "dd if=/dev/zero bs=1M count=4 2>/dev/null; exit 0", **SOON})
    assert len(seen(machine, "one")["health"]["log"][-1]["output"]) == 4096


def test_a_program_that_is_missing_is_said(run: Runner, machine: Host) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=SLEEP, state="healthy", fail=True,
                            healthcheck={"test": ["CMD", "/bin/missing"], **SOON, "retries": 1})
    run.names.append("one")
    assert "is unhealthy" in failed["msg"] and "/bin/missing" in failed["msg"] and "logs one" in failed["msg"]
    assert failed["health"]["status"] == "unhealthy"
    assert seen(machine, "one")["status"] == "running"


def test_waiting_ends_with_the_time_and_with_the_container(run: Runner, machine: Host) -> None:
    late = machine.module("container_run", name="one", image="busybox", command=SLEEP, state="healthy", fail=True,
                          healthcheck={"test": "echo never; false", **SOON, "retries": 1000000}, healthy_wait_timeout="2s")
    run.names.append("one")
    assert "did not become healthy within 2 s" in late["msg"]
    ended = machine.module("container_run", name="two", image="busybox", command=["/bin/sh", "-c", "exit 5"], state="healthy",
                           fail=True, healthcheck={"test": "true", "interval": "1h"})
    run.names.append("two")
    assert "ended with exit code 5" in ended["msg"]


def test_waiting_needs_a_check(run: Runner, machine: Host) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=SLEEP, state="healthy", fail=True)
    assert "needs a health check" in failed["msg"]
    run("one")
    failed = machine.module("container_run", name="one", state="healthy", fail=True)
    assert "needs a health check" in failed["msg"]


def test_one_that_is_healthy_is_no_change(run: Runner, machine: Host) -> None:
    check = {"test": "true", **SOON}
    assert run("one", healthcheck=check)["changed"] is True
    waited = run("one", healthcheck=check, state="healthy", image="busybox", command=SLEEP)
    assert waited["changed"] is False and waited["container"]["health"]["status"] == "healthy"
    bare = machine.module("container_run", name="one", state="healthy")
    assert bare["changed"] is False and bare["container"]["health"]["status"] == "healthy"


def test_the_image_s_check_is_inherited(run: Runner, machine: Host) -> None:
    image = imagery.Image([busybox.tar()], config={
        "Cmd": SLEEP, "Env": ["PATH=/bin"], "Healthcheck": {"Test": ["CMD-SHELL", "echo $PATH"], "Interval": 100000000}})
    source = machine.folder / "checked"
    for name, content in imagery.layout({"checked": image}).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    machine.module("container_image", name="checked", source=str(source))
    found = run("one", state="healthy", image="checked")["container"]
    assert found["health"]["log"][-1]["output"] == "/bin\n" and found["options"]["healthcheck"]["interval"] == 100000
    off = machine.module("container_run", name="one", image="checked", healthcheck={"test": ["NONE"]}, stop_timeout="2s")
    assert off["container"]["health"] is None and [step["disruption"] for step in off["actions"]] == ["live"]


@pytest.mark.parametrize("action, policy, expected", [
    ("restart", "no", "restarted"), ("stop", "always", "exited"), ("kill", "no", "exited"), ("kill", "always", "restarted"),
    ("none", "always", "running")])
def test_what_becomes_of_the_unhealthy(run: Runner, machine: Host, action: str, policy: str, expected: str) -> None:
    # It is not unhealthy before it can be asked to end.
    first = run("one", restart_policy=policy, mounts=[{"type": "tmpfs", "target": "/flags"}], stop_timeout="120s",
                command=["/bin/sh", "-c", "trap 'exit 0' TERM; touch /flags/up; while :; do sleep 0.1; done"],
                healthcheck={"test": "test ! -e /flags/up", "interval": "200ms", "retries": 2, "on_failure": action})["container"]
    if expected == "running":
        assert until_health(machine, "one", "unhealthy")["pid"] == first["pid"]
        return
    deadline = time.monotonic() + 90
    while True:
        found = seen(machine, "one")
        if expected == "restarted" and found["restarts"] >= 1 or found["status"] == expected:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    if action == "kill" and expected == "exited":
        assert found["exit_code"] == 137
    if action == "stop":
        assert found["exit_code"] == 0 and found["health"]["status"] == "unhealthy"
    run("one", state="stopped")


def test_one_that_turns_unhealthy_while_it_is_stopped_stays_stopped(run: Runner, machine: Host) -> None:
    check = {"test": "test ! -e /flags/ending", **SOON, "retries": 1, "on_failure": "restart"}
    run("one", healthcheck=check, state="healthy", mounts=[{"type": "tmpfs", "target": "/flags"}], stop_timeout="120s", image="busybox",
        command=["/bin/sh", "-c", "trap 'touch /flags/ending; sleep 3; exit 0' TERM; while :; do sleep 0.1; done"])
    stopped = run("one", state="stopped", image=None, command=None)["container"]
    assert (stopped["status"], stopped["exit_code"], stopped["restarts"]) == ("exited", 0, 0)
    assert stopped["health"]["status"] == "unhealthy"


def test_a_new_monitor_goes_on_looking(run: Runner, machine: Host) -> None:
    check = {"test": "true", "interval": "300ms"}
    run("one", healthcheck=check, state="healthy", image="busybox", command=SLEEP)
    pid = json.loads(machine.shell("cat %s/containers/one/monitor.json" % machine.run_root))["pid"]
    machine.run(["kill", "-9", str(pid)])
    last = seen(machine, "one")["health"]["log"][-1]["end"]
    until(lambda: seen(machine, "one")["health"]["log"][-1]["end"] != last, 90, 0.1)
    assert run("one", healthcheck=check)["changed"] is False


def test_a_paused_container_is_not_looked_at(run: Runner, machine: Host) -> None:
    run("one", healthcheck={"test": "true", "interval": "100ms"}, state="healthy", image="busybox", command=SLEEP)
    run("one", state="paused")
    before = seen(machine, "one")["health"]
    time.sleep(1)
    assert seen(machine, "one")["health"] == before
    run("one", state="started", image=None, command=None)
    until_health(machine, "one", "healthy")


def test_it_is_changed_while_the_container_runs(run: Runner, machine: Host) -> None:
    pid = run("one", healthcheck={"test": "false", **SOON, "retries": 1})["container"]["pid"]
    until_health(machine, "one", "unhealthy")
    changed = run("one", healthcheck={"test": "true", **SOON}, state="healthy", image="busybox", command=SLEEP)
    assert [step["disruption"] for step in changed["actions"]] == ["live"] and changed["container"]["pid"] == pid
    gone = run("one")
    assert gone["changed"] is True and gone["container"]["health"] is None and gone["container"]["pid"] == pid


def test_the_container_of_another_runtime_is_looked_at_too(run: Runner, machine: Host) -> None:
    found = run("one", runtime="runc", state="healthy", image="busybox", command=SLEEP, healthcheck={"test": "true", **SOON})
    assert found["container"]["health"]["status"] == "healthy"


def test_events_tell_of_it(run: Runner, machine: Host) -> None:
    run("eventful", healthcheck={"test": "true", **SOON}, state="healthy", image="busybox", command=SLEEP)
    run("eventful", state="absent")
    lines: List[Dict[str, Any]] = [json.loads(line) for line in machine.shell("cat %s/events" % machine.run_root).splitlines()]
    told = [(each["action"], each.get("status")) for each in lines if each["name"] == "eventful"]
    assert told == [("create", None), ("start", None), ("health_status", "healthy"), ("die", None), ("destroy", None)]
