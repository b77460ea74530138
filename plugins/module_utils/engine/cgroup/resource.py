# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_cgroup) manages: a control group, its limits and who is in it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, NotFound, Unsupported
from ..instance import Instance
from ..plan import Change, Difference, Plan
from . import checks, group, request, support
from .hierarchy import ancestors, discover, folder
from .limits import NOTHING, Limits
from .render import rounded


class Desired(NamedTuple):
    """How a group shall be.

    Attributes:
        path: Absolute below each hierarchy.
        name: As the task gave it, or C(None).
        present: Whether it shall be there.
        limits: What it shall be held to.
        processes: Who shall be in it, beside others.
        frozen: Whether it shall stand still; C(None): as it is.
        force: Whether a memory limit below the use is set, and a group removed with those in it.
        made_by_us: The groups above it that are removed when they are empty, the lowest first.
        options: For the comparison.
    """

    path: str
    name: Optional[str]
    present: bool
    limits: Limits
    processes: Tuple[int, ...]
    frozen: Optional[bool]
    force: bool
    made_by_us: Tuple[str, ...]
    options: Mapping[str, Any]


class Observed(NamedTuple):
    """How a group is.

    Attributes:
        exists: Whether it is there in all hierarchies.
        traces: Whether it is there in any.
        processes: Who is in it.
        frozen: Whether it was told to stand still.
        in_use: Bytes of memory in use, and of these what can be given back at once.
        limits: What the kernel holds it to.
        options: For the comparison.
    """

    exists: bool
    traces: bool
    processes: Tuple[int, ...]
    frozen: bool
    in_use: Optional[Tuple[int, int]]
    limits: Limits
    options: Mapping[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The group's path."""
    return _path(params)


def _path(params: Mapping[str, Any]) -> str:
    return str(params["path"] or os.path.join(params["cgroup_root"], params["name"]))


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """What the task asks for, checked against what this kernel has."""
    path = _path(params)
    state = params["state"]
    frozen = {"frozen": True, "thawed": False}.get(state, params["freeze"])
    if state in ("frozen", "thawed") and params["freeze"] not in (None, frozen):
        raise Conflict("option 'freeze' (%s) contradicts the state '%s'" % (str(params["freeze"]).lower(), state),
                       "Give one of them")
    below = path.startswith(instance.cgroup_root.rstrip("/") + "/") and instance.cgroup_root != "/"
    made_by_us = tuple(each for each in reversed(ancestors(path))
                       if below and (each + "/").startswith(instance.cgroup_root + "/"))
    if state == "absent":
        return Desired(path, params["name"], False, NOTHING, (), None, params["force"], made_by_us, {})
    limits = request.from_options(params)
    names = {"devices": "device_rules", "cpu_quota": "cpus" if params["cpus"] is not None else "cpu_quota"}
    hierarchies = discover()
    current = group.read(path) if _traces(path) else NOTHING
    checks.check(hierarchies, path, limits, current, names)
    if limits.devices is not None and limits.devices[0].allow and len(limits.devices) > 1 \
            and hierarchies.version("devices") == 1:
        raise Unsupported("option 'device_rules': cgroup v1 does not tell exceptions from 'allow all', so that they "
                          "could not be compared", "Leave out the rule that allows all, and allow what is needed",
                          option="device_rules")
    processes = tuple(sorted(set(params["processes"] or ())))
    for pid in processes:
        if not os.path.exists("/proc/%d" % pid):
            raise NotFound("option 'processes': there is no process %d" % pid, "Name one that runs", option="processes")
    limits = rounded(support.layout(hierarchies, path), limits)
    options = request.said(params, limits)
    if params["processes"] is not None:
        options["processes"] = list(processes)
    if frozen is not None:
        options["freeze"] = frozen
    return Desired(path, params["name"], True, limits, processes, frozen, params["force"], made_by_us, options)


def _traces(path: str) -> bool:
    return any(os.path.isdir(folder(root, path)) for root in discover().all_roots())


def observe(_instance: Instance, desired: Desired) -> Observed:
    """What the kernel tells of the group."""
    path = desired.path
    if not _traces(path):
        options = dict.fromkeys(desired.options)
        options.update({name: value for name, value in (("freeze", False), ("processes", [])) if name in options})
        return Observed(False, False, (), False, None, NOTHING, options)
    limits = group.read(path)
    frozen = group.frozen(path)
    options = request.to_options(limits)
    options["freeze"] = frozen
    options["processes"] = [pid for pid in desired.processes if group.holds(path, pid)]
    return Observed(group.exists(path), True, tuple(group.processes(path)), frozen, group.memory_in_use(path), limits,
                    options)


def plan(desired: Desired, observed: Observed, differences: Sequence[Difference]) -> Plan:
    """The steps: make or change, bring processes in, freeze or thaw; or end processes, and remove."""
    path = desired.path
    if not desired.present:
        if not observed.traces:
            return ()
        if observed.processes and not desired.force:
            raise Conflict("cgroup %s still holds processes: %s" % (path, ", ".join(map(str, observed.processes[:8]))),
                           "End them first, or set 'force: true' to kill them", processes=list(observed.processes))
        return ((Change("kill", path),) if observed.processes else ()) + (Change("remove", path),)
    limits = tuple(each for each in differences if each.option not in ("processes", "freeze"))
    others = {each.option: each for each in differences}
    steps: List[Change] = []
    if not observed.exists:
        steps.append(Change("create", path, differences=limits))
    elif limits:
        steps.append(Change("update", path, differences=limits))
    if any(each.option == "memory_max" for each in limits) and not desired.force:
        _refuse_below_use(desired, observed)
    if "processes" in others:
        steps.append(Change("attach", path, differences=(others["processes"],)))
    if "freeze" in others:
        steps.append(Change("freeze" if desired.frozen else "thaw", path, differences=(others["freeze"],)))
    return tuple(steps)


def _refuse_below_use(desired: Desired, observed: Observed) -> None:
    if observed.in_use is not None and desired.limits.memory_max is not None:
        checks.refuse_below_use(desired.path, desired.limits.memory_max, observed.in_use)


def apply(_instance: Instance, desired: Desired, observed: Observed, steps: Plan) -> Dict[str, Any]:
    """Carry the steps out."""
    for step in steps:
        _STEPS[step.action](desired, observed, step)
    return {}


def _create(desired: Desired, observed: Observed, _step: Change) -> None:
    group.create(desired.path, desired.limits)
    for pid in observed.processes:  # of a group that was missing in some hierarchies only
        try:
            group.attach(desired.path, pid)
        except NotFound:
            continue


def _update(desired: Desired, _observed: Observed, step: Change) -> None:
    group.update(desired.path, request.fields_of([each.option for each in step.differences], desired.limits))


def _attach(desired: Desired, _observed: Observed, _step: Change) -> None:
    entry = group.open_entry(desired.path)
    try:
        for pid in desired.processes:
            group.enter(entry, pid)
    finally:
        group.close_entry(entry)


def _freeze(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.freeze(desired.path)


def _thaw(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.thaw(desired.path)


def _kill(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.kill(desired.path)


def _remove(desired: Desired, observed: Observed, _step: Change) -> None:
    group.remove(desired.path)
    for above in desired.made_by_us:
        if not group.prune(above):
            break


_STEPS = {"create": _create, "update": _update, "attach": _attach, "freeze": _freeze, "thaw": _thaw, "kill": _kill,
          "remove": _remove}


def report(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The group's full state."""
    found: Dict[str, Any] = {"path": desired.path, "name": desired.name, "exists": observed.exists,
                             "hierarchy": discover().kind}
    if observed.exists:
        found.update(folders=group.paths(desired.path), limits=request.to_options(observed.limits),
                     frozen=observed.frozen, processes=list(observed.processes), usage=group.usage(desired.path))
    return found
