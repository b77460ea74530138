# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network namespace shall be, and what it is: the specification, settled and compared.

A specification comes from what a user asked for, the records and the host; it is complete, so that what check mode
predicts from it is what is then done.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue, NotFound, Unsupported
from ..instance import Instance
from ..kernel import nftables, rtnetlink
from ..kernel.netlink import Socket
from . import bandwidth, drivers, leases, namespace, networks, overlay, policy as policies, publish, records, turns, vlans
from .bandwidth import Bandwidth
from .networks import Network
from .publish import Published
from .vlans import Vlans

Route = Tuple[str, str, int]
"""Destination as CIDR, gateway or nothing, metric."""


CONTAINER_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""In a container's own namespace all ports and ping are for every user, as with Docker: they are not the host's."""


_OF_ROW = ("interface", "ipv4_address", "ipv6_address", "mac_address", "aliases", "bandwidth", "vlan")


class Attachment(NamedTuple):
    """One interface in one network.

    Attributes:
        network: Complete.
        interface: Its name inside.
        address: IPv4, without a prefix length.
        mac: Of the interface.
        names: What the neighbours call it; the first is the container's name.
        pinned: The addresses that were asked for; in place of others, the next may be taken if they are gone.
        request: What was asked for of the network.
        ipv6_address: Likewise; empty where the network has no such subnet.
        bandwidth: How much it may receive and send.
        vlan: The VLANs that it is in, where the network keeps them apart.
    """

    network: Network
    interface: str
    address: str
    mac: str
    names: Tuple[str, ...]
    pinned: Tuple[str, ...] = ()
    request: Optional[Mapping[str, Any]] = None
    ipv6_address: str = ""
    bandwidth: Bandwidth = bandwidth.NONE
    vlan: Vlans = vlans.USUAL

    @property
    def meets_host(self) -> bool:
        """Whether it is in one VLAN with the network's gateway."""
        return not self.network.vlan_filtering or self.vlan.pvid == vlans.OF_HOST

    @property
    def outward(self) -> bool:
        """Whether it is a way out."""
        return self.meets_host and not self.network.internal

    @property
    def publishes(self) -> bool:
        """Whether ports of the host can lead to it."""
        return self.meets_host and self.network.publishes

    @property
    def addresses(self) -> Tuple[str, ...]:
        """Of the families it has, IPv4 first."""
        return (self.address, self.ipv6_address) if self.ipv6_address else (self.address,)


class NetnsSpec(NamedTuple):
    """A named network namespace as it shall be.

    Attributes:
        name: For a container its name.
        mode: C(bridge), C(none), C(host), C(container:NAME) or C(ns:PATH).
        attachments: In order; the first that is not internal has the default route and the published ports.
        routes: Beyond the default route; C(None) leaves them alone.
        sysctls: C(net.*) and values.
        published: Single ports.
        names: For the container's hosts file (C(hosts.to_record)); C(None) where it has none.
        labels: By which policies name it.
        policy: Who may speak with it.
        proxy: Whether its ports are led to it by the proxy instead of the table.
    """

    name: str
    mode: str = "bridge"
    attachments: Tuple[Attachment, ...] = ()
    routes: Optional[Tuple[Route, ...]] = None
    sysctls: Tuple[Tuple[str, str], ...] = ()
    published: Tuple[Published, ...] = ()
    names: Optional[Dict[str, Any]] = None
    labels: Optional[Dict[str, str]] = None
    policy: Optional[Dict[str, Any]] = None
    proxy: bool = False

    @property
    def defaults(self) -> Tuple[Route, ...]:
        """The default routes that come with the networks: of each family at most one, and none that was declared."""
        found: Dict[str, Route] = {}
        for each in self.attachments:
            for address in each.addresses if each.outward else ():
                pool = each.network.pool_of(address)
                destination = "::/0" if ":" in address else "0.0.0.0/0"
                if pool is not None and pool.gateway and not any(route[0] == destination for route in self.routes or ()):
                    found.setdefault(destination, (destination, pool.gateway, 0))
        return tuple(found.values())

    @property
    def forwarded(self) -> Tuple[str, ...]:
        """The default routes that lead to the host, which then passes packets on."""
        gateways = {gateway for each in self.attachments if each.network.bridged and each.meets_host for gateway in each.network.gateways}
        return tuple(destination for destination, gateway, _metric in self.defaults if gateway in gateways)


def settle(instance: Instance, name: str, mode: str = "bridge", wanted: Sequence[Mapping[str, Any]] = (),
           routes: Optional[Sequence[Route]] = None, sysctls: Optional[Mapping[str, str]] = None,
           published: Sequence[str] = (), names: Optional[Dict[str, Any]] = None,
           labels: Optional[Mapping[str, str]] = None, policy: Optional[Mapping[str, Any]] = None, proxy: bool = False) -> NetnsSpec:
    """The complete specification of what was asked for; reads only.

    Args:
        wanted: Each attachment: C(network) (a mapping with the fields of C(Network), C(None) where nothing is said),
            C(interface), C(ipv4_address), C(ipv6_address), C(mac_address), C(aliases), C(bandwidth), C(vlan). For the mode C(bridge),
            none means the default network.
        published: In written form, as the option table yields it.
        policy: As C(options.policy) yields it.

    Raises:
        InvalidValue, Conflict, NotFound, Unsupported: It cannot be had; nothing was changed.
    """
    with turns.reading(instance):
        check_owner(instance, name, names is not None)
        if names is not None and mode in ("bridge", "none"):
            sysctls = {**CONTAINER_SYSCTLS, **(sysctls or {})}
        ports = publish.expand(published)
        _check_proxied(ports, names is not None, proxy)
        about: Tuple[Optional[Dict[str, str]], Optional[Dict[str, Any]]] = (dict(labels) if labels else None,
                                                                            dict(policy) if policy else None)
        if mode != "bridge":
            if policy:
                raise InvalidValue("policy", policy, "cannot be with the mode '%s'" % mode, "Use the mode 'bridge'")
            _check_without(instance, name, mode, wanted, routes, sysctls, ports)
            return NetnsSpec(name, mode, (), None if routes is None else tuple(map(normal, routes)),
                             tuple(sorted((sysctls or {}).items())), (), names, *about)
        if not nftables.available():
            raise Unsupported("this host has neither libnftables.so.1 nor the program nft, which the mode 'bridge' needs",
                              "Install the package nftables")
        settled: List[Attachment] = []
        with Socket() as sock:
            interfaces = _interfaces(instance, name, wanted or ({},))
            for request, interface in zip(wanted or ({},), interfaces):
                settled.append(_attachment(instance, name, interface, request, settled, sock))
        apart = next((each for each in settled if each.network.publishes and not each.meets_host), None)
        if ports and apart is not None and not any(each.publishes for each in settled):
            raise InvalidValue("published_ports", publish.contract(ports), "lead into network '%s' by a pvid that the host is not in"
                               % apart.network.name, "Publish no port, or attach with the pvid %d" % vlans.OF_HOST)
        if ports and not any(each.network.publishes for each in settled):
            raise InvalidValue("published_ports", publish.contract(ports), "lead into an internal network"
                               if all(each.network.internal for each in settled) else "lead into a network of the driver '%s', "
                               "whose members are reached by their own addresses" % settled[0].network.driver,
                               "Publish no port, or attach a network that is not internal and has a bridge")
        for each in settled:
            if policy and not each.network.bridged:
                raise InvalidValue("policy", policy, "cannot be kept on network '%s': what its driver '%s' sends passes the host by"
                                   % (each.network.name, each.network.driver), "Attach networks with a bridge only")
            if each.vlan.tagged and (policy or each.network.policy):
                raise InvalidValue("vlan", vlans.view(True, each.vlan), "has tagged VLANs, whose frames no policy is kept for",
                                   "Leave 'policy' out, also that of network '%s', or give it no tagged VLANs" % each.network.name)
        publish.check(instance, name, ports)
        return NetnsSpec(name, mode, tuple(settled), None if routes is None else tuple(map(normal, routes)),
                         tuple(sorted((sysctls or {}).items())), ports, names, *about, proxy)


def _check_proxied(ports: Sequence[Published], container: bool, proxy: bool) -> None:
    """What the kernel alone cannot lead to a namespace, containers have a proxy for."""
    for port in ports:
        if port.address == "::1" and not container:
            raise InvalidValue("published_ports", publish.contract([port]), "names the IPv6 loopback, from which no packet can be led into "
                               "a network namespace", "Publish it on 127.0.0.1, or from a container, which has a proxy for it")
        if port.protocol == "sctp" and (proxy or port.address == "::1"):
            raise InvalidValue("published_ports", publish.contract([port]), "cannot be relayed by the proxy, which knows tcp and udp",
                               "Leave publish_mode out")


def unknown_peers(instance: Instance, name: str, policy: Optional[Mapping[str, Any]]) -> Tuple[str, ...]:
    """What a person should know of a policy: whom it names that is not there; it counts as soon as it is."""
    if not policy:
        return ()
    there = [record.name for record in records.every(instance)]
    there += [each.name for net in networks.every(instance) for peer in net.peers for each in peer.members]
    missing = policies.unknown(policy, [name, *there], [net.name for net in networks.every(instance)])
    return tuple("policy: there is no %s '%s' on this host (yet)" % tuple(each.split(":", 1)) for each in missing)


def check_owner(instance: Instance, name: str, container: bool) -> None:
    """Containers and namespaces that are declared by themselves share one set of names.

    Raises:
        Conflict: The name is of the other kind.
    """
    record = records.load(instance, name)
    if record is not None and (record.names is not None) != container:
        raise Conflict("the network namespace '%s' belongs to %s" % (
            name, "a task of container_netns" if container else "the container '%s'" % name), "Choose another name")


def _interfaces(instance: Instance, name: str, wanted: Sequence[Mapping[str, Any]]) -> List[str]:
    """The interface of each attachment: the one asked for, else the numbered one that it has, else the first free one.

    So that those who stay keep theirs, and their connections, when another goes.
    """
    record = records.load(instance, name)
    held = {network: interface for network, interface in (record.attachments if record else ())
            if interface.startswith("eth") and interface[3:].isdigit()}
    asked = [request.get("interface") or "" for request in wanted]
    for at, request in enumerate(wanted):
        mine = held.get((request.get("network") or {}).get("name") or networks.DEFAULT)
        if not asked[at] and mine is not None and mine not in asked:
            asked[at] = mine
    free = (interface for interface in map("eth%d".__mod__, range(1000)) if interface not in asked)
    return [interface or next(free) for interface in asked]


def _attachment(instance: Instance, name: str, interface: str, request: Mapping[str, Any], settled: Sequence[Attachment],
                sock: Socket) -> Attachment:
    network = networks.settle(instance, request.get("network") or {}, sock, [each.network for each in settled])
    for each in settled:
        if each.network.name == network.name:
            raise InvalidValue("network", network.name, "is named twice", "Attach each network once")
        if each.interface == interface:
            raise InvalidValue("interface", interface, "is named twice", "Give each attachment an interface of its own")
    taken = leases.of(instance, network.name)
    check_members(instance, network, [lease for lease in taken if lease.netns != name])
    pinned = tuple(address for address in (request.get("ipv4_address"), request.get("ipv6_address")) if address)
    address = leases.choose(network, taken, name, request.get("ipv4_address"))
    ipv6_address = leases.choose(network, taken, name, request.get("ipv6_address"), ipv6=True)
    names = (name,) + tuple(alias for alias in request.get("aliases") or () if alias != name)
    mac = request.get("mac_address")
    if network.driver == "ipvlan":  # its links have no MAC of their own
        own = drivers.parent(network, sock).mac
        if mac not in (None, own):
            raise InvalidValue("mac_address", mac, "cannot be with the driver ipvlan, whose links have the parent's",
                               "Leave it out, or use the driver macvlan")
        mac = own
    limits = bandwidth.settle(request.get("bandwidth"))
    if limits != bandwidth.NONE and not network.bridged:
        raise InvalidValue("bandwidth", bandwidth.view(limits), "cannot be with the driver '%s', whose links have no end on the "
                           "host" % network.driver, "Leave it out, or use a network with a bridge")
    return Attachment(network, interface, address, mac or networks.mac_of(address), names, pinned, request.get("network"), ipv6_address,
                      limits, vlans.settle(network.name, network.vlan_filtering, request.get("vlan")))


def check_members(instance: Instance, network: Network, others: Sequence[leases.Lease]) -> None:
    """Whether a network can become what is asked for without taking its members' ground from under their feet.

    Args:
        others: The leases of the members that stay.

    Raises:
        Conflict: It cannot; it says what and who.
    """
    recorded = networks.load(instance, network.name)
    if recorded is None or recorded == network or not others:
        return
    who = ", ".join(sorted({lease.netns for lease in others}))
    for option in ("driver", "options", "subnet", "gateway", "bridge", "ipv6_subnet", "ipv6_gateway"):
        was, new = getattr(recorded, option), getattr(network, option)
        if option == "options" and network.driver == recorded.driver == overlay.DRIVER:
            continue  # only what leads to other hosts is made anew
        if was not in ("", (), new):
            if option == "options":
                was, new = dict(was), dict(new)
            raise Conflict("network '%s' has the %s %s and cannot get %s while it has other members: %s"
                           % (network.name, option, was, new or "none", who),
                           "Remove these first, or choose a network of another name")
    for lease in others:
        if recorded.vlan_filtering and not network.vlan_filtering and lease.vlan != vlans.USUAL:
            raise Conflict("network '%s' cannot pass over VLANs while '%s' is kept apart by them" % (network.name, lease.netns),
                           "Take 'vlan' from that member first, or leave vlan_filtering on")
        for address in lease.addresses:
            if network.pool_of(address) is None:
                raise Conflict("network '%s' cannot lose the subnet of %s, which '%s' has" % (network.name, address, lease.netns),
                               "Remove that member first, or leave the subnet in 'subnets'")


def _check_without(instance: Instance, name: str, mode: str, wanted: Sequence[Mapping[str, Any]],
                   routes: Optional[Sequence[Route]], sysctls: Optional[Mapping[str, str]],
                   ports: Sequence[Published]) -> None:
    """Modes without an attachment of their own."""
    if ports:
        raise InvalidValue("published_ports", publish.contract(ports), "cannot be with the mode '%s'" % mode,
                           "Use the mode 'bridge'" if mode != "host" else "Its ports are the host's already")
    if wanted:
        raise InvalidValue("network", wanted[0].get("network"), "cannot be with the mode '%s'" % mode,
                           "Use the mode 'bridge'")
    if mode == "none":
        return
    if sysctls or routes:
        raise InvalidValue("sysctls" if sysctls else "routes", sysctls or list(routes or ()),
                           "would change a namespace that is not this one's own (mode '%s')" % mode,
                           "Set it where the namespace is declared")
    if mode.startswith("ns:"):
        handle = namespace.open_path(mode.partition(":")[2])
        if handle is None:
            raise NotFound("there is no network namespace at '%s', which the mode '%s' joins" % (mode.partition(":")[2], mode),
                           "Name a file such as /run/netns/NAME or /proc/PID/ns/net")
        os.close(handle)
    if mode.startswith("container:"):
        other = mode.partition(":")[2]
        if other == name:
            raise InvalidValue("mode", mode, "names itself", "Name another network namespace")
        handle = namespace.open_named(instance, other)
        if handle is None:
            raise NotFound("there is no network namespace '%s', which the mode '%s' joins" % (other, mode),
                           "Create it first")
        os.close(handle)


def network_view(network: Optional[Network]) -> Dict[str, Any]:
    """A network as options show it."""
    if network is None:
        return dict.fromkeys(set(Network._fields) - {"more", "options"} | {"ipv6", "driver_options", "subnets"})
    static: Dict[str, List[str]] = {}
    for name, address in network.static_leases:
        static.setdefault(name, []).append(address)
    view = {**network._asdict(), "ipv6": bool(network.ipv6_subnet), "aux_addresses": dict(network.aux_addresses),
            "driver_options": dict(network.options), "labels": dict(network.labels), "policy": network.policy or {},
            "static_leases": static,
            "masquerade_exclude": list(network.masquerade_exclude), "cluster_ranges": list(network.cluster_ranges),
            "peers": [overlay.peer_view(peer) for peer in network.peers], "subnets": [pool._asdict() for pool in network.pools]}
    del view["more"], view["options"]
    return view


def attachment_view(attachment: Attachment) -> Dict[str, Any]:
    """An attachment as options show it; the same keys as what is observed."""
    return {"network": network_view(attachment.network), "interface": attachment.interface,
            "ipv4_address": attachment.address, "ipv6_address": attachment.ipv6_address, "mac_address": attachment.mac,
            "aliases": list(attachment.names[1:]), "bandwidth": bandwidth.view(attachment.bandwidth),
            "vlan": vlans.view(attachment.network.vlan_filtering, attachment.vlan)}


def of_row(row: Mapping[str, Any]) -> Dict[str, Any]:
    """A row of an option C(networks) as C(settle) takes it."""
    return {"network": {"name": row["name"]}, **{key: row.get(key) for key in _OF_ROW}}


def row_view(view: Mapping[str, Any]) -> Dict[str, Any]:
    """What C(attachment_view) or C(observe) tell of an attachment, as a row of C(networks)."""
    return {"name": view["network"]["name"], **{key: view[key] for key in _OF_ROW}}


def route_of(seen: rtnetlink.Route) -> Route:
    """A route as specifications have it: the kernel gives those of IPv6 without a metric 1024 (IP6_RT_PRIO_USER)."""
    return normal((seen.destination, seen.gateway, seen.metric))


def normal(route: Route) -> Route:
    """The one form of a route: with IPv6, the metric 1024 is the same as none."""
    destination, gateway, metric = route
    return destination, gateway, 0 if ":" in destination and metric == 1024 else metric


def cidrs(attachment: Attachment) -> Tuple[str, ...]:
    """An attachment's addresses with the prefix lengths of their subnets."""
    found = []
    for address in attachment.addresses:
        pool = attachment.network.pool_of(address)
        found.append("%s/%s" % (address, pool.subnet.partition("/")[2] if pool else 128 if ":" in address else 32))
    return tuple(found)
