# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports: their written form, and who else has a port."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import lru_cache
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from ..errors import Conflict, InvalidValue
from ..instance import Instance
from ..store import files
from . import listeners, records


_yielding: Set[str] = set()
"""Containers whose ports C(check) takes for free."""


class Published(NamedTuple):
    """One port of the host that leads to one port of a container.

    Attributes:
        address: The host's address that it is bound to, of either family; empty for all.
        host_port, port: On the host, in the container.
        protocol: C(tcp), C(udp) or C(sctp).
    """

    address: str
    host_port: int
    port: int
    protocol: str


def expand(texts: Iterable[str]) -> Tuple[Published, ...]:
    """The single ports of C([ADDRESS:]HOST[-HOST]:PORT[-PORT]/PROTOCOL), the form that the option table yields.

    An IPv6 address stands in brackets.

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
        address = parts[0].strip("[]") if len(parts) == 3 and parts[0] != "0.0.0.0" else ""
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


@contextmanager
def supposing(yielding: FrozenSet[str]) -> Iterator[None]:
    """Take for free what these have, whom a plan brings to ports that do not meet those of others before. Not for changes."""
    before = frozenset(_yielding)
    _yielding.update(yielding)
    try:
        yield
    finally:
        _yielding.intersection_update(before)


@lru_cache(maxsize=1024)  # all containers' ports are looked at whenever one of them changes
def served(ports: Tuple[Published, ...], targets: Tuple[str, ...]) -> Tuple[Tuple[Published, str], ...]:
    """Each port with each address of its container that it leads to."""
    return tuple((port, target) for port in ports for target in targets if serves(port, target))


def serves(port: Published, target: str) -> bool:
    """Whether a port leads to an address of a container: of the same family, where the host's address is named."""
    return not port.address or (":" in port.address) == (":" in target)


def listening_folder(instance: Instance) -> str:
    """Where it is noted which ports the keeper listens on for containers that sleep."""
    return instance.run("activation")


def listening_path(instance: Instance, name: str) -> str:
    """The note of one container."""
    return os.path.join(listening_folder(instance), name + ".json")


def _listened(instance: Instance) -> Dict[str, Tuple[Published, ...]]:
    """The ports that the keeper listens on, by container."""
    try:
        names = [each[:-len(".json")] for each in os.listdir(listening_folder(instance)) if each.endswith(".json")]
    except FileNotFoundError:
        return {}
    notes = {name: files.read_json(listening_path(instance, name)) for name in names}
    return {name: expand(note["ports"]) for name, note in notes.items() if note}


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
    if not wanted:
        return
    others: Dict[Tuple[str, int], List[Tuple[str, str]]] = {(port.protocol, port.host_port): [] for port in wanted}
    own: Tuple[Published, ...] = ()
    container = netns.rstrip("~")  # or the one which it takes the place of
    for record in records.every(instance):
        if not record.published:
            continue
        ports, holder = expand(record.published), record.name.rstrip("~")
        if record.name == netns:
            own = ports
        if holder == container or holder in _yielding:
            continue
        for port in ports:
            if (port.protocol, port.host_port) in others:
                others[(port.protocol, port.host_port)].append((port.address, record.name))
    for name, ports in _listened(instance).items():
        if name == container:
            own += ports
        for port in ports if name != container and name not in _yielding else ():
            if (port.protocol, port.host_port) in others:
                others[(port.protocol, port.host_port)].append((port.address, name))
    for port in wanted:
        for address, holder in others[(port.protocol, port.host_port)]:
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
                if process.startswith(listeners.OWNERS):
                    continue  # for a container that had it a moment ago
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
    return "%s%d/%s" % (_front(port), port.host_port, port.protocol)


def _front(port: Published) -> str:
    if ":" in port.address:
        return "[%s]:" % port.address
    return port.address + ":" if port.address else ""


def _written(first: Published, last: Published) -> str:
    if first == last:
        return "%s%d:%d/%s" % (_front(first), first.host_port, first.port, first.protocol)
    return "%s%d-%d:%d-%d/%s" % (_front(first), first.host_port, last.host_port, first.port, last.port, first.protocol)


def _range(text: str) -> Tuple[int, int]:
    first, dash, last = text.partition("-")
    return int(first), int(last if dash else first)
