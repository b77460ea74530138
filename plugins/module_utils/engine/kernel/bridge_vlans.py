# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of bridges and their ports (IEEE 802.1Q; bridge(8), the kernel's uapi/linux/if_bridge.h).

Functions that change something return a message; those that read take a socket. No policy.
"""

from __future__ import annotations

import errno
import struct
from typing import Dict, Iterable, List, Mapping, Tuple

from .netlink import NLM_F_CREATE, NLM_F_EXCL, Message, NetlinkError, Socket, attribute, attributes
from .rtnetlink import (
    IFLA_AF_SPEC,
    IFLA_BR_VLAN_FILTERING,
    IFLA_EXT_MASK,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
)

RTM_SETLINK = 19
_AF_BRIDGE = 7
_IFLA_BR_VLAN_PROTOCOL = 8
_IFLA_BRIDGE_VLAN_INFO = 2
PVID, UNTAGGED = 2, 4
"""Frames that come in without a tag belong to it; its frames go out without one (BRIDGE_VLAN_INFO_*)."""
_RANGE_BEGIN, _RANGE_END = 8, 16
_RTEXT_FILTER_BRVLAN_COMPRESSED = 4

_IFINFO = struct.Struct("=BxHiII")
_VLAN = struct.Struct("=HH")

Vlans = Mapping[int, int]
"""Flags (PVID, UNTAGGED) by VLAN id."""


def set_filtering(name: str, on: bool) -> Message:
    """Have a bridge keep its VLANs apart, or pass over tags."""
    data = attribute(IFLA_BR_VLAN_FILTERING, bytes([int(on)]))
    info = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge"), attribute(IFLA_INFO_DATA, [data])])
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + info,
                   "set VLAN filtering of bridge '%s'" % name)


def supported(sock: Socket) -> bool:
    """Whether the kernel has CONFIG_BRIDGE_VLAN_FILTERING: then it minds a protocol that is none, before the name that is taken."""
    data = attribute(_IFLA_BR_VLAN_PROTOCOL, b"\0\0")
    info = attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "bridge"), attribute(IFLA_INFO_DATA, [data])])
    try:
        sock.request(Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, "lo") + info,
                             "ask for VLANs of bridges"))
    except NetlinkError as error:
        return error.errno == errno.EPROTONOSUPPORT
    return False


def put(index: int, wanted: Vlans) -> Message:
    """Add VLANs to a bridge port, or change the flags of those that it has."""
    return _message(RTM_SETLINK, index, wanted, "add")


def take(index: int, unwanted: Iterable[int]) -> Message:
    """Take VLANs from a bridge port; one that it has not is as good."""
    return _message(RTM_DELLINK, index, dict.fromkeys(unwanted, 0), "take")


def ports(sock: Socket) -> Dict[int, Dict[int, int]]:
    """The VLANs of all bridge ports of the socket's namespace, by the index of the port."""
    found: Dict[int, Dict[int, int]] = {}
    body = _IFINFO.pack(_AF_BRIDGE, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _RTEXT_FILTER_BRVLAN_COMPRESSED)
    for reply in sock.dump(RTM_GETLINK, body, "list VLANs of bridge ports"):
        if reply.kind != RTM_NEWLINK:
            continue
        index = _IFINFO.unpack_from(reply.body)[2]
        found[index] = _read(attributes(reply.body, _IFINFO.size).get(IFLA_AF_SPEC, b""))
    return found


def runs(ids: Iterable[int]) -> List[Tuple[int, int]]:
    """The first and last of each run of neighbouring numbers."""
    found: List[Tuple[int, int]] = []
    for each in sorted(set(ids)):
        if found and found[-1][1] == each - 1:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found


def _message(kind: int, index: int, vlans: Vlans, verb: str) -> Message:
    parts = []
    for flags in sorted(set(vlans.values())):
        for first, last in runs(each for each, its in vlans.items() if its == flags):
            if flags & PVID or first == last:  # the kernel refuses a range of these
                parts += [_info(each, flags) for each in range(first, last + 1)]
            else:
                parts += [_info(first, flags | _RANGE_BEGIN), _info(last, flags | _RANGE_END)]
    body = _IFINFO.pack(_AF_BRIDGE, 0, index, 0, 0) + attribute(IFLA_AF_SPEC, parts)
    return Message(kind, 0, body, "%s VLANs %s of the bridge port %d" % (
        verb, ", ".join("%d-%d" % each if each[0] != each[1] else "%d" % each[0] for each in runs(vlans)), index))


def _info(vlan: int, flags: int) -> bytes:
    return attribute(_IFLA_BRIDGE_VLAN_INFO, _VLAN.pack(flags, vlan))


def _read(specification: bytes) -> Dict[int, int]:
    """The entries of an attribute that stands there many times, so that no mapping of attributes holds it."""
    found: Dict[int, int] = {}
    at, first = 0, 0
    while at + 4 <= len(specification):
        length, kind = struct.unpack_from("=HH", specification, at)
        if kind & 0x3FFF == _IFLA_BRIDGE_VLAN_INFO and length >= 8:
            flags, vlan = _VLAN.unpack_from(specification, at + 4)
            first = vlan if not flags & _RANGE_END else first
            if not flags & _RANGE_BEGIN:
                found.update(dict.fromkeys(range(first, vlan + 1), flags & (PVID | UNTAGGED)))
        at += max(4, (length + 3) & ~3)
    return found
