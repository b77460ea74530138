# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is true to what is desired: the steps in between, as a pure function."""

from __future__ import annotations

from typing import List, Tuple

from ..plan import LIVE, RECREATE, RESTART, Change, Difference, Plan
from .desired import Desired
from .observe import ABSENT, CREATED, EXITED, PAUSED, RESTARTING, RUNNING, Observed


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """The least disruptive way.

    Args:
        differences: What the options say, compared by their table.
    """
    if desired.state == "absent":
        return _absent(desired.name, observed)
    if desired.state == "stopped":
        return _stopped(desired.name, observed, differences)
    return _running(desired, observed, differences)


def _absent(name: str, observed: Observed) -> Plan:
    steps: List[Change] = []
    if observed.status in (RUNNING, PAUSED, RESTARTING):
        steps.append(Change("stop", name, RESTART))
    if observed.status != ABSENT or observed.remains:
        steps.append(Change("remove", name, RECREATE))
    return tuple(steps)


def _stopped(name: str, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    if observed.status == ABSENT:
        return _swept(name, observed) + (Change("create", name, LIVE, differences),)
    if observed.status in (RUNNING, PAUSED, RESTARTING):
        return (Change("stop", name, RESTART),)
    return (Change("release", name, LIVE),) if observed.remains else ()


def _running(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    name = desired.name
    steps: List[Change] = []
    recreate = desired.recreate or any(each.disruption != LIVE for each in differences)
    if observed.status == ABSENT:
        steps += _swept(name, observed)
        steps += [Change("create", name, LIVE, differences), Change("start", name)]
    elif recreate:
        steps += [Change("recreate", name, RECREATE, differences), Change("start", name)]
    else:
        if observed.status in (RUNNING, PAUSED) and not observed.monitored:
            steps.append(Change("adopt", name))
        if differences:
            steps.append(Change("update", name, LIVE, differences))
        if observed.status in (RUNNING, PAUSED) and observed.network_drift:
            steps.append(Change("reconnect", name, LIVE, observed.network_drift))
        steps += _to_state(desired, observed)
        return tuple(steps)
    if desired.state == "paused":
        steps.append(Change("pause", name))
    return tuple(steps)


def _to_state(desired: Desired, observed: Observed) -> List[Change]:
    """What is left to do when the container is as it shall be, but perhaps not in the state that it shall be in."""
    name = desired.name
    if desired.state == "paused":
        steps = [Change("start", name)] if observed.status in (CREATED, EXITED, RESTARTING) else []
        return steps if observed.status == PAUSED else steps + [Change("pause", name)]
    steps = [Change("unpause", name)] if observed.status == PAUSED else []
    if desired.state == "restarted" and observed.status in (RUNNING, PAUSED):
        return steps + [Change("restart", name, RESTART)]
    if observed.status in (CREATED, EXITED) or desired.state == "restarted":
        return steps + [Change("start", name)]
    return steps


def _swept(name: str, observed: Observed) -> Tuple[Change, ...]:
    """A first step where an interrupted run has left parts of a container behind."""
    return (Change("remove", name, RECREATE),) if observed.remains else ()
