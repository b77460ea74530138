# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: what is recorded of them, which subnet they get, and their bridges.

A record on disk (C(networks/NAME.json)) says what was asked for; the kernel says what is.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from ..errors import Conflict, InvalidValue
from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from . import addresses, documents

DEFAULT = "coracle"
"""The network of those who name none."""
POOL = tuple("10.209.%d.0/24" % third for third in range(256))
"""Where a network gets its subnet when none is asked for: the first that overlaps no route of the host and no other
network."""
ALIAS = "coracle "
"""Begins the alias (ip link ... alias) of each link of ours."""


class Network(NamedTuple):
    """A network of one host.

    Attributes:
        name: As users write it.
        bridge: The bridge's name in the kernel.
        subnet: CIDR.
        gateway: The bridge's own address in the subnet.
        mtu: Bytes; of the bridge and of all links on it.
        masquerade: Whether packets that leave the host get the host's address.
        internal: Whether nothing outside this network is reached from it, nor it from outside but by the host.
        persistent: Whether it stays when its last member goes.
    """

    name: str
    bridge: str
    subnet: str
    gateway: str
    mtu: int
    masquerade: bool = True
    internal: bool = False
    persistent: bool = False


class Bridge(NamedTuple):
    """What the kernel tells of a network's bridge.

    Attributes:
        link: C(None) where there is none.
        addresses: In CIDR form.
    """

    link: Optional[rtnetlink.Link]
    addresses: Sequence[str]


def path(instance: Instance, name: str) -> str:
    """Where a network is recorded."""
    return instance.state("networks", name + ".json")


def load(instance: Instance, name: str) -> Optional[Network]:
    """The network of a name, as last asked for, or C(None)."""
    return documents.read(path(instance, name), _network)


def every(instance: Instance) -> List[Network]:
    """All recorded networks, by name."""
    return documents.each(instance.state("networks"), _network)


def save(instance: Instance, network: Network) -> None:
    """Record a network."""
    files.make_folder(instance.state_root)
    files.make_folder(instance.state("networks"))
    files.write_json(path(instance, network.name), network._asdict())
    documents.forget(path(instance, network.name))


def forget(instance: Instance, name: str) -> None:
    """Remove a network's record and its empty folders."""
    files.remove(path(instance, name))
    files.remove_empty(instance.state("networks", name, "leases"), instance.state("networks", name),
                       instance.state("networks"))


def settle(instance: Instance, request: Mapping[str, Any], sock: Socket,
           others: Sequence[Network] = ()) -> Network:
    """The network that a request means: what it says, else what is recorded, else defaults of this host.

    Args:
        request: Keys as in C(Network); C(None) or missing where nothing is said.
        sock: A socket in the host's network namespace.
        others: Networks that the same request has brought forth, not recorded yet.

    Raises:
        InvalidValue: A value does not do.
        Conflict: The subnet or the bridge belongs to somebody else.
    """
    name = request.get("name") or DEFAULT
    while True:
        recorded = load(instance, name)
        try:
            network = _settle(instance, name, recorded, request, sock, others)
        except Conflict:
            if load(instance, name) == recorded:
                raise
        else:
            if load(instance, name) == recorded:
                return network
        # Another run has made or changed this network meanwhile.


def _settle(instance: Instance, name: str, recorded: Optional[Network], request: Mapping[str, Any], sock: Socket,
            others: Sequence[Network]) -> Network:
    given = {key: value for key, value in request.items() if value is not None and key in Network._fields}
    known = [each for each in list(every(instance)) + list(others) if each.name != name]
    if recorded is not None and not set(given) - {"name"}:
        return recorded
    base = recorded._asdict() if recorded else {}
    if "subnet" in given and given["subnet"] != base.get("subnet") and "gateway" not in given:
        base.pop("gateway", None)
    if "bridge" not in given and "bridge" not in base:
        base["bridge"] = bridge_name(instance, name)
    if "subnet" not in given and "subnet" not in base:
        base["subnet"] = _free_subnet(name, known, sock)
    if "mtu" not in given and "mtu" not in base:
        base["mtu"] = _host_mtu(sock)
    base.update(given)
    if "gateway" not in base:
        block = _subnet(base["subnet"])
        base["gateway"] = addresses.text(block.width, block.base + 1)
    network = Network(**{**base, "name": name})
    _check(network, known, recorded, sock)
    return network


def bridge_name(instance: Instance, network: str) -> str:
    """The bridge of a network: readable where it fits the kernel's 15 bytes, the same for the same names."""
    if instance.name == "coracle":
        if network == DEFAULT:
            return "coracle0"
        if len(network) <= 12:
            return "co-" + network
    return "co-" + hashlib.sha256(("%s %s" % (instance.name, network)).encode()).hexdigest()[:10]


def observe(sock: Socket, network: Network) -> Bridge:
    """The network's bridge as the kernel has it."""
    link = rtnetlink.link(sock, network.bridge)
    if link is None:
        return Bridge(None, ())
    return Bridge(link, [each.cidr for each in rtnetlink.addresses(sock) if each.ifindex == link.ifindex])


def gateway_cidr(network: Network) -> str:
    """The bridge's address with the subnet's prefix length."""
    return "%s/%s" % (network.gateway, network.subnet.partition("/")[2])


def ensure(instance: Instance, sock: Socket, network: Network) -> int:
    """Make the bridge as the network wants it, and return its index; an existing one changes in place.

    Raises:
        Conflict: A link of this name is no bridge of ours.
    """
    wanted = gateway_cidr(network)
    seen = observe(sock, network)
    if seen.link is None:
        sock.request(rtnetlink.new_bridge(network.bridge, mac_of(network.gateway)),
                     rtnetlink.set_link(network.bridge, mtu=network.mtu, alias=alias(instance, network),
                                        no_link_local=True),
                     rtnetlink.set_link(network.bridge, up=True))
        link = rtnetlink.link(sock, network.bridge)
        if link is None:
            raise Conflict("the bridge '%s' vanished while it was made" % network.bridge, "Run the task again")
        sock.request(rtnetlink.add_address(link.ifindex, wanted))
        return link.ifindex
    _check_ours(network, seen.link)
    changes = []
    if not seen.link.up or seen.link.mtu != network.mtu:
        changes.append(rtnetlink.set_link(network.bridge, up=True, mtu=network.mtu))
    if wanted not in seen.addresses:  # the old one first: the kernel removes the younger ones of a subnet with the eldest
        changes.extend(rtnetlink.delete_address(seen.link.ifindex, cidr) for cidr in seen.addresses if ":" not in cidr)
        changes.append(rtnetlink.add_address(seen.link.ifindex, wanted))
    sock.request(*changes)
    return seen.link.ifindex


def remove_bridge(sock: Socket, network: Network) -> None:
    """Delete the bridge if it is there and ours."""
    link = rtnetlink.link(sock, network.bridge)
    if link is not None and link.alias.startswith(ALIAS):
        sock.request(rtnetlink.delete_link(network.bridge))


def alias(instance: Instance, network: Network) -> str:
    """What the bridge tells of itself in C(ip link)."""
    return "%snetwork %s of %s" % (ALIAS, network.name, instance.name)


def mac_of(address: str) -> str:
    """A locally administered MAC that follows from an IP address.

    Who gets an address anew has the MAC of who had it before, so that no neighbour keeps a stale entry.
    """
    width, value = addresses.number(address)
    return "02:c0:" + ":".join("%02x" % part for part in (value & 0xFFFFFFFF).to_bytes(4, "big"))


def _network(document: Any) -> Network:
    return Network(**{key: document[key] for key in Network._fields if key in document})


def _subnet(cidr: str) -> addresses.Subnet:
    try:
        return addresses.subnet(cidr)
    except ValueError as error:
        raise InvalidValue("network.subnet", cidr, str(error), "Write a subnet such as 10.20.0.0/24")


def _free_subnet(name: str, known: Sequence[Network], sock: Socket) -> str:
    taken = [addresses.subnet(each.subnet) for each in known]
    taken += [addresses.subnet(route.destination) for route in rtnetlink.routes(sock)
              if not route.destination.endswith("/0")]
    for candidate in POOL:
        block = addresses.subnet(candidate)
        if not any(addresses.overlap(block, other) for other in taken):
            return candidate
    raise Conflict("no subnet of the pool %s to %s is free for the network '%s'" % (POOL[0], POOL[-1], name),
                   "Name one in network.subnet")


def _host_mtu(sock: Socket) -> int:
    """The MTU of the link that the host's default route leaves by, else 1500."""
    defaults = sorted((route.metric, route.ifindex) for route in rtnetlink.routes(sock)
                      if route.destination == "0.0.0.0/0" and route.ifindex)
    if defaults:
        for link in rtnetlink.links(sock):
            if link.ifindex == defaults[0][1]:
                return link.mtu
    return 1500


def _check(network: Network, known: Sequence[Network], recorded: Optional[Network], sock: Socket) -> None:
    block = _subnet(network.subnet)
    if block.width != 32 or block.prefix > 30:
        raise InvalidValue("network.subnet", network.subnet, "has no room for a gateway and a container",
                           "Write an IPv4 subnet of /30 or larger, such as 10.20.0.0/24")
    if str(block) != network.subnet:
        raise InvalidValue("network.subnet", network.subnet, "has bits set behind its prefix", "Write " + str(block))
    if not addresses.contains(block, network.gateway) or \
            addresses.number(network.gateway)[1] in (block.base, block.last):
        raise InvalidValue("network.gateway", network.gateway, "is no host address of the subnet %s" % network.subnet,
                           "Write an address between the first and the last of the subnet")
    if len(os.fsencode(network.bridge)) > 15:
        raise InvalidValue("network.bridge", network.bridge, "is longer than the kernel's 15 bytes",
                           "Write a shorter name")
    for other in known:
        if addresses.overlap(block, addresses.subnet(other.subnet)):
            raise Conflict("the subnet %s of network '%s' overlaps %s of network '%s'"
                           % (network.subnet, network.name, other.subnet, other.name),
                           "Choose another in network.subnet")
        if other.bridge == network.bridge:
            raise Conflict("the bridge '%s' belongs to network '%s'" % (network.bridge, other.name),
                           "Choose another name in network.bridge")
    if recorded is not None and (recorded.subnet, recorded.bridge) == (network.subnet, network.bridge):
        return
    links = {link.ifindex: link for link in rtnetlink.links(sock)}
    mine = (network.bridge, recorded.bridge if recorded else network.bridge)
    for route in rtnetlink.routes(sock):
        by = links[route.ifindex].name if route.ifindex in links else route.gateway
        if by not in mine and not route.destination.endswith("/0") \
                and addresses.overlap(block, addresses.subnet(route.destination)):
            raise Conflict("the subnet %s of network '%s' overlaps the host's route to %s by '%s'"
                           % (network.subnet, network.name, route.destination, by),
                           "Choose another in network.subnet")
    for link in links.values():
        if link.name == network.bridge:
            _check_ours(network, link)


def _check_ours(network: Network, link: rtnetlink.Link) -> None:
    if link.kind != "bridge" or not link.alias.startswith(ALIAS):
        raise Conflict("the host has a link '%s' already, and it is no bridge of ours" % network.bridge,
                       "Choose another name in network.bridge, or delete that link")
