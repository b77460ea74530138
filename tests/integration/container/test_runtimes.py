# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that another runtime runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict

import busybox
import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import hierarchy
from hosts import Host
from waiting import until

RUNTIMES = [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason="%s is not installed here" % name))
            for name in ("runc", "crun")]
V2 = hierarchy.discover().kind == "v2"
LIMIT = "/sys/fs/cgroup%s/c/memory.max" if V2 else "/sys/fs/cgroup/memory%s/c/memory.limit_in_bytes"
Run = Callable[..., Dict[str, Any]]


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """A host with an image, whose cgroups every runtime accepts."""
    host = new_host()
    # Debian's crun refuses a hybrid host whose unified hierarchy has controllers; without it, it is a v1 host to all.
    host.shell("! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified")
    (host.folder / "box.tar").write_bytes(busybox.tar())
    host.module("container_image", name="box:1", source=str(host.folder / "box.tar"))
    return host


@pytest.fixture
def run(machine: Host) -> Any:
    """Converge the container C(c) with defaults that suit a test; it is removed afterwards."""
    def call(**options: Any) -> Dict[str, Any]:
        options = {"name": "c", "image": "box:1", "network_mode": "none", "stop_timeout": "2s", **options}
        return machine.module("container_run", **options)
    yield call
    machine.module("container_run", name="c", state="absent")
    assert machine.shell("find /run/coracle -path '*c*' -name external.json") == ""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_life_and_limits(machine: Host, run: Run, runtime: str) -> None:
    given = {"command": ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"], "memory": "64m", "runtime": runtime,
             "stop_timeout": "120s"}
    assert run(**given)["changed"]
    assert not run(**given)["changed"]
    state = json.loads(machine.shell("cat /run/coracle/containers/c/runtime/external.json"))
    assert state["program"].endswith("/" + runtime)
    listed = json.loads(machine.shell("%s --root /run/coracle/containers/c/runtime/root state c" % runtime))
    assert listed["status"] == "running"
    path = LIMIT % machine.cgroup_root
    assert int(machine.shell("cat " + path)) == 64 << 20

    changed = run(**{**given, "memory": "96m"})
    assert [each["disruption"] for each in changed["actions"]] == ["live"]
    assert listed["pid"] == json.loads(machine.shell("%s --root /run/coracle/containers/c/runtime/root state c" % runtime))["pid"]
    assert int(machine.shell("cat " + path)) == 96 << 20
    machine.shell("echo %d > %s" % (80 << 20, path))
    drift = machine.module("container_run", check_mode=True, name="c", image="box:1", network_mode="none",
                           **{**given, "memory": "96m"})
    assert drift["changed"]
    assert run(**{**given, "memory": "96m"})["changed"] and int(machine.shell("cat " + path)) == 96 << 20

    given["memory"] = "96m"
    assert run(**given, state="paused")["changed"]
    assert json.loads(machine.shell("%s --root /run/coracle/containers/c/runtime/root state c" % runtime))["status"] == "paused"
    assert not run(**given, state="paused")["changed"]
    assert run(**given)["changed"]
    assert run(**given, state="stopped")["changed"]
    status = json.loads(machine.shell("cat /var/lib/coracle/containers/c/status.json"))
    assert (status["status"], status["exit_code"]) == ("exited", 7)
    assert "up" in machine.shell("cat /var/lib/coracle/containers/c/container.log")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_it_says_of_a_failure_is_the_error_and_nothing_stays(machine: Host, runtime: str) -> None:
    failed = machine.module("container_run", name="none", image="box:1", network_mode="none", command=["/no/such/program"],
                            runtime=runtime, fail=True)
    assert runtime in failed["msg"] and "/no/such/program" in failed["msg"]
    machine.module("container_run", name="none", state="absent")
    left = " ".join("/sys/fs/cgroup%s%s/none" % (below, machine.cgroup_root) for below in ("", "/memory", "/pids", "/devices"))
    assert machine.shell("ls -d %s 2>/dev/null || true" % left) == ""


def fake(folder: Path, features: Any) -> str:
    """A runtime that only tells its features, and fails whoever lets it do more."""
    path = folder / "runtime"
    path.write_text("#!/bin/sh\nif [ \"$1\" = features ]; then cat <<'END'\n%s\nEND\nelse echo \"$@\" >> %s/called; exit 1; fi\n"
                    % (json.dumps(features), folder), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("features, options, word", [
    ({"ociVersionMax": "1.0.2", "linux": {"seccomp": {"enabled": False}}}, {}, "seccomp"),
    ({"ociVersionMax": "1.0.2", "linux": {"namespaces": ["mount", "pid", "network", "uts", "cgroup"], "seccomp": {"enabled": True}}},
     {}, "a ipc namespace"),
    ({"ociVersionMax": "1.0.2", "linux": {"cgroup": {"v1": V2, "v2": not V2}, "seccomp": {"enabled": True}}}, {},
     "cgroup v2" if V2 else "cgroup v1"),
    ({"ociVersionMax": "1.0.0", "linux": {"seccomp": {"enabled": True}}}, {}, "version 1.0.2"),
])
def test_what_it_cannot_do_is_an_error_before_anything_starts(machine: Host, tmp_path: Path, features: Any, options: Dict[str, Any],
                                                              word: str) -> None:
    program = fake(tmp_path, features)
    failed = machine.module("container_run", name="never", image="box:1", network_mode="none", command=["true"], runtime=program,
                            fail=True, **options)
    assert word in failed["msg"] and "runtime" in failed["msg"]
    assert not (tmp_path / "called").exists()
    assert machine.shell("ls /var/lib/coracle/containers 2>/dev/null || true") == ""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_first_process_of_the_host(machine: Host, run: Run, runtime: str) -> None:
    if not shutil.which("catatonit"):
        pytest.skip("catatonit is not installed here")
    given = {"command": ["sh", "-c", "trap 'exit 6' TERM; tr '\\0' ' ' < /proc/1/cmdline > /told; while :; do sleep 0.1; done"],
             "runtime": runtime, "init": True, "stop_timeout": "120s"}
    assert run(**given)["changed"] and not run(**given)["changed"]
    pid = json.loads(machine.shell("%s --root /run/coracle/containers/c/runtime/root state c" % runtime))["pid"]
    machine.shell("until grep -q . /proc/%d/root/told; do sleep 0.1; done" % pid)
    assert machine.shell("cat /proc/%d/root/told" % pid).startswith("/dev/init -- sh -c")
    assert run(**given, state="stopped")["changed"]
    assert json.loads(machine.shell("cat /var/lib/coracle/containers/c/status.json"))["exit_code"] == 6
    machine.shell("mount --bind /dev/null %s" % shutil.which("catatonit"))
    try:
        failed = machine.module("container_run", name="never", image="box:1", network_mode="none", command=["true"], fail=True,
                                runtime=runtime, init=True)
    finally:
        machine.shell("umount %s" % shutil.which("catatonit"))
    assert "'init'" in failed["msg"] and "Install the package catatonit or tini" in failed["msg"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_terminal(run: Run, runtime: str) -> None:
    assert run(command=["sh", "-c", "test -t 0 && echo a terminal"], runtime=runtime, tty=True, detach=False)["stdout"] == "a terminal\n"


def test_a_runtime_that_is_not_there(machine: Host) -> None:
    for name in ("runsc-is-missing", "/opt/kata/bin/kata-runtime"):
        failed = machine.module("container_run", name="never", image="box:1", command=["true"], runtime=name, fail=True)
        assert name in failed["msg"] and "runtime" in failed["msg"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_further_processes_are_the_runtimes_own_affair(machine: Host, run: Run, runtime: str) -> None:
    """A sandbox whose processes are not the host's can be entered by its own runtime alone."""
    wrapper = machine.folder / ("%s-told" % runtime)
    wrapper.write_text("#!/bin/sh\necho \"$@\" >> %s.log\nexec %s \"$@\"\n" % (wrapper, shutil.which(runtime)), encoding="utf-8")
    wrapper.chmod(0o755)
    run(command=["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"], runtime=str(wrapper), stop_timeout="120s",
        healthcheck={"test": ["CMD-SHELL", "echo well; test $$ -gt 1"], "interval": "200ms"}, state="healthy")
    assert " exec --detach " in Path("%s.log" % wrapper).read_text(encoding="utf-8")
    program = machine.shell("ls /var/lib/coracle/engine/*/coracle").split()[0]
    added = machine.run([program, "exec", "c", "sh", "-c", "cat; echo $0 >&2; exit 5", "-x"], input="said\n", check=False)
    assert (added.returncode, added.stdout, added.stderr) == (5, "said\n", "-x\n")
    terminal = machine.run(["script", "-qec", "%s exec -it c sh -c 'test -t 0 && echo a terminal'" % program, "/dev/null"])
    assert "a terminal" in terminal.stdout
    failed = machine.run([program, "exec", "c", "/no/such"], check=False)
    assert failed.returncode == 255 and "/no/such" in failed.stderr and str(wrapper) in failed.stderr
    until(lambda: "exec-" not in machine.shell("ls /run/coracle/containers/c/runtime"))  # but while the health is looked at
