# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network namespace is: read from the kernel, over netlink inside and outside of it, and from nftables."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..plan import Difference
from ..store import glance
from . import addresses, bandwidth, firewall, leases, links, namespace, networks, overlay, publish, records, sysctls, turns, vlans
from .ends import host_end, host_link
from .firewall import Seen
from .publish import Published
from .spec import Attachment, NetnsSpec, Route, cidrs, network_view, route_of


class Observed(NamedTuple):
    """A network namespace as it is.

    Attributes:
        exists: Whether there is a namespace of this name.
        traces: Whether there is anything of it at all: a record, a lease, a link.
        mode: As C(NetnsSpec.mode); C(container:NAME (gone)) where the other one has been replaced since.
        attachments: One mapping per attachment of the specification, keys as in C(spec.attachment_view).
        routes: Of the main table, without those that the kernel and the attachments make.
        sysctls: The values of those that the specification names.
        published: What the kernel's table leads here.
        drift: What no option shows: the host's sysctls, the default route, the table as a whole.
        surplus: Network and interface of recorded attachments that the specification does not have.
    """

    exists: bool = False
    traces: bool = False
    mode: Optional[str] = None
    attachments: Tuple[Dict[str, Any], ...] = ()
    routes: Tuple[Route, ...] = ()
    sysctls: Tuple[Tuple[str, Optional[str]], ...] = ()
    published: Tuple[Published, ...] = ()
    drift: Tuple[Difference, ...] = ()
    surplus: Tuple[Tuple[str, str], ...] = ()


class _Inside(NamedTuple):
    """What netlink tells inside the namespace."""

    links: Dict[str, rtnetlink.Link]
    addresses: Sequence[rtnetlink.Address]
    routes: Sequence[rtnetlink.Route]
    sysctls: Tuple[Tuple[str, Optional[str]], ...]


def observe(instance: Instance, spec: NetnsSpec) -> Observed:
    """What is true of the namespace that a specification is about; reads only."""
    with turns.reading(instance):
        return _observe(instance, spec)


def _observe(instance: Instance, spec: NetnsSpec) -> Observed:
    record = records.load(instance, spec.name)
    handle = namespace.open_named(instance, spec.name)
    if handle is None:
        return Observed(traces=_traces(instance, spec.name, record))
    try:
        mode = _mode(instance, handle, record)
        if mode == "host" or mode.startswith(("container:", "ns:")):
            return Observed(True, True, mode)
        inside = _look_inside(handle, [key for key, _value in spec.sysctls])
    finally:
        os.close(handle)
    with Socket() as sock:
        return _compare(instance, spec, record, mode, inside, sock)


def _compare(instance: Instance, spec: NetnsSpec, record: Optional[records.Record], mode: str, inside: _Inside,
             sock: Socket) -> Observed:
    seen = glance.shared("table", lambda: firewall.observe(instance)) if spec.attachments or record and record.attachments else \
        Seen(True, None)
    views = tuple(_attachment(instance, spec, each, record, inside, seen, sock) for each in spec.attachments)
    kept = [(each.network.name, each.interface) for each in spec.attachments]
    surplus = tuple(each for each in (record.attachments if record else ()) if each not in kept)
    drift = _default_route(spec, inside) + _host_drift(instance, spec, seen)
    loopback = inside.links.get("lo")
    if loopback is not None and not loopback.up:
        drift.append(Difference("loopback", "down", "up"))
    return Observed(True, True, mode, views, _routes(spec, inside), inside.sysctls,
                    _published(spec, record, seen), tuple(drift), surplus)


def _traces(instance: Instance, name: str, record: Optional[records.Record]) -> bool:
    return record is not None or any(
        lease.netns == name for network in networks.every(instance) for lease in leases.of(instance, network.name))


def _mode(instance: Instance, handle: int, record: Optional[records.Record]) -> str:
    if namespace.same(handle, "/proc/thread-self/ns/net"):
        return "host"
    told = record.mode if record else "none"
    if told.startswith(("container:", "ns:")):
        kind, _colon, where = told.partition(":")
        where = namespace.path(instance, where) if kind == "container" else where
        other = namespace.open_path(where)
        if other is None:
            return told + " (gone)"
        os.close(other)
        return told if namespace.same(handle, where) else told + " (gone)"
    return told if told != "host" else "none"


def _look_inside(handle: int, names: Sequence[str]) -> _Inside:
    def look() -> _Inside:
        with Socket() as sock:
            return _Inside({link.name: link for link in rtnetlink.links(sock)}, rtnetlink.addresses(sock),
                           rtnetlink.routes(sock), tuple((name, sysctls.read(name)) for name in names))
    return namespace.inside(handle, look)


def _attachment(instance: Instance, spec: NetnsSpec, wanted: Attachment, record: Optional[records.Record],
                inside: _Inside, seen: Seen, sock: Socket) -> Dict[str, Any]:
    name = wanted.network.name
    network = dict(glance.shared("network " + name, lambda: network_state(networks.load(instance, name), seen, sock)))
    inner = inside.links.get(wanted.interface)
    outer = host_link(sock, host_end(instance, spec.name, wanted.interface))
    above = host_link(sock, wanted.network.bridge or dict(wanted.network.options)["parent"])
    if inner is None or not links.fits(wanted, above.ifindex if above else 0, outer, inner) or \
            (wanted.network.name, wanted.interface) not in (record.attachments if record else ()):
        return {"network": network, "interface": None, "ipv4_address": None, "ipv6_address": None, "mac_address": None,
                "aliases": None, "bandwidth": None, "vlan": None}
    faults = [] if inner.up else ["down"]
    if outer is not None:
        faults += _port_faults(spec, wanted, outer, above)
    for link in (inner, outer or inner):
        if network["mtu"] is not None and link.mtu != network["mtu"] and link.mtu != wanted.network.mtu:
            network["mtu"] = link.mtu
    here = [each.cidr for each in inside.addresses if each.ifindex == inner.ifindex]
    lease = leases.find(instance, wanted.network.name, spec.name, wanted.interface)
    return {"network": network, "mac_address": inner.mac,
            "ipv4_address": _address(wanted, here, ipv6=False), "ipv6_address": _address(wanted, here, ipv6=True),
            "interface": wanted.interface + (" (%s)" % ", ".join(faults) if faults else ""),
            "aliases": list(lease.names[1:]) if lease else None, "bandwidth": bandwidth.view(bandwidth.observe(
                instance, spec.name, wanted.interface, wanted.bandwidth, sock) if outer is not None else bandwidth.NONE),
            "vlan": vlans.view(outer is not None and wanted.network.vlan_filtering,
                               vlans.observe(outer.ifindex, sock) if outer is not None and wanted.network.vlan_filtering else vlans.USUAL)}


def _port_faults(spec: NetnsSpec, wanted: Attachment, outer: rtnetlink.Link, bridge: Optional[rtnetlink.Link]) -> List[str]:
    """What is wrong with the host's end of a link."""
    faults = [] if outer.up else ["host end down"]
    if bridge is not None and outer.master != bridge.ifindex:
        faults.append("not on %s" % wanted.network.bridge)
    if spec.published and not outer.hairpin:
        faults.append("no hairpin")
    if outer.isolated == wanted.network.icc:
        faults.append("isolated" if outer.isolated else "not isolated")
    return faults


def _address(wanted: Attachment, here: Sequence[str], ipv6: bool) -> Optional[str]:
    """The address of one family: the wanted one where it is there, with its prefix length, else what is there."""
    of_family = [each for each in here if (":" in each) == ipv6 and not addresses.link_local(each)]
    for each in cidrs(wanted):
        if each in of_family:
            return each.partition("/")[0]
    return of_family[0].partition("/")[0] if of_family else "" if ipv6 else None


def network_state(recorded: Optional[networks.Network], seen: Seen, sock: Socket) -> Dict[str, Any]:
    """A network as the kernel has it; what only the record and the table know as these have it."""
    view = network_view(recorded)
    if recorded is None:
        return view
    if not recorded.bridged:
        parent = dict(recorded.options)["parent"]
        if rtnetlink.link(sock, parent) is None:
            view["driver_options"] = {**view["driver_options"], "parent": "%s (gone)" % parent}
        return view
    bridge = networks.observe(sock, recorded)
    if bridge.link is None:
        view.update(bridge=None, gateway=None, mtu=None)
        return view
    view["bridge"] = bridge.link.name + ("" if bridge.link.up else " (down)")
    view["mtu"], view["vlan_filtering"] = bridge.link.mtu, bridge.link.vlan_filtering
    wanted = networks.gateway_cidrs(recorded)
    for pool, row, cidr in zip(recorded.pools, view["subnets"], wanted):
        if cidr not in bridge.addresses:
            row["gateway"] = next((each.partition("/")[0] for each in bridge.addresses
                                   if (":" in each) == (":" in cidr) and each not in wanted
                                   and not addresses.link_local(each)), None)
            if pool not in recorded.more:
                view["ipv6_gateway" if ":" in cidr else "gateway"] = row["gateway"]
    if recorded.ipv6_subnet and networks.link_local(recorded) not in bridge.addresses:
        view["ipv6_gateway"] = None
    if recorded.driver == overlay.DRIVER:
        overlay.observe(sock, recorded, view)
    if not seen.intact:
        view["masquerade"] = firewall.masquerades(seen.listing, recorded)
    return view


def _routes(spec: NetnsSpec, inside: _Inside) -> Tuple[Route, ...]:
    """The routes that somebody set, without our default route."""
    found, defaults = [], spec.defaults
    for route in inside.routes:
        if route.protocol != rtnetlink.RTPROT_KERNEL and not addresses.link_local(route.destination) \
                and route_of(route) not in defaults:
            found.append(route_of(route))
    return tuple(sorted(found))


def _default_route(spec: NetnsSpec, inside: _Inside) -> List[Difference]:
    found = []
    for wanted, gateway, _metric in spec.defaults:
        there = [route.gateway for route in inside.routes if route.destination == wanted]
        if gateway not in there:
            found.append(Difference("default_route", there[0] if there else None, gateway))
    return found


def _host_drift(instance: Instance, spec: NetnsSpec, seen: Seen) -> List[Difference]:
    """What of the host's own settings is not as the networks need it."""
    found = []
    for destination in spec.forwarded:
        name = sysctls.FORWARD[destination]
        if sysctls.read(name) != "1":
            found.append(Difference(name, sysctls.read(name), "1"))
    for name, value in _bridge_sysctls(spec):
        before = sysctls.read(name)
        if before is not None and before != value:
            found.append(Difference(name, before, value))
    if not seen.intact:
        found.append(table_drift(instance, seen))
    return found


def of_networks(spec: NetnsSpec, seen: Observed) -> Tuple[Difference, ...]:
    """How the networks themselves differ from what they are declared to be, for who names them alone."""
    found = []
    for attachment, row in zip(spec.attachments, seen.attachments):
        wanted, there = network_view(attachment.network), row["network"]
        odd = [key for key, value in wanted.items() if there.get(key) != value]
        if odd and there["subnet"] is not None:  # else it is about to be made
            found.append(Difference("network " + attachment.network.name, {key: there.get(key) for key in odd},
                                    {key: wanted[key] for key in odd}))
    return tuple(found)


def table_drift(instance: Instance, seen: Seen) -> Difference:
    """What is wrong with the table as a whole."""
    return Difference("nftables", "no table %s" % instance.name if seen.listing is None
                      else "table %s changed" % instance.name, "table %s as declared" % instance.name)


def _bridge_sysctls(spec: NetnsSpec) -> List[Tuple[str, str]]:
    """What the bridges need: no router advertisements from containers, and loopback where a port is published on it."""
    found = [(sysctls.accept_ra(each.network.bridge), "0") for each in spec.attachments if each.network.bridged]
    if not spec.proxy and any(publish.loopback(port) for port in spec.published):
        found += [(sysctls.route_localnet(each.network.bridge), "1")
                  for each in spec.attachments if each.publishes][:1]
    return found


def _published(spec: NetnsSpec, record: Optional[records.Record], seen: Seen) -> Tuple[Published, ...]:
    if seen.intact or record is not None and record.proxy:
        return publish.expand(record.published) if record else ()
    for each in spec.attachments:
        if each.publishes:
            return firewall.published_in(seen.listing, each.addresses)
    return ()


def describe(instance: Instance, name: str) -> Dict[str, Any]:
    """The full state of a namespace, for people and programs: links, addresses, routes as the kernel has them."""
    handle = namespace.open_named(instance, name)
    if handle is None:
        return {"name": name, "exists": False}
    try:
        record = records.load(instance, name)
        inside = _look_inside(handle, [])
        mode = _mode(instance, handle, record)
    finally:
        os.close(handle)
    held = {}
    for network, interface in record.attachments if record else ():
        held[interface] = network
    return {
        "name": name, "exists": True, "path": namespace.path(instance, name), "mode": mode,
        "interfaces": [] if mode == "host" else [
            {"name": link.name, "up": link.up, "mtu": link.mtu, "mac_address": link.mac,
             "network": held.get(link.name),
             "addresses": [each.cidr for each in inside.addresses if each.ifindex == link.ifindex]}
            for link in sorted(inside.links.values(), key=lambda link: link.ifindex)],
        "routes": [] if mode == "host" else [
            {"destination": route.destination, "gateway": route.gateway or None, "metric": route.metric}
            for route in inside.routes if not addresses.link_local(route.destination)],
    }
