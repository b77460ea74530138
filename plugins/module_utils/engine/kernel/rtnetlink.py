# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, routes and neighbours (rtnetlink(7), the kernel's uapi/linux/{rtnetlink,if_link}.h).

Functions that change something return a message, so that a caller sends many
of them at once; functions that read take a socket. No policy.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Iterator, List, NamedTuple, Optional, Tuple

from .netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    Reply,
    Socket,
    attribute,
    attributes,
    number,
    text,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 6, 10, 18
IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_LINK_NETNSID = 20, 26, 28, 29, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_INET6_ADDR_GEN_MODE = 8
_ADDR_GEN_NONE = 1
VETH_INFO_PEER = 1
IFLA_BRPORT_MODE = 4
IFLA_BR_VLAN_FILTERING, IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES = 7, 36, 37
IFLA_BRPORT_ISOLATED = 33
_CHILD_MODE = 1  # IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE
_CHILD_MODES = {"macvlan": {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}, "ipvlan": {"l2": 0, "l3": 1, "l3s": 2}}
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
RTNH_F_ONLINK = 4
RT_TABLE_MAIN = 254
RTPROT_KERNEL, RTPROT_BOOT, RTPROT_STATIC = 2, 3, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTN_UNICAST = 1
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80
NTF_SELF = 0x02
_RTEXT_FILTER_SKIP_STATS = 8

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")


class Link(NamedTuple):
    """A network interface as the kernel tells it.

    Attributes:
        ifindex, name: Of this namespace.
        kind: C(veth), C(bridge) and so on; empty for real ones.
        up: Whether it is switched on (IFF_UP).
        mtu: Bytes.
        mac: Such as C(02:00:00:00:00:01).
        master: Index of the bridge that it is a port of, or 0.
        alias: Free text for people.
        hairpin: Whether, as a bridge port, it may send a frame back where it came from.
        isolated: Whether, as a bridge port, it exchanges no frames with other ports that are so too.
        parent: Index of the link that it is a child of, in that link's namespace, or 0.
        qdisc: The kind of the queueing discipline at its root, such as C(noqueue).
        vlan_filtering: Whether it is a bridge that keeps VLANs apart.
    """

    ifindex: int
    name: str
    kind: str
    up: bool
    mtu: int
    mac: str
    master: int
    alias: str
    hairpin: bool
    isolated: bool = False
    parent: int = 0
    qdisc: str = ""
    vlan_filtering: bool = False


class Address(NamedTuple):
    """An address of a link, in CIDR form."""

    ifindex: int
    cidr: str


class Route(NamedTuple):
    """A unicast route.

    Attributes:
        destination: CIDR; C(0.0.0.0/0) or C(::/0) for the default.
        gateway: Address, or empty.
        ifindex: Of the link, or 0.
        metric: Priority; lower wins.
        protocol: RTPROT_*: who set it.
        table: RT_TABLE_MAIN or another.
    """

    destination: str
    gateway: str
    ifindex: int
    metric: int
    protocol: int
    table: int


# Links ---------------------------------------------------------------------

def new_bridge(name: str, mac: str) -> Message:
    """Create a bridge, switched off, without spanning tree.

    Its MTU follows its ports until one is set on the existing bridge.
    """
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name)
    body += attribute(IFLA_ADDRESS, pack_mac(mac)) + attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge")])
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "create bridge '%s'" % name)


def new_veth(name: str, peer: str, peer_netns: int, peer_mac: str, mtu: int, master: int = 0) -> Message:
    """Create a veth pair, both ends switched off; veth(4).

    Args:
        name: Of the end in this namespace.
        peer: Of the other end, born in the namespace that the descriptor C(peer_netns) stands for.
        master: Index of the bridge that this end becomes a port of, or 0.
    """
    other = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, peer) + attribute(IFLA_MTU, mtu)
    other += attribute(IFLA_ADDRESS, pack_mac(peer_mac)) + attribute(IFLA_NET_NS_FD, peer_netns)
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + attribute(IFLA_MTU, mtu)
    body += attribute(IFLA_MASTER, master) if master else b""
    body += attribute(IFLA_LINKINFO, [
        attribute(IFLA_INFO_KIND, "veth"),
        attribute(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER | 0x8000, other)])])
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "create link '%s' with peer '%s'" % (name, peer))


def new_child(name: str, kind: str, parent: int, mode: str, netns: Optional[int] = None, mac: str = "",
              mtu: int = 0) -> Message:
    """Create a macvlan or ipvlan, switched off; ip-link(8).

    Args:
        parent: Index of the link that it is a child of; 0 names none, which no kernel takes that knows the kind.
        mode: As C(ip link) calls it.
        netns: The namespace of a descriptor, in which it is born; else this one.
        mac: Not with ipvlan, which has its parent's.
    """
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + (attribute(IFLA_LINK, parent) if parent else b"")
    body += attribute(IFLA_NET_NS_FD, netns) if netns is not None else b""
    body += attribute(IFLA_ADDRESS, pack_mac(mac)) if mac and kind == "macvlan" else b""
    body += attribute(IFLA_MTU, mtu) if mtu else b""
    number_of = _CHILD_MODES[kind].get(mode, 0)
    packed = struct.pack("=I" if kind == "macvlan" else "=H", number_of)
    body += attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, kind)]
                      + ([attribute(IFLA_INFO_DATA, [attribute(_CHILD_MODE, packed)])] if mode else []))
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "create %s '%s'" % (kind, name))


def set_link(name: str, up: Optional[bool] = None, mtu: Optional[int] = None, mac: Optional[str] = None,
             master: Optional[int] = None, alias: Optional[str] = None, no_link_local: bool = False) -> Message:
    """Change a link.

    Args:
        master: Index of a bridge; 0 takes it out of its bridge.
        alias: Free text for people; not set when a link is born, since kernels pass over it there.
        no_link_local: Give it no IPv6 link-local address by itself (RFC 4862 section 5.3), and so no delay.
    """
    flags = IFF_UP if up else 0
    body = _IFINFO.pack(0, 0, 0, flags, 0 if up is None else IFF_UP) + attribute(IFLA_IFNAME, name)
    body += attribute(IFLA_MTU, mtu) if mtu is not None else b""
    body += attribute(IFLA_ADDRESS, pack_mac(mac)) if mac is not None else b""
    body += attribute(IFLA_MASTER, master) if master is not None else b""
    body += attribute(IFLA_IFALIAS, alias.encode()) if alias is not None else b""
    if no_link_local:
        body += attribute(IFLA_AF_SPEC, [
            attribute(socket.AF_INET6, [attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_NONE]))])])
    return Message(RTM_NEWLINK, 0, body, "change link '%s'" % name)


def rename_link(index: int, name: str) -> Message:
    """Give a link another name; it must be switched off on kernels before 6.2."""
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + attribute(IFLA_IFNAME, name),
                   "rename link %d to '%s'" % (index, name))


def move_link(index: int, namespace: int, name: str) -> Message:
    """Move a link to the network namespace of a descriptor, where it gets this name; C(%d) in it becomes a free number."""
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + attribute(IFLA_NET_NS_FD, namespace)
                   + attribute(IFLA_IFNAME, name), "move link %d to another namespace as '%s'" % (index, name))


def set_bridge_calls(name: str) -> Message:
    """Have the rules of the families ip, ip6 and inet judge what passes between a bridge's ports too (br_netfilter)."""
    calls = [attribute(IFLA_BR_NF_CALL_IPTABLES, b"\1"), attribute(IFLA_BR_NF_CALL_IP6TABLES, b"\1")]
    data = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge"), attribute(IFLA_INFO_DATA, calls)])
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + data,
                   "have rules judge the frames of bridge '%s'" % name)


def set_port(name: str, hairpin: bool, isolated: bool = False) -> Message:
    """Set up a bridge port.

    Args:
        hairpin: Let it send a frame back out of where it came in.
        isolated: Let it exchange no frames with other ports that are isolated too (Linux 4.18).
    """
    flags = [attribute(IFLA_BRPORT_MODE, bytes([int(hairpin)])), attribute(IFLA_BRPORT_ISOLATED, bytes([int(isolated)]))]
    port = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_SLAVE_KIND, "bridge"), attribute(IFLA_INFO_SLAVE_DATA, flags)])
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + port,
                   "set up the bridge port '%s'" % name)


def delete_link(name: str) -> Message:
    """Delete a link; none of this name is as good."""
    return Message(RTM_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name),
                   "delete link '%s'" % name, (errno.ENODEV,))


def link(sock: Socket, name: str) -> Optional[Link]:
    """The link of a name, or C(None)."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    body += attribute(IFLA_IFNAME, name)
    reply = sock.get(Message(RTM_GETLINK, 0, body, "look up link '%s'" % name, (errno.ENODEV,)))
    return None if reply is None else read_link(reply)


def links(sock: Socket) -> List[Link]:
    """All links of the socket's namespace."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    return [read_link(reply) for reply in sock.dump(RTM_GETLINK, body, "list links") if reply.kind == RTM_NEWLINK]


def read_link(reply: Reply) -> Link:
    """The link that an answer is about."""
    _family, _kind, index, flags, _change = _IFINFO.unpack_from(reply.body)
    values = attributes(reply.body, _IFINFO.size)
    info = attributes(values.get(IFLA_LINKINFO, b""))
    port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")) if text(info.get(IFLA_INFO_SLAVE_KIND)) == "bridge" else {}
    kind = text(info.get(IFLA_INFO_KIND))
    bridge = attributes(info.get(IFLA_INFO_DATA, b"")) if kind == "bridge" else {}
    return Link(index, text(values.get(IFLA_IFNAME)), kind, bool(flags & IFF_UP),
                number(values.get(IFLA_MTU)), ":".join("%02x" % part for part in values.get(IFLA_ADDRESS, b"")),
                number(values.get(IFLA_MASTER)), text(values.get(IFLA_IFALIAS)),
                bool(number(port.get(IFLA_BRPORT_MODE))), bool(number(port.get(IFLA_BRPORT_ISOLATED))),
                number(values.get(IFLA_LINK)), text(values.get(IFLA_QDISC)), bool(number(bridge.get(IFLA_BR_VLAN_FILTERING))))


# Addresses -----------------------------------------------------------------

def add_address(index: int, cidr: str) -> Message:
    """Give a link an address; having it already is as good."""
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, cidr, "add address %s" % cidr, (errno.EEXIST,))


def delete_address(index: int, cidr: str) -> Message:
    """Take an address from a link; not having it is as good."""
    return _address(RTM_DELADDR, 0, index, cidr, "delete address %s" % cidr, (errno.EADDRNOTAVAIL, errno.ENODEV))


def _address(kind: int, flags: int, index: int, cidr: str, what: str, ignore: Tuple[int, ...]) -> Message:
    family, packed, prefix = pack_cidr(cidr)
    body = _IFADDR.pack(family, prefix, IFA_F_NODAD if family == socket.AF_INET6 else 0, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if family == socket.AF_INET and prefix < 31:
        hosts = (1 << (32 - prefix)) - 1
        body += attribute(IFA_BROADCAST, (int.from_bytes(packed, "big") | hosts).to_bytes(4, "big"))
    return Message(kind, flags, body, "%s on link %d" % (what, index), ignore)


def addresses(sock: Socket) -> List[Address]:
    """All addresses of the socket's namespace."""
    return [address for address, _lasting in _addresses(sock)]


def lasting_addresses(sock: Socket, index: int) -> List[str]:
    """A link's addresses that are good everywhere and for ever (RT_SCOPE_UNIVERSE, IFA_F_PERMANENT), in CIDR form."""
    return [address.cidr for address, lasting in _addresses(sock) if lasting and address.ifindex == index]


def _addresses(sock: Socket) -> Iterator[Tuple[Address, bool]]:
    for reply in sock.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0), "list addresses"):
        if reply.kind != RTM_NEWADDR:
            continue
        family, prefix, flags, scope, index = _IFADDR.unpack_from(reply.body)
        values = attributes(reply.body, _IFADDR.size)
        packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
        if packed and family in (socket.AF_INET, socket.AF_INET6):
            lasting = scope == RT_SCOPE_UNIVERSE and number(values.get(IFA_FLAGS), flags) & IFA_F_PERMANENT
            yield Address(index, "%s/%d" % (socket.inet_ntop(family, packed), prefix)), bool(lasting)


# Routes --------------------------------------------------------------------

def add_route(destination: str, gateway: str = "", index: int = 0, metric: int = 0) -> Message:
    """Add a static route to the main table; having the same one already is as good."""
    return _route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, destination, gateway, index, metric,
                  "add route to %s" % destination, (errno.EEXIST,))


def put_route(destination: str, gateway: str, index: int, protocol: int, source: str = "", onlink: bool = False) -> Message:
    """Set a route of the main table, in place of one to the same destination.

    Args:
        protocol: RTPROT_*, or a number of one's own: who set it.
        source: The address that the host itself sends by.
        onlink: Take the gateway to be a neighbour, though no address of the link says so.
    """
    return _route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, destination, gateway, index, 0, "set route to %s" % destination, (),
                  protocol, source, RTNH_F_ONLINK if onlink else 0)


def delete_route(destination: str, gateway: str = "", index: int = 0, metric: int = 0) -> Message:
    """Delete a route from the main table; not having it is as good."""
    return _route(RTM_DELROUTE, 0, destination, gateway, index, metric,
                  "delete route to %s" % destination, (errno.ESRCH,))


def _route(kind: int, flags: int, destination: str, gateway: str, index: int, metric: int, what: str,
           ignore: Tuple[int, ...], protocol: int = RTPROT_STATIC, source: str = "", next_hop: int = 0) -> Message:
    family, packed, prefix = pack_cidr(destination)
    adding = kind == RTM_NEWROUTE
    scope = RT_SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 or not adding else RT_SCOPE_LINK
    body = _RTMSG.pack(family, prefix, 0, 0, RT_TABLE_MAIN, protocol if adding else 0,
                       scope if adding else 255, RTN_UNICAST if adding else 0, next_hop)
    body += attribute(RTA_DST, packed) if prefix else b""
    body += attribute(RTA_GATEWAY, socket.inet_pton(family, gateway)) if gateway else b""
    body += attribute(RTA_OIF, index) if index else b""
    body += attribute(RTA_PRIORITY, metric) if metric else b""
    body += attribute(RTA_PREFSRC, socket.inet_pton(family, source)) if source else b""
    return Message(kind, flags, body, what + (" by way of %s" % gateway if gateway else ""), ignore)


def routes(sock: Socket, table: int = RT_TABLE_MAIN) -> List[Route]:
    """The unicast routes of one table, both families."""
    found = []
    for reply in sock.dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "list routes"):
        if reply.kind != RTM_NEWROUTE:
            continue
        family, prefix, _source, _tos, in_table, protocol, _scope, kind, _flags = _RTMSG.unpack_from(reply.body)
        values = attributes(reply.body, _RTMSG.size)
        if number(values.get(RTA_TABLE), in_table) != table or kind != RTN_UNICAST \
                or family not in (socket.AF_INET, socket.AF_INET6):
            continue
        width = 4 if family == socket.AF_INET else 16
        gateway = values.get(RTA_GATEWAY)
        found.append(Route(
            "%s/%d" % (socket.inet_ntop(family, values.get(RTA_DST, bytes(width))), prefix),
            socket.inet_ntop(family, gateway) if gateway else "", number(values.get(RTA_OIF)),
            number(values.get(RTA_PRIORITY)), protocol, table))
    return found


# Neighbours ----------------------------------------------------------------

def set_neighbour(index: int, address: str, mac: str) -> Message:
    """Say for good which MAC an address on a link has (arp(7))."""
    family, packed, _prefix = pack_cidr(address)
    body = _NDMSG.pack(family, index, NUD_PERMANENT, 0, 0)
    body += attribute(NDA_DST, packed) + attribute(NDA_LLADDR, pack_mac(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, "set neighbour %s" % address)


def delete_neighbour(index: int, address: str) -> Message:
    """Forget a neighbour; not knowing it is as good."""
    family, packed, _prefix = pack_cidr(address)
    return Message(RTM_DELNEIGH, 0, _NDMSG.pack(family, index, 0, 0, 0) + attribute(NDA_DST, packed),
                   "delete neighbour %s" % address, (errno.ENOENT,))


# Forms ---------------------------------------------------------------------

def pack_mac(mac: str) -> bytes:
    """The six bytes of C(02:00:00:00:00:01)."""
    return bytes(int(part, 16) for part in mac.split(":"))


def pack_cidr(cidr: str) -> Tuple[int, bytes, int]:
    """Address family, address in network byte order, prefix length; without a slash the whole width."""
    address, slash, prefix = cidr.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    width = 128 if family == socket.AF_INET6 else 32
    return family, socket.inet_pton(family, address), int(prefix) if slash else width
