# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a network: of C(container_network), and wherever else one is declared."""

from __future__ import annotations

from typing import Any, Dict, List

from .. import values
from ..option import NOT_COMPARED, UNORDERED, Option
from .policy import NETWORK_POLICY
from .ports import interface, ip_address, ip_block, ipv4_address, ipv4_block, ipv6_address, ipv6_block

BRIDGE = "netlink: the bridge, its addresses and ports"
_TABLE = "the nftables table"
_RECORD = "networks/NAME.json"


def _aux_addresses(value: Dict[Any, Any]) -> Dict[str, str]:
    return {str(name): ip_address(address) for name, address in value.items()}


def _static_leases(value: Dict[Any, Any]) -> Dict[str, List[str]]:
    found = {}
    for name, several in value.items():
        several = several if isinstance(several, list) else [several]
        found[values.name(name)] = sorted((ip_address(address) for address in several), key=lambda text: (":" in text, text))
        families = [":" in address for address in found[name]]
        if len(set(families)) < len(families):
            raise ValueError("has two addresses of one family for '%s'" % name)
    return found


def _driver_options(value: Dict[Any, Any]) -> Dict[str, str]:
    return {str(name): str(item).lower() if isinstance(item, bool) else str(item) for name, item in value.items()}


def _isolate(value: Any) -> str:
    text = {"true": "yes", "false": "no"}.get(str(value).lower(), str(value))
    if text not in ("no", "yes", "strict"):
        raise ValueError("is none of no, yes and strict")
    return text


SUBNET = (
    Option("subnet", required=True, parse=ip_block, form="a block such as 10.20.0.0/24 or fd00:20::/64"),
    Option("gateway", parse=ip_address, form="an address inside the subnet"),
    Option("ip_range", aliases=("iprange",), parse=ip_block, form="a part of the subnet such as 10.20.0.128/25"),
    Option("aux_addresses", type="dict", parse=_aux_addresses, form="a mapping such as printer to 10.20.0.9"),
)
"""A subnet of a network."""

RESIDENT = (
    Option("name", required=True, parse=values.name, form="letters, digits, _, ., -"),
    Option("addresses", type="list", elements="str", required=True, parse=ip_address, form="an IP address"),
    Option("aliases", type="list", elements="str", parse=values.name, form="letters, digits, _, ., -"),
    Option("labels", type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings"),
)
"""A member of a network on another host."""

PEER = (
    Option("name", required=True, parse=str, form="the host's name"),
    Option("address", required=True, parse=ip_address, form="an IP address"),
    Option("subnets", type="list", elements="str", required=True, parse=ip_block, form="blocks such as 10.80.2.0/24"),
    Option("members", type="list", elements="dict", options=RESIDENT),
)
"""Another host of a network."""

_DRIVER = Option("driver", choices=("bridge", "macvlan", "ipvlan"), read_from=_RECORD)
_OF_NETWORK = (
    Option("driver_options", type="dict", aliases=("opt",), parse=_driver_options, form="a mapping such as parent to eth0",
           read_from="%s; the parent over netlink" % _RECORD),
    Option("bridge", parse=interface, form="at most 15 letters, digits, _, ., -", read_from=BRIDGE),
    Option("subnet", parse=ipv4_block, form="an IPv4 subnet such as 10.20.0.0/24", read_from=BRIDGE),
    Option("gateway", parse=ipv4_address, form="an address inside the subnet", read_from=BRIDGE),
    Option("ip_range", aliases=("iprange",), parse=ipv4_block, form="a part of the subnet such as 10.20.0.128/25",
           read_from=_RECORD),
    Option("aux_addresses", type="dict", parse=_aux_addresses, form="a mapping such as printer to 10.20.0.9",
           read_from=_RECORD),
    Option("ipv6", type="bool", aliases=("enable_ipv6",), read_from=BRIDGE),
    Option("ipv6_subnet", parse=ipv6_block, form="an IPv6 subnet such as fd00:20::/64", read_from=BRIDGE),
    Option("ipv6_gateway", parse=ipv6_address, form="an address inside the IPv6 subnet", read_from=BRIDGE),
    Option("ipv6_range", parse=ipv6_block, form="a part of the IPv6 subnet", read_from=_RECORD),
    Option("subnets", type="list", elements="dict", options=SUBNET, aliases=("ipam_config", "net_config"), read_from=BRIDGE),
    Option("static_leases", type="dict", parse=_static_leases, form="a mapping such as web to 10.20.0.5", read_from=_RECORD),
    Option("mtu", type="int", parse=values.integer(68, 65535), form="bytes from 68 to 65535", read_from=BRIDGE),
    Option("masquerade", type="bool", read_from=_TABLE),
    Option("masquerade_exclude", type="list", elements="str", parse=ip_block, form="a block such as 10.0.0.0/8",
           compare=UNORDERED, read_from=_RECORD),
    Option("internal", type="bool", read_from=_RECORD),
    Option("isolate", parse=_isolate, form="no, yes or strict", read_from=_RECORD),
    Option("icc", type="bool", read_from="netlink: the ports of the bridge"),
    Option("vlan_filtering", type="bool", read_from=BRIDGE),
)

NETWORK = (
    Option("name", parse=values.name, form="letters, digits, _, ., -"),
    _DRIVER,
    *_OF_NETWORK,
    Option("persistent", type="bool", read_from=_RECORD),
)
"""A network, as far as one says something of it."""

OPTIONS = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED, aliases=("network_name",),
           form="letters, digits, _, ., -; at most 63, the first a letter or digit"),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
    _DRIVER._replace(choices=("bridge", "macvlan", "ipvlan", "vxlan")),
    *_OF_NETWORK,
    Option("cluster_ranges", type="list", elements="str", parse=ip_block, form="a block such as 10.80.0.0/16", compare=UNORDERED,
           read_from=_RECORD),
    Option("peers", type="list", elements="dict", options=PEER, read_from="netlink: routes, neighbours and forwarding entries"),
    Option("persistent", type="bool", default=True, read_from=_RECORD),
    Option("labels", type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings", read_from=_RECORD),
    NETWORK_POLICY,
)
"""The table."""
