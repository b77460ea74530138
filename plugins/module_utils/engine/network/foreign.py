# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls of others that would drop our packets, and what to tell them.

A verdict C(accept) ends one base chain only, and C(drop) in any other is final (nft(8), VERDICT STATEMENT). So no rule of ours can let
pass what another table drops. Each of them is walked here with the packets in question; nothing is changed.
"""

from __future__ import annotations

import json
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from ..kernel import nftables
from ..store import glance
from . import addresses, overlay, verdicts
from .networks import Network
from .spec import NetnsSpec
from .verdicts import Packet, Rules

_FAMILIES = {"ip": ("ip",), "ip6": ("ip6",), "inet": ("ip", "ip6")}
_ELSEWHERE = {"ip": "203.0.113.1", "ip6": "2001:db8:ffff::1"}
"""Somebody outside (RFC 5737, RFC 3849)."""


class Chain(NamedTuple):
    """A base chain of somebody else, with its table and its hook."""

    family: str
    table: str
    name: str
    rules: Rules
    hook: str = "forward"


class Way(NamedTuple):
    """Packets of one kind that a network needs to pass, in a sentence who they are, and where they pass: on, or into the host."""

    who: str
    packet: Packet
    port: int = 0
    hook: str = "forward"


def warnings(own_table: str, spec: NetnsSpec) -> List[str]:
    """What a person should know before the containers are cut off: one sentence for each chain and kind of packets.

    Args:
        own_table: The name of the instance's table.
    """
    return of_networks(own_table, [each.network for each in spec.attachments], _proxied(spec) if spec.proxy else _published(spec),
                       names=spec.names is not None)


def of_networks(own_table: str, nets: Sequence[Network], published: Iterable[Way] = (), names: bool = False) -> List[str]:
    """The same of networks, and of what is published to their members.

    Args:
        names: Whether the members ask the host for names.
    """
    nets = [net for net in nets if net.bridged]
    if not nets or not nftables.available():
        return []
    ways = [way for net in nets for way in (_outward(net) if net.publishes else [])] + list(published)
    ways += [way for net in nets for way in _over_hosts(net) + (_names(net) if names else [])]
    found = []
    for chain in glance.shared("chains of others", lambda: chains(own_table)):
        for way in ways:
            if way.hook == chain.hook and way.packet.family in _FAMILIES[chain.family] \
                    and verdicts.walk(chain.rules, chain.name, way.packet) == "drop":
                found.append("the chain '%s' of the table '%s %s' drops %s. Let it pass: %s" % (
                    chain.name, chain.family, chain.table, way.who, _remedy(chain, way)))
    return list(dict.fromkeys(found))


def chains(own_table: str) -> List[Chain]:
    """The base chains of others that packets go through that pass on or come in; lists a table only where it has one."""
    there = sorted({(each.family, each.table) for each in nftables.base_chains()
                    if each.family in _FAMILIES and each.hook in ("forward", "input") and each.table != own_table})
    found = []
    for family, table in there:
        listing = nftables.list_table(family, table, as_json=True)
        if listing is None:
            continue
        rules = verdicts.read(json.loads(listing)["nftables"])
        found += [Chain(family, table, name, rules, hook) for name, hook in sorted(rules.hooks.items())
                  if hook in ("forward", "input")]
    return found


def _outward(net: Network) -> List[Way]:
    """What members send to others, and the answers to it."""
    found = []
    for family in sorted({"ip6" if ":" in subnet else "ip" for subnet in net.subnets}):
        pool = next(pool for pool in net.pools if (":" in pool.subnet) == (family == "ip6"))
        member = _member(pool.subnet)
        found.append(Way("what members of network '%s' send to other hosts" % net.name,
                         Packet(family, net.bridge, "", member, _ELSEWHERE[family], "tcp", 443)))
        found.append(Way("the answers of other hosts to members of network '%s'" % net.name,
                         Packet(family, "", net.bridge, _ELSEWHERE[family], member, "tcp", 40000, "established")))
    return found


def _over_hosts(net: Network) -> List[Way]:
    """What members of other hosts send, and the frames that it comes in."""
    way, options = overlay.way(net), dict(net.options)
    found = []
    for peer in net.peers[:1]:
        for subnet in peer.subnets if way else ():
            family = "ip6" if ":" in subnet else "ip"
            pool = next((pool for pool in net.pools if (":" in pool.subnet) == (":" in subnet)), None)
            if pool is not None:
                found.append(Way("what members of network '%s' on other hosts send to those here" % net.name,
                                 Packet(family, way, net.bridge, _member(subnet), _member(pool.subnet), "tcp", 443)))
        if overlay.tunnelled(net):
            found.append(Way("the frames of other hosts of network '%s'" % net.name, Packet(
                "ip6" if ":" in peer.address else "ip", "", "", peer.address, options["local"], "udp", int(options["port"])),
                int(options["port"]), "input"))
    return found


def _names(net: Network) -> List[Way]:
    """The questions for names, which members ask the bridge."""
    return [Way("what members of network '%s' ask for names" % net.name,
                Packet("ip6" if ":" in pool.gateway else "ip", net.bridge, "", _member(pool.subnet), pool.gateway, "udp", 53), 53, "input")
            for pool in net.pools[:1]]


def _proxied(spec: NetnsSpec) -> List[Way]:
    """What comes from other hosts to ports that the proxy listens at."""
    found = {}
    for port in spec.published:
        if port.address != "::1" and not port.address.startswith("127."):
            family = "ip6" if ":" in port.address else "ip"
            found[(family, port.protocol, port.host_port)] = Way(
                "what comes from other hosts to the published port %d/%s of '%s'" % (port.host_port, port.protocol, spec.name),
                Packet(family, "", "", _ELSEWHERE[family], port.address or "198.51.100.1", port.protocol, port.host_port),
                port.host_port, "input")
    return list(found.values())


def _member(subnet: str) -> str:
    block = addresses.subnet(subnet)
    return addresses.text(block.width, block.base + 2)


def _published(spec: NetnsSpec) -> List[Way]:
    """What comes from other hosts to published ports."""
    target = next((each for each in spec.attachments if each.publishes), None)
    found: Dict[Tuple[str, str, int], Way] = {}
    for port in spec.published if target is not None else ():
        for address in target.addresses if target is not None else ():
            family = "ip6" if ":" in address else "ip"
            if target is None or port.address.startswith("127.") or port.address and (":" in port.address) != (family == "ip6"):
                continue
            packet = Packet(family, "", target.network.bridge, _ELSEWHERE[family], address, port.protocol, port.port, "new", "dnat")
            found.setdefault((family, port.protocol, port.port), Way(
                "what comes from other hosts to the published port %d/%s of '%s'" % (port.host_port, port.protocol, spec.name),
                packet, port.port))
    return list(found.values())


def _remedy(chain: Chain, way: Way) -> str:
    """The command that lets packets of a kind pass."""
    packet = way.packet
    if way.hook == "input":
        return _remedy_of_input(chain, way)
    bridge = packet.iifname or packet.oifname
    if chain.table == "firewalld":
        return "firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload" % bridge
    program = "ip6tables" if packet.family == "ip6" else "iptables"
    if "ufw-before-forward" in chain.rules.chains or "ufw6-before-forward" in chain.rules.chains:
        if packet.iifname:
            return "ufw route allow in on %s" % bridge
        if way.port:
            return "ufw route allow out on %s proto %s to %s port %d" % (bridge, packet.protocol, packet.daddr, way.port)
    if chain.name == "FORWARD" and chain.table == "filter" and chain.family != "inet":
        before = "DOCKER-USER" if "DOCKER-USER" in chain.rules.chains else "FORWARD"
        if packet.iifname:
            match = "-i %s" % bridge
        elif way.port:  # in words that nftables can read back, which a match of conntrack is not
            match = "-o %s -d %s -p %s --dport %d" % (bridge, packet.daddr, packet.protocol, way.port)
        else:
            match = "-o %s -m conntrack --ctstate ESTABLISHED,RELATED" % bridge
        return "%s -I %s %s -j ACCEPT" % (program, before, match)
    match = 'iifname "%s"' % bridge if packet.iifname else 'oifname "%s" ct %s' % (
        bridge, "status dnat" if way.port else "state established,related")
    return "nft 'insert rule %s %s %s %s accept'" % (chain.family, chain.table, chain.name, match)


def _remedy_of_input(chain: Chain, way: Way) -> str:
    """The command that lets packets into the host."""
    packet, port = way.packet, way.port
    if chain.table == "firewalld":
        where = "--zone=trusted --add-interface=%s" % packet.iifname if packet.iifname else "--add-port=%d/%s" % (port, packet.protocol)
        return "firewall-cmd --permanent %s && firewall-cmd --reload" % where
    if "ufw-before-input" in chain.rules.chains or "ufw6-before-input" in chain.rules.chains:
        where = "in on %s to any port %d" % (packet.iifname, port) if packet.iifname else "%d/%s" % (port, packet.protocol)
        return "ufw allow " + where
    if chain.name == "INPUT" and chain.table == "filter" and chain.family != "inet":
        program = "ip6tables" if packet.family == "ip6" else "iptables"
        return "%s -I INPUT %s-p %s --dport %d -j ACCEPT" % (
            program, "-i %s " % packet.iifname if packet.iifname else "", packet.protocol, port)
    match = ('iifname "%s" ' % packet.iifname if packet.iifname else "") + (
        "meta l4proto { tcp, udp } th dport 53" if port == 53 and packet.iifname else "%s dport %d" % (packet.protocol, port))
    return "nft 'insert rule %s %s %s %s accept'" % (chain.family, chain.table, chain.name, match)
