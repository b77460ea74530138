# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a task does not insist on, and the states that only make or only end."""

from __future__ import annotations

from typing import Any

import pytest

from containers import Runner
from hosts import Host

FIRST = {"env": {"A": "1", "B": "2"}, "memory_max": "64M", "labels": {"app": "x", "tier": "front"}, "groups": ["2000", "2001"]}


@pytest.mark.parametrize("comparisons, options, changed", [
    ({"env": "ignore"}, {**FIRST, "env": {"C": "3"}}, []),
    ({"env": "ignore", "labels": "strict"}, {**FIRST, "env": {"C": "3"}, "labels": {"app": "x"}}, ["labels"]),
    ({"*": "ignore"}, {"env": {"C": "3"}}, []),
    ({"*": "ignore", "memory_max": "strict"}, {"memory_max": "32M"}, ["memory_max"]),
    ({"env": "allow_more_present", "labels": "allow_more_present", "groups": "allow_more_present"},
     {**FIRST, "env": {"A": "1"}, "labels": {}, "groups": ["2001"]}, []),
    ({"labels": "allow_more_present"}, {**FIRST, "labels": {"app": "y"}}, ["labels"]),
    ({"groups": "allow_more_present"}, {**FIRST, "groups": ["2002"]}, ["groups"]),
    ({"memory_max": "ignore"}, {**FIRST, "memory_max": None}, []),
])
def test_what_is_not_insisted_on_stays(run: Runner, comparisons: Any, options: Any, changed: Any) -> None:
    before = run("one", **FIRST)["container"]
    predicted = run("one", comparisons=comparisons, check_mode=True, **options)
    done = run("one", comparisons=comparisons, **options)
    assert predicted["actions"] == done["actions"] and predicted["diff"] == done["diff"]
    assert sorted(done["diff"]["after"]) == changed or "actions" in done["diff"]["after"] and changed
    assert [option for step in done["actions"] for option in step["options"]] == changed
    kept = {name: value for name, value in before["options"].items() if name not in changed}
    assert kept.items() <= done["container"]["options"].items()
    assert run("one", comparisons=comparisons, **options)["changed"] is False


def test_an_image_that_moved_is_not_followed_where_it_is_ignored(run: Runner, machine: Host) -> None:
    source = str(machine.folder / "busybox.tar")
    machine.module("container_image", name="moving", source=source, cmd=["/bin/sh"], env={"PATH": "/bin"})
    first = run("one", image="moving")["container"]
    machine.module("container_image", name="moving", source=source, cmd=["/bin/sh"], env={"PATH": "/bin", "NEW": "1"})
    kept = run("one", image="moving", comparisons={"image": "ignore", "env": "ignore"})
    assert kept["changed"] is False and kept["container"]["image"] == first["image"]
    moved = run("one", image="moving", comparisons={"image": "ignore", "env": "ignore"}, recreate=True)
    assert moved["container"]["image_id"] != first["image_id"]


def test_created_neither_starts_nor_stops(run: Runner) -> None:
    made = run("one", state="created", image="busybox", command=["/bin/sleep", "1000"])
    assert [step["action"] for step in made["actions"]] == ["create"] and made["container"]["status"] == "created"
    assert run("one", state="created", image="busybox", command=["/bin/sleep", "1000"])["changed"] is False
    pid = run("one", command=["/bin/sleep", "1000"])["container"]["pid"]
    again = run("one", state="created", image="busybox", command=["/bin/sleep", "1000"], labels={"a": "b"})
    assert [step["action"] for step in again["actions"]] == ["update"] and again["container"]["pid"] == pid
    replaced = run("one", state="created", image="busybox", command=["/bin/sleep", "2000"], labels={"a": "b"})
    assert replaced["container"]["status"] == "running"


def test_killed_ends_at_once_and_for_good(run: Runner) -> None:
    before = run("one", restart_policy="always", stop_timeout="100s", labels={"a": "b"})["container"]
    predicted = run("one", state="killed", check_mode=True)
    killed = run("one", state="killed")
    assert [step["action"] for step in killed["actions"]] == ["kill"] and predicted["actions"] == killed["actions"]
    assert (killed["container"]["status"], killed["container"]["exit_code"]) == ("exited", 137)
    assert killed["container"]["options"] == before["options"]
    assert run("one", state="killed")["changed"] is False
    assert run("one", state="started", image=None, command=None)["container"]["status"] == "running"
