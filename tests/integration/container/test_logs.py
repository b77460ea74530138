# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where output goes, and how it is read again."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Dict, List

import pytest

from containers import Runner
from hosts import Host
from waiting import until

LIMIT = 90.0
"""Seconds that output may take to be where it belongs."""
LINES = ["/bin/sh", "-c", "for i in $(seq 1 20); do echo line $i; done; echo error >&2; printf end; sleep 1000"]
RECEIVE = """
import os, socket, sys
path, kind = sys.argv[1:3]
os.makedirs(os.path.dirname(path), exist_ok=True)
if kind == "unix":
    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); link.bind(path)
elif kind == "udp":
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); link.bind(("127.0.0.1", 0))
    open(path, "w").write(str(link.getsockname()[1]))
else:
    door = socket.create_server(("127.0.0.1", 0)); open(path, "w").write(str(door.getsockname()[1]))
print("ready", flush=True)
if kind == "tcp":
    link = door.accept()[0]
while True:
    got = link.recv(65536)
    if not got:
        break
    print(got.hex(), flush=True)
"""


def logs(host: Host, *arguments: str) -> Any:
    """What the command prints."""
    return host.run([host.state_root + "/engine/current/coracle", "--cgroup-root", host.cgroup_root, "logs", *arguments])


def receiver(host: Host, path: str, kind: str) -> "subprocess.Popen[bytes]":
    """A daemon that says what it is sent, as hexadecimal lines."""
    started = host.start(["python3", "-c", RECEIVE, path, kind], stdout=subprocess.PIPE)
    assert started.stdout is not None and started.stdout.readline() == b"ready\n"
    return started


def received(process: "subprocess.Popen[bytes]", count: int) -> List[bytes]:
    """So many messages."""
    assert process.stdout is not None
    return [bytes.fromhex(process.stdout.readline().decode().strip()) for _each in range(count)]


TERMINAL = "busybox tty; " \
    "ls -l /proc/$$/fd | grep -c ptmx; echo $TERM; busybox stty -echo; seq 20000; while read word; do echo got $word; done"


@pytest.mark.parametrize("options", [{}, {"init": True, "userns_mode": "auto"}], ids=str)
def test_a_terminal(run: Runner, machine: Host, options: Dict[str, Any]) -> None:
    """It is the program's; what is written there is logged as it was written, and what root writes to the FIFO is typed there."""
    run("one", command=["/bin/sh", "-c", TERMINAL], tty=True, interactive=True, stop_timeout="0s", **options)
    until(lambda: logs(machine, "one").stdout.endswith("20000\n"), LIMIT)
    for word in ("first", "second"):
        machine.shell("echo %s > /run/coracle/containers/one/stdin" % word)
        until(lambda word=word: logs(machine, "one").stdout.endswith("got %s\n" % word), LIMIT)  # type: ignore[misc]
    lines = logs(machine, "one").stdout.splitlines()
    assert lines == ["/dev/pts/0", "0", "xterm", *map(str, range(1, 20001)), "got first", "got second"]  # and no master of its own
    run("one", state="restarted", image=None, command=None)
    until(lambda: logs(machine, "one").stdout.count("20000\n") == 2, LIMIT)


@pytest.mark.parametrize("tty", [False, True])
def test_output_without_end_keeps_no_stop_from_being_heard(run: Runner, tty: bool) -> None:
    run("one", command=["/bin/sh", "-c", "exec busybox yes"], tty=tty, stop_timeout="1s", log_max_size="1M", log_max_files=1)
    assert run("one", state="stopped")["container"]["exit_code"] == 137


@pytest.mark.parametrize("driver", ["json-file", "k8s-file"])
def test_a_file_in_either_form_is_read_again(run: Runner, machine: Host, driver: str) -> None:
    run("one", command=LINES, log_driver=driver, stop_timeout="0s")
    path = "%s/containers/one/container.log" % machine.state_root
    until(lambda: "line 20" in machine.shell("cat " + path) and "error" in machine.shell("cat " + path), LIMIT)
    first = machine.shell("head -1 " + path)
    if driver == "json-file":
        assert json.loads(first)["log"] == "line 1\n"
    else:
        when, stream, tag, text = first.split(" ", 3)
        assert (stream, tag, text) == ("stdout", "F", "line 1\n") and when.endswith("Z")
    whole = logs(machine, "one")
    assert whole.stdout.splitlines()[:20] == ["line %d" % number for number in range(1, 21)] and whole.stderr == "error\n"
    assert logs(machine, "--tail", "2", "one").stdout + logs(machine, "--tail", "2", "one").stderr == "line 20\nerror\n"
    stamped = logs(machine, "-t", "--tail", "1", "one").stderr
    assert stamped.endswith(" error\n") and stamped.startswith("20")
    assert logs(machine, "--since", "1h", "one").stdout == whole.stdout and logs(machine, "--until", "1h", "one").stdout == ""
    assert logs(machine, "--since", stamped.split(" ")[0], "one").stderr == "error\n"
    told = machine.module("container_info", name=["one"], gather=[], logs_tail=2)["containers"][0]["logs"]
    assert [(each["stream"], each["message"]) for each in told] == [("stdout", "line 20"), ("stderr", "error")]
    run("one", state="stopped")
    last = machine.shell("tail -1 " + path)
    assert "end" in last and (driver == "json-file" or " P end" in last)
    assert logs(machine, "one").stdout.endswith("line 20\nend")


def test_following_goes_on_through_rotations_and_ends_with_the_container(run: Runner, machine: Host) -> None:
    run("one", command=["/bin/sh", "-c", "for i in $(seq 1 400); do echo line $i; sleep 0.005; done"], log_max_size="2k",
        log_max_files=50)
    said = logs(machine, "-f", "one").stdout.splitlines()
    assert said == ["line %d" % number for number in range(1, 401)]
    assert int(machine.shell("ls %s/containers/one | grep -c container.log" % machine.state_root)) > 3


def test_the_driver_is_changed_while_it_runs(run: Runner, machine: Host) -> None:
    command = ["/bin/sh", "-c", "trap 'echo asked' USR1; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    pid = run("one", command=command)["container"]["pid"]
    path = "%s/containers/one/container.log" % machine.state_root
    for driver, mark in (("json-file", '{"log":"asked'), ("k8s-file", "stdout F asked"), ("none", ""), ("json-file", '{"log":"asked')):
        changed = run("one", command=command, log_driver=driver)
        assert changed["container"]["pid"] == pid
        before = machine.shell("cat %s 2>/dev/null || true" % path)
        machine.run(["kill", "-USR1", str(pid)])
        if mark:
            until(lambda before=before: machine.shell("cat " + path) != before, LIMIT)
            assert mark in machine.shell("cat " + path)[len(before):]
    assert logs(machine, "one").stdout == "asked\n" * 3


def test_the_journal_gets_what_docker_and_podman_give(run: Runner, machine: Host) -> None:
    journal = receiver(machine, "/run/systemd/journal/socket", "unix")
    made = run("one", command=["/bin/sh", "-c", "echo out; printf 'a\\377b\\n' >&2; printf part; exit 3"], log_driver="journald",
               log_options={"tag": "shop"})["container"]
    found = []
    for message in received(journal, 3):
        fields: Dict[str, bytes] = {}
        while message:
            name, _feed, message = message.partition(b"\n")
            length = int.from_bytes(message[:8], "little")
            fields[name.decode()], message = message[8:8 + length], message[8 + length + 1:]
        assert fields["CONTAINER_NAME"] == b"one" and fields["CONTAINER_ID_FULL"] == made["id"].encode()
        assert fields["SYSLOG_IDENTIFIER"] == b"shop" and fields["CONTAINER_ID"] == made["id"][:12].encode()
        found.append((fields["PRIORITY"], fields["MESSAGE"], fields.get("CONTAINER_PARTIAL_MESSAGE")))
    assert sorted(found) == sorted([(b"6", b"out", None), (b"3", b"a\xffb", None), (b"6", b"part", b"true")])
    journal.kill()
    failed = machine.run([machine.state_root + "/engine/current/coracle", "--cgroup-root", machine.cgroup_root, "logs", "one"],
                         check=False)
    assert failed.returncode and "journalctl CONTAINER_NAME=one" in failed.stderr
    machine.shell("rm -r /run/systemd/journal")


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp"])
def test_syslog_gets_a_message_a_line(run: Runner, machine: Host, kind: str) -> None:
    path = "/run/syslog-test/" + kind
    daemon = receiver(machine, path, kind)
    address = "unix://" + path if kind == "unix" else "%s://127.0.0.1:%s" % (kind, machine.shell("cat " + path))
    run("one", command=["/bin/sh", "-c", "echo hello; sleep 1000"], log_driver="syslog", stop_timeout="0s",
        log_options={"syslog_address": address, "facility": "local0", "tag": "shop"})
    message = received(daemon, 1)[0].decode()
    name = machine.run(["hostname"]).stdout.strip()
    if kind == "unix":
        assert message.startswith("<134>") and message.endswith(" shop: hello")
    else:
        length, _blank, text = message.partition(" ") if kind == "tcp" else ("", "", message)
        assert text.startswith("<134>1 20") and text.endswith(" %s shop - - - hello" % name) and length in ("", str(len(text)))
    daemon.kill()


def test_a_service_that_is_away_holds_nobody_up_and_what_was_lost_is_said(run: Runner, machine: Host) -> None:
    options: Dict[str, Any] = {"log_driver": "syslog", "log_options": {"syslog_address": "unix:///run/syslog-away/log"}}
    command = ["/bin/sh", "-c", "for i in $(seq 1 50); do echo lost; done; touch /data/done; "
               "trap 'echo back' USR1; while :; do sleep 0.1; done"]
    pid = run("one", command=command, stop_timeout="0s", **options)["container"]["pid"]
    until(lambda: machine.shell("ls /proc/%d/root/data" % pid).strip() == "done", LIMIT)
    daemon = receiver(machine, "/run/syslog-away/log", "unix")
    machine.run(["kill", "-USR1", str(pid)])
    note, line = (message.decode() for message in received(daemon, 2))
    assert "50 pieces of output were dropped" in note and line.endswith("one: back")
    daemon.kill()


def test_a_full_disk_takes_no_container_holds_nobody_up_and_what_was_lost_is_said(run: Runner, machine: Host) -> None:
    run("one", state="created", image="busybox", command=["/bin/true"])
    folder = "%s/containers" % machine.state_root
    machine.shell("mkdir -p /run/small && cp -a %s/. /run/small && mount -t tmpfs -o size=400k small %s && cp -a /run/small/. %s"
                  % (folder, folder, folder))
    try:
        look = "find %s %s/containers -mindepth 1 -maxdepth 1 | sort; cat /proc/mounts; ip -br link" % (folder, machine.run_root)
        before = machine.shell(look)
        machine.shell("head -c 1m /dev/zero > %s/one/filler || true" % folder)
        refused = run("full", fail=True, published_ports=["18079:80"])
        assert "is full" in refused["msg"] and "taken back" in refused["msg"], refused["msg"]
        assert machine.shell(look) == before, "nothing is left of what the full disk did not take"
        machine.shell("rm %s/one/filler" % folder)
        script = ("i=0; while [ $i -lt 600 ]; do "
                  "echo %s; i=$((i+1)); done; touch /dev/shm/done; trap 'echo after' USR1; while :; do sleep 0.1; done" % ("x" * 1000))
        pid = run("full", command=["/bin/sh", "-c", script], read_only=True, stop_timeout="0s", log_max_size="-1")["container"]["pid"]
        until(lambda: machine.shell("ls /proc/%d/root/dev/shm" % pid).strip() == "done", LIMIT)
        assert machine.shell("cat %s/full/container.log" % folder).count("x" * 1000) < 600
        machine.shell("mount -o remount,size=4m %s" % folder)
        machine.run(["kill", "-USR1", str(pid)])
        until(lambda: "after" in machine.shell("tail -1 %s/full/container.log" % folder), LIMIT)
        said = [json.loads(line)["log"] for line in machine.shell("cat %s/full/container.log" % folder).splitlines()]
        lost = sum(int(text.split()[1]) for text in said if "pieces of output were dropped" in text)
        assert lost > 0 and said.count("x" * 1000 + "\n") + lost == 600 and said[-1] == "after\n"
        run("full", state="absent")
        run("one", state="absent")
    finally:
        machine.shell("umount -l %s" % folder)


def test_output_that_is_closed_does_not_keep_the_monitor_busy(run: Runner, machine: Host) -> None:
    run("one", command=["/bin/sh", "-c", "exec >&- 2>&-; trap 'exit 0' TERM; while :; do sleep 0.1; done"])
    pid = json.loads(machine.shell("cat %s/containers/one/monitor.json" % machine.run_root))["pid"]

    def used() -> int:
        """Ticks of the monitor and the children that it has waited for."""
        return sum(map(int, machine.shell("cat /proc/%d/stat" % pid).rpartition(")")[2].split()[11:15]))
    time.sleep(1)
    before = used()
    time.sleep(2)
    assert used() - before < 100  # of 200: a busy one takes all that it gets
