# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of networks: each with what the kernel says of it, and with its members."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ..instance import Instance
from ..kernel import nftables
from ..kernel.netlink import Socket
from . import firewall, leases, networks, observe, records, turns
from .firewall import Seen


def describe(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The networks with certain names, in this order; without names all."""
    with turns.reading(instance), Socket() as sock:
        names = params["name"] if params["name"] is not None else [each.name for each in networks.every(instance)]
        seen = firewall.observe(instance) if names and nftables.available() else Seen(True, None)
        found = [of(instance, name, seen, sock) for name in names]
    wanted = params["label"] or {}
    return [each for each in found if not wanted or each["exists"] and all(
        key in each["labels"] and value in (None, each["labels"][key]) for key, value in wanted.items())]


def of(instance: Instance, name: str, seen: Seen, sock: Socket) -> Dict[str, Any]:
    """One network; C(exists) says whether there is one of this name."""
    recorded = networks.load(instance, name)
    if recorded is None:
        return {"name": name, "exists": False}
    known = {record.name: record for record in records.every(instance)}
    return {**observe.network_state(recorded, seen, sock), "exists": True, "members": [
        {"name": lease.netns, "interface": lease.interface, "ipv4_address": lease.address or None,
         "ipv6_address": lease.ipv6_address or None, "mac_address": lease.mac, "aliases": list(lease.names[1:]),
         "labels": dict(known[lease.netns].labels or {}) if lease.netns in known else {}}
        for lease in leases.of(instance, name)]}
