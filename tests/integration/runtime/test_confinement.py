# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel keeps a container's processes from: limits, devices, system calls."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import exec as exec_verb
from bundles import DEFAULT_CAPABILITIES, Bundle, Lab, config, fields, refused
from waiting import until


def test_limits_hold(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 9}}

    def scenario(bundle: Bundle) -> Any:
        seen = {}
        bundle.shell("sleep 0.3", changes, while_running=lambda _pid: seen.update(limits=group.read(bundle.cgroup)))
        return seen["limits"]
    limits = lab(scenario)
    assert (limits.memory_max, limits.pids_max) == (64 << 20, 9)


def test_a_device_that_no_rule_allows_cannot_be_opened(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["devices"] = [{"path": "/dev/kmsg2", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666},
                                        {"path": "/dev/deep/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600,
                                         "uid": 3, "gid": 4}]
    done = lab(lambda bundle: bundle.shell("stat -c '%a %u %g' /dev/deep/zero /dev/kmsg2; head -c 1 /dev/zero | wc -c;"
                                           "head -c 1 /dev/kmsg2", changes))
    assert done.output.splitlines()[:3] == ["600 3 4", "666 0 0", "1"]
    assert "not permitted" in done.errors


def test_a_filter_holds_with_and_without_new_privileges(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        found = []
        for quiet in (True, False):
            document = config(args=["sh", "-c", "mkdir /tmp/x; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"])
            document["process"]["noNewPrivileges"] = quiet
            document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
            found.append(bundle.run(document))
        return found
    for number, done in enumerate(lab(scenario)):
        assert "No space left" in done.errors
        assert fields(done.output) == {"Seccomp": "2", "NoNewPrivs": str(1 - number)}


def test_the_default_profile_runs_programs_and_stops_namespaces(lab: Lab) -> None:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import seccomp_default

    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["seccomp"] = seccomp_default.section(DEFAULT_CAPABILITIES)
    done = lab(lambda bundle: bundle.shell("ls / | wc -l; (echo a; echo b) | grep b; id -u; mount -t tmpfs x /tmp", changes))
    assert done.output.splitlines()[1:] == ["b", "0"] and "permission denied" in done.errors


@pytest.mark.parametrize("quiet", [True, False])
def test_an_agent_decides_on_system_calls(lab: Lab, tmp_path: Path, quiet: bool) -> None:
    """SCMP_ACT_NOTIFY: the agent gets the listener with the state, and its verdict is what the program sees."""
    where = tmp_path / ("long" * 20) / "agent.sock"
    where.parent.mkdir()

    def agent(listening: socket.socket, states: List[Any]) -> None:
        for _process in range(2):
            link, _address = listening.accept()
            message, handles, _flags, _sender = socket.recv_fds(link, 65536, 2)
            assert link.recv(1) == b"" and len(handles) == 1
            link.close()
            states.append(json.loads(message))
            threading.Thread(target=answer, args=(handles[0],)).start()

    def answer(handle: int) -> None:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        while poller.poll(5000)[0][1] & select.POLLIN:
            request = bytearray(80)  # struct seccomp_notif
            fcntl.ioctl(handle, 0xC0502100, request, True)  # SECCOMP_IOCTL_NOTIF_RECV
            identity, _pid, _flags, number = struct.unpack_from("<QIIi", request)
            refuse = number in (83, 258, 34)  # mkdir, mkdirat; the latter on aarch64
            fcntl.ioctl(handle, 0xC0182101, struct.pack("<QqiI", identity, 0, -122 if refuse else 0, 0 if refuse else 1))
        os.close(handle)

    def scenario(bundle: Bundle) -> Any:
        states: List[Any] = []
        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(where.parent)
            listening.bind(where.name)
            listening.listen()
            thread = threading.Thread(target=agent, args=(listening, states))
            thread.start()

            def changes(document: Dict[str, Any]) -> None:
                document["process"]["noNewPrivileges"] = quiet
                document["annotations"] = {"a": "b"}
                document["linux"]["seccomp"] = {
                    "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(where), "listenerMetadata": "for the agent",
                    "flags": ["SECCOMP_FILTER_FLAG_TSYNC"],
                    "syscalls": [{"names": ["mkdir", "mkdirat", "write", "close"], "action": "SCMP_ACT_NOTIFY"}]}

            def add(_pid: int) -> None:
                process = exec_verb.process_like_init(bundle.state(), ["sh", "-c", "mkdir /tmp/y; exit 9"])
                out = os.open(str(bundle.folder / "added"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                started = exec_verb.run(bundle.state(), process, stderr=out)
                assert os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]) == 9
                os.close(started.pidfd)
                os.close(out)
                (bundle.root / "tmp" / "go").touch()
            done = bundle.shell("mkdir /tmp/x; until test -e /tmp/go; do sleep 0.1; done; exit 8", changes, while_running=add)
            thread.join()
            until(lambda: threading.active_count() == 1)
        return done, states, bundle.said("added")
    done, states, added = lab(scenario)
    assert done.status == 8 and "quota exceeded" in done.errors.lower() and "quota exceeded" in added.lower()
    for each in states:
        assert each["fds"] == ["seccompFd"] and each["metadata"] == "for the agent" and each["pid"] > 1
        assert each["state"]["id"] == "c" and each["state"]["annotations"] == {"a": "b"}
    assert states[0]["state"]["status"] == "creating" and states[0]["state"]["pid"] == states[0]["pid"]
    assert states[1]["state"]["status"] == "running" and states[1]["state"]["pid"] != states[1]["pid"]


def test_an_agent_that_is_not_there_is_an_error(lab: Lab, tmp_path: Path) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(tmp_path / "nobody"),
                                        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}
    message = lab(lambda bundle: refused(lambda: bundle.shell("true", changes)))
    assert "linux.seccomp.listenerPath" in message and "No such file" in message


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_a_filter_may_be_older_than_the_calls_of_the_set_up(lab: Lab, no_new_privileges: bool, init: bool) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["noNewPrivileges"] = no_new_privileges
        document["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
        document["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{
                "names": ["close_range", "openat2", "open_tree", "move_mount", "mount_setattr", "faccessat2"],
                "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
    done = lab(lambda bundle: bundle.shell("echo here", changes, init=init))
    assert (done.status, done.output) == (0, "here\n"), done.errors
