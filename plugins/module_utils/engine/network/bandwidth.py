# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much an attachment may receive and send: token buckets at the host's end of its link, where its processes cannot reach.

What goes in is what the host's end sends. What comes out is received there, and a kernel shapes only what is sent: so it is handed to
an intermediate link (ifb) of its own, which sends it on into the stack.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional

from ..instance import Instance
from ..kernel import rtnetlink, traffic_control
from ..kernel.netlink import Socket
from .ends import ALIAS, host_end, host_link

LEAST_BURST = 32768
"""Bytes of a bucket of whose depth nothing was said, or a tenth of a second of its rate where that is more."""
_NAMES = ("ingress_rate", "ingress_burst", "egress_rate", "egress_burst")


class Bandwidth(NamedTuple):
    """Limits of one attachment; 0 is none.

    Attributes:
        ingress_rate, egress_rate: Bits a second that it may receive and send.
        ingress_burst, egress_burst: Bytes that may go at once.
    """

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0


NONE = Bandwidth()


def settle(asked: Optional[Mapping[str, Any]]) -> Bandwidth:
    """The complete limits of what was asked for."""
    given = {name: (asked or {}).get(name) or 0 for name in _NAMES}
    for way in ("ingress", "egress"):
        rate = given[way + "_rate"]
        given[way + "_burst"] = (given[way + "_burst"] or max(LEAST_BURST, rate // 80)) if rate else 0
    return Bandwidth(**given)


def view(limits: Bandwidth) -> Dict[str, int]:
    """Limits as options show them; what is not limited is left out."""
    return {name: value for name, value in limits._asdict().items() if value}


def apply(instance: Instance, netns: str, interface: str, wanted: Bandwidth, sock: Socket) -> None:
    """Bring the limits of an attachment to what is wanted."""
    end = rtnetlink.link(sock, host_end(instance, netns, interface))
    if end is None or observe(instance, netns, interface, wanted, sock) == wanted:
        return
    sock.request(traffic_control.set_bucket(end.ifindex, _bucket(wanted.ingress_rate, wanted.ingress_burst))
                 if wanted.ingress_rate else traffic_control.delete_bucket(end.ifindex))
    name = between(instance, netns, interface)
    sock.request(traffic_control.stop_taking_in(end.ifindex), rtnetlink.delete_link(name))
    if not wanted.egress_rate:
        return
    sock.request(traffic_control.new_ifb(name, end.mtu),
                 rtnetlink.set_link(name, up=True, alias="%segress of %s %s" % (ALIAS, netns, interface), no_link_local=True))
    middle = rtnetlink.link(sock, name)
    if middle is not None:
        sock.request(traffic_control.set_bucket(middle.ifindex, _bucket(wanted.egress_rate, wanted.egress_burst)),
                     traffic_control.take_in(end.ifindex), traffic_control.redirect(end.ifindex, middle.ifindex))


def observe(instance: Instance, netns: str, interface: str, wanted: Bandwidth, sock: Socket) -> Bandwidth:
    """The limits that the kernel has; those that are wanted where they are these but for what its ticks round off."""
    ends = {"ingress": host_link(sock, host_end(instance, netns, interface)),
            "egress": host_link(sock, between(instance, netns, interface))}
    if not any(link is not None and link.qdisc == "tbf" for link in ends.values()):
        return NONE
    buckets = traffic_control.buckets(sock)
    found: Dict[str, int] = {}
    for way, link in ends.items():
        seen = buckets.get(link.ifindex) if link is not None else None
        if seen is None:
            continue
        rate, burst = getattr(wanted, way + "_rate"), getattr(wanted, way + "_burst")
        same = rate and seen == _bucket(rate, burst)
        found[way + "_rate"] = rate if same else seen.rate * 8
        found[way + "_burst"] = burst if same else traffic_control.depth(seen)
    return Bandwidth(**found)


def between(instance: Instance, netns: str, interface: str) -> str:
    """The name of the intermediate link: as the host's end, with another letter."""
    return "ci" + host_end(instance, netns, interface)[2:]


def _bucket(rate: int, burst: int) -> traffic_control.Bucket:
    return traffic_control.bucket(max(1, rate // 8), burst)
