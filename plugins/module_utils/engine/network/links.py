# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link of an attachment: a veth pair whose outer end is a port of the network's bridge, or a child of the host's link.

Each step looks at what is there and does what is missing.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Callable, List, Optional

from ..errors import KernelError
from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from . import addresses, bandwidth, namespace, sysctls, vlans
from .ends import ALIAS, host_end
from .spec import Attachment, NetnsSpec, cidrs


class Place:
    """Where an attachment is made: the host's side and the inside.

    Attributes:
        sock, inner: Netlink sockets of the two.
        handle: Of the namespace.
        undo: Takes callables that take back.
    """

    def __init__(self, instance: Instance, spec: NetnsSpec, sock: Socket, inner: Socket, handle: int, undo: ExitStack,
                 quietly: Callable[[Callable[[], object]], None]) -> None:
        self.instance = instance
        self.spec = spec
        self.sock = sock
        self.inner = inner
        self.handle = handle
        self.undo = undo
        self.quietly = quietly


def connect(place: Place, wanted: Attachment, index: int) -> None:
    """Bring the link of an attachment, and its addresses inside, to what is wanted.

    Args:
        index: Of the network's bridge or parent.
    """
    instance, sock, inner = place.instance, place.sock, place.inner
    outside = rtnetlink.link(sock, host_end(instance, place.spec.name, wanted.interface))
    inside = rtnetlink.link(inner, wanted.interface)
    if not fits(wanted, index, outside, inside):
        if outside is not None:
            sock.request(rtnetlink.delete_link(outside.name))
        if inside is not None:
            inner.request(rtnetlink.delete_link(wanted.interface))
        place.undo.callback(place.quietly, lambda: drop(instance, place.spec.name, wanted.interface, sock))
        if wanted.network.bridged:
            _new_pair(place, wanted, index)
        else:
            options = dict(wanted.network.options)
            sock.request(rtnetlink.new_child(wanted.interface, wanted.network.driver, index, options["mode"], place.handle,
                                             wanted.mac, wanted.network.mtu))
        inner.request(rtnetlink.set_link(wanted.interface, no_link_local=True),
                      rtnetlink.set_link(wanted.interface, up=True))
        inside = rtnetlink.link(inner, wanted.interface)
        if inside is None:
            raise KernelError("netlink", 19, "link '%s' of '%s'" % (wanted.interface, place.spec.name))
        _let_ipv6(place, wanted)
        inner.request(*[rtnetlink.add_address(inside.ifindex, each) for each in _given(wanted)])
    elif inside is not None:
        if outside is not None:
            _mend_port(place, wanted, index, outside)
        _mend_inside(place, wanted, inside)


def fits(wanted: Attachment, index: int, outside: Optional[rtnetlink.Link], inside: Optional[rtnetlink.Link]) -> bool:
    """Whether the links are of the kind that they shall be, so that the rest can change in place."""
    if inside is None or (outside is None) == wanted.network.bridged:
        return False
    return wanted.network.bridged or (inside.kind == wanted.network.driver and inside.parent == index)


def drop(instance: Instance, name: str, interface: str, sock: Socket, inside: bool = True) -> None:
    """Delete the link of an attachment; none is as good.

    Args:
        inside: Whether to look inside too, where a child of the host's link is.
    """
    sock.request(rtnetlink.delete_link(host_end(instance, name, interface)),
                 rtnetlink.delete_link(bandwidth.between(instance, name, interface)))
    handle = namespace.open_named(instance, name) if inside else None
    if handle is not None:
        with namespace.closing(handle), namespace.socket_in(handle) as inner:
            inner.request(rtnetlink.delete_link(interface))


def _new_pair(place: Place, wanted: Attachment, bridge: int) -> None:
    name = host_end(place.instance, place.spec.name, wanted.interface)
    hairpin, isolated = bool(place.spec.published), not wanted.network.icc
    place.sock.request(
        rtnetlink.new_veth(name, wanted.interface, place.handle, wanted.mac, wanted.network.mtu, bridge),
        rtnetlink.set_link(name, no_link_local=True, alias="%s%s %s" % (ALIAS, place.spec.name, wanted.interface)),
        *([rtnetlink.set_port(name, hairpin, isolated)] if hairpin or isolated else []),
        *([] if wanted.vlan != vlans.USUAL else [rtnetlink.set_link(name, up=True)]))
    if wanted.vlan != vlans.USUAL:  # before a frame passes
        put_into_vlans(name, wanted.vlan, place.sock)
        place.sock.request(rtnetlink.set_link(name, up=True))
    if wanted.bandwidth != bandwidth.NONE:
        bandwidth.apply(place.instance, place.spec.name, wanted.interface, wanted.bandwidth, place.sock)


def put_into_vlans(name: str, wanted: vlans.Vlans, sock: Socket) -> None:
    """Bring the VLANs of a port of a bridge to what is wanted."""
    end = rtnetlink.link(sock, name)
    if end is not None:
        vlans.apply(end.ifindex, wanted, sock)


def _mend_port(place: Place, wanted: Attachment, bridge: int, outside: rtnetlink.Link) -> None:
    hairpin, isolated = bool(place.spec.published), not wanted.network.icc
    if outside.master != bridge and wanted.network.vlan_filtering:  # not up in a bridge whose VLANs it is not in yet
        place.sock.request(rtnetlink.set_link(outside.name, up=False), rtnetlink.set_link(outside.name, master=bridge))
    if wanted.network.vlan_filtering:
        put_into_vlans(outside.name, wanted.vlan, place.sock)
    if not outside.up or outside.mtu != wanted.network.mtu or outside.master != bridge:
        place.sock.request(rtnetlink.set_link(outside.name, up=True, mtu=wanted.network.mtu, master=bridge))
    if (outside.hairpin, outside.isolated) != (hairpin, isolated):
        place.sock.request(rtnetlink.set_port(outside.name, hairpin, isolated))
    bandwidth.apply(place.instance, place.spec.name, wanted.interface, wanted.bandwidth, place.sock)


def _mend_inside(place: Place, wanted: Attachment, inside: rtnetlink.Link) -> None:
    inner = place.inner
    if inside.mac != wanted.mac:
        inner.request(rtnetlink.set_link(wanted.interface, mac=wanted.mac))
    if not inside.up or inside.mtu != wanted.network.mtu:
        inner.request(rtnetlink.set_link(wanted.interface, up=True, mtu=wanted.network.mtu))
    here = [each.cidr for each in rtnetlink.addresses(inner)
            if each.ifindex == inside.ifindex and not addresses.link_local(each.cidr)]
    missing = [each for each in cidrs(wanted) if each not in here]
    if missing or len(here) > len(wanted.addresses):
        _let_ipv6(place, wanted)
        inner.request(*[rtnetlink.delete_address(inside.ifindex, each) for each in here if each not in cidrs(wanted)],
                      *[rtnetlink.add_address(inside.ifindex, each) for each in _given(wanted) if each not in here])


def _given(wanted: Attachment) -> List[str]:
    """The addresses that the interface gets: its own, and what each with IPv6 has (RFC 4291 section 2.8)."""
    return [*cidrs(wanted)] + ([addresses.link_local_of(wanted.mac)] if wanted.ipv6_address else [])


def _let_ipv6(place: Place, wanted: Attachment) -> None:
    """Let the interface have the IPv6 address that it is to get."""
    if wanted.ipv6_address:
        namespace.inside(place.handle, lambda: sysctls.allow_ipv6(wanted.interface))
