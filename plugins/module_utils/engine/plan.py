# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is: an ordered list of changes, as data.

Observing yields what is true, planning compares it with what is desired, and
only applying acts. A plan can be printed, compared and returned without having
been carried out; check mode does just that.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

LIVE = "live"
"""No process notices."""
RESTART = "restart"
"""The process is stopped and started again; what it wrote stays."""
RECREATE = "recreate"
"""The object is replaced; what it wrote outside of volumes goes."""


class Difference(NamedTuple):
    """One option whose desired value is not the present one."""

    option: str
    before: Any
    after: Any
    disruption: str = LIVE


class Change(NamedTuple):
    """One step of a plan.

    Attributes:
        action: A verb that the resource's C(apply) knows, such as C(create).
        target: What it acts on, as a person would name it.
        disruption: One of C(live), C(restart), C(recreate).
        differences: The options that this step brings to their desired value.
    """

    action: str
    target: str
    disruption: str = LIVE
    differences: Tuple[Difference, ...] = ()


Plan = Tuple[Change, ...]
"""The changes in the order in which they are carried out; empty when all is as desired."""
