# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a container that ended is started again: the restart policy, as data and arithmetic."""

from __future__ import annotations

from typing import NamedTuple, Optional

NO = "no"
ON_FAILURE = "on-failure"
ALWAYS = "always"
UNLESS_STOPPED = "unless-stopped"

FIRST_PAUSE = 0.1
"""Seconds before the first restart; doubled each time."""
LONGEST_PAUSE = 60.0
HEALTHY_AFTER = 10.0
"""Seconds of running after which the pause starts from its beginning."""


class Policy(NamedTuple):
    """A restart policy.

    Attributes:
        kind: One of the four above.
        retries: For C(on-failure): how many restarts at most; 0 means without end.
    """

    kind: str = NO
    retries: int = 0


def parse(text: str) -> Policy:
    """The policy of C(always), C(on-failure:3) and so on; the form has been checked before."""
    kind, _colon, number = text.partition(":")
    return Policy(kind, int(number or 0))


def restarts(policy: Policy, exit_code: Optional[int], so_far: int) -> bool:
    """Whether a container that ended by itself is to be started again.

    Args:
        exit_code: How it ended; C(None), not seen by anyone, counts as a failure.
        so_far: How often it has been restarted since it was started by hand.
    """
    if policy.kind in (ALWAYS, UNLESS_STOPPED):
        return True
    if policy.kind == ON_FAILURE:
        return exit_code != 0 and (policy.retries == 0 or so_far < policy.retries)
    return False


def starts_at_boot(policy: Policy, stopped: bool, interrupted: bool) -> bool:
    """Whether the boot unit starts it.

    Args:
        stopped: Whether it had been stopped on request. C(always) starts it all the same, as Docker does.
        interrupted: Whether it was running when the host went down, which counts as a failure.
    """
    return (policy.kind == ALWAYS or policy.kind == UNLESS_STOPPED and not stopped
            or policy.kind == ON_FAILURE and interrupted and not stopped)


def pause(previous: float, ran_for: float) -> float:
    """Seconds to wait before the next start.

    Args:
        previous: The last pause; 0 for none.
        ran_for: How long it ran, in seconds.
    """
    if previous == 0 or ran_for >= HEALTHY_AFTER:
        return FIRST_PAUSE
    return min(previous * 2, LONGEST_PAUSE)
