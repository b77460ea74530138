# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports by every way to the host, the IPv6 loopback and IPv6 to IPv4 among them, and those that the host's rules decide about."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Tuple

import pytest

import hosts
from containers import Runner, add_image
from hosts import Host
from talk import ask, end, serve
from waiting import until

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
PORTS = ["8080:80/tcp", "8080:80/udp"]


@pytest.fixture(scope="module")
def places(new_host: Callable[[], Host]) -> Iterator[Tuple[Host, Host, Runner]]:
    """A host with three containers, and another host beside it: one has IPv6, one has not, and one is behind the proxy."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST[4] + "/24", "192.0.2.2/24", "wire")
    for machine, address in ((host, HOST[6]), (outside, "2001:db8::2")):
        machine.shell("ip -6 addr add %s/64 dev wire nodad" % address)
    add_image(host)
    host.module("container_network", name="dual", subnet="10.61.0.0/24", ipv6_subnet="fd00:61::/64")
    host.module("container_network", name="four", subnet="10.62.0.0/24")
    run = Runner(host)
    run("both", networks=[{"name": "dual"}], published_ports=["8080:80/tcp", "8080:80/udp", "[::1]:8083:80/tcp"])
    run("four", networks=[{"name": "four"}], published_ports=["8081:80/tcp", "8081:80/udp", "[%s]:8084:80/tcp" % HOST[6]])
    run("behind", networks=[{"name": "four"}], published_ports=["8082:80/tcp", "8082:80/udp"], publish_mode="proxy")
    servers = [serve(host, name, 80) for name in ("both", "four", "behind")]
    yield host, outside, run
    end(servers)


def targets(port: int, *ways: str) -> List[str]:
    return ["%s:%s:%d" % (protocol, way, port) for way in ways for protocol in ("tcp", "udp")]


def pids(host: Host, name: str) -> List[str]:
    return host.run(["pgrep", "-x", name], check=False).stdout.split()


def test_every_way_leads_to_the_container(places: Tuple[Host, Host, Runner]) -> None:
    host, outside, _run = places
    for name, port in (("both", 8080), ("four", 8081), ("behind", 8082)):
        ways = targets(port, "127.0.0.1", "[::1]", HOST[4], "[%s]" % HOST[6])
        for place, where, asked in ((host, "host", ways), (outside, "outside", ways[4:])):
            answers = ask(place, where, *asked, hoped=asked)
            assert {answer.partition(" ")[0] for answer in answers.values()} == {name}, (where, answers)
            if name != "behind" and where == "outside":  # whom the kernel leads keeps its address
                assert answers["tcp:%s:%d" % (HOST[4], port)] == "%s 192.0.2.2" % name
    one, other = "tcp:[::1]:8083", "tcp:[%s]:8084" % HOST[6]
    answers = ask(host, "host", one, other, hoped=[one, other])
    assert (answers[one].partition(" ")[0], answers[other].partition(" ")[0]) == ("both", "four")
    assert ask(outside, "outside", "tcp:[%s]:8083" % HOST[6]) == {"tcp:[%s]:8083" % HOST[6]: "nothing"}
    (pid,) = pids(host, "coracle-proxy")  # one for all ports
    status = dict(line.split(":\t", 1) for line in host.run(["cat", "/proc/%s/status" % pid]).stdout.splitlines())
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")] == [0] * 5
    assert status["NoNewPrivs"] == "1"


def test_the_hosts_rules_of_input_decide_about_the_proxy_alone(places: Tuple[Host, Host, Runner]) -> None:
    host, outside, _run = places
    host.shell("nft 'add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }; "
               "add rule inet filter input ct state established,related accept; add rule inet filter input meta l4proto ipv6-icmp accept; "
               "add rule inet filter input iifname lo accept; add rule inet filter input ip saddr 10.62.0.0/24 accept'")
    try:
        shut, open_ = "tcp:%s:8082" % HOST[4], "tcp:%s:8081" % HOST[4]
        answers = ask(outside, "outside", shut, open_, hoped=[open_])
        assert answers[shut] == "nothing" and answers[open_] != "nothing"
        warned = host.module("container_run", name="behind", image="busybox", command=["true"], networks=[{"name": "four"}],
                             published_ports=["8082:80/tcp"], publish_mode="proxy", check_mode=True)["warnings"]
        assert any("drops" in each and "8082/tcp" in each and "tcp dport 8082 accept" in each for each in map(str, warned)), warned
        host.shell("nft insert rule inet filter input tcp dport 8082 accept")
        assert ask(outside, "outside", shut, hoped=[shut])[shut].startswith("behind")
    finally:
        host.shell("nft delete table inet filter")


def test_large_amounts_pass_whole_and_half_closed_connections_go_on(places: Tuple[Host, Host, Runner]) -> None:
    host, _outside, _run = places
    server = host.start(["nsenter", "--net=/run/coracle/netns/behind", hosts.MANAGED_PYTHON, "-c", ECHO], stdout=-1)
    try:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        _run("behind", networks=[{"name": "four"}], published_ports=["8082:80/tcp", "8082:80/udp", "8085:81/tcp"], publish_mode="proxy")
        said = host.run([hosts.MANAGED_PYTHON, "-c", SEND, "8085"]).stdout
        assert said == "same\n"
    finally:
        end([server])


# Sends back all that it got, once it has got all.
ECHO = """
import socket
listener = socket.create_server(("0.0.0.0", 81))
print("ready", flush=True)
while True:
    link = listener.accept()[0]
    parts = []
    while True:
        part = link.recv(1 << 16)
        if not part:
            break
        parts.append(part)
    link.sendall(b"".join(parts))
    link.close()
"""
SEND = """
import os, socket, sys
content = os.urandom(1 << 20) * 8
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.sendall(content)
link.shutdown(socket.SHUT_WR)
got = []
while True:
    part = link.recv(1 << 16)
    if not part:
        break
    got.append(part)
print("same" if b"".join(got) == content else "different")
"""


def test_a_change_leaves_connections_alone_and_the_proxy_comes_again_when_killed(places: Tuple[Host, Host, Runner]) -> None:
    host, _outside, run = places
    options: Dict[str, object] = {"networks": [{"name": "four"}], "published_ports": ["8082:80/tcp", "8086:80/tcp"]}
    changed = run("behind", **options, publish_mode="proxy")
    assert [step["disruption"] for step in changed["actions"]] == ["live"]
    hoped = ["tcp:[::1]:8086", "tcp:127.0.0.1:8082"]
    assert "nothing" not in ask(host, "host", *hoped, hoped=hoped).values()
    for name in ("coracle-proxy", "coracle-names"):
        for pid in pids(host, name):
            host.run(["kill", "-9", pid])
        until(lambda: "nothing" not in ask(host, "host", *hoped).values())
    assert not run("behind", **options, publish_mode="proxy")["changed"]
    back = run("behind", **options, publish_mode="nat")
    assert [step["options"] for step in back["actions"]] == [["publish_mode"]], back["actions"]
    assert "nothing" not in ask(host, "host", *hoped, hoped=hoped).values()


def test_a_port_that_somebody_has_is_an_error_and_nothing_is_left(places: Tuple[Host, Host, Runner]) -> None:
    host, _outside, run = places
    other = serve(host, "host", 8090)
    try:
        said = host.module("container_run", name="late", image="busybox", command=["true"], networks=[{"name": "four"}],
                           published_ports=["8090:80"], publish_mode="proxy", fail=True)
        assert "8090" in said["msg"] and "python3" in said["msg"]
    finally:
        end([other])
    said = host.module("container_run", name="late", image="busybox", command=["true"], published_ports=["8091:80/sctp"],
                       publish_mode="proxy", fail=True)
    assert "knows tcp and udp" in said["msg"]


def test_flushed_rules_come_back_by_themselves(places: Tuple[Host, Host, Runner]) -> None:
    host, outside, _run = places
    host.shell("nft flush ruleset")
    until(lambda: "table inet coracle" in host.run(["nft", "list", "tables"]).stdout)
    target = "tcp:%s:8081" % HOST[4]
    assert ask(outside, "outside", target, hoped=[target])[target] == "four 192.0.2.2"
