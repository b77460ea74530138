# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: overlay_plan
short_description: Who has which subnet of a network over several hosts
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Turns what the hosts have of a network into the O(coracle.containers.container_network#module:peers) that all of them shall have, as the
    role P(coracle.containers.overlay#role) does.
  - A host keeps what was written for it, else the subnets that it has, else those that another host remembers of it. Else it gets the
    first that are free.
positional: _input, known, outside, ranges, prefix, ipv6_prefix
options:
  _input:
    description: The names of all hosts of the network.
    type: list
    elements: str
    required: true
  known:
    description:
      - By name of a host its C(address), its C(fixed) subnets, and as C(network) what M(coracle.containers.container_network_info) says.
    type: dict
    required: true
  outside:
    description: Results of a loop of M(coracle.containers.container_network_info) over further hosts; those that did not answer have none.
    type: list
    elements: dict
    required: true
  ranges:
    description: The blocks that subnets are taken from, at most one of each family.
    type: list
    elements: str
    required: true
  prefix:
    description: The prefix length of a host's IPv4 subnet.
    type: int
    default: 24
  ipv6_prefix:
    description: The prefix length of a host's IPv6 subnet.
    type: int
    default: 64
seealso:
  - module: coracle.containers.container_network
"""

EXAMPLES = r"""
- name: Who shall have what
  ansible.builtin.debug:
    msg: "{{ groups['shop'] | coracle.containers.overlay_plan({'a': {'address': '192.0.2.1', 'network': {}}}, [], ['10.80.0.0/16']) }}"
"""

RETURN = r"""
_value:
  description:
    - For each host that is known C(name), C(address), C(subnets) (IPv4 first) and C(members).
    - A host that is neither asked nor remembered is not among them.
  type: list
  elements: dict
  sample: [{"name": "a", "address": "192.0.2.1", "subnets": ["10.80.0.0/24"], "members": []}]
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Dict, List

from ansible.errors import AnsibleFilterError


def overlay_plan(hosts: Sequence[str], known: Mapping[str, Any], outside: Sequence[Mapping[str, Any]], ranges: Sequence[str],
                 prefix: int = 24, ipv6_prefix: int = 64) -> List[Dict[str, Any]]:
    """The peers that a network's hosts shall have."""
    blocks = sorted((_block("overlay_ranges", each) for each in ranges), key=lambda block: block.version)
    if not blocks or len({block.version for block in blocks}) < len(blocks) or blocks[0].version != 4:
        raise AnsibleFilterError("overlay_ranges is %s: write one IPv4 block, and one of IPv6 if the network is to have it" % list(ranges))
    seen = {host: known[host].get("network") or {} for host in known}
    seen.update({each["item"]: each["networks"][0] for each in outside if each.get("networks")})
    remembered = {peer["name"]: peer for network in seen.values() for peer in network.get("peers") or () if peer.get("name")}
    found: List[Dict[str, Any]] = []
    for host in hosts:
        memory, network = remembered.get(host) or {}, seen.get(host) or {}
        held = [str(each) for each in (known.get(host) or {}).get("fixed") or ()] or _held(network) or list(memory.get("subnets") or ())
        address = (known.get(host) or {}).get("address") or (network.get("driver_options") or {}).get("local") or memory.get("address")
        if address:
            found.append({"name": host, "address": str(address), "subnets": held,
                          "members": _members(network) if network.get("exists") else list(memory.get("members") or ())})
    for row in found:
        row["subnets"] = [_subnet(row, block, prefix if block.version == 4 else ipv6_prefix, found) for block in blocks]
    return found


def _held(network: Mapping[str, Any]) -> List[str]:
    """The subnets that a host has, or the parts of those that all share."""
    if network.get("driver") != "vxlan":
        return []
    shared = (network.get("driver_options") or {}).get("shared") == "true"
    names = ("ip_range", "ipv6_range") if shared else ("subnet", "ipv6_subnet")
    return [network[name] for name in names if network.get(name)]


def _subnet(row: Mapping[str, Any], block: Any, prefix: int, found: Sequence[Mapping[str, Any]]) -> str:
    """A host's subnet in a block: its own, else the first that nobody has."""
    for each in row["subnets"]:
        mine = _block("the subnet of %s" % row["name"], each)
        if mine.version == block.version and mine.subnet_of(block):
            return str(mine)
    if not block.prefixlen <= prefix < block.max_prefixlen - 1:
        raise AnsibleFilterError("no subnets of /%d fit into %s: write a prefix length from %d to %d"
                                 % (prefix, block, block.prefixlen, block.max_prefixlen - 2))
    taken = [_block("a subnet", each) for other in found for each in other["subnets"]]
    taken = [each for each in taken if each.version == block.version]
    for candidate in block.subnets(new_prefix=prefix):
        if not any(candidate.overlaps(each) for each in taken):
            return str(candidate)
    raise AnsibleFilterError("no subnet of /%d is free in %s for %s: write a larger block into overlay_ranges"
                             % (prefix, block, row["name"]))


def _members(network: Mapping[str, Any]) -> List[Dict[str, Any]]:
    return [{"name": each["name"], "addresses": [each[key] for key in ("ipv4_address", "ipv6_address") if each.get(key)],
             "aliases": list(each.get("aliases") or ()), "labels": dict(each.get("labels") or {})}
            for each in network.get("members") or ()]


def _block(what: str, text: Any) -> Any:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError as error:
        raise AnsibleFilterError("%s: %s" % (what, error))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Any]:
        """By name."""
        return {"overlay_plan": overlay_plan}
