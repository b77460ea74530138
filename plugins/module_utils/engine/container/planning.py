# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is true to what is desired: the steps in between, as a pure function."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from ..cgroup import checks
from ..errors import Conflict
from ..plan import LIVE, RECREATE, RESTART, Change, Difference, Plan
from . import activation
from .desired import Desired
from .observe import Observed
from .status import ABSENT, CREATED, EXITED, LISTENING, PAUSED, RESTARTING, RUNNING

STOP_FIRST = "stop_first"
START_FIRST = "start_first"
_UP = (RUNNING, PAUSED, RESTARTING, LISTENING)


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """The least disruptive way.

    Args:
        differences: What the options say, compared by their table.

    Raises:
        Conflict: A running container uses more memory than is asked for, and C(force) was not said.
    """
    if desired.state == "absent":
        return _absent(desired.name, observed)
    pulled = (Change("pull", desired.offer.reference),) if desired.offer is not None else ()
    if desired.state in ("stopped", "killed"):
        return pulled + _stopped(desired, observed, differences)
    return pulled + _running(desired, observed, differences)


def _absent(name: str, observed: Observed) -> Plan:
    steps = _tidied(name, observed)
    if observed.status in _UP:
        steps.append(Change("stop", name, RESTART))
    if observed.status != ABSENT or observed.remains or observed.aside:
        steps.append(Change("remove", name, RECREATE))
    return tuple(steps)


def _stopped(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    name = desired.name
    if observed.status == ABSENT:
        return _swept(name, observed) + (Change("create", name, LIVE, differences),)
    if observed.status in _UP:
        return (*_tidied(name, observed), Change("kill" if desired.state == "killed" else "stop", name, RESTART))
    return (*_tidied(name, observed), *([Change("release", name, LIVE)] if observed.remains else []))


def _running(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    name = desired.name
    steps = _tidied(name, observed)
    recreate = desired.recreate or any(each.disruption != LIVE for each in differences)
    if observed.status == ABSENT:
        steps += _swept(name, observed)
        steps += [Change("create", name, LIVE, differences)] + _started(desired)
    elif recreate and order(desired, observed) == START_FIRST:
        return (*steps, Change("swap", name, RECREATE, differences))
    elif recreate:
        steps += [Change("recreate", name, RECREATE, differences)] + _started(desired, observed)
    else:
        if observed.status in (RUNNING, PAUSED) and not observed.monitored:
            steps.append(Change("adopt", name))
        if observed.in_use is not None and desired.limits.memory_max is not None and not desired.force:
            checks.refuse_below_use(observed.cgroup, desired.limits.memory_max, observed.in_use)
        if differences:
            steps.append(Change("update", name, LIVE, differences))
        if observed.status in (RUNNING, PAUSED) and observed.network_drift:
            steps.append(Change("reconnect", name, LIVE, observed.network_drift))
        steps += _renewed(desired, observed)
        if observed.drift:
            steps.append(Change("mend", name, LIVE, observed.drift))
        steps += _to_state(desired, observed)
        return tuple(steps)
    if desired.state == "paused":
        steps.append(Change("pause", name))
    return tuple(steps)


def _started(desired: Desired, observed: Optional[Observed] = None) -> List[Change]:
    """The start of a container that has just been made; with the state C(created), only in the place of one that ran."""
    ran = observed is not None and observed.status in _UP
    if desired.state == "created" and not ran:
        return []
    judged = desired.order is not None and ran and desired.full.get("healthcheck") and not activation.wanted(desired.full)
    return [_start(desired, observed)] + ([Change("judge", desired.name)] if judged else [])


def _start(desired: Desired, observed: Optional[Observed]) -> Change:
    """What brings it up: its start, or that somebody listens, who starts it at the first connection."""
    record = observed.record if observed is not None else None
    options = desired.full or (record.options if record is not None else {})
    return Change("listen" if activation.wanted(options) and desired.state != "paused" else "start", desired.name)


def order(desired: Desired, observed: Observed) -> Optional[str]:
    """Which of the two goes first where a container is replaced; C(None) where nobody asked.

    Raises:
        Conflict: The new one cannot be beside the old one.
    """
    if desired.order in (None, STOP_FIRST) or desired.image is None or observed.record is None or observed.status != RUNNING \
            or desired.state not in ("started", "healthy", "restarted", "created"):
        return None if desired.order is None else STOP_FIRST
    old, new = observed.record.options, desired.full
    fixed = [row[key] for row in new["networks"] for key in ("ipv4_address", "ipv6_address", "mac_address") if row.get(key)]
    if desired.order == START_FIRST:
        if fixed:
            raise Conflict("the new container '%s' cannot be started beside the old one, since both have %s" % (desired.name, fixed[0]),
                           "Leave the address out, or use 'update_order: stop_first'")
        return START_FIRST
    shared = {row["source"] for row in _written(old)} & {row["source"] for row in _written(new)}
    joint = any(each == "host" or each.startswith(("container:", "ns:")) for each in (old["network_mode"], new["network_mode"]))
    return STOP_FIRST if fixed or shared or joint or not new["healthcheck"] or desired.depended_on else START_FIRST


def _written(options: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The mounts that a container may write to, and others too."""
    return [row for row in options.get("mounts") or () if row["type"] != "tmpfs" and not row.get("read_only")]


def _tidied(name: str, observed: Observed) -> List[Change]:
    """A first step where an interrupted replacement has left two containers.

    One that was put aside is kept until there is another.
    """
    return [Change("tidy", name)] if observed.beside or observed.aside and observed.record is not None else []


def _to_state(desired: Desired, observed: Observed) -> List[Change]:
    """What is left to do when the container is as it shall be, but perhaps not in the state that it shall be in."""
    name = desired.name
    if desired.state == "created":
        return [Change("release", name)] if observed.remains else []
    if desired.state == "paused":
        steps = [Change("start", name)] if observed.status in (CREATED, EXITED, RESTARTING, LISTENING) else []
        return steps if observed.status == PAUSED else steps + [Change("pause", name)]
    steps = [Change("unpause", name)] if observed.status == PAUSED else []
    if desired.state == "restarted" and observed.status in (RUNNING, PAUSED):
        return steps + [Change("restart", name, RESTART)]
    if observed.status in (CREATED, EXITED) or desired.state == "restarted" and observed.status != LISTENING:
        return steps + [_start(desired, observed)]
    return steps


def _renewed(desired: Desired, observed: Observed) -> List[Change]:
    """What becomes of a container that runs and whose secrets have changed; what they are is not said."""
    if not observed.stale or desired.state == "restarted":
        return []
    restarts = any(how == "restart" for _source, how in observed.stale)
    change = Difference("secrets", {source: "as it was given" for source, _how in observed.stale},
                        {source: "changed" for source, _how in observed.stale}, RESTART if restarts else LIVE)
    return [Change("renew", desired.name, change.disruption, (change,))]


def _swept(name: str, observed: Observed) -> Tuple[Change, ...]:
    """A first step where an interrupted run has left parts of a container behind."""
    return (Change("remove", name, RECREATE),) if observed.remains else ()
