# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_network: networks that are declared by themselves, changed under their members, and taken away."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from hosts import Host

NSENTER = "nsenter --net=/run/coracle/netns/%s "


def traces(host: Host) -> str:
    """All that a network could leave on a host."""
    return host.shell("ip -o link show | grep -v ' lo:' || true; nft list ruleset; ip route; "
                      "find /var/lib/coracle/networks /var/lib/coracle/netns /run/coracle/netns /run/coracle/network "
                      "2>/dev/null || true").strip()


def converge(host: Host, **options: Any) -> Dict[str, Any]:
    """What check mode predicts, the run does, and the run after it finds done."""
    predicted = host.module("container_network", options, check_mode=True)
    done = host.module("container_network", options)
    assert {key: predicted[key] for key in ("changed", "actions", "diff")} == \
        {key: done[key] for key in ("changed", "actions", "diff")}
    again = host.module("container_network", options)
    assert not again["changed"], again["actions"]
    return done


@pytest.fixture(scope="module")
def crowded(new_host: Callable[[], Host]) -> Host:
    """A host with a network, a member of it, and a link of its own."""
    host = new_host()
    host.shell("ip link add wan type veth peer name wan1; ip addr add 192.0.2.1/24 dev wan; ip link set wan up")
    host.module("container_network", name="shop", subnet="10.30.0.0/24")
    host.module("container_netns", name="web", network={"name": "shop"})
    return host


def test_a_network_comes_stays_without_a_member_and_goes(host: Host) -> None:
    before = traces(host)
    made = converge(host, name="shop", subnet="10.30.0.0/24", enable_ipv6=True, labels={"team": "a"})
    assert [step["action"] for step in made["actions"]] == ["create"]
    network = made["network"]
    assert network["bridge"] == "co-shop" and network["gateway"] == "10.30.0.1" and network["members"] == []
    assert network["driver"] == "bridge" and len(network["subnets"]) == 2 and network["persistent"] is True
    assert "10.30.0.1/24" in host.shell("ip -4 -o addr show dev co-shop")
    assert host.shell("cat /sys/class/net/co-shop/bridge/stp_state").strip() == "0", "no spanning tree"
    assert "jump to_shop" in host.shell("nft list table inet coracle")
    host.module("container_netns", name="web", network={"name": "shop"})
    host.module("container_netns", name="web", state="absent")
    found = host.module("container_network_info", label={"team": None})["networks"]
    assert [each["name"] for each in found] == ["shop"] and found[0]["exists"]
    assert host.module("container_network_info", label={"team": "b"})["networks"] == []
    gone = host.module("container_network", name="shop", state="absent")
    assert gone["changed"] and gone["network"] == {"name": "shop", "exists": False}
    assert not host.module("container_network", name="shop", state="absent")["changed"]
    assert host.module("container_network_info", name=["shop"])["networks"] == [{"name": "shop", "exists": False}]
    assert traces(host) == before


def test_what_others_call_it_means_the_same(host: Host) -> None:
    options = {"com.docker.network.bridge.name": "dock0", "com.docker.network.driver.mtu": "1400",
               "com.docker.network.bridge.enable_icc": "false"}
    done = host.module("container_network", network_name="shop", driver_options=options, ipam_config=[
        {"subnet": "10.30.0.0/24", "iprange": "10.30.0.128/25", "gateway": "10.30.0.9", "aux_addresses": {"x": "10.30.0.128"}},
        {"subnet": "fd00:30::/64"}])
    plain = {"name": "shop", "bridge": "dock0", "mtu": 1400, "icc": False, "subnet": "10.30.0.0/24", "gateway": "10.30.0.9",
             "ip_range": "10.30.0.128/25", "ipv6_subnet": "fd00:30::/64", "aux_addresses": {"x": "10.30.0.128"}}
    again = host.module("container_network", plain)
    assert not again["changed"], again["diff"]
    assert {key: done["network"][key] for key in plain} == plain
    member = host.module("container_netns", name="web", network={"name": "shop"})
    assert member["netns"]["interfaces"][1]["addresses"][0] == "10.30.0.129/24"


def test_a_network_in_use_is_not_removed_unless_forced(host: Host) -> None:
    before = traces(host)
    host.module("container_network", name="shop")
    for name in ("web", "db"):
        host.module("container_netns", name=name, network={"name": "shop"}, published_ports=["80:80"] if name == "web" else [])
    for check_mode in (True, False):
        refused = host.module("container_network", name="shop", state="absent", fail=True, check_mode=check_mode)
        assert "in use by: db, web" in refused["msg"] and "force" in refused["msg"]
    names = [member["name"] for member in host.module("container_network_info")["networks"][0]["members"]]
    assert names == ["db", "web"]
    predicted = host.module("container_network", name="shop", state="absent", force=True, check_mode=True)
    done = host.module("container_network", name="shop", state="absent", force=True)
    assert done["actions"] == predicted["actions"]
    assert [step["action"] for step in done["actions"]] == ["detach", "detach", "remove"]
    assert "eth0" not in host.shell(NSENTER % "web" + "ip -o link") and "co-shop" not in host.shell("ip -o link; nft list ruleset")
    again = host.module("container_netns", name="web", network={"name": "shop"})
    assert "connect" in [step["action"] for step in again["actions"]]
    for name in ("web", "db"):
        host.module("container_netns", name=name, state="absent")
    assert traces(host) == before


@pytest.mark.parametrize("change", [
    {"mtu": 1300}, {"masquerade": False}, {"masquerade_exclude": ["10.0.0.0/8", "192.0.2.0/24"]}, {"internal": True},
    {"isolate": "strict"}, {"isolate": False}, {"icc": False}, {"ip_range": "10.30.1.64/26"}, {"ipv6": True},
    {"aux_addresses": {"printer": "10.30.1.200"}}, {"static_leases": {"db": "10.30.1.50"}}, {"labels": {"a": "b"}},
    {"persistent": False}, {"subnets": [{"subnet": "10.30.1.0/24"}, {"subnet": "10.31.0.0/24", "gateway": "10.31.0.7"}]},
], ids=lambda change: next(iter(change)))
def test_each_option_changes_while_a_member_goes_on(crowded: Host, change: Dict[str, Any]) -> None:
    crowded.module("container_network", name="n", subnet="10.30.1.0/24", state="present")
    crowded.module("container_netns", name="m", network={"name": "n"})
    inode = crowded.shell("stat -Lc %i /run/coracle/netns/m") + crowded.shell(NSENTER % "m" + "ip -o link show eth0 | cut -d: -f1")
    done = converge(crowded, name="n", **change)
    assert [step["action"] for step in done["actions"]] == ["update"] and done["actions"][0]["disruption"] == "live"
    assert next(iter(change)) in done["actions"][0]["options"]
    assert inode == crowded.shell("stat -Lc %i /run/coracle/netns/m") + crowded.shell(
        NSENTER % "m" + "ip -o link show eth0 | cut -d: -f1")
    if "mtu" in change:
        assert "mtu 1300" in crowded.shell(NSENTER % "m" + "ip link show eth0")
    if "icc" in change:
        assert "isolated on" in crowded.shell("ip -d link show master co-n")
    member = crowded.module("container_netns", name="m", network={"name": "n"}, check_mode=True)
    assert member["changed"] == ("ipv6" in change), member["diff"]
    crowded.module("container_network", name="n", state="absent", force=True)
    crowded.module("container_netns", name="m", state="absent")


@pytest.mark.parametrize(("by_hand", "option"), [
    ("ip link del co-shop", "bridge"), ("ip link set co-shop down", "bridge"), ("ip link set co-shop mtu 1300", "mtu"),
    ("ip addr flush dev co-shop", "gateway"), ("nft flush ruleset", "nftables"),
])
def test_what_a_person_changed_is_seen_and_mended(shared_host: Host, by_hand: str, option: str) -> None:
    shared_host.module("container_network", name="shop")
    shared_host.shell(by_hand)
    done = converge(shared_host, name="shop")
    assert option in done["actions"][0]["options"], done["actions"]


@pytest.mark.parametrize(("options", "words"), [
    ({"name": "n", "subnet": "10.30.0.128/25"}, ["10.30.0.128/25", "10.30.0.0/24", "'shop'"]),
    ({"name": "n", "subnets": [{"subnet": "10.50.0.0/24"}, {"subnet": "10.50.0.0/25"}]}, ["10.50.0.0/25", "overlaps 10.50.0.0/24"]),
    ({"name": "n", "subnets": [{"subnet": "10.50.0.0/24"}, {"subnet": "10.30.0.0/25"}]}, ["10.30.0.0/25", "'shop'"]),
    ({"name": "n", "subnet": "10.50.0.0/24", "gateway": "10.51.0.1"}, ["10.51.0.1", "10.50.0.0/24"]),
    ({"name": "n", "subnet": "10.50.0.0/24", "subnets": [{"subnet": "10.51.0.0/24"}]}, ["contradicts", "10.50.0.0/24"]),
    ({"name": "n", "bridge": "a-bridge-too-long"}, ["a-bridge-too-long", "15"]),
    ({"name": "n", "bridge": "wan"}, ["'wan'", "no bridge of ours"]),
    ({"name": "n", "isolate": "maybe"}, ["maybe", "strict"]),
    ({"name": "n", "driver": "macvlan", "subnet": "10.50.0.0/24"}, ["parent", "missing"]),
    ({"name": "n", "driver": "macvlan", "driver_options": {"parent": "wan"}}, ["subnet", "parent link"]),
    ({"name": "n", "driver": "macvlan", "driver_options": {"parent": "nowhere"}, "subnet": "10.50.0.0/24"}, ["'nowhere'", "wan"]),
    ({"name": "n", "driver": "macvlan", "driver_options": {"parent": "wan", "mode": "l2"}, "subnet": "10.50.0.0/24"},
     ["mode", "l2", "private"]),
    ({"name": "n", "driver": "macvlan", "driver_options": {"parent": "wan"}, "subnet": "10.50.0.0/24", "isolate": "strict"},
     ["isolate", "macvlan"]),
    ({"name": "n", "driver_options": {"vxlan_id": "3"}}, ["vxlan_id", "bridge"]),
    ({"name": "n", "driver_options": {"com.docker.network.driver.mtu": "many"}}, ["many", "MTU"]),
    ({"name": "n", "static_leases": {"a": "10.9.0.1"}}, ["static_leases", "10.9.0.1"]),
    ({"name": "n", "subnet": "10.50.0.0/24", "static_leases": {"a": "10.50.0.5", "b": "10.50.0.5"}}, ["10.50.0.5", "'a'"]),
    ({"name": "n", "static_leases": {"a": ["10.9.0.1", "10.9.0.2"]}}, ["two addresses", "'a'"]),
    ({"name": "shop", "subnet": "10.66.0.0/24"}, ["10.66.0.0/24", "web"]),
    ({"name": "shop", "driver": "macvlan", "driver_options": {"parent": "wan"}}, ["driver", "web"]),
    ({"name": "shop", "bridge": "other0"}, ["other0", "web"]),
    ({"name": "shop", "gateway": "10.30.0.77"}, ["10.30.0.77", "web"]),
    ({"name": "n", "driver": "macvlan", "driver_options": {"parent": "wan"}, "subnet": "10.50.0.0/24", "vlan_filtering": True},
     ["vlan_filtering", "macvlan"]),
    ({"name": "n", "driver": "vxlan", "driver_options": {"local": "192.0.2.1"}, "subnet": "10.50.0.0/24", "vlan_filtering": True},
     ["vlan_filtering", "vxlan"]),
])
def test_bad_input_is_one_clear_error_that_changes_nothing(crowded: Host, options: Dict[str, Any], words: List[str]) -> None:
    before = traces(crowded)
    result = crowded.module("container_network", options, fail=True)
    assert all(word in result["msg"] for word in words), result["msg"]
    assert traces(crowded) == before


def test_a_full_network_gets_a_further_subnet_under_its_members(host: Host) -> None:
    host.module("container_network", name="small", subnet="10.30.0.0/30")
    host.module("container_netns", name="one", network={"name": "small"})
    full = host.module("container_netns", name="two", network={"name": "small"}, fail=True)
    assert "no free address in 10.30.0.0/30" in full["msg"]
    host.module("container_network", name="small", subnets=[{"subnet": "10.30.0.0/30"}, {"subnet": "10.31.0.0/24"}])
    two = host.module("container_netns", name="two", network={"name": "small"})
    assert two["netns"]["interfaces"][1]["addresses"] == ["10.31.0.2/24"]
    host.shell(NSENTER % "one" + "ping -c1 -W20 10.31.0.2")
    host.shell(NSENTER % "two" + "ping -c1 -W20 10.30.0.2")
    taken = host.module("container_network", name="small", subnets=[{"subnet": "10.30.0.0/30"}], fail=True)
    assert "10.31.0.2" in taken["msg"] and "'two'" in taken["msg"]


def test_a_static_lease_is_kept_for_its_holder(host: Host) -> None:
    host.module("container_network", name="n", subnet="10.30.0.0/24", ipv6_subnet="fd00:30::/64",
                static_leases={"db": ["10.30.0.2", "fd00:30::99"]})
    other = host.module("container_netns", name="other", network={"name": "n"})
    assert other["netns"]["interfaces"][1]["addresses"][0] == "10.30.0.3/24"
    refused = host.module("container_netns", name="third", network={"name": "n"}, ipv4_address="10.30.0.2", fail=True)
    assert "kept for 'db'" in refused["msg"]
    kept = host.module("container_netns", name="db", network={"name": "n"})
    assert {"10.30.0.2/24", "fd00:30::99/64"} <= set(kept["netns"]["interfaces"][1]["addresses"])


def test_who_stays_keeps_its_interface_and_address_when_another_goes(host: Host) -> None:
    rows = [{"name": "front"}, {"name": "back", "ipv4_address": "10.31.0.9"}, {"name": "third", "interface": "lan0"}]
    host.module("container_network", name="back", subnet="10.31.0.0/24")
    first = host.python(attached, rows)
    assert first == [["eth0", "front"], ["eth1", "back"], ["lan0", "third"]]
    index = host.shell(NSENTER % "web" + "ip -o link show eth1 | cut -d: -f1")
    assert host.python(attached, rows[1:]) == [["eth1", "back"], ["lan0", "third"]]
    assert host.shell(NSENTER % "web" + "ip -o link show eth1 | cut -d: -f1") == index
    assert host.python(attached, rows) == [["eth0", "front"], ["eth1", "back"], ["lan0", "third"]]
    moved = [{"name": "back", "ipv4_address": "10.31.0.9", "interface": "lan9"}]
    assert host.python(attached, moved) == [["lan9", "back"]], "an address moves to another interface with its network"
    assert host.shell(NSENTER % "web" + "ip -br -4 addr show dev lan9").split()[2] == "10.31.0.9/24"


def attached(rows):  # type: ignore[no-untyped-def]
    """Attach a namespace to some networks; its interfaces and their networks, as observed."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, observe, spec
    wanted = [{"network": {"name": row.pop("name")}, **row} for row in rows]
    settled = attach.apply(Instance(), spec.settle(Instance(), "web", "bridge", wanted))
    seen = observe.observe(Instance(), settled)
    assert list(seen.attachments) == [spec.attachment_view(each) for each in settled.attachments] and not seen.drift
    return [[each["interface"], each["network"]["name"]] for each in seen.attachments]
