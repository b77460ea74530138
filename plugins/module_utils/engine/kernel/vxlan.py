# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VXLAN links and their forwarding entries (RFC 7348, the kernel's uapi/linux/if_link.h, bridge(8)). No policy."""

from __future__ import annotations

import errno
import socket
import struct
from typing import List, NamedTuple, Optional

from . import rtnetlink
from .netlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message, Socket, attribute, attributes, number, text

EVERYBODY = "00:00:00:00:00:00"
"""The MAC of entries that frames for unknown and for many receivers are sent by; each destination gets a copy."""
OVERHEAD = {4: 50, 6: 70}
"""Bytes that a frame grows by, for each IP version underneath: outer IP, UDP, VXLAN and the inner Ethernet header."""
_AF_BRIDGE = 7
_IFLA_VXLAN_ID, _IFLA_VXLAN_LINK, _IFLA_VXLAN_LOCAL, _IFLA_VXLAN_LEARNING, _IFLA_VXLAN_PORT = 1, 3, 4, 7, 15
_IFLA_VXLAN_LOCAL6 = 17
_NTF_SELF = rtnetlink.NTF_SELF
_NDMSG = struct.Struct("=BxxxiHBB")
_IFINFO = struct.Struct("=BxHiII")


class Device(NamedTuple):
    """A VXLAN link as the kernel tells it.

    Attributes:
        link: What every link has.
        vni: Of the network, 24 bits.
        local: The address that it sends by.
        port: UDP.
        learning: Whether it learns who is where from what comes in.
        lower: Index of the link that it sends by.
    """

    link: rtnetlink.Link
    vni: int
    local: str
    port: int
    learning: bool
    lower: int


class Entry(NamedTuple):
    """A forwarding or neighbour entry that stays: the MAC behind which the destination is."""

    mac: str
    destination: str


def new(name: str, vni: int, local: str, port: int, lower: int, mac: str, mtu: int, learning: bool) -> Message:
    """Create a VXLAN link, switched off, that knows nobody yet.

    Args:
        local: The address that it sends by, of either family.
        port: UDP, at which it listens and to which it sends.
        lower: Index of the link that C(local) is an address of.
    """
    family, packed, _prefix = rtnetlink.pack_cidr(local)
    data = [attribute(_IFLA_VXLAN_ID, vni), attribute(_IFLA_VXLAN_LINK, lower),
            attribute(_IFLA_VXLAN_LOCAL if family == socket.AF_INET else _IFLA_VXLAN_LOCAL6, packed),
            attribute(_IFLA_VXLAN_LEARNING, bytes([int(learning)])), attribute(_IFLA_VXLAN_PORT, struct.pack(">H", port))]
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(rtnetlink.IFLA_IFNAME, name) + attribute(rtnetlink.IFLA_MTU, mtu)
    body += attribute(rtnetlink.IFLA_ADDRESS, rtnetlink.pack_mac(mac))
    body += attribute(rtnetlink.IFLA_LINKINFO, [attribute(rtnetlink.IFLA_INFO_KIND, "vxlan"),
                                                attribute(rtnetlink.IFLA_INFO_DATA, data)])
    return Message(rtnetlink.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "create the vxlan link '%s' (VNI %d)" % (name, vni))


def observe(sock: Socket, name: str) -> Optional[Device]:
    """The VXLAN link of a name; C(None) where there is none, or one of another kind."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(rtnetlink.IFLA_IFNAME, name)
    reply = sock.get(Message(rtnetlink.RTM_GETLINK, 0, body, "look up link '%s'" % name, (errno.ENODEV,)))
    if reply is None:
        return None
    info = attributes(attributes(reply.body, _IFINFO.size).get(rtnetlink.IFLA_LINKINFO, b""))
    if text(info.get(rtnetlink.IFLA_INFO_KIND)) != "vxlan":
        return None
    data = attributes(info.get(rtnetlink.IFLA_INFO_DATA, b""))
    local = data.get(_IFLA_VXLAN_LOCAL6) or data.get(_IFLA_VXLAN_LOCAL) or b""
    return Device(rtnetlink.read_link(reply), number(data.get(_IFLA_VXLAN_ID)),
                  socket.inet_ntop(socket.AF_INET6 if len(local) == 16 else socket.AF_INET, local) if local else "",
                  int.from_bytes(data.get(_IFLA_VXLAN_PORT, b""), "big"), bool(number(data.get(_IFLA_VXLAN_LEARNING))),
                  number(data.get(_IFLA_VXLAN_LINK)))


def add_entry(index: int, entry: Entry) -> Message:
    """Say behind which host a MAC is; for C(EVERYBODY) one host more, else in place of what was said before."""
    more = NLM_F_APPEND if entry.mac == EVERYBODY else NLM_F_REPLACE
    return Message(rtnetlink.RTM_NEWNEIGH, NLM_F_CREATE | more, _entry(index, entry, rtnetlink.NUD_PERMANENT),
                   "send what is for %s to %s" % (entry.mac, entry.destination), (errno.EEXIST,))


def delete_entry(index: int, entry: Entry) -> Message:
    """Take an entry back; none is as good."""
    return Message(rtnetlink.RTM_DELNEIGH, 0, _entry(index, entry, 0),
                   "stop sending what is for %s to %s" % (entry.mac, entry.destination), (errno.ENOENT,))


def _entry(index: int, entry: Entry, state: int) -> bytes:
    packed = rtnetlink.pack_cidr(entry.destination)[1]
    return _NDMSG.pack(_AF_BRIDGE, index, state, _NTF_SELF, 0) + attribute(rtnetlink.NDA_LLADDR, rtnetlink.pack_mac(entry.mac)) \
        + attribute(rtnetlink.NDA_DST, packed)


def entries(sock: Socket, index: int, learned: bool = False) -> List[Entry]:
    """The forwarding entries of a VXLAN link that stay, or those that it has learned."""
    return _entries(sock, index, _AF_BRIDGE, not learned)


def neighbours(sock: Socket, index: int) -> List[Entry]:
    """The neighbours of a link, of both families, that stay."""
    return _entries(sock, index, socket.AF_INET, True) + _entries(sock, index, socket.AF_INET6, True)


def _entries(sock: Socket, index: int, family: int, lasting: bool) -> List[Entry]:
    found = []
    for reply in sock.dump(rtnetlink.RTM_GETNEIGH, _NDMSG.pack(family, 0, 0, 0, 0), "list neighbours"):
        if reply.kind != rtnetlink.RTM_NEWNEIGH:
            continue
        _family, of, state, _flags, _kind = _NDMSG.unpack_from(reply.body)
        values = attributes(reply.body, _NDMSG.size)
        destination, mac = values.get(rtnetlink.NDA_DST, b""), values.get(rtnetlink.NDA_LLADDR, b"")
        if of == index and bool(state & rtnetlink.NUD_PERMANENT) == lasting and len(destination) in (4, 16):
            found.append(Entry(":".join("%02x" % part for part in mac),
                               socket.inet_ntop(socket.AF_INET6 if len(destination) == 16 else socket.AF_INET, destination)))
    return found
