# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks as data: what is inherited from the image, and what probes make of a container's health."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import health
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.option import parse
from ansible_collections.coracle.containers.plugins.module_utils.options.health import HEALTH

SECOND = 1000000
IMAGE = {"Test": ["CMD", "/ready"], "Interval": 5 * 10**9, "Retries": 7}


def given(**parts: Any) -> Dict[str, Any]:
    """The option as the table types it."""
    return dict(parse(HEALTH, {"healthcheck": {"on_failure": "none", **parts}})["healthcheck"])


def test_without_image_or_option_there_is_none() -> None:
    assert health.settle(None, None) is None
    assert health.settle(None, {"Test": ["NONE"]}) is None
    assert health.settle(given(test=["NONE"]), IMAGE) is None


def test_the_image_s_own_check_holds_with_docker_s_defaults() -> None:
    found = health.settle(None, IMAGE)
    assert found == {"test": ["CMD", "/ready"], "http": None, "tcp": None, "interval": 5 * SECOND, "timeout": 30 * SECOND,
                     "retries": 7, "start_period": 0, "start_interval": 5 * SECOND, "on_failure": "none"}


def test_what_is_said_comes_before_what_the_image_says() -> None:
    found = health.settle(given(test="true", retries=2, on_failure="kill"), IMAGE)
    assert found is not None
    assert (found["test"], found["retries"], found["interval"], found["on_failure"]) == (
        ["CMD-SHELL", "true"], 2, 5 * SECOND, "kill")
    page = health.settle(given(http="http://localhost:8080/"), IMAGE)
    assert page is not None and page["test"] is None and page["http"] == "http://localhost:8080/"
    slower = health.settle(given(interval="1m"), IMAGE)
    assert slower is not None and slower["test"] == ["CMD", "/ready"] and slower["interval"] == 60 * SECOND


def test_times_without_a_test_are_refused() -> None:
    with pytest.raises(InvalidValue, match="has no test, and the image has none"):
        health.settle(given(interval="1m"), None)


def test_two_kinds_at_once_are_refused() -> None:
    with pytest.raises(InvalidValue, match="more than one of"):
        given(test="true", tcp="80")


def after(codes: List[int], retries: int = 3, forgiving: int = 0) -> health.Health:
    """The health after probes with these exit codes, the first of which are within the start period."""
    found = health.Health()
    for number, code in enumerate(codes):
        found = health.after(found, health.Probe("a", "b", code, "said %d" % number), retries, number < forgiving)
    return found


@pytest.mark.parametrize("codes, forgiving, status, streak", [
    ([], 0, "starting", 0),
    ([0], 0, "healthy", 0),
    ([1], 0, "starting", 1),
    ([1, 1], 0, "starting", 2),
    ([1, 1, 1], 0, "unhealthy", 3),
    ([0, 1, 1], 0, "healthy", 2),
    ([0, 1, 1, -1], 0, "unhealthy", 3),
    ([0, 1, 1, 0, 1], 0, "healthy", 1),
    ([1, 1, 1, 0], 0, "healthy", 0),
    ([1, 1, 1, 1], 4, "starting", 0),
    ([1, 1, 1, 1], 3, "starting", 1),
    ([0, 1, 1, 1], 4, "unhealthy", 3),
])
def test_what_probes_make_of_it(codes: List[int], forgiving: int, status: str, streak: int) -> None:
    found = after(codes, forgiving=forgiving)
    assert (found.status, found.failing_streak) == (status, streak)


def test_the_last_five_probes_are_kept() -> None:
    assert [entry["output"] for entry in after([0] * 9).log] == ["said %d" % number for number in range(4, 9)]


def test_the_pause_is_that_of_the_start_until_the_first_success() -> None:
    check = {"interval": 30 * SECOND, "start_interval": 2 * SECOND}
    assert health.pause(check, "starting", True) == 2
    assert health.pause(check, "healthy", True) == 30
    assert health.pause(check, "starting", False) == 30
