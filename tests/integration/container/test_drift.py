# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container whose confinement somebody has loosened by hand: the next run sees it in the kernel and mends it."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from hosts import Host

FULL: Dict[str, Any] = {
    "sysctls": {"net.ipv4.ip_default_ttl": "77", "net.ipv4.ip_local_port_range": "20000 30000", "kernel.shmmax": "0x100000"},
    "ulimits": ["nofile:200:300"], "oom_score_adj": 500, "read_only": True, "shm_size": "1M", "cap_drop": ["NET_RAW"],
    "security_opts": ["mask=/proc/version:/data", "unmask=/proc/timer_list"],
}


def pid_of(run: Any, name: str) -> int:
    return int(run(name, check_mode=True, state="stopped")["container"]["pid"])


def inside(machine: Host, pid: int, script: str, *kinds: str) -> None:
    """Do something with the host's rights in some of the container's namespaces."""
    machine.run(["nsenter", "--target", str(pid), *("--" + kind for kind in kinds), "--", "/bin/sh", "-euc", script])


@pytest.mark.parametrize("more", [{}, {"userns_mode": "auto", "init": True, "ipc_mode": "shareable"}], ids=str)
def test_what_was_not_touched_has_not_drifted(run: Any, more: Dict[str, Any]) -> None:
    options = {**FULL, **more}
    assert run("one", **options)["changed"] is True
    assert run("one", **options)["changed"] is False
    assert run("two", **more)["changed"] is True
    assert run("two", **more)["changed"] is False


def test_nothing_drifts_where_nothing_confines(run: Any) -> None:
    for name, options in (("one", {"privileged": True}), ("two", {"security_opts": ["seccomp=unconfined", "systempaths=unconfined"],
                                                                  "capabilities": ["ALL"], "pid_mode": "host"})):
        run(name, **options)
        assert run(name, **options)["changed"] is False


@pytest.mark.parametrize("more", [{}, {"init": True}], ids=str)
def test_what_can_be_is_mended_while_it_runs(run: Any, machine: Host, more: Dict[str, Any]) -> None:
    options = {**FULL, **more}
    run("one", **options)
    pid = pid_of(run, "one")
    program = int(machine.shell("cat /proc/%d/task/%d/children" % (pid, pid)).split()[0]) if more else pid

    def loosen() -> None:
        machine.shell("echo -10 > /proc/%d/oom_score_adj || echo 900 > /proc/%d/oom_score_adj" % (pid, pid))
        inside(machine, pid, "echo 99 > /proc/sys/net/ipv4/ip_default_ttl; echo 1 2 > /proc/sys/net/ipv4/ip_local_port_range;"
                             "echo 5 > /proc/sys/kernel/shmmax", "net", "ipc")
    loosen()
    expected = run("one", check_mode=True, **options)
    seen = run("one", **options)
    assert seen["actions"] == expected["actions"] and seen["changed"] is True
    assert [(step["action"], step["disruption"]) for step in seen["actions"]] == [("mend", "live")]
    assert sorted(set(seen["actions"][0]["options"])) == ["oom_score_adj", "sysctls"]
    assert pid_of(run, "one") == pid and machine.shell("cat /proc/%d/oom_score_adj" % program) == "500\n"
    machine.run(["nsenter", "--target", str(pid), "--net", "--ipc", "--", "/bin/sh", "-euc",
                 "test $(cat /proc/sys/net/ipv4/ip_default_ttl) = 77; test $(cat /proc/sys/kernel/shmmax) = 1048576"])
    assert run("one", **options)["changed"] is False


def test_a_limit_that_was_raised_is_lowered_again(run: Any, machine: Host) -> None:
    """And one that the program itself has lowered stays: that is the program's affair."""
    options = {"ulimits": ["core:1000:2000", "nofile:200:300"]}
    run("one", **options)
    pid = pid_of(run, "one")
    raised = machine.run(["prlimit", "--pid", str(pid), "--core=5000:9000"], check=False)
    if raised.returncode:
        pytest.skip("this machine has no CAP_SYS_RESOURCE to raise a limit with")
    machine.run(["prlimit", "--pid", str(pid), "--nofile=100:150"])
    seen = run("one", **options)
    assert [(step["action"], step["options"]) for step in seen["actions"]] == [("mend", ["ulimits"])]
    told = machine.shell("grep -E 'core|open' /proc/%d/limits" % pid).split()
    assert "2000" in told and "9000" not in told and "150" in told
    assert run("one", **options)["changed"] is False


@pytest.mark.parametrize(("script", "option", "value"), [
    ("umount /proc/version; mount --bind /proc/uptime /proc/keys; umount /proc/irq; mount -o remount,bind,rw /proc/sys",
     "security_opts", "unmask=/proc/irq:/proc/keys:/proc/sys:/proc/version"),
    ("mount -t proc proc /proc", "security_opts", None),
    ("mount -o remount,bind,rw /", "read_only", False),
    ("mount -o remount,size=4M /dev/shm", "shm_size", 4 << 20)])
def test_what_was_uncovered_asks_for_a_new_container(run: Any, machine: Host, script: str, option: str, value: Any) -> None:
    run("one", **FULL)
    pid = pid_of(run, "one")
    inside(machine, pid, script, "mount", "pid")
    seen = run("one", **FULL)
    assert [step["action"] for step in seen["actions"]] == ["recreate", "start"] and seen["actions"][0]["options"] == [option]
    before: List[Any] = seen["diff"]["before"][option]
    assert value is None or value == before or isinstance(before, list) and value in before, before
    assert pid_of(run, "one") != pid and run("one", **FULL)["changed"] is False


def test_a_container_that_holds_less_than_its_record_says_is_seen(run: Any, machine: Host) -> None:
    """What no process can take off: so the record is changed instead, as if another engine had made the container."""
    run("one", security_opts=["seccomp=unconfined"], no_new_privileges=False, capabilities=["SYS_PTRACE"], userns_mode="auto")
    path = "%s/containers/one/container.json" % machine.state_root
    record = json.loads(machine.shell("cat " + path))
    record["options"].update(security_opts=[], no_new_privileges=True, capabilities=[])
    record["ids"]["uid"][0][1] += 1
    machine.run(["sh", "-c", "cat > " + path], input=json.dumps(record))
    seen = run("one", userns_mode="auto", check_mode=True)
    assert sorted(seen["actions"][0]["options"]) == ["capabilities", "no_new_privileges", "security_opts", "uidmap"]
    before = seen["diff"]["before"]
    assert before["capabilities"] == ["CAP_SYS_PTRACE"] and before["security_opts"] == ["seccomp=unconfined"]
    assert before["no_new_privileges"] is False and before["uidmap"][0][1] == record["ids"]["uid"][0][1] - 1
