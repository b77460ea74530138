# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_exec): what a program in a container is given, what comes back, and what ends it."""

from __future__ import annotations

import functools
import json
import os
from typing import Any, Callable, Dict, Iterator, List

import pytest

from containers import Runner, add_image
from hosts import Host
from waiting import until

Exec = Callable[..., Dict[str, Any]]


@pytest.fixture(scope="module")
def runner(shared_host: Host) -> Runner:
    """A container called web that runs as root, with a volume; it ends with the host."""
    add_image(shared_host)
    made = Runner(shared_host, {"network_mode": "none"})
    made("web", env={"COLOUR": "blue"}, working_dir="/tmp", pids_max=200)
    return made


@pytest.fixture
def run(runner: Runner) -> Iterator[Exec]:
    """Run the module on that container; it leaves no group and no process behind."""
    def call(*argv: str, check_mode: bool = False, fail: bool = False, **more: Any) -> Dict[str, Any]:
        given = {"container": "web", **({"argv": list(argv)} if argv else {}), **more}
        return runner.host.module("container_exec", given, check_mode=check_mode, fail=fail)
    yield call
    assert groups(runner.host) == []


def groups(host: Host) -> List[str]:
    """The groups of their own that commands have."""
    tops = "/sys/fs/cgroup%s /sys/fs/cgroup/*%s" % ((host.cgroup_root,) * 2)
    return host.shell("find %s -name 'exec-*' 2>/dev/null || true" % tops).split()


def alive(host: Host, text: str) -> List[int]:
    """The processes of the host with a text in their command line."""
    found = []
    for pid in host.shell("ls /proc").split():
        if pid.isdigit():
            line = host.run(["cat", "/proc/%s/cmdline" % pid], check=False).stdout
            if text in line and not line.startswith("cat"):
                found.append(int(pid))
    return found


def test_what_it_says_and_how_it_ends(run: Exec) -> None:
    made = run("sh", "-c", "echo out; echo bad >&2; echo; echo")
    assert (made["changed"], made["rc"], made["stdout"], made["stderr"]) == (True, 0, "out", "bad")
    assert made["cmd"][0] == "sh" and made["delta"] and not made["timed_out"]
    assert made["actions"] == [{"action": "exec", "target": "web", "disruption": "live", "options": []}]
    assert "echo" not in json.dumps(made["diff"])
    assert run("sh", "-c", "echo out; echo", strip_empty_ends=False)["stdout"] == "out\n\n"
    assert run(command="sh -c 'echo \"a  b\" c'")["stdout"] == "a  b c"
    failed = run("sh", "-c", "echo so; exit 7", fail=True)
    assert (failed["rc"], failed["stdout"], failed["msg"]) == (7, "so", "non-zero return code")
    assert run("sh", "-c", "kill -9 $$", fail=True)["rc"] == 137
    assert run("sh", "-c", r"printf 'a\377b'")["stdout"].encode("utf-8", "surrogateescape") == b"a\xffb"


def test_it_becomes_a_part_of_the_container(run: Exec, runner: Runner) -> None:
    """Its namespaces, groups, capabilities, filter and privileges are those of the container's first process."""
    script = "for p in self 1; do grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/$p/status; cat /proc/$p/cgroup; " \
             "ls -l /proc/$p/ns | grep -o ' -> .*'; echo; done"
    for more in ({}, {"timeout": "120s"}):
        mine, first = run("sh", "-c", script, strip_empty_ends=False, **more)["stdout"].split("\n\n")[:2]
        if more:  # it has a group of its own below the container's, in one hierarchy
            assert mine.count("/exec-") == 1
            mine = "\n".join(line[:line.index("/exec-")] or "/" if "/exec-" in line else line for line in mine.split("\n"))
            mine = mine.replace(":\n", ":/\n")
        assert mine.replace(":/\n", ":\n") == first.replace(":/\n", ":\n")
        assert "Seccomp:\t2" in first and "NoNewPrivs:\t1" in first
    assert run("cat", "/proc/self/oom_score_adj")["stdout"] == run("cat", "/proc/1/oom_score_adj")["stdout"]


def test_user_folder_and_variables(run: Exec) -> None:
    made = run("sh", "-c", "id; pwd; echo $HOME $COLOUR $SIZE; grep CapEff /proc/self/status", user="web", env={"SIZE": "1"})
    assert made["stdout"] == ("uid=1000(web) gid=1000(web) groups=1000(web),2000(extra)\n/tmp\n/home/web blue 1\n"
                              "CapEff:\t0000000000000000")
    assert made["exec"] == {"container": "web", "container_id": made["exec"]["container_id"], "uid": 1000, "gid": 1000, "chdir": "/tmp"}
    assert run("sh", "-c", "id -u; id -g; pwd; echo $HOME", user="7:extra", chdir="/data")["stdout"] == "7\n2000\n/data\n/"
    assert run("sh", "-c", "echo $HOME $COLOUR", user="web", env={"HOME": "/x", "COLOUR": "red"})["stdout"] == "/x red"
    mine = run("grep", "CapEff", "/proc/self/status", privileged=True)["stdout"]
    assert int(mine.split()[1], 16) & 1 << 21, "CAP_SYS_ADMIN"


def test_input(run: Exec) -> None:
    assert run("cat", stdin="käse")["stdout"] == "käse"
    assert run("sh", "-c", "cat | od -An -c || true", stdin="ab", stdin_add_newline=False, strip_empty_ends=False)["rc"] == 0
    assert run("sh", "-c", "read a; read b || echo end", stdin="one")["stdout"] == "end"
    assert run("cat")["stdout"] == "", "without any it is at its end"
    long = "x" * 3000000
    assert run("sh", "-c", "tail -c 5; echo; true", stdin=long)["stdout"] == "xxxx"
    assert run("true", stdin=long)["rc"] == 0, "it need not be read"


def test_a_terminal(run: Exec) -> None:
    made = run("sh", "-c", "test -t 0 && test -t 1 && echo yes; echo bad >&2; read a; echo got $a", tty=True, stdin="word")
    assert sorted(made["stdout"].split("\n")) == ["bad", "got word", "word", "yes"] and made["stderr"] == ""
    assert run("cat", tty=True, stdin="no end", stdin_add_newline=False)["rc"] == 0


def test_output_is_bounded(run: Exec) -> None:
    made = run("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x 2>/dev/null || dd if=/dev/zero bs=1000 count=5000; echo end",
               max_output="1k")
    assert len(made["stdout"]) <= 1024 and made["stdout"].endswith("end")
    assert made["stdout_dropped"] >= 4900000 and made["stderr_dropped"] == 0
    assert len(made["warnings"]) == 1 and "max_output" in json.dumps(made["warnings"])
    made = run("sh", "-c", "while :; do echo endless; done", timeout="2s", max_output="64k", fail=True)
    assert len(made["stdout"]) <= 65536 and made["timed_out"]


def test_time_limit_ends_all_that_was_started(run: Exec, runner: Runner) -> None:
    """Also what has left the session, and what has lost its parent."""
    script = ("unshare -m sleep 6543210 2>/dev/null & (setsid sleep 6543210 || sleep 6543210) & sh -c 'sleep 6543210 &' ; "
              "echo begun; sleep 6543210")
    made = run("sh", "-c", script, timeout="15s", fail=True)
    assert (made["rc"], made["timed_out"], made["stdout"]) == (124, True, "begun")
    assert "within 15 s" in made["msg"]
    assert alive(runner.host, "6543210") == []
    assert runner.host.module("container_info", name=["web"])["containers"][0]["status"] == "running"
    assert run("sh", "-c", "exit 3", timeout="300s", fail=True)["rc"] == 3


def test_what_is_left_in_the_background_does_not_hold_the_task(run: Exec, runner: Runner) -> None:
    made = run("sh", "-c", "sleep 7654321 & echo done")
    assert made["stdout"] == "done"
    assert len(alive(runner.host, "7654321")) == 1
    run("sh", "-c", "for p in /proc/[0-9]*; do grep -q 7654321 $p/cmdline 2>/dev/null && test ${p#/proc/} != $$ && "
        "kill ${p#/proc/}; done; true")
    until(lambda: alive(runner.host, "7654321") == [])


def test_detached(run: Exec, runner: Runner) -> None:
    made = run("sh", "-c", "echo begun >/tmp/begun; sleep 8765432", detach=True)
    assert "rc" not in made and "stdout" not in made
    until(lambda: "begun" in runner.host.run(["cat", "/proc/%d/root/tmp/begun" % made["pid"]], check=False).stdout)
    runner.host.shell("kill -9 %d" % made["pid"])
    until(lambda: alive(runner.host, "8765432") == [])
    for option, value in (("stdin", "x"), ("tty", True), ("timeout", "1s")):
        assert "option '%s'" % option in run("true", detach=True, fail=True, **{option: value})["msg"]


def test_creates_and_removes(run: Exec, runner: Runner) -> None:
    """They are the container's paths: a link leads to what it means inside."""
    run("sh", "-c", "rm -f /tmp/made /tmp/link; ln -s /etc/shadow-of-the-host /tmp/link 2>/dev/null || true")
    argv = ("sh", "-c", "echo x >>/tmp/made")
    check = functools.partial(run, *argv, check_mode=True)
    told = check(creates="/tmp/made")
    assert told["changed"] and "skipped" not in told and "check mode" in told["msg"]
    assert run(*argv, creates="/tmp/made")["changed"]
    for each in (check(creates="/tmp/made"), run(*argv, creates="/tmp/made")):
        assert (each["changed"], each["rc"], each["actions"]) == (False, 0, [])
        assert each["stdout"] == "skipped, since /tmp/made exists" and each["msg"] == "Did not run command since /tmp/made exists"
    assert not run(*argv, removes="/tmp/none")["changed"] and run(*argv, removes="/tmp/made")["changed"]
    assert run("cat", "/tmp/made")["stdout"] == "x\nx"
    runner.host.shell("touch /run/only-on-the-host")
    assert run("true", creates="/run/only-on-the-host")["changed"]


def test_check_mode_skips(run: Exec) -> None:
    told = run("touch", "/tmp/never", check_mode=True)
    assert told["skipped"] and not told["changed"]
    run("test", "!", "-e", "/tmp/never")
    assert "/etc/passwd" in run("true", user="nobody-here", check_mode=True, fail=True)["msg"]


@pytest.mark.parametrize("options, words", [
    ({"container": "nobody"}, ["no container 'nobody'", "container_info"]),
    ({"user": "stranger"}, ["stranger", "/etc/passwd"]),
    ({"user": "web:strangers"}, ["strangers", "/etc/group"]),
    ({"chdir": "/none"}, ["/none"]),
    ({"argv": ["no-such-program"]}, ["no-such-program", "not found in $PATH"]),
    ({"argv": ["/etc/passwd"]}, ["/etc/passwd", "permission denied"]),
    ({"argv": []}, ["option 'argv'"]),
    ({"argv": None}, ["argv, command"]),
    ({"command": "true"}, ["argv|command"]),
    ({"command": "echo 'x", "argv": None}, ["option 'command'", "quot"]),
    ({"max_output": "2G"}, ["option 'max_output'"]),
    ({"timeout": "0"}, ["option 'timeout'"]),
])
def test_wrong_values(run: Exec, options: Dict[str, Any], words: List[str]) -> None:
    given = {"container": "web", "argv": ["true"], **options}
    failed = run(fail=True, **{key: value for key, value in given.items() if value is not None})
    assert all(word in failed["msg"] for word in words), failed["msg"]
    assert "exception" not in failed or "Traceback" not in str(failed["exception"])


def test_containers_that_do_not_run(run: Exec, runner: Runner) -> None:
    runner("idle", state="created", image="busybox", command=["true"])
    assert "its status is created" in run("true", container="idle", fail=True)["msg"]
    runner("held")
    runner("held", state="paused")
    assert "Unpause it" in run("true", container="held", fail=True)["msg"]


def test_a_device_in_the_place_of_the_list_of_users_is_not_opened(runner: Runner) -> None:
    """With it the host would act on a device that the container itself is kept from."""
    runner("hostile")
    host = runner.host
    call = functools.partial(host.module, "container_exec", container="hostile")
    call(argv=["sh", "-c", "rm /etc/passwd; unshare -h 2>/dev/null; busybox mknod /etc/passwd c 10 229"])
    assert "/etc/passwd" in call(argv=["true"], user="web", fail=True)["msg"]
    call(argv=["sh", "-c", "rm /etc/passwd; busybox mkfifo /etc/passwd"])
    assert "/etc/passwd" in call(argv=["true"], user="web", fail=True)["msg"]
    assert call(argv=["true"])["rc"] == 0


def test_in_a_user_namespace_of_its_own(runner: Runner) -> None:
    runner("mapped", userns_mode="auto")
    call = functools.partial(runner.host.module, "container_exec", container="mapped")
    assert call(argv=["sh", "-c", "id -u; cat /proc/self/uid_map | head -c 12"], timeout="100s")["stdout"].split()[:2] == ["0", "0"]
    assert call(argv=["id", "-u"], user="web")["stdout"] == "1000"


def test_as_a_task(runner: Runner) -> None:
    """Ansible's own async, and its words on success."""
    host = runner.host
    text = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/coracle.containers.containers: {cgroup_root: "%s"}
  tasks:
    - coracle.containers.container_exec: {container: web, command: "sh -c 'sleep 1; echo late'"}
      async: 300
      poll: 1
      register: waited
    - coracle.containers.container_exec: {container: web, argv: [sh, -c, 'sleep 1; echo later']}
      async: 300
      poll: 0
      register: begun
    - ansible.builtin.async_status: {jid: "{{ begun.ansible_job_id }}"}
      register: ended
      until: ended.finished
      retries: 120
      delay: 1
    - coracle.containers.container_exec: {container: web, command: sh -c 'exit 3'}
      register: judged
      failed_when: judged.rc != 3
    - ansible.builtin.assert:
        that: waited.stdout == 'late' and ended.stdout_lines == ['later'] and judged.rc == 3 and not judged.failed
""" % host.cgroup_root
    assert "failed=0" in host.playbook(text).stdout


def test_nothing_of_it_is_left(runner: Runner) -> None:
    folder = os.path.join(runner.host.run_root, "locks")
    assert "exec-" not in runner.host.shell("ls %s" % folder)
