# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that are declared by themselves: made without a member, changed under their members, taken away."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Mapping

from ..errors import Conflict
from ..instance import Instance
from ..kernel import nftables
from ..kernel.netlink import Socket
from . import firewall, leases, links, networks, records, spec, sysctls, turns
from .attach import put_network, quietly, settle_down
from .networks import Network


def declare(instance: Instance, request: Mapping[str, Any]) -> Network:
    """Make a network what is asked for, while its members go on.

    Args:
        request: As of C(networks.settle).

    Raises:
        EngineError: It cannot be; what was begun is taken back.
    """
    with turns.changing(instance), Socket() as sock, ExitStack() as undo:
        network = networks.settle(instance, request, sock)  # another run may have changed it since it was planned
        spec.check_members(instance, network, leases.of(instance, network.name))
        undo.callback(quietly, lambda: settle_down(instance, sock, {network.name}, ()))
        put_network(instance, network, sock, undo)
        settle_down(instance, sock, {network.name}, (network.name,))
        undo.pop_all()
    return network


def withdraw(instance: Instance, name: str, force: bool = False) -> None:
    """Take a network away with its bridge and rules.

    Args:
        force: Detach its members; else somebody in it is an error.

    Raises:
        Conflict: It has members.
    """
    with turns.changing(instance), Socket() as sock:
        network = networks.load(instance, name)
        if network is None:
            return
        members = leases.of(instance, name)
        if members and not force:
            refuse(name, [lease.netns for lease in members])
        for lease in members:
            links.drop(instance, lease.netns, lease.interface, sock, inside=not network.bridged)
            leases.remove(instance, name, lease.netns, lease.interface)
            record = records.load(instance, lease.netns)
            if record is not None:
                left = tuple(each for each in record.attachments if each[0] != name)
                records.save(instance, record._replace(attachments=left))
        networks.save(instance, network._replace(persistent=False))
        settle_down(instance, sock, {name}, ())


def mend(instance: Instance) -> bool:
    """Bring bridges, sysctls and rules to what is declared, after somebody has flushed or deleted them; no lease changes.

    Returns: Whether rules or a bridge had to be mended.
    """
    with turns.changing(instance), Socket() as sock:
        nets = networks.every(instance)
        if not nets:
            return False
        lost = [net.name for net in nets if net.bridged and networks.observe(sock, net).link is None]
        intact = not nftables.available() or firewall.observe(instance).intact
        with ExitStack() as undo:
            for net in nets:
                if not net.bridged or net.persistent or leases.of(instance, net.name):
                    put_network(instance, net, sock, undo)
            undo.pop_all()
        sysctls.forward(instance, sorted({"::/0" if ":" in subnet else "0.0.0.0/0" for net in nets if net.publishes
                                          for subnet in net.subnets if leases.of(instance, net.name)}))
        settle_down(instance, sock, {net.name for net in nets}, ())
        return bool(lost) or not intact


def refuse(name: str, members: Any) -> None:
    """Say who is in a network that was to go.

    Raises:
        Conflict: Always.
    """
    raise Conflict("network '%s' is in use by: %s" % (name, ", ".join(sorted(set(members)))),
                   "Remove these or take the network from their options first, or say 'force: true', which detaches them")
