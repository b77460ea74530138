# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_netns) manages: a named network namespace and what connects it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import InvalidValue
from ..instance import Instance
from ..network import foreign, observe as looking, publish, records, spec as specification
from ..network.observe import Observed
from ..network.spec import NetnsSpec
from ..plan import LIVE, RECREATE, Change, Difference, Plan

_OF_ATTACHMENT = ("network", "interface", "ipv4_address", "ipv6_address", "mac_address", "aliases", "bandwidth", "vlan")
_STEPS = (
    ("update_network", ("network", "network ", "net.", "nftables")),
    ("connect", ("interface", "ipv4_address", "ipv6_address", "mac_address", "aliases", "bandwidth", "vlan", "networks")),
    ("route", ("routes", "default_route", "loopback")),
    ("set_sysctls", ("sysctls",)),
    ("publish", ("published_ports",)),
    ("judge", ("labels", "policy")),
)
"""The changes of a namespace that is there, and what each brings about; all are live."""


class Desired(NamedTuple):
    """How a namespace shall be.

    Attributes:
        name: Of the namespace.
        spec: C(None) where it shall not be there.
        options: For the comparison.
        warnings: What a person should know.
    """

    name: str
    spec: Optional[NetnsSpec]
    options: Mapping[str, Any]
    warnings: Sequence[str] = ()


class Current(NamedTuple):
    """How a namespace is: what was observed, and the same as options."""

    seen: Observed
    options: Mapping[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The namespace's name."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """The complete specification of what the task asks for."""
    name = params["name"]
    if params["state"] == "absent":
        specification.check_owner(instance, name, container=False)
        return Desired(name, None, {})
    request = {option: params[option] for option in _OF_ATTACHMENT if params[option] is not None}
    routes = None if params["routes"] is None else [
        (each["destination"], each["gateway"], each["metric"]) for each in params["routes"]]
    if routes is not None and len(set(routes)) < len(routes):
        raise InvalidValue("routes", params["routes"], "names a route twice", "Name each route once")
    several = params["networks"]
    if several is not None and request:
        option = next(iter(request))
        raise InvalidValue(option, params[option], "is about one network, beside 'networks', which is about all",
                           "Say it in a row of 'networks'" if option != "network" else
                           "Name the network in a row of 'networks'; what it is like is said by container_network")
    wanted = [request] if request else [specification.of_row(row) for row in several or ()]
    spec = specification.settle(instance, name, params["mode"], wanted, routes, params["sysctls"],
                                params["published_ports"] or (), None, *_about(instance, params))
    options: Dict[str, Any] = {"mode": spec.mode}
    if spec.attachments:
        rows = [specification.attachment_view(each) for each in spec.attachments]
        options.update(rows[0] if several is None else {"networks": [specification.row_view(row) for row in rows]})
        options["published_ports"] = publish.contract(spec.published)
    if spec.routes is not None:
        options["routes"] = _shown(spec.routes)
    if params["sysctls"] is not None:
        options["sysctls"] = dict(spec.sysctls)
    options.update({option: params[option] for option in ("labels", "policy") if params[option] is not None})
    return Desired(name, spec, options, (*foreign.warnings(instance.name, spec),
                                         *specification.unknown_peers(instance, name, spec.policy)))


def observe(instance: Instance, desired: Desired) -> Current:
    """What the kernel tells of the namespace."""
    seen = looking.observe(instance, desired.spec or NetnsSpec(desired.name))
    if desired.spec is None or not seen.exists:
        return Current(seen, dict.fromkeys(desired.options))
    options: Dict[str, Any] = {"mode": seen.mode, "routes": _shown(seen.routes),
                               "sysctls": dict(seen.sysctls),
                               "published_ports": publish.contract(seen.published)}
    if "networks" in desired.options:
        options["networks"] = [specification.row_view(row) for row in seen.attachments]
    else:
        options.update(seen.attachments[0] if seen.attachments else dict.fromkeys(_OF_ATTACHMENT))
    record = records.load(instance, desired.name)
    options.update(labels=record.labels or {} if record else {}, policy=record.policy or {} if record else {})
    return Current(seen, options)


def plan(desired: Desired, observed: Current, differences: Sequence[Difference]) -> Plan:
    """The steps that lead from what is to what shall be."""
    seen = observed.seen
    if desired.spec is None:
        return (Change("remove", desired.name),) if seen.exists or seen.traces else ()
    differences = tuple(differences)
    if not seen.exists:
        return (Change("create", desired.name, LIVE, differences),)
    if any(each.option == "mode" for each in differences):
        return (Change("recreate", desired.name, RECREATE, differences),)
    steps: List[Change] = []
    both = differences + seen.drift + (looking.of_networks(desired.spec, seen) if "networks" in desired.options else ())
    for action, options in _STEPS:
        of_step = tuple(each for each in both if _belongs(each.option, options))
        if of_step:
            named = [each.option.partition(" ")[2] for each in of_step if each.option.startswith("network ")]
            target = (named or [desired.spec.attachments[0].network.name])[0] if action == "update_network" else desired.name
            steps.append(Change(action, target, LIVE, of_step))
    steps.extend(Change("disconnect", "%s from %s" % (interface, network), LIVE)
                 for network, interface in seen.surplus)
    return tuple(steps)


def apply(instance: Instance, desired: Desired, _observed: Current, steps: Plan) -> Dict[str, Any]:
    """Carry the steps out; those on a namespace that stays are one walk that does what is missing."""
    from ..network import attach  # an unchanged namespace does without

    if desired.spec is None:
        attach.remove(instance, desired.name)
    else:
        attach.apply(instance, desired.spec, anew=any(step.action == "recreate" for step in steps))
    return {}


def report(instance: Instance, desired: Desired, observed: Current) -> Dict[str, Any]:
    """The namespace's full state."""
    found = looking.describe(instance, desired.name)
    if found["exists"]:
        found["published_ports"] = observed.options.get("published_ports") or []
    return found


def _about(instance: Instance, params: Mapping[str, Any]) -> List[Any]:
    """Labels and policy: those that are given, else those that the namespace has."""
    record = records.load(instance, params["name"])
    return [params[option] if params[option] is not None else getattr(record, option, None) for option in ("labels", "policy")]


def _belongs(option: str, options: Tuple[str, ...]) -> bool:
    return any(option == each or each.endswith((".", " ")) and option.startswith(each) for each in options)


def _shown(routes: Sequence[Tuple[str, str, int]]) -> List[Dict[str, Any]]:
    return [{"destination": destination, "gateway": gateway, "metric": metric}
            for destination, gateway, metric in sorted(routes)]
