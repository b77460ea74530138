# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: what containers are told by the resolver of their host, asked with real questions in their network namespaces."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from containers import Runner, add_image
from hosts import MANAGED_PYTHON, Host
from talk import end, inside
from waiting import until

SCRIPT = Path(__file__).resolve().parents[2] / "dnsask.py"
FRONT, DUAL, INNER = "10.50.0.1", "10.51.0.1", "10.52.0.1"


def asked(host: Host, where: str, *questions: List[Any]) -> List[Any]:
    """The answers to questions of somebody, each C([server, protocol, name, type, options])."""
    full = [[*each, *["udp", "", "A", {}][len(each) - 1:]] for each in questions]
    return list(json.loads(host.run([*inside(where), MANAGED_PYTHON, str(SCRIPT), "ask", json.dumps(full)]).stdout))


def one(host: Host, where: str, *question: Any) -> Any:
    """The answer to one question."""
    return asked(host, where, list(question))[0]


def pid_of(host: Host, name: str) -> List[str]:
    """The processes that call themselves so."""
    return host.run(["pgrep", "-x", name], check=False).stdout.split()


@pytest.fixture(scope="module")
def upstream(new_host: Callable[[], Host]) -> Iterator[Host]:
    """A host whose servers of names are on its loopback, as systemd-resolved's is, with containers on three networks.

    a and b share the service name C(web); c is on two networks, of which one is dual-stack; d is on an internal one.
    """
    host = new_host()
    add_image(host)
    servers = []
    for address, label in (("127.0.0.53", "stub"), ("127.0.0.99", "second")):
        server = host.start([MANAGED_PYTHON, str(SCRIPT), "serve", address, label], stdout=subprocess.PIPE)
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        servers.append(server)
    host.shell("printf 'nameserver 127.0.0.53\\nsearch lan.example\\noptions timeout:1 attempts:1\\n' > /etc/resolv.conf")
    run = Runner(host)
    for name, subnet, more in (("dual", "10.51.0.0/24", {"ipv6_subnet": "fd00:51::/64"}), ("inner", "10.52.0.0/24", {"internal": True}),
                               ("front", "10.50.0.0/24", {})):
        host.module("container_netns", name="holds-" + name, network={"name": name, "subnet": subnet, **more})
    run("a", networks=[{"name": "front", "aliases": ["web"]}], hostname="alpha.example.org")
    run("b", networks=[{"name": "front", "aliases": ["web", "only-b"]}])
    run("c", networks=[{"name": "front", "ipv4_address": "10.50.0.30"}, {"name": "dual", "ipv6_address": "fd00:51::30"}])
    run("d", networks=[{"name": "inner"}])
    yield host
    end(servers)


def address(host: Host, name: str, network: str = "front") -> str:
    """The IPv4 address that a container has, as its lease says."""
    return str(json.loads(host.shell("cat %s/networks/%s/leases/%s:*.json" % (host.state_root, network, name)))["address"])


def test_names_aliases_and_hostnames(upstream: Host) -> None:
    found = asked(upstream, "a", [FRONT, "udp", "b"], [FRONT, "udp", "ONLY-b"], [FRONT, "udp", "b.front"], [FRONT, "udp", "a"],
                  [FRONT, "udp", "alpha.example.org"], [FRONT, "udp", "alpha"], [FRONT, "udp", "c"], [FRONT, "tcp", "b"],
                  [FRONT, "udp", "holds-front"])
    b, a = address(upstream, "b"), address(upstream, "a")
    assert [each["records"] for each in found] == [[b], [b], [b], [a], [a], [a], ["10.50.0.30"], [b],
                                                   [address(upstream, "holds-front")]]
    assert all(each["code"] == 0 and each["aa"] and each["ra"] and not each["tc"] for each in found)
    assert found[1]["question"] == "ONLY-b", "the question comes back as it was asked"


def test_a_service_name_has_all_replicas_each_time_another_first(upstream: Host) -> None:
    both = [address(upstream, "a"), address(upstream, "b")]
    found = [one(upstream, "c", FRONT, "udp", "web")["records"] for _time in range(4)]
    assert all(sorted(each) == sorted(both) for each in found) and {each[0] for each in found} == set(both)
    hosts = upstream.shell("cat %s/containers/c/hosts" % upstream.run_root).splitlines()
    assert "%s\ta" % both[0] in hosts and "%s\tb only-b" % both[1] in hosts, "the hosts file leaves shared names to the resolver"


def test_what_a_name_has_not_is_no_error_and_what_nobody_has_is(upstream: Host) -> None:
    found = asked(upstream, "a", [FRONT, "udp", "b", "AAAA"], [FRONT, "udp", "b", "MX"], [FRONT, "udp", "nowhere.lan.example"],
                  [FRONT, "udp", "x.b"])
    assert [(each["code"], each["records"]) for each in found] == [(0, []), (0, []), (3, []), (0, ["192.0.2.200"])]
    assert found[0]["aa"] and found[1]["aa"] and not found[2]["aa"]


def test_both_families(upstream: Host) -> None:
    found = asked(upstream, "c", [DUAL, "udp", "c", "AAAA"], [DUAL, "udp", "c", "ANY"], ["fd00:51::1", "udp", "a", "A"],
                  ["fd00:51::1", "tcp", "c", "AAAA"], [FRONT, "udp", "c", "AAAA"])
    v4 = {"10.50.0.30", address(upstream, "c", "dual")}
    assert found[0]["records"] == ["fd00:51::30"] and set(found[1]["records"]) == v4 | {"fd00:51::30"}
    assert found[2]["records"] == [address(upstream, "a")], "the names of all its networks, whichever it asks"
    assert found[3]["records"] == found[4]["records"] == ["fd00:51::30"]
    assert one(upstream, "a", FRONT, "udp", "c", "AAAA")["records"] == [], "of a network that it is not in"


def test_addresses_have_names(upstream: Host) -> None:
    six = ".".join(reversed("fd000051" + "0" * 22 + "30")) + ".ip6.arpa"
    last = address(upstream, "b").rsplit(".", 1)[1]
    found = asked(upstream, "c", [FRONT, "udp", last + ".0.50.10.in-addr.arpa", "PTR"], [FRONT, "udp", six, "PTR"],
                  [FRONT, "udp", "250.0.50.10.in-addr.arpa", "PTR"], [FRONT, "udp", "1.2.0.192.in-addr.arpa", "PTR"])
    assert [(each["code"], each["records"], each["aa"]) for each in found] == [
        (0, ["b"], True), (0, ["c"], True), (3, [], True), (0, [], False)]


def test_an_internal_network_knows_its_own_names_and_no_others(upstream: Host) -> None:
    found = asked(upstream, "d", [INNER, "udp", "d"], [INNER, "udp", "www.example.org"], [INNER, "udp", "a"])
    assert [(each["code"], each["records"]) for each in found] == [(0, [address(upstream, "d", "inner")]), (3, []), (3, [])]


def test_names_of_outside_are_asked_for_outside(upstream: Host) -> None:
    found = asked(upstream, "a", [FRONT, "udp", "www.example.org"], [FRONT, "tcp", "www.example.org"], [FRONT, "udp", "x", "TXT"],
                  [FRONT, "udp", "forged.example.org"], [FRONT, "udp", "big.example.org", "TXT"],
                  [FRONT, "tcp", "big.example.org", "TXT"], [FRONT, "udp", "broken.example.org"],
                  [FRONT, "udp", "silent.example.org", "A", {"edns": 1232}])
    assert [each["records"] for each in found[:4]] == [["192.0.2.200"], ["192.0.2.200"], ["stub"], ["192.0.2.200"]]
    assert found[4]["tc"] and not found[4]["records"] and len(found[5]["records"]) == 14 and found[5]["size"] > 2800
    assert [each["code"] for each in found[6:]] == [2, 2] and all(each["id"] == 0x1234 for each in found)


def test_a_question_for_outside_cannot_be_guessed(upstream: Host) -> None:
    log = upstream.folder / "guess.log"
    server = upstream.start([MANAGED_PYTHON, str(SCRIPT), "serve", "127.0.0.77", "third"], stdout=log.open("wb"))
    try:
        until(lambda: "ready" in log.read_text())
        run = Runner(upstream)
        run("e", networks=[{"name": "front"}], dns_servers=["192.0.2.99"])
        upstream.shell("ip addr add 192.0.2.99/32 dev lo")
        server.kill()
        server.wait()
        server = upstream.start([MANAGED_PYTHON, str(SCRIPT), "serve", "192.0.2.99", "own"], stdout=log.open("wb"))
        until(lambda: "ready" in log.read_text())
        found = asked(upstream, "e", *[[FRONT, "udp", "n%d.example" % each, "TXT"] for each in range(24)])
        assert [each["records"] for each in found] == [["own"]] * 24, "a container's own servers are asked for it"
        assert one(upstream, "a", FRONT, "udp", "x.example", "TXT")["records"] == ["stub"], "and for nobody else"
        seen = [line.split() for line in log.read_text().splitlines()[1:]]
        assert len({port for port, _number in seen}) > 12 and len({number for _port, number in seen}) > 20
        assert run("e", networks=[{"name": "front"}], dns_servers=["127.0.0.99"])["actions"][0]["disruption"] == "live"
        run("e", state="absent")
    finally:
        server.kill()
        server.wait()


def test_a_server_that_does_not_answer_or_cannot_is_followed_by_the_next(upstream: Host) -> None:
    before = upstream.shell("cat /etc/resolv.conf")
    try:
        # Nobody is at the first (refused at once); a file that is replaced is followed.
        upstream.shell("printf 'nameserver 127.0.0.98\\nnameserver 127.0.0.99\\noptions timeout:1\\n' > /etc/new; "
                       "mv /etc/new /etc/resolv.conf")
        assert one(upstream, "a", FRONT, "udp", "x.example", "TXT")["records"] == ["second"]
        assert one(upstream, "a", FRONT, "tcp", "x.example", "TXT")["records"] == ["second"]
        # The first swallows everything.
        upstream.shell("printf 'nameserver 192.0.2.250\\nnameserver 127.0.0.99\\noptions timeout:1\\n' > /etc/resolv.conf; "
                       "ip route add blackhole 192.0.2.248/30; ip addr add 192.0.2.251/32 dev lo")
        assert one(upstream, "a", FRONT, "udp", "x.example", "TXT")["records"] == ["second"]
        # Asking ourselves would never end.
        upstream.shell("printf 'nameserver %s\\nnameserver 127.0.0.99\\n' > /etc/resolv.conf" % FRONT)
        assert one(upstream, "a", FRONT, "udp", "x.example", "TXT")["records"] == ["second"]
        upstream.shell(": > /etc/resolv.conf")
        assert one(upstream, "a", FRONT, "udp", "x.example")["code"] == 2
    finally:
        (upstream.folder / "resolv.conf").write_text(before, encoding="utf-8")
        upstream.shell("cat %s > /etc/resolv.conf" % (upstream.folder / "resolv.conf"))


def test_packets_that_are_no_questions(upstream: Host) -> None:
    found = asked(
        upstream, "a", [FRONT, "udp", "b", "A", {"questions": 2}], [FRONT, "udp", "b", "A", {"flags": 0x2800}],
        [FRONT, "udp", "b", "A", {"edns": 4096, "version": 1}], [FRONT, "udp", "b", "A", {"class": 3}],
        [FRONT, "udp", "b", "A", {"edns": 4096}], [FRONT, "udp", "other.example", "AXFR"],
        [FRONT, "udp", "b", "A", {"raw": "123401000001000000000000c00c00010001"}],
        [FRONT, "udp", "b", "A", {"raw": "1234", "patience": 0.5}], [FRONT, "udp", "b", "A", {"flags": 0x8100, "patience": 0.5}],
        [FRONT, "udp", "b", "A", {"raw": "12340100000100000000000003", "patience": 30}],
        [FRONT, "tcp", "b", "A", {"raw": "00", "patience": 0.5}])
    assert [None if each is None else each["code"] for each in found[:-1]] == [1, 4, 16, 5, 0, 5, 1, None, None, 1]
    assert found[4]["edns"] == 1232
    assert one(upstream, "a", FRONT, "udp", "b")["code"] == 0, "none of them did it any harm"


def test_an_answer_that_is_too_long_for_udp_comes_by_tcp(upstream: Host) -> None:
    names = ["many-%d" % each for each in range(40)]
    upstream.call(_declare_members, names, upstream.state_root, upstream.run_root, upstream.cgroup_root)
    try:
        found = asked(upstream, "a", [FRONT, "udp", "many"], [FRONT, "udp", "many", "A", {"edns": 4096}], [FRONT, "tcp", "many"])
        assert found[0]["tc"] and not found[0]["records"] and found[0]["size"] <= 512
        assert not found[1]["tc"] and len(set(found[1]["records"])) == 40 and found[1]["size"] <= 1232
        assert len(set(found[2]["records"])) == 40 and not found[2]["tc"]
    finally:
        upstream.call(_declare_members, [], upstream.state_root, upstream.run_root, upstream.cgroup_root)


def _declare_members(names: List[str], *roots: str) -> None:
    """Write leases that share an alias into the network front, or take them away, and tell of it."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import leases, turns, zones
    instance = Instance(*roots)
    with turns.changing(instance):
        for lease in leases.of(instance, "front"):
            if lease.netns.startswith("many-"):
                leases.remove(instance, "front", lease.netns, lease.interface)
        for at, name in enumerate(names):
            leases.write(instance, "front", leases.Lease(name, "eth0", "10.50.0.%d" % (100 + at), "02:00:00:00:00:01", (name, "many")))
        zones.refresh(instance, ["front"])


def test_strangers_are_told_nothing(upstream: Host) -> None:
    upstream.shell("nsenter --net=/run/coracle/netns/d ip route add 10.50.0.0/24 via " + INNER)
    assert one(upstream, "d", FRONT, "udp", "b")["code"] == 5, "of another network"
    assert one(upstream, "host", FRONT, "udp", "b")["records"] == [address(upstream, "b")], "the host may ask"


def test_programs_in_containers_resolve_through_their_own_files(upstream: Host) -> None:
    run = Runner(upstream)
    said = run.output("f", "cat /etc/resolv.conf; nslookup web.; nslookup www.example.org",
                      networks=[{"name": "front"}])
    assert "nameserver %s\n" % FRONT in said and "search lan.example" in said and "ndots:0" in said
    assert all(each in said for each in (address(upstream, "a"), address(upstream, "b"), "192.0.2.200"))
    own = run.output("f", "cat /etc/resolv.conf", networks=[{"name": "front"}], dns_servers=["127.0.0.1"], dns_search_domains=["."])
    assert own.splitlines()[0] == "nameserver 127.0.0.1", "a resolver of its own"
    run("f", state="absent")


def test_names_change_while_containers_run(upstream: Host) -> None:
    run = Runner(upstream)
    run("g", networks=[{"name": "front"}])
    assert one(upstream, "a", FRONT, "udp", "g")["records"]
    changed = run("g", networks=[{"name": "front", "aliases": ["late"]}, {"name": "dual"}])
    assert {step["disruption"] for step in changed["actions"]} == {"live"}
    assert one(upstream, "a", FRONT, "udp", "late")["records"] == [address(upstream, "g")]
    assert one(upstream, "g", FRONT, "udp", "c", "AAAA")["records"] == ["fd00:51::30"]
    run("g", state="absent")
    assert one(upstream, "a", FRONT, "udp", "g.lan.example")["code"] == 3 and not one(upstream, "a", FRONT, "udp", "late")["aa"]


def test_it_is_there_again_when_killed_and_so_is_its_keeper(upstream: Host) -> None:
    resolver = pid_of(upstream, "coracle-names")
    assert len(resolver) == 1
    upstream.run(["kill", "-9", *resolver])
    until(lambda: (one(upstream, "a", FRONT, "udp", "b", "A", {"patience": 10}) or {}).get("records"))
    resolver = pid_of(upstream, "coracle-names")
    upstream.run(["kill", "-9", *pid_of(upstream, "coracle-keeper")])
    assert one(upstream, "a", FRONT, "udp", "b")["records"], "without its keeper too"
    until(lambda: pid_of(upstream, "coracle-keeper"))
    assert pid_of(upstream, "coracle-names") == resolver

    def watched_again() -> bool:
        upstream.run(["kill", "-9", *pid_of(upstream, "coracle-names")], check=False)
        time.sleep(0.2)
        return bool(one(upstream, "a", FRONT, "udp", "b", "A", {"patience": 10}))
    until(watched_again)


def test_a_run_finds_and_mends_what_nobody_was_left_to_mend(upstream: Host) -> None:
    pids = pid_of(upstream, "coracle-keeper") + pid_of(upstream, "coracle-names")
    upstream.run(["kill", "-STOP", *pids])
    upstream.run(["kill", "-9", *pids])
    options: Dict[str, Any] = {"networks": [{"name": "inner"}]}
    run = Runner(upstream)
    until(lambda: run("d", check_mode=True, **options)["diff"]["before"] == {"resolver": "not running"})
    assert [step["disruption"] for step in run("d", **options)["actions"]] == ["live"]
    assert one(upstream, "a", FRONT, "udp", "b")["records"] and run("d", **options)["changed"] is False


def test_one_that_hangs_is_replaced(upstream: Host) -> None:
    before = pid_of(upstream, "coracle-names")
    upstream.run(["kill", "-STOP", *before])
    Runner(upstream)("h", networks=[{"name": "front"}])
    assert one(upstream, "a", FRONT, "udp", "h")["records"] and pid_of(upstream, "coracle-names") != before
    Runner(upstream)("h", state="absent")


def test_a_newer_engine_takes_over_without_a_question_lost(upstream: Host) -> None:
    before = pid_of(upstream, "coracle-names")
    engine = upstream.shell("readlink -f %s/engine/current" % upstream.state_root).strip()
    newer = engine[:-1] + ("0" if engine[-1] != "0" else "1")
    upstream.shell("cp -a {0} {1}; find {1} -name __pycache__ -exec rm -r {{}} +".format(engine, newer))
    launcher = upstream.folder / "coracle"
    launcher.write_text('#!/bin/sh\nexec %s -IS -X utf8 %s/engine/start.py "$0" "$@"\n' % (MANAGED_PYTHON, newer), encoding="utf-8")
    upstream.shell("cat %s > %s/coracle" % (launcher, newer))
    asking = upstream.start([*inside("a"), MANAGED_PYTHON, str(SCRIPT), "speed", FRONT, "b", "8000"], stdout=subprocess.PIPE)
    try:
        said = upstream.run([MANAGED_PYTHON, "-c", "import sys; sys.path.insert(0, %r)\nfrom engine.instance import Instance\n"
                             "from engine.container import naming\nnaming.ensure(Instance(%r, %r, %r))" % (
                                 newer, upstream.state_root, upstream.run_root, upstream.cgroup_root)])
        assert said.returncode == 0 and pid_of(upstream, "coracle-names") != before
        until(lambda: len(pid_of(upstream, "coracle-names")) == 1)
        times = json.loads(asking.communicate(timeout=280)[0])
        assert len(times) == 8000, "each was answered, since the client waits for none twice"
    finally:
        asking.kill()
        asking.communicate()
    Runner(upstream)("d", networks=[{"name": "inner"}], check_mode=True)


def test_another_server_at_port_53_is_gone_round(new_host: Callable[[], Host]) -> None:
    host = new_host()
    add_image(host)
    server = host.start([MANAGED_PYTHON, str(SCRIPT), "serve", "0.0.0.0", "hog"], stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    run = Runner(host)
    try:
        run("x")
        assert run("x")["changed"] is False
        gateway = host.shell("ip -4 -o addr show coracle0").split()[3].partition("/")[0]
        found = asked(host, "x", [gateway, "udp", "x"], [gateway, "tcp", "x"])
        assert [each["records"] for each in found] == [[host.shell("nsenter --net=/run/coracle/netns/x hostname -I").strip()]] * 2
        assert one(host, "host", "127.0.0.1", "udp", "any", "TXT")["records"] == ["hog"], "the host's own is as it was"
        host.run(["kill", "-9", *pid_of(host, "coracle-names")])
        until(lambda: (one(host, "x", gateway, "udp", "x", "A", {"patience": 10}) or {}).get("aa"))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        run("x", state="absent")
    until(lambda: not pid_of(host, "coracle-names"))
