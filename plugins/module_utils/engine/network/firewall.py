# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance's one nftables table: text from state, one transaction, and what became of it.

C(render) is a pure function. The table is declared, deleted and declared anew in one
transaction, so that no packet sees half of it and what was there before does not matter. Published ports are
elements of maps: their number does not change the cost of a packet.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..instance import Instance
from ..kernel import namespaces, nftables
from ..store import files
from . import leases, networks, publish, records
from .networks import Network
from .publish import Published

FAMILY = "inet"


class State(NamedTuple):
    """All that the table follows from.

    Attributes:
        table: Its name.
        networks: By name.
        published: Each port with the address of the container that it leads to.
    """

    table: str
    networks: Tuple[Network, ...]
    published: Tuple[Tuple[Published, str], ...]


class Seen(NamedTuple):
    """The table as the kernel has it.

    Attributes:
        intact: Whether it is what was applied last, and that is what the state asks for now.
        listing: Its text where it had to be read: where something differs; C(None) where there is no table.
    """

    intact: bool
    listing: Optional[str]


def gather(instance: Instance) -> State:
    """The state on disk."""
    nets = networks.every(instance)
    addresses: Dict[Tuple[str, str], str] = {}
    for net in nets:
        for lease in leases.of(instance, net.name):
            addresses[(net.name, lease.netns)] = lease.address
    inner = {net.name for net in nets if net.internal}
    ports: List[Tuple[Published, str]] = []
    for record in records.every(instance):
        for network, _interface in record.attachments:
            if record.published and network not in inner and (network, record.name) in addresses:
                ports.extend((port, addresses[(network, record.name)]) for port in publish.expand(record.published))
                break
    return State(instance.name, tuple(nets), tuple(sorted(ports)))


def render(state: State) -> str:
    """The table as nft(8) reads it; nothing but its removal where there is no network."""
    lines = ["table %s %s" % (FAMILY, state.table), "delete table %s %s" % (FAMILY, state.table)]
    if not state.networks:
        return "\n".join(lines) + "\n"
    lines.append("table %s %s {" % (FAMILY, state.table))
    lines += _maps(state)
    for net in state.networks:
        lines += _network_chains(net)
    lines += _base_chains(state)
    lines.append("}")
    return "\n".join(lines) + "\n"


def apply(instance: Instance) -> State:
    """Bring the table to what the state on disk asks for, unless it is that already; that state.

    Raises:
        NftablesError: The kernel refused; the table is as before.
    """
    state = gather(instance)
    text = render(state)
    record = files.read_json(_record(instance)) or {}
    if record.get("rendered") == _digest(text) and _seen(instance, state, record).intact \
            or not state.networks and not record:
        return state
    if not record:  # so that what a failure leaves of a first table is known to be ours
        _write(instance, {"rendered": ""})
    nftables.run(text)
    if not state.networks:
        files.remove(_record(instance))
        return state
    before = nftables.generation()
    listing = nftables.list_table(FAMILY, state.table) or ""
    calm = before == nftables.generation()
    _write(instance, {"rendered": _digest(text), "listing": _digest(listing), "generation": before if calm else None,
                      "netns": namespaces.identity("/proc/thread-self/ns/net")})
    return state


def observe(instance: Instance) -> Seen:
    """Compare the kernel's table with what the state on disk asks for.

    Where no rule of the host has changed since, its generation says so and nothing is listed.
    """
    state = gather(instance)
    return _seen(instance, state, files.read_json(_record(instance)) or {})


def _seen(instance: Instance, state: State, record: Dict[str, Any]) -> Seen:
    if not state.networks and not record:
        return Seen(True, None)
    asked = record.get("rendered") == _digest(render(state))
    if asked and record.get("netns") == namespaces.identity("/proc/thread-self/ns/net") \
            and record.get("generation") == nftables.generation():
        return Seen(True, None)
    listing = nftables.list_table(FAMILY, state.table)
    return Seen(asked and listing is not None and record.get("listing") == _digest(listing), listing)


def published_in(listing: Optional[str], address: str) -> Tuple[Published, ...]:
    """The ports that a listing leads to an address."""
    found = []
    for match in _ELEMENT.finditer(listing or ""):
        at, protocol, host_port, target, port = match.groups()
        if target == address:
            found.append(Published(at or "", int(host_port), int(port), protocol))
    return tuple(sorted(found))


_ELEMENT = re.compile(r"(?:([0-9.]+) \. )?(tcp|udp|sctp) \. (\d+) : ([0-9.]+) \. (\d+)")


def masquerades(listing: Optional[str], network: Network) -> bool:
    """Whether a listing gives packets of a network that leave the host the host's address."""
    return _masquerade(network) in (listing or "")


def _maps(state: State) -> List[str]:
    anywhere, at = [], []
    for port, target in state.published:
        value = "%s . %d : %s . %d" % (port.protocol, port.host_port, target, port.port)
        if port.address:
            at.append("%s . %s" % (port.address, value))
        else:
            anywhere.append(value)
    lines = []
    for name, key, elements in (("published", "inet_proto . inet_service", anywhere),
                                ("published_at", "ipv4_addr . inet_proto . inet_service", at)):
        lines += ["\tmap %s {" % name, "\t\ttype %s : ipv4_addr . inet_service" % key]
        if elements:
            lines.append("\t\telements = { %s }" % (",\n\t\t\t     ".join(elements)))
        lines += ["\t}", ""]
    return lines


def _network_chains(net: Network) -> List[str]:
    """What comes to a network and what leaves it, beyond its own bridge."""
    to = ["ct state established,related accept", 'iifname "%s" accept' % net.bridge]
    to += [] if net.internal else ["ct status dnat accept"]
    away = ['oifname != "%s" drop' % net.bridge] if net.internal else []
    return _chain("to_" + net.name, to + ["drop"]) + _chain("from_" + net.name, away)


def _base_chains(state: State) -> List[str]:
    nets = state.networks
    arriving = ", ".join('"%s" : jump to_%s' % (net.bridge, net.name) for net in nets)
    leaving = ", ".join('"%s" : jump from_%s' % (net.bridge, net.name) for net in nets)
    bridges = ", ".join('"%s"' % net.bridge for net in nets)
    translate = ["fib daddr type local jump published"]
    lines = _chain("published", ["dnat ip to ip daddr . meta l4proto . th dport map @published_at",
                                 "dnat ip to meta l4proto . th dport map @published"])
    # Loopback addresses may leave by our bridges (route_localnet), so they must not come in by them.
    lines += _chain("guard", ["type filter hook prerouting priority raw; policy accept;",
                              "iifname { %s } ip daddr 127.0.0.0/8 drop" % bridges])
    lines += _chain("prerouting", ["type nat hook prerouting priority dstnat; policy accept;"] + translate)
    lines += _chain("output", ["type nat hook output priority -100; policy accept;"] + translate)
    lines += _chain("forward", ["type filter hook forward priority filter; policy accept;",
                                "iifname vmap { %s }" % leaving, "oifname vmap { %s }" % arriving])
    source = ["type nat hook postrouting priority srcnat; policy accept;"]
    for net in nets:
        source += [_masquerade(net)] if net.masquerade and not net.internal else []
        # Hairpin: who reaches its own network by a published port must get its answer by way of the host.
        source.append('oifname "%s" ip saddr %s ct status dnat masquerade' % (net.bridge, net.subnet))
    source.append("oifname { %s } ip saddr 127.0.0.0/8 ct status dnat masquerade" % bridges)
    return lines + _chain("postrouting", source)[:-1]


def _masquerade(net: Network) -> str:
    return 'ip saddr %s oifname != "%s" masquerade' % (net.subnet, net.bridge)


def _chain(name: str, rules: Sequence[str]) -> List[str]:
    return ["\tchain %s {" % name] + ["\t\t" + rule for rule in rules] + ["\t}", ""]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _write(instance: Instance, record: Dict[str, Any]) -> None:
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("network"))
    files.write_json(_record(instance), record, durable=False)


def _record(instance: Instance) -> str:
    return os.path.join(instance.run("network"), "table.json")
