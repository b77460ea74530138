# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many containers at once: started after those that they need, ended before them.

A dependency is an order, not a gate: at a boot, what was to run is started in the end, with a word of what it waited for in vain.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Callable, Collection, Dict, List, Sequence, Set

from ..errors import EngineError
from ..instance import Instance
from . import activation, dependencies, health, lifecycle, readiness, records, restart, status
from .dependencies import Need

PATIENCE = 300.0
"""Seconds without progress after which a dependency is not waited for any longer."""
AT_ONCE = 16
"""Containers that are ended at the same time."""
_REST = 0.1


def wanted(instance: Instance) -> List[str]:
    """The containers that a boot starts, by their restart policies."""
    found = []
    for name in records.listed(instance):
        record = records.read(instance, name)
        if record is None or record.candidate:
            continue
        last = records.read_status(instance, name)
        if last.started_at is None and not activation.wanted(record.options):
            continue  # it has been made, and nobody has wanted it to run
        policy = restart.parse(record.options.get("restart_policy") or restart.NO)
        interrupted = last.status in ("running", "restarting") or bool(last.ended_for)
        if restart.starts_at_boot(policy, last.stopped, interrupted):
            found.append(records.called(name))
    return found


def start(instance: Instance, names: Collection[str], patience: float = PATIENCE, tell: Callable[[str], object] = sys.stderr.write) -> int:
    """Start containers, each as soon as those that it needs are as it needs them; those that are independent do not wait.

    Args:
        tell: Gets a line for each failure.

    Returns: How many could not be started, or waited in vain.
    """
    needs = dependencies.every(instance)
    left = dependencies.ordered({name: [need.name for need in needs.get(name, ()) if need.name in names] for name in names})
    failures = 0
    deadline = time.monotonic() + patience
    while left:
        free = [name for name in left if all(_met(instance, need, left) for need in needs.get(name, ()))]
        if not free and time.monotonic() < deadline:
            time.sleep(_REST)
            continue
        if not free:
            failures += 1
            free = left[:1]
            tell("coracle: %s: waited %g s for %s, and is started now\n" % (free[0], patience, " and ".join(
                "%s (%s)" % need for need in needs[free[0]] if not _met(instance, need, left))))
        for name in free:
            left.remove(name)
            try:
                lifecycle.begin(instance, records.current(instance, name))
            except (EngineError, OSError) as error:
                failures += 1
                tell("coracle: %s: %s\n" % (name, error))
        deadline = time.monotonic() + patience
    return failures


def _met(instance: Instance, need: Need, left: Collection[str]) -> bool:
    """Whether what a container needs is so, or will not become so by waiting."""
    if need.name in left:
        return False
    name = records.current(instance, need.name)
    record = records.read(instance, name)
    if record is None or status.status(instance, name, record, records.read_live(instance, name)) != status.RUNNING:
        return True  # it has not been started, or has ended: who needs it will find out
    if need.condition == dependencies.HEALTHY and record.options.get("healthcheck"):
        return health.read(instance, name).status == health.HEALTHY
    return readiness.ready(instance, name, record.options)


def stop(instance: Instance, names: Collection[str], reason: str = "", tell: Callable[[str], object] = sys.stderr.write) -> int:
    """End containers, those that others need after these others; the independent ones at the same time.

    Args:
        reason: As of C(lifecycle.stop).
        tell: Gets a line for each failure.

    Returns: How many could not be ended.
    """
    needs = dependencies.every(instance)
    users: Dict[str, Set[str]] = {name: set() for name in names}
    for name in names:
        for need in needs.get(name, ()):
            if need.name in users:
                users[need.name].add(name)
    left, under_way, failures = dependencies.ordered(users), {}, 0  # type: List[str], Dict[int, str], int
    while left or under_way:
        busy = set(under_way.values())
        free = [name for name in left if not users[name] & (busy | set(left))] or ([] if busy else left[:1])
        for name in free[:max(0, AT_ONCE - len(under_way))]:
            left.remove(name)
            under_way[_apart(instance, name, reason, tell)] = name
        if under_way:
            pid, result = os.waitpid(-1, 0)
            if under_way.pop(pid, None) is not None:
                failures += result != 0
    return failures


def _apart(instance: Instance, name: str, reason: str, tell: Callable[[str], object]) -> int:
    """End a container in a fork of this process; its number."""
    child = os.fork()
    if child:
        return child
    result = 1
    try:
        lifecycle.end(instance, records.current(instance, name), reason)
        result = 0
    except (EngineError, OSError) as error:
        tell("coracle: %s: %s\n" % (name, error))
    finally:
        sys.stderr.flush()
        os._exit(result)


def running(instance: Instance) -> Sequence[str]:
    """The containers that run, or are about to be started again."""
    found = []
    for name in records.listed(instance):
        record = records.read(instance, name)
        if record is not None and not record.candidate and status.status(
                instance, name, record, records.read_live(instance, name)) not in (status.CREATED, status.EXITED):
            found.append(records.called(name))
    return found
