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
from . import addresses, documents
from .networks import Network


class Lease(NamedTuple):
    """An address that somebody has.

    Attributes:
        netns: The holder's network namespace; for a container its name.
        interface: The holder's interface.
        address: Without a prefix length.
        mac: The interface's MAC.
        names: What the neighbours call the holder: its name and its aliases.
    """

    netns: str
    interface: str
    address: str
    mac: str
    names: Tuple[str, ...] = ()


def of(instance: Instance, network: str) -> List[Lease]:
    """All leases of a network, by holder."""
    return documents.each(_folder(instance, network), _lease)


def find(instance: Instance, network: str, netns: str, interface: str) -> Optional[Lease]:
    """The lease of one attachment, or C(None)."""
    return documents.read(_path(instance, network, netns, interface), _lease)


def choose(network: Network, taken: Sequence[Lease], netns: str, interface: str, wanted: Optional[str]) -> str:
    """The address for an attachment: the wanted one, else the one it has, else the lowest free one.

    Raises:
        InvalidValue: The wanted one is not in the subnet or not a host's.
        Conflict: The wanted one is taken (it says by whom), or none is free.
    """
    block = addresses.subnet(network.subnet)
    if wanted:
        value = addresses.number(wanted)[1]
        if not addresses.contains(block, wanted) or value in (block.base, block.last):
            raise InvalidValue("ipv4_address", wanted, "is no host address of the subnet %s of network '%s'"
                               % (network.subnet, network.name), "Choose one inside of it")
        if wanted == network.gateway:
            raise Conflict("the address %s is the gateway of network '%s'" % (wanted, network.name),
                           "Choose another in ipv4_address")
        for lease in taken:
            if lease.address == wanted and (lease.netns, lease.interface) != (netns, interface):
                raise Conflict("the address %s of network '%s' is taken by '%s'"
                               % (wanted, network.name, lease.netns), "Choose another in ipv4_address")
        return wanted
    for lease in taken:
        if (lease.netns, lease.interface) == (netns, interface) and addresses.contains(block, lease.address):
            return lease.address
    used = {lease.address for lease in taken} | {network.gateway}
    for value in range(block.base + 1, block.last):
        candidate = addresses.text(block.width, value)
        if candidate not in used:
            return candidate
    raise Conflict("network '%s' has no free address in %s" % (network.name, network.subnet),
                   "Give it a larger subnet, or remove members")


def write(instance: Instance, network: str, lease: Lease) -> None:
    """Record a lease; not waiting for the disk, since an attachment does not outlive the host's uptime."""
    folder = _folder(instance, network)
    files.make_folder(os.path.dirname(folder))
    files.make_folder(folder)
    path = _path(instance, network, lease.netns, lease.interface)
    files.write_json(path, lease._asdict(), durable=False)
    documents.forget(path)


def remove(instance: Instance, network: str, netns: str, interface: str) -> bool:
    """Give a lease back; say whether there was one."""
    return files.remove(_path(instance, network, netns, interface))


def _folder(instance: Instance, network: str) -> str:
    return instance.state("networks", network, "leases")


def _path(instance: Instance, network: str, netns: str, interface: str) -> str:
    return os.path.join(_folder(instance, network), "%s:%s.json" % (netns, interface))


def _lease(document: Any) -> Lease:
    return Lease(str(document["netns"]), str(document["interface"]), str(document["address"]), str(document["mac"]),
                 tuple(str(name) for name in document.get("names") or ()))
