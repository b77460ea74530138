# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: arithmetic, leases, and the names of links."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import (
    addresses,
    ends,
    leases,
    networks,
    records,
    sysctls,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.leases import Lease
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.networks import Network

NET = Network("n", "co-n", "10.0.0.0/29", "10.0.0.1", 1500)


def lease(netns: str, address: str, interface: str = "eth0") -> Lease:
    return Lease(netns, interface, address, networks.mac_of(address), (netns,))


def test_the_lowest_free_address_is_given() -> None:
    taken = [lease("a", "10.0.0.2"), lease("b", "10.0.0.4")]
    assert leases.choose(NET, [], "c", None) == "10.0.0.2"
    assert leases.choose(NET, taken, "c", None) == "10.0.0.3"
    assert leases.choose(NET, taken, "b", None) == "10.0.0.4", "who has one keeps it"
    assert leases.choose(NET, taken, "b", "10.0.0.6") == "10.0.0.6"


@pytest.mark.parametrize(("wanted", "error", "words"), [
    ("10.0.0.1", Conflict, ["gateway", "'n'"]),
    ("10.0.0.2", Conflict, ["'a'", "10.0.0.2"]),
    ("10.0.0.0", InvalidValue, ["10.0.0.0/29"]),
    ("10.0.0.7", InvalidValue, ["10.0.0.0/29"]),
    ("10.0.1.2", InvalidValue, ["10.0.0.0/29"]),
])
def test_an_address_that_cannot_be_had_says_why(wanted: str, error: type, words: list) -> None:
    with pytest.raises(error) as caught:
        leases.choose(NET, [lease("a", "10.0.0.2")], "c", wanted)
    assert all(word in str(caught.value) for word in words)


def test_each_family_has_its_own_addresses() -> None:
    dual = NET._replace(ipv6_subnet="fd00::/64", ipv6_gateway="fd00::1", ip_range="10.0.0.4/30",
                        aux_addresses=(("printer", "10.0.0.4"), ("scanner", "fd00::2")))
    taken = [lease("a", "10.0.0.5")._replace(ipv6_address="fd00::3")]
    assert leases.choose(dual, taken, "c", None) == "10.0.0.6"
    assert leases.choose(dual, taken, "c", None, ipv6=True) == "fd00::4"
    assert leases.choose(dual, taken, "a", None, ipv6=True) == "fd00::3"
    assert leases.choose(NET, taken, "a", None, ipv6=True) == ""
    with pytest.raises(Conflict, match="taken by 'a'"):
        leases.choose(dual, taken, "c", "fd00::3", ipv6=True)
    with pytest.raises(InvalidValue, match="no subnet of"):
        leases.choose(NET, [], "c", "fd00::3", ipv6=True)


def test_a_link_local_address_follows_from_the_mac() -> None:
    assert addresses.link_local_of("02:c0:0a:d1:00:02") == "fe80::c0:aff:fed1:2/64"


def test_a_full_network_says_so() -> None:
    taken = [lease("m%d" % last, "10.0.0.%d" % last) for last in range(2, 7)]
    with pytest.raises(Conflict, match="no free address"):
        leases.choose(NET, taken, "late", None)


def test_leases_and_records_survive_and_spoilt_ones_are_none(tmp_path: Path) -> None:
    instance = Instance(str(tmp_path / "state"), str(tmp_path / "run"))
    leases.write(instance, "n", lease("a", "10.0.0.2"))
    leases.write(instance, "n", lease("b", "10.0.0.3"))
    assert [each.netns for each in leases.of(instance, "n")] == ["a", "b"]
    assert leases.find(instance, "n", "a", "eth0") == lease("a", "10.0.0.2")
    record = records.Record("a", "bridge", (("n", "eth0"),), ("1:1/tcp",), {"hostname": "a"})
    records.save(instance, record)
    assert records.every(instance) == [record]
    for path in (tmp_path / "state/networks/n/leases/a:eth0.json", Path(records.path(instance, "a"))):
        path.write_bytes(b"")
    assert [each.netns for each in leases.of(instance, "n")] == ["b"]
    assert leases.find(instance, "n", "a", "eth0") is None and records.load(instance, "a") is None
    assert leases.remove(instance, "n", "b", "eth0") and not leases.remove(instance, "n", "b", "eth0")


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.128/25", "2001:db8::/32", "::/0", "10.1.2.3/32"])
def test_subnets_are_as_the_standard_library_has_them(cidr: str) -> None:
    block, other = addresses.subnet(cidr), ipaddress.ip_network(cidr)
    assert (block.width, block.base, block.prefix, block.last) == (
        other.max_prefixlen, int(other.network_address), other.prefixlen, int(other.broadcast_address))
    assert str(block) == cidr
    for again in ("10.0.0.0/16", "192.0.2.0/24", "2001:db8:1::/48"):
        same = ipaddress.ip_network(again)
        assert addresses.overlap(block, addresses.subnet(again)) == (
            same.version == other.version and other.overlaps(same))


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "::/129", "x/8", "10.0.0.0/-1"])
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        addresses.subnet(text)


def test_names_of_links_fit_the_kernel_and_differ() -> None:
    one, other = Instance(), Instance("/srv/a", "/run/a")
    names = [ends.host_end(instance, netns, interface) for instance in (one, other)
             for netns in ("a", "b" * 63) for interface in ("eth0", "eth1")]
    names += [networks.bridge_name(instance, network) for instance in (one, other)
              for network in ("coracle", "back", "n" * 63)]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 15
    assert networks.bridge_name(one, "coracle") == "coracle0" and networks.bridge_name(one, "back") == "co-back"


def test_a_mac_follows_from_the_address() -> None:
    assert networks.mac_of("10.209.0.2") == "02:c0:0a:d1:00:02"


def test_sysctls_of_links_with_dots_in_their_names() -> None:
    assert sysctls.route_localnet("br.7") == "net.ipv4.conf.br/7.route_localnet"
    assert sysctls._path(sysctls.route_localnet("br.7")) == "/proc/sys/net/ipv4/conf/br.7/route_localnet"
    assert sysctls._path("net.ipv4.ip_forward") == "/proc/sys/net/ipv4/ip_forward"
