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
from functools import partial
from typing import Any, Callable, List, Optional, Sequence, Set, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import files
from . import addresses, firewall, hosts, leases, links, namespace, networks, overlay, proxied, publish, records, sysctls, turns
from . import vlans, zones
from .ends import host_end
from .networks import Network
from .spec import Attachment, NetnsSpec, route_of


def apply(instance: Instance, spec: NetnsSpec, anew: bool = False, instead_of: str = "") -> NetnsSpec:
    """Make the namespace what its specification says; what can change live does.

    Args:
        anew: Replace the namespace, for a change of its mode.
        instead_of: Another namespace, whose published ports and names this one takes over. The ports move in the transaction that
            replaces the table, and connections that there are stay where they are.

    Returns: The specification as carried out: an address that nobody asked for and that somebody else got meanwhile is
        replaced by the next free one.

    Raises:
        EngineError: A step failed; what it and the steps before it had begun is taken back.
    """
    if anew:
        remove(instance, spec.name, keep=[each.network.name for each in spec.attachments])
    with turns.changing(instance), Socket() as sock, ExitStack() as undo:
        if instead_of:
            _yield_to(instance, instead_of, undo)
        spec = _apply(instance, spec, sock, undo)
        undo.pop_all()
    return spec


def _yield_to(instance: Instance, name: str, undo: ExitStack) -> None:
    """Take ports and names from a namespace, on disk; the table and the hosts files follow with whoever gets them."""
    before = records.load(instance, name)
    if before is None:
        return
    undo.callback(quietly, lambda: firewall.apply(instance))
    undo.callback(quietly, lambda: records.save(instance, before))
    records.save(instance, before._replace(published=()))
    for network, interface in before.attachments:
        lease = leases.find(instance, network, name, interface)
        if lease is not None:
            undo.callback(quietly, partial(leases.write, instance, network, lease))
            leases.write(instance, network, lease._replace(names=(name + ".replaced",)))


def let_go(instance: Instance, name: str) -> None:
    """Take its published ports from a namespace, whose next change gives it those that it shall have: others may want these."""
    with turns.changing(instance), Socket() as sock:
        record = records.load(instance, name)
        if record is not None and record.published:
            records.save(instance, record._replace(published=()))
            settle_down(instance, sock, set(), ())


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
            links.drop(instance, name, interface, sock, inside=not _bridged(instance, network_name))
            leases.remove(instance, network_name, name, interface)
        namespace.remove(instance, name)
        records.forget(instance, name)
        settle_down(instance, sock, {network_name for network_name, _interface in held}, keep)


def _apply(instance: Instance, spec: NetnsSpec, sock: Socket, undo: ExitStack) -> NetnsSpec:
    before = records.load(instance, spec.name)
    publish.check(instance, spec.name, spec.published, listening=False)
    touched = {each.network.name for each in spec.attachments}
    undo.callback(quietly, lambda: settle_down(instance, sock, touched, ()))
    attachments: List[Attachment] = []
    for wanted in spec.attachments:
        network = _network_now(instance, wanted, [each.network for each in attachments], sock)
        attachments.append(_lease(instance, wanted._replace(network=network), spec, undo))
    spec = spec._replace(attachments=tuple(attachments))
    bridges = [put_network(instance, each.network, sock, undo) for each in attachments]
    handle = _namespace(instance, spec, undo)
    try:
        if spec.mode in ("bridge", "none"):
            with namespace.socket_in(handle) as inner:
                place = links.Place(instance, spec, sock, inner, handle, undo, quietly)
                _disconnect(instance, spec, before, sock, moved=True)
                for each, index in zip(attachments, bridges):
                    _connect(place, each, index)
                touched |= _disconnect(instance, spec, before, sock, moved=False)
                _routes(spec, inner, loopback=before is None or not attachments)
            _sysctls(spec, handle)
    finally:
        os.close(handle)
    _record(instance, spec, before, undo)
    sysctls.forward(instance, spec.forwarded)
    if touched:
        settle_down(instance, sock, touched, ())
    return spec


def _network_now(instance: Instance, attachment: Attachment, others: Sequence[Network], sock: Socket) -> Network:
    """An attachment's network as it is settled now: another run may have made it since."""
    return networks.settle(instance, {**(attachment.request or {}), "name": attachment.network.name}, sock, others)


def _lease(instance: Instance, attachment: Attachment, spec: NetnsSpec, undo: ExitStack) -> Attachment:
    """Record the lease; an address that was only predicted and is gone meanwhile is replaced by the next."""
    network = attachment.network
    taken = leases.of(instance, network.name)
    held = {address for lease in taken if lease.netns != spec.name for address in lease.addresses}
    if held & set(attachment.addresses) or not _fits(attachment):
        found = [leases.choose(network, taken, spec.name, address if address in attachment.pinned else None, ipv6)
                 for address, ipv6 in ((attachment.address, False), (attachment.ipv6_address, True))]
        own_mac = attachment.mac != networks.mac_of(attachment.address)
        attachment = attachment._replace(address=found[0], ipv6_address=found[1],
                                         mac=attachment.mac if own_mac else networks.mac_of(found[0]))
    lease = leases.Lease(spec.name, attachment.interface, attachment.address, attachment.mac, attachment.names,
                         attachment.ipv6_address, attachment.vlan)
    before = leases.find(instance, network.name, spec.name, attachment.interface)
    if before != lease:
        if before is None:
            undo.callback(quietly, lambda: leases.remove(instance, network.name, spec.name, attachment.interface))
        else:
            undo.callback(quietly, lambda: leases.write(instance, network.name, before))
        leases.write(instance, network.name, lease)
    return attachment


def _bridged(instance: Instance, name: str) -> bool:
    """Whether a network's members have an end of their link on the host."""
    network = networks.load(instance, name)
    return network is None or network.bridged


def _fits(attachment: Attachment) -> bool:
    """Whether its addresses lie in the network's subnets, one of each family."""
    network = attachment.network
    return bool(attachment.ipv6_address) == bool(network.ipv6_subnet) and all(
        network.pool_of(address) is not None for address in attachment.addresses)


def put_network(instance: Instance, network: Network, sock: Socket, undo: ExitStack) -> int:
    """Record a network, make its bridge, and let its members' links follow; the index of the bridge or parent."""
    before = networks.load(instance, network.name)
    if before != network:
        if before is None:
            undo.callback(quietly, lambda: _take_back(instance, network, sock))
        else:
            undo.callback(quietly, lambda: members_follow(instance, before, sock))
            undo.callback(quietly, lambda: networks.ensure(instance, sock, before))
            undo.callback(quietly, lambda: networks.save(instance, before))
            if before.bridge != network.bridge:
                networks.remove_bridge(sock, before)
            elif before.driver == overlay.DRIVER and (before.driver, before.options) != (network.driver, network.options):
                overlay.remove(sock, before)
        networks.save(instance, network)
    missing = network.bridged and rtnetlink.link(sock, network.bridge) is None
    index = networks.ensure(instance, sock, network)
    if before is not None and (before.mtu, before.icc) != (network.mtu, network.icc):
        members_follow(instance, network, sock)
    if missing:
        for lease in leases.of(instance, network.name):
            end = rtnetlink.link(sock, host_end(instance, lease.netns, lease.interface))
            if end is not None and end.master != index:
                sock.request(*([rtnetlink.set_link(end.name, up=False)] if lease.vlan != vlans.USUAL else []),
                             rtnetlink.set_link(end.name, master=index))
                if lease.vlan != vlans.USUAL:
                    links.put_into_vlans(end.name, lease.vlan, sock)
                    sock.request(rtnetlink.set_link(end.name, up=True))
    return index


def _take_back(instance: Instance, network: Network, sock: Socket) -> None:
    """Remove a network that is new, also one that would stay without a member."""
    networks.remove_bridge(sock, network)
    networks.forget(instance, network.name)


def members_follow(instance: Instance, network: Network, sock: Socket) -> None:
    """Bring the links of a network's members to what is the network's: MTU, and whether they reach one another."""
    for lease in leases.of(instance, network.name):
        end = rtnetlink.link(sock, host_end(instance, lease.netns, lease.interface))
        if end is not None:
            sock.request(rtnetlink.set_link(end.name, mtu=network.mtu),
                         *([rtnetlink.set_port(end.name, end.hairpin, not network.icc)]
                           if end.isolated == network.icc else []))
        handle = namespace.open_named(instance, lease.netns)
        if handle is not None:
            with namespace.closing(handle), namespace.socket_in(handle) as inner:
                if rtnetlink.link(inner, lease.interface) is not None:
                    inner.request(rtnetlink.set_link(lease.interface, mtu=network.mtu))


def _namespace(instance: Instance, spec: NetnsSpec, undo: ExitStack) -> int:
    handle = namespace.open_named(instance, spec.name)
    if handle is not None:
        return handle
    source = None  # type: Optional[str]
    if spec.mode == "host":
        source = "/proc/thread-self/ns/net"
    elif spec.mode.startswith("container:"):
        source = namespace.path(instance, spec.mode.partition(":")[2])
    elif spec.mode.startswith("ns:"):
        source = spec.mode.partition(":")[2]
    undo.callback(quietly, lambda: namespace.remove(instance, spec.name))
    return namespace.create(instance, spec.name, source)


def _connect(place: links.Place, wanted: Attachment, index: int) -> None:
    """The link of one attachment, and its addresses inside."""
    links.connect(place, wanted, index)


def _disconnect(instance: Instance, spec: NetnsSpec, before: Optional[records.Record], sock: Socket, moved: bool) -> Set[str]:
    """Take away recorded attachments that the specification does not have; return their networks.

    Args:
        moved: Those whose network goes on under another name of the interface: two links cannot have one address. Else the
            others, once the new ones are there.
    """
    kept = {(each.network.name, each.interface) for each in spec.attachments}
    names, stay = {each.interface for each in spec.attachments}, {each.network.name for each in spec.attachments}
    gone = [each for each in (before.attachments if before else ()) if each not in kept and (each[0] in stay) == moved]
    for network, interface in gone:
        if interface not in names:
            links.drop(instance, spec.name, interface, sock)
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
               if route.protocol != rtnetlink.RTPROT_KERNEL and not addresses.link_local(route.destination)]
    have = {route_of(route) for route in present}
    default = set(spec.defaults)
    changes = []
    if spec.routes is not None:
        wanted = set(spec.routes) | default
        changes += [rtnetlink.delete_route(*_arguments(each)) for each in sorted(have - wanted)]
        changes += [rtnetlink.add_route(*_arguments(each)) for each in _in_order(wanted - have)]
    elif default - have:
        missing = default - have
        changes += [rtnetlink.delete_route(*_arguments(each)) for each in sorted(have)
                    if each[0] in {route[0] for route in missing} and each[2] == 0]
        changes += [rtnetlink.add_route(*_arguments(each)) for each in sorted(missing)]
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
                            tuple(publish.contract(spec.published)), spec.names, spec.labels, spec.policy, spec.proxy)
    if before == record:
        return
    if before is None:
        undo.callback(quietly, lambda: records.forget(instance, spec.name))
    else:
        undo.callback(quietly, lambda: records.save(instance, before))
    records.save(instance, record)


def settle_down(instance: Instance, sock: Socket, touched: Set[str], keep: Sequence[str]) -> None:
    """After members came or went: unused networks go, the table follows, and the others learn the names."""
    for name in sorted((touched | {each.name for each in networks.every(instance)}) - set(keep)):
        network = networks.load(instance, name)
        if network is None or not network.persistent and not leases.of(instance, name):
            if network is not None:
                networks.remove_bridge(sock, network)
            networks.forget(instance, name)
    state = firewall.apply(instance)
    _set_bridges(state, sock)
    hosts.refresh(instance, touched)
    zones.refresh(instance, touched)
    proxied.write(instance, state.proxied)
    if not state.networks:
        sysctls.give_back(instance, sock)
        files.remove_empty(instance.run("network"))


def _set_bridges(state: firewall.State, sock: Socket) -> None:
    """The sysctls of the bridges, and that what passes between their ports is judged where there are policies.

    A container must not become the host's router by an advertisement; and the host's loopback addresses leave by the
    bridges that ports on them lead to, and by no other of ours.
    """
    targets = {target for port, target in state.published if publish.loopback(port)}
    for network in state.networks:
        # of IPv4 only: no kernel routes ::1
        loopback = "1" if any(":" not in target and network.pool_of(target) for target in targets) else "0"
        for name, wanted in ((sysctls.accept_ra(network.bridge), "0"),
                             (sysctls.route_localnet(network.bridge), loopback)):
            if sysctls.read(name) not in (wanted, None):
                sysctls.write(name, wanted)
    if state.judged and state.calls:
        sock.request(*[rtnetlink.set_bridge_calls(network.bridge) for network in state.networks])


def quietly(step: Callable[[], Any]) -> None:
    """A step of taking back: its own failure must not hide the first one."""
    try:
        step()
    except (EngineError, OSError):
        pass
