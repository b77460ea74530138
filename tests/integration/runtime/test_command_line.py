# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCI runtime command line by itself, as engines call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
from bundles import Bundle, config
from hosts import MANAGED_PYTHON, Host
from waiting import until

SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "data" / "runtime-spec"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bundle(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Bundle:
    made = Bundle(tmp_path / "bundle")
    made.cgroup = "%s/%s" % (shared_host.cgroup_root, request.node.name)
    return made


def document(bundle: Bundle, **process: Any) -> Dict[str, Any]:
    made = config(**process)
    made["linux"]["cgroupsPath"] = bundle.cgroup
    return made


@pytest.fixture
def coracle(shared_host: Host, bundle: Bundle, program: Path) -> Iterator[Run]:
    """Call the command with a root of its own; what is left in it fails the test."""
    root = bundle.folder / "oci"

    def call(*words: Any, check: bool = True, input: str = "", stays: bool = False) -> "subprocess.CompletedProcess[str]":
        # A container that stays holds the streams that it was given.
        ahead = ["sh", "-c", 'exec "$@" > /dev/null 2> "$0" < /dev/null', bundle.folder / "said"] if stays else []
        done = shared_host.run([*ahead, program, "--root", root, *words], check=False, input=input)
        if stays:
            done.stderr = bundle.said("said")
        assert not check or done.returncode == 0, done
        return done
    yield call
    left = os.listdir(root) if root.exists() else []
    for name in left:
        call("delete", "--force", name, check=False)
    assert left == []


def test_run_passes_streams_and_status(coracle: Run, bundle: Bundle) -> None:
    bundle.write(document(bundle, args=["sh", "-c", "cat; echo err >&2; exit 42"]))
    done = coracle("run", "--bundle", bundle.folder, "one", check=False, input="given\n")
    assert (done.returncode, done.stdout, done.stderr) == (42, "given\n", "err\n")
    bundle.write(document(bundle, args=["sh", "-c", "kill -9 $$"]))
    assert coracle("run", "-b", bundle.folder, "two", check=False).returncode in (0, 137)


def test_the_life_of_a_container_verb_by_verb(coracle: Run, bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(document(bundle, args=["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]))
    coracle("create", "-b", bundle.folder, "--pid-file", tmp_path / "pid", "c", stays=True)
    state = json.loads(coracle("state", "c").stdout)
    assert (state["status"], state["id"], state["bundle"]) == ("created", "c", str(bundle.folder))
    assert state["pid"] == int((tmp_path / "pid").read_text(encoding="ascii"))
    assert coracle("delete", "nothing", check=False).returncode == 1
    coracle("delete", "--force", "nothing")
    assert "exists" in coracle("create", "-b", bundle.folder, "c", check=False).stderr
    coracle("pause", "c")
    assert json.loads(coracle("state", "c").stdout)["status"] == "paused"
    coracle("resume", "c")
    coracle("start", "c")
    assert json.loads(coracle("list", "--format", "json").stdout)[0]["status"] == "running"
    assert coracle("list", "-q").stdout == "c\n"
    assert coracle("list").stdout.splitlines()[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert state["pid"] in json.loads(coracle("ps", "--format", "json", "c").stdout)
    assert coracle("exec", "c", "sh", "-c", "exit 9", check=False).returncode == 9
    assert coracle("exec", "--user", "7:8", "--env", "A=b", "--cwd", "/tmp", "c", "sh", "-c",
                   "echo $(id -u) $(id -g) $A $(pwd) $HOME").stdout == "7 8 b /tmp /root\n"
    broken = coracle("exec", "c", "nothing", check=False)
    assert broken.returncode == 255 and "executable file not found in $PATH" in broken.stderr
    coracle("pause", "c")
    assert json.loads(coracle("state", "c").stdout)["status"] == "paused"
    assert coracle("exec", "c", "true", check=False).returncode == 255
    coracle("resume", "c")
    coracle("update", "--memory", str(64 << 20), "--pids-limit", "50", "c")
    coracle("update", "-r", "-", "c", input=json.dumps({"cpu": {"shares": 512}}))
    told = json.loads(coracle("events", "--stats", "c").stdout)
    assert told["data"]["memory"]["usage"]["limit"] == 64 << 20 and told["data"]["pids"]["limit"] == 50
    assert told["data"]["memory"]["raw"]["pgfault"] > 0
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers") and os.path.exists("/proc/pressure"):
        assert {"avg10", "avg60", "avg300", "total"} == set(told["data"]["cpu"]["psi"]["some"])
    assert "is running" in coracle("delete", "c", check=False).stderr
    assert coracle("kill", "c", "NONSENSE", check=False).returncode == 1
    coracle("kill", "c", "SIGTERM")
    until(lambda: json.loads(coracle("state", "c").stdout)["status"] == "stopped")
    assert "container not running" in coracle("kill", "c", "9", check=False).stderr
    coracle("delete", "c")
    assert "does not exist" in coracle("state", "c", check=False).stderr
    validate(state, "state-schema.json")


def test_start_waits_for_a_container_that_is_being_created(coracle: Run, bundle: Bundle, shared_host: Host, program: Path) -> None:
    made = document(bundle, args=["sh", "-c", "echo $MARK"])
    waits = "until [ -e %s/go ]; do sleep 0.02; done" % bundle.folder
    made["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", waits]}]}
    bundle.write(made)
    creator = shared_host.start([program, "--root", bundle.folder / "oci", "create", "-b", bundle.folder, "c"])
    until(lambda: '"creating"' in coracle("state", "c", check=False).stdout)
    starter = shared_host.start([program, "--root", bundle.folder / "oci", "start", "c"])
    (bundle.folder / "go").touch()
    assert (creator.wait(), starter.wait()) == (0, 0)
    until(lambda: json.loads(coracle("state", "c").stdout)["status"] == "stopped")
    coracle("delete", "c")


def test_containers_chosen_by_an_expression(coracle: Run, bundle: Bundle) -> None:
    for name in ("web-1", "web-2", "other"):
        made = document(bundle, args=["sleep", "1000"])
        made["linux"]["cgroupsPath"] += "/" + name
        bundle.write(made)
        coracle("run", "-d", "-b", bundle.folder, name, stays=True)
    coracle("kill", "--regex", "^web-", "KILL")
    until(lambda: json.loads(coracle("state", "web-2").stdout)["status"] == "stopped")
    coracle("delete", "--regex", "web-.")
    assert coracle("list", "-q").stdout == "other\n"
    assert "--regex" in coracle("delete", "--regex", "(", check=False).stderr
    coracle("delete", "--force", "--regex", ".")


def test_called_as_runc_it_is_nothing_else(bundle: Bundle, shared_host: Host, program: Path) -> None:
    link = bundle.folder / "runc"
    link.symlink_to(program)
    assert shared_host.run([link, "-h"]).stdout.splitlines()[1].startswith("   runc - Open Container Initiative runtime")
    assert shared_host.run([link, "events", "-h"]).stdout.splitlines()[1].startswith("   runc events")
    assert shared_host.run([link, "--version"]).stdout.startswith("runc version ")
    assert "No help topic for 'foo'" in shared_host.run([link, "foo", "-h"], check=False).stderr
    assert "does not exist" in shared_host.run([program, "events", "--stats", "nothing"], check=False).stderr
    assert "invalid character `/` in the ID" in shared_host.run([link, "state", "a/b"], check=False).stderr


def test_exec_with_a_process_file(coracle: Run, bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(document(bundle, args=["sleep", "100"]))
    coracle("run", "-d", "-b", bundle.folder, "c", stays=True)
    process = config(args=["sh", "-c", "pwd; echo $X"], cwd="/tmp", env=["PATH=/bin", "X=y"])["process"]
    (tmp_path / "process.json").write_text(json.dumps(process), encoding="utf-8")
    assert coracle("exec", "--process", tmp_path / "process.json", "c").stdout == "/tmp\ny\n"
    (tmp_path / "process.json").write_text('{"cwd": "x"}', encoding="utf-8")
    assert "process.cwd" in coracle("exec", "--process", tmp_path / "process.json", "c", check=False).stderr
    coracle("delete", "-f", "c")


def test_errors_go_to_the_log_as_engines_read_it(coracle: Run, bundle: Bundle, shared_host: Host, program: Path,
                                                 tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    done = shared_host.run([program, "--root", tmp_path / "r", "--log", log, "--log-format=json", "create", "--bundle",
                            tmp_path, "x"], check=False)
    assert done.returncode == 1
    said = json.loads(log.read_text(encoding="utf-8"))
    assert said["level"] == "error" and "config.json" in said["msg"]
    for words in (["--log", "nothing:/x", "list"], ["--log-format", "yaml", "list"],
                  ["create", "--nonsense", "x"], ["nonsense"], ["state", "../x"], ["state"]):
        assert shared_host.run([program, "--root", tmp_path / "r", *words], check=False).returncode == 1, words


def test_spec_and_features_keep_to_their_schemas(coracle: Run, shared_host: Host, program: Path, bundle: Bundle,
                                                 tmp_path: Path) -> None:
    validate(json.loads(coracle("features").stdout), "features-schema.json")
    for words in ([], ["--rootless"]):
        folder = tmp_path / "-".join(["spec", *words])
        folder.mkdir()
        coracle("spec", "--bundle", folder, *words)
        validate(json.loads((folder / "config.json").read_text(encoding="utf-8")), "config-schema.json")
        assert "exists already" in coracle("spec", "-b", folder, *words, check=False).stderr
    assert coracle("checkpoint", "x", check=False).returncode == 1
    assert shared_host.run([program, "--version"]).stdout.startswith("coracle version ")


def validate(value: Any, schema: str) -> None:
    if not SCHEMAS.exists():
        pytest.skip("the published schemas are not here")
    jsonschema = pytest.importorskip("jsonschema")
    referencing = pytest.importorskip("referencing")
    draft4 = pytest.importorskip("referencing.jsonschema").DRAFT4
    known = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    registry = referencing.Registry().with_resources(
        (name, draft4.create_resource({**each, "id": name})) for name, each in known.items())
    jsonschema.Draft4Validator({**known[schema], "id": schema}, registry=registry).validate(value)


def test_a_terminal_in_the_foreground(bundle: Bundle, shared_host: Host, program: Path) -> None:
    bundle.write(document(bundle, args=["sh", "-c", "test -t 0 && echo terminal; read x; echo got $x; exit 6"], terminal=True))
    done = shared_host.run([program, "--root", bundle.folder / "oci", "run", "-b", bundle.folder, "c"], input="word\n", check=False)
    assert done.returncode == 6
    assert sorted(done.stdout.replace("\r", "").split()) == ["got", "terminal", "word", "word"]


def test_the_interpreter_of_the_host_cannot_be_written_from_inside(bundle: Bundle, shared_host: Host, program: Path,
                                                                    tmp_path: Path) -> None:
    """CVE-2019-5736: a script whose interpreter is /proc/self/exe runs the runtime's own executable, a private copy here."""
    copy = tmp_path / "python-copy"
    shutil.copyfile(os.path.realpath(MANAGED_PYTHON), copy)
    copy.chmod(0o755)
    attack = tmp_path / "coracle"
    real = os.path.realpath(MANAGED_PYTHON)
    attack.write_text(program.read_text(encoding="utf-8").replace("'%s'" % real, "'%s'" % copy), encoding="utf-8")
    attack.chmod(0o755)
    before = copy.read_bytes()
    # As in the published attack, but with what the container may hope for at best: the executable opened while the runtime
    # still is this process, and written once it is not any more.
    hook = bundle.folder / "hook"
    hook.write_text("#!/bin/sh\nread state\nexec 3< /proc/$PPID/exe\n{ (sleep 0.3; echo PWNED >> /proc/self/fd/3) 2> %s/why; "
                    "mv %s/why %s/err; } 2> /dev/null &\n" % ((bundle.folder,) * 3), encoding="ascii")
    hook.chmod(0o755)
    made = document(bundle, args=["true"])
    made["hooks"] = {"createRuntime": [{"path": str(hook), "env": ["PATH=/bin:/usr/bin"]}]}
    bundle.write(made)
    shared_host.run([attack, "--root", bundle.folder / "oci", "run", "-b", bundle.folder, "c"])
    until((bundle.folder / "err").exists)
    assert copy.read_bytes() == before
    assert "Read-only file system" in (bundle.folder / "err").read_text(encoding="ascii")


def test_names_of_options_that_crun_has_and_sockets_of_systemd(shared_host: Host, program: Path, bundle: Bundle) -> None:
    made = document(bundle, args=["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID"])
    (bundle.folder / "other.json").write_text(json.dumps(made), encoding="utf-8")
    done = shared_host.run([program, "--cgroup-manager", "cgroupfs", "--root", bundle.folder / "oci", "run", "--bundle", bundle.folder,
                            "--config", "other.json", "c"], env={"LISTEN_FDS": "2"})
    assert done.stdout == "2 1\n" and os.listdir(bundle.folder / "oci") == []
