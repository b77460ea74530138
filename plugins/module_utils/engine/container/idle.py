# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a monitor takes a container for idle: nobody is connected to it, and it has sent nothing for a while."""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional, Tuple

from . import activation, connections

_SHORTEST, _LONGEST = 0.2, 30.0


class Idle:
    """Looks after one container.

    Attributes:
        due: When the next look is, by the monotonic clock; C(None) for none.
    """

    def __init__(self) -> None:
        self.due: Optional[float] = None
        self.pid = 0
        self.timeout = 0.0
        self.since = 0.0
        self.sent = -1

    def give(self) -> Tuple[Any, ...]:
        """What is known, of plain types."""
        return self.due, self.pid, self.timeout, self.since, self.sent

    def take(self, known: Tuple[Any, ...]) -> None:
        """Go on with that."""
        self.due, self.pid, self.timeout, self.since, self.sent = known

    def begin(self, pid: int, options: Mapping[str, Any]) -> None:
        """Look after a container that runs, where its options ask for that; none is idle yet."""
        self.pid = pid
        self.timeout = (options.get("idle_timeout") or 0) / 1000000 if activation.wanted(options) else 0.0
        self.since, self.sent = time.monotonic(), -1
        self._plan()

    def _plan(self) -> None:
        pause = min(_LONGEST, max(_SHORTEST, self.timeout / 4))
        self.due = time.monotonic() + pause if self.timeout > 0 else None

    def end(self) -> None:
        """It has ended, or is about to."""
        self.due = None

    def over(self, now: float) -> bool:
        """Look, if it is time; whether the container has been idle for as long as it may be."""
        if self.due is None or now < self.due:
            return False
        sent = connections.sent(self.pid)
        if sent != self.sent or connections.opened(self.pid):
            self.since, self.sent = now, sent
        self._plan()
        return now - self.since >= self.timeout
