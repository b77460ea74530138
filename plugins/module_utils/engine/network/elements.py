# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The elements of the maps of published ports: written, told apart from the rest of the table, and changed by themselves.

Pure functions. Where ports are all that differs, only the elements that come and go are sent to the kernel, so that a port of one costs
nothing for those of two hundred others.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .publish import Published

_ELEMENT = re.compile(r"(?:([0-9a-f.:]+) \. )?(tcp|udp|sctp) \. (\d+) : ([0-9a-f.:]+) \. (\d+)")
_MAP = re.compile(r"(\tmap published[6_at]* \{\n(?:\t\t(?!elements)[^\n]*\n)*)\t\telements = \{[^}]*\}\n")


@lru_cache(maxsize=8)  # the table is rendered several times on the way of one change
def of(published: Tuple[Tuple[Published, str], ...]) -> Mapping[str, Sequence[str]]:
    """The elements of each map, by its name, as nft(8) writes them."""
    found: Dict[str, List[str]] = {"published": [], "published_at": [], "published6": [], "published6_at": []}
    for port, target in published:
        value = "%s . %d : %s . %d" % (port.protocol, port.host_port, target, port.port)
        name = "published6" if ":" in target else "published"
        if port.address:
            found[name + "_at"].append("%s . %s" % (port.address, value))
        else:
            found[name].append(value)
    return found


def written(maps: Mapping[str, Sequence[str]]) -> str:
    """All elements as one text, for the record: a line for each map."""
    return "\n".join("%s=%s" % (name, ",".join(elements)) for name, elements in sorted(maps.items()))


def difference(family: str, table: str, recorded: str, maps: Mapping[str, Sequence[str]]) -> Optional[str]:
    """The commands that lead from the recorded elements to others, as one transaction.

    Returns: C(None) where the maps are not the same ones, or nothing differs.
    """
    before = {name: text.split(",") if text else [] for name, _equals, text in (line.partition("=") for line in recorded.split("\n"))}
    if set(before) != set(maps):
        return None
    lines = []
    for name in sorted(maps):
        old, new = set(before[name]), set(maps[name])
        for verb, which in (("delete", sorted(old - new)), ("add", sorted(new - old))):
            if which:
                lines.append("%s element %s %s %s { %s }" % (verb, family, table, name, ", ".join(which)))
    return "\n".join(lines) + "\n" if lines else None


def parse(listing: str) -> List[Tuple[Published, str]]:
    """The ports of a listing, with the address that each leads to."""
    return [(Published(at, int(host_port), int(port), protocol), target) for found in _MAP.finditer(listing)
            for at, protocol, host_port, target, port in _ELEMENT.findall(found.group())]


def without(listing: str) -> str:
    """A listing without these elements."""
    return _MAP.sub(r"\1", listing)
