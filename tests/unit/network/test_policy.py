# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rules become maps: against the plain reading of the rules, and in what they cost."""

from __future__ import annotations

import random
import re
from typing import Any, Dict, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import policy
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.policy import Member, Net, Rule, Services
from ansible_collections.coracle.containers.plugins.module_utils.options.policy import member, peer, port, rows

FRONT = Net("front", ("10.50.0.0/24", "fd00:50::/64"))
WEB = Member("web", "front", "coweb", ("10.50.0.2", "fd00:50::2"), {"tier": "web"})


def test_maps_decide_as_the_rules_read() -> None:
    chance = random.Random(11)
    for _round in range(300):
        rules = [Rule(chance.random() < 0.5, policy.union([(low, low + chance.randrange(8)) for low in chance.sample(range(40), 2)]),
                      None if chance.random() < 0.3 else tuple(
                          (chance.choice(policy.PROTOCOLS), low, low + chance.randrange(3)) for low in chance.sample(range(1, 9), 2)))
                 for _each in range(chance.randrange(1, 6))]
        default = chance.random() < 0.5
        classes = policy.decide(rules, default)
        assert all(one[1] < other[0] for one, other in zip(classes, classes[1:]))
        for address in range(50):
            of = next((found for low, high, found in classes if low <= address <= high), Services(default))
            for protocol, number in [(protocol, number) for protocol in policy.PROTOCOLS for number in range(1, 13)] + [("icmp", 0)]:
                read = next((rule.allow for rule in rules if any(low <= address <= high for low, high in rule.peers) and (
                    rule.spans is None or any(kind == protocol and low <= number <= high for kind, low, high in rule.spans))), default)
                said = of.other != any(kind == protocol and low <= number <= high for kind, low, high in of.spans)
                assert said is read, (rules, default, address, protocol, number)


@pytest.mark.parametrize(("one", "other", "left"), [
    ([(0, 9)], [(3, 4)], ((0, 2), (5, 9))), ([(0, 9)], [(0, 9)], ()), ([(1, 2)], [], ((1, 2),)),
    ([(0, 9), (20, 29)], [(5, 24)], ((0, 4), (25, 29)))])
def test_blocks_are_taken_out_of_blocks(one: List[Tuple[int, int]], other: List[Tuple[int, int]],
                                        left: Tuple[Tuple[int, int], ...]) -> None:
    assert policy.without(one, other) == left


def _members(count: int) -> List[Member]:
    rules = {"ingress": [{"allow": ["label:tier=web"], "ports": ["%d/tcp" % each]} for each in range(1, count + 1)]}
    return [WEB] + [Member("db-%d" % each, "front", "co%d" % each, ("10.50.0.%d" % (each + 9),), {}, rules) for each in range(count)]


def test_neither_rules_nor_containers_make_a_packet_dearer() -> None:
    few, many = (policy.render(_members(count), [FRONT]) for count in (1, 100))
    assert few.judge == many.judge

    def longest(chains: List[str]) -> int:
        return max(len(re.findall("^\t\t", part, re.M)) for part in "\n".join(chains).split("\tchain ")[1:])
    assert longest(few.chains) == longest(many.chains) <= 3
    assert sum(line.startswith("\tchain ") for line in many.chains) == sum(line.startswith("\tchain ") for line in few.chains), \
        "those with the same rules share them"


@pytest.mark.parametrize(("text", "written"), [
    ("10.0.0.1", "10.0.0.1/32"), ("FD00::1", "fd00::1/128"), ("10.0.0.0/8", "10.0.0.0/8"), ("any", "any"), ("container:a", "container:a"),
    (" network:b   label:x=y=z ", "label:x=y=z network:b"), ("label:k", "label:k")])
def test_a_peer_has_one_written_form(text: str, written: str) -> None:
    assert peer(text) == written == peer(written)


@pytest.mark.parametrize("text", ["", "web", "pod:web", "container:", "container:a/b", "10.0.0.1/8", "10.0.0.256", "label:=x", "any host",
                                  "fd00::/200", "host container:a"])
def test_nobody_else_is_a_peer(text: str) -> None:
    with pytest.raises(ValueError, match=" "):
        peer(text)


def test_ports_and_members() -> None:
    assert [port(text) for text in ("80", "80/udp", "1-9/sctp")] == ["80/tcp", "80/udp", "1-9/sctp"]
    for text in ("0", "9-1", "80/icmp", "x", "70000", "80:80"):
        with pytest.raises(ValueError, match="port"):
            port(text)
    assert member("label:a=b") == "label:a=b"
    for text in ("any", "10.0.0.1", "network:x"):
        with pytest.raises(ValueError, match="members"):
            member(text)


def _row(**more: Any) -> Dict[str, Any]:
    return {"allow": None, "deny": None, "except": None, "ports": None, **more}


@pytest.mark.parametrize(("given", "words"), [
    ([_row()], "rule 1.*one of allow and deny"), ([_row(allow=["any"], deny=["any"])], "one of allow and deny"),
    ([_row(allow=["any"], ports=[])], "empty list of ports"),
    ([_row(allow=["any"]), _row(deny=["host"])], "rule 2, which never applies: rule 1"),
    ([_row(deny=["container:a", "container:b"], ports=["1-9/tcp"]), _row(allow=["container:a"], ports=["5/tcp"])], "rule 2, which never"),
])
def test_rules_that_contradict(given: List[Dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rows(given)


@pytest.mark.parametrize("given", [
    [_row(allow=["any"], ports=["5/tcp"]), _row(deny=["any"], ports=["5/udp"])], [_row(deny=["container:a"]), _row(allow=["any"])],
    [_row(allow=["any"], **{"except": ["host"]}), _row(deny=["host"])], [_row(deny=["any"], ports=["1-4/tcp"]), _row(allow=["any"])]])
def test_rules_that_do_not(given: List[Dict[str, Any]]) -> None:
    assert len(rows(given)) == len(given)


def test_whom_a_policy_names_that_is_not_there() -> None:
    said = {"ingress": [{"allow": ["container:a label:x", "network:n", "label:y", "10.0.0.0/8"], "except": ["container:b"]}],
            "egress": None}
    assert policy.unknown(said, ["a"], []) == ["container:b", "network:n"] and policy.unknown(None, [], []) == []
