# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: where and in which order they run, and what their failure does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, start
from bundles import Bundle, Lab, config, refused


def test_hooks_run_in_their_order_and_namespaces(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def hook(name: str, host: bool = True) -> Dict[str, Any]:
        target = str(log) if host else "/tmp/hook-" + name
        return {"path": "/bin/sh", "args": ["sh", "-c", "echo %s $(hostname) $(cat) $MARK >> %s" % (name, target)],
                "env": ["PATH=/bin:/usr/bin", "MARK=m"], "timeout": 60}

    def scenario(bundle: Bundle) -> Any:
        document = config(args=["sh", "-c", "echo program"])
        document["hooks"] = {name: [hook(name, name != "startContainer")] for name in (
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
        done = bundle.run(document)
        inner = bundle.root / "tmp" / "hook-startContainer"
        return done, inner.read_text(encoding="ascii"), os.uname().nodename
    done, inner, host_name = lab(scenario)
    assert done == (0, "program\n", "")
    lines = [line.split(" ", 2) for line in log.read_text(encoding="ascii").splitlines()]
    assert [line[0] for line in lines] == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    assert [line[1] for line in lines] == [host_name, host_name, host_name, host_name, host_name] or lines[2][1] == "inside"
    states = [json.loads(line[2].rsplit(" ", 1)[0]) for line in lines]
    assert [each["status"] for each in states] == ["creating", "creating", "creating", "running", "stopped"]
    assert states[0]["pid"] == states[3]["pid"] > 1 and "pid" not in states[4]
    assert inner.startswith("startContainer inside ") and '"status": "created"' in inner


def test_a_hook_without_an_environment_has_the_callers(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def scenario(bundle: Bundle) -> Any:
        os.environ["MARK"] = "caller"
        document = config(args=["true"], env=["PATH=/bin", "MARK=program"])
        for kind, target in (("createRuntime", str(log)), ("createContainer", str(log)), ("startContainer", "/tmp/log")):
            document.setdefault("hooks", {})[kind] = [
                {"path": "/bin/sh", "args": ["sh", "-c", "echo %s $MARK >> %s" % (kind, target)]},
                {"path": "/bin/sh", "args": ["sh", "-c", "echo %s $MARK >> %s" % (kind, target)], "env": []}]
        bundle.run(document)
        return log.read_text(encoding="ascii") + (bundle.root / "tmp" / "log").read_text(encoding="ascii")
    assert lab(scenario).splitlines() == ["createRuntime caller", "createRuntime", "createContainer caller", "createContainer",
                                          "startContainer program", "startContainer"]


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_fails_or_hangs_ends_the_container(lab: Lab, kind: str) -> None:
    def scenario(bundle: Bundle) -> None:
        for script, seconds, word in (("echo because >&2; exit 3", 60, "exit status 3: because"), ("sleep 600", 1, "timeout of 1 s")):
            document = config(args=["sleep", "100"])
            document["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script], "timeout": seconds}]}
            with pytest.raises(EngineError) as caught:
                bundle.run(document)
            assert word in str(caught.value) and "hooks.%s[0]" % kind in str(caught.value)
    lab(scenario)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_hook_that_fails_leads_to_the_end_of_the_life_cycle(lab: Lab, tmp_path: Path, kind: str, wait: bool) -> None:
    """The container is stopped, destroyed, and its poststop hooks run, those after one that fails too."""
    log = tmp_path / "log"

    def scenario(bundle: Bundle) -> str:
        document = config(args=["sleep", "100"])
        document["ociVersion"] = "1.3.0"
        say = {"path": "/bin/sh", "args": ["sh", "-c", "cat >> %s; exit 5" % log]}
        document["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 1"]}, say], "poststop": [say, say]}
        said = refused(lambda: run(bundle, document, wait))
        assert not os.path.exists(bundle.state())
        return said
    assert "hooks.%s[0]" % kind in lab(scenario)
    states = log.read_text(encoding="utf-8")
    assert states.count('"status": "stopped"') == 2 and states.count('"id"') == 2 and '"pid"' not in states


def run(bundle: Bundle, document: Dict[str, Any], wait: bool) -> None:
    """Create and start a container, reap it, and delete nothing."""
    made = create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup, wait=wait)
    os.close(made.pidfd)
    try:
        if wait:
            start.start(bundle.state())
        else:
            start.poststart(bundle.state(), made.record)
    finally:
        os.waitpid(made.pid, 0)


def test_a_poststart_hook_may_fail_in_older_versions(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        document = config(args=["sh", "-c", "exit 6"])
        document["hooks"] = {"poststart": [{"path": "/bin/false"}]}
        made = create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup)
        os.close(made.pidfd)
        warnings = start.start(bundle.state())
        status = os.waitstatus_to_exitcode(os.waitpid(made.pid, 0)[1])
        delete.delete(bundle.state())
        return warnings, status
    warnings, status = lab(scenario)
    assert status == 6 and len(warnings) == 1 and "hooks.poststart[0]" in warnings[0]


def test_hooks_that_create_the_container_find_its_root_around_them(lab: Lab) -> None:
    """What they mount there is the container's, and no one else's."""
    def changes(document: Dict[str, Any]) -> None:
        document["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "pwd && echo given > ./home/file && mount --bind ./home ./tmp"]}]}

    def scenario(bundle: Bundle) -> Any:
        done = bundle.shell("cat /tmp/file", changes)
        return done, os.listdir(bundle.root / "tmp")
    assert lab(scenario) == ((0, "given\n", ""), [])


@pytest.mark.parametrize("quiet", [False, True])
def test_filters_hold_for_the_hook_before_the_start(lab: Lab, quiet: bool) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["noNewPrivileges"] = quiet
        document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}
        document["hooks"] = {"startContainer": [{"path": "/bin/mkdir", "args": ["mkdir", "/tmp/x"]}]}
    message = lab(lambda bundle: refused(lambda: bundle.shell("true", changes)))
    assert "error running startContainer hook #0" in message and "bad system call" in message
