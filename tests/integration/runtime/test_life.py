# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of containers of the runtime: their states, verbs in every order, failures, and that nothing stays."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, EngineError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, exec as exec_verb, kill, start, state
from bundles import Bundle, Lab, config, refused
from waiting import until


def test_a_program_runs_and_its_exit_status_comes_back(lab: Lab) -> None:
    done = lab(lambda bundle: bundle.shell("echo out; echo err >&2; cat; exit 7", given=b"given"))
    assert done == (7, "out\ngiven", "err\n")


def test_without_waiting_it_runs_at_once(lab: Lab) -> None:
    assert lab(lambda bundle: bundle.shell("echo here; exit 3", wait=False)) == (3, "here\n", "")


@pytest.mark.parametrize(("change", "stage"), [
    ({"args": ["/bin/nothing"]}, "process.args"),
    ({"args": ["nothing"]}, "process.args"),
    ({"args": ["/etc/passwd"]}, "process.args"),
    ({"cwd": "/bin/busybox"}, "process.cwd"),
    ({"cwd": "/proc/self/fd/7"}, "process.cwd"),
])
def test_a_failure_in_the_child_is_one_error_and_leaves_nothing(lab: Lab, change: Dict[str, Any], stage: str) -> None:
    def scenario(bundle: Bundle) -> None:
        for wait in (True, False):
            with pytest.raises(EngineError) as caught:
                bundle.run(config(**change), wait=wait)
            assert caught.value.facts["stage"] == stage
            assert caught.value.facts["errno"]
    lab(scenario)


def test_states_and_verbs_in_every_order(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        where = bundle.state()
        for verb in (state.state, start.start, delete.delete):
            with pytest.raises(NotFound):
                verb(where)
        made = create.create(str(bundle.folder), where, config(args=["sleep", "100"]), cgroup=bundle.cgroup)
        assert stat.S_IMODE(os.stat(where).st_mode) == 0o700
        now = state.state(where)
        assert (now["status"], now["pid"], now["id"], now["bundle"]) == ("created", made.pid, "c", str(bundle.folder))
        with pytest.raises(Conflict, match="exists"):
            create.create(str(bundle.folder), where, config())
        with pytest.raises(Conflict, match="holds processes"):
            create.create(str(bundle.folder), bundle.state("other"), config(), cgroup=bundle.cgroup)
        start.start(where)
        assert state.state(where)["status"] == "running"
        with pytest.raises(Conflict):
            start.start(where)
        with pytest.raises(Conflict):
            delete.delete(where)
        group.freeze(bundle.cgroup)
        assert state.state(where)["status"] == "paused"
        group.thaw(bundle.cgroup)
        assert made.pid in group.processes(bundle.cgroup)
        kill.kill(where, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(made.pid, 0)[1]) == -signal.SIGKILL
        os.close(made.pidfd)
        assert "pid" not in state.state(where) and state.state(where)["status"] == "stopped"
        with pytest.raises(Conflict):
            kill.kill(where, signal.SIGTERM)
        with pytest.raises(Conflict):
            start.start(where)
        delete.delete(where)
    lab(scenario)


def test_force_deletes_what_runs(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        made = create.create(str(bundle.folder), bundle.state(), config(args=["sleep", "100"]), cgroup=bundle.cgroup)
        start.start(bundle.state())
        group.freeze(bundle.cgroup)
        delete.delete(bundle.state(), force=True)
        os.waitpid(made.pid, 0)
        os.close(made.pidfd)
    lab(scenario)


def test_a_creator_killed_between_create_and_start_leaves_a_container_that_another_starts(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        creator = os.fork()
        if creator == 0:
            create.create(str(bundle.folder), bundle.state(), config(args=["sh", "-c", "echo on > /tmp/said"]),
                          cgroup=bundle.cgroup)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(creator, 0)
        assert state.state(bundle.state())["status"] == "created"
        start.start(bundle.state())
        until(lambda: state.state(bundle.state())["status"] == "stopped")
        assert (bundle.root / "tmp" / "said").read_text(encoding="ascii") == "on\n"
        delete.delete(bundle.state())
    lab(scenario)


@pytest.mark.parametrize("users", [False, True])
def test_a_creator_killed_within_create_takes_the_child_with_it(lab: Lab, users: bool) -> None:
    """What it could not clear away goes with the container: the state, and device nodes that were not mounted yet."""
    def scenario(bundle: Bundle) -> None:
        document = config(args=["sleep", "100"])
        if users:
            document["linux"]["namespaces"].append({"type": "user"})
            document["linux"]["devices"] = [{"path": "/dev/own", "type": "c", "major": 1, "minor": 5}]
        document["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]}
        creator = os.fork()
        if creator == 0:
            create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(creator, 0)[1]) == -signal.SIGKILL
        until(lambda: not group.processes(bundle.cgroup))
        assert state.state(bundle.state())["status"] == "creating"
        assert os.path.exists(bundle.state() + "/device0") == users
        delete.delete(bundle.state())
    lab(scenario)


def test_an_init_that_reaps_and_forwards(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        def stop(pid: int) -> None:
            until(lambda: "ready" in bundle.said("out"))
            kill.kill(bundle.state(), signal.SIGTERM)
        return bundle.shell("(sleep 0.05 &) ; trap 'echo got; exit 9' TERM; ps; cat /proc/1/environ | wc -c; echo ready;"
                            "while :; do sleep 0.02; done", while_running=stop, init=True)
    done = lab(scenario)
    assert done.status == 9 and "got" in done.output
    assert "coracle-init" in done.output and "python" not in done.output


def test_threads_of_the_caller_do_not_disturb(lab: Lab) -> None:
    """Threads that hold the allocator's locks while the process is cloned, in create and in exec."""
    def scenario(bundle: Bundle) -> Any:
        end = threading.Event()

        def work() -> None:
            while not end.is_set():
                _held = [bytearray(200000) for _each in range(20)]
                time.sleep(0)
        others = [threading.Thread(target=work) for _each in range(2)]
        for each in others:
            each.start()
        added = []

        def add(_pid: int) -> None:
            started = exec_verb.run(bundle.state(), exec_verb.process_like_init(bundle.state(), ["sh", "-c", "exit 6"]))
            added.append(os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]))
            os.close(started.pidfd)
            kill.kill(bundle.state(), signal.SIGKILL)
        try:
            return [bundle.shell("exit 4").status for _each in range(5)], bundle.shell("sleep 9", while_running=add).status, added
        finally:
            end.set()
            for each in others:
                each.join()
    assert lab(scenario) == ([4] * 5, -signal.SIGKILL, [6])


def test_many_after_one_another_leave_nothing(lab: Lab) -> None:
    assert lab(lambda bundle: [bundle.shell("exit 1", wait=bool(number % 2)).status for number in range(20)]) == [1] * 20


def test_what_this_kernel_or_runtime_lacks_is_said_before_anything_is_made(lab: Lab) -> None:
    cases = [("linux", "intelRdt", {"closID": "x"}), ("linux", "memoryPolicy", {"mode": "MPOL_NEVER"}),
             ("linux", "personality", {"domain": "LINUX", "flags": ["X"]})]
    if not os.path.exists("/sys/module/apparmor/parameters/enabled"):
        cases.append(("process", "apparmorProfile", "docker-default"))
    if not os.path.exists("/sys/fs/selinux/enforce"):
        cases += [("process", "selinuxLabel", "a:b:c:s0"), ("linux", "mountLabel", "a:b:c:s0")]

    def scenario(bundle: Bundle) -> None:
        for part, member, value in cases:
            document = config()
            document[part][member] = value
            assert "%s.%s" % (part, member) in refused(lambda: bundle.run(document))  # noqa: B023
            assert not (bundle.states / "c").exists()
    lab(scenario)
