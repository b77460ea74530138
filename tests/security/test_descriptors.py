# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors of the host: none reaches a container, and no path leads through one while it is set up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cli import oci_attend
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, exec as exec_verb, kill
from attacks import Ground, Refused, attempt
from waiting import until

HELD = 50
"""The number of a descriptor of the host's root that the creator has, so that the attacks need no luck."""
UP = "/.." * 8
"""From whatever folder a descriptor stands for to the root of the mounts that it belongs to."""


def hold() -> None:
    """Have that descriptor, which is not to be inherited."""
    handle = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.dup2(handle, HELD, inheritable=False)
    os.close(handle)


def search(ground: Ground) -> str:
    """A $PATH that leads to a program of the host, which no container can see, through any descriptor."""
    path = ground.folder / "canary"
    path.write_text("#!/bin/sh\nexit 77\n", encoding="ascii")
    path.chmod(0o755)
    return "PATH=" + ":".join("/proc/self/fd/%d%s%s" % (number, UP, ground.folder) for number in range(3, 80))


def added(ground: Ground, process: Any, **options: Any) -> int:
    """Run a process in the container that runs; its exit status."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        started = exec_verb.run(ground.bundle.state(), process, stdin=null, stdout=null, stderr=null, **options)
    finally:
        os.close(null)
    _pid, status = os.waitpid(started.pid, 0)
    os.close(started.pidfd)
    return os.waitstatus_to_exitcode(status)


def besides(ground: Ground, step: Callable[[], Any], **process: Any) -> Any:
    """What a step returns that is taken while a container runs."""
    result: List[Any] = []

    def look(_pid: int) -> None:
        result.append(step())
        kill.kill(ground.bundle.state(), 9)
    ground.run(ground.document(args=["sleep", "600"], **process), while_running=look)
    return result[0]


@pytest.mark.advisory("CVE-2024-21626", "GHSA-xr7r-f8xq-vfvv")
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_no_working_folder_through_a_descriptor_of_the_runtime(ground: Ground, verb: str) -> None:
    """process.cwd is /proc/self/fd/N, where N is a folder of the host that the runtime has open."""
    paths = ["/proc/self/fd/%d%s" % (HELD, more) for more in ("", UP, UP + str(ground.folder))]

    def scenario() -> Any:
        hold()
        if verb == "create":
            return [path for path in paths
                    if not isinstance(attempt(lambda: ground.run(ground.document(args=["true"], cwd=path))), Refused)]  # noqa: B023
        return besides(ground, lambda: [path for path in paths if not isinstance(attempt(lambda: added(
            ground, exec_verb.process_like_init(ground.bundle.state(), ["true"], cwd=path))), Refused)])  # noqa: B023
    assert ground.inside(scenario) == []


@pytest.mark.advisory("CVE-2024-21626")
@pytest.mark.parametrize("verb, wait", [("create", False), ("create", True), ("exec", False)])
def test_no_program_through_a_descriptor_of_the_runtime(ground: Ground, verb: str, wait: bool) -> None:
    """process.args[0] is /proc/self/fd/N/../PATH: marked descriptors are closed only after the path was followed."""
    env = [search(ground)]
    direct = "/proc/self/fd/%d%s%s/canary" % (HELD, UP, ground.folder)

    def scenario() -> Any:
        hold()
        if verb == "create":
            return [attempt(lambda: ground.run(ground.document(args=[name], env=env), wait=wait))  # noqa: B023
                    for name in ("canary", direct)]
        return besides(ground, lambda: [attempt(lambda: added(ground, exec_verb.process_like_init(
            ground.bundle.state(), [name], env=env))) for name in ("canary", direct)])  # noqa: B023
    tried = ground.inside(scenario)
    assert len(tried) == 2 and all(isinstance(each, Refused) for each in tried), tried


@pytest.mark.advisory("CVE-2016-9962")
def test_between_create_and_start_it_holds_nothing_of_the_host(ground: Ground) -> None:
    """Who shares its processes, and may look into them, finds pipes."""
    def scenario() -> List[str]:
        ground.give(ground.root)
        made = create.create(str(ground.bundle.folder), ground.bundle.state(), ground.document(args=["true"]),
                             cgroup=ground.bundle.cgroup, stdin=0, stdout=0, stderr=0)
        try:
            folder = "/proc/%d/fd" % made.pid
            until(lambda: len(os.listdir(folder)) <= 6)
            return [os.readlink(os.path.join(folder, each)) for each in os.listdir(folder) if int(each) > 2]
        finally:
            delete.delete(ground.bundle.state(), force=True)
            os.waitpid(made.pid, 0)
            os.close(made.pidfd)
    left = ground.inside(scenario)
    assert all(each.startswith("pipe:") or each.endswith(("/exec.fifo", "/exec.result", "/exec.fifo (deleted)"))
               for each in left), left


@pytest.mark.advisory("CVE-2016-9962")
def test_a_process_inside_learns_nothing_of_those_that_are_added(ground: Ground) -> None:
    """While a process is being added, it is neither looked into nor are its descriptors taken."""
    spy = """
    while :; do
        for each in /proc/[0-9]*; do
            case $each in /proc/$$|/proc/1) continue;; esac
            for link in $each/exe $each/cwd $each/root $each/fd/*; do
                seen=$(busybox readlink $link 2>/dev/null) || continue
                case $seen in /bin/busybox|/|/tmp|pipe:*|/dev/null|/proc/*|"") ;; *) echo "$link $seen";; esac
            done
            busybox tr '\\0' ' ' < $each/environ 2>/dev/null | grep -i secret
        done
    done"""

    def scenario() -> str:
        os.environ["SECRET_OF_THE_HOST"] = "secret"

        def add(_pid: int) -> None:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                added(ground, exec_verb.process_like_init(ground.bundle.state(), ["true"]))
            kill.kill(ground.bundle.state(), 9)
        document = ground.document(args=["sh", "-c", spy])
        if ground.mapped:  # its power over processes ends at the user namespace, to which the runtime's memory is a stranger
            for kind in ("bounding", "effective", "permitted"):
                document["process"]["capabilities"][kind] = [*document["process"]["capabilities"][kind], "CAP_SYS_PTRACE"]
        return ground.run(document, while_running=add).output
    assert ground.inside(scenario) == ""


@pytest.mark.advisory("CVE-2016-9962")
def test_only_the_descriptors_that_were_asked_for_are_inherited(ground: Ground) -> None:
    """Inheritable ones of the creator are not, whatever their numbers."""
    def scenario() -> str:
        for _each in range(20):
            os.set_inheritable(os.open("/", os.O_RDONLY), True)
        os.dup2(os.open(str(ground.folder), os.O_RDONLY), 900, inheritable=True)
        return ground.run(ground.document(args=["sh", "-c", "for each in /proc/self/fd/*; do busybox readlink $each; done"])).output
    seen = ground.inside(scenario).splitlines()
    assert len(seen) <= 4 and not [each for each in seen if each == "/" or each == str(ground.folder)], seen


@pytest.mark.parametrize("verb", ["create", "exec"])
def test_the_null_device_of_the_host_cannot_be_changed_through_a_stream(plain: Ground, verb: str) -> None:
    """Root inside sets mode and owner of what its standard input is: were it the host's device, for the whole host."""
    code = ("import os, stat, sys\nmode = stat.S_IMODE(os.fstat(0).st_mode)\n"
            "try:\n    os.fchmod(0, mode)\n    os.fchown(0, 0, 0)\nexcept OSError as error:\n    sys.exit(error.errno)\n")

    def scenario() -> int:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        if verb == "create":
            made = create.create(str(plain.bundle.folder), plain.bundle.state(), plain.program(code), wait=False,
                                 stdin=null, stdout=null, stderr=null, cgroup=plain.bundle.cgroup)
            _pid, status = os.waitpid(made.pid, 0)
            os.close(made.pidfd)
            delete.delete(plain.bundle.state())
            return os.waitstatus_to_exitcode(status)
        result: List[int] = []

        def look(_pid: int) -> None:
            process = exec_verb.process_like_init(plain.bundle.state(), ["/usr/bin/python3", "-IS", "-c", code])
            result.append(added(plain, process))
            kill.kill(plain.bundle.state(), 9)
        document = plain.program("")
        document["process"]["args"] = ["sleep", "60"]
        plain.run(document, while_running=look)
        return result[0]
    assert plain.inside(scenario) == 30  # EROFS


def test_a_tool_that_asks_for_too_many_descriptors_passes_on_none_of_the_runtimes(plain: Ground) -> None:
    """--preserve-fds counts more than there are: the runtime's own descriptors have those numbers."""
    def scenario() -> Any:
        refused = attempt(lambda: plain.run(plain.document(args=["canary"], env=[search(plain)]), preserved=60))
        script = "for each in /proc/self/fd/*; do busybox readlink $each; done"
        return isinstance(refused, Refused), plain.run(plain.document(args=["sh", "-c", script]), preserved=60).output
    refused, seen = plain.inside(scenario)
    links: List[str] = seen.splitlines()
    assert refused and not [each for each in links if each in ("/", "/proc") or Path(each).is_dir()], links


def attended(ground: Ground, words: List[str], out: int) -> int:
    """The number of a fork that runs a program in the container and shows its terminal on a descriptor, as C(coracle exec -t)."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.closerange(3, 1000)
            process = exec_verb.process_like_init(ground.bundle.state(), words, terminal=True)
            terminal = oci_attend.Terminal()
            started = exec_verb.run(ground.bundle.state(), process, socket=terminal.theirs)
            status = oci_attend.attend(started.pid, started.pidfd, terminal)
        finally:
            os._exit(status)
    return pid


@pytest.mark.advisory("CVE-2022-31030", "CVE-2022-1708", "CVE-2022-23471")
def test_an_added_process_that_writes_without_end_fills_no_memory(plain: Ground) -> None:
    """What it writes to its terminal waits there till the caller has read it."""
    def peak(pid: int) -> int:
        text = Path("/proc/%d/status" % pid).read_text(encoding="ascii")
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")))

    def step() -> Any:
        source, target = os.pipe()
        pid = attended(plain, ["busybox", "yes", "0123456789abcdef" * 8], target)
        os.close(target)
        first = len(os.read(source, 1))
        begin, seen = peak(pid), first
        while seen < 48 << 20:
            seen += len(os.read(source, 1 << 20))
        end = peak(pid)
        os.close(source)  # the caller has had enough: so has the command
        os.waitpid(pid, 0)
        return begin, end
    begin, end = plain.inside(lambda: besides(plain, step))
    assert end - begin < 16 << 10, (begin, end)  # kB


@pytest.mark.advisory("CVE-2025-64329")
def test_processes_that_come_and_go_leave_no_descriptor(plain: Ground) -> None:
    """Thirty with terminals, thirty that fail: who adds them holds what it held before."""
    def step() -> Any:
        import socket
        before = len(os.listdir("/proc/self/fd"))
        for number in range(30):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                process = exec_verb.process_like_init(plain.bundle.state(), ["true"], terminal=True)
                started = exec_verb.run(plain.bundle.state(), process, socket=theirs)
                _data, rights, _flags, _address = ours.recvmsg(64, socket.CMSG_SPACE(4))
                os.close(int.from_bytes(rights[0][2][:4], "little"))
            os.waitpid(started.pid, 0)
            os.close(started.pidfd)
            assert isinstance(attempt(lambda: exec_verb.run(plain.bundle.state(), exec_verb.process_like_init(
                plain.bundle.state(), ["missing-%d" % number]))), Refused)  # noqa: B023
        return before, len(os.listdir("/proc/self/fd"))
    before, after = plain.inside(lambda: besides(plain, step))
    assert after == before
