# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of one attachment to a network."""

from __future__ import annotations

from typing import Any, List

from .. import values
from ..option import Option
from .ports import BANDWIDTH, host_name, interface, ipv4_address, ipv6_address, mac_address

_VLANS_FORM = "VLAN ids from 1 to 4094 or ranges such as 30-39"


def _tagged(value: Any) -> str:
    text = str(value).strip()
    numbers = values.number_set(text)
    if "," in text or not numbers or min(numbers) < 1 or max(numbers) > 4094:
        raise ValueError("is no VLAN id and no range of them")
    return text


def _merged(several: List[str]) -> List[str]:
    """The one form of some ranges."""
    return values.format_set(values.number_set(",".join(several))).split(",") if several else []


VLAN = (
    Option("pvid", type="int", parse=values.integer(0, 4094), form="a VLAN id from 1 to 4094, or 0 for none"),
    Option("tagged", type="list", elements="str", parse=_tagged, whole=_merged, form=_VLANS_FORM),
)
"""The VLANs that an attachment is in."""

ATTACHMENT = (
    Option("name", required=True, parse=values.name, form="the name of a network"),
    Option("ipv4_address", parse=ipv4_address, form="an address such as 10.209.0.10"),
    Option("ipv6_address", parse=ipv6_address, form="an address such as fd00:20::10"),
    Option("mac_address", parse=mac_address, form="an address such as 02:42:0a:d1:00:05"),
    Option("aliases", type="list", elements="str", parse=host_name, form="a host name"),
    Option("interface", aliases=("interface_name",), parse=interface, form="at most 15 letters, digits, _, ., -"),
    Option("bandwidth", type="dict", options=BANDWIDTH),
    Option("vlan", type="dict", options=VLAN),
)
"""A row of C(networks)."""
