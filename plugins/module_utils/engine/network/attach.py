# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a network namespace to its specification, and take it away again.

Every step looks at what is there and does what is missing. A failure takes back what the steps before it had begun.
Whoever comes in here holds the lock of the namespace (or of the container whose it is); the networks, leases and the
table are shared by all, so one lock of the instance guards them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, Callable, List, Optional, Sequence, Set, Tuple

from ..errors import EngineError, KernelError
from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from . import addresses, firewall, hosts, leases, namespace, networks, publish, records, sysctls, turns
from .ends import host_end
from .networks import Network
from .spec import Attachment, NetnsSpec, cidr


def apply(instance: Instance, spec: NetnsSpec, anew: bool = False) -> NetnsSpec:
    """Make the namespace what its specification says; what can change live does.

    Args:
        anew: Replace the namespace, for a change of its mode.

    Returns: The specification as carried out: an address that nobody asked for and that somebody else got meanwhile is
        replaced by the next free one.

    Raises:
        EngineError: A step failed; what it and the steps before it had begun is taken back.
    """
    if anew:
        remove(instance, spec.name, keep=[each.network.name for each in spec.attachments])
    with turns.changing(instance), Socket() as sock, ExitStack() as undo:
        spec = _apply(instance, spec, sock, undo)
        undo.pop_all()
    return spec


def remove(instance: Instance, name: str, keep: Sequence[str] = ()) -> None:
    """Take away a namespace with its links, leases, ports and record, and networks that have no member left.

    Args:
        keep: Networks that stay although they may have no member.
    """
    with turns.changing(instance), Socket() as sock:
        record = records.load(instance, name)
        held = set(record.attachments) if record else set()
        for network in networks.every(instance):
            held |= {(network.name, lease.interface) for lease in leases.of(instance, network.name)
                     if lease.netns == name}
        for network_name, interface in sorted(held):
            sock.request(rtnetlink.delete_link(host_end(instance, name, interface)))
            leases.remove(instance, network_name, name, interface)
        namespace.remove(instance, name)
        records.forget(instance, name)
        _settle_down(instance, sock, {network_name for network_name, _interface in held}, keep)


def _apply(instance: Instance, spec: NetnsSpec, sock: Socket, undo: ExitStack) -> NetnsSpec:
    before = records.load(instance, spec.name)
    publish.check(instance, spec.name, spec.published, listening=False)
    touched = {each.network.name for each in spec.attachments}
    undo.callback(_quietly, lambda: _settle_down(instance, sock, touched, ()))
    attachments: List[Attachment] = []
    for wanted in spec.attachments:
        network = _network_now(instance, wanted, [each.network for each in attachments], sock)
        attachments.append(_lease(instance, wanted._replace(network=network), spec, undo))
    spec = spec._replace(attachments=tuple(attachments))
    bridges = [_network(instance, each, sock, undo) for each in attachments]
    handle = _namespace(instance, spec, undo)
    try:
        if spec.mode in ("bridge", "none"):
            with namespace.socket_in(handle) as inner:
                for each, bridge in zip(attachments, bridges):
                    _connect(instance, spec, each, bridge, sock, inner, handle, undo)
                touched |= _disconnect(instance, spec, before, sock)
                _routes(spec, inner, loopback=before is None or not attachments)
            _sysctls(spec, handle)
    finally:
        os.close(handle)
    _record(instance, spec, before, undo)
    if spec.gateway:
        sysctls.need(instance, sysctls.FORWARD, "1")
    if touched:
        _settle_down(instance, sock, touched, ())
    return spec


def _network_now(instance: Instance, attachment: Attachment, others: Sequence[Network], sock: Socket) -> Network:
    """An attachment's network as it is settled now: another run may have made it since."""
    return networks.settle(instance, {**(attachment.request or {}), "name": attachment.network.name}, sock, others)


def _lease(instance: Instance, attachment: Attachment, spec: NetnsSpec, undo: ExitStack) -> Attachment:
    """Record the lease; an address that was only predicted and is gone meanwhile is replaced by the next."""
    network = attachment.network
    taken = leases.of(instance, network.name)
    holder = [lease for lease in taken if lease.address == attachment.address
              and (lease.netns, lease.interface) != (spec.name, attachment.interface)]
    if holder or not addresses.contains(addresses.subnet(network.subnet), attachment.address):
        address = leases.choose(network, taken, spec.name, attachment.interface,
                                attachment.address if attachment.pinned else None)
        own_mac = attachment.mac != networks.mac_of(attachment.address)
        attachment = attachment._replace(address=address,
                                         mac=attachment.mac if own_mac else networks.mac_of(address))
    lease = leases.Lease(spec.name, attachment.interface, attachment.address, attachment.mac, attachment.names)
    before = leases.find(instance, network.name, spec.name, attachment.interface)
    if before != lease:
        if before is None:
            undo.callback(_quietly, lambda: leases.remove(instance, network.name, spec.name, attachment.interface))
        else:
            undo.callback(_quietly, lambda: leases.write(instance, network.name, before))
        leases.write(instance, network.name, lease)
    return attachment


def _network(instance: Instance, attachment: Attachment, sock: Socket, undo: ExitStack) -> int:
    """Record the network, make its bridge, and put its members' links back on a bridge that is new."""
    network = attachment.network
    before = networks.load(instance, network.name)
    if before != network:
        if before is not None:
            undo.callback(_quietly, lambda: networks.save(instance, before))
            if before.bridge != network.bridge:
                networks.remove_bridge(sock, before)
        networks.save(instance, network)
    missing = rtnetlink.link(sock, network.bridge) is None
    index = networks.ensure(instance, sock, network)
    if missing:
        for lease in leases.of(instance, network.name):
            end = rtnetlink.link(sock, host_end(instance, lease.netns, lease.interface))
            if end is not None and end.master != index:
                sock.request(rtnetlink.set_link(end.name, master=index))
    return index


def _namespace(instance: Instance, spec: NetnsSpec, undo: ExitStack) -> int:
    handle = namespace.open_named(instance, spec.name)
    if handle is not None:
        return handle
    source = None  # type: Optional[str]
    if spec.mode == "host":
        source = "/proc/thread-self/ns/net"
    elif spec.mode.startswith("container:"):
        source = namespace.path(instance, spec.mode.partition(":")[2])
    undo.callback(_quietly, lambda: namespace.remove(instance, spec.name))
    return namespace.create(instance, spec.name, source)


def _connect(instance: Instance, spec: NetnsSpec, wanted: Attachment, bridge: int, sock: Socket, inner: Socket,
             handle: int, undo: ExitStack) -> None:
    """The veth pair, and its address inside."""
    name = host_end(instance, spec.name, wanted.interface)
    outside, inside = rtnetlink.link(sock, name), rtnetlink.link(inner, wanted.interface)
    hairpin, mtu = bool(spec.published), wanted.network.mtu
    if outside is None or inside is None:
        if outside is not None:
            sock.request(rtnetlink.delete_link(name))
        if inside is not None:
            inner.request(rtnetlink.delete_link(wanted.interface))
        undo.callback(_quietly, lambda: sock.request(rtnetlink.delete_link(name)))
        sock.request(
            rtnetlink.new_veth(name, wanted.interface, handle, wanted.mac, mtu, bridge),
            rtnetlink.set_link(name, no_link_local=True,
                               alias="%s%s %s" % (networks.ALIAS, spec.name, wanted.interface)),
            *([rtnetlink.set_hairpin(name, True)] if hairpin else []),
            rtnetlink.set_link(name, up=True))
        inner.request(rtnetlink.set_link(wanted.interface, no_link_local=True),
                      rtnetlink.set_link(wanted.interface, up=True))
        inside = rtnetlink.link(inner, wanted.interface)
        if inside is None:
            raise KernelError("netlink", 19, "link '%s' of '%s'" % (wanted.interface, spec.name))
        inner.request(rtnetlink.add_address(inside.ifindex, cidr(wanted)))
        return
    if not outside.up or outside.mtu != mtu or outside.master != bridge:
        sock.request(rtnetlink.set_link(name, up=True, mtu=mtu, master=bridge))
    if outside.hairpin != hairpin:
        sock.request(rtnetlink.set_hairpin(name, hairpin))
    if inside.mac != wanted.mac:
        inner.request(rtnetlink.set_link(wanted.interface, mac=wanted.mac))
    if not inside.up or inside.mtu != mtu:
        inner.request(rtnetlink.set_link(wanted.interface, up=True, mtu=mtu))
    here = [each.cidr for each in rtnetlink.addresses(inner) if each.ifindex == inside.ifindex and ":" not in each.cidr]
    if cidr(wanted) not in here:
        inner.request(*[rtnetlink.delete_address(inside.ifindex, each) for each in here],
                      rtnetlink.add_address(inside.ifindex, cidr(wanted)))


def _disconnect(instance: Instance, spec: NetnsSpec, before: Optional[records.Record], sock: Socket) -> Set[str]:
    """Take away recorded attachments that the specification does not have; return their networks."""
    kept = {(each.network.name, each.interface) for each in spec.attachments}
    names = {each.interface for each in spec.attachments}
    gone = [each for each in (before.attachments if before else ()) if each not in kept]
    for network, interface in gone:
        if interface not in names:
            sock.request(rtnetlink.delete_link(host_end(instance, spec.name, interface)))
        leases.remove(instance, network, spec.name, interface)
    return {network for network, _interface in gone}


def _routes(spec: NetnsSpec, inner: Socket, loopback: bool) -> None:
    """Loopback, the default route and the others."""
    if loopback:
        inner.request(rtnetlink.set_link("lo", up=True))
    else:
        link = rtnetlink.link(inner, "lo")
        if link is not None and not link.up:
            inner.request(rtnetlink.set_link("lo", up=True))
    present = [route for route in rtnetlink.routes(inner)
               if route.protocol != rtnetlink.RTPROT_KERNEL and ":" not in route.destination]
    have = {(route.destination, route.gateway, route.metric) for route in present}
    default = {("0.0.0.0/0", spec.gateway, 0)} if spec.gateway else set()  # type: Set[Tuple[str, str, int]]
    changes = []
    if spec.routes is not None:
        wanted = set(spec.routes) | default
        changes += [rtnetlink.delete_route(*_arguments(each)) for each in sorted(have - wanted)]
        changes += [rtnetlink.add_route(*_arguments(each)) for each in _in_order(wanted - have)]
    elif default - have:
        changes += [rtnetlink.delete_route(*_arguments(each)) for each in sorted(have)
                    if each[0] == "0.0.0.0/0" and each[2] == 0]
        changes += [rtnetlink.add_route(*_arguments(each)) for each in default]
    inner.request(*changes)


def _arguments(route: Tuple[str, str, int]) -> Tuple[str, str, int, int]:
    return route[0], route[1], 0, route[2]


def _in_order(routes: Set[Tuple[str, str, int]]) -> Sequence[Tuple[str, str, int]]:
    """Those without a gateway first: the gateways of others may lie behind them."""
    return sorted(routes, key=lambda route: (bool(route[1]), route))


def _sysctls(spec: NetnsSpec, handle: int) -> None:
    """Set what differs, inside; unless the specification says otherwise, no interface takes a neighbour for a router."""
    wanted = {sysctls.accept_ra(each.interface): "0" for each in spec.attachments}
    wanted = {name: value for name, value in wanted.items() if sysctls.read(sysctls.accept_ra("default")) is not None}
    wanted.update(spec.sysctls)
    if not wanted:
        return

    def step() -> None:
        for name, value in wanted.items():
            if sysctls.read(name) == value:
                continue
            try:
                sysctls.write(name, value)
            except OSError as error:
                raise EngineError("cannot set sysctl %s to '%s' in the network namespace '%s': %s"
                                  % (name, value, spec.name, error.strerror),
                                  "See 'sysctls' for names and values that this kernel knows")
    namespace.inside(handle, step)


def _record(instance: Instance, spec: NetnsSpec, before: Optional[records.Record], undo: ExitStack) -> None:
    record = records.Record(spec.name, spec.mode,
                            tuple((each.network.name, each.interface) for each in spec.attachments),
                            tuple(publish.contract(spec.published)), spec.names)
    if before == record:
        return
    if before is None:
        undo.callback(_quietly, lambda: records.forget(instance, spec.name))
    else:
        undo.callback(_quietly, lambda: records.save(instance, before))
    records.save(instance, record)


def _settle_down(instance: Instance, sock: Socket, touched: Set[str], keep: Sequence[str]) -> None:
    """After members came or went: unused networks go, the table follows, and the others learn the names."""
    for name in sorted((touched | {each.name for each in networks.every(instance)}) - set(keep)):
        network = networks.load(instance, name)
        if network is None or not network.persistent and not leases.of(instance, name):
            if network is not None:
                networks.remove_bridge(sock, network)
            networks.forget(instance, name)
    state = firewall.apply(instance)
    _set_bridges(state)
    hosts.refresh(instance, touched)
    if not state.networks:
        sysctls.give_back(instance, sock)
        files.remove_empty(instance.run("network"))


def _set_bridges(state: firewall.State) -> None:
    """The sysctls of the bridges.

    A container must not become the host's router by an advertisement; and the host's loopback addresses leave by the
    bridges that ports on them lead to, and by no other of ours.
    """
    targets = {target for port, target in state.published if publish.loopback(port)}
    for network in state.networks:
        block = addresses.subnet(network.subnet)
        loopback = "1" if any(addresses.contains(block, target) for target in targets) else "0"
        for name, wanted in ((sysctls.accept_ra(network.bridge), "0"),
                             (sysctls.route_localnet(network.bridge), loopback)):
            if sysctls.read(name) not in (wanted, None):
                sysctls.write(name, wanted)


def _quietly(step: Callable[[], Any]) -> None:
    """A step of taking back: its own failure must not hide the first one."""
    try:
        step()
    except (EngineError, OSError):
        pass
