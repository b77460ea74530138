# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom: real TCP and UDP between hosts, containers and networks, with the address that the server sees."""

from __future__ import annotations

import itertools
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

import hosts
from hosts import MANAGED_PYTHON, Host
from talk import ask, end, inside, serve

OUTSIDE, HOST, GATEWAY = "192.0.2.2", "192.0.2.1", "10.209.0.1"
C1, C2, C3, C4 = "10.209.0.2", "10.209.0.3", "10.60.0.2", "10.70.0.2"

# From where, to which address, port for TCP, port for UDP; and the answer: who, and whom it sees.
MATRIX: List[Tuple[str, str, int, int, str]] = [
    ("outside", HOST, 8080, 5353, "c1 " + OUTSIDE),
    ("outside", HOST, 8002, 8002, "c1 " + OUTSIDE),
    ("outside", HOST, 9000, 9000, "nothing"),
    ("outside", HOST, 9001, 9001, "c1 " + OUTSIDE),
    ("outside", "198.51.100.1", 8080, 5353, "c1 " + OUTSIDE),
    ("outside", "198.51.100.1", 9001, 9001, "nothing"),
    ("outside", HOST, 81, 81, "nothing"),
    ("outside", C1, 80, 80, "nothing"),
    ("outside", C4, 80, 80, "nothing"),
    ("host", HOST, 8080, 5353, "c1 " + HOST),
    ("host", GATEWAY, 8080, 5353, "c1 " + GATEWAY),
    ("host", "127.0.0.1", 8080, 5353, "c1 " + GATEWAY),
    ("host", "127.0.0.1", 9000, 9000, "c1 " + GATEWAY),
    ("host", "127.0.0.1", 9001, 9001, "nothing"),
    ("host", HOST, 9000, 9000, "nothing"),
    ("host", C1, 80, 80, "c1 " + GATEWAY),
    ("host", C4, 80, 80, "c4 10.70.0.1"),
    ("c1", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c1", GATEWAY, 8080, 5353, "c1 " + GATEWAY),
    ("c1", C2, 80, 80, "c2 " + C1),
    ("c1", OUTSIDE, 7000, 7000, "outside " + HOST),
    ("c1", C3, 80, 80, "nothing"),
    ("c2", C1, 80, 80, "c1 " + C2),
    ("c2", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c2", HOST, 9000, 9000, "nothing"),
    ("c3", HOST, 8080, 5353, "c1 " + GATEWAY),
    ("c3", C1, 80, 80, "nothing"),
    ("c3", OUTSIDE, 7000, 7000, "outside " + HOST),
    ("c3", C4, 80, 80, "nothing"),
    ("c4", OUTSIDE, 7000, 7000, "nothing"),
    ("c4", HOST, 8080, 5353, "nothing"),
    ("c4", C1, 80, 80, "nothing"),
]


@pytest.fixture(scope="module")
def world(new_host: Callable[[], Host]) -> Iterator[Tuple[Host, Host]]:
    """A host with four containers on three networks, and another host."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST + "/24", OUTSIDE + "/24")
    host.shell("ip addr add 198.51.100.1/32 dev lo; ip route add default via " + OUTSIDE)
    # The outside knows where the containers are, so that only the rules stop it.
    outside.shell("ip route add default via %s" % HOST)
    host.module("container_netns", name="c1", published_ports=[
        "8080:80", "5353:80/udp", "8000-8002:80-82", "8000-8002:80-82/udp", "127.0.0.1:9000:80", "127.0.0.1:9000:80/udp",
        HOST + ":9001:80", HOST + ":9001:80/udp"])
    host.module("container_netns", name="c2")
    host.module("container_netns", name="c3", network={"name": "other", "subnet": "10.60.0.0/24"})
    host.module("container_netns", name="c4", network={"name": "inner", "subnet": "10.70.0.0/24", "internal": True},
                routes=[{"destination": "default", "gateway": "10.70.0.1"}])
    servers = [serve(host, "c1", 80, 81, 82)] + [serve(host, name, 80) for name in ("c2", "c3", "c4")]
    servers.append(serve(outside, "outside", 7000))
    yield host, outside
    end(servers)


@pytest.fixture(scope="module")
def answers(world: Tuple[Host, Host]) -> Dict[Tuple[str, str], str]:
    """All answers of the matrix; each place asks all its targets at once."""
    found = {}
    for where, rows in itertools.groupby(MATRIX, key=lambda row: row[0]):
        pairs = [(target, row[4]) for row in rows for target in ("tcp:%s:%d" % row[1:3], "udp:%s:%d" % (row[1], row[3]))]
        targets, hoped = [pair[0] for pair in pairs], [target for target, answer in pairs if answer != "nothing"]
        for target, answer in ask(world[where == "outside"], where, *targets, hoped=hoped).items():
            found[(where, target)] = answer
    return found


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("where", "address", "tcp", "udp", "answer"), MATRIX)
def test_traffic(answers: Dict[Tuple[str, str], str], protocol: str, where: str, address: str, tcp: int, udp: int,
                 answer: str) -> None:
    target = "%s:%s:%d" % (protocol, address, tcp if protocol == "tcp" else udp)
    assert answers[(where, target)] == answer


def test_a_container_does_not_reach_what_listens_on_the_hosts_loopback(world: Tuple[Host, Host]) -> None:
    host = world[0]
    server = host.start([MANAGED_PYTHON, "-c", "import socket; s = socket.create_server(('127.0.0.1', 7777)); "
                         "print('ready', flush=True)\nwhile True:\n s.accept()[0].sendall(b'secret')"], stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    secret = "tcp:127.0.0.1:7777"
    assert ask(host, "host", secret, hoped=[secret]) == {secret: "secret"}
    host.shell("nsenter --net=/run/coracle/netns/c2 sh -euc 'ip addr del 127.0.0.1/8 dev lo; "
               "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.1 via %s'" % GATEWAY)
    try:
        assert ask(host, "c2", secret) == {secret: "nothing"}
        host.shell("nft flush chain inet coracle guard")
        assert ask(host, "c2", secret, hoped=[secret]) == {secret: "secret"}, "the test tests nothing"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        host.shell("nsenter --net=/run/coracle/netns/c2 sh -euc 'ip route del 127.0.0.1; "
                   "ip addr add 127.0.0.1/8 dev lo; sysctl -qw net.ipv4.conf.all.route_localnet=0'")


def test_a_change_of_ports_keeps_connections(world: Tuple[Host, Host]) -> None:
    host, outside = world
    server = host.start([*inside("c2"), MANAGED_PYTHON, "-c", "import socket; s = socket.create_server(('', 4000)); "
                         "print('ready', flush=True)\nc = s.accept()[0]\nwhile True:\n c.sendall(c.recv(9) or exit())"],
                        stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    host.module("container_netns", name="c2", published_ports=["4000:4000"])
    client = outside.start([MANAGED_PYTHON, "-uc", "import socket,sys; c = socket.create_connection(('%s', 4000), 120)\n"
                            "for line in sys.stdin: c.sendall(b'x'); print(c.recv(9))" % HOST], stdin=-1, stdout=-1)
    assert client.stdin is not None and client.stdout is not None
    for ports in ([], ["4001:4000"], ["4000:4000"]):
        client.stdin.write(b"\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"b'x'\n"
        host.module("container_netns", name="c2", published_ports=ports)
    for process in (client, server):
        process.kill()
        process.communicate()
