# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's health: what is asked for, and what its probes have said; as data and arithmetic.

The words and rules are Docker's (Dockerfile reference, HEALTHCHECK): a container
is starting, healthy or unhealthy; a failure within the start period counts for
nothing until a first success has ended that.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..errors import InvalidValue
from ..instance import Instance
from ..store import files
from . import records

STARTING = "starting"
HEALTHY = "healthy"
UNHEALTHY = "unhealthy"
STATUSES = (STARTING, HEALTHY, UNHEALTHY)
KEPT = 5
"""Probes that are remembered."""
MOST_OUTPUT = 4096
"""Bytes of a probe's output that are."""
_SECOND = 1000000
_DEFAULTS = {"interval": 30 * _SECOND, "timeout": 30 * _SECOND, "retries": 3, "start_period": 0, "start_interval": 5 * _SECOND}
_OF_IMAGE = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "start_interval": "StartInterval"}


class Probe(NamedTuple):
    """One look at the health, as C(docker inspect) shows it.

    Attributes:
        start, end: RFC 3339 in UTC.
        exit_code: 0 for healthy; -1 where it took too long or could not be begun.
        output: The beginning of what it wrote.
    """

    start: str
    end: str
    exit_code: int
    output: str


class Health(NamedTuple):
    """What is known of a container's health.

    Attributes:
        status: C(starting), C(healthy) or C(unhealthy).
        failing_streak: How many of the last probes failed, without one between that did not.
        log: The last probes, oldest first; the fields of C(Probe).
    """

    status: str = STARTING
    failing_streak: int = 0
    log: List[Dict[str, Any]] = []


def settle(given: Optional[Mapping[str, Any]], image: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """The health check that holds: what is given, over the image's own, over the defaults.

    Args:
        given: The option, parsed; times in microseconds.
        image: C(Healthcheck) of the image's configuration; times in nanoseconds.

    Returns: All members of the option; C(None) where there is no check.

    Raises:
        InvalidValue: Times are given, and there is nothing to test.
    """
    asked = dict(given or {})
    inherited = dict(image or {})
    kinds = {kind: asked.get(kind) for kind in ("test", "http", "tcp")}
    if all(value is None for value in kinds.values()):
        kinds["test"] = list(inherited.get("Test") or []) or None
        if kinds["test"] in (None, ["NONE"]):
            if given is not None:
                raise InvalidValue("healthcheck", {key: value for key, value in asked.items() if value is not None},
                                   "has no test, and the image has none either", "Add one of 'test', 'http' and 'tcp'")
            return None
    if kinds["test"] == ["NONE"]:
        return None
    found: Dict[str, Any] = dict(kinds, on_failure=asked.get("on_failure") or "none")
    for key, default in _DEFAULTS.items():
        own = asked.get(key)
        if own is None:
            own = int(inherited.get("Retries") or 0) if key == "retries" else int(inherited.get(_OF_IMAGE[key]) or 0) // 1000
            own = own or default
        found[key] = own
    return found


def after(before: Health, probe: Probe, retries: int, forgiving: bool) -> Health:
    """The health after one more probe.

    Args:
        retries: Failures in a row that make it unhealthy.
        forgiving: Whether the start period lasts.
    """
    log = [*before.log, probe._asdict()][-KEPT:]
    if probe.exit_code == 0:
        return Health(HEALTHY, 0, log)
    if forgiving and before.status == STARTING:
        return Health(STARTING, 0, log)
    streak = before.failing_streak + 1
    return Health(UNHEALTHY if streak >= retries else before.status, streak, log)


def pause(check: Mapping[str, Any], status: str, forgiving: bool) -> float:
    """Seconds until the next probe."""
    return float(check["start_interval" if forgiving and status == STARTING else "interval"]) / _SECOND


def read(instance: Instance, name: str) -> Health:
    """What is known of a container's health."""
    found = files.read_json(records.folder(instance, name, "health.json")) or {}
    return Health(**{key: value for key, value in found.items() if key in Health._fields})


def write(instance: Instance, name: str, health: Optional[Health]) -> None:
    """Keep it; C(None) forgets it. The disk is not waited for: after a power cut the container starts anew."""
    path = records.folder(instance, name, "health.json")
    if health is None:
        files.remove(path)
    else:
        files.write_json(path, health._asdict(), durable=False)


def last_words(health: Health) -> str:
    """What the last probe said, for an error."""
    if not health.log:
        return "no probe has ended yet"
    last = health.log[-1]
    return "the last probe ended with %d: %s" % (last["exit_code"], last["output"].strip() or "(no output)")
