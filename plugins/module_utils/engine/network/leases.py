# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases: which member of a network has which address.

One JSON file per attachment in C(networks/NAME/leases/). Whoever writes holds the lock of the networks.
"""

from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue
from ..instance import Instance
from ..store import files
from . import addresses, documents, pools, vlans
from .networks import Network
from .vlans import Vlans


class Lease(NamedTuple):
    """An address that somebody has.

    Attributes:
        netns: The holder's network namespace; for a container its name.
        interface: The holder's interface.
        address: IPv4, without a prefix length.
        mac: The interface's MAC.
        names: What the neighbours call the holder: its name and its aliases.
        ipv6_address: Likewise; empty where the network has no such subnet.
        vlan: Which VLANs the holder is in, where the network keeps them apart.
    """

    netns: str
    interface: str
    address: str
    mac: str
    names: Tuple[str, ...] = ()
    ipv6_address: str = ""
    vlan: Vlans = vlans.USUAL

    @property
    def addresses(self) -> Tuple[str, ...]:
        """Of the families it has, IPv4 first."""
        return (self.address, self.ipv6_address) if self.ipv6_address else (self.address,)


def of(instance: Instance, network: str) -> List[Lease]:
    """All leases of a network, by holder."""
    return documents.each(_folder(instance, network), _lease)


def find(instance: Instance, network: str, netns: str, interface: str) -> Optional[Lease]:
    """The lease of one attachment, or C(None)."""
    return documents.read(_path(instance, network, netns, interface), _lease)


def choose(network: Network, taken: Sequence[Lease], netns: str, wanted: Optional[str], ipv6: bool = False) -> str:
    """The address for an attachment: the wanted one, else the one it has, by whatever interface, else the lowest free one.

    Args:
        ipv6: Of which family.

    Raises:
        InvalidValue: The wanted one is not in the subnet or not a host's.
        Conflict: The wanted one is taken (it says by whom), or none is free.
    """
    option = "ipv6_address" if ipv6 else "ipv4_address"
    of_family = [pool for pool in network.pools if (":" in pool.subnet) == ipv6]
    if not of_family:
        if wanted:
            raise InvalidValue(option, wanted, "is of a family that network '%s' has no subnet of" % network.name,
                               "Give the network one: network.ipv6, or network.ipv6_subnet")
        return ""
    blocks = [addresses.subnet(pool.subnet) for pool in of_family]
    holders = {address: lease for lease in taken for address in lease.addresses}
    kept = {address: name for name, address in network.static_leases}
    wanted = wanted or next((address for name, address in network.static_leases
                             if name == netns and (":" in address) == ipv6), None)
    if wanted:
        if not any(pools.is_host(block, wanted) for block in blocks):
            raise InvalidValue(option, wanted, "is no host address of the subnet %s of network '%s'"
                               % (" or ".join(map(str, blocks)), network.name), "Choose one inside of it")
        if kept.get(wanted, netns) != netns:
            raise Conflict("the address %s of network '%s' is kept for '%s'" % (wanted, network.name, kept[wanted]),
                           "Choose another in %s, or change static_leases of the network" % option)
        if wanted in network.gateways:
            raise Conflict("the address %s is the gateway of network '%s'" % (wanted, network.name),
                           "Choose another in %s" % option)
        holder = holders.get(wanted)
        if holder is not None and holder.netns != netns:
            raise Conflict("the address %s of network '%s' is taken by '%s'" % (wanted, network.name, holder.netns),
                           "Choose another in %s" % option)
        return wanted
    for address, lease in holders.items():
        if lease.netns == netns and any(addresses.contains(block, address) for block in blocks):
            return address
    used = {*holders, *kept, *network.gateways, *(address for _name, address in network.aux_addresses)}
    for pool, block in zip(of_family, blocks):
        part = addresses.subnet(pool.ip_range) if pool.ip_range else block
        for value in range(max(part.base, block.base + 1), min(part.last, block.last - 1) + 1):
            candidate = addresses.text(block.width, value)
            if candidate not in used:
                return candidate
    raise Conflict("network '%s' has no free address in %s" % (
        network.name, " or ".join(pool.ip_range or pool.subnet for pool in of_family)),
        "Give it a larger subnet or a further one, or remove members")


def write(instance: Instance, network: str, lease: Lease) -> None:
    """Record a lease; not waiting for the disk, since an attachment does not outlive the host's uptime."""
    folder = _folder(instance, network)
    files.make_folder(os.path.dirname(folder))
    files.make_folder(folder)
    path = _path(instance, network, lease.netns, lease.interface)
    documents.write(path, lease._asdict(), _lease)


def remove(instance: Instance, network: str, netns: str, interface: str) -> bool:
    """Give a lease back; say whether there was one."""
    path = _path(instance, network, netns, interface)
    documents.forget(path)
    return files.remove(path)


def _folder(instance: Instance, network: str) -> str:
    return instance.state("networks", network, "leases")


def _path(instance: Instance, network: str, netns: str, interface: str) -> str:
    return os.path.join(_folder(instance, network), "%s:%s.json" % (netns, interface))


def _lease(document: Any) -> Lease:
    return Lease(str(document["netns"]), str(document["interface"]), str(document["address"]), str(document["mac"]),
                 tuple(str(name) for name in document.get("names") or ()), str(document.get("ipv6_address") or ""),
                 vlans.of_record(document.get("vlan")))
