# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of seven states a container is in: all that a command needs that only looks, so that it need not load the rest."""

from __future__ import annotations

from typing import Optional

from ..cgroup import freezer
from ..instance import Instance
from ..kernel import processes
from . import activation, cgroups, records

ABSENT = "absent"
CREATED = "created"
RUNNING = "running"
PAUSED = "paused"
RESTARTING = "restarting"
EXITED = "exited"
LISTENING = "listening"
"""It does not run, and the first connection starts it."""


def status(instance: Instance, name: str, record: Optional[records.Record], live: records.Live) -> str:
    """One of the seven."""
    if record is None:
        return ABSENT
    if live.init is not None and processes.alive(live.init):
        return PAUSED if freezer.frozen(cgroups.path(instance, name, record.options)) else RUNNING
    last = records.read_status(instance, name)
    if watched(live) and last.status in ("restarting", "running"):
        return RESTARTING
    if activation.wanted(record.options) and activation.listening(instance, name):
        return LISTENING
    return CREATED if last.started_at is None else EXITED


def watched(live: records.Live) -> bool:
    """Whether its monitor lives."""
    return live.monitor is not None and processes.alive(live.monitor)
