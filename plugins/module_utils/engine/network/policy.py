# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may speak with whom: policies, compiled into maps of nftables.

The rules of each container and direction become two maps: from the peer's address to a class of peers, and from the port to the verdict
of that class. Both are worked out here, first rule first, so that a packet costs three lookups whatever the number of rules,
containers and peers is. Chains are named after their content: containers with the same rules share them.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import addresses

Interval = Tuple[int, int]
Span = Tuple[str, int, int]
"""Protocol, first and last port."""
PROTOCOLS = ("tcp", "udp", "sctp")
FAMILIES = ((32, "ip"), (128, "ip6"))


class Member(NamedTuple):
    """An attachment, as policies see it.

    Attributes:
        netns: What it is called: the namespace's name, or the container's.
        network: Which network.
        end: The host's end of its veth pair; empty for a member of another host, whom that host judges.
        addresses: Of both families.
        labels: Of the container.
        policy: The container's own, as C(options.policy) yields it.
    """

    netns: str
    network: str
    end: str
    addresses: Tuple[str, ...]
    labels: Mapping[str, str] = {}
    policy: Optional[Mapping[str, Any]] = None


class Net(NamedTuple):
    """A network, as policies see it."""

    name: str
    subnets: Tuple[str, ...]
    policy: Optional[Mapping[str, Any]] = None


class Rule(NamedTuple):
    """A rule whose peers are known.

    Attributes:
        allow: Its verdict.
        peers: Addresses of one family, ascending, none twice.
        spans: C(None) for all protocols and ports.
    """

    allow: bool
    peers: Tuple[Interval, ...]
    spans: Optional[Tuple[Span, ...]]


class Services(NamedTuple):
    """What a class of peers may.

    Attributes:
        other: The verdict of all that C(spans) does not name.
        spans: Ports with the opposite verdict, ascending.
    """

    other: bool
    spans: Tuple[Span, ...] = ()


# From what is written to rules

class World:
    """All that names in a policy can mean."""

    def __init__(self, members: Sequence[Member], nets: Sequence[Net]) -> None:
        self.members = members
        self.nets = {net.name: net for net in nets}
        self._known: Dict[Tuple[str, int, bool], Tuple[Interval, ...]] = {}

    def peers(self, names: Iterable[str], width: int, host: bool) -> Tuple[Interval, ...]:
        """The addresses of a family that some names mean.

        Args:
            host: Whether the packets go to or come from the host itself.
        """
        found: List[Interval] = []
        for name in names:
            key = (name, width, host)
            if key not in self._known:
                self._known[key] = self._peer(name, width, host)
            found += self._known[key]
        return union(found)

    def _peer(self, name: str, width: int, host: bool) -> Tuple[Interval, ...]:
        whole = (0, (1 << width) - 1)
        if name == "any":
            return (whole,)
        if name == "host":
            return (whole,) if host else ()
        if "/" in name and not name.startswith(("container:", "network:", "label:")):
            return _blocks([name], width)
        if name.startswith("network:") and " " not in name:
            net = self.nets.get(name[8:])
            return _blocks(net.subnets, width) if net else ()
        held = [address for member in self.members if chosen(member, name) for address in member.addresses]
        return union([(value, value) for of, value in map(addresses.number, held) if of == width])


def chosen(member: Member, name: str) -> bool:
    """Whether a name such as C(network:front label:tier=web) means a member: all its parts do."""
    for term in name.split():
        kind, _colon, rest = term.partition(":")
        key, equals, value = rest.partition("=")
        if kind == "container" and member.netns != rest or kind == "network" and member.network != rest:
            return False
        if kind == "label" and (key not in member.labels or equals and member.labels[key] != value):
            return False
    return True


def rules_of(world: World, member: Member, direction: str, width: int, host: bool) -> Optional[Tuple[Tuple[Rule, ...], bool]]:
    """The rules of a member for a direction, its own before its network's, and the verdict where none applies.

    C(None) where nobody says anything of it. As with Kubernetes' NetworkPolicy, what is not allowed is denied as soon as something is
    allowed, or an empty list says that nothing is; rules that only deny deny no more than they say.
    """
    rows: List[Mapping[str, Any]] = []
    closed = said = False
    for policy, of_network in ((member.policy, False), (world.nets[member.network].policy, True)):
        if policy is None or policy.get(direction) is None:
            continue
        mine = [row for row in policy[direction] if not of_network or not row.get("members")
                or any(chosen(member, name) for name in row["members"])]
        said = said or bool(mine) or not policy[direction]
        closed = closed or not policy[direction] or any(row.get("allow") for row in mine)
        rows += mine
    if not said:
        return None
    found = []
    for row in rows:
        peers = world.peers(row.get("allow") or row.get("deny") or (), width, host)
        peers = without(peers, world.peers(row.get("except") or (), width, host))
        spans = tuple(map(_span, row["ports"])) if row.get("ports") else None
        if peers:
            found.append(Rule(bool(row.get("allow")), peers, spans))
    return tuple(found), not closed


def decide(rules: Sequence[Rule], default: bool) -> Tuple[Tuple[int, int, Services], ...]:
    """The classes of peers: blocks of addresses, ascending and apart, whose verdicts are not just the default."""
    bounds = sorted({bound for rule in rules for low, high in rule.peers for bound in (low, high + 1)})
    begins: Dict[int, List[int]] = {}
    ends: Dict[int, List[int]] = {}
    for at, rule in enumerate(rules):
        for low, high in rule.peers:
            begins.setdefault(low, []).append(at)
            ends.setdefault(high + 1, []).append(at)
    known: Dict[Tuple[int, ...], Services] = {}
    active: List[int] = []
    found: List[Tuple[int, int, Services]] = []
    for low, after in zip(bounds, bounds[1:]):
        active = sorted(set(active) - set(ends.get(low, ())) | set(begins.get(low, ())))
        key = tuple(active)
        if key not in known:
            known[key] = services([rules[at] for at in key], default)
        of = known[key]
        if of == Services(default):
            continue
        if found and found[-1][1] + 1 == low and found[-1][2] == of:
            found[-1] = (found[-1][0], after - 1, of)
        else:
            found.append((low, after - 1, of))
    return tuple(found)


def services(rules: Sequence[Rule], default: bool) -> Services:
    """The verdicts for peers that certain rules are about: the first that is about a port too decides."""
    other = next((rule.allow for rule in rules if rule.spans is None), default)
    found: List[Span] = []
    for protocol in PROTOCOLS:
        bounds = sorted({1, 65536} | {bound for rule in rules for of, low, high in rule.spans or () if of == protocol
                                      for bound in (low, high + 1)})
        for low, after in zip(bounds, bounds[1:]):
            verdict = next((rule.allow for rule in rules if rule.spans is None or any(
                of == protocol and first <= low <= last for of, first, last in rule.spans)), default)
            if verdict == other:
                continue
            if found and found[-1][0] == protocol and found[-1][2] + 1 == low:
                found[-1] = (protocol, found[-1][1], after - 1)
            else:
                found.append((protocol, low, after - 1))
    return Services(other, tuple(found))


def union(intervals: Iterable[Interval]) -> Tuple[Interval, ...]:
    """The same numbers, ascending, none twice."""
    found: List[Interval] = []
    for low, high in sorted(intervals):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def without(intervals: Sequence[Interval], others: Sequence[Interval]) -> Tuple[Interval, ...]:
    """The numbers that are in the first and not in the second."""
    found: List[Interval] = []
    for low, high in intervals:
        for first, last in others:
            if last < low or first > high:
                continue
            if first > low:
                found.append((low, first - 1))
            low = last + 1
        if low <= high:
            found.append((low, high))
    return tuple(found)


def _blocks(blocks: Iterable[str], width: int) -> Tuple[Interval, ...]:
    found = [addresses.subnet(block) for block in blocks]
    return union([(block.base, block.last) for block in found if block.width == width])


def _span(text: str) -> Span:
    ports, _slash, protocol = text.partition("/")
    low, _dash, high = ports.partition("-")
    return protocol, int(low), int(high or low)


# From rules to nftables

class Rendered(NamedTuple):
    """The text of the policies.

    Attributes:
        chains: Maps and chains that verdicts lead to; the same in each table that judges.
        judge: The rules of a chain that judges what passes between members and others.
        to_host, from_host: Likewise what members send to the host itself, and the host to them.
    """

    chains: List[str]
    judge: List[str]
    to_host: List[str]
    from_host: List[str]


_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } return"
_MAPS = (("egress", "saddr", "egress", False), ("ingress", "daddr", "ingress", False),
         ("to_host", "saddr", "egress", True), ("from_host", "daddr", "ingress", True))
"""Name, by which address a member is known, direction, and whether the other side is the host."""


def render(members: Sequence[Member], nets: Sequence[Net]) -> Rendered:
    """Compile all policies."""
    world = World(members, nets)
    chains: Dict[str, List[str]] = {}
    lines: List[str] = []
    known: Dict[Any, str] = {}
    present = []
    for name, _key, direction, host in _MAPS:
        for width, family in FAMILIES:
            elements: Dict[int, str] = {}
            for member in (each for each in members if each.end):
                mine = [value for of, value in map(addresses.number, member.addresses) if of == width]
                said = rules_of(world, member, direction, width, host) if mine else None
                if said is None:
                    continue
                rules, default = said
                if host and direction == "ingress":
                    default = True  # the host's own connections are let through unless a rule denies them
                asked = (rules, default, direction, family)
                if asked not in known:
                    known[asked] = _verdict(rules, default, "saddr" if direction == "ingress" else "daddr", width, family, chains)
                if known[asked] != "return":
                    elements.update(dict.fromkeys(mine, known[asked]))
            if elements:
                present.append((name, family))
                lines += ["\tmap %s_%s {" % (name, family), "\t\ttype %s_addr : verdict" % ("ipv4" if width == 32 else "ipv6"),
                          "\t\telements = { %s }" % ",\n\t\t\t     ".join(
                              "%s : %s" % (addresses.text(width, value), verdict) for value, verdict in sorted(elements.items())),
                          "\t}", ""]
    for chain in sorted(chains):
        lines += ["\tchain %s {" % chain] + ["\t\t" + rule for rule in chains[chain]] + ["\t}", ""]

    def lookups(*names: str) -> List[str]:
        return ["%s %s vmap @%s_%s" % (family, key, name, family) for name, key, _direction, _host in _MAPS if name in names
                for _width, family in FAMILIES if (name, family) in present]
    return Rendered(lines, [_NEIGHBOURS, *lookups("egress", "ingress")], [_NEIGHBOURS, *lookups("to_host")],
                    [_NEIGHBOURS, *lookups("from_host")])


def _verdict(rules: Sequence[Rule], default: bool, key: str, width: int, family: str, chains: Dict[str, List[str]]) -> str:
    """Where a packet of a member goes: C(drop), C(return), or a jump to a chain, which is added."""
    classes = decide(rules, default)
    last = "return" if default else "drop"
    if not classes:
        return last
    if len(classes) == 1 and classes[0][:2] == (0, (1 << width) - 1):
        return _class(classes[0][2], chains).replace("goto", "jump")
    elements = ", ".join("%s : %s" % (_written(width, low, high), _class(of, chains)) for low, high, of in classes)
    return "jump " + _add("peers", ["%s %s vmap { %s }" % (family, key, elements), last], chains)


def _class(of: Services, chains: Dict[str, List[str]]) -> str:
    """The verdict of a class of peers, or the chain that looks at its ports."""
    if not of.spans:
        return "return" if of.other else "drop"
    rules = []
    for protocol in PROTOCOLS:
        spans = ["%s : %s" % (low if low == high else "%d-%d" % (low, high), "drop" if of.other else "return")
                 for kind, low, high in of.spans if kind == protocol]
        if spans:
            rules.append("%s dport vmap { %s }" % (protocol, ", ".join(spans)))
    return "goto " + _add("ports", rules + ["return" if of.other else "drop"], chains)


def _add(kind: str, rules: List[str], chains: Dict[str, List[str]]) -> str:
    name = "%s_%s" % (kind, hashlib.sha256("\n".join(rules).encode()).hexdigest()[:16])
    chains[name] = rules
    return name


def _written(width: int, low: int, high: int) -> str:
    first = addresses.text(width, low)
    return first if low == high else "%s-%s" % (first, addresses.text(width, high))


def sources(members: Sequence[Member]) -> List[str]:
    """The chain of a bridge table that lets members send with their own addresses only, so that none passes for another."""
    members = [member for member in members if member.end]
    ends = sorted({'"%s"' % member.end for member in members})
    lines = []
    for width, family in FAMILIES:
        pairs = sorted('"%s" . %s' % (member.end, address) for member in members for address in member.addresses
                       if addresses.number(address)[0] == width)
        lines += ["\tset sources_%s {" % family, "\t\ttype ifname . %s_addr" % ("ipv4" if width == 32 else "ipv6"),
                  *(["\t\telements = { %s }" % ", ".join(pairs)] if pairs else []), "\t}", ""]
    ours = "iifname { %s } " % ", ".join(ends)
    return lines + [
        "\tchain sources {", "\t\ttype filter hook prerouting priority -300; policy accept;",
        "\t\t%sether type != { arp, ip, ip6 } drop" % ours,
        "\t\t%sarp saddr ip != 0.0.0.0 iifname . arp saddr ip != @sources_ip drop" % ours,
        "\t\t%siifname . ip saddr != @sources_ip drop" % ours,
        "\t\t%sip6 saddr != { ::, fe80::/10 } iifname . ip6 saddr != @sources_ip6 drop" % ours,
        "\t}"]


def unknown(policy: Optional[Mapping[str, Any]], containers: Iterable[str], nets: Iterable[str]) -> List[str]:
    """The containers and networks that a policy names and that are not there, as C(container:NAME)."""
    there = {"container:" + name for name in containers} | {"network:" + name for name in nets}
    named = {term for rows in (policy or {}).values() for row in rows or () for key in ("allow", "deny", "except", "members")
             for name in row.get(key) or () for term in name.split() if term.startswith(("container:", "network:"))}
    return sorted(named - there)
