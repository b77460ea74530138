# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of a stack, carried out: each as the module of its kind would do it, under the lock of its object.

What is there is looked at again under the lock: a plan is a prediction, and what somebody else has done meanwhile is not undone.
"""

from __future__ import annotations

import gc
import time
from functools import partial
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..container import desired as wanted
from ..container import health, observe as looking
from ..container import records as containers
from ..container import status as states
from ..container import steps, waiting
from ..container.desired import Desired
from ..errors import EngineError
from ..image import images, remote
from ..instance import Instance
from ..network import attach, declare
from ..plan import RESTART, Change
from ..store import locks
from ..volume import volumes
from . import planning, scheduling
from .definition import Container, Policy, Service, Stack
from .kinds import HEALTHY, Kinds
from .planning import CONTAINER, IMAGE, NETWORK, PORTS, VOLUME, Edge, Operation
from .reality import RESOURCES, Reality, Seen, image_key
from .scheduling import Job, Outcome

_REST = 0.05


class Site(NamedTuple):
    """What all jobs of a run know; C(kinds) only where something is to be made or changed."""

    instance: Instance
    stack: Stack
    reality: Reality
    kinds: Optional[Kinds]
    patience: float
    keep_volumes: bool = True


def carry_out(site: Site, operations: Sequence[Operation], edges: Mapping[str, Edge], waits: Mapping[str, str],
              most: int) -> Dict[str, Outcome]:
    """Do all operations in their order; what became of each."""
    from ..container import client, lifecycle, swap  # noqa: F401  # pylint: disable=import-outside-toplevel,unused-import
    jobs = {}
    for operation in operations:
        edge = edges[operation.key]
        service = site.stack.services.get(operation.service)
        policy = service.update if service is not None else Policy()
        rest = policy.delay if planning.replaced(operation) else 0.0
        jobs[operation.key] = Job(operation.key, partial(_do, site, operation), edge.after, edge.behind, rest)
    for key, name in waits.items():
        jobs[key] = Job(key, partial(_beside, site, key, name), edges[key].after, edges[key].behind, waits=True)
    gc.collect()
    gc.freeze()  # so that the garbage collector of a forked process leaves alone what it shares with this one
    try:
        return scheduling.run(jobs, most, partial(_gate, site.stack, operations, {each.key: each for each in operations}))
    finally:
        gc.unfreeze()


def _gate(stack: Stack, operations: Sequence[Operation], by_key: Mapping[str, Operation], job: Job, done: Mapping[str, Outcome]) -> str:
    """Because of which failure a replica must not be replaced any more."""
    operation = by_key.get(job.key)
    service = stack.services.get(operation.service) if operation is not None else None
    if operation is None or service is None or not planning.replaced(operation):
        return ""
    failed = [each.key for each in planning.in_turn(service, operations) if each.key in done and done[each.key].status == scheduling.FAILED]
    if not failed or service.update.failure_action == "continue":
        return ""
    return failed[0] if len(failed) / len(service.containers) > service.update.max_failure_ratio else ""


def _do(site: Site, operation: Operation) -> Any:
    if operation.kind == IMAGE:
        return _image(site, operation)
    if operation.kind in (NETWORK, VOLUME):
        return _shared(site, operation)
    if operation.sign == "-" or operation.service not in site.stack.services:
        return _leave(site, operation)
    return _container(site, operation)


def _image(site: Site, operation: Operation) -> None:
    if operation.changes[0].action == "build":
        from . import building  # pylint: disable=import-outside-toplevel
        building.build(site.instance, operation.name, site.stack.services[operation.service].build or {})
        return
    from ..image import pulling  # pylint: disable=import-outside-toplevel
    finding = next(found for key, found in site.reality.findings.items() if key[0] == operation.name and found.offer is not None)
    with locks.held(site.instance, "image", operation.name):
        before = images.find(site.instance, operation.name)
        if before is not None:  # a revision that is gone back to may need it
            images.point(site.instance, pin(site.stack.name, before.id), before.manifest_type, before.manifest_digest, before.manifest_size)
        if finding.offer is not None:
            pulling.pull(site.instance, finding.offer)


def pin(stack: str, image: str) -> str:
    """The name under which an image stays in the store that an earlier revision of a stack runs with."""
    return "localhost/coracle-stack/%s:%s" % (stack.lower(), image.rpartition(":")[2][:16])


def _shared(site: Site, operation: Operation) -> None:
    """Make, change or remove a network or volume."""
    with locks.held(site.instance, operation.kind, operation.name):
        if operation.sign == "-" and operation.kind == NETWORK:
            declare.withdraw(site.instance, operation.name)
        elif operation.sign == "-":
            volumes.remove(site.instance, operation.name)
        else:
            seen = next(each for each in site.reality.shared if (each.kind, each.name) == (operation.kind, operation.name))
            resource: Any = RESOURCES[operation.kind]
            resource.apply(site.instance, seen.desired, seen.observed, operation.changes)


def _leave(site: Site, operation: Operation) -> Any:
    """Stop or remove a container."""
    name = operation.name
    with locks.held(site.instance, CONTAINER, name):
        if operation.sign == "-":
            desired = Desired(name, "absent", keep_volumes=site.keep_volumes)
        else:
            desired = Desired(name, "stopped")
        observed = looking.observe(site.instance, desired)
        if operation.sign != "-" and observed.record is None:
            return None
        changes = _planned(desired, observed, ())
        return steps.apply(site.instance, desired, observed, changes) if changes else None


def _planned(desired: Desired, observed: looking.Observed, differences: Any) -> Any:
    from ..container import planning as of_container  # pylint: disable=import-outside-toplevel
    return of_container.plan(desired, observed, differences)


def _container(site: Site, operation: Operation) -> Dict[str, Any]:
    """Bring a container to what it shall be; what was done."""
    service = site.stack.services[operation.service]
    container = next(each for each in service.containers if each.name == operation.name)
    with locks.held(site.instance, CONTAINER, operation.name):
        seen = _look(site, service, container)
        changes = planning.own(service, seen)
        if operation.changes[-1].action == "restart" and not any(each.action in ("create", "start", "recreate", "swap", "restart")
                                                                 for each in changes):
            changes += (Change("restart", operation.name, RESTART),)
        if changes:
            steps.apply(site.instance, seen.desired, seen.observed, changes)
    if service.update.monitor and planning.replaced(operation):
        _watch(site, service, operation.name)
    return {"actions": [each.action for each in changes]}


def _look(site: Site, service: Service, container: Container) -> Seen:
    params, finding = container.params, site.reality.findings[image_key(container.params)]
    if site.kinds is None:
        raise EngineError("the container '%s' cannot be compared" % container.name, "Report this")
    if finding.offer is not None or finding.image is None:
        finding = remote.Finding(images.need(site.instance, params["image"]), None)
    desired = wanted.resolve(site.instance, params, finding)
    observed = looking.observe(site.instance, desired)
    code = containers.read_status(site.instance, observed.name).exit_code
    return Seen(container, desired, observed, site.kinds.container(desired.options, observed.options), "", code)


def _watch(site: Site, service: Service, name: str) -> None:
    """See whether a container that has taken its turn stays for as long as the policy says.

    Raises:
        EngineError: It does not.
    """
    deadline = time.monotonic() + service.update.monitor
    while time.monotonic() < deadline:
        key = containers.current(site.instance, name)
        status = states.status(site.instance, key, containers.read(site.instance, key), containers.read_live(site.instance, key))
        # one that has ended without its monitor having noted how counts as restarting
        noted = containers.read_status(site.instance, key).status != "running"
        if (status == states.EXITED or status == states.RESTARTING and noted) and not service.one_shot:
            raise _ended(site, key, "within %g s of its replacement" % service.update.monitor)
        if health.read(site.instance, key).status == health.UNHEALTHY:
            raise EngineError("the container '%s' has turned unhealthy within %g s of its replacement" % (name, service.update.monitor),
                              "See its output with: %s" % _log_command(site, name))
        time.sleep(_REST)


def _beside(site: Site, key: str, name: str) -> None:
    """Wait for what a dependant wants of a container, or the task; or have it let go of its ports."""
    if key.startswith(PORTS + " "):
        with locks.held(site.instance, CONTAINER, name):
            attach.let_go(site.instance, containers.current(site.instance, name))
        return
    if key.startswith(HEALTHY + " "):
        waiting.await_health(site.instance, containers.current(site.instance, name), site.patience, locked=False)
        return
    deadline = time.monotonic() + site.patience
    while True:
        here = containers.current(site.instance, name)
        status = states.status(site.instance, here, containers.read(site.instance, here), containers.read_live(site.instance, here))
        if status == states.EXITED:
            if containers.read_status(site.instance, here).exit_code != 0:
                raise _ended(site, here, "and others wait for it to complete")
            return
        if time.monotonic() > deadline:
            raise EngineError("the container '%s' did not complete within %g s" % (name, site.patience),
                              "See its output with: %s" % _log_command(site, name))
        time.sleep(_REST)


def _ended(site: Site, name: str, when: str) -> EngineError:
    code = containers.read_status(site.instance, name).exit_code
    return EngineError("the container '%s' has ended with exit code %s %s" % (containers.called(name), code, when),
                       "See its output with: %s" % _log_command(site, name))


def _log_command(site: Site, name: str) -> str:
    from ..container import lifecycle  # pylint: disable=import-outside-toplevel
    return lifecycle.log_command(site.instance, name)


def failed_services(operations: Sequence[Operation], done: Mapping[str, Outcome]) -> List[str]:
    """The services of which a replacement has failed."""
    return list(dict.fromkeys(each.service for each in operations if each.key in done and planning.replaced(each)
                              and done[each.key].status == scheduling.FAILED))
