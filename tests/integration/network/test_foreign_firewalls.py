# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls of others: each that stops our packets is named, and what the warning says to do lets them pass."""

from __future__ import annotations

import shutil
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

import hosts
from hosts import Host
from talk import ask, end, serve

OUTSIDE, HOST = "192.0.2.2", "192.0.2.1"
DOCKER = """
iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -N DOCKER-FORWARD
iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-FORWARD; iptables -A DOCKER-USER -j RETURN
iptables -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT
"""
PLAIN = "nft 'table inet filter { chain forward { type filter hook forward priority filter; policy drop; }; }'"
REJECTING = """nft 'table inet guard {
    set trusted { type ifname; elements = { "tun0", "lan0" }; }
    chain forward { type filter hook forward priority filter + 10; policy accept;
        iifname @trusted accept; ip saddr 172.16.0.0/12 accept; tcp dport 22 accept; jump last; }
    chain last { ct state invalid drop; reject with icmpx admin-prohibited; }; }'
"""
FIREWALLS: Dict[str, Tuple[str, str]] = {
    "nftables": (PLAIN, "table 'inet filter'"),
    "reject": (REJECTING, "table 'inet guard'"),
    "iptables": ("iptables -P FORWARD DROP", "iptables -I FORWARD"),
    "docker": (DOCKER, "iptables -I DOCKER-USER"),
}
HARMLESS = {
    "accepting": "nft 'table inet filter { chain forward { type filter hook forward priority 0; policy accept; tcp dport 23 drop; }; }'",
    "stateful": "nft 'table inet filter { chain forward { type filter hook forward priority 0; policy drop; ct state vmap "
                "{ established : accept, related : accept, invalid : drop }; ct status dnat accept; iifname \"co*\" accept; }; }'",
    "input": "nft 'table inet filter { chain input { type filter hook input priority 0; policy accept; tcp dport 23 drop; }; }'",
}


@pytest.fixture(scope="module")
def world(new_host: Callable[[], Host]) -> Iterator[Tuple[Host, Host]]:
    """A host with a container that publishes a port, and another host; both answer."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST + "/24", OUTSIDE + "/24")
    host.module("container_netns", name="web", published_ports=["8080:80"])
    servers = [serve(host, "web", 80), serve(outside, "outside", 7000)]
    yield host, outside
    end(servers)


def warnings(host: Host) -> List[str]:
    """What a run of the unchanged task warns of."""
    result = host.module("container_netns", name="web", published_ports=["8080:80"])
    assert not result["changed"], result["actions"]
    return said(result)


def said(result: Dict[str, Any]) -> List[str]:
    """The sentences of a result's warnings, in the form of either core."""
    return [each if isinstance(each, str) else each["event"]["msg"] for each in result.get("warnings", [])]


def passes(host: Host, outside: Host) -> Tuple[bool, bool]:
    """Whether the container reaches the other host, and is reached by its port."""
    out = ask(host, "web", "tcp:%s:7000" % OUTSIDE)["tcp:%s:7000" % OUTSIDE]
    into = ask(outside, "outside", "tcp:%s:8080" % HOST)["tcp:%s:8080" % HOST]
    return out == "outside " + HOST, into == "web " + OUTSIDE


def lift(host: Host) -> None:
    """Take away all tables but ours."""
    host.shell("for t in $(nft list tables | grep -v 'inet coracle' | tr ' ' '/'); do f=${t#table/}; "
               "nft delete table ${f%%/*} ${f#*/}; done")


@pytest.mark.parametrize("name", sorted(FIREWALLS))
def test_what_stops_our_packets_is_named_and_the_remedy_lets_them_pass(world: Tuple[Host, Host], name: str) -> None:
    host, outside = world
    rules, words = FIREWALLS[name]
    host.shell(rules)
    try:
        found = warnings(host)
        assert len(found) == 3 and all("drops" in each for each in found), found
        assert any(words in each for each in found), found
        assert any("8080/tcp of 'web'" in each or "8080/tcp" in each for each in found), found
        assert passes(host, outside) == (False, False)
        for each in reversed(found):
            host.shell(each.split("Let it pass: ", 1)[1])
        assert warnings(host) == []
        assert passes(host, outside) == (True, True)
    finally:
        lift(host)


REAL = {
    "ufw": ("ufw --force enable", "ufw --force disable && ufw --force reset", "ufw reload", ("ufw route allow in", "ufw route allow out")),
    "firewalld": ("mkdir -p /run/dbus && dbus-daemon --system --fork --nopidfile && firewalld --nopid && "
                  "until firewall-cmd --state; do sleep 0.2; done",
                  "pkill -x firewalld; pkill -x dbus-daemon; while pgrep -x firewalld; do sleep 0.1; done; true",
                  "firewall-cmd --reload", ("firewall-cmd --permanent --zone=trusted",)),
}
"""Firewalls of distributions: how each is started, ended and loaded anew, and the beginnings of what to tell it."""


@pytest.mark.parametrize("name", sorted(REAL))
def test_firewalls_of_distributions_stop_our_packets_until_they_are_told(world: Tuple[Host, Host], name: str) -> None:
    host, outside = world
    start, stop, again, remedies = REAL[name]
    if shutil.which(name) is None:
        pytest.skip("this machine has no %s: apt-get install %s, where nothing starts it by itself" % (name, name))
    host.shell(start)
    try:
        found = warnings(host)
        assert found and passes(host, outside) != (True, True), found
        told = [each.split("Let it pass: ", 1)[1] for each in found]
        assert all(each.startswith(remedies) for each in told), told
        for each in told:
            host.shell(each)
        assert warnings(host) == [] and passes(host, outside) == (True, True)
        host.shell(again)
        assert warnings(host) == [] and passes(host, outside) == (True, True), "it lasts, and our table is not touched"
    finally:
        host.shell(stop)
        lift(host)


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_lets_our_packets_pass_is_not_complained_about(world: Tuple[Host, Host], name: str) -> None:
    host, outside = world
    host.shell(HARMLESS[name])
    try:
        assert warnings(host) == []
        assert passes(host, outside) == (True, True)
    finally:
        lift(host)


def test_the_warning_comes_with_the_plan_of_each_module(world: Tuple[Host, Host]) -> None:
    host = world[0]
    host.shell(PLAIN)
    try:
        for module, options in (("container_network", {"name": "new"}), ("container_netns", {"name": "other"})):
            found = said(host.module(module, options, check_mode=True))
            assert len(found) == 2 and all("iifname" in each or "oifname" in each for each in found), found
        assert "warnings" not in host.module("container_network", name="inner", internal=True, check_mode=True)
    finally:
        lift(host)
