# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic control: the token bucket that shapes what a link sends (tc-tbf(8)), and sending on what it receives (tc-mirred(8)).

The kernel's uapi/linux/{pkt_sched,pkt_cls,tc_act/tc_mirred}.h. Functions that change something return a message.
"""

from __future__ import annotations

import errno
import struct
from typing import Dict, NamedTuple

from .netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message, Socket, attribute, attributes, text
from .rtnetlink import IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU, RTM_NEWLINK

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER = 44
TCA_KIND, TCA_OPTIONS = 1, 2
_TCA_TBF_PARMS = 1
_TCA_U32_SEL, _TCA_U32_ACT = 5, 7
_TCA_ACT_KIND, _TCA_ACT_OPTIONS = 1, 2
_TCA_MIRRED_PARMS = 2
_TCA_EGRESS_REDIR, _TC_ACT_STOLEN = 1, 4
_TC_U32_TERMINAL = 1
_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
_INGRESS_HANDLE, _BUCKET_HANDLE = 0xFFFF0000, 0x10000
_LINKLAYER_ETHERNET = 1
_ETH_P_ALL = 3
_TCMSG = struct.Struct("=BxxxiIII")
_RATESPEC = struct.Struct("=BBHhHI")
_TICK = 64
"""Nanoseconds in a tick (PSCHED_SHIFT of the kernel's net/pkt_sched.h), in which it counts a bucket's depth."""
_LATENCY = 25000000
"""Nanoseconds that a packet may wait for its turn."""
MOST = (1 << 32) - 1
"""Bytes a second, as far as the plain form of a rate goes."""


class Bucket(NamedTuple):
    """A token bucket.

    Attributes:
        rate: Bytes a second.
        ticks: The depth, as the time that it takes to fill.
    """

    rate: int
    ticks: int


def bucket(rate: int, burst: int) -> Bucket:
    """The bucket of a rate and a depth in bytes."""
    return Bucket(rate, burst * 1000000000 // rate // _TICK)


def depth(seen: Bucket) -> int:
    """The depth in bytes, a little less than what was asked for."""
    return seen.ticks * _TICK * seen.rate // 1000000000


def set_bucket(index: int, wanted: Bucket) -> Message:
    """Let a link send no faster than a bucket fills; in place of what was at its root."""
    rate = _RATESPEC.pack(0, _LINKLAYER_ETHERNET, 0, -1, 0, wanted.rate)
    limit = min(depth(wanted) + wanted.rate * _LATENCY // 1000000000, MOST)
    parameters = rate + bytes(_RATESPEC.size) + struct.pack("=III", limit, wanted.ticks, 0)
    body = _TCMSG.pack(0, index, _BUCKET_HANDLE, _ROOT, 0) + attribute(TCA_KIND, "tbf")
    body += attribute(TCA_OPTIONS, [attribute(_TCA_TBF_PARMS, parameters)])
    return Message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body, "set the rate of link %d" % index)


def delete_bucket(index: int) -> Message:
    """Let a link send as fast as it can; none is as good."""
    return Message(RTM_DELQDISC, 0, _TCMSG.pack(0, index, 0, _ROOT, 0), "lift the rate of link %d" % index,
                   (errno.ENOENT, errno.EINVAL, errno.ENODEV))


def buckets(sock: Socket) -> Dict[int, Bucket]:
    """The token buckets of all links that have one, by the link's index."""
    found = {}
    for reply in sock.dump(RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0), "list queueing disciplines"):
        if reply.kind != RTM_NEWQDISC:
            continue
        _family, index, _handle, parent, _info = _TCMSG.unpack_from(reply.body)
        values = attributes(reply.body, _TCMSG.size)
        if parent != _ROOT or text(values.get(TCA_KIND)) != "tbf":
            continue
        parameters = attributes(values.get(TCA_OPTIONS, b"")).get(_TCA_TBF_PARMS, b"")
        if len(parameters) >= 2 * _RATESPEC.size + 12:
            rate = _RATESPEC.unpack_from(parameters)[5]
            found[index] = Bucket(rate, struct.unpack_from("=III", parameters, 2 * _RATESPEC.size)[1])
    return found


def new_ifb(name: str, mtu: int) -> Message:
    """Create an intermediate functional block, which sends what others have received (the kernel's drivers/net/ifb.c)."""
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name) + attribute(IFLA_MTU, mtu)
    body += attribute(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, "ifb")])
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "create ifb '%s'" % name, (errno.EEXIST,))


def take_in(index: int) -> Message:
    """Let a link have filters for what it receives; having it already is as good."""
    body = _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0) + attribute(TCA_KIND, "ingress")
    return Message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body, "filter what link %d receives" % index, (errno.EEXIST,))


def stop_taking_in(index: int) -> Message:
    """Take those filters away; none is as good."""
    return Message(RTM_DELQDISC, 0, _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0),
                   "let link %d receive unfiltered" % index, (errno.ENOENT, errno.EINVAL, errno.ENODEV))


def redirect(index: int, target: int) -> Message:
    """Send on all that a link receives by another link, as its first filter."""
    selector = struct.pack("=BBBxHHhhI", _TC_U32_TERMINAL, 0, 1, 0, 0, 0, 0, 0) + bytes(16)  # one key, which fits everything
    action = [attribute(1, [attribute(_TCA_ACT_KIND, "mirred"), attribute(_TCA_ACT_OPTIONS, [
        attribute(_TCA_MIRRED_PARMS, struct.pack("=IIiiiiI", 0, 0, _TC_ACT_STOLEN, 0, 0, _TCA_EGRESS_REDIR, target))])])]
    info = 1 << 16 | int.from_bytes(struct.pack(">H", _ETH_P_ALL), "little" if struct.pack("=H", 1) == b"\1\0" else "big")
    body = _TCMSG.pack(0, index, 0, _INGRESS_HANDLE, info) + attribute(TCA_KIND, "u32")
    body += attribute(TCA_OPTIONS, [attribute(_TCA_U32_SEL, selector), attribute(_TCA_U32_ACT, action)])
    return Message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body, "send on what link %d receives" % index)
