# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom over IPv6, on networks that have both families."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

import hosts
from hosts import Host
from talk import ask, end, serve

OUTSIDE, HOST, GATEWAY = "2001:db8::2", "2001:db8::1", "fd00:10::1"
C1, C2, C3, C4 = "fd00:10::2", "fd00:10::3", "fd00:60::2", "fd00:70::2"

MATRIX: List[Tuple[str, str, int, int, str]] = [
    ("outside", HOST, 8080, 5353, "c1 " + OUTSIDE),
    ("outside", HOST, 9001, 9001, "c1 " + OUTSIDE),
    ("outside", "2001:db8:1::1", 9001, 9001, "nothing"),
    ("outside", HOST, 9002, 9002, "nothing"),
    ("outside", "192.0.2.1", 8080, 5353, "c1 192.0.2.2"),
    ("outside", "192.0.2.1", 9001, 9001, "nothing"),
    ("outside", HOST, 81, 81, "nothing"),
    ("outside", C1, 80, 80, "nothing"),
    ("outside", C4, 80, 80, "nothing"),
    ("host", HOST, 8080, 5353, "c1 " + HOST),
    ("host", GATEWAY, 8080, 5353, "c1 " + GATEWAY),
    ("host", C1, 80, 80, "c1 " + GATEWAY),
    ("host", C4, 80, 80, "c4 fd00:70::1"),
    ("c1", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c1", C2, 80, 80, "c2 " + C1),
    ("c1", OUTSIDE, 7000, 7000, "outside " + HOST),
    ("c1", C3, 80, 80, "nothing"),
    ("c2", C1, 80, 80, "c1 " + C2),
    ("c2", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c3", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c3", C1, 80, 80, "nothing"),
    ("c3", OUTSIDE, 7000, 7000, "outside " + HOST),
    ("c4", OUTSIDE, 7000, 7000, "nothing"),
    ("c4", C1, 80, 80, "nothing"),
]


def written(protocol: str, address: str, port: int) -> str:
    """A target as the client takes it."""
    return "%s:%s:%d" % (protocol, "[%s]" % address if ":" in address else address, port)


@pytest.fixture(scope="module")
def world(new_host: Callable[[], Host]) -> Iterator[Tuple[Host, Host]]:
    """A host with four containers on three networks of both families, and another host."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, "192.0.2.1/24", "192.0.2.2/24")
    host.shell("ip -6 addr add %s/64 dev eth0 nodad; ip -6 addr add 2001:db8:1::1/128 dev lo nodad" % HOST)
    outside.shell("ip -6 addr add %s/64 dev eth0 nodad; ip -6 route add default via %s" % (OUTSIDE, HOST))
    host.module("container_netns", name="c1", network={"ipv6_subnet": "fd00:10::/64"}, published_ports=[
        "8080:80", "5353:80/udp", "[%s]:9001:80" % HOST, "[%s]:9001:80/udp" % HOST,
        "192.0.2.1:9002:80", "192.0.2.1:9002:80/udp"])
    host.module("container_netns", name="c2")
    host.module("container_netns", name="c3", network={"name": "other", "ipv6_subnet": "fd00:60::/64"})
    host.module("container_netns", name="c4",
                network={"name": "inner", "ipv6_subnet": "fd00:70::/64", "internal": True},
                routes=[{"destination": "::/0", "gateway": "fd00:70::1"}])
    servers = [serve(host, name, 80) for name in ("c1", "c2", "c3", "c4")] + [serve(outside, "outside", 7000)]
    yield host, outside
    end(servers)


@pytest.fixture(scope="module")
def answers(world: Tuple[Host, Host]) -> Dict[Tuple[str, str], str]:
    """All answers of the matrix."""
    found = {}
    for where, rows in itertools.groupby(MATRIX, key=lambda row: row[0]):
        pairs = [(target, row[4]) for row in rows for target in (written("tcp", *row[1:3]), written("udp", row[1], row[3]))]
        targets, hoped = [pair[0] for pair in pairs], [target for target, answer in pairs if answer != "nothing"]
        for target, answer in ask(world[where == "outside"], where, *targets, hoped=hoped).items():
            found[(where, target)] = answer
    return found


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("where", "address", "tcp", "udp", "answer"), MATRIX)
def test_traffic(answers: Dict[Tuple[str, str], str], protocol: str, where: str, address: str, tcp: int, udp: int,
                 answer: str) -> None:
    assert answers[(where, written(protocol, address, tcp if protocol == "tcp" else udp))] == answer


def test_what_was_done_is_seen_and_a_second_run_changes_nothing(world: Tuple[Host, Host]) -> None:
    host = world[0]
    task: Dict[str, Any] = {"name": "c2", "network": {"ipv6": True}, "ipv6_address": C2}
    result = host.module("container_netns", task)
    assert not result["changed"]
    assert C2 + "/64" in result["netns"]["interfaces"][1]["addresses"]
    host.shell("nsenter --net=/run/coracle/netns/c2 ip -6 addr del %s/64 dev eth0" % C2)
    predicted = host.module("container_netns", task, check_mode=True)
    assert predicted["changed"] and predicted["diff"]["before"] == {"ipv6_address": ""}, predicted["diff"]
    assert host.module("container_netns", task)["changed"] and not host.module("container_netns", task)["changed"]


def test_a_network_gets_ipv6_while_it_is_in_use_and_keeps_its_members(host: Host) -> None:
    host.module("container_netns", name="a")
    result = host.module("container_netns", name="b", network={"ipv6": True})
    assert result["changed"]
    subnet = json.loads(host.shell("cat /var/lib/coracle/networks/coracle.json"))["ipv6_subnet"]
    assert re.match(r"fd[0-9a-f]{2}:[0-9a-f:]+::/64$", subnet)
    assert host.module("container_netns", name="a")["changed"], "it gets its address with its next run"
    seen = host.module("container_netns", name="a")
    assert not seen["changed"]
    first = subnet.partition("::")[0]
    assert {each for link in seen["netns"]["interfaces"] for each in link["addresses"]} >= {first + "::3/64"} or \
        any(each.startswith(first) for link in seen["netns"]["interfaces"] for each in link["addresses"])
    host.module("container_netns", name="a", state="absent")
    host.module("container_netns", name="b", state="absent")
    assert host.shell("cat /proc/sys/net/ipv6/conf/all/forwarding").strip() == "0"


@pytest.mark.parametrize(("options", "words"), [
    ({"ipv6_address": "fd00::5"}, "no subnet of"),
    ({"network": {"name": "x", "ipv6_subnet": "fd00:1::/64", "ipv6_gateway": "fd00:2::1"}}, "no host address of the subnet"),
    ({"network": {"name": "x", "ipv6_subnet": "fd00:1::1/64"}}, "bits set behind"),
    ({"network": {"name": "x", "ipv6_subnet": "10.0.0.0/24"}}, "ipv6_subnet"),
    ({"network": {"name": "x", "ipv6": False, "ipv6_subnet": "fd00:1::/64"}}, "contradicts"),
    ({"network": {"name": "x", "subnet": "10.20.0.0/24", "ip_range": "10.21.0.0/25"}}, "no part of the subnet"),
    ({"network": {"name": "x", "aux_addresses": {"printer": "10.99.0.1"}}}, "is not in"),
    ({"published_ports": ["[::1]:80:80"]}, "IPv6 loopback"),
])
def test_what_cannot_be_is_refused_before_anything_is_made(shared_host: Host, options: Dict[str, Any], words: str) -> None:
    result = shared_host.module("container_netns", {"name": "n", **options}, fail=True)
    assert words in result["msg"], result["msg"]
    assert shared_host.shell("ls /run/coracle/netns 2>/dev/null || true") == ""


def test_addresses_come_from_the_range_and_reserved_ones_are_nobodys(host: Host) -> None:
    network = {"name": "x", "subnet": "10.20.0.0/24", "ip_range": "10.20.0.128/25",
               "aux_addresses": {"printer": "10.20.0.128", "scanner": "10.20.0.129"}}
    result = host.module("container_netns", name="a", network=network)
    assert "10.20.0.130/24" in result["netns"]["interfaces"][1]["addresses"]
    assert not host.module("container_netns", name="a", network=network)["changed"]
    pinned = host.module("container_netns", name="b", network={"name": "x"}, ipv4_address="10.20.0.5")
    assert "10.20.0.5/24" in pinned["netns"]["interfaces"][1]["addresses"]
