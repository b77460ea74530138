# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the resolver knows: one file per network, C(names/NETWORK.json) in the run root, replaced as a whole.

Written with each change of a network's members, before the change is done; so who is told of an attachment finds its
names answered. Networks without a container have none.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from . import addresses, dns, documents, leases, networks, records


class Member(NamedTuple):
    """Who is in a network.

    Attributes:
        netns: The namespace's name; for a container its own.
        addresses: Of both families.
        names: What it is called in this network.
        servers: Whom to ask for what is not known here; C(None) for the host's servers.
    """

    netns: str
    addresses: Tuple[str, ...]
    names: Tuple[str, ...]
    servers: Optional[Tuple[str, ...]] = None


class Zone(NamedTuple):
    """A network as the resolver sees it.

    Attributes:
        network: Its name, which is a domain too.
        listen: The addresses that its members ask; none where they cannot reach the host.
        subnets: In CIDR form.
        internal: Whether names outside of the instance are kept from it.
        members: By namespace.
    """

    network: str
    listen: Tuple[str, ...]
    subnets: Tuple[str, ...]
    internal: bool
    members: Tuple[Member, ...]


def folder(instance: Instance) -> str:
    """Where the zones lie."""
    return instance.run("names")


def every(instance: Instance) -> List[Zone]:
    """All zones, by network."""
    return documents.each(folder(instance), _zone)


def wanted(instance: Instance) -> bool:
    """Whether there is anything to resolve."""
    return any(zone.listen for zone in every(instance))


def refresh(instance: Instance, touched: Iterable[str]) -> None:
    """Write the zones of some networks anew, and take away those of networks without a container."""
    known = {record.name: record for record in records.every(instance)}
    for name in sorted(set(touched)):
        network = networks.load(instance, name)
        zone = None if network is None else compose(network, leases.of(instance, name), known)
        path = os.path.join(folder(instance), name + ".json")
        if zone is None:
            files.remove(path)
            documents.forget(path)
        elif documents.read(path, _zone) != zone:
            files.make_folder(instance.run_root)
            files.make_folder(folder(instance))
            files.write_json(path, zone._asdict(), durable=False)
            documents.forget(path)
    files.remove_empty(folder(instance))


def compose(network: networks.Network, members: Sequence[leases.Lease],
            known: Dict[str, records.Record]) -> Optional[Zone]:
    """The zone of a network; C(None) where it has no container.

    Args:
        known: The namespaces by name.
    """
    if not any(lease.netns in known and known[lease.netns].names is not None for lease in members):
        return None
    found = []
    given = {name for lease in members for name in lease.names or (lease.netns,)}
    for lease in members:
        record = known.get(lease.netns)
        names = list(lease.names or (lease.netns,))
        servers: Optional[Tuple[str, ...]] = None
        if record is not None and record.names is not None:
            # A name or alias that somebody was given goes before what another calls itself.
            names += [name for name in _short(str(record.names["hostname"])) if name not in given]
            servers = tuple(record.names.get("dns") or ()) or None
        found.append(Member(lease.netns, lease.addresses, tuple(names), servers))
    for peer in network.peers:
        found += [Member("%s at %s" % (each.name, peer.name), each.addresses, (each.name, *each.aliases)) for each in peer.members]
    return Zone(network.name, network.gateways if network.bridged else (), network.subnets, network.internal, tuple(found))


def _short(hostname: str) -> Tuple[str, ...]:
    short = hostname.partition(".")[0]
    return (hostname,) if short == hostname else (hostname, short)


def _zone(document: Any) -> Zone:
    return Zone(str(document["network"]), tuple(document["listen"]), tuple(document["subnets"]), bool(document["internal"]),
                tuple(Member(str(netns), tuple(held), tuple(names), None if servers is None else tuple(servers))
                      for netns, held, names, servers in document["members"]))


# Looking names up

class Asker(NamedTuple):
    """Who asks, by its address.

    Attributes:
        netns: C(None) for who has no lease: the host, and what somebody put on the bridge by hand.
        networks: Whose names it is told.
        outside: Whether it is told names of outside.
        servers: Its own servers, if it has some.
    """

    netns: Optional[str]
    networks: Tuple[str, ...]
    outside: bool
    servers: Optional[Tuple[str, ...]]


Found = Tuple[Tuple[bytes, ...], Tuple[bytes, ...], Tuple[bytes, ...]]
"""Packed IPv4 addresses, IPv6 addresses, and names in wire form."""


class Directory:
    """All zones, indexed; made anew when one of them has changed."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.zones = {zone.network: zone for zone in zones}
        self.by_address: Dict[Tuple[str, str], Member] = {}
        self.networks_of: Dict[str, List[str]] = {}
        self.own = {address for zone in zones for address in zone.listen}
        for zone in zones:
            for member in zone.members:
                self.networks_of.setdefault(member.netns, []).append(zone.network)
                for address in member.addresses:
                    self.by_address[(zone.network, address)] = member
        self._askers: Dict[Tuple[str, str], Optional[Asker]] = {}
        self._views: Dict[Tuple[str, ...], Dict[bytes, Found]] = {}

    def asker(self, network: str, address: str) -> Optional[Asker]:
        """Who asks by an address, at the socket of a network; C(None) for a stranger, who is told nothing."""
        key = (network, address)
        if key not in self._askers:
            if len(self._askers) > 65536:
                self._askers.clear()
            self._askers[key] = self._asker(network, address)
        return self._askers[key]

    def _asker(self, network: str, address: str) -> Optional[Asker]:
        zone = self.zones.get(network)
        if zone is None:
            return None
        member = self.by_address.get((network, address))
        if member is not None:
            held = tuple(sorted(self.networks_of[member.netns]))
            return Asker(member.netns, held, not all(self.zones[name].internal for name in held), member.servers)
        if any(addresses.contains(addresses.subnet(subnet), address) for subnet in zone.subnets) or _is_hosts(address):
            return Asker(None, (network,), not zone.internal, None)
        return None

    def find(self, asker: Asker, name: bytes) -> Optional[Found]:
        """What is known of a name in wire form; C(None) where it is none of ours."""
        view = self._views.get(asker.networks)
        if view is None:
            view = self._views[asker.networks] = _index([self.zones[network] for network in asker.networks])
        return view.get(name)

    def ours(self, asker: Asker, name: bytes) -> bool:
        """Whether a reverse name is of an address that we give out, so that nobody else knows it."""
        address = _of_reverse(name)
        return address is not None and any(
            addresses.contains(addresses.subnet(subnet), address)
            for network in asker.networks for subnet in self.zones[network].subnets)


def _is_hosts(address: str) -> bool:
    """Whether an address is the host's own: the kernel lets nobody else send by it (fib_validate_source)."""
    with Socket() as sock:
        return address.startswith("127.") or any(each.cidr.partition("/")[0] == address for each in rtnetlink.addresses(sock))


def _index(zones: Sequence[Zone]) -> Dict[bytes, Found]:
    found: Dict[bytes, List[List[bytes]]] = {}

    def add(name: bytes, kind: int, value: bytes) -> None:
        values = found.setdefault(name, [[], [], []])[kind]
        if name and value not in values:
            values.append(value)
    for zone in zones:
        for member in zone.members:
            for address in member.addresses:
                packed = _pack(address)
                for name in member.names:
                    for called in (name, "%s.%s" % (name, zone.network)):
                        add(dns.wire(called), 0 if len(packed) == 4 else 1, packed)
                add(dns.reverse(packed), 2, dns.wire(member.names[0]))
    found.pop(b"", None)
    return {name: (tuple(four), tuple(six), tuple(names)) for name, (four, six, names) in found.items()}


def _pack(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _of_reverse(name: bytes) -> Optional[str]:
    labels = []
    at = 0
    while at < len(name) and name[at]:
        labels.append(name[at + 1:at + 1 + name[at]].decode("latin-1"))
        at += name[at] + 1
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return socket.inet_ntop(socket.AF_INET, bytes(int(label) for label in reversed(labels[:4])))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex("".join(reversed(labels[:32]))))
    except ValueError:
        pass
    return None
