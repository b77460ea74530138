# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of a table do with a packet: a walk through the JSON of C(nft -j list table) (libnftables-json(5)).

Pure functions. A condition that is not understood here, such as a limit or the hour, is taken not to hold; only for an answer to what
has been let out, where it decides between accepting and going on, is it taken to hold, since that is what such rules are for.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import addresses

_DEPTH = 16
"""Jumps that a packet can have before it (NFT_JUMP_STACK_SIZE)."""


class Packet(NamedTuple):
    """A packet that is forwarded.

    Attributes:
        family: C(ip) or C(ip6).
        iifname, oifname: Where it comes in and goes out; empty for some link that is none of ours.
        saddr, daddr: After translation.
        protocol, dport: Of the transport layer.
        state, status: Of its connection, as C(ct state) and C(ct status).
    """

    family: str
    iifname: str
    oifname: str
    saddr: str
    daddr: str
    protocol: str
    dport: int
    state: str = "new"
    status: str = ""


class Rules(NamedTuple):
    """A table.

    Attributes:
        chains: The expressions of each rule, by chain.
        policies: What becomes of a packet at the end of a base chain.
        hooks: The hook of each base chain.
        sets: The elements of named sets and maps.
    """

    chains: Dict[str, List[List[Any]]]
    policies: Dict[str, str]
    hooks: Dict[str, str]
    sets: Dict[str, List[Any]]


def read(listing: Sequence[Mapping[str, Any]]) -> Rules:
    """A table from its JSON."""
    rules = Rules({}, {}, {}, {})
    for item in listing:
        if "chain" in item:
            chain = item["chain"]
            rules.chains.setdefault(chain["name"], [])
            if "hook" in chain:
                rules.hooks[chain["name"]] = chain["hook"]
                rules.policies[chain["name"]] = chain.get("policy", "accept")
        elif "rule" in item:
            rules.chains.setdefault(item["rule"]["chain"], []).append(item["rule"].get("expr") or [])
        for kind in ("set", "map"):
            if kind in item:
                rules.sets[item[kind]["name"]] = item[kind].get("elem") or []
    return rules


def walk(rules: Rules, chain: str, packet: Packet) -> str:
    """C(accept) or C(drop): what a base chain does with a packet."""
    return _chain(rules, chain, packet, 0) or rules.policies.get(chain, "accept")


def _chain(rules: Rules, chain: str, packet: Packet, depth: int) -> Optional[str]:
    """The verdict of a chain; C(None) where it has none and its caller goes on."""
    for rule in rules.chains.get(chain, ()) if depth <= _DEPTH else ():
        verdict = _rule(rules, rule, packet, depth)
        if verdict == "return":
            return None
        if verdict is not None:
            return verdict
    return None


def _rule(rules: Rules, rule: Sequence[Any], packet: Packet, depth: int) -> Optional[str]:
    lenient = packet.state == "established" and any("accept" in each for each in rule if isinstance(each, dict))
    for expression in rule:
        if not isinstance(expression, dict):  # a bare verdict in older forms
            expression = {str(expression): None}
        name = next(iter(expression))
        value = expression[name]
        if name == "match":
            if not _holds(rules, value, packet, lenient):
                return None
        elif name in ("xt", "limit", "quota", "connlimit", "ct count") and not (lenient or name == "xt" and _only_tells(value)):
            return None
        elif name == "vmap":
            verdict = _mapped(rules, value, packet)
            if verdict is not None:
                return _verdict(rules, verdict, packet, depth)
        elif name in ("accept", "drop", "reject", "return", "jump", "goto", "queue", "tproxy"):
            return _verdict(rules, expression, packet, depth)
    return None


def _only_tells(value: Any) -> bool:
    """Whether an extension of iptables decides nothing."""
    return isinstance(value, dict) and value.get("name") in ("comment", "LOG", "NFLOG")


def _verdict(rules: Rules, verdict: Mapping[str, Any], packet: Packet, depth: int) -> Optional[str]:
    name = next(iter(verdict))
    if name in ("jump", "goto"):
        inner = _chain(rules, verdict[name]["target"], packet, depth + 1)
        return inner or ("return" if name == "goto" else None)
    return {"reject": "drop", "queue": "accept", "tproxy": "accept"}.get(name, name)


def _mapped(rules: Rules, vmap: Mapping[str, Any], packet: Packet) -> Optional[Mapping[str, Any]]:
    value, data = _value(vmap["key"], packet), vmap["data"]
    pairs = rules.sets.get(data[1:], []) if isinstance(data, str) else data.get("set", [])
    for key, verdict in (pair for pair in pairs if isinstance(pair, list) and len(pair) == 2):
        if value is not None and isinstance(verdict, dict) and any(_fits(each, key) for each in value):
            return verdict
    return None


def _holds(rules: Rules, match: Mapping[str, Any], packet: Packet, lenient: bool) -> bool:
    value, right = _value(match["left"], packet), match["right"]
    if isinstance(right, str) and right.startswith("@"):
        right = {"set": rules.sets.get(right[1:], [])}
    if value is None:
        return lenient
    if not value:  # of another protocol than the packet's, which no comparison fits, not even an unequal one
        return False
    members = right["set"] if isinstance(right, dict) and "set" in right else right if isinstance(right, list) else [right]
    found = any(_fits(each, member) for each in value for member in members)
    return found != bool(match["op"] == "!=")


def _value(left: Any, packet: Packet) -> Optional[Tuple[str, ...]]:
    """What an expression yields for a packet; nothing where the packet has no such part, C(None) where that is not known here."""
    if not isinstance(left, dict):
        return None
    kind = next(iter(left))
    key = left[kind].get("key") if isinstance(left[kind], dict) else None
    if kind == "meta":
        known = {"iifname": packet.iifname or "(another link)", "oifname": packet.oifname or "(another link)",
                 "l4proto": packet.protocol, "nfproto": "ipv6" if packet.family == "ip6" else "ipv4",
                 "protocol": packet.family}
        known.update(iif=known["iifname"], oif=known["oifname"])
        return (known[key],) if key in known else None
    if kind == "ct":
        known = {"state": packet.state, "status": packet.status}
        return (known[key],) if key in known else None
    if kind == "payload":
        return _header(left[kind], packet)
    return None


def _header(payload: Mapping[str, Any], packet: Packet) -> Optional[Tuple[str, ...]]:
    protocol, field = payload.get("protocol"), payload.get("field")
    if protocol in ("ip", "ip6"):
        known = {"saddr": packet.saddr, "daddr": packet.daddr, "protocol": packet.protocol, "nexthdr": packet.protocol}
        if protocol != packet.family:
            return ()
        return (known[str(field)],) if field in known else None
    if protocol in ("tcp", "udp", "sctp", "dccp", "th"):
        if protocol not in ("th", packet.protocol):
            return ()
        return (str(packet.dport),) if field == "dport" else None
    return () if protocol in ("icmp", "icmpv6") else None


def _fits(value: str, member: Any) -> bool:
    """Whether a value is what a rule names: itself, a pattern of links, a block, a range."""
    if isinstance(member, dict):
        if "elem" in member:
            return _fits(value, member["elem"].get("val"))
        if "prefix" in member:
            try:
                return addresses.contains(addresses.subnet("%s/%d" % (member["prefix"]["addr"], member["prefix"]["len"])), value)
            except ValueError:
                return False
        if "range" in member:
            return _between(value, *map(str, member["range"]))
        return any(_fits(value, each) for each in member.get("set", ()))
    text = str(member)
    return value == text or (text.endswith("*") and value.startswith(text[:-1]))


def _between(value: str, first: str, last: str) -> bool:
    try:
        if value.isdigit():
            return int(first) <= int(value) <= int(last)
        return addresses.number(first) <= addresses.number(value) <= addresses.number(last)
    except ValueError:
        return False
