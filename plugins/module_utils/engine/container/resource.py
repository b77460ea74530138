# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_run) manages: one container."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from ..errors import NotFound
from ..instance import Instance
from ..plan import Difference, Plan
from . import desired as wanted
from . import observe as looking
from . import planning, steps
from .desired import Desired
from .observe import Observed


def key(params: Mapping[str, Any]) -> str:
    """The container's name."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """What is asked for, with what it inherits from the image."""
    return wanted.resolve(instance, params)


def observe(instance: Instance, desired: Desired) -> Observed:
    """What is true."""
    return looking.observe(instance, desired)


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """The steps in between.

    Raises:
        NotFound: Without an image, and there is no such container.
    """
    if desired.image is None and observed.record is None and desired.state != "absent":
        raise NotFound("there is no container '%s'" % desired.name, "Say 'image' to create it")
    return planning.plan(desired, observed, differences)


def apply(instance: Instance, desired: Desired, observed: Observed, changes: Plan) -> Dict[str, Any]:
    """Carry out the plan."""
    return steps.apply(instance, desired, observed, changes)


def report(instance: Instance, _desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The container's full state."""
    return looking.report(instance, observed)
