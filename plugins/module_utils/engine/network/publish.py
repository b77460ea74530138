# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports: their written form, and who else has a port."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from ..errors import Conflict, InvalidValue
from ..instance import Instance
from . import listeners, records


class Published(NamedTuple):
    """One port of the host that leads to one port of a container.

    Attributes:
        address: The host's address that it is bound to; empty for all.
        host_port, port: On the host, in the container.
        protocol: C(tcp), C(udp) or C(sctp).
    """

    address: str
    host_port: int
    port: int
    protocol: str


def expand(texts: Iterable[str]) -> Tuple[Published, ...]:
    """The single ports of C([ADDRESS:]HOST[-HOST]:PORT[-PORT]/PROTOCOL), the form that the option table yields.

    Raises:
        InvalidValue: One does not say the host's port, or has ranges of different length.
    """
    return _expanded(tuple(texts))


@lru_cache(maxsize=1024)  # all containers' ports are looked at whenever one of them changes
def _expanded(texts: Tuple[str, ...]) -> Tuple[Published, ...]:
    found = set()
    for text in texts:
        front, _slash, protocol = text.partition("/")
        parts = front.rsplit(":", 2)
        address = parts[0] if len(parts) == 3 and parts[0] != "0.0.0.0" else ""
        if len(parts) < 2:
            raise InvalidValue("published_ports", text, "does not say which port of the host",
                               "Write HOST:CONTAINER, such as 8080:%s" % front)
        host, inner = _range(parts[-2]), _range(parts[-1])
        if host[1] - host[0] != inner[1] - inner[0]:
            raise InvalidValue("published_ports", text, "has ranges of different length", "Give both the same length")
        for offset in range(host[1] - host[0] + 1):
            found.add(Published(address, host[0] + offset, inner[0] + offset, protocol or "tcp"))
    return tuple(sorted(found))


def contract(ports: Iterable[Published]) -> List[str]:
    """The shortest written form, the same for the same ports: neighbours become ranges."""
    runs: List[List[Published]] = []
    for each in sorted(ports, key=lambda port: (port.protocol, port.address, port.host_port, port.port)):
        last = runs[-1][-1] if runs else None
        if last is not None and each == last._replace(host_port=last.host_port + 1, port=last.port + 1):
            runs[-1].append(each)
        else:
            runs.append([each])
    return [_written(run[0], run[-1]) for run in runs]


def loopback(port: Published) -> bool:
    """Whether a port is reachable by the host's 127.0.0.1."""
    return not port.address or port.address.startswith("127.")


def check(instance: Instance, netns: str, wanted: Sequence[Published], listening: bool = True) -> None:
    """Whether all of these ports can be had.

    Args:
        netns: Who wants them; what it has already is not looked at again.
        listening: Whether to look for listening processes too.

    Raises:
        InvalidValue: Two of them are the same port of the host.
        Conflict: One is another container's, or a process of the host listens on it; it says which.
    """
    _check_single(wanted)
    others: Dict[Tuple[str, int], List[Tuple[str, str]]] = {}
    own: Tuple[Published, ...] = ()
    for record in records.every(instance):
        if record.name == netns:
            own = expand(record.published)
            continue
        for port in expand(record.published):
            others.setdefault((port.protocol, port.host_port), []).append((port.address, record.name))
    for port in wanted:
        for address, holder in others.get((port.protocol, port.host_port), ()):
            if _meet(address, port.address):
                raise Conflict("port %s of the host is taken: container '%s' publishes it" % (_named(port), holder),
                               "Publish another port, or take it from '%s' first" % holder,
                               port=port.host_port, protocol=port.protocol, owner=holder)
    fresh = [port for port in wanted if port not in own and listening]
    heard = listeners.on([(port.protocol, port.host_port) for port in fresh])
    for port in fresh:
        for listener in heard.get((port.protocol, port.host_port), ()):
            if _meet(listener.address, port.address):
                process = listeners.owner(listener)
                raise Conflict("port %s of the host is taken: %s listens on it" % (_named(port), process),
                               "Publish another port, or stop that process",
                               port=port.host_port, protocol=port.protocol, owner=process)


def _check_single(wanted: Sequence[Published]) -> None:
    """One port of the host leads to one port."""
    seen: Dict[Tuple[str, int, str], Published] = {}
    for port in wanted:
        other = seen.setdefault((port.address, port.host_port, port.protocol), port)
        if other != port:
            raise InvalidValue("published_ports", contract([other, port]),
                               "lead port %s of the host to two ports" % _named(port), "Give each a port of its own")


def _meet(one: str, other: str) -> bool:
    return not one or not other or one == other


def _named(port: Published) -> str:
    return "%s%d/%s" % (port.address + ":" if port.address else "", port.host_port, port.protocol)


def _written(first: Published, last: Published) -> str:
    address = first.address + ":" if first.address else ""
    if first == last:
        return "%s%d:%d/%s" % (address, first.host_port, first.port, first.protocol)
    return "%s%d-%d:%d-%d/%s" % (address, first.host_port, last.host_port, first.port, last.port, first.protocol)


def _range(text: str) -> Tuple[int, int]:
    first, dash, last = text.partition("-")
    return int(first), int(last if dash else first)
