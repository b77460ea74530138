# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_run) manages: one container."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from ..errors import InvalidValue, NotFound
from ..instance import Instance
from ..plan import Difference, Plan
from . import desired as wanted
from . import observe as looking
from . import planning, records
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
        InvalidValue: Without an image, and the container that shall be healthy has no health check.
    """
    if desired.image is None and observed.record is None and desired.state != "absent":
        raise NotFound("there is no container '%s'" % desired.name, "Say 'image' to create it")
    if desired.state == "healthy" and desired.image is None and observed.record is not None \
            and not observed.record.options.get("healthcheck"):
        raise InvalidValue("state", "healthy", "needs a health check, and the container '%s' has none" % desired.name,
                           "Say one with 'healthcheck', and 'image' with it")
    return planning.plan(desired, observed, differences)


def apply(instance: Instance, desired: Desired, observed: Observed, changes: Plan) -> Dict[str, Any]:
    """Carry out the plan."""
    from . import steps  # pylint: disable=import-outside-toplevel
    return steps.apply(instance, desired, observed, changes)


def rehearse(instance: Instance, desired: Desired, _observed: Observed, _changes: Plan) -> Dict[str, Any]:
    """Say what a pull would bring."""
    from ..image import remote  # pylint: disable=import-outside-toplevel
    return {"pull": remote.describe(instance, desired.offer)} if desired.offer is not None else {}


def finish(instance: Instance, desired: Desired) -> bool:
    """Wait until it is healthy, or ready, where that is asked for; whether it was.

    Raises:
        EngineError: It does not become so.
    """
    from . import activation, readiness  # pylint: disable=import-outside-toplevel
    waits = desired.state == "healthy" or desired.state in ("started", "restarted") and desired.detach \
        and desired.full.get("sdnotify") in (readiness.PROGRAM, readiness.HEALTH) and not activation.wanted(desired.full)
    if waits:
        from . import waiting  # pylint: disable=import-outside-toplevel
        step = waiting.await_health if desired.state == "healthy" else waiting.await_ready
        step(instance, records.current(instance, desired.name), desired.patience, locked=False)
    return waits


def report(instance: Instance, _desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The container's full state."""
    return looking.report(instance, observed)
