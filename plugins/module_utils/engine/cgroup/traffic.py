# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What v1's net_cls and net_prio do, for groups of v2: nftables rules that match a group's sockets and set the priority
of their packets, by which classful queueing disciplines choose the class (tc-htb(8), tc-prio(8), nft(8) "socket").

One table holds the rules of all groups; each carries its group's path as a comment.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import Unsupported
from ..kernel import nftables
from .hierarchy import Hierarchies, discover

TABLE = "coracle_cgroups"
_CHAIN = "add chain inet %s output { type route hook output priority mangle; policy accept; }" % TABLE


class Traffic(NamedTuple):
    """How a group's packets are marked; C(None): not said.

    Attributes:
        network_class: Handle of a class, the major number in the upper 16 bits; 0 is none.
        network_priorities: (link, priority); 0 is none.
    """

    network_class: Optional[int] = None
    network_priorities: Optional[Tuple[Tuple[str, int], ...]] = None


NOTHING = Traffic()


def check(hierarchies: Hierarchies) -> None:
    """Refuse where there is neither v1's controllers nor what stands for them.

    Raises:
        Unsupported: Names the reason.
    """
    if hierarchies.v2 is None or not hierarchies.v2.startswith("/sys/fs/cgroup"):
        raise Unsupported("option 'network_class': this host has neither the cgroup controller 'net_cls' nor a v2 hierarchy "
                          "below /sys/fs/cgroup", "Mount one of them", option="network_class")
    if not nftables.available():
        raise Unsupported("option 'network_class': without cgroup v1 it takes nftables, which this host has not",
                          "Install the package that holds libnftables.so.1 or nft (nftables)", option="network_class")


def read(path: str) -> Traffic:
    """How a group's packets are marked now."""
    network_class, priorities = 0, []
    for rule in _rules():
        if rule["cgroup"] == _name(path):
            if rule["link"] is None:
                network_class = rule["value"]
            else:
                priorities.append((rule["link"], rule["value"]))
    return Traffic(network_class, tuple(sorted(priorities)))


def write(path: str, wanted: Traffic) -> None:
    """Mark a group's packets so, in one transaction; what is not said stays."""
    now = read(path)
    links = dict(now.network_priorities or ())
    links.update(wanted.network_priorities or ())
    marks: List[Tuple[Optional[str], int]] = [
        (None, (now if wanted.network_class is None else wanted).network_class or 0), *sorted(links.items())]
    _replace(path, [(link, value) for link, value in marks if value])


def forget(path: str) -> None:
    """Take a group's rules away, and those of groups that are gone."""
    if nftables.available() and _rules():
        _replace(path, [])


def _replace(path: str, marks: List[Tuple[Optional[str], int]]) -> None:
    rules = _rules()
    old = [rule for rule in rules if rule["comment"] == path or rule["cgroup"].isdigit()]  # a number: the group is gone
    lines = ["add table inet " + TABLE, _CHAIN]
    lines += ["delete rule inet %s output handle %d" % (TABLE, rule["handle"]) for rule in old]
    for link, value in marks:  # a rule for one link comes after the one for all, and so wins
        lines.append('add rule inet %s output socket cgroupv2 level %d "%s" %smeta priority set %x:%x comment "%s"' % (
            TABLE, path.count("/"), _name(path), 'oifname "%s" ' % link if link else "", value >> 16, value & 0xffff, path))
    if not marks and len(old) == len(rules):
        lines = ["delete table inet " + TABLE] if rules else []
    if lines:
        nftables.run("\n".join(lines) + "\n")


def _name(path: str) -> str:
    """A group as nft names it: below /sys/fs/cgroup."""
    return ((discover().v2 or "")[len("/sys/fs/cgroup"):] + path).strip("/")


def _rules() -> List[Dict[str, Any]]:
    text = nftables.list_table("inet", TABLE, as_json=True)
    found = []
    for entry in json.loads(text)["nftables"] if text else ():
        rule = entry.get("rule")
        if rule is None:
            continue
        told: Dict[str, Any] = {"handle": rule["handle"], "comment": rule.get("comment", ""), "cgroup": "", "link": None, "value": 0}
        for part in rule["expr"]:
            if "match" in part:
                told["link" if "meta" in part["match"]["left"] else "cgroup"] = str(part["match"]["right"])
            elif "mangle" in part:
                told["value"] = _number(part["mangle"]["value"])
        found.append(told)
    return found


def _number(handle: Any) -> int:
    """A priority as nft tells it: C(MAJ:MIN) in hexadecimal, C(none), or a number."""
    major, colon, minor = str(handle).partition(":")
    if colon:
        return int(major or "0", 16) << 16 | int(minor or "0", 16)
    return int(major) if major.isdigit() else 0
