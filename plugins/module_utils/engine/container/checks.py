# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a monitor looks at its container's health, and whom it tells."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

from ..instance import Instance
from ..kernel import processes
from . import events, health, probe, sockets


_PATIENCE = 5.0
"""Seconds that a probe may take to give up."""


class Checks:
    """The health checks of one container; at most one probe is under way.

    Attributes:
        status: The health; C(None) where there is no check, or the container does not run.
        due: When the next probe is, by the monotonic clock; C(None) for none.
        pidfd: Stands for the probe that is under way; -1 for none.
    """

    def __init__(self, instance: Instance, name: str) -> None:
        self.instance = instance
        self.name = name
        self.check: Optional[Dict[str, Any]] = None
        self.status: Optional[str] = None
        self.due: Optional[float] = None
        self.pidfd = -1
        self.pid = 0
        self.began = 0.0
        self.watchers: List[socket.socket] = []

    def give(self) -> Tuple[Any, ...]:
        """What is known, of plain types, while no probe is under way; the watchers apart."""
        return self.check, self.status, self.due, self.began

    def take(self, known: Tuple[Any, ...]) -> None:
        """Go on with that."""
        self.check, self.status, self.due, self.began = known

    def begin(self, check: Optional[Dict[str, Any]], since: float, anew: bool = True) -> None:
        """Look after a container that has been started.

        Args:
            check: As C(health.settle) yields it.
            since: When it was started, by the monotonic clock.
            anew: Whether nothing is known of its health; else another monitor has looked before.
        """
        self.end()
        self.check, self.began = check, since
        known = health.Health() if anew else health.read(self.instance, self.name)
        if anew or check is None:
            health.write(self.instance, self.name, known if check else None)
        self.status = known.status if check else None
        self.plan_next()
        self.tell()

    def end(self) -> None:
        """The container has ended: so does what is looked at."""
        if self.pidfd >= 0:
            os.kill(self.pid, signal.SIGTERM)  # it takes its program with it
            if not processes.wait(self.pidfd, _PATIENCE):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.pidfd)
            self.pidfd = -1
        self.due, self.check, self.status = None, None, None

    def plan_next(self) -> None:
        """Set the time of the next probe."""
        if self.check is not None and self.status is not None:
            self.due = time.monotonic() + health.pause(self.check, self.status, self.forgiving())

    def forgiving(self) -> bool:
        """Whether the start period lasts."""
        return self.check is not None and time.monotonic() - self.began < self.check["start_period"] / 1000000

    def on_time(self, now: float) -> None:
        """Look, if it is time to."""
        if self.due is not None and now >= self.due and self.check is not None:
            self.due = None
            self.pid = probe.begin(self.instance, self.name, self.check, self.forgiving())
            self.pidfd = os.pidfd_open(self.pid)

    def ended(self) -> bool:
        """Take in what a probe has found; whether the container has turned unhealthy by it."""
        _pid, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pidfd = -1
        before, code = self.status, os.waitstatus_to_exitcode(status) - probe.FIRST
        if 0 <= code < len(health.STATUSES):
            self.status = health.STATUSES[code]
        self.plan_next()
        if self.status != before:
            events.note(self.instance, self.name, "health_status", status=self.status)
            self.tell()
        return self.status == health.UNHEALTHY and before != health.UNHEALTHY

    def watch(self, link: socket.socket) -> None:
        """Tell somebody of the health now and whenever it changes."""
        self.watchers.append(link)
        self.tell([link])

    def tell(self, links: Optional[List[socket.socket]] = None) -> None:
        """Send the health to those who watch; who does not listen any more is forgotten."""
        for link in list(self.watchers if links is None else links):
            link.setblocking(False)
            try:
                there = sockets.send(link, {"health": self.status})
            except OSError:  # it does not read what it asked for
                there = False
            if not there:
                link.close()
                self.watchers.remove(link)

    def close(self) -> None:
        """The monitor ends."""
        self.end()
        while self.watchers:
            sockets.hang_up(self.watchers.pop())
