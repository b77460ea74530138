# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: what is recorded of them, which subnet they get, and their bridges.

A record on disk (C(networks/NAME.json)) says what was asked for; the kernel says what is.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue, Unsupported
from ..instance import Instance
from ..kernel import bridge_vlans, rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from . import addresses, documents, drivers, overlay, pools, requests, sysctls
from .ends import ALIAS

DEFAULT = "coracle"
"""The network of those who name none."""
_supposed: "Dict[str, Network]" = {}
"""What C(load) and C(every) tell as if it were recorded."""


class Pool(NamedTuple):
    """A subnet of a network: block, the address that leads out of it, and the part that addresses are given out of."""

    subnet: str
    gateway: str
    ip_range: str = ""


class Network(NamedTuple):
    """A network of one host.

    Attributes:
        name: As users write it.
        bridge: The bridge's name in the kernel; empty for a driver without one.
        subnet: CIDR.
        gateway: The bridge's own address in the subnet.
        mtu: Bytes; of the bridge and of all links on it.
        masquerade: Whether packets that leave the host get the host's address.
        internal: Whether nothing outside this network is reached from it, nor it from outside but by the host.
        persistent: Whether it stays when its last member goes.
        ipv6_subnet, ipv6_gateway: The same for IPv6; empty where it has none.
        ip_range: The part of the subnet that addresses are given out of; empty for all of it.
        aux_addresses: Names and addresses, of either family, that are nobody's to be given.
        ipv6_range: As C(ip_range), of the IPv6 subnet.
        driver: What connects its members; a key of C(drivers.DRIVERS).
        options: Of the driver, by name.
        more: Further subnets of either family.
        isolate: C(no): other networks that say so too reach its members; C(yes): only by published ports; C(strict): not at
            all, nor its members them.
        icc: Whether its members reach one another, be it by published ports: a kernel that filters bridged packets (br_netfilter)
            leads those over the bridge too, where isolated ports exchange nothing.
        masquerade_exclude: Blocks that see the members' own addresses.
        static_leases: Names of namespaces, and the address of either family that is kept for each.
        labels: Of the users.
        policy: Who may speak with its members; see C(policy).
        peers: The other hosts of a network over several.
        cluster_ranges: The blocks that the subnets of all of them lie in.
        vlan_filtering: Whether the bridge keeps the VLANs of its members apart.
    """

    name: str
    bridge: str
    subnet: str
    gateway: str
    mtu: int
    masquerade: bool = True
    internal: bool = False
    persistent: bool = False
    ipv6_subnet: str = ""
    ipv6_gateway: str = ""
    ip_range: str = ""
    aux_addresses: Tuple[Tuple[str, str], ...] = ()
    ipv6_range: str = ""
    driver: str = "bridge"
    options: Tuple[Tuple[str, str], ...] = ()
    more: Tuple[Pool, ...] = ()
    isolate: str = "yes"
    icc: bool = True
    masquerade_exclude: Tuple[str, ...] = ()
    static_leases: Tuple[Tuple[str, str], ...] = ()
    labels: Tuple[Tuple[str, str], ...] = ()
    policy: Optional[Dict[str, Any]] = None
    peers: Tuple[overlay.Peer, ...] = ()
    cluster_ranges: Tuple[str, ...] = ()
    vlan_filtering: bool = False

    @property
    def pools(self) -> Tuple[Pool, ...]:
        """All subnets; of each family the first one first."""
        first = (Pool(self.subnet, self.gateway, self.ip_range),)
        return first + ((Pool(self.ipv6_subnet, self.ipv6_gateway, self.ipv6_range),) if self.ipv6_subnet else ()) + self.more

    @property
    def subnets(self) -> Tuple[str, ...]:
        """The blocks of the pools."""
        return tuple(pool.subnet for pool in self.pools)

    @property
    def gateways(self) -> Tuple[str, ...]:
        """The gateways of the pools."""
        return tuple(pool.gateway for pool in self.pools if pool.gateway)

    @property
    def bridged(self) -> bool:
        """Whether members hang on a bridge of the host, which then routes, translates and filters for them."""
        return bool(self.bridge)

    @property
    def publishes(self) -> bool:
        """Whether ports of the host can lead to its members."""
        return self.bridged and not self.internal

    def pool_of(self, address: str) -> Optional[Pool]:
        """The subnet that an address lies in."""
        return next((pool for pool in self.pools if addresses.contains(addresses.subnet(pool.subnet), address)), None)


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


@contextmanager
def supposing(those: Sequence[Network]) -> Iterator[None]:
    """Take networks for recorded that a plan is about to make or change, so that what depends on them can be planned. Not for changes."""
    before = dict(_supposed)
    _supposed.update((each.name, each) for each in those)
    try:
        yield
    finally:
        _supposed.clear()
        _supposed.update(before)


def load(instance: Instance, name: str) -> Optional[Network]:
    """The network of a name, as last asked for, or C(None)."""
    return _supposed.get(name) or documents.read(path(instance, name), _network)


def every(instance: Instance) -> List[Network]:
    """All recorded networks, by name."""
    recorded = documents.each(instance.state("networks"), _network)
    if not _supposed:
        return recorded
    return sorted([each for each in recorded if each.name not in _supposed] + list(_supposed.values()))


def save(instance: Instance, network: Network) -> None:
    """Record a network."""
    files.make_folder(instance.state_root)
    files.make_folder(instance.state("networks"))
    files.write_json(path(instance, network.name), network._asdict())
    documents.forget(path(instance, network.name))


def forget(instance: Instance, name: str) -> None:
    """Remove a network's record and its empty folders."""
    files.remove(path(instance, name))
    documents.forget(path(instance, name))
    files.remove_empty(instance.state("networks", name, "leases"), instance.state("networks", name),
                       instance.state("networks"))


def settle(instance: Instance, request: Mapping[str, Any], sock: Socket,
           others: Sequence[Network] = ()) -> Network:
    """The network that a request means: what it says, else what is recorded, else defaults of this host.

    Args:
        request: Keys as in C(Network), and C(ipv6), which asks for a subnet of that family or for none; C(None) or
            missing where nothing is said.
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
    given, ipv6 = requests.given(request)
    if recorded is not None and not set(given) - {"name"} and ipv6 in (None, bool(recorded.ipv6_subnet)):
        return recorded
    known = [each for each in list(every(instance)) + list(others) if each.name != name]
    base = recorded._asdict() if recorded else {}
    driver = given.get("driver") or base.get("driver") or "bridge"
    if driver != base.get("driver", driver):
        base.pop("bridge"), base.pop("options")
    base["options"] = drivers.settle(driver, given.pop("options", None), base.get("options") or ())
    if not drivers.BRIDGED[driver]:
        drivers.refuse_bridge(driver, given)
        base["bridge"] = ""
    elif "bridge" not in given and "bridge" not in base:
        base["bridge"] = bridge_name(instance, name)
    if driver == overlay.DRIVER:
        overlay.settle(name, given, base, recorded, sock)
    if "mtu" not in given and "mtu" not in base:
        base["mtu"] = drivers.mtu(driver, base["options"], sock) or _host_mtu(sock)
    base.update(pools.settle(name, given, base, ipv6, known, sock, own=driver == "bridge"))
    given.pop("more", None)
    network = Network(**{**base, **given, "name": name})
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


def gateway_cidrs(network: Network) -> List[str]:
    """The bridge's addresses with their prefix lengths: the gateways, and what IPv6 asks neighbours from (RFC 4861 4.3)."""
    found = ["%s/%s" % (pool.gateway, pool.subnet.partition("/")[2]) for pool in network.pools]
    return found + [link_local(network)] if network.ipv6_subnet else found


def link_local(network: Network) -> str:
    """The link-local address of the bridge: each its own where those of several hosts are neighbours."""
    return addresses.link_local_of(mac_of(network.gateway)) if overlay.shared(network) else "fe80::1/64"


def ensure(instance: Instance, sock: Socket, network: Network) -> int:
    """Make the bridge as the network wants it, and return its index; an existing one changes in place.

    Raises:
        Conflict: A link of this name is no bridge of ours.
    """
    if not network.bridged:
        return drivers.parent(network, sock).ifindex
    wanted = gateway_cidrs(network)
    seen = observe(sock, network)
    if seen.link is None:
        sock.request(rtnetlink.new_bridge(network.bridge, mac_of(network.gateway)),
                     rtnetlink.set_link(network.bridge, mtu=network.mtu, alias=alias(instance, network),
                                        no_link_local=True),
                     rtnetlink.set_link(network.bridge, up=True))
        link = rtnetlink.link(sock, network.bridge)
        if link is None:
            raise Conflict("the bridge '%s' vanished while it was made" % network.bridge, "Run the task again")
        if network.ipv6_subnet:
            sysctls.allow_ipv6(network.bridge)
        if network.vlan_filtering:
            sock.request(bridge_vlans.set_filtering(network.bridge, True))
        sock.request(*[rtnetlink.add_address(link.ifindex, each) for each in wanted])
        if network.driver == overlay.DRIVER:
            overlay.ensure(sock, network, link.ifindex)
        return link.ifindex
    _check_ours(network, seen.link)
    if seen.link.vlan_filtering != network.vlan_filtering:
        sock.request(bridge_vlans.set_filtering(network.bridge, network.vlan_filtering))
    changes = []
    if not seen.link.up or seen.link.mtu != network.mtu:
        changes.append(rtnetlink.set_link(network.bridge, up=True, mtu=network.mtu))
    missing = [each for each in wanted if each not in seen.addresses]
    for cidr in seen.addresses:  # first: the kernel removes the younger ones of a subnet with the eldest
        if cidr not in wanted and (missing or ":" in cidr):
            changes.append(rtnetlink.delete_address(seen.link.ifindex, cidr))
    if missing and network.ipv6_subnet:
        sysctls.allow_ipv6(network.bridge)
    changes.extend(rtnetlink.add_address(seen.link.ifindex, each) for each in missing)
    sock.request(*changes)
    if network.driver == overlay.DRIVER:
        overlay.ensure(sock, network, seen.link.ifindex)
    return seen.link.ifindex


def remove_bridge(sock: Socket, network: Network) -> None:
    """Delete the bridge if it is there and ours, and what leads to other hosts."""
    if network.driver == overlay.DRIVER:
        overlay.remove(sock, network)
    link = rtnetlink.link(sock, network.bridge) if network.bridged else None
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
    found = {key: document[key] for key in Network._fields if key in document}
    for key in ("aux_addresses", "options", "static_leases", "labels"):
        found[key] = tuple((str(name), str(value)) for name, value in found.get(key) or ())
    found["more"] = tuple(Pool(*pool) for pool in found.get("more") or ())
    for key in ("masquerade_exclude", "cluster_ranges"):
        found[key] = tuple(found.get(key) or ())
    found["peers"] = overlay.peers_of(found.get("peers") or ())
    return Network(**found)


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
    pools.check(network)
    if network.policy and not network.bridged:
        raise InvalidValue("policy", network.policy, "cannot be kept: what the driver '%s' sends passes the host by" % network.driver,
                           "Use the driver 'bridge'")
    if network.vlan_filtering and network.driver != "bridge":
        raise InvalidValue("vlan_filtering", True, "is of no meaning to the driver '%s'" % network.driver, "Use the driver bridge")
    if network.vlan_filtering and not bridge_vlans.supported(sock):
        raise Unsupported("this kernel (%s) keeps no VLANs apart on bridges, which network '%s' asks for"
                          % (os.uname().release, network.name),
                          "Leave vlan_filtering out, or use a kernel with CONFIG_BRIDGE_VLAN_FILTERING")
    if len(os.fsencode(network.bridge)) > 15:
        raise InvalidValue("network.bridge", network.bridge, "is longer than the kernel's 15 bytes",
                           "Write a shorter name")
    pools.check_others(network, known)
    for other in known:
        if network.bridged and other.bridge == network.bridge:
            raise Conflict("the bridge '%s' belongs to network '%s'" % (network.bridge, other.name),
                           "Choose another name in network.bridge")
    if network.driver == overlay.DRIVER:
        overlay.check(network, sock)
    elif network.peers or network.cluster_ranges:
        raise InvalidValue("peers" if network.peers else "cluster_ranges", [peer.name for peer in network.peers] or network.cluster_ranges,
                           "is of no meaning to the driver '%s'" % network.driver, "Use the driver vxlan")
    if recorded is not None and (recorded.subnets, recorded.bridge) == (network.subnets, network.bridge):
        return
    links = {link.ifindex: link for link in rtnetlink.links(sock)}
    mine = (network.bridge, recorded.bridge if recorded else network.bridge)
    if network.bridged:
        pools.check_routes(network, {
            route.destination: links[route.ifindex].name if route.ifindex in links else route.gateway
            for route in rtnetlink.routes(sock)}, mine)
    for link in links.values():
        if network.bridged and link.name == network.bridge:
            _check_ours(network, link)
    drivers.check(network, sock)


def _check_ours(network: Network, link: rtnetlink.Link) -> None:
    if link.kind != "bridge" or not link.alias.startswith(ALIAS):
        raise Conflict("the host has a link '%s' already, and it is no bridge of ours" % network.bridge,
                       "Choose another name in network.bridge, or delete that link")
