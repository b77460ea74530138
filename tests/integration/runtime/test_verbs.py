# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What callers of runc rely on in single verbs of the command line, beyond the life of one container."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Sequence

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import hierarchy
from bundles import Bundle, config
from hosts import Host
from waiting import until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
V2 = hierarchy.discover().kind == "v2"


@pytest.fixture
def bundle(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Bundle:
    return Bundle(tmp_path / "bundle", "%s/%s" % (shared_host.cgroup_root, request.node.name))


@pytest.fixture
def coracle(shared_host: Host, bundle: Bundle, program: Path) -> Iterator[Run]:
    """Call the command with a root of its own; a container that stays gets no stream of the test's."""
    root = bundle.folder / "oci"

    def call(*words: Any, check: bool = True, stays: bool = False, ahead: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
        silent = ["sh", "-c", 'exec "$@" > /dev/null 2>&1 < /dev/null', "-"] if stays else []
        done = shared_host.run([*silent, *ahead, program, "--root", root, *words], check=False)
        assert not check or done.returncode == 0, done
        return done
    yield call
    for name in os.listdir(root) if root.exists() else []:
        call("delete", "--force", name)


def start(coracle: Run, bundle: Bundle, changes: Callable[[Dict[str, Any]], Any] = lambda document: None, *options: Any) -> int:
    """Run a container that stays; the number of its first process."""
    document = config(args=["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"])
    document["linux"]["cgroupsPath"] = bundle.cgroup
    changes(document)
    bundle.write(document)
    coracle("run", "-d", "-b", bundle.folder, *options, "c", stays=True)
    return int(json.loads(coracle("state", "c").stdout)["pid"])


def await_status(coracle: Run, wanted: str) -> None:
    until(lambda: json.loads(coracle("state", "c").stdout)["status"] == wanted)


def test_options_may_follow_the_id_but_not_the_command(coracle: Run, bundle: Bundle) -> None:
    start(coracle, bundle)
    coracle("update", "c", "--pids-limit", "77", "--memory", "64M")
    told = json.loads(coracle("events", "c", "--stats").stdout)["data"]
    assert (told["pids"]["limit"], told["memory"]["usage"]["limit"]) == (77, 64 << 20)
    assert coracle("exec", "c", "echo", "--detach", "-t").stdout == "--detach -t\n"
    coracle("delete", "c", "--force")


def test_a_paused_container_takes_a_process_only_if_told(coracle: Run, bundle: Bundle) -> None:
    start(coracle, bundle)
    coracle("pause", "c")
    refused = coracle("exec", "c", "true", check=False)
    assert refused.returncode == 255 and "cannot exec in a paused container" in refused.stderr
    coracle("resume", "c")
    assert coracle("exec", "--ignore-paused", "c", "echo", "here").stdout == "here\n"


def test_kill_ends_what_outlives_the_first_process(coracle: Run, bundle: Bundle) -> None:
    """Without a PID namespace nothing ends with it."""
    def shared(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"] = [each for each in document["linux"]["namespaces"] if each["type"] != "pid"]
    start(coracle, bundle, shared)
    coracle("exec", "-d", "c", "sleep", "1000", stays=True)
    coracle("kill", "c", "TERM")
    await_status(coracle, "stopped")
    assert coracle("kill", "c", "0", check=False).returncode == 1
    assert len(json.loads(coracle("ps", "--format", "json", "c").stdout)) == 1
    coracle("kill", "c", "KILL")
    assert json.loads(coracle("ps", "--format", "json", "c").stdout) == []
    assert "container not running" in coracle("kill", "c", "KILL", check=False).stderr


def test_a_created_container_ends_by_a_signal(coracle: Run, bundle: Bundle) -> None:
    document = config(args=["true"])
    document["linux"]["cgroupsPath"] = bundle.cgroup
    bundle.write(document)
    coracle("create", "-b", bundle.folder, "c", stays=True)
    coracle("kill", "c", "TERM")
    await_status(coracle, "stopped")
    coracle("delete", "c")


@pytest.mark.skipif(V2, reason="of cgroup v1 alone")
def test_exec_into_groups_below_by_controller(coracle: Run, bundle: Bundle, shared_host: Host) -> None:
    pid = start(coracle, bundle)
    for controller in ("pids", "memory"):
        shared_host.shell("mkdir /sys/fs/cgroup/%s%s/below" % (controller, bundle.cgroup))
    coracle("exec", "-d", "--cgroup", "pids,memory:below", "--pid-file", bundle.folder / "pid", "c", "sleep", "1000", stays=True)
    inside = shared_host.shell("cat /proc/%s/cgroup" % (bundle.folder / "pid").read_text(encoding="ascii"))
    paths = dict(line.split(":")[1:] for line in inside.splitlines())
    assert paths["pids"] == paths["memory"] == bundle.cgroup + "/below" and paths["cpu"] == bundle.cgroup, pid
    for group, word in (("..", "bad sub cgroup path"), ("nothing:x", "unknown controller"), ("pids:missing", "adding pid")):
        assert word in coracle("exec", "--cgroup", group, "c", "true", check=False).stderr


@pytest.mark.skipif(not V2, reason="of cgroup v2 alone")
def test_exec_where_the_container_has_groups_of_its_own(coracle: Run, bundle: Bundle, shared_host: Host) -> None:
    """A group that gives its controllers to groups below holds no process itself: the process joins the first one's."""
    pid = start(coracle, bundle, lambda document: document["linux"].update(resources={"pids": {"limit": 100}}))
    group = "/sys/fs/cgroup%s" % bundle.cgroup
    shared_host.shell("mkdir %s/leaf; echo %d > %s/leaf/cgroup.procs" % (group, pid, group))
    # What the program had started before it was moved ends by itself; until then the group gives nothing to those below.
    until(lambda: shared_host.run(["sh", "-c", "echo +pids > %s/cgroup.subtree_control" % group], check=False).returncode == 0)
    coracle("exec", "-d", "--pid-file", bundle.folder / "pid", "c", "sleep", "1000", stays=True)
    inside = shared_host.shell("cat /proc/%s/cgroup" % (bundle.folder / "pid").read_text(encoding="ascii"))
    assert inside.strip().endswith("/leaf")


def test_a_group_in_use_or_frozen_is_refused(coracle: Run, bundle: Bundle, shared_host: Host) -> None:
    start(coracle, bundle)
    assert "cgroup is not empty" in coracle("create", "-b", bundle.folder, "d", check=False).stderr
    coracle("delete", "-f", "c")
    folder = "/sys/fs/cgroup%s%s" % ("" if V2 else "/freezer", bundle.cgroup)
    shared_host.shell("mkdir -p %s; echo %s > %s/%s" % (
        (folder, "1", folder, "cgroup.freeze") if V2 else (folder, "FROZEN", folder, "freezer.state")))
    assert "cgroup unexpectedly frozen" in coracle("create", "-b", bundle.folder, "d", check=False).stderr
    shared_host.shell("rmdir " + folder)


def test_cpus_are_not_those_of_the_caller(coracle: Run, bundle: Bundle) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU here")
    start(coracle, bundle)
    own = "grep Cpus_allowed_list /proc/self/status"
    assert coracle("exec", "c", "sh", "-c", own, ahead=["taskset", "-c", "0"]).stdout.split()[-1] != "0"


def test_debug_messages_and_warnings_go_to_the_log(coracle: Run, bundle: Bundle, program: Path, shared_host: Host) -> None:
    def ambient(document: Dict[str, Any]) -> None:
        document["process"]["capabilities"]["ambient"] = ["CAP_CHOWN"]
        document["process"]["args"] = ["true"]
    start(coracle, bundle, ambient)
    coracle("delete", "-f", "c")
    log = bundle.folder / "log"
    done = shared_host.run([program, "--root", bundle.folder / "oci", "--debug", "--log", log, "--log-format", "json", "run",
                            "-b", bundle.folder, "c"])
    said = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert done.stderr == "" and {each["level"] for each in said} == {"debug", "warning"}
    assert any("can't raise ambient capability CAP_CHOWN" in each["msg"] for each in said)
    told = shared_host.run([program, "--debug", "--root", bundle.folder / "oci", "state", "nothing"], check=False).stderr
    assert "level=debug" in told and "level=error" in told and "container does not exist" in told


def test_update_leaves_rules_of_devices_alone(coracle: Run, bundle: Bundle, tmp_path: Path) -> None:
    """As runc it does not even look at them; what stands beside them holds."""
    start(coracle, bundle)
    wanted = tmp_path / "wanted.json"
    wanted.write_text('{"devices": [{"allow": false, "access": "rwa"}], "pids": {"limit": 20}}', encoding="ascii")
    coracle("update", "--resources", wanted, "c")
    assert json.loads(coracle("events", "--stats", "c").stdout)["data"]["pids"]["limit"] == 20
    assert coracle("exec", "c", "sh", "-c", "echo x > /dev/null && echo written").stdout == "written\n"
