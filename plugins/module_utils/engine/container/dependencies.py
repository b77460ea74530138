# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers start before others: what C(depends_on) says, and whose namespaces are joined."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import Conflict, Corrupt
from ..instance import Instance
from . import records, sharing

STARTED = "started"
HEALTHY = "healthy"


class Need(NamedTuple):
    """Another container, and what is waited for.

    Attributes:
        name: The container's.
        condition: C(started), which waits for its readiness where it says that (C(sdnotify)), or C(healthy).
    """

    name: str
    condition: str = STARTED


def of(options: Mapping[str, Any]) -> Tuple[Need, ...]:
    """What a container with these options waits for."""
    found = {}
    for option in sharing.OPTIONS:
        joined = sharing.other(options, option)
        if joined:
            found[joined] = Need(joined)
    for text in options.get("depends_on") or ():
        name, _colon, condition = text.partition(":")
        found[name] = Need(name, condition or STARTED)
    return tuple(found[name] for name in sorted(found))


def every(instance: Instance) -> Dict[str, Tuple[Need, ...]]:
    """What each container of an instance waits for, by name."""
    found = {}
    for name in records.listed(instance):
        try:
            record = records.read(instance, name)
        except Corrupt:
            continue
        if record is not None and not record.candidate:
            found[records.called(name)] = of(record.options)
    return found


def cycle(graph: Mapping[str, Collection[str]], begin: str) -> Optional[List[str]]:
    """A way from a container over those that it needs back to itself, it at both ends; pure."""
    ways, seen = [[begin]], {begin}
    while ways:
        way = ways.pop(0)
        for name in sorted(graph.get(way[-1], ())):
            if name == begin:
                return [*way, begin]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None


def check(instance: Instance, name: str, full: Mapping[str, Any], promised: Collection[str] = ()) -> Tuple[str, ...]:
    """Refuse containers that wait for one another.

    Args:
        promised: Containers that will be there, whose needs somebody else has looked at.

    Returns: What a person should know: whom it names that is not there; it counts as soon as it is.

    Raises:
        Conflict: Nobody could begin; says who waits for whom.
    """
    if not full.get("depends_on") or all(need.name in promised for need in of(full)):
        return ()
    known = every(instance)
    graph = {each: [need.name for need in needs] for each, needs in {**known, name: of(full)}.items()}
    way = cycle(graph, name)
    if way is not None:
        raise Conflict("option 'depends_on': containers would wait for one another: %s" % " -> ".join(way),
                       "Leave one of these dependencies out")
    return tuple("depends_on: there is no container '%s' on this host (yet)" % need.name for need in of(full) if need.name not in known)


def ordered(graph: Mapping[str, Collection[str]]) -> List[str]:
    """Names, each after those that it needs; others by the alphabet, and who waits in a circle at the end. Pure."""
    left, found = set(graph), []  # type: Tuple[Any, List[str]]
    while left:
        free = sorted(name for name in left if not left & (set(graph[name]) - {name})) or sorted(left)
        found += free
        left -= set(free)
    return found
