# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_netns): each declared here and nowhere else."""

from __future__ import annotations

import re
from typing import Any, Dict

from .. import values
from ..engine.plan import RECREATE
from ..option import CONTAINED, NOT_COMPARED, UNORDERED, Option
from .ports import PUBLISHED_FORM, host_name, interface, ipv4_address, ipv4_block, mac_address, published_port

_BRIDGE = "netlink: the bridge, its addresses and ports"


def _mode(value: Any) -> str:
    text = str(value)
    kind, colon, name = text.partition(":")
    if text in ("bridge", "none", "host"):
        return text
    if kind == "container" and colon:
        return "container:" + values.name(name)
    raise ValueError("is no mode")


def _sysctls(value: Dict[Any, Any]) -> Dict[str, str]:
    typed = {}
    for key, item in value.items():
        if not re.match(r"^net\.[A-Za-z0-9_]+(\.[A-Za-z0-9_/-]+)+$", str(key)) or ".." in str(key):
            raise ValueError("has the key '%s', which is no sysctl of a network namespace (net.*)" % key)
        if isinstance(item, bool) or not isinstance(item, (str, int)):
            raise ValueError("has a value for '%s' that is neither text nor a whole number" % key)
        typed[str(key)] = " ".join(str(item).split())
    return typed


NETWORK = (
    Option("name", parse=values.name, form="letters, digits, _, ., -"),
    Option("bridge", parse=interface, form="at most 15 letters, digits, _, ., -", read_from=_BRIDGE),
    Option("subnet", parse=ipv4_block, form="an IPv4 subnet such as 10.20.0.0/24", read_from=_BRIDGE),
    Option("gateway", parse=ipv4_address, form="an address inside the subnet", read_from=_BRIDGE),
    Option("mtu", type="int", parse=values.integer(68, 65535), form="bytes from 68 to 65535", read_from=_BRIDGE),
    Option("masquerade", type="bool", read_from="the nftables table"),
    Option("internal", type="bool", read_from="the nftables table"),
    Option("persistent", type="bool", read_from="networks/NAME.json"),
)
"""A network, as far as one says something of it."""

ROUTE = (
    Option("destination", required=True, parse=ipv4_block, form="a block such as 10.30.0.0/16, or default"),
    Option("gateway", required=True, parse=ipv4_address, form="an address that is reached directly"),
    Option("metric", type="int", default=0, parse=values.integer(0, 4294967295), form="a whole number; lower wins"),
)
"""A route."""

OPTIONS = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED,
           form="letters, digits, _, ., -; at most 63, the first a letter or digit"),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    Option("mode", default="bridge", parse=_mode, form="bridge, none, host or container:NAME", disruption=RECREATE,
           read_from="the inode of the namespace"),
    Option("network", type="dict", options=NETWORK, read_from=_BRIDGE),
    Option("interface", parse=interface, form="at most 15 letters, digits, _, ., -",
           read_from="netlink inside the namespace"),
    Option("ipv4_address", parse=ipv4_address, form="an address of the network's subnet",
           read_from="netlink inside the namespace"),
    Option("mac_address", parse=mac_address, form="an address such as 02:00:00:00:00:01",
           read_from="netlink inside the namespace"),
    Option("aliases", type="list", elements="str", parse=host_name, form="host names such as db.internal",
           compare=UNORDERED, read_from="the lease"),
    Option("routes", type="list", elements="dict", options=ROUTE, compare=UNORDERED,
           read_from="netlink inside the namespace, main table"),
    Option("sysctls", type="dict", parse=_sysctls, form="a mapping such as net.core.somaxconn to '1024'",
           compare=CONTAINED, read_from="/proc/sys/net inside the namespace"),
    Option("published_ports", type="list", elements="str", parse=published_port, aliases=("ports",),
           form=PUBLISHED_FORM, compare=UNORDERED, read_from="the nftables table"),
)
"""The table."""
