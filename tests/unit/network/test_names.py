# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of the domain name system, what zones say, and the host's resolv.conf."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import dns, resolvconf, zones
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.leases import Lease
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.networks import Network
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.records import Record
from dnsask import question, read

PLAIN = Network("front", "co-front", "10.50.0.0/24", "10.50.0.1", 1500)
INNER = Network("inner", "co-inner", "10.52.0.0/24", "10.52.0.1", 1500, internal=True)
LEASES = [Lease("a", "eth0", "10.50.0.2", "", ("a", "web")), Lease("b", "eth0", "10.50.0.3", "", ("b", "web")),
          Lease("plain", "eth0", "10.50.0.4", "", ("plain",))]
RECORDS = {name: Record(name, "bridge", (("front", "eth0"),), (), {"hostname": name + ".example", "dns": dns_of})
           for name, dns_of in (("a", None), ("b", ["192.0.2.1"]))}


def test_an_answer_is_read_by_somebody_else() -> None:
    query = dns.parse(question("Web.Example", "A", {"id": 7, "edns": 4096}))
    assert (query.id, query.name, query.type, query.size, query.edns) == (7, b"\x03web\x07example\0", 1, dns.OUR_SIZE, 0)
    said = read(dns.reply(query, records=[dns.record(dns.A, socket.inet_aton("10.0.0.1")), dns.record(dns.PTR, dns.wire("x.y"))]))
    assert said["id"] == 7 and said["question"] == "Web.Example" and said["records"] == ["10.0.0.1", "x.y"]
    assert said["aa"] and said["ra"] and not said["tc"] and said["edns"] == dns.OUR_SIZE
    many = [dns.record(dns.A, bytes([10, 0, 0, each])) for each in range(60)]
    plain = dns.parse(question("web", "A", {}))
    short = read(dns.reply(plain, records=many, limit=plain.size))
    assert short["tc"] and not short["records"] and short["size"] <= 512 and short["edns"] is None
    assert len(read(dns.reply(plain, records=many, limit=65535))["records"]) == 60
    assert read(dns.reply(query, dns.BADVERS))["code"] == 16


def test_noise_is_malformed_or_a_query_and_nothing_else() -> None:
    noise = random.Random(7)
    base = question("a.b", "A", {"edns": 1232})
    for _round in range(20000):
        packet = bytearray(base[:noise.randrange(len(base) + 1)])
        for _byte in range(noise.randrange(4)):
            if packet:
                packet[noise.randrange(len(packet))] = noise.randrange(256)
        try:
            query = dns.parse(bytes(packet))
        except dns.Malformed as error:
            assert error.reply == b"" or error.reply[:2] == packet[:2]
        else:
            assert query.name.endswith(b"\0") and dns.reply(query, dns.NXDOMAIN)[:2] == bytes(packet[:2])


@pytest.mark.parametrize(("answer", "right"), [
    (lambda sent: sent[:2] + b"\x81\x80" + sent[4:], True), (lambda sent: sent[:2] + b"\x81\x80" + sent[4:12] + sent[12:].upper(), True),
    (lambda sent: b"\0\0" + b"\x81\x80" + sent[4:], False), (lambda sent: sent, False), (lambda sent: sent[:11], False),
    (lambda sent: sent[:2] + b"\x81\x80" + sent[4:12] + sent[12:].replace(b"a", b"b"), False),
    (lambda sent: sent[:2] + b"\x81\x82" + bytes(8), True), (lambda sent: sent[:2] + b"\x81\x80" + bytes(8), False)])
def test_an_answer_is_to_the_question_that_was_sent(answer: object, right: bool) -> None:
    sent = question("a.example", "A", {"id": 0x4321})
    assert dns.answers(answer(sent), sent) is right  # type: ignore[operator]


def test_a_zone_is_made_from_leases_and_records() -> None:
    zone = zones.compose(PLAIN, LEASES, RECORDS)
    assert zone is not None and zone.listen == ("10.50.0.1",) and [member.names for member in zone.members] == [
        ("a", "web", "a.example"), ("b", "web", "b.example"), ("plain",)]
    assert [member.servers for member in zone.members] == [None, ("192.0.2.1",), None]
    posing = zones.compose(PLAIN, LEASES, {"a": RECORDS["a"]._replace(names={"hostname": "plain.example"})})
    assert posing is not None and posing.members[0].names == ("a", "web", "plain.example"), "it calls itself as another is called"
    assert zones.compose(PLAIN, LEASES[2:], RECORDS) is None, "nobody in it has a resolv.conf of ours"


def test_a_directory_tells_each_asker_its_own() -> None:
    front = zones.compose(PLAIN, LEASES, RECORDS)
    inner = zones.compose(INNER, [Lease("a", "eth1", "10.52.0.2", "", ("a",)), Lease("d", "eth0", "10.52.0.3", "", ("d",))],
                          {**RECORDS, "d": Record("d", "bridge", (("inner", "eth0"),), (), {"hostname": "d"})})
    assert front is not None and inner is not None
    directory = zones.Directory((front, inner))
    a, b, d = (directory.asker(*key) for key in (("front", "10.50.0.2"), ("front", "10.50.0.3"), ("inner", "10.52.0.3")))
    host = directory.asker("front", "10.50.0.1")
    assert a is not None and b is not None and d is not None and host is not None
    assert a.networks == ("front", "inner") and a.outside and not d.outside and b.servers == ("192.0.2.1",)
    assert directory.asker("front", "192.0.2.1") is None and directory.asker("front", "10.52.0.3") is None
    pack = socket.inet_aton
    assert directory.find(a, dns.wire("web")) == ((pack("10.50.0.2"), pack("10.50.0.3")), (), ())
    assert directory.find(a, dns.wire("d")) == ((pack("10.52.0.3"),), (), ()) and directory.find(b, dns.wire("d")) is None
    assert directory.find(a, dns.wire("d.inner")) is not None and directory.find(host, dns.wire("b")) is not None
    assert directory.find(b, dns.reverse(pack("10.50.0.2"))) == ((), (), (dns.wire("a"),))
    assert directory.ours(b, dns.reverse(pack("10.50.0.99"))) and not directory.ours(b, dns.reverse(pack("10.52.0.3")))
    assert not directory.ours(b, dns.wire("x.in-addr.arpa")) and not directory.ours(b, dns.wire("1.2.3.4.5.in-addr.arpa"))


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, ".".join(["y" * 60] * 5)])
def test_what_is_no_name_has_no_wire_form(name: str) -> None:
    assert dns.wire(name) == b""


@pytest.mark.parametrize(("text", "servers", "timeout", "attempts"), [
    ("nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.4\n",
     ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"], 2.0, 2),
    ("nameserver nonsense\nnameserver\nnameserver 127.0.0.53 # stub\noptions timeout:9 attempts:99 junk\n", ["127.0.0.53"], 9.0, 5),
    ("", [], 2.0, 2), ("options timeout:x attempts:0\n", [], 2.0, 1)])
def test_the_hosts_file_is_followed(tmp_path: Path, text: str, servers: List[str], timeout: float, attempts: int) -> None:
    path = tmp_path / "resolv.conf"
    followed = resolvconf.Followed(str(path))
    assert followed.now() == resolvconf.Settings()
    path.write_text(text, encoding="utf-8")
    said = followed.now()
    assert (list(said.servers), said.timeout, said.attempts) == (servers, timeout, attempts) and followed.now() is said
    other = tmp_path / "new"
    other.write_text("nameserver 192.0.2.77\n", encoding="utf-8")
    os.replace(other, path)
    assert followed.now().servers == ("192.0.2.77",)
    path.unlink()
    assert followed.now().servers == ()
