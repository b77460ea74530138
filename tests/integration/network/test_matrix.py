# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom, generated: every place asks every member of every kind of network, by each way, protocol and family."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest

import hosts
from hosts import Host
from talk import ask, end, serve

NETWORKS: Dict[str, Dict[str, Any]] = {
    "plain": {}, "open1": {"isolate": "no"}, "open2": {"isolate": "no"}, "strict": {"isolate": "strict"},
    "closed": {"icc": False}, "inner": {"internal": True},
}
MEMBERS = {"p1": "plain", "p2": "plain", "o1": "open1", "o2": "open2", "s1": "strict", "c1": "closed", "c2": "closed", "i1": "inner"}
NUMBERS = {name: number for number, name in enumerate(NETWORKS, 1)}
HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
OUTSIDE = {4: "192.0.2.2", 6: "2001:db8::2"}


class Question(NamedTuple):
    """One connection: from where, to what, by which way."""

    source: str
    target: str
    way: str
    protocol: str
    family: int


def address(member: str, family: int) -> str:
    """A member's own address."""
    number = NUMBERS[MEMBERS[member]]
    last = 10 + list(MEMBERS).index(member)
    return "10.60.%d.%d" % (number, last) if family == 4 else "fd00:60:%d::%x" % (number, last)


def port(member: str) -> int:
    """The port of the host that leads to a member."""
    return 9000 + list(MEMBERS).index(member)


def answers(question: Question) -> bool:
    """Whether somebody is to answer: what docs/networks.md says, as a rule."""
    source, target = question.source, question.target
    if target == "outside":
        return source not in MEMBERS or not NETWORKS[MEMBERS[source]].get("internal", False)
    theirs = NETWORKS[MEMBERS[target]]
    if source not in MEMBERS:
        if question.way == "loopback":
            return question.family == 4  # from [::1] no packet can be led away
        return source == "host" or question.way == "published"
    mine, same = NETWORKS[MEMBERS[source]], MEMBERS[source] == MEMBERS[target]
    if question.way == "direct":
        return source == target or (same and theirs.get("icc", True)) or (
            not same and mine.get("isolate") == theirs.get("isolate") == "no")
    if mine.get("internal"):
        return False
    return theirs.get("icc", True) if same else "strict" not in (mine.get("isolate"), theirs.get("isolate"))


def questions() -> List[Question]:
    """All of them."""
    found = []
    for source in ("outside", "host", *MEMBERS):
        for protocol in ("tcp", "udp"):
            for family in (4, 6):
                if source != "outside":
                    found.append(Question(source, "outside", "direct", protocol, family))
                for target in MEMBERS:
                    found.append(Question(source, target, "direct", protocol, family))
                    if MEMBERS[target] != "inner":
                        found.append(Question(source, target, "published", protocol, family))
                        if source == "host":
                            found.append(Question(source, target, "loopback", protocol, family))
    return found


def written(question: Question) -> str:
    """The target of a question, as the client takes it."""
    family, target = question.family, question.target
    if target == "outside":
        where, number = OUTSIDE[family], 7000
    elif question.way == "direct":
        where, number = address(target, family), 80
    else:
        where, number = {"published": HOST[family], "loopback": "127.0.0.1" if family == 4 else "::1"}[question.way], port(target)
    return "%s:%s:%d" % (question.protocol, where if family == 4 else "[%s]" % where, number)


def declare(networks: Dict[str, Any], members: Dict[str, Any]) -> None:
    """Make networks and attach members."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, declare as declaring, spec
    for request in networks.values():
        declaring.declare(Instance(), request)
    for name, (request, ports) in members.items():
        attach.apply(Instance(), spec.settle(Instance(), name, "bridge", [request], published=ports))


@pytest.fixture(scope="module")
def found(new_host: Callable[[], Host]) -> Iterator[Dict[Question, str]]:
    """What each question was answered; those without the answer that they should have are asked again."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST[4] + "/24", OUTSIDE[4] + "/24", name="wan")
    for each, own in ((host, HOST), (outside, OUTSIDE)):
        each.shell("sysctl -qw net.ipv6.conf.wan.disable_ipv6=0; ip addr add %s/64 dev wan nodad" % own[6])
    outside.shell("ip route add default via %s; ip -6 route add default via %s" % (HOST[4], HOST[6]))
    host.shell("ip route add default via %s; ip -6 route add default via %s" % (OUTSIDE[4], OUTSIDE[6]))
    networks = {name: {**options, "name": name, "persistent": True, "subnet": "10.60.%d.0/24" % NUMBERS[name],
                       "ipv6_subnet": "fd00:60:%d::/64" % NUMBERS[name]} for name, options in NETWORKS.items()}
    members = {name: ({"network": {"name": network}, "ipv4_address": address(name, 4), "ipv6_address": address(name, 6)},
                      [] if network == "inner" else ["%d:80" % port(name), "%d:80/udp" % port(name)])
               for name, network in MEMBERS.items()}
    host.python(declare, networks, members)
    servers = [serve(host, name, 80) for name in MEMBERS] + [serve(outside, "outside", 7000)]
    told: Dict[Question, str] = {}
    for source in ("outside", "host", *MEMBERS):
        mine = [question for question in questions() if question.source == source]
        for _patience in range(6):
            asked = [question for question in mine if told.get(question, "nothing") == "nothing"
                     and (question not in told or answers(question))]
            if asked:
                heard = ask(outside if source == "outside" else host, source, *map(written, asked))
                told.update({question: heard[written(question)] for question in asked})
    yield told
    end(servers)


@pytest.mark.parametrize("source", ["outside", "host", *MEMBERS])
def test_who_reaches_whom(found: Dict[Question, str], source: str) -> None:
    wrong = []
    for question, heard in found.items():
        if question.source == source:
            wanted = question.target if answers(question) else "nothing"
            if heard.split()[0] != wanted:
                wrong.append((question, wanted, heard))
    assert not wrong


def test_who_comes_from_outside_is_seen_by_his_own_address(found: Dict[Question, str]) -> None:
    seen = {heard.split()[1] for question, heard in found.items() if question.source == "outside" and heard != "nothing"}
    assert seen == set(OUTSIDE.values())


def test_the_matrix_asks_both_ways_of_every_kind() -> None:
    kinds: Dict[Tuple[str, str, int], Set[bool]] = {}
    for question in questions():
        kinds.setdefault((question.way, question.protocol, question.family), set()).add(answers(question))
    assert len(kinds) == 12
    assert all(seen == {True, False} for (way, _protocol, _family), seen in kinds.items() if way != "loopback")
