# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VLANs an attachment is in, on a bridge that keeps them apart.

The host's own address of a network, its gateway, is in VLAN 1. So are the members of which nothing else is said.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue
from ..kernel import bridge_vlans
from ..kernel.bridge_vlans import PVID, UNTAGGED
from ..kernel.netlink import Socket
from ..store import glance

OF_HOST = 1
"""The VLAN that the kernel puts the bridge itself and each new port into (its C(default_pvid))."""


class Vlans(NamedTuple):
    """The VLANs of an attachment.

    Attributes:
        pvid: What comes and goes without a tag belongs to it; 0: nothing does.
        tagged: The ids, or ranges of them such as C(30-39), of those whose frames come and go with a tag.
    """

    pvid: int = OF_HOST
    tagged: Tuple[str, ...] = ()


USUAL = Vlans()


def settle(network: str, filtering: bool, asked: Optional[Mapping[str, Any]]) -> Vlans:
    """The complete VLANs of what was asked for.

    Raises:
        InvalidValue: The network's bridge keeps none apart, or one is both tagged and not.
    """
    if not asked or all(value is None for value in asked.values()):
        return USUAL
    if not filtering:
        raise InvalidValue("vlan", dict(asked), "cannot be on network '%s', which keeps no VLANs apart" % network,
                           "Give the network 'vlan_filtering: true', or leave it out")
    pvid = OF_HOST if asked.get("pvid") is None else asked["pvid"]
    found = Vlans(pvid, tuple(asked.get("tagged") or ()))
    if pvid in _ids(found.tagged):
        raise InvalidValue("vlan", dict(asked), "names VLAN %d as the one without a tag and among those with one" % pvid,
                           "Take it out of 'tagged', or choose another 'pvid' (0 for none)")
    return found


def of_record(document: Any) -> Vlans:
    """What a lease keeps of them."""
    return Vlans(int(document[0]), tuple(str(each) for each in document[1])) if document else USUAL


def view(filtering: bool, vlans: Vlans) -> Dict[str, Any]:
    """VLANs as options show them; nothing where none are kept apart."""
    return {"pvid": vlans.pvid, "tagged": list(vlans.tagged)} if filtering else {}


def apply(index: int, wanted: Vlans, sock: Socket) -> None:
    """Bring the VLANs of a bridge port to what is wanted."""
    have, want = bridge_vlans.ports(sock).get(index, {}), _flags(wanted)
    change = {vlan: flags for vlan, flags in want.items() if have.get(vlan) != flags}
    surplus = [vlan for vlan in have if vlan not in want]
    sock.request(*([bridge_vlans.take(index, surplus)] if surplus else []), *([bridge_vlans.put(index, change)] if change else []))


def observe(index: int, sock: Socket) -> Vlans:
    """The VLANs that a bridge port has; those with other flags than we set are told with a word on it."""
    ports: Dict[int, Dict[int, int]] = glance.shared("VLANs of bridge ports", lambda: bridge_vlans.ports(sock))
    have = ports.get(index, {})
    pvid = next((vlan for vlan, flags in have.items() if flags == PVID | UNTAGGED), 0)
    tagged: List[str] = [_written(*run) for run in bridge_vlans.runs(vlan for vlan, flags in have.items() if not flags)]
    tagged += ["%d %s" % (vlan, "with its tag kept" if flags == PVID else "untagged")
               for vlan, flags in sorted(have.items()) if flags in (PVID, UNTAGGED)]
    return Vlans(pvid, tuple(tagged))


def _flags(vlans: Vlans) -> Dict[int, int]:
    found = dict.fromkeys(_ids(vlans.tagged), 0)
    if vlans.pvid:
        found[vlans.pvid] = PVID | UNTAGGED
    return found


def _ids(ranges: Tuple[str, ...]) -> List[int]:
    found: List[int] = []
    for each in ranges:
        first, _dash, last = each.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _written(first: int, last: int) -> str:
    return "%d" % first if first == last else "%d-%d" % (first, last)
