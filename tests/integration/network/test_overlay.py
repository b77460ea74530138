# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks over several hosts, between three hosts on one wire: real packets, of the MTU's size too, and nobody flaps."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, Iterator, List, Sequence

import pytest

from hosts import Host, switch
from talk import ask, end, inside, serve
from waiting import PATIENCE

RANGES = ["10.80.0.0/16", "fd00:80::/48"]
WIRE = {"four": "192.0.2.%d/24", "six": "2001:db8:1::%d/64"}
KINDS: Dict[str, Dict[str, str]] = {"vxlan": {}, "host-gw": {"backend": "host-gw"}, "shared": {"shared": "true"}, "over six": {}}
EVERYTHING = os.environ.get("CORACLE_TEST_OVERLAYS") == "all"
MTU = {"vxlan": 1450, "host-gw": 1500, "shared": 1450, "over six": 1430}


class Cluster:
    """Some hosts with addresses on one wire, the hub's, and a network over the first two; C(mN) is the member on host N."""

    def __init__(self, kind: str, hub: Host, machines: Sequence[Host]) -> None:
        self.kind, self.hub, self.machines = kind, hub, list(machines)
        wire = WIRE["six" if kind == "over six" else "four"]
        self.addresses = [(wire % number).partition("/")[0] for number in range(11, 11 + len(machines))]
        self.outside = (wire % 1).partition("/")[0]
        switch(hub, {hub: wire % 1, **{machine: wire % number for number, machine in enumerate(machines, 11)}})
        if kind == "over six":
            for machine in (hub, *machines):  # addresses that another host may have are not used for a second or two
                machine.shell("until ! ip -6 addr show tentative | grep -q inet6; do sleep 0.1; done")
        for number in (0, 1):
            self.converge(number, (0, 1))
            self.machines[number].module("container_netns", name="m%d" % number, network={"name": "mesh"})
        self.servers = [serve(self.machines[0], "m0", 80), serve(self.machines[1], "m1", 80), serve(hub, "outside", 80, 4789, 4790)]

    def blocks(self, number: int) -> List[str]:
        """What a host has of the network."""
        return ["10.80.%d.0/24" % number, "fd00:80:0:a%d::/64" % number][:1 if self.kind == "host-gw" else 2]

    def member(self, number: int, family: int) -> str:
        """The address of the member on a host."""
        return "10.80.%d.2" % number if family == 4 else "fd00:80:0:a%d::2" % number

    def options(self, number: int, of: Sequence[int]) -> Dict[str, Any]:
        """The task's, on a host, where some hosts belong to the network."""
        four, six = (*self.blocks(number), None)[:2]
        own: Dict[str, Any] = {"subnet": four, "ipv6_subnet": six, "cluster_ranges": RANGES}
        if self.kind == "shared":
            own = {"subnet": RANGES[0], "ip_range": four, "ipv6_subnet": RANGES[1], "ipv6_range": six,
                   "static_leases": {"m%d" % number: [self.member(number, 4), self.member(number, 6)]}}
        return {"name": "mesh", "driver": "vxlan", **own, "driver_options": {"local": self.addresses[number], **KINDS[self.kind]},
                "peers": [{"name": "host%d" % other, "address": self.addresses[other], "subnets": self.blocks(other), "members": [
                    {"name": "m%d" % other, "addresses": [self.member(other, 4)], "labels": {"on": str(other)}}]}
                    for other in of if other != number]}

    def converge(self, number: int, of: Sequence[int], **more: Any) -> Dict[str, Any]:
        """Run the task: check mode predicts it, and a second time nothing is left to do."""
        options = {**self.options(number, of), **more}
        predicted = self.machines[number].module("container_network", options, check_mode=True)
        done = self.machines[number].module("container_network", options)
        assert {key: predicted[key] for key in ("diff", "actions")} == {key: done[key] for key in ("diff", "actions")}
        again = self.machines[number].module("container_network", options)
        assert not again["changed"], again["diff"]
        return done


@pytest.fixture(scope="module", params=sorted(KINDS))
def cluster(request: pytest.FixtureRequest, new_host: Callable[[], Host]) -> Iterator[Cluster]:
    found = Cluster(request.param, new_host(), [new_host() for _ in range(3)])
    yield found
    end(found.servers)


def of(*kinds: str) -> Callable[[Callable[[Cluster], None]], Callable[[Cluster], None]]:
    """A test of some kinds; of all with C(CORACLE_TEST_OVERLAYS=all), but for those that the test cannot be about."""
    chosen = sorted(set(KINDS) - {"host-gw"} if kinds == ("vxlan",) else KINDS) if EVERYTHING else kinds

    def mark(test: Callable[[Cluster], None]) -> Callable[[Cluster], None]:
        return pytest.mark.parametrize("cluster", chosen, indirect=True, scope="module")(test)
    return mark


def ping(host: Host, where: str, address: str, *options: str, check: bool = True) -> str:
    return host.run([*inside(where), "ping", "-n", "-c", "1", "-w", str(int(PATIENCE)), *options, address], check=check).stdout


@pytest.mark.parametrize("family", [4, 6])
def test_members_reach_one_another_with_their_own_addresses(cluster: Cluster, family: int) -> None:
    if family == 6 and cluster.kind == "host-gw":
        pytest.skip("hosts with IPv4 lead by themselves to IPv4 alone")
    near, far = cluster.machines[:2]
    for number, host, where in ((0, near, "m0"), (1, far, "m1"), (0, near, "host"), (1, far, "host")):
        to = cluster.member(1 - number, family)
        names = [form % to for form in (("tcp:[%s]:80", "udp:[%s]:80") if family == 6 else ("tcp:%s:80", "udp:%s:80"))]
        answers = ask(host, where, *names, hoped=names)
        # The host itself sends by its bridge's address.
        own = cluster.member(number, family) if where != "host" else cluster.member(number, family)[:-1] + "1"
        assert {answer.partition(" ")[2] for answer in answers.values()} == {own}, answers


def test_packets_of_the_mtu_pass_and_no_larger_ones(cluster: Cluster) -> None:
    near = cluster.machines[0]
    mtu = MTU[cluster.kind]
    assert "mtu %d" % mtu in near.run([*inside("m0"), "ip", "link", "show", "eth0"]).stdout
    ping(near, "m0", cluster.member(1, 4), "-M", "do", "-s", str(mtu - 28))
    if cluster.kind != "host-gw":
        ping(near, "m0", cluster.member(1, 6), "-M", "do", "-s", str(mtu - 48))
    assert "1 received" not in ping(near, "m0", cluster.member(1, 4), "-M", "do", "-s", str(mtu - 27), check=False)
    refused = near.module("container_network", {**cluster.options(0, (0, 1)), "mtu": mtu + 1}, fail=True)
    assert "has room for: %d bytes" % mtu in refused["msg"], refused["msg"]


@of("vxlan")
def test_a_stream_passes_whole(cluster: Cluster) -> None:
    """By TCP, with iperf3."""
    near, far = cluster.machines[:2]
    server = far.start([*inside("m1"), "iperf3", "--server", "--forceflush"], stdout=-1)
    try:
        assert server.stdout is not None
        while b"listening" not in server.stdout.readline():
            pass
        told = json.loads(near.run([*inside("m0"), "iperf3", "--client", cluster.member(1, 4), "--bytes", "64M", "--json"]).stdout)
        assert told["end"]["sum_received"]["bytes"] >= 32 << 20, told["end"]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@of("vxlan")
def test_names_of_members_on_other_hosts_are_answered(cluster: Cluster) -> None:
    zones = cluster.machines[0].python(_names_known)
    assert zones == [["m0"], ["m1"]]


def _names_known() -> Any:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import leases, networks, records, zones
    here = Instance()
    found = records.load(here, "m0")
    assert found is not None
    zone = zones.compose(networks.load(here, "mesh"), leases.of(here, "mesh"), {"m0": found._replace(names={"hostname": "m0"})})
    return [list(member.names) for member in zone.members]


@of("host-gw", "vxlan")
def test_outside_sees_the_hosts_address_and_does_not_get_in(cluster: Cluster) -> None:
    near, hub = cluster.machines[0], cluster.hub
    family = 6 if cluster.kind == "over six" else 4
    form = "tcp:[%s]:80" if family == 6 else "tcp:%s:80"
    try:
        answers = ask(near, "m0", form % cluster.outside, hoped=[form % cluster.outside])
        assert answers[form % cluster.outside] == "outside " + cluster.addresses[0]
        hub.run(["ip", "route", "add", RANGES[family == 6], "via", cluster.addresses[0]])
        for number in (0, 1):
            assert set(ask(hub, "outside", form % cluster.member(number, family)).values()) == {"nothing"}
    finally:
        hub.run(["ip", "route", "del", RANGES[family == 6], "via", cluster.addresses[0]], check=False)


@of("vxlan")
def test_another_network_of_a_host_does_not_get_to_the_others(cluster: Cluster) -> None:
    near = cluster.machines[0]
    near.module("container_netns", name="stranger", network={"name": "elsewhere", "subnet": "10.99.0.0/24"})
    try:
        target = "tcp:%s:80" % cluster.member(1, 4)
        assert ask(near, "stranger", target) == {target: "nothing"}
        assert ask(near, "m0", target, hoped=[target]) != {target: "nothing"}
    finally:
        near.module("container_netns", name="stranger", state="absent")


@of("vxlan")
def test_no_member_sends_frames_as_its_host(cluster: Cluster) -> None:
    form = "udp:[%s]:%d" if cluster.kind == "over six" else "udp:%s:%d"
    kept, let = form % (cluster.outside, 4789), form % (cluster.outside, 4790)
    answers = ask(cluster.machines[0], "m0", kept, let, hoped=[let])
    assert answers[kept] == "nothing" and answers[let] != "nothing"


@of("vxlan")
def test_a_policy_names_members_of_other_hosts(cluster: Cluster) -> None:
    near, far = cluster.machines[:2]
    target = "tcp:%s:80" % cluster.member(0, 4)
    try:
        for rule, expected in (({"deny": ["container:m1"]}, False), ({"deny": ["container:m2"]}, True), ({"allow": ["label:on=1"]}, True),
                               ({"allow": ["label:on=2"]}, False), ({"allow": ["network:mesh"]}, True)):
            done = near.module("container_netns", name="m0", network={"name": "mesh"}, policy={"ingress": [rule]})
            assert ("m2" in str(done.get("warnings", ""))) == ("container:m2" in str(rule))
            answers = ask(far, "m1", target, hoped=[target] if expected else [])
            assert (answers[target] != "nothing") == expected, (rule, answers)
    finally:
        near.module("container_netns", name="m0", network={"name": "mesh"}, policy={})


@of("host-gw", "vxlan")
def test_who_joins_and_leaves_changes_its_own_entries_alone(cluster: Cluster) -> None:
    near, new = cluster.machines[0], cluster.machines[2]
    watch = near.start(["sh", "-c", "echo $$; exec ip -o monitor link route neigh"], stdout=-1)
    assert watch.stdout is not None
    watcher = watch.stdout.readline().decode().strip()
    # Every packet is answered or the test fails: 100 a second, while a host comes and goes.
    traffic = near.start([*inside("m0"), "sh", "-c", "echo $$; exec ping -n -q -i 0.01 " + cluster.member(1, 4)], stdout=-1)
    assert traffic.stdout is not None
    pid = traffic.stdout.readline().decode().strip()
    try:
        new.module("container_network", cluster.options(2, (0, 1, 2)))
        for number in (0, 1):
            done = cluster.converge(number, (0, 1, 2))
            assert [step["options"] for step in done["actions"]] == [["peers"]]
        new.module("container_netns", name="m2", network={"name": "mesh"})
        ping(near, "m0", cluster.member(2, 4))
        ping(new, "m2", cluster.member(1, 4))
        for number in (0, 1):
            assert cluster.machines[number].module("container_network", cluster.options(number, (0, 1)))["changed"]
        if cluster.kind != "shared":  # there it is known until it ceases to send
            assert "1 received" not in near.run(
                [*inside("m0"), "ping", "-n", "-c", "1", "-W", "2", cluster.member(2, 4)], check=False).stdout
    finally:
        near.run(["kill", "-INT", pid])
        said = traffic.communicate(timeout=PATIENCE)[0].decode()
        near.run(["kill", watcher])
        changes = watch.communicate(timeout=PATIENCE)[0].decode().splitlines()
        new.module("container_netns", name="m2", state="absent")
        new.module("container_network", name="mesh", state="absent")
    sent, received = (int(said.partition(word)[0].split()[-1]) for word in (" packets transmitted", " received"))
    assert sent > 10 and received >= sent - 1, said  # the last may be under way
    ours = [line for line in changes if "vx-mesh" in line or "proto 67" in line]
    other = [line for line in ours if not any(mark in line for mark in (
        cluster.addresses[2], "10.80.2.", "fd00:80:0:a2:")) and "fe80:" not in line and "STALE" not in line]
    assert ours and not [line for line in other if cluster.addresses[1] in line or "10.80.1." in line or "state DOWN" in line], other


@of("host-gw", "shared", "vxlan")
def test_what_is_changed_by_hand_is_shown_and_mended(cluster: Cluster) -> None:
    near = cluster.machines[0]
    spoil = {"vxlan": "bridge fdb del $(bridge fdb show dev vx-mesh | grep 192.0.2.12 | cut -d' ' -f1) dev vx-mesh dst 192.0.2.12 self",
             "shared": "bridge fdb del 00:00:00:00:00:00 dev vx-mesh dst 192.0.2.12 self",
             "host-gw": "ip route del 10.80.1.0/24",
             "over six": "bridge fdb del $(bridge fdb show dev vx-mesh | grep 2001:db8 | cut -d' ' -f1) dev vx-mesh self"}[cluster.kind]
    near.shell(spoil)
    seen = near.module("container_network", cluster.options(0, (0, 1)), check_mode=True)
    assert [step["options"] for step in seen["actions"]] == [["peers"]] and seen["diff"]["before"]["peers"] == []
    cluster.converge(0, (0, 1))
    ping(near, "m0", cluster.member(1, 4))
    if cluster.kind != "host-gw":
        near.shell("ip link del vx-mesh")
        assert near.run(["coracle", "mend"], check=False).returncode in (0, 127)
        cluster.converge(0, (0, 1))
        ping(near, "m0", cluster.member(1, 4))


@of("vxlan")
def test_what_cannot_be_is_said_before_anything_changes(cluster: Cluster) -> None:
    near = cluster.machines[0]
    before = near.shell("ip -o link; ip route; nft list ruleset")

    def refused(word: str, *peers: Dict[str, Any], **local: str) -> None:
        options = cluster.options(0, (0, 1))
        if peers:
            options["peers"] = list(peers)
        options["driver_options"].update(local)
        said = near.module("container_network", options, fail=True, check_mode=True)
        assert word in said["msg"], said["msg"]

    def peer(address: str, subnet: str) -> Dict[str, Any]:
        return {"name": "x", "address": address, "subnets": [subnet]}
    here, there = cluster.addresses[:2]
    refused("overlaps 10.80.0.0/24 of this host", peer(there, "10.80.0.0/25"))
    refused("so has this host", peer(here, "10.80.9.0/24"))
    refused("is not in 10.80.0.0/16", peer(there, "10.81.9.0/24"))
    refused("is named twice", peer(there, "10.80.8.0/24"), peer(there, "10.80.8.0/24"))
    refused("has the address 198.51.100.9", local="198.51.100.9")
    refused("is no number from 1 to 16777215", vni="16777216")
    if cluster.kind == "host-gw":
        refused("is not of the family of the hosts' addresses", peer(there, "fd00:80:0:9::/64"))
    assert near.shell("ip -o link; ip route; nft list ruleset") == before


def test_it_goes_without_a_trace(cluster: Cluster) -> None:
    for machine in cluster.machines[:2]:
        machine.module("container_network", name="mesh", state="absent", force=True)
        assert "mesh" not in machine.shell("ip -o link; ip route; ip -6 route; nft list ruleset")
        assert "10.80." not in machine.shell("ip route") and "fd00:80" not in machine.shell("ip -6 route")
