# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_stack) manages: many containers with their networks, as one declaration."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import EngineError, InvalidValue, NotFound
from ..instance import Instance
from ..plan import Change, Difference, Plan
from . import converging, planning, reality, records, saved, secrecy
from .definition import Stack
from .kinds import Kinds
from .planning import Operation
from .reality import Reality

_KINDS: List[Kinds] = []


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        written: The definition as it was written; C(None) where none is needed.
        stack: What it means.
        revision: Of the history, where that is gone back to.
        task: The options.
        warnings: What a person should know; observing adds to them.
    """

    name: str
    state: str
    task: Mapping[str, Any]
    written: Optional[Dict[str, Any]] = None
    stack: Optional[Stack] = None
    revision: Optional[records.Good] = None
    warnings: List[str] = []
    options: Mapping[str, Any] = {}


class Observed(NamedTuple):
    """What is."""

    reality: Reality
    options: Mapping[str, Any] = {}


def equip(tools: Kinds) -> None:
    """Take what lies above the engine."""
    _KINDS[:] = [tools]


def key(params: Mapping[str, Any]) -> str:
    """The stack's name."""
    name = params["name"] or (params["definition"] or {}).get("name")
    if not name:
        raise InvalidValue("name", name, "is missing, and the definition has none either", "Say it")
    return str(name)


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Read the definition; with the state C(rolled_back) the one that is gone back to.

    Raises:
        EngineError: It has faults; all of them are told.
    """
    name, state, kinds = key(params), params["state"], _KINDS[0]
    plain = Desired(name, state, params, warnings=[])
    if params["revision"] is not None and state != "rolled_back":
        raise InvalidValue("revision", params["revision"], "goes with the state 'rolled_back' only", "Leave it out")
    if state == "rolled_back":
        if params["definition"] is not None:
            raise InvalidValue("definition", "...", "does not go with the state 'rolled_back', which has its own", "Leave it out")
        good = converging.earlier(instance, name, params["revision"])
        written = secrecy.revealed(instance, name, good.definition)
        return plain._replace(revision=good, written=written, stack=converging.stack_of(instance, kinds, written, params, name))
    written = params["definition"]
    if state == "stopped" or state == "absent":
        return plain._replace(written=written)
    if written is None:
        record = records.read(instance, name)
        if record is None:
            raise NotFound("there is no stack '%s'" % name, "Say its 'definition', or where its files are with 'project_src'")
        written = secrecy.revealed(instance, name, record.definition)
    return plain._replace(written=written, stack=converging.stack_of(instance, kinds, written, params, name))


def observe(instance: Instance, desired: Desired) -> Observed:
    """Look at all that the stack is about."""
    if desired.stack is None:
        chosen = desired.task["services"]
        found = converging.there(instance, desired.name, None if not chosen else frozenset(chosen))
        return Observed(found)
    pinned = desired.revision.images if desired.revision is not None else {}
    prune = (desired.task["prune"] or desired.revision is not None) and not desired.task["services"]
    found = reality.look(instance, desired.stack, _KINDS[0], prune, pinned)
    desired.warnings[:] = found.warnings
    return Observed(found)


def operations(desired: Desired, observed: Observed) -> List[Operation]:
    """What is to be done.

    Raises:
        EngineError: Something is in the way; all of it is told.
    """
    found, faults = observed.reality, list(observed.reality.faults)
    steps: List[Operation] = []
    if desired.state == "absent":
        steps = planning.down(found.containers, found.surplus, () if desired.task["keep_volumes"] else found.volumes)
    elif desired.state == "stopped":
        steps = planning.halt(found.containers)
    elif desired.stack is not None and not faults:
        steps = planning.images(desired.stack, found) if desired.state == "pulled" else planning.up(desired.stack, found, faults)
    if faults:
        raise EngineError("the stack '%s' cannot be brought to what is declared:\n%s\n" % (
            desired.name, "\n".join("- " + each for each in faults)), "Nothing was changed", faults=faults)
    return steps


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """All changes of all objects, their options with the object's name in front."""
    return tuple(_named(operation, change) for operation in operations(desired, observed) for change in operation.changes)


def _named(operation: Operation, change: Change) -> Change:
    return change._replace(target=operation.key, differences=tuple(
        each._replace(option="%s.%s" % (operation.key, each.option)) for each in change.differences))


def agree(instance: Instance, desired: Desired, observed: Observed, _plan: Plan, check_mode: bool) -> None:
    """Write the plan to its file in check mode; else see that it is still that.

    Raises:
        Conflict, NotFound: It is not.
    """
    path = desired.task["plan"]
    if not path:
        return
    digest = desired.stack.digest if desired.stack is not None else ""
    kept = saved.document(desired.name, digest, desired.state, observed.reality, operations(desired, observed))
    if check_mode:
        saved.write(path, kept)
    else:
        saved.demand(path, kept)


def apply(instance: Instance, desired: Desired, observed: Observed, _plan: Plan) -> Dict[str, Any]:
    """Carry out all of it, in parallel where one does not need the other.

    Raises:
        EngineError: Some of it failed; tells what, and what was not begun because of it.
    """
    steps = operations(desired, observed)
    result = {"plan": planning.lines(steps), "operations": planning.shown(steps)}
    if desired.stack is None:
        converging.take_down(instance, desired.name, desired.state, observed.reality, steps, desired.task)
    elif desired.state == "pulled":
        converging.fetch(instance, desired.stack, observed.reality, steps, _KINDS[0], desired.task)
    else:
        converging.bring_up(instance, converging.Aim(desired.stack, dict(desired.written or {}), desired.revision),
                            observed.reality, steps, _KINDS[0], desired.task)
    return result


def rehearse(_instance: Instance, desired: Desired, observed: Observed, _plan: Plan) -> Dict[str, Any]:
    """Show what would be done."""
    steps = operations(desired, observed)
    return {"plan": planning.lines(steps), "operations": planning.shown(steps)}


def finish(instance: Instance, desired: Desired) -> bool:
    """Wait for the health of all, where that is asked for; keep the definition as one that was reached, of which the result tells."""
    if desired.stack is None or desired.state == "pulled":
        return False
    converging.settle(instance, converging.Aim(desired.stack, dict(desired.written or {}), desired.revision), desired.task)
    return True


def report(instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The stack with its services."""
    past = records.history(instance, desired.name)
    record = records.read(instance, desired.name)
    return {"name": desired.name, "exists": record is not None,
            "revision": (record.rolled_back if record is not None and record.rolled_back else past[-1].revision) if past else None,
            "services": reality.report(instance, observed.reality.containers),
            "networks": sorted(desired.stack.networks) if desired.stack is not None else sorted(record.networks if record else ()),
            "volumes": sorted(desired.stack.volumes) if desired.stack is not None else sorted(record.volumes if record else ())}
