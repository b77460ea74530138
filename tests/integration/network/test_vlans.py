# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of a bridge: who reaches whom, what is found changed and mended, and that iproute2 sees what we set."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List

import pytest

from hosts import Host, keeps_vlans

NSENTER = "nsenter --net=/run/coracle/netns/%s "
MEMBERS: Dict[str, Dict[str, Any]] = {
    "plain": {}, "ten": {"pvid": 10}, "too": {"pvid": 10}, "twenty": {"pvid": 20}, "trunk": {"pvid": 0, "tagged": [10, "19-21"]},
}
TRUNK: Dict[int, List[str]] = {10: [], 19: [], 20: [], 21: []}
NET = {"name": "seg", "vlan_filtering": True}


@pytest.fixture(scope="module")
def segments(new_host: Callable[[], Host]) -> Host:
    """A host with a network whose members are in several VLANs."""
    host = new_host()
    if not keeps_vlans(host):
        refused = host.module("container_network", fail=True, **NET)
        assert "keeps no VLANs apart" in refused["msg"] and host.shell("ls /sys/class/net").split() == ["lo"]
        pytest.skip("this kernel has no VLANs on bridges; tests/vm/run tests/integration/network/test_vlans.py has")
    host.module("container_network", name="seg", subnet="10.30.0.0/24")
    changed = host.module("container_network", **NET)  # which is live
    assert [step["options"] for step in changed["actions"]] == [["vlan_filtering"]]

    def make(members: Any) -> None:
        from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
        from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, spec
        for at, (name, vlan) in enumerate(members.items()):
            vlan = dict(vlan, tagged=[str(each) for each in vlan.get("tagged", ())])
            attach.apply(Instance(), spec.settle(Instance(), name, "bridge", [
                {"network": {"name": "seg"}, "ipv4_address": "10.30.0.%d" % (at + 2), "vlan": vlan}]))
    host.call(make, MEMBERS)
    for vlan in (10, 20):  # the trunk has an address in each, by its tag
        host.shell(NSENTER % "trunk" + "ip link add link eth0 name v%d type vlan id %d" % (vlan, vlan))
        host.shell(NSENTER % "trunk" + "ip addr add 10.30.%d.1/24 dev v%d" % (vlan, vlan))
        host.shell(NSENTER % "trunk" + "ip link set v%d up" % vlan)
    for name, address in (("ten", "10.30.10.2"), ("twenty", "10.30.20.2")):
        host.shell(NSENTER % name + "ip addr add %s/24 dev eth0" % address)
    return host


OWN = ["Egress Untagged", "PVID"]


def vlans(host: Host, port: str) -> Dict[int, List[str]]:
    """What bridge(8) tells of the VLANs of a port: the flags by id."""
    (row,) = json.loads(host.shell("bridge -j vlan show dev " + port))
    return {vlan: sorted(each.get("flags", [])) for each in row["vlans"] for vlan in range(
        each["vlan"], each.get("vlanEnd", each["vlan"]) + 1)}


def port_of(host: Host, name: str) -> str:
    """The host's end of a member's link."""
    return host.shell("ip -o link | grep -o 'co[0-9a-f]*@.*alias coracle %s eth0' | cut -d@ -f1" % name).strip() or host.shell(
        "grep -lx 'coracle %s eth0' /sys/class/net/*/ifalias | cut -d/ -f5" % name).strip()


def pings(host: Host, name: str, address: str) -> bool:
    """Whether a member reaches an address."""
    return host.run([*(NSENTER % name).split(), "ping", "-c1", "-W1", address], check=False).returncode == 0


def test_members_reach_those_of_their_vlan_and_the_host_is_in_the_first(segments: Host) -> None:
    reached = {pair: pings(segments, *pair) for pair in (
        ("plain", "10.30.0.1"), ("ten", "10.30.0.4"), ("too", "10.30.0.3"), ("trunk", "10.30.10.2"), ("trunk", "10.30.20.2"))}
    apart = {pair: pings(segments, *pair) for pair in (
        ("ten", "10.30.0.1"), ("ten", "10.30.0.2"), ("ten", "10.30.0.5"), ("plain", "10.30.0.3"), ("trunk", "10.30.0.1"))}
    assert all(reached.values()) and not any(apart.values()), (reached, apart)
    assert "default" in segments.shell(NSENTER % "plain" + "ip route") and "default" not in segments.shell(NSENTER % "ten" + "ip route")


def test_the_kernel_has_what_was_asked_for(segments: Host) -> None:
    assert vlans(segments, port_of(segments, "plain")) == {1: OWN}
    assert vlans(segments, port_of(segments, "ten")) == {10: OWN}
    assert vlans(segments, port_of(segments, "trunk")) == TRUNK
    assert "vlan_filtering 1" in segments.shell("ip -d link show co-seg")


@pytest.mark.parametrize(("by_hand", "shown"), [
    ("bridge vlan del dev PORT vid 10", {"pvid": 0, "tagged": []}),
    ("bridge vlan add dev PORT vid 20", {"pvid": 10, "tagged": ["20"]}),
    ("bridge vlan add dev PORT vid 30 untagged", {"pvid": 10, "tagged": ["30 untagged"]}),
    ("bridge vlan add dev PORT vid 10 pvid", {"pvid": 0, "tagged": ["10 with its tag kept"]}),
    ("ip link set co-seg type bridge vlan_filtering 0", {"vlan_filtering": False}),
    ("ip link set PORT nomaster", None),
    ("ip link del co-seg", None),
])
def test_what_a_person_changed_is_seen_and_mended(segments: Host, by_hand: str, shown: Any) -> None:
    asked = {"name": "ten", "networks": [{"name": "seg", "ipv4_address": "10.30.0.3", "vlan": {"pvid": 10}}]}
    assert not segments.module("container_netns", asked)["changed"]
    segments.shell(by_hand.replace("PORT", port_of(segments, "ten")) + ("" if shown else "; ip link set %s nomaster" % port_of(
        segments, "plain")))
    done = segments.module("container_netns", asked)
    assert done["changed"] and {step["disruption"] for step in done["actions"]} == {"live"}
    if shown is not None:
        before = done["diff"]["before"]
        assert (before["networks"][0]["vlan"] if "networks" in before else before["network seg"]) == shown, before
    if shown is None:
        segments.module("container_netns", name="plain", network=NET, ipv4_address="10.30.0.2")
        assert vlans(segments, port_of(segments, "plain")) == {1: OWN}
    again = segments.module("container_netns", asked)
    assert not again["changed"], again["actions"]
    assert vlans(segments, port_of(segments, "trunk")) == TRUNK, "others get back what they had"
    assert pings(segments, "ten", "10.30.0.4") and not pings(segments, "ten", "10.30.0.1")


@pytest.mark.parametrize(("module", "options", "words"), [
    ("container_network", {"name": "seg", "vlan_filtering": False}, ["'ten'", "vlan_filtering"]),
    ("container_netns", {"name": "b", "vlan": {"pvid": 10}}, ["vlan", "'coracle'", "vlan_filtering: true"]),
    ("container_netns", {"name": "b", "network": NET, "vlan": {"pvid": 4095}}, ["vlan.pvid", "4095", "4094"]),
    ("container_netns", {"name": "b", "network": NET, "vlan": {"tagged": ["30-5000"]}}, ["vlan.tagged", "30-5000"]),
    ("container_netns", {"name": "b", "network": NET, "vlan": {"pvid": 10, "tagged": ["9-11"]}}, ["VLAN 10", "pvid"]),
    ("container_netns", {"name": "b", "network": NET, "vlan": {"pvid": 10}, "published_ports": ["80:80"]}, ["published_ports", "pvid"]),
    ("container_netns", {"name": "b", "network": NET, "vlan": {"tagged": [10]}, "policy": {"ingress": []}}, ["vlan", "policy"]),
])
def test_bad_input_is_one_clear_error(segments: Host, module: str, options: Dict[str, Any], words: List[str]) -> None:
    refused = segments.module(module, options, fail=True)
    assert all(word in refused["msg"] for word in words), refused["msg"]
    assert not segments.shell("ls /run/coracle/netns").split().count("b")
