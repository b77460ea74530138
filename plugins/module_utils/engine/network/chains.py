# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains of an instance's table, as text: what leads packets to containers, lets them pass, and hides where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Sequence, Tuple

from . import overlay
from .networks import Network

if TYPE_CHECKING:
    from .firewall import State

NEW = "ct state new,invalid,untracked"
"""What policies judge: the rest belongs to a connection that they have let begin."""


def of_network(net: Network, all_nets: Sequence[Network]) -> List[str]:
    """What comes to a network and what leaves it, beyond its own bridge."""
    strict = [each for each in all_nets if each != net and "strict" in (net.isolate, each.isolate)]
    to = ["ct state established,related accept",
          'iifname "%s" %s' % (net.bridge, "accept" if net.icc else "drop")]
    to += ["iifname %s drop" % _set(strict)] if strict else []
    friends = _open_to(net, all_nets)
    to += ["iifname %s accept" % _set(friends)] if friends and not net.internal else []
    to += ['iifname "%s" %s saddr %s accept' % (overlay.way(net), family, blocks) for family, blocks in _cluster(net)]
    to += [] if net.internal else ["ct status dnat accept"]
    away = ['oifname != { "%s", "%s" } %s daddr %s drop' % (net.bridge, overlay.way(net), family, blocks)
            for family, blocks in _cluster(net)]
    if net.internal:
        away += ['oifname != "%s"%s drop' % (net.bridge, "".join(" %s daddr != %s" % each for each in _cluster(net, family)) or
                                             " meta nfproto %s" % {"ip": "ipv4", "ip6": "ipv6"}[family]) for family in ("ip", "ip6")] \
            if _cluster(net) else ['oifname != "%s" drop' % net.bridge]
    return chain("to_" + net.name, to + ["drop"]) + chain("from_" + net.name, away)


def base(state: State) -> List[str]:
    nets = state.networks
    arriving = ", ".join('"%s" : jump to_%s' % (net.bridge, net.name) for net in nets)
    leaving = ", ".join('"%s" : jump from_%s' % (net.bridge, net.name) for net in nets)
    bridges = ", ".join('"%s"' % net.bridge for net in nets)
    translate = ["%s daddr %s meta l4proto { tcp, udp } th dport 53 dnat %s to %s:%d" % (
        family_of(address), address, family_of(address), "[%s]" % address if ":" in address else address, port)
        for address, port in state.resolver if any(address in net.gateways for net in nets)]
    translate += ["fib daddr type local jump published"]
    # What belongs to a connection that was there before anything was tracked here is not a new one, and stays where it is.
    to = ["tcp flags ack return", "dnat ip to ip daddr . meta l4proto . th dport map @published_at",
          "dnat ip to meta l4proto . th dport map @published"]
    if state.dual:
        to += ["ip6 daddr ::1 return",  # nothing that it sends gets out of this namespace
               "dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6_at",
               "dnat ip6 to meta l4proto . th dport map @published6"]
    lines = chain("published", to)
    # Loopback addresses may leave by our bridges (route_localnet), so they must not come in by them.
    lines += chain("guard", ["type filter hook prerouting priority raw; policy accept;",
                             "iifname { %s } ip daddr 127.0.0.0/8 drop" % bridges,
                             *['iifname { %s } fib daddr type local udp dport %s drop' % (bridges, ports) for ports in _tunnels(nets)]])
    lines += chain("prerouting", ["type nat hook prerouting priority dstnat; policy accept;"] + translate)
    lines += chain("output", ["type nat hook output priority -100; policy accept;"] + translate)
    lines += chain("forward", ["type filter hook forward priority filter; policy accept;", *_over_hosts(nets),
                               *([NEW + " jump judge"] if state.judged else []),
                               "iifname vmap { %s }" % leaving, "oifname vmap { %s }" % arriving])
    source = ["type nat hook postrouting priority srcnat; policy accept;"]
    for net in nets:
        source += _masquerade(net, nets) if net.masquerade and not net.internal else []
        # Hairpin: who reaches its own network by a published port must get its answer by way of the host.
        source += ['oifname "%s" %s saddr %s ct status dnat masquerade' % (net.bridge, family_of(subnet), subnet)
                   for subnet in net.subnets]
    source.append("oifname { %s } ip saddr 127.0.0.0/8 ct status dnat masquerade" % bridges)
    return lines + chain("postrouting", source)[:-1]


def _cluster(net: Network, only: str = "") -> List[Tuple[str, str]]:
    """The blocks of all hosts of a network that routes to them, for each family (or C(only) one) that it has."""
    blocks = overlay.cluster(net) if overlay.way(net) else ()
    found = [(family, [block for block in blocks if family_of(block) == family]) for family in ("ip", "ip6") if only in ("", family)]
    return [(family, "{ %s }" % ", ".join(of)) for family, of in found if of]


def _tunnels(nets: Sequence[Network]) -> List[str]:
    """The UDP ports, as one set, where frames of other hosts come in; none where there is no such network."""
    ports = sorted({int(dict(net.options)["port"]) for net in nets if net.driver == overlay.DRIVER and overlay.tunnelled(net)})
    return ["{ %s }" % ", ".join(map(str, ports))] if ports else []


def _over_hosts(nets: Sequence[Network]) -> List[str]:
    """Nobody but the members of a network uses the way to its other hosts, and no member of any makes up frames for them, which
    would arrive as this host's."""
    bridges = _set(nets)
    rules = ['iifname %s oifname != %s udp dport %s drop' % (bridges, bridges, ports) for ports in _tunnels(nets)]
    return rules + ['iifname != "%s" oifname "%s" %s daddr %s drop' % (net.bridge, overlay.way(net), family, blocks)
                    for net in nets for family, blocks in _cluster(net)]


def _set(nets: Sequence[Network]) -> str:
    """The bridges of some networks."""
    return "{ %s }" % ", ".join('"%s"' % net.bridge for net in nets)


def _open_to(net: Network, nets: Sequence[Network]) -> List[Network]:
    """The other networks whose members reach those of a network, and the other way round."""
    return [each for each in nets if each != net and (net.isolate, each.isolate) == ("no", "no")]


def _masquerade(net: Network, nets: Sequence[Network]) -> List[str]:
    rules = []
    friends = _open_to(net, nets)
    ways = _set([net, *friends]) if friends else '"%s"' % net.bridge
    for subnet in net.subnets:
        family = family_of(subnet)
        spared = sorted(block for block in {*net.masquerade_exclude, *overlay.cluster(net)} if family_of(block) == family)
        but = "%s daddr != { %s } " % (family, ", ".join(spared)) if spared else ""
        rules.append("%s saddr %s %soifname != %s masquerade" % (family, subnet, but, ways))
    return rules


def family_of(subnet: str) -> str:
    return "ip6" if ":" in subnet else "ip"


def chain(name: str, rules: Sequence[str]) -> List[str]:
    return ["\tchain %s {" % name] + ["\t\t" + rule for rule in rules] + ["\t}", ""]
