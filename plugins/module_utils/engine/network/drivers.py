# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What connects the members of a network: a bridge of the host, or children of one of the host's own links.

A child of a link (macvlan, ipvlan) lies in the network that its parent is in: nothing of it is routed, translated or filtered by
the host, and the host itself does not reach it by that link.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple

from ..errors import InvalidValue, NotFound, Unsupported
from ..kernel import rtnetlink
from ..kernel.netlink import NetlinkError, Socket

if TYPE_CHECKING:
    from .networks import Network

Options = Tuple[Tuple[str, str], ...]

DRIVERS: Dict[str, Dict[str, Sequence[str]]] = {
    "bridge": {},
    "macvlan": {"parent": (), "mode": ("bridge", "private", "vepa", "passthru")},
    "ipvlan": {"parent": (), "mode": ("l2", "l3", "l3s")},
    "vxlan": {"local": (), "backend": ("vxlan", "host-gw"), "shared": ("false", "true"), "vni": (), "port": (), "parent": ()},
}
"""Each driver's options, and the values of each, the default first; none: free."""
BRIDGED = {"bridge": True, "macvlan": False, "ipvlan": False, "vxlan": True}
"""Whether a driver's networks have a bridge."""
OUTER = ("macvlan", "ipvlan")
"""Drivers whose subnets are not of this host alone."""


def settle(driver: str, given: Optional[Mapping[str, str]], recorded: Options) -> Options:
    """The complete options of a driver: what was said, else what is recorded, else the defaults.

    Raises:
        InvalidValue: One is not known, or its value.
    """
    known = DRIVERS[driver]
    found: Dict[str, str] = {**{name: values[0] for name, values in known.items() if values}, **dict(recorded), **(given or {})}
    for name, value in found.items():
        if name not in known:
            raise InvalidValue("network.driver_options." + name, value, "is of no meaning to the driver '%s'" % driver,
                               "It takes: %s" % (", ".join(sorted(known)) or "none"))
        if known[name] and value not in known[name]:
            raise InvalidValue("network.driver_options." + name, value, "is not known to the driver '%s'" % driver,
                               "Write one of " + ", ".join(known[name]))
    if driver in OUTER and not found.get("parent"):
        raise InvalidValue("network.driver_options.parent", None, "is missing, which the driver '%s' needs" % driver,
                           "Name the link of the host that the network is reached by, such as eth0")
    return tuple(sorted(found.items()))


def refuse_bridge(driver: str, given: Mapping[str, Any]) -> None:
    """What only a network with a bridge has.

    Raises:
        InvalidValue: It was asked for.
    """
    for option, usual in (("bridge", ""), ("masquerade", True), ("isolate", "yes"), ("icc", True), ("masquerade_exclude", ()),
                          ("vlan_filtering", False)):
        if given.get(option, usual) != usual:
            raise InvalidValue("network." + option, given[option], "cannot be with the driver '%s', whose members the host does "
                               "not route for" % driver, "Leave it out, or use the driver bridge")


def mtu(driver: str, options: Options, sock: Socket) -> int:
    """The MTU that a network of a driver has where none is asked for; 0 for that of the host's way out."""
    name = dict(options).get("parent")
    link = rtnetlink.link(sock, name) if name and driver in OUTER and len(os.fsencode(name)) < 16 else None
    return link.mtu if link is not None else 0


def parent(network: Network, sock: Socket) -> rtnetlink.Link:
    """The link of the host that a network's members are children of.

    Raises:
        NotFound: There is none of this name.
    """
    name = dict(network.options)["parent"]
    link = rtnetlink.link(sock, name) if len(os.fsencode(name)) < 16 else None
    if link is None:
        raise NotFound("the host has no link '%s', which network '%s' names as its parent" % (name, network.name),
                       "Name one of: " + ", ".join(sorted(each.name for each in rtnetlink.links(sock) if each.name != "lo")))
    return link


def check(network: Network, sock: Socket) -> None:
    """Whether the host can have such a network.

    Raises:
        NotFound: The parent is missing.
        InvalidValue: It does not do.
        Unsupported: The kernel has no links of this kind.
    """
    if network.driver not in OUTER:
        return
    link = parent(network, sock)
    if network.mtu > link.mtu:
        raise InvalidValue("network.mtu", network.mtu, "is more than the %d bytes of the parent '%s'" % (link.mtu, link.name),
                           "Write at most that")
    if link.name == "lo" or link.kind == "bridge" and network.driver == "ipvlan":
        raise InvalidValue("network.driver_options.parent", link.name, "can have no children of the kind %s" % network.driver,
                           "Name a link that leads to a network")
    if not supported(network.driver, sock):
        raise Unsupported("this kernel (%s) has no links of the kind %s, which network '%s' is of"
                          % (os.uname().release, network.driver, network.name),
                          "Use another driver, such as macvlan, or a kernel with CONFIG_%s" % network.driver.upper())


def supported(kind: str, sock: Socket) -> bool:
    """Whether the kernel knows links of a kind: it says so before it misses the parent, which is not named."""
    try:
        sock.request(rtnetlink.new_child("co-probe", kind, 0, ""))
    except NetlinkError as error:
        return error.errno not in (errno.EOPNOTSUPP, errno.ENODEV)
    sock.request(rtnetlink.delete_link("co-probe"))  # cannot be: nothing is a child of nothing
    return True
