# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for of networks, in the words of three engines; their pools; ports as elements; what rules of others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import (
    bandwidth,
    documents,
    drivers,
    elements,
    leases,
    publish,
    requests,
    verdicts,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.networks import Network, Pool
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.verdicts import Packet

NET = Network("n", "co-n", "10.0.0.0/30", "10.0.0.1", 1500, more=(Pool("10.1.0.0/24", "10.1.0.1", "10.1.0.64/26"),
                                                                 Pool("fd00:1::/64", "fd00:1::1")),
              ipv6_subnet="fd00::/64", ipv6_gateway="fd00::1", static_leases=(("db", "10.1.0.64"), ("db", "fd00:1::5")))


def test_a_list_of_subnets_is_told_apart() -> None:
    found, ipv6 = requests.given({"name": "n", "subnets": [
        {"subnet": "10.0.0.0/24", "gateway": "10.0.0.9", "ip_range": None, "aux_addresses": {"x": "10.0.0.8"}},
        {"subnet": "fd00::/64"}, {"subnet": "10.1.0.0/24", "ip_range": "10.1.0.0/25"}]})
    assert found["subnet"] == "10.0.0.0/24" and found["gateway"] == "10.0.0.9" and "ip_range" not in found
    assert found["ipv6_subnet"] == "fd00::/64" and found["more"] == (Pool("10.1.0.0/24", "", "10.1.0.0/25"),)
    assert found["aux_addresses"] == (("x", "10.0.0.8"),) and ipv6 is None
    assert requests.given({"subnets": [{"subnet": "10.0.0.0/24"}]})[1] is False, "the list is whole: IPv6 goes"


@pytest.mark.parametrize(("options", "field", "value"), [
    ({"com.docker.network.bridge.enable_icc": "false"}, "icc", False),
    ({"com.docker.network.bridge.enable_ip_masquerade": "1"}, "masquerade", True),
    ({"com.docker.network.driver.mtu": "1400"}, "mtu", 1400),
    ({"bridge_name": "br7"}, "bridge", "br7"),
    ({"isolate": "true"}, "isolate", "yes"),
    ({"isolate": "strict"}, "isolate", "strict"),
])
def test_names_of_others_mean_our_options(options: Dict[str, str], field: str, value: Any) -> None:
    assert requests.given({"driver_options": options})[0] == {"options": {}, field: value}


def test_modes_have_their_driver_in_their_name_elsewhere() -> None:
    given = requests.given({"driver_options": {"parent": "eth0", "macvlan_mode": "vepa"}})[0]["options"]
    assert drivers.settle("macvlan", given, ()) == (("mode", "vepa"), ("parent", "eth0"))
    assert drivers.settle("macvlan", {"parent": "eth1"}, (("mode", "vepa"), ("parent", "eth0"))) == (("mode", "vepa"), ("parent", "eth1"))
    with pytest.raises(InvalidValue, match="l2, l3, l3s"):
        drivers.settle("ipvlan", {"parent": "eth0", "mode": "vepa"}, ())


def test_two_places_must_not_contradict() -> None:
    with pytest.raises(InvalidValue, match="contradicts mtu, which is 1500"):
        requests.given({"mtu": 1500, "driver_options": {"mtu": "1400"}})


def test_addresses_come_from_the_first_subnet_with_a_free_one() -> None:
    one = leases.Lease("a", "eth0", "10.0.0.2", "02:00:00:00:00:01")
    assert leases.choose(NET, [], "b", None) == "10.0.0.2"
    assert leases.choose(NET, [one], "b", None) == "10.1.0.65", "10.1.0.64 is kept for db"
    assert leases.choose(NET, [one], "db", None) == "10.1.0.64"
    assert leases.choose(NET, [one], "db", None, ipv6=True) == "fd00:1::5"
    assert leases.choose(NET, [one], "db", "10.1.0.99") == "10.1.0.99", "what is asked for comes first"
    assert leases.choose(NET, [one], "a", None) == "10.0.0.2", "who has one keeps it, by whatever interface"
    with pytest.raises(Conflict, match="kept for 'db'"):
        leases.choose(NET, [one], "b", "10.1.0.64")
    with pytest.raises(InvalidValue, match=r"10\.0\.0\.0/30 or 10\.1\.0\.0/24"):
        leases.choose(NET, [], "b", "10.2.0.1")
    assert NET.pool_of("10.1.0.7") == NET.more[0] and NET.pool_of("10.2.0.1") is None
    assert NET.gateways == ("10.0.0.1", "fd00::1", "10.1.0.1", "fd00:1::1")


def test_only_ports_that_come_and_go_are_sent() -> None:
    def maps(*texts: str) -> Any:
        return elements.of(tuple((port, "10.0.0.2") for port in publish.expand(texts)))
    before = elements.written(maps("80:80/tcp", "127.0.0.1:53:53/udp"))
    assert elements.difference("inet", "t", before, maps("80:80/tcp", "127.0.0.1:53:53/udp")) is None
    assert elements.difference("inet", "t", before, maps("80:81/tcp", "81:81/tcp")) == (
        "delete element inet t published { tcp . 80 : 10.0.0.2 . 80 }\n"
        "add element inet t published { tcp . 80 : 10.0.0.2 . 81, tcp . 81 : 10.0.0.2 . 81 }\n"
        "delete element inet t published_at { 127.0.0.1 . udp . 53 : 10.0.0.2 . 53 }\n")
    fewer = {name: found for name, found in maps().items() if "6" not in name}
    assert elements.difference("inet", "t", before, fewer) is None, "other maps: the table is written anew"


def test_what_was_read_is_trusted_under_the_mark_only(tmp_path: Path) -> None:
    folder, root = tmp_path / "things", str(tmp_path)
    folder.mkdir()
    path = folder / "a.json"
    path.write_text('{"v": 1}', encoding="ascii")

    def values() -> List[int]:
        return documents.each(str(folder), lambda document: int(document["v"]))
    with documents.trusted(root, b"", b"one"):
        assert values() == [1]
    path.write_text('{"v": 2}', encoding="ascii")
    with documents.trusted(root, b"one", b"two"):
        assert values() == [1], "nobody else was there, says the mark"
        documents.forget(str(path))
        assert values() == [2]
        for name, value in (("c", 5), ("b", 4), ("a", 3)):
            documents.write(str(folder / (name + ".json")), {"v": value}, lambda document: int(document["v"]))
        assert values() == [3, 4, 5] and (folder / "c.json").read_text(encoding="ascii") == '{\n "v": 5\n}\n'
        (folder / "c.json").unlink()
        documents.forget(str(folder / "c.json"))
        assert values() == [3, 4]
        documents.write(str(path), {"v": 2}, lambda document: int(document["v"]))
    (folder / "b.json").write_text('{"v": 3}', encoding="ascii")
    with documents.trusted(root, b"somebody else's", b"three"):
        assert values() == [2, 3]
    path.unlink()
    assert values() == [3], "without the lock the files are looked at"


def test_buckets_of_limits() -> None:
    assert bandwidth.settle(None) == bandwidth.NONE == bandwidth.settle({"ingress_burst": 4096})
    assert bandwidth.settle({"ingress_rate": 8000}) == bandwidth.Bandwidth(8000, 32768)
    assert bandwidth.view(bandwidth.settle({"egress_rate": 80000000})) == {"egress_rate": 80000000, "egress_burst": 1000000}


BASE = {"chain": {"name": "f", "hook": "forward", "policy": "drop"}}
OUT = Packet("ip", "co0", "", "10.0.0.2", "203.0.113.1", "tcp", 443)
IN = Packet("ip", "", "co0", "203.0.113.1", "10.0.0.2", "tcp", 80, "new", "dnat")


def match(left: Any, right: Any, op: str = "==") -> Dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


META, CT, IP = (lambda key: {"meta": {"key": key}}), (lambda key: {"ct": {"key": key}}), (
    lambda field: {"payload": {"protocol": "ip", "field": field}})


@pytest.mark.parametrize(("rule", "out", "into"), [
    ([{"accept": None}], "accept", "accept"),
    ([{"counter": None}, {"log": None}], "drop", "drop"),
    ([match(META("iifname"), "co*"), {"accept": None}], "accept", "drop"),
    ([match(META("oifname"), {"set": ["eth0", "co0"]}), {"accept": None}], "drop", "accept"),
    ([match(META("iifname"), "co0", "!="), {"accept": None}], "drop", "accept"),
    ([match(CT("status"), "dnat", "in"), {"accept": None}], "drop", "accept"),
    ([match(CT("state"), ["established", "related"], "in"), {"accept": None}], "drop", "drop"),
    ([match(IP("saddr"), {"prefix": {"addr": "10.0.0.0", "len": 8}}), {"accept": None}], "accept", "drop"),
    ([match({"payload": {"protocol": "tcp", "field": "dport"}}, {"range": [79, 81]}), {"accept": None}], "drop", "accept"),
    ([match({"payload": {"protocol": "udp", "field": "dport"}}, 80), {"accept": None}], "drop", "drop"),
    ([match({"payload": {"protocol": "ip6", "field": "daddr"}}, "::1", "!="), {"accept": None}], "drop", "drop"),
    ([match(META("hour"), "9"), {"accept": None}], "drop", "drop"),
    ([{"limit": {"rate": 1}}, {"accept": None}], "drop", "drop"),
    ([{"xt": {"type": "match", "name": "comment"}}, {"accept": None}], "accept", "accept"),
    ([{"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}], "drop", "drop"),
    ([{"jump": {"target": "sub"}}], "accept", "drop"),
    ([{"goto": {"target": "sub"}}], "accept", "drop"),
    ([{"vmap": {"key": META("iifname"), "data": {"set": [["co0", {"accept": None}]]}}}], "accept", "drop"),
    ([match(META("iifname"), "@ours"), {"accept": None}], "accept", "drop"),
    ([{"reject": {"type": "icmpx"}}], "drop", "drop"),
])
def test_what_a_rule_does_with_a_packet(rule: List[Any], out: str, into: str) -> None:
    sub = {"rule": {"chain": "sub", "expr": [match(META("iifname"), "co0"), {"accept": None}]}}
    table = verdicts.read([BASE, {"chain": {"name": "sub"}}, {"set": {"name": "ours", "elem": ["co0"]}},
                           {"rule": {"chain": "f", "expr": rule}}, sub])
    assert (verdicts.walk(table, "f", OUT), verdicts.walk(table, "f", IN)) == (out, into)


def test_an_answer_is_let_pass_by_what_is_not_understood() -> None:
    table = verdicts.read([BASE, {"rule": {"chain": "f", "expr": [{"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}]}}])
    assert verdicts.walk(table, "f", OUT._replace(state="established")) == "accept"
