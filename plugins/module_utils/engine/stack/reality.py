# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of a stack's objects: each looked at as its own module does, what they share looked at once. Reads only."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..container import desired as wanted
from ..container import health, observe as looking
from ..container import records as containers
from ..container import secret_files
from ..container.desired import Desired
from ..container.observe import Observed
from ..errors import Conflict, EngineError, NotFound
from ..image import images, platforms, references, remote
from ..instance import Instance
from ..network import networks, publish, turns
from ..network import resource as network
from ..plan import Difference
from ..registry.access import access_of
from ..store import glance
from ..volume import records as volume_records
from ..volume import resource as volume
from . import parting, records
from .definition import REPLICA, SERVICE, STACK, Container, Stack
from .kinds import Kinds

RESOURCES = {"network": network, "volume": volume}
"""What several containers share, and is an object by itself."""
ImageKey = Tuple[str, str, str, str]


class Seen(NamedTuple):
    """A container as it is and shall be.

    Attributes:
        blocked: Why it cannot be told yet what it will be, since something of the stack is missing that comes first.
        exit_code: Of its last run.
    """

    container: Container
    desired: Desired
    observed: Observed
    differences: Tuple[Difference, ...] = ()
    blocked: str = ""
    exit_code: Optional[int] = None


class Shared(NamedTuple):
    """A network or volume as it is and shall be, as its own module sees it."""

    kind: str
    name: str
    desired: Any
    observed: Any
    differences: Tuple[Difference, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return bool(self.observed.exists if self.kind == "network" else self.observed.record is not None)


class Reality(NamedTuple):
    """All that there is.

    Attributes:
        record: What was last asked for of the stack.
        members: By name, the containers that carry the stack's label, with their service.
        findings: Of the images.
        surplus: Networks of the stack that it declares no more; where it is to go, all that it has.
        doomed: Containers of the stack that it declares no more.
        faults: What is in the way.
        volumes: That the stack has made.
        known: Whether the stack itself is to be forgotten.
    """

    record: Optional[records.Record]
    members: Mapping[str, str]
    findings: Mapping[ImageKey, remote.Finding]
    containers: Tuple[Seen, ...] = ()
    shared: Tuple[Shared, ...] = ()
    surplus: Tuple[str, ...] = ()
    doomed: Tuple[Seen, ...] = ()
    faults: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
    volumes: Tuple[str, ...] = ()
    known: bool = False


def image_key(params: Mapping[str, Any]) -> ImageKey:
    """What has to be the same for two containers to have one image."""
    return (str(params["image"]), str(params["platform"] or ""), str(params["pull"]), repr(params["registry"] or {}))


def members(instance: Instance, stack: str) -> Dict[str, str]:
    """The containers of a stack by their labels, and the service of each; one pass over all records."""
    found = {}
    for name in containers.names(instance):
        record = containers.read(instance, name)
        labels = (record.options.get("labels") or {}) if record is not None else {}
        if record is not None and labels.get(STACK) == stack:
            found[containers.called(name)] = str(labels.get(SERVICE) or "")
    return found


def labels_of(instance: Instance, name: str) -> Optional[Mapping[str, str]]:
    """The labels of a container, or C(None) where there is none."""
    record = containers.read(instance, containers.current(instance, name))
    return None if record is None else record.options.get("labels") or {}


def findings(instance: Instance, stack: Stack, pinned: Mapping[str, str], faults: List[str]) -> Dict[ImageKey, remote.Finding]:
    """What each image name means; asked once for all containers that have it."""
    found: Dict[ImageKey, remote.Finding] = {}
    for each in stack.containers:
        params, key = each.params, image_key(each.params)
        if key in found:
            continue
        service = stack.services[each.service]
        kept = images.find(instance, pinned[each.service]) if each.service in pinned else None
        if kept is not None:
            found[key] = remote.Finding(kept, None)
            continue
        policy = remote.NEVER if service.build is not None else params["pull"]
        try:
            platform = platforms.parse(params["platform"]) if params["platform"] else None
            found[key] = remote.find(instance, params["image"], policy, access_of(params["registry"] or {}), platform)
        except ValueError as error:
            faults.append("service '%s': image '%s' %s. Write %s" % (each.service, params["image"], error, references.FORM))
            found[key] = remote.Finding(None, None)
        except EngineError as error:
            faults.append("service '%s': %s" % (each.service, error))
            found[key] = remote.Finding(None, None)
        else:
            if found[key].image is None and service.build is None:
                faults.append("service '%s': the image '%s' is not in the store below %s. Bring it there first with coracle.containers."
                              "container_image, or let it be pulled" % (each.service, params["image"], instance.state_root))
    return found


def look(instance: Instance, stack: Stack, kinds: Kinds, prune: bool, pinned: Mapping[str, str]) -> Reality:
    """Look at everything that a definition is about.

    Args:
        pinned: By service, the images that they shall have, whatever the images' names mean now.
        prune: Whether what the stack declares no more is to go, and so is not in the way.
    """
    faults: List[str] = []
    record = records.read(instance, stack.name)
    mine = members(instance, stack.name)
    declared = {each.name for each in stack.containers}
    for each in stack.containers:
        labels = labels_of(instance, each.name)
        if labels is not None and labels.get(STACK) != stack.name:
            faults.append("service '%s': there is a container '%s' already, and it is not of this stack. Remove or rename it" % (
                each.service, each.name))
    found = findings(instance, stack, pinned, faults)
    shared, settled = _shared(instance, stack, kinds, faults)
    yielding = frozenset(name for name in mine if prune or name in declared)
    with networks.supposing(settled), publish.supposing(yielding), turns.reading(instance), glance.once():
        looks = parting.each(partial(_container, instance, stack, kinds, found), stack.containers)
    seen = tuple(each for each, _fault in looks)
    faults += [fault for _each, fault in looks if fault]
    gone = tuple(_doomed(instance, name, mine[name]) for name in sorted(set(mine) - declared)) if prune else ()
    warnings = {text for each in seen for text in each.desired.warnings}
    warnings |= {text for each in found.values() for text in each.warnings}
    return Reality(record, mine, found, seen, shared, _surplus(instance, stack, record) if prune else (), gone,
                   tuple(dict.fromkeys(faults)), tuple(sorted(warnings)))


def _shared(instance: Instance, stack: Stack, kinds: Kinds, faults: List[str]) -> Tuple[Tuple[Shared, ...], List[networks.Network]]:
    """Networks and volumes, and the networks that are to be made or changed."""
    seen: List[Shared] = []
    settled: List[networks.Network] = []
    for kind, name in sorted(stack.external):
        if kind == "network" and networks.load(instance, name) is None:
            faults.append("the network '%s' is external, and there is none. Make it with coracle.containers.container_network" % name)
        if kind == "secret" and secret_files.read(instance, name) is None:
            faults.append("the secret '%s' is external, and there is none. Make it with coracle.containers.container_secret" % name)
        if kind == "volume" and volume_records.load(instance, name) is None:
            faults.append("the volume '%s' is external, and there is none. Make it with coracle.containers.container_volume" % name)
    users = volume_records.users(instance) if stack.volumes else {}
    for kind, rows in (("network", stack.networks), ("volume", stack.volumes)):
        for name, row in rows.items():
            resource: Any = RESOURCES[kind]
            params = kinds.params[kind](row)
            with networks.supposing(settled):
                try:
                    desired = resource.resolve(instance, params)
                except EngineError as error:
                    faults.append("%s '%s': %s" % (kind, name, error))
                    continue
            observed = volume.observe(instance, desired, users) if kind == "volume" else network.observe(instance, desired)
            each = Shared(kind, name, desired, observed, kinds.shared[kind](desired.options, observed.options))
            seen.append(each)
            if kind == "network" and (not each.exists or each.differences):
                settled.append(desired.network)
    return tuple(seen), settled


def _surplus(instance: Instance, stack: Stack, record: Optional[records.Record]) -> Tuple[str, ...]:
    """Networks that the stack has made and declares no more."""
    labelled = {each.name for each in networks.every(instance) if dict(each.labels).get(STACK) == stack.name}
    recorded = {name for name in (record.networks if record else ()) if networks.load(instance, name) is not None}
    return tuple(sorted((labelled | recorded) - set(stack.networks)))


def _container(instance: Instance, stack: Stack, kinds: Kinds, found: Mapping[ImageKey, remote.Finding],
               container: Container) -> Tuple[Seen, str]:
    """A container, and what is in the way of it."""
    finding = found[image_key(container.params)]
    plain = Desired(container.name, "started")
    if finding.image is None:
        return Seen(container, plain, looking.observe(instance, plain), blocked="its image is to be made"), ""
    try:
        desired = wanted.resolve(instance, container.params, finding._replace(offer=None),
                                 frozenset(stack.files) | {each.name for each in stack.containers}
                                 | {secret_files.promise(each) for each in stack.secrets}
                                 | {secret_files.promise(name) for kind, name in stack.external if kind == "secret"})
        observed = looking.observe(instance, desired)
    except EngineError as error:
        if isinstance(error, (NotFound, Conflict)) and any(need.implied for need in stack.services[container.service].needs.values()):
            return Seen(container, plain, looking.observe(instance, plain), blocked=error.what), ""
        return Seen(container, plain, Observed(container.name)), "service '%s': %s" % (container.service, error)
    code = containers.read_status(instance, observed.name).exit_code if observed.status == "exited" else None
    return Seen(container, desired, observed, kinds.container(desired.options, observed.options), "", code), ""


def _doomed(instance: Instance, name: str, service: str) -> Seen:
    """A container that is to go."""
    desired = Desired(name, "absent")
    number = (labels_of(instance, name) or {}).get(REPLICA, "0")
    return Seen(Container(name, service, int(number) if number.isdigit() else 0, {}), desired, looking.observe(instance, desired))


def present(instance: Instance, stack: str, names: Optional[FrozenSet[str]] = None) -> Tuple[Seen, ...]:
    """The containers that there are of a stack."""
    found = members(instance, stack)
    return tuple(_doomed(instance, name, service) for name, service in sorted(found.items()) if names is None or service in names)


def report(instance: Instance, seen: Sequence[Seen]) -> Dict[str, Dict[str, Any]]:
    """Services and their containers as a result shows them."""
    found: Dict[str, Dict[str, Any]] = {}
    for each in seen:
        record, status = each.observed.record, each.observed.status
        row: Dict[str, Any] = {"name": each.container.name, "status": status}
        if record is not None:
            row.update(id=record.id, image=record.image, image_id=record.image_id,
                       published_ports=record.options.get("published_ports") or [])
            if status == "exited":
                row["exit_code"] = containers.read_status(instance, record.name).exit_code
            if record.options.get("healthcheck"):
                row["health"] = health.read(instance, record.name).status
            if status in ("running", "paused") and each.observed.live.init is not None:
                row["pid"] = each.observed.live.init.pid
        service = found.setdefault(each.container.service, {"running": 0, "containers": []})
        service["running"] += status == "running"
        service["containers"].append(row)
    return found
