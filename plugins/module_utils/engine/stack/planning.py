# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what there is of a stack to what is declared: the operations in between and their order, as pure functions."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..container import planning as containers
from ..errors import EngineError
from ..network import publish
from ..plan import LIVE, RECREATE, RESTART, Change
from .definition import Service, Stack
from .kinds import COMPLETED, HEALTHY
from .reality import RESOURCES, Reality, Seen, image_key

IMAGE, NETWORK, VOLUME, CONTAINER, FILES = "image", "network", "volume", "container", "files"
PORTS = "ports"
"""What a container lets go of before its turn, where another that comes first is to have them."""
_BEGINS = ("create", "start", "restart", "recreate", "swap")
"""Actions after which a new process runs."""
_REPLACES = ("restart", "recreate", "swap")


class Operation(NamedTuple):
    """All changes of one object.

    Attributes:
        sign: C(+) makes it, C(-) takes it away, C(~) changes it.
        kind, name: Of the object.
        service: Whose it is; empty for what services share.
        changes: As its own module would carry them out.
        reason: Why.
    """

    sign: str
    kind: str
    name: str
    service: str
    changes: Tuple[Change, ...]
    reason: str

    @property
    def key(self) -> str:
        """What a person calls it, and the graph."""
        return "%s %s" % (self.kind, self.name)

    @property
    def begins(self) -> bool:
        """Whether a new process runs after it."""
        return any(change.action in _BEGINS for change in self.changes)


class Edge(NamedTuple):
    """What an operation, or the wait for one, comes after: those that must have succeeded, and those that must be over."""

    after: FrozenSet[str] = frozenset()
    behind: FrozenSet[str] = frozenset()


def up(stack: Stack, reality: Reality, faults: List[str]) -> List[Operation]:
    """What brings a stack up, or changes it.

    Args:
        faults: Gets what cannot be.
    """
    found = [*_images(stack, reality), *_shared(reality, faults)]
    by_service: Dict[str, List[Operation]] = {}
    for name in _in_order(stack):
        service = stack.services[name]
        by_service[name] = [operation for seen in reality.containers if seen.container.service == name
                            for operation in [_container(service, seen, by_service, faults)] if operation is not None]
        found += by_service[name]
    _conditions(stack, reality, faults)
    found += [_away(seen, "is declared no more") for seen in reality.doomed]
    found += [Operation("-", NETWORK, name, "", (Change("remove", name),), "is declared no more") for name in reality.surplus]
    return found


def down(seen: Sequence[Seen], networks: Sequence[str], volumes: Sequence[str]) -> List[Operation]:
    """What takes a stack away."""
    return [*(_away(each, "the stack is to go") for each in seen),
            *(Operation("-", NETWORK, name, "", (Change("remove", name),), "the stack is to go") for name in networks),
            *(Operation("-", VOLUME, name, "", (Change("remove", name),), "the stack is to go") for name in volumes)]


def halt(seen: Sequence[Seen]) -> List[Operation]:
    """What stops what runs of a stack."""
    return [Operation("~", CONTAINER, each.container.name, each.container.service, (Change("stop", each.container.name, RESTART),),
                      "the stack is to be stopped")
            for each in seen if each.observed.status in ("running", "paused", "restarting")]


def images(stack: Stack, reality: Reality) -> List[Operation]:
    """What brings the images."""
    return _images(stack, reality)


def _images(stack: Stack, reality: Reality) -> List[Operation]:
    found: Dict[str, Operation] = {}
    for each in stack.containers:
        finding = reality.findings[image_key(each.params)]
        name, build = each.params["image"], stack.services[each.service].build
        if finding.offer is not None:
            reason = "the registry has it as %s" % finding.offer.digest
            found.setdefault(name, Operation("+", IMAGE, name, "", (Change("pull", name),), reason))
        elif finding.image is None and build is not None:
            found.setdefault(name, Operation("+", IMAGE, name, each.service, (Change("build", name),), "is not in the store"))
    return list(found.values())


def _shared(reality: Reality, faults: List[str]) -> List[Operation]:
    """Networks and volumes."""
    found = []
    for seen in reality.shared:
        resource: Any = RESOURCES[seen.kind]
        try:
            changes = resource.plan(seen.desired, seen.observed, seen.differences)
        except EngineError as error:
            faults.append("%s '%s': %s" % (seen.kind, seen.name, error))
            continue
        if changes:
            found.append(Operation("~" if seen.exists else "+", seen.kind, seen.name, "", tuple(changes),
                                   _reason(tuple(changes), "is not there")))
    return found


def _in_order(stack: Stack) -> List[str]:
    """The services, each after those that it needs."""
    found: List[str] = []

    def visit(name: str) -> None:
        for other in stack.services[name].needs:
            if other not in found:
                visit(other)
        if name not in found:
            found.append(name)

    for each in stack.services:
        visit(each)
    return found


def _container(service: Service, seen: Seen, before: Mapping[str, Sequence[Operation]], faults: List[str]) -> Optional[Operation]:
    name = seen.container.name
    try:
        changes = own(service, seen)
    except EngineError as error:
        faults.append("service '%s': %s" % (service.name, error))
        return None
    reason = _reason(changes, "is not there")
    if not any(change.action in _BEGINS for change in changes) and seen.observed.status in ("running", "paused"):
        because = _dragged(service, before)
        if because:
            changes += (Change("restart", name, RESTART),)
            reason = because
    if not changes:
        return None
    return Operation("+" if changes[0].action == "create" or seen.observed.record is None else "~", CONTAINER, name, service.name,
                     changes, reason)


def own(service: Service, seen: Seen) -> Tuple[Change, ...]:
    """What a container itself needs, as its module would do it.

    Raises:
        EngineError: It cannot be had.
    """
    name, status = seen.container.name, seen.observed.status
    if seen.blocked:
        if seen.observed.record is None:
            return (Change("create", name), Change("start", name))
        return () if status in ("running", "paused") else (Change("start", name),)
    changes = tuple(each for each in containers.plan(seen.desired, seen.observed, seen.differences) if each.action != "pull")
    if service.one_shot and status == "exited" and seen.exit_code == 0 and [each.action for each in changes] == ["start"]:
        return ()  # it has done what it is for
    return changes


def _dragged(service: Service, before: Mapping[str, Sequence[Operation]]) -> str:
    """Why a container that is as it shall be has to be started again: another that it hangs on is."""
    for other, need in service.needs.items():
        actions = _BEGINS if need.implied else _REPLACES
        if need.restart and any(change.action in actions for operation in before.get(other, ()) for change in operation.changes):
            return "the service '%s', which it depends on, is started anew" % other
    return ""


def _conditions(stack: Stack, reality: Reality, faults: List[str]) -> None:
    """Nobody can wait for the health of a container that has no health check."""
    checked = {seen.container.name: bool(seen.desired.full.get("healthcheck")) for seen in reality.containers if seen.desired.full}
    for service in stack.services.values():
        for other, need in service.needs.items():
            if need.condition == HEALTHY and any(checked.get(each.name) is False for each in stack.services[other].containers):
                faults.append("service '%s': waits for the health of '%s', which has no health check" % (service.name, other))


def _away(seen: Seen, reason: str) -> Operation:
    changes = containers.plan(seen.desired, seen.observed, ())
    return Operation("-", CONTAINER, seen.container.name, seen.container.service, changes, reason)


def _reason(changes: Sequence[Change], missing: str) -> str:
    if not changes:
        return ""
    options = [each.option for change in changes for each in change.differences]
    if changes[0].action == "create":
        return missing
    if options:
        return "differs in " + ", ".join(dict.fromkeys(options))
    return {"start": "does not run", "adopt": "nobody watches it", "recreate": "was asked for", "swap": "was asked for",
            "tidy": "an interrupted replacement left two", "unpause": "is paused", "remove": "an interrupted run left parts of it",
            }.get(changes[0].action, changes[0].action)


# The order

def order(stack: Stack, reality: Reality, operations: Sequence[Operation], wait: str) -> Tuple[Dict[str, Edge], Dict[str, str]]:
    """What each operation comes after, and the steps that are needed beside: key and the container that is waited for, or lets go of
    its ports.

    Args:
        wait: As the option.
    """
    keys = {operation.key for operation in operations}
    edges: Dict[str, Set[str]] = {operation.key: set() for operation in operations}
    behind: Dict[str, Set[str]] = {operation.key: set() for operation in operations}
    waits: Dict[str, str] = {}
    removals = {operation.key for operation in operations if operation.sign == "-" and operation.kind == CONTAINER}
    for operation in operations:
        key = operation.key
        if operation.kind == NETWORK and operation.sign == "-":
            behind[key] |= {each.key for each in operations if each.kind == CONTAINER}
        if operation.kind != CONTAINER or operation.sign == "-":
            continue
        service = stack.services[operation.service]
        params = next(each.params for each in service.containers if each.name == operation.name)
        edges[key] |= {"%s %s" % (IMAGE, params["image"])} | {"%s %s" % (NETWORK, row["name"]) for row in params["networks"]}
        edges[key] |= {"%s %s" % (VOLUME, row["source"]) for part in ("mounts", "volumes") for row in params[part] or ()
                       if row["type"] == VOLUME}
        behind[key] |= removals
        if not operation.begins:
            continue
        for other, need in service.needs.items():
            for each in stack.services[other].containers:
                known = "%s %s" % (CONTAINER, each.name)
                edges[key].add(known)
                if need.condition in (HEALTHY, COMPLETED):
                    waits["%s %s" % (need.condition, each.name)] = each.name
                    edges[key].add("%s %s" % (need.condition, each.name))
        _in_turn(service, operations, operation, edges, behind)
    _ports(stack, reality, operations, edges, behind, waits)
    if wait == HEALTHY:
        waits.update(("%s %s" % (HEALTHY, seen.container.name), seen.container.name) for seen in reality.containers
                     if seen.desired.full.get("healthcheck"))
    found = {key: Edge(frozenset(edges[key] & (keys | set(waits))), frozenset(behind[key] & keys)) for key in keys}
    for key, name in waits.items():
        before = frozenset({"%s %s" % (CONTAINER, name)}) if not key.startswith(PORTS + " ") else frozenset(edges[key])
        found[key] = Edge(before & (keys | set(waits)), frozenset(behind.get(key, ())) & keys)
    return found, waits


def _ports(stack: Stack, reality: Reality, operations: Sequence[Operation], edges: Dict[str, Set[str]], behind: Dict[str, Set[str]],
           waits: Dict[str, str]) -> None:
    """Who is to have a port comes after who has it; where that one waits for the other in its turn, it lets go of its ports before."""
    holders = _holders(reality)
    wanted = {each.name: each.params["published_ports"] or () for each in stack.containers}
    for operation in operations:
        if operation.kind != CONTAINER or operation.sign == "-":
            continue
        for port in publish.expand(wanted[operation.name]):
            name = holders.get((port.protocol, port.host_port), operation.name)
            holder, step = "%s %s" % (CONTAINER, name), "%s %s" % (PORTS, name)
            if name == operation.name or holder not in edges:
                continue
            if not _waits_for(holder, operation.key, edges, behind, waits):
                behind[operation.key].add(holder)
            else:  # not before what can take long; nor after a container, lest it go round in a circle
                waits[step] = name
                edges.setdefault(step, {each for each in edges[operation.key] if each.startswith((IMAGE + " ", NETWORK + " "))})
                edges[operation.key].add(step)


def _waits_for(one: str, other: str, edges: Mapping[str, Set[str]], behind: Mapping[str, Set[str]], waits: Mapping[str, str]) -> bool:
    """Whether one comes after the other, by however many between."""
    seen: Set[str] = set()
    queue = [one]
    while queue:
        key = queue.pop()
        if key == other:
            return True
        if key not in seen:
            seen.add(key)
            queue += edges.get(key, set()) | behind.get(key, set())
            if key in waits and not key.startswith(PORTS + " "):
                queue.append("%s %s" % (CONTAINER, waits[key]))
    return False


def _holders(reality: Reality) -> Dict[Tuple[str, int], str]:
    """Who of the stack has which port of the host now."""
    return {(port.protocol, port.host_port): seen.container.name for seen in reality.containers if seen.observed.record is not None
            for port in publish.expand(seen.observed.record.options.get("published_ports") or ())}


def replaced(operation: Operation) -> bool:
    """Whether it takes a running container's place, so that it takes its turn among the replicas."""
    return operation.sign == "~" and any(change.action in _REPLACES for change in operation.changes)


def in_turn(service: Service, operations: Sequence[Operation]) -> List[Operation]:
    """The replacements of a service, in the order of their numbers."""
    numbers = {each.name: each.number for each in service.containers}
    return sorted((each for each in operations if each.kind == CONTAINER and each.service == service.name and replaced(each)),
                  key=lambda each: numbers.get(each.name, 0))


def _in_turn(service: Service, operations: Sequence[Operation], operation: Operation, edges: Mapping[str, Set[str]],
             behind: Dict[str, Set[str]]) -> None:
    """Replicas are replaced in turn: each batch once all of the one before is over."""
    width = service.update.parallelism
    turns = in_turn(service, operations)
    if not width or operation not in turns:
        return
    batch = turns.index(operation) // width
    if batch:
        behind[operation.key] |= {each.key for each in turns[(batch - 1) * width:batch * width]}


def reverse(operations: Sequence[Operation], needs: Mapping[str, Sequence[str]]) -> Dict[str, Edge]:
    """The order for stopping and removing: who depends on others goes first.

    Args:
        needs: By service, those that it needs.
    """
    of_service: Dict[str, List[str]] = {}
    for operation in operations:
        if operation.kind == CONTAINER:
            of_service.setdefault(operation.service, []).append(operation.key)
    behind: Dict[str, Set[str]] = {operation.key: set() for operation in operations}
    for service, others in needs.items():
        for other in others:
            for key in of_service.get(other, ()):
                behind[key].update(of_service.get(service, ()))
    everybody = {key for keys in of_service.values() for key in keys}
    for operation in operations:
        if operation.kind in (NETWORK, VOLUME):
            behind[operation.key] |= everybody
    return {key: Edge(frozenset(), frozenset(before)) for key, before in behind.items()}


def shown(operations: Sequence[Operation]) -> List[Dict[str, object]]:
    """The operations as results and plan files show them."""
    return [{"sign": each.sign, "kind": each.kind, "name": each.name, "service": each.service or None, "reason": each.reason,
             "actions": [change.action for change in each.changes],
             "disruption": RECREATE if any(change.disruption == RECREATE for change in each.changes) else
             RESTART if any(change.disruption == RESTART for change in each.changes) else LIVE,
             "options": list(dict.fromkeys(diff.option for change in each.changes for diff in change.differences))}
            for each in operations]


def lines(operations: Sequence[Operation]) -> List[str]:
    """The operations for people: a sign, the object, and why."""
    return ["%s %s %s (%s): %s" % (each.sign, each.kind, each.name, ", ".join(change.action for change in each.changes), each.reason)
            for each in operations]
