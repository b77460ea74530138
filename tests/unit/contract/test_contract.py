# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply: with a resource that is one file of key=value lines."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.coracle.containers.plugins.module_utils import bootstrap, contract, values
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, KernelError
from ansible_collections.coracle.containers.plugins.module_utils.engine.plan import (
    LIVE,
    RECREATE,
    RESTART,
    Change,
    Difference,
)
from ansible_collections.coracle.containers.plugins.module_utils.option import Option

TABLE = (
    Option("path", type="path", required=True, parse=values.absolute_path),
    Option("colour", default="red", read_from="the file"),
    Option("size", parse=values.size, disruption=RESTART, form="a size such as 1K", read_from="the file"),
    Option("secret", no_log=True, read_from="the file"),
    Option("fault"),
)


class State(NamedTuple):
    """Desired and observed alike."""

    path: str
    options: Dict[str, Any]
    fault: Optional[str] = None


class Resource(types.ModuleType):
    """What C(engine/sample/resource.py) would be."""

    @staticmethod
    def key(params: Dict[str, Any]) -> str:
        return str(params["path"])

    @staticmethod
    def resolve(_instance: Any, params: Dict[str, Any]) -> State:
        if params["fault"] == "resolve":
            raise Conflict("file %s is in use" % params["path"], "Take another", by="somebody")
        wanted = {name: params[name] for name in ("colour", "size", "secret") if params[name] is not None}
        return State(params["path"], wanted, params["fault"])

    @staticmethod
    def observe(_instance: Any, desired: State) -> State:
        try:
            return State(desired.path, json.loads(Path(desired.path).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return State(desired.path, dict.fromkeys(desired.options))

    @staticmethod
    def plan(desired: State, observed: State, differences: Any) -> Any:
        disruption = RECREATE if observed.options.get("colour") is None else LIVE
        return (Change("write", desired.path, disruption, differences),) if differences else ()

    @staticmethod
    def apply(_instance: Any, desired: State, observed: State, _plan: Any) -> Dict[str, Any]:
        if desired.fault == "kernel":
            raise KernelError("mount", 1, desired.path)
        if desired.fault == "os":
            raise PermissionError(13, "Permission denied", desired.path)
        Path(desired.path).write_text(json.dumps({**observed.options, **desired.options}), encoding="utf-8")
        return {"written": True}

    @staticmethod
    def report(_instance: Any, _desired: State, observed: State) -> Dict[str, Any]:
        return {name: value for name, value in observed.options.items() if name != "secret"}


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Runs the sample module; its result."""
    base = contract.__package__ + ".engine.sample"
    resource = Resource(base + ".resource")
    monkeypatch.setitem(sys.modules, base, types.ModuleType(base))
    monkeypatch.setitem(sys.modules, base + ".resource", resource)
    installed: List[Tuple[bool, bool]] = []
    monkeypatch.setattr(bootstrap, "use_engine", lambda _instance, install, keep: installed.append((install, keep)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(check_mode: bool = False, diff: bool = True, **arguments: Any) -> Dict[str, Any]:
        arguments = {"path": str(tmp_path / "it"), "run_root": str(tmp_path / "run"),
                     "_ansible_check_mode": check_mode, "_ansible_diff": diff, **arguments}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            contract.run("sample", TABLE)
        assert installed == [] or installed[-1] == (not check_mode, not check_mode)
        return dict(json.loads(capsys.readouterr().out))
    yield run


def test_create_repeat_change_repeat(sample: Any, tmp_path: Path) -> None:
    first = sample(size="1K")
    assert first["changed"] is True
    assert first["actions"] == [{"action": "write", "target": str(tmp_path / "it"),
                                 "disruption": "recreate", "options": ["colour", "size"]}]
    assert first["diff"] == {"before": {"colour": None, "size": None}, "after": {"colour": "red", "size": 1024}}
    assert first["sample"] == {"colour": "red", "size": 1024}
    assert first["written"] is True
    again = sample(size="1024")
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], {"before": {}, "after": {}})
    changed = sample(size="2K")
    assert changed["diff"] == {"before": {"size": 1024}, "after": {"size": 2048}}
    assert changed["actions"][0]["disruption"] == "live"
    assert sample(size="2K")["changed"] is False


def test_check_mode_predicts_and_does_nothing(sample: Any, tmp_path: Path) -> None:
    predicted = sample(check_mode=True)
    assert os.listdir(tmp_path) == []
    assert "written" not in predicted
    assert predicted["sample"] == {"colour": None}
    real = sample()
    assert {key: predicted[key] for key in ("changed", "actions", "diff")} == \
        {key: real[key] for key in ("changed", "actions", "diff")}


def test_no_diff_unless_asked(sample: Any) -> None:
    assert "diff" not in sample(diff=False)


def test_a_wrong_value_fails_before_anything(sample: Any, tmp_path: Path) -> None:
    failed = sample(size="lots")
    assert failed["failed"] is True
    assert failed["msg"] == "option 'size': value 'lots' is no size. Write a size such as 1K"
    assert failed["option"] == "size"
    assert os.listdir(tmp_path) == []


def test_errors_of_the_engine_become_failures_with_their_facts(sample: Any, tmp_path: Path) -> None:
    failed = sample(fault="resolve")
    assert failed["msg"] == "file %s is in use. Take another" % (tmp_path / "it")
    assert failed["by"] == "somebody"
    failed = sample(fault="kernel")
    assert (failed["msg"], failed["errno"]) == ("mount %s: Operation not permitted" % (tmp_path / "it"), 1)
    assert sample(fault="os")["msg"] == "Permission denied: %s" % (tmp_path / "it")


def test_secrets_are_nowhere_in_a_result(sample: Any) -> None:
    sample(secret="hunter1")
    result = sample(secret="hunter2")
    assert result["changed"] is True
    assert "hunter" not in json.dumps(result)


def test_not_being_root_is_said(sample: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "must run as root, but this task runs as user id 1000. Set 'become: true'" in sample()["msg"]
    assert os.listdir(tmp_path) == []


def test_a_plan_as_data() -> None:
    plan = (Change("stop", "web", RESTART), Change("set", "web", LIVE, (Difference("memory", 1, 2),)),
            Change("start", "web", RESTART))
    assert contract.actions(plan)[1] == {"action": "set", "target": "web", "disruption": "live", "options": ["memory"]}
    assert contract.diff(plan) == {"before": {"memory": 1},
                                   "after": {"memory": 2, "actions": ["stop web", "start web"]}}
    assert contract.actions(()) == []
