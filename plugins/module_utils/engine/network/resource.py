# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_network) manages: a network by itself."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Unsupported
from ..instance import Instance
from ..kernel import nftables
from ..kernel.netlink import Socket
from ..plan import LIVE, Change, Difference, Plan
from . import declare, firewall, foreign, information, leases, networks, observe as looking, spec, turns
from .firewall import Seen


class Desired(NamedTuple):
    """How a network shall be.

    Attributes:
        request: As of C(networks.settle); C(None) where it shall not be there.
        options: For the comparison.
        warnings: What a person should know.
        network: The complete network; C(None) where it shall not be there.
    """

    name: str
    request: Optional[Mapping[str, Any]]
    force: bool
    options: Mapping[str, Any]
    warnings: Sequence[str] = ()
    network: Optional[networks.Network] = None


class Observed(NamedTuple):
    """How it is.

    Attributes:
        exists: Whether it is recorded, or its bridge is there.
        members: Who has an address in it.
        drift: What no option shows.
    """

    exists: bool
    members: Tuple[str, ...]
    drift: Tuple[Difference, ...]
    options: Mapping[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The network's name."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """The complete network that is asked for."""
    name = params["name"]
    if params["state"] == "absent":
        return Desired(name, None, params["force"], {})
    with turns.reading(instance), Socket() as sock:
        network = networks.settle(instance, params, sock)
        if network.bridged and not nftables.available():
            raise Unsupported("this host has neither libnftables.so.1 nor the program nft, which the driver '%s' needs"
                              % network.driver, "Install the package nftables")
        spec.check_members(instance, network, leases.of(instance, name))
    return Desired(name, params, False, _options(spec.network_view(network)), (
        *foreign.of_networks(instance.name, [network]), *spec.unknown_peers(instance, name, network.policy)), network)


def observe(instance: Instance, desired: Desired) -> Observed:
    """What the record, the kernel and the table tell of the network."""
    with turns.reading(instance), Socket() as sock:
        recorded = networks.load(instance, desired.name)
        members = tuple(sorted({lease.netns for lease in leases.of(instance, desired.name)}))
        if recorded is None:
            return Observed(False, members, (), dict.fromkeys(desired.options))
        seen = firewall.observe(instance) if recorded.bridged else Seen(True, None)
        view = looking.network_state(recorded, seen, sock)
    drift = () if seen.intact else (looking.table_drift(instance, seen),)
    return Observed(True, members, drift, _options(view))


def plan(desired: Desired, observed: Observed, differences: Sequence[Difference]) -> Plan:
    """One step, and before a removal by force one for each member."""
    if desired.request is None:
        if observed.members and not desired.force:
            declare.refuse(desired.name, observed.members)
        steps = [Change("detach", member, LIVE) for member in observed.members]
        return tuple(steps + [Change("remove", desired.name)]) if observed.exists else ()
    if not observed.exists:
        return (Change("create", desired.name, LIVE, tuple(differences)),)
    both = tuple(differences) + observed.drift
    return (Change("update", desired.name, LIVE, both),) if both else ()


def apply(instance: Instance, desired: Desired, _observed: Observed, _plan: Plan) -> Dict[str, Any]:
    """Carry the step out."""
    if desired.request is None:
        declare.withdraw(instance, desired.name, desired.force)
    else:
        declare.declare(instance, desired.request)
    return {}


def report(instance: Instance, desired: Desired, _observed: Observed) -> Dict[str, Any]:
    """The network's full state."""
    found: List[Dict[str, Any]] = information.describe(instance, {"name": [desired.name], "label": None})
    return found[0]


def _options(view: Mapping[str, Any]) -> Dict[str, Any]:
    """A network as the options of the module show it."""
    return {option: value for option, value in view.items() if option != "name"}
