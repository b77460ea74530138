# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a container: a pure function of what is desired and what is true."""

from __future__ import annotations

from typing import Any, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import records
from ansible_collections.coracle.containers.plugins.module_utils.engine.container.desired import Desired
from ansible_collections.coracle.containers.plugins.module_utils.engine.container.observe import Observed
from ansible_collections.coracle.containers.plugins.module_utils.engine.container.planning import plan
from ansible_collections.coracle.containers.plugins.module_utils.engine.plan import LIVE, RECREATE, Difference

LIMIT = Difference("memory_max", 1, 2, LIVE)
COMMAND = Difference("command", ["a"], ["b"], RECREATE)


def actions(state: str, observed: Observed, *differences: Difference, **more: Any) -> List[str]:
    return [change.action for change in plan(Desired("web", state, **more), observed, differences)]


@pytest.mark.parametrize("state, status, expected", [
    ("started", "absent", ["create", "start"]),
    ("started", "created", ["start"]),
    ("started", "exited", ["start"]),
    ("started", "running", []),
    ("started", "restarting", []),
    ("started", "paused", ["unpause"]),
    ("created", "absent", ["create"]),
    ("created", "exited", []),
    ("created", "created", []),
    ("created", "running", []),
    ("created", "paused", []),
    ("healthy", "absent", ["create", "start"]),
    ("healthy", "exited", ["start"]),
    ("healthy", "paused", ["unpause"]),
    ("healthy", "running", []),
    ("killed", "absent", ["create"]),
    ("killed", "running", ["kill"]),
    ("killed", "paused", ["kill"]),
    ("killed", "restarting", ["kill"]),
    ("killed", "exited", []),
    ("stopped", "absent", ["create"]),
    ("stopped", "running", ["stop"]),
    ("stopped", "paused", ["stop"]),
    ("stopped", "restarting", ["stop"]),
    ("stopped", "exited", []),
    ("paused", "absent", ["create", "start", "pause"]),
    ("paused", "running", ["pause"]),
    ("paused", "paused", []),
    ("paused", "exited", ["start", "pause"]),
    ("restarted", "absent", ["create", "start"]),
    ("restarted", "running", ["restart"]),
    ("restarted", "paused", ["unpause", "restart"]),
    ("restarted", "exited", ["start"]),
    ("absent", "absent", []),
    ("absent", "exited", ["remove"]),
    ("absent", "running", ["stop", "remove"]),
    ("absent", "restarting", ["stop", "remove"]),
])
def test_each_state_from_each_status(state: str, status: str, expected: List[str]) -> None:
    assert actions(state, Observed("web", status)) == expected


def test_a_live_difference_does_not_touch_the_process() -> None:
    changes = plan(Desired("web", "started"), Observed("web", "running"), (LIMIT,))
    assert [(change.action, change.disruption, change.differences) for change in changes] == [("update", LIVE, (LIMIT,))]


def test_one_difference_that_needs_it_recreates_once() -> None:
    changes = plan(Desired("web", "started"), Observed("web", "running"), (LIMIT, COMMAND))
    assert [(change.action, change.disruption) for change in changes] == [("recreate", RECREATE), ("start", LIVE)]
    assert changes[0].differences == (LIMIT, COMMAND)


def test_created_brings_back_only_what_ran() -> None:
    for status, expected in (("running", ["recreate", "start"]), ("exited", ["recreate"]), ("created", ["recreate"])):
        changes = plan(Desired("web", "created"), Observed("web", status), (COMMAND,))
        assert [change.action for change in changes] == expected


def running(**options: Any) -> Observed:
    """One that runs with these options."""
    full = {"networks": [], "mounts": [], "network_mode": "bridge", "healthcheck": {"test": ["CMD", "true"]}, **options}
    return Observed("web", "running", record=records.Record("web", "id", "", "image", "id", [], full))


@pytest.mark.parametrize("order, options, expected", [
    ("start_first", {}, ["swap"]), ("auto", {}, ["swap"]), ("stop_first", {}, ["recreate", "start", "judge"]),
    ("auto", {"healthcheck": None}, ["recreate", "start"]), ("auto", {"network_mode": "host"}, ["recreate", "start", "judge"]),
    ("auto", {"mounts": [{"type": "bind", "source": "/a", "read_only": False}]}, ["recreate", "start", "judge"]),
    ("auto", {"mounts": [{"type": "bind", "source": "/a", "read_only": True}]}, ["swap"]),
    ("auto", {"mounts": [{"type": "tmpfs", "source": None, "read_only": False}]}, ["swap"]),
    ("auto", {"networks": [{"name": "n", "ipv4_address": "10.0.0.9"}]}, ["recreate", "start", "judge"]),
    (None, {}, ["recreate", "start"]),
])
def test_who_goes_first(order: Any, options: Any, expected: List[str]) -> None:
    seen = running(**options)
    assert seen.record is not None
    wanted = Desired("web", "started", full=seen.record.options, order=order, image=object())  # type: ignore[arg-type]
    assert [change.action for change in plan(wanted, seen, (COMMAND,))] == expected


def test_a_replacement_that_was_interrupted_is_completed_first() -> None:
    assert actions("started", Observed("web", "running", beside="web~")) == ["tidy"]
    assert actions("absent", Observed("web", "running", beside="web~")) == ["tidy", "stop", "remove"]
    assert actions("stopped", Observed("web", "exited", beside="web~")) == ["tidy"]


def test_one_that_was_put_aside_goes_once_there_is_another() -> None:
    record = records.Record("web", "0", "", "", "", [], {})
    assert actions("started", Observed("web", "running", record, aside=True)) == ["tidy"]
    assert actions("started", Observed("web", aside=True)) == ["create", "start"]
    assert actions("absent", Observed("web", aside=True)) == ["remove"]


def test_recreate_is_done_when_asked_for() -> None:
    assert actions("started", Observed("web", "running"), recreate=True) == ["recreate", "start"]


def test_a_dead_monitor_is_replaced() -> None:
    assert actions("started", Observed("web", "running", monitored=False)) == ["adopt"]


def test_drift_of_the_network_is_mended_live() -> None:
    drift = (Difference("networks", "down", "up", LIVE),)
    assert actions("started", Observed("web", "running", network_drift=drift)) == ["reconnect"]


def test_what_an_interrupted_run_left_is_removed_first() -> None:
    assert actions("started", Observed("web", "absent", remains=True)) == ["remove", "create", "start"]
    assert actions("absent", Observed("web", "absent", remains=True)) == ["remove"]
    assert actions("stopped", Observed("web", "exited", remains=True)) == ["release"]
