# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a container: who it is, what it may do, its terminal, and processes that are added."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import capabilities
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, exec as exec_verb, kill, start
from bundles import DEFAULT_CAPABILITIES, Bundle, Lab, config, fields, refused
from waiting import until


def test_what_the_process_is(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o27}
        document["process"]["noNewPrivileges"] = True
        document["process"]["oomScoreAdj"] = 321
        document["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}]
        document["process"]["cwd"] = "/tmp/made/by/cwd"
    done = lab(lambda bundle: bundle.shell(
        "cat /proc/self/status; echo limit: $(ulimit -n) $(ulimit -Hn); echo cwd: $(pwd);"
        "echo score: $(cat /proc/self/oom_score_adj); echo fds:; ls /proc/$$/fd; :", changes))
    said = fields(done.output)
    assert done.status == 0, done.errors
    assert said["Uid"] == "\t".join(["1000"] * 4) and said["Gid"] == "\t".join(["1001"] * 4)
    assert said["Groups"].split() == ["5", "7"] and said["Umask"] == "0027"
    assert said["NoNewPrivs"] == "1" and said["SigIgn"] == said["SigBlk"] == "0" * 16
    assert said["CapInh"] == said["CapAmb"] == said["CapEff"] == said["CapPrm"] == "0" * 16
    assert int(said["CapBnd"], 16) == capabilities.mask(DEFAULT_CAPABILITIES)
    assert (said["limit"], said["cwd"], said["score"]) == ("33 44", "/tmp/made/by/cwd", "321")
    assert done.output.endswith("fds:\n0\n1\n2\n")


def test_a_limit_that_no_process_may_have_is_an_error(lab: Lab) -> None:
    document = config(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 2**40}])
    expected = "RLIMIT_NOFILE, hard limit %d: Operation not permitted. More than the host's" % (2**40)
    assert expected in lab(lambda bundle: refused(lambda: bundle.run(document)))
    document["linux"]["namespaces"].append({"type": "user"})  # in which the creator sets it
    assert expected in lab(lambda bundle: refused(lambda: bundle.run(document)))


def test_capabilities_of_root_in_all_five_sets(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["user"]["uid"] = 1000
        document["process"]["capabilities"] = {
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_KILL"], "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL", "CAP_MADE_UP"]}
    done = lab(lambda bundle: bundle.shell("cat /proc/self/status", changes))
    said = fields(done.output)
    kill_bit = capabilities.mask(["CAP_KILL"])
    assert int(said["CapBnd"], 16) == capabilities.mask(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"])
    assert int(said["CapInh"], 16) == capabilities.mask(["CAP_CHOWN", "CAP_KILL"])
    assert int(said["CapAmb"], 16) == int(said["CapEff"], 16) == int(said["CapPrm"], 16) == kill_bit


def test_an_added_process_is_inside_with_the_same_rights(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        out = str(bundle.folder / "exec-out")

        def add(_pid: int) -> None:
            process = exec_verb.process_like_init(
                bundle.state(), ["sh", "-c", "cat /proc/self/status; hostname; readlink /proc/self/cwd; ls /proc/$$/fd; exit 5"],
                cwd="/tmp", user={"uid": 1000, "gid": 1000}, env=["MORE=1"])
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            started = exec_verb.run(bundle.state(), process, stdout=handle, stderr=handle)
            os.close(handle)
            assert os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]) == 5
            os.close(started.pidfd)
            for broken in ({"args": ["nothing"]}, {"cwd": "/proc/self/fd/4"}, {"cwd": "/missing"}):
                with pytest.raises(EngineError, match="container 'c'"):
                    exec_verb.run(bundle.state(), {**process, **broken})
            kill.kill(bundle.state(), 9)
        assert bundle.run(config(args=["sleep", "100"]), while_running=add).status == -9
        return Path(out).read_text(encoding="ascii")
    text = lab(scenario)
    said = fields(text)
    assert said["Uid"].split()[0] == "1000" and said["CapEff"] == said["CapInh"] == "0" * 16
    assert text.endswith("inside\n/tmp\n0\n1\n2\n")


def test_a_terminal_of_its_own(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        ours, theirs = socket.socketpair()
        document = config(args=["sh", "-c", "test -t 0 && test -t 2 && echo on > /dev/console; echo off > /dev/tty; ls /dev/pts"],
                          terminal=True, consoleSize={"height": 12, "width": 34})
        made = create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup, console=theirs)
        theirs.close()
        _data, handles, _flags, _address = socket.recv_fds(ours, 64, 1)
        ours.close()
        size = struct.unpack("4H", fcntl.ioctl(handles[0], termios.TIOCGWINSZ, bytes(8)))
        start.start(bundle.state())
        said = b""
        while True:
            try:
                said += os.read(handles[0], 4096)
            except OSError:
                break
        os.close(handles[0])
        os.waitpid(made.pid, 0)
        os.close(made.pidfd)
        delete.delete(bundle.state())
        return said.decode(), size[:2]
    said, size = lab(scenario)
    assert size == (12, 34)
    assert said.split() == ["on", "off", "0", "ptmx"]


def test_a_terminal_needs_its_socket(lab: Lab) -> None:
    assert "process.terminal" in lab(lambda bundle: refused(lambda: bundle.run(config(terminal=True))))


def test_execution_domain_and_memory_policy(lab: Lab) -> None:
    """Of the first process and of one that is added."""
    script = "busybox uname -m; cat /proc/self/numa_maps | head -n 1"

    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["personality"] = {"domain": "LINUX32"}
        document["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}

    def scenario(bundle: Bundle) -> Any:
        def add(_pid: int) -> None:
            until(lambda: bundle.said("out").count("\n") == 2)
            out = os.open(str(bundle.folder / "added"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            started = exec_verb.run(bundle.state(), exec_verb.process_like_init(bundle.state(), ["sh", "-c", script]), stdout=out)
            os.close(out)
            os.waitpid(started.pid, 0)
            os.close(started.pidfd)
            kill.kill(bundle.state(), 9)
        return bundle.shell(script + "; sleep 100", changes, while_running=add).output, bundle.said("added")
    for said in lab(scenario):
        machine, policy = said.splitlines()
        assert machine == "i686" and policy.split()[1] == "bind:0", said


def test_priorities_and_scheduler(lab: Lab) -> None:
    """ioPriority and scheduler, asked of the kernel from outside (ioprio_get(2), sched_getattr(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    ioprio_get, sched_getattr = (252, 315) if os.uname().machine == "x86_64" else (31, 275)

    def scenario(bundle: Bundle) -> Any:
        seen = {}

        def look(pid: int) -> None:
            attributes = ctypes.create_string_buffer(48)
            libc.syscall(sched_getattr, pid, attributes, 48, 0)
            seen[pid] = (libc.syscall(ioprio_get, 1, pid), struct.unpack_from("=IIQi", attributes.raw)[1:])

        for class_name, level, policy in (("IOPRIO_CLASS_BE", 2, {"policy": "SCHED_BATCH", "nice": 7}),
                                          ("IOPRIO_CLASS_IDLE", 0, {"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]})):
            document = config(args=["sleep", "0.3"], ioPriority={"class": class_name, "priority": level}, scheduler=policy)
            assert bundle.run(document, while_running=look).status == 0
        document = config(args=["true"], scheduler={"policy": "SCHED_DEADLINE", "runtime": 42000, "deadline": 1000000,
                                                    "period": 1000000})
        document["linux"]["resources"] = {"cpu": {"cpus": "0"}}
        if (os.cpu_count() or 1) > 1:
            assert "linux.resources.cpu.cpus" in refused(lambda: bundle.run(document))
        return list(seen.values())
    batch, idle = lab(scenario)
    assert batch == (2 << 13 | 2, (3, 0, 7))
    assert idle[0] == 3 << 13 and idle[1][:2] == (5, 1)


def test_cpus_of_an_added_process(lab: Lab) -> None:
    """execCPUAffinity: the first process keeps its CPUs, an added one gets those of C(final)."""
    def scenario(bundle: Bundle) -> Any:
        said = []

        def add(_pid: int) -> None:
            for affinity in ({"initial": "0", "final": "1"}, {"initial": "0"}, {"final": "0-1"}):
                process = exec_verb.process_like_init(bundle.state(), ["grep", "Cpus_allowed_list", "/proc/self/status"],
                                                      execCPUAffinity=affinity)
                out = os.open(str(bundle.folder / "added"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                started = exec_verb.run(bundle.state(), process, stdout=out)
                os.waitpid(started.pid, 0)
                os.close(started.pidfd)
                os.close(out)
                said.append(bundle.said("added").split()[-1])
            bad = exec_verb.process_like_init(bundle.state(), ["true"], execCPUAffinity={"initial": "8191"})
            said.append(refused(lambda: exec_verb.run(bundle.state(), bad)))
            (bundle.root / "tmp" / "go").touch()
        done = bundle.run(config(args=["sh", "-c", "grep Cpus_allowed_list /proc/self/status;"
                                                   "until test -e /tmp/go; do sleep 0.1; done"],
                                 execCPUAffinity={"initial": "0", "final": "0"}), while_running=add)
        return done.output.split()[-1], said
    if os.sched_getaffinity(0) != {0, 1}:
        pytest.skip("the test needs exactly the CPUs 0 and 1")
    first, said = lab(scenario)
    assert first == "0-1" and said[:3] == ["1", "0", "0-1"]
    assert "process.execCPUAffinity" in said[3]


_PROFILE = """\
abi <abi/3.0>,
profile coracle-test-%(number)d flags=(attach_disconnected, mediate_deleted) {
  file,
  capability,
  signal,
  deny /tmp/forbidden w,
}
"""


def test_an_apparmor_profile_confines(lab: Lab, tmp_path: Path) -> None:
    if not os.path.exists("/sys/kernel/security/apparmor/.load"):
        pytest.skip("this kernel has no AppArmor; the virtual machine's has")
    name = "coracle-test-%d" % os.getpid()
    profile = tmp_path / "profile"
    profile.write_text(_PROFILE % {"number": os.getpid()}, encoding="ascii")
    subprocess.run(["apparmor_parser", "--replace", str(profile)], check=True)
    try:
        def changes(document: Dict[str, Any]) -> None:
            document["process"]["apparmorProfile"] = name

        def scenario(bundle: Bundle) -> Any:
            added = []

            def add(_pid: int) -> None:
                process = exec_verb.process_like_init(bundle.state(), ["sh", "-c", "touch /tmp/forbidden; exit 4"])
                out = os.open(str(bundle.folder / "added"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                started = exec_verb.run(bundle.state(), process, stderr=out)
                assert os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]) == 4
                os.close(started.pidfd)
                os.close(out)
                added.append(bundle.said("added"))
                (bundle.root / "tmp" / "go").touch()
            done = bundle.shell("cat /proc/self/attr/current; touch /tmp/allowed /tmp/forbidden;"
                                "until test -e /tmp/go; do sleep 0.1; done", changes, while_running=add)
            document = config()
            document["process"]["apparmorProfile"] = "coracle-test-missing"
            return done, added[0], refused(lambda: bundle.run(document))
        done, added, message = lab(scenario)
        assert done.output.split() == [name, "(enforce)"] and "denied" in done.errors, done
        assert "denied" in added
        assert "process.apparmorProfile" in message and "coracle-test-missing" in message
    finally:
        subprocess.run(["apparmor_parser", "--remove", str(profile)], check=True)
