# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies with real connections: a matrix of who reaches whom, by TCP and UDP, IPv4 and IPv6, on one bridge and beyond.

What is expected is worked out here from the rules as they are written, packet by packet; the engine works out maps.
"""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import pytest

import hosts
from hosts import MANAGED_PYTHON, Host
from talk import ask, end, inside, serve

OUTSIDE, HOST = "192.0.2.2", "192.0.2.1"
PORTS = (80, 81)
NETWORKS: Dict[str, Dict[str, Any]] = {
    "front": {"subnet": "10.50.0.0/24", "ipv6_subnet": "fd00:50::/64"},
    "back": {"subnet": "10.51.0.0/24", "policy": {
        "ingress": [{"allow": ["network:front label:tier=web", "host"], "members": ["container:far"]},
                    {"deny": ["container:plain"], "ports": ["81/tcp"], "members": ["label:open"]}]}},
}


class Place(NamedTuple):
    """Somebody who serves and asks."""

    network: str
    addresses: Tuple[str, ...]
    labels: Mapping[str, str] = {}
    policy: Optional[Mapping[str, Any]] = None


PLACES: Dict[str, Place] = {
    "plain": Place("front", ("10.50.0.10", "fd00:50::10")),
    "web": Place("front", ("10.50.0.11", "fd00:50::11"), {"tier": "web"}),
    "rogue": Place("front", ("10.50.0.12", "fd00:50::12"), {"tier": "web", "bad": ""}),
    "db": Place("front", ("10.50.0.13", "fd00:50::13"), {"tier": "data"}, {"ingress": [
        {"deny": ["label:bad"]}, {"allow": ["label:tier=web"], "ports": ["80/tcp"]},
        {"allow": ["192.0.2.0/24", "fd00:50::10"], "except": ["192.0.2.3"], "ports": ["80-81/udp", "81"]},
        {"deny": ["host"], "ports": ["81/udp"]}]}),
    "jail": Place("front", ("10.50.0.14", "fd00:50::14"), {}, {"egress": [
        {"allow": ["container:db", "container:web"], "ports": ["80/udp", "81"]}, {"allow": ["192.0.2.0/24"], "ports": ["80"]}]}),
    "quiet": Place("front", ("10.50.0.15", "fd00:50::15"), {}, {"ingress": [], "egress": [{"deny": ["host", "container:web"]}]}),
    "far": Place("back", ("10.51.0.10",)),
    "open": Place("back", ("10.51.0.11",), {"open": "yes"}),
    "host": Place("", (HOST, "10.50.0.1", "fd00:50::1", "10.51.0.1")),
    "outside": Place("", (OUTSIDE,)),
}
PUBLISHED = {"db": 8080, "quiet": 8090}


def named(name: str, who: str, address: str, on_host: bool) -> bool:
    """Whether a name of a rule means a place, known by an address."""
    place = PLACES[who]
    if name in ("any", "host"):
        return name == "any" or on_host
    if "/" in name or name[0].isdigit() or name.startswith("fd"):
        return ipaddress.ip_address(address) in ipaddress.ip_network(name)
    for term in name.split():
        kind, rest = term.split(":", 1)
        key, equals, value = rest.partition("=")
        if (kind == "container" and who != rest or kind == "network" and place.network != rest
                or kind == "label" and (key not in place.labels or equals and place.labels[key] != value)):
            return False
    return True


def judged(who: str, direction: str, peer: str, address: str, protocol: str, port: int) -> bool:
    """Whether the rules about a place let a connection begin."""
    place = PLACES[who]
    if not place.network:
        return True
    of_network = NETWORKS[place.network].get("policy", {}).get(direction)
    own = (place.policy or {}).get(direction)
    rows = list(own or []) + [row for row in of_network or [] if not row.get("members")
                              or any(named(name, who, "", False) for name in row["members"])]
    default = not (own == [] or of_network == [] or any("allow" in row for row in rows))
    if peer == "host" and direction == "ingress":
        default = True
    for row in rows:
        spans = [(text.partition("/")[2] or "tcp", *map(int, (text.partition("/")[0] + "-" + text.partition("/")[0]).split("-")[:2]))
                 if "-" not in text else (text.partition("/")[2] or "tcp", *map(int, text.partition("/")[0].split("-")))
                 for text in row.get("ports", [])]
        if spans and not any(of == protocol and low <= port <= high for of, low, high in spans):
            continue
        if any(named(name, peer, address, peer == "host") for name in row.get("except", [])):
            continue
        if any(named(name, peer, address, peer == "host") for name in row.get("allow") or row["deny"]):
            return "allow" in row
    return default


def cases() -> Iterator[Tuple[str, str, str]]:
    """Who asks, the target, whom it shall reach or C(nothing), for each pair, family, port and protocol."""
    for source, target in itertools.permutations(PLACES, 2):
        for address, port, protocol in itertools.product(PLACES[target].addresses, PORTS, ("tcp", "udp")):
            own = [each for each in PLACES[source].addresses if (":" in each) == (":" in address)]
            if not own or "outside" in (source, target) and ("host" in (source, target) or ":" in address or source == "outside"):
                continue
            if target == "host" and protocol == "udp" and address != door(source, ":" in address):
                continue  # its server answers by the address that is nearest, which is not the one that was asked
            peer = door(target, ":" in address) if source == "host" else own[0]
            lets = judged(source, "egress", target, address, protocol, port) and judged(target, "ingress", source, peer, protocol, port)
            yield source, "%s:%s:%d" % (protocol, "[%s]" % address if ":" in address else address, port), target if lets else "nothing"


def door(who: str, ipv6: bool) -> str:
    """The host's address on the side of a place."""
    return {"front": "fd00:50::1" if ipv6 else "10.50.0.1", "back": "10.51.0.1", "": HOST}[PLACES[who].network]


CASES = list(cases())


def declare(host: Host, name: str, **more: Any) -> Dict[str, Any]:
    """Have a place as it is described, but for what is said."""
    place = PLACES[name]
    ports = [] if name not in PUBLISHED else [
        "%d-%d:80-81%s" % (PUBLISHED[name], PUBLISHED[name] + 1, of) for of in ("", "/udp")]
    six = {"ipv6_address": place.addresses[1]} if len(place.addresses) > 1 else {}
    return host.module("container_netns", {
        "name": name, "network": {"name": place.network}, "ipv4_address": place.addresses[0], "labels": dict(place.labels),
        "policy": dict(place.policy or {}), "published_ports": ports, **six, **more})


@pytest.fixture(scope="module")
def world(new_host: Callable[[], Host]) -> Iterator[Tuple[Host, Host]]:
    """All places, each with a server, the networks open to one another so that policies alone decide."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST + "/24", OUTSIDE + "/24")
    outside.shell("ip addr add 192.0.2.3/24 dev eth0")
    for name, options in NETWORKS.items():
        host.module("container_network", name=name, isolate="no", **options)
    for name, place in PLACES.items():
        if place.network:
            declare(host, name)
    servers = [serve(outside if name == "outside" else host, name, *PORTS) for name in PLACES]
    yield host, outside
    end(servers)


@pytest.fixture(scope="module")
def answers(world: Tuple[Host, Host]) -> Dict[Tuple[str, str], str]:
    """What each asker was told by all its targets, asked at once."""
    found = {}
    for source in PLACES:
        rows = [row for row in CASES if row[0] == source]
        if rows:
            told = ask(world[source == "outside"], source, *[row[1] for row in rows],
                       hoped=[row[1] for row in rows if row[2] != "nothing"])
            found.update({(source, target): answer.partition(" ")[0] for target, answer in told.items()})
    return found


def test_the_matrix_has_something_to_say() -> None:
    assert len(CASES) > 400 and 100 < sum(row[2] == "nothing" for row in CASES) < len(CASES) - 100


@pytest.mark.parametrize("source", sorted({row[0] for row in CASES}))
def test_who_reaches_whom(answers: Dict[Tuple[str, str], str], source: str) -> None:
    wrong = ["%s: %s, not %s" % (target, answers[(source, target)], wanted) for of, target, wanted in CASES
             if of == source and answers[(source, target)] != wanted]
    assert wrong == []


def test_published_ports_obey_with_the_senders_own_address(world: Tuple[Host, Host]) -> None:
    host, outside = world
    good = ["udp:%s:8080" % HOST, "tcp:%s:8081" % HOST]
    bad = ["tcp:%s:8080" % HOST, "tcp:%s:8090" % HOST, "udp:%s:8091" % HOST]
    told = ask(outside, "outside", *good, *bad, hoped=good)
    assert [told[each] for each in good] == ["db " + OUTSIDE] * 2 and [told[each] for each in bad] == ["nothing"] * 3
    other = outside.python(
        "import socket\ns = socket.socket(); s.settimeout(2); s.bind(('192.0.2.3', 0))\ntry:\n s.connect(('%s', 8081)); print('reached')\n"
        "except OSError: print('not')" % HOST)
    assert other.strip() == "not", "who is excepted"
    assert ask(host, "web", "tcp:%s:8080" % HOST, hoped=["tcp:%s:8080" % HOST])["tcp:%s:8080" % HOST].startswith("db ")
    assert ask(host, "plain", "tcp:%s:8080" % HOST) == {"tcp:%s:8080" % HOST: "nothing"}


def test_nobody_passes_for_another(world: Tuple[Host, Host]) -> None:
    host = world[0]
    receiver = host.start([*inside("web"), MANAGED_PYTHON, "-uc", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                           "s.bind(('', 5000)); print('ready')\nwhile True: print(s.recvfrom(9)[1][0])"], stdout=-1)
    assert receiver.stdout is not None and receiver.stdout.readline() == b"ready\n"

    def send(*addresses: str) -> None:
        host.run([*inside("plain"), MANAGED_PYTHON, "-c", "import socket, sys\nfor address in sys.argv[1:]:\n"
                  " s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((address, 0)); s.sendto(b'x', ('10.50.0.11', 5000))",
                  *addresses])
    host.shell("nsenter --net=/run/coracle/netns/plain ip addr add 10.50.0.12/32 dev lo")
    try:
        send("10.50.0.10", "10.50.0.12", "10.50.0.10")
        assert [receiver.stdout.readline() for _each in range(2)] == [b"10.50.0.10\n"] * 2, "what rogue has not sent does not come"
        host.shell("nft flush chain bridge coracle sources")
        send("10.50.0.12")
        assert receiver.stdout.readline() == b"10.50.0.12\n", "the test tests nothing"
    finally:
        end([receiver])
        host.shell("nsenter --net=/run/coracle/netns/plain ip addr del 10.50.0.12/32 dev lo")
    assert list(declare(host, "plain")["diff"]["before"]) == ["nftables"] and not declare(host, "plain")["changed"]


def test_a_change_is_live_and_what_exists_goes_on(world: Tuple[Host, Host]) -> None:
    host = world[0]
    server = host.start([*inside("plain"), MANAGED_PYTHON, "-c", "import socket; s = socket.create_server(('', 4000)); "
                         "print('ready', flush=True)\nc = s.accept()[0]\nwhile True:\n c.sendall(c.recv(9) or exit())"], stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    client = host.start([*inside("web"), MANAGED_PYTHON, "-uc", "import socket,sys; "
                         "c = socket.create_connection(('10.50.0.10', 4000), 60)\n"
                         "for line in sys.stdin: c.sendall(b'x'); print(c.recv(9))"], stdin=-1, stdout=-1)
    assert client.stdin is not None and client.stdout is not None
    target = "tcp:10.50.0.10:80"

    def still() -> bool:
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(b"\n")
        client.stdin.flush()
        return client.stdout.readline() == b"b'x'\n"
    assert still()
    changed = declare(host, "plain", policy={"ingress": []})
    assert [step["action"] for step in changed["actions"]] == ["judge"] and changed["actions"][0]["disruption"] == "live"
    assert still() and ask(host, "web", target) == {target: "nothing"}
    declare(host, "plain", policy={"ingress": [{"allow": ["label:tier=new"]}]})
    declare(host, "web", labels={"tier": "new"})
    assert ask(host, "web", target, hoped=[target])[target].startswith("plain "), "labels of others count as soon as they change"
    declare(host, "web")
    declare(host, "plain", policy={})
    assert still() and ask(host, "rogue", target, hoped=[target])[target].startswith("plain ")
    for process in (client, server):
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("policy", "words"), [
    ({"ingress": [{"ports": ["80"]}]}, ["policy.ingress", "rule 1", "allow and deny"]),
    ({"ingress": [{"allow": ["web"]}]}, ["allow", "web", "container:NAME"]),
    ({"ingress": [{"allow": ["10.0.0.1/8"]}]}, ["10.0.0.1/8", "behind its prefix"]),
    ({"egress": [{"allow": ["any"], "ports": ["99999"]}]}, ["ports", "99999"]),
    ({"egress": [{"allow": ["any"]}, {"deny": ["container:web"], "ports": ["80"]}]},
     ["policy.egress", "rule 2", "never applies", "rule 1"]),
])
def test_what_is_wrong_is_said_before_anything_is_changed(world: Tuple[Host, Host], policy: Dict[str, Any], words: List[str]) -> None:
    said = world[0].module("container_netns", name="new", policy=policy, fail=True)["msg"]
    assert all(word in said for word in words), said
    assert world[0].module("container_netns", name="new", state="absent")["changed"] is False


def test_where_it_cannot_be_kept_it_is_refused_and_who_is_unknown_is_named(world: Tuple[Host, Host]) -> None:
    host = world[0]
    said = host.module("container_netns", name="new", mode="none", policy={"ingress": []}, fail=True)["msg"]
    assert "policy" in said and "mode 'none'" in said
    warned = host.module("container_netns", name="new", check_mode=True,
                         policy={"ingress": [{"allow": ["container:ghost", "network:back"]}]})
    assert "container 'ghost'" in str(warned["warnings"]) and "'back'" not in str(warned["warnings"])


def test_without_policies_no_table_of_the_bridge_is_left(new_host: Callable[[], Host]) -> None:
    host = new_host()
    host.module("container_netns", name="a", policy={"ingress": []})
    assert "table bridge coracle" in host.shell("nft list tables")
    assert [host.module("container_netns", name="a", policy={})["changed"] for _time in range(2)] == [True, False]
    assert host.shell("nft list tables").split("\n") == ["table inet coracle", ""]
    host.module("container_netns", name="a", policy={"egress": []})
    host.module("container_netns", name="a", state="absent")
    assert host.shell("nft list tables") == ""
