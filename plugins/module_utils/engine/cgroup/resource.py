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
from . import checks, effective, entry, freezer, group, request, support, systemd, traffic
from .hierarchy import Hierarchies, ancestors, discover, folder
from .limits import NOTHING, Limits, given
from .render import rounded
from .traffic import Traffic


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
        unit: The unit of systemd whose group it is, if the task named one.
        leave: What becomes of the processes when the group goes: C(refuse), C(kill) or C(move).
        move_to: Where they are moved; C(None): to the nearest group above that may hold them.
        traffic: How its packets are marked, where that is nftables' work and not a controller's.
        descendants: Whether the processes' descendants, those to come included, shall be in it too.
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
    unit: Optional[str] = None
    leave: str = "refuse"
    move_to: Optional[str] = None
    traffic: Traffic = traffic.NOTHING
    descendants: bool = False


class Observed(NamedTuple):
    """How a group is.

    Attributes:
        exists: Whether it is there in all hierarchies.
        traces: Whether it is there in any.
        processes: Who is in it.
        everyone: Who is in it or in a group below it; where it shall go.
        frozen: Whether it was told to stand still.
        in_use: Bytes of memory in use, and of these what can be given back at once.
        limits: What the kernel holds it to.
        options: For the comparison.
    """

    exists: bool
    traces: bool
    processes: Tuple[int, ...]
    everyone: Tuple[int, ...]
    frozen: bool
    in_use: Optional[Tuple[int, int]]
    limits: Limits
    options: Mapping[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The group's path."""
    return _path(params)


def _path(params: Mapping[str, Any]) -> str:
    if params["pid"] is not None:
        return entry.of_process(params["pid"])
    if params["unit"] is not None:
        return _unit_path(params["unit"], params["slice"])
    return str(params["path"] or os.path.join(params["cgroup_root"], params["name"]))


def _unit_path(unit: str, slice_name: str) -> str:
    """Where a unit's group is, or will be."""
    if not systemd.running():
        raise Unsupported("option 'unit': systemd is not process 1 on this host", "Give 'name', 'path' or 'pid' instead")
    kind = systemd.kind_of(unit)
    found = systemd.control_group(unit)
    if found is None and kind not in ("slice", "scope"):
        raise NotFound("option 'unit': the unit '%s' does not run" % unit, "Start it first, with ansible.builtin.systemd_service",
                       option="unit")
    return found or systemd.place(unit, slice_name)


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
    unit, leave = params["unit"], params["on_processes"] or ("kill" if params["force"] else "refuse")
    if unit is not None and unit.endswith(".scope") and not params["processes"] and state != "absent" and not _traces(path):
        raise Conflict("option 'unit': systemd makes no scope without processes", "Name some in 'processes'", option="unit")
    if state == "absent":
        if unit is not None and not unit.endswith((".slice", ".scope")):
            raise Conflict("option 'unit': '%s' is not a mere group" % unit,
                           "Stop it with ansible.builtin.systemd_service", option="unit")
        return Desired(path, params["name"], False, NOTHING, (), None, params["force"], made_by_us, {}, unit, leave,
                       params["move_to"])
    limits = request.from_options(params)
    names = {"devices": "device_rules", "cpu_quota": "cpus" if params["cpus"] is not None else "cpu_quota"}
    hierarchies = discover()
    current = group.read(path) if _traces(path) else NOTHING
    limits, marks = _split(hierarchies, limits)
    checks.check(hierarchies, path, limits, current, names)
    if limits.devices is not None and limits.devices[0].allow and len(limits.devices) > 1 \
            and hierarchies.version("devices") == 1:
        raise Unsupported("option 'device_rules': cgroup v1 does not tell exceptions from 'allow all', so that they "
                          "could not be compared", "Leave out the rule that allows all, and allow what is needed",
                          option="device_rules")
    processes = tuple(sorted(set(params["processes"] or ())))
    for pid in processes:
        if pid == 1 and params["descendants"]:
            raise Conflict("option 'processes': the descendants of process 1 are the whole host", "Name another",
                           option="processes")
        if not os.path.exists("/proc/%d" % pid):
            raise NotFound("option 'processes': there is no process %d" % pid, "Name one that runs", option="processes")
    if params["descendants"]:
        processes = tuple(sorted(entry.family(processes)))
    limits = rounded(support.layout(hierarchies, path), limits)
    options = request.said(params, limits._replace(**given(marks)))
    if params["processes"] is not None:
        options["processes"] = list(processes)
    if frozen is not None:
        options["freeze"] = frozen
    return Desired(path, params["name"], True, limits, processes, frozen, params["force"], made_by_us, options, unit, leave,
                   traffic=marks, descendants=params["descendants"])


def _split(hierarchies: Hierarchies, limits: Limits) -> Tuple[Limits, Traffic]:
    """Take out of the limits what no controller of this host can hold and nftables can."""
    marks = Traffic(None if hierarchies.version("net_cls") else limits.network_class,
                    None if hierarchies.version("net_prio") else limits.network_priorities)
    if marks != traffic.NOTHING:
        traffic.check(hierarchies)
    return limits._replace(**dict.fromkeys(given(marks))), marks


def _traces(path: str) -> bool:
    return any(os.path.isdir(folder(root, path)) for root in discover().all_roots())


def observe(_instance: Instance, desired: Desired) -> Observed:
    """What the kernel tells of the group."""
    path = desired.path
    if not _traces(path):
        options = dict.fromkeys(desired.options)
        options.update({name: value for name, value in (("freeze", False), ("processes", [])) if name in options})
        return Observed(False, False, (), (), False, None, NOTHING, options)
    limits = request.as_asked(desired.limits, group.read(path, [file for file, _value in desired.limits.unified or ()]))
    frozen = group.frozen(path)
    if desired.traffic != traffic.NOTHING:
        limits = limits._replace(**given(traffic.read(path)))
    options = request.to_options(limits)
    options["freeze"] = frozen
    options["processes"] = [pid for pid in desired.processes if group.holds(path, pid)]
    exists = group.exists(path) if desired.unit is None else True  # systemd has no tree but those that it uses
    return Observed(exists, True, tuple(group.processes(path)), () if desired.present else tuple(entry.everyone(path)), frozen,
                    group.memory_in_use(path), limits, options)


def plan(desired: Desired, observed: Observed, differences: Sequence[Difference]) -> Plan:
    """The steps: make or change, bring processes in, freeze or thaw; or end processes, and remove."""
    path = desired.path
    if not desired.present:
        if not observed.traces:
            return ()
        if observed.everyone and desired.leave == "refuse":
            raise Conflict("cgroup %s still holds processes: %s" % (path, ", ".join(map(str, observed.everyone[:8]))),
                           "End them first, or say 'on_processes: kill' ('force: true' is the same) or 'on_processes: move'",
                           processes=list(observed.everyone))
        return ((Change(desired.leave, path),) if observed.everyone else ()) + (Change("remove", path),)
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
    if desired.unit is not None:
        _start_unit(desired, desired.unit)
        return
    group.create(desired.path, desired.limits)
    _mark(desired)
    for pid in observed.processes:  # of a group that was missing in some hierarchies only
        try:
            group.attach(desired.path, pid)
        except NotFound:
            continue


def _start_unit(desired: Desired, unit: str) -> None:
    if unit.endswith(".slice"):
        systemd.start_slice(unit, desired.limits)
    else:
        slice_name = os.path.basename(os.path.dirname(desired.path)) or "-.slice"
        systemd.start_scope(unit, desired.processes, desired.limits, slice_name)
    try:
        group.update(desired.path, desired.limits)
    except BaseException:
        if unit.endswith(".slice"):  # the processes of a scope shall not end for that
            systemd.stop(unit)
        raise


def _update(desired: Desired, _observed: Observed, step: Change) -> None:
    group.update(desired.path, request.fields_of([each.option for each in step.differences], desired.limits))
    _mark(desired)


def _mark(desired: Desired) -> None:
    if desired.traffic != traffic.NOTHING:
        traffic.write(desired.path, desired.traffic)


def _attach(desired: Desired, _observed: Observed, _step: Change) -> None:
    door = group.open_entry(desired.path)
    try:
        for pid in desired.processes:
            if not group.holds(desired.path, pid):
                group.enter(door, pid)
        while desired.descendants:  # those that were made meanwhile
            more = [pid for pid in entry.family(desired.processes) if not group.holds(desired.path, pid)]
            if not more:
                break
            for pid in more:
                try:
                    group.enter(door, pid)
                except NotFound:
                    continue
    finally:
        group.close_entry(door)


def _freeze(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.freeze(desired.path)


def _thaw(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.thaw(desired.path)


def _kill(desired: Desired, _observed: Observed, _step: Change) -> None:
    group.kill(desired.path)


def _move(desired: Desired, _observed: Observed, _step: Change) -> None:
    freezer.move(desired.path, desired.move_to or entry.destination(desired.path))


def _remove(desired: Desired, observed: Observed, _step: Change) -> None:
    if desired.unit is not None:
        systemd.stop(desired.unit)
    group.remove(desired.path)
    traffic.forget(desired.path)
    for above in desired.made_by_us:
        if not group.prune(above):
            break


_STEPS = {"create": _create, "update": _update, "attach": _attach, "freeze": _freeze, "thaw": _thaw, "kill": _kill, "move": _move,
          "remove": _remove}


def report(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The group's full state."""
    found: Dict[str, Any] = {"path": desired.path, "name": desired.name, "exists": observed.exists,
                             "hierarchy": discover().kind, "unit": desired.unit}
    if observed.exists:
        found.update(folders=group.paths(desired.path), limits=request.to_options(observed.limits),
                     frozen=observed.frozen, processes=list(observed.processes), usage=group.usage(desired.path),
                     effective=effective.effective(desired.path))
    return found
