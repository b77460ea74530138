# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process finds in its container: namespaces, files, rights, limits."""

from __future__ import annotations

from typing import Any

import pytest

from hosts import Host


def test_the_program_gets_what_was_said(run: Any) -> None:
    text = run.output("one", "echo $A; pwd; id; hostname; cat /etc/hostname; echo $HOME; echo $PATH",
                      env={"A": "b c"}, working_dir="/data", hostname="box")
    assert text.splitlines() == ["b c", "/data", "uid=0(root) gid=0(root) groups=0(root)", "box", "box", "/root", "/bin"]


def test_namespaces_are_its_own(run: Any, machine: Host) -> None:
    kinds = ("pid", "mnt", "ipc", "uts", "net", "cgroup")
    inside = run.output("one", "for kind in %s; do ls -l /proc/self/ns/$kind; done; echo $$" % " ".join(kinds))
    outside = machine.shell("for kind in %s; do readlink /proc/self/ns/$kind; done" % " ".join(kinds))
    mine = [line.rpartition(" ")[2] for line in inside.splitlines()[:-1]]
    assert len(mine) == len(kinds) and not set(mine) & set(outside.split())
    assert inside.splitlines()[-1] == "1"


def test_exit_code_and_both_streams_come_back(run: Any) -> None:
    result = run("one", command=["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], detach=False)
    assert (result["rc"], result["stdout"], result["stderr"]) == (7, "out\n", "err\n")
    assert result["container"]["status"] == "exited" and result["container"]["exit_code"] == 7
    assert result["container"]["finished_at"] > result["container"]["started_at"]


@pytest.mark.parametrize("user, expected", [
    ("web", "uid=1000(web) gid=1000(web) groups=1000(web),2000(extra)"),
    ("1000:2000", "uid=1000(web) gid=2000(extra)"),
    ("4321", "uid=4321 gid=0(root)"),
])
def test_users_are_those_of_the_image(run: Any, user: str, expected: str) -> None:
    assert run.output("one", "id", user=user).strip().startswith(expected)


def test_an_unknown_user_is_an_error_and_leaves_nothing(run: Any, machine: Host) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=["/bin/id"], user="nobody-here",
                            fail=True)
    assert "nobody-here" in failed["msg"]
    assert run("one", state="absent")["changed"] is False


def test_capabilities_are_dockers_default_set_and_can_be_taken(run: Any) -> None:
    default = run.output("one", "grep Cap /proc/self/status").splitlines()
    assert dict(line.split() for line in default) == {
        "CapInh:": "0000000000000000", "CapPrm:": "00000000a80425fb", "CapEff:": "00000000a80425fb",
        "CapBnd:": "00000000a80425fb", "CapAmb:": "0000000000000000"}
    none = run.output("two", "grep CapEff /proc/self/status", cap_drop=["ALL"], capabilities=["net_bind_service"])
    assert none.split()[1] == "0000000000000400"
    user = run.output("three", "grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status", user="web")
    assert user.split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_masked_and_read_only_paths(run: Any) -> None:
    text = run.output("one", "cat /proc/kcore | head -c 1 | grep -c .; ls /sys/firmware | grep -c .; ls -A /proc/scsi | grep -c .",
                      no_new_privileges=False)
    assert text.split() == ["0", "0", "0"]
    failed = run("two", command=["/bin/sh", "-c", "echo 1 > /proc/sys/vm/drop_caches"], detach=False)
    assert failed["rc"] != 0 and "Read-only file system" in failed["stderr"]


def test_a_read_only_root_refuses_writes_but_not_those_to_mounts(run: Any) -> None:
    result = run("one", read_only=True, detach=False, mounts=[{"type": "tmpfs", "target": "/tmp", "size": "1M"}],
                 command=["/bin/sh", "-c", "echo x > /tmp/x && cat /tmp/x; echo x > /x"])
    assert result["stdout"] == "x\n" and "Read-only file system" in result["stderr"]


def test_mounts_of_each_kind(run: Any, machine: Host) -> None:
    machine.shell("mkdir -p /run/shared && echo from-host > /run/shared/file")
    text = run.output("one", "cat /in/file; echo back > /in/new; echo kept > /vol/file; df -h /mem | tail -1; "
                             "stat -c %a:%u:%g /mem; touch /ro/x 2>&1",
                      mounts=[{"source": "/run/shared", "target": "/in"},
                              {"source": "/run/shared", "target": "/ro", "read_only": True},
                              {"type": "volume", "source": "things", "target": "/vol"},
                              {"type": "tmpfs", "target": "/mem", "size": "2M", "mode": "0750", "uid": 7, "gid": 8}])
    lines = text.splitlines()
    assert lines[0] == "from-host" and "2.0M" in lines[1] and lines[2] == "750:7:8" and "Read-only file system" in lines[3]
    assert machine.shell("cat /run/shared/new") == "back\n"
    assert run.output("two", "cat /vol/file", volumes=["things:/vol:ro"]) == "kept\n"


def test_what_it_writes_is_its_own_and_survives_a_restart(run: Any) -> None:
    script = "test -e /data/mark && echo again || { touch /data/mark; echo first; }; rm -f /etc/group"
    assert run.output("one", script) == "first\n"
    assert run.output("two", script) == "first\n"
    assert run("one", command=["/bin/sh", "-c", script], detach=False)["stdout"] == "again\n"


def test_limits_are_the_kernels(run: Any, machine: Host) -> None:
    run("one", cpus="0.5", memory_max="32M", pids_max=50, ulimits=["nofile:100:200"])
    seen = machine.module("container_cgroup", path="%s/one" % machine.cgroup_root, check_mode=True)["cgroup"]
    limits = seen["limits"]
    assert limits["cpus"] == 0.5 and limits["memory_max"] == 32 << 20 and limits["pids_max"] == 50
    assert run.output("two", "ulimit -n; ulimit -Hn", ulimits=["nofile:100:200"]) == "100\n200\n"


def test_past_its_memory_limit_a_process_is_killed_and_the_result_says_so(run: Any, machine: Host) -> None:
    result = run("one", command=["/bin/sh", "-c", "exec dd if=/dev/zero of=/dev/shm/x bs=1M count=60"], memory_max="20M",
                 detach=False)
    assert result["rc"] == 137 and result["container"]["oom_killed"] is True
    assert machine.shell("echo alive") == "alive\n"


def test_an_init_reaps_and_forwards(run: Any) -> None:
    # Whom nobody reaps stays in /proc for ever.
    script = "echo $$; (sleep 0.1 & echo $! > /tmp/orphan); until [ ! -e /proc/$(cat /tmp/orphan) ]; do sleep 0.05; done; " \
             "ps -o stat | grep -c Z; trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    run("one", init=True, command=["/bin/sh", "-c", script], stop_timeout="240s")
    log = "%s/containers/one/container.log" % run.host.state_root
    run.host.shell("until grep -q ready %s; do sleep 0.05; done" % log)
    assert run("one", state="stopped")["container"]["exit_code"] == 5
    said = run.host.shell("cat " + log)
    assert '"log":"2\\n"' in said and '"log":"0\\n"' in said and '"log":"got\\n"' in said


def test_a_missing_program_is_one_error_and_leaves_nothing(run: Any, machine: Host) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=["/bin/nothing"], fail=True)
    assert "/bin/nothing" in failed["msg"] and "no such file" in failed["msg"]
    assert run("one", state="absent")["changed"] is False


def test_the_default_filter_is_on_and_can_be_lifted(run: Any) -> None:
    assert run.output("one", "grep Seccomp: /proc/self/status").split()[1] == "2"
    refused = run("one", command=["/bin/unshare", "-m", "/bin/true"], capabilities=["SYS_CHROOT"], detach=False)
    assert refused["rc"] != 0 and "not permitted" in refused["stderr"]
    assert run.output("two", "grep Seccomp: /proc/self/status", security_opts=["seccomp=unconfined"]).split()[1] == "0"


def test_a_user_namespace_makes_root_nobody_outside(run: Any, machine: Host) -> None:
    mine = machine.folder / "mine"  # on a disk: a tmpfs can be mapped from Linux 6.3 on
    machine.shell("mkdir -p %s && echo x > %s/file" % (mine, mine))
    options = {"userns_mode": "auto", "volumes": ["things:/vol", "%s:/mine" % mine]}
    text = run.output("one", "id -u; cat /proc/self/uid_map; touch /new /vol/new /mine/new; "
                             "stat -c %u /bin /new /vol/new /mine/file; httpd -p 80 && echo listens", **options)
    lines = text.split("\n")
    base = int(lines[1].split()[1])
    assert lines[0] == "0" and base > 65535 and lines[2:7] == ["0", "0", "0", "0", "listens"]
    upper = "%s/containers/one/upper/new" % machine.state_root
    assert machine.shell("stat -c %%u %s %s/new" % (upper, mine)).split() == [str(base), "0"]
    other = run.output("two", "cat /proc/self/uid_map", userns_mode="auto")
    assert abs(int(other.split()[1]) - base) >= 65536
    again = run("one", command=["/bin/sh", "-c", "stat -c %u /new"], detach=False, recreate=True, **options)
    assert again["rc"] != 0  # a new container has a new layer of its own
