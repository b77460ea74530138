# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a container's health or readiness: its monitor tells of each change, so nothing is asked for again and again."""

from __future__ import annotations

import socket
import time
from typing import Any, Dict, Optional

from ..errors import EngineError
from ..instance import Instance
from ..store import locks
from . import health, lifecycle, readiness, records, sockets, status

_REST = 0.1
_GOAL = {"health": "healthy", "ready": "ready"}
"""Seconds between two attempts to reach a monitor that has just been killed."""


def await_health(instance: Instance, name: str, seconds: float, locked: bool) -> None:
    """Wait until a container is healthy.

    Args:
        seconds: How long at most.
        locked: Whether the caller holds the container's lock.

    Raises:
        EngineError: It has ended, has turned unhealthy, or the time is over; says what the last probe said.
    """
    _await(instance, name, seconds, locked, "health")


def await_ready(instance: Instance, name: str, seconds: float, locked: bool) -> None:
    """Wait until a container is ready, as its option C(sdnotify) has it.

    Raises:
        EngineError: As of C(await_health).
    """
    record = records.read(instance, name)
    mode = None if record is None else record.options.get("sdnotify")
    if mode == readiness.HEALTH:
        await_health(instance, name, seconds, locked)
    elif mode == readiness.PROGRAM:
        _await(instance, name, seconds, locked, "ready")


def _await(instance: Instance, name: str, seconds: float, locked: bool, what: str) -> None:
    """Wait for what the monitor tells of, C(health) or C(ready), to be good."""
    deadline = time.monotonic() + seconds
    while True:
        link = _monitor(instance, name, locked)
        if link is not None:
            try:
                if sockets.send(link, {"do": what}) and _follow(instance, name, link, deadline, seconds, what):
                    return
            finally:
                link.close()
        if status.status(instance, name, records.read(instance, name), records.read_live(instance, name)) == status.EXITED:
            last = records.read_status(instance, name)
            raise _failure(instance, name, "ended with exit code %s before it was %s" % (last.exit_code, _GOAL[what]))
        if time.monotonic() > deadline:
            raise _late(instance, name, seconds, _GOAL[what])
        time.sleep(_REST)


def _monitor(instance: Instance, name: str, locked: bool) -> Optional[socket.socket]:
    if locked:
        return lifecycle.monitor(instance, name)
    with locks.held(instance, "container", records.called(name)):
        return lifecycle.monitor(instance, name)


def _follow(instance: Instance, name: str, link: socket.socket, deadline: float, seconds: float, what: str) -> bool:
    """Listen to a monitor; whether it said that all is well, rather than nothing more."""
    first = True
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _late(instance, name, seconds, _GOAL[what])
        link.settimeout(left)
        try:
            message: Optional[Dict[str, Any]] = sockets.receive(link)
        except socket.timeout:
            continue
        if message is None:
            return False
        if what == "ready":
            if message["ready"]:
                return True
            continue
        if message["health"] == health.HEALTHY:
            return True
        if message["health"] == health.UNHEALTHY and not first:  # one that was so before may yet recover
            raise _failure(instance, name, "is unhealthy")
        first = False


def _late(instance: Instance, name: str, seconds: float, goal: str) -> EngineError:
    return _failure(instance, name, "did not become %s within %g s" % (goal, seconds))


def _failure(instance: Instance, name: str, why: str) -> EngineError:
    record = records.read(instance, name)
    found = health.read(instance, name)
    words = "; " + health.last_words(found) if record is not None and record.options.get("healthcheck") else ""
    return EngineError("the container '%s' %s%s" % (name, why, words),
                       "See its output with: %s" % lifecycle.log_command(instance, name), health=found._asdict())
