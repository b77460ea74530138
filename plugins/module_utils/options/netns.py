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
from .attachment import ATTACHMENT, VLAN
from .network import BRIDGE, NETWORK
from .policy import POLICY
from .ports import (
    BANDWIDTH,
    PUBLISHED_FORM,
    host_name,
    interface,
    ip_address,
    ip_block,
    ipv4_address,
    ipv6_address,
    mac_address,
    published_port,
)


def _mode(value: Any) -> str:
    text = str(value)
    kind, colon, name = text.partition(":")
    if kind == "ns" and colon:
        return "ns:" + values.absolute_path(name)
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


ROUTE = (
    Option("destination", required=True, parse=ip_block, form="a block such as 10.30.0.0/16, or default"),
    Option("gateway", required=True, parse=ip_address, form="an address that is reached directly"),
    Option("metric", type="int", default=0, parse=values.integer(0, 4294967295), form="a whole number; lower wins"),
)
"""A route."""

OPTIONS = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED,
           form="letters, digits, _, ., -; at most 63, the first a letter or digit"),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    Option("mode", default="bridge", parse=_mode, form="bridge, none, host, container:NAME or ns:PATH", disruption=RECREATE,
           read_from="the inode of the namespace"),
    Option("network", type="dict", options=NETWORK, read_from=BRIDGE),
    Option("interface", parse=interface, form="at most 15 letters, digits, _, ., -",
           read_from="netlink inside the namespace"),
    Option("ipv4_address", parse=ipv4_address, form="an address of the network's subnet",
           read_from="netlink inside the namespace"),
    Option("ipv6_address", parse=ipv6_address, form="an address of the network's IPv6 subnet",
           read_from="netlink inside the namespace"),
    Option("mac_address", parse=mac_address, form="an address such as 02:00:00:00:00:01",
           read_from="netlink inside the namespace"),
    Option("aliases", type="list", elements="str", parse=host_name, form="host names such as db.internal",
           compare=UNORDERED, read_from="the lease"),
    Option("bandwidth", type="dict", options=BANDWIDTH, read_from="netlink: the queueing disciplines of the host's end"),
    Option("vlan", type="dict", options=VLAN, read_from="netlink: the VLANs of the bridge's port"),
    Option("networks", type="list", elements="dict", options=ATTACHMENT, read_from="netlink inside the namespace"),
    Option("routes", type="list", elements="dict", options=ROUTE, compare=UNORDERED,
           read_from="netlink inside the namespace, main table"),
    Option("sysctls", type="dict", parse=_sysctls, form="a mapping such as net.core.somaxconn to '1024'",
           compare=CONTAINED, read_from="/proc/sys/net inside the namespace"),
    Option("published_ports", type="list", elements="str", parse=published_port, aliases=("ports",),
           form=PUBLISHED_FORM, compare=UNORDERED, read_from="the nftables table"),
    Option("labels", type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings",
           read_from="netns/NAME.json"),
    POLICY,
)
"""The table."""
