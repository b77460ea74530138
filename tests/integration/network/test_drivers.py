# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What connects members beside plain bridges: children of the host's links, limits of bandwidth, running containers, mending."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List

import pytest

import hosts
from containers import SLEEP, Runner, add_image
from hosts import MANAGED_PYTHON, Host
from talk import ask, end, inside, serve

NSENTER = "nsenter --net=/run/coracle/netns/%s "
OUTSIDE, HOST = "192.0.2.2", "192.0.2.1"
PARENT = {"name": "office", "driver": "macvlan", "driver_options": {"parent": "wan"}, "subnet": "192.0.2.0/24",
          "gateway": OUTSIDE, "ip_range": "192.0.2.128/25"}


@pytest.fixture
def pair(new_host: Callable[[], Host]) -> List[Host]:
    """A host and another one, which is reached by the link wan."""
    host, outside = new_host(), new_host()
    hosts.link(host, outside, HOST + "/24", OUTSIDE + "/24", name="wan")
    return [host, outside]


def test_children_of_a_link_are_in_its_network(pair: List[Host]) -> None:
    host, outside = pair
    before = host.shell("ip -o link; nft list ruleset; sysctl net.ipv4.ip_forward")
    host.module("container_network", PARENT)
    made = [host.module("container_netns", name=name, network={"name": "office"}, **more)["netns"]
            for name, more in (("one", {}), ("two", {"ipv4_address": "192.0.2.9", "mac_address": "02:00:00:00:00:09"}))]
    assert [netns["interfaces"][1]["addresses"] for netns in made] == [["192.0.2.128/24"], ["192.0.2.9/24"]]
    assert host.shell("ip -o link; nft list ruleset; sysctl net.ipv4.ip_forward") == before, "nothing of it is the host's"
    servers = [serve(host, "one", 80), serve(outside, "outside", 7000)]
    try:
        assert ask(outside, "outside", "tcp:192.0.2.128:80") == {"tcp:192.0.2.128:80": "one " + OUTSIDE}
        assert ask(host, "two", "tcp:192.0.2.128:80", "udp:192.0.2.2:7000") == {
            "tcp:192.0.2.128:80": "one 192.0.2.9", "udp:192.0.2.2:7000": "outside 192.0.2.9"}
    finally:
        end(servers)
    refused = host.module("container_netns", name="three", network={"name": "office"}, published_ports=["80:80"], fail=True)
    assert "macvlan" in refused["msg"] and "published_ports" in refused["msg"]
    refused = host.module("container_netns", name="three", network={"name": "office"}, bandwidth={"egress_rate": "1M"}, fail=True)
    assert "macvlan" in refused["msg"] and "bandwidth" in refused["msg"]
    host.shell(NSENTER % "one" + "ip link del eth0")
    again = host.module("container_netns", name="one", network={"name": "office"})
    assert "interface" in again["actions"][0]["options"]
    host.shell("ip link set wan down; ip link set wan name lan; ip link set lan up")  # before Linux 6.2 only one that is down
    lost = host.module("container_netns", name="four", network={"name": "office"}, fail=True)
    assert "'wan'" in lost["msg"] and "lan" in lost["msg"]
    host.shell("ip link set lan down; ip link set lan name wan; ip link set wan up")
    host.module("container_network", name="office", state="absent", force=True)
    assert "eth0" not in host.shell(NSENTER % "one" + "ip -o link; " + NSENTER % "two" + "ip -o link")


def test_a_kernel_without_a_kind_of_link_is_named(host: Host) -> None:
    host.shell("ip link add wan type veth peer name far")
    if host.run(["ip", "link", "add", "probe", "link", "wan", "type", "ipvlan"], check=False).returncode == 0:
        host.shell("ip link del probe; ip link set wan up; ip link set far up")
        done = host.module("container_netns", name="one", network={**PARENT, "name": "v", "driver": "ipvlan"})
        assert done["netns"]["interfaces"][1]["mac_address"] == host.shell("cat /sys/class/net/wan/address").strip()
        assert not host.module("container_netns", name="one", network={**PARENT, "name": "v", "driver": "ipvlan"})["changed"]
        return
    refused = host.module("container_network", {**PARENT, "driver": "ipvlan"}, fail=True)
    assert "no links of the kind ipvlan" in refused["msg"] and host.shell("uname -r").strip() in refused["msg"]
    assert host.shell("ip -o link | grep -c .") == "3\n"


def test_bandwidth_is_limited_both_ways_changed_live_and_read_back(host: Host) -> None:
    options: Dict[str, Any] = {"name": "slow", "bandwidth": {"ingress_rate": "16M", "egress_rate": "8M", "egress_burst": "64K"}}
    done = host.module("container_netns", options)
    assert done["changed"] and not host.module("container_netns", options)["changed"]
    end_of_link = host.shell("ls /sys/class/net/coracle0/brif").strip()
    shown = {each["dev"]: each for each in json.loads(host.shell("tc -j qdisc show")) if each["kind"] == "tbf"}
    rates = {name[:2]: each["options"]["rate"] for name, each in shown.items()}
    assert rates == {"co": 2000000, "ci": 1000000}  # bytes a second
    server = host.start([*inside("slow"), MANAGED_PYTHON, "-c", COUNT], stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    host.run([MANAGED_PYTHON, "-c", FLOOD, "10.209.0.2"])
    # What was let pass has gone through the buckets, whose counters are the kernel's.
    counted = {each["dev"][:2]: each for each in json.loads(host.shell("tc -j -s qdisc show")) if each["kind"] == "tbf"}
    end([server])
    assert counted["co"]["bytes"] > 100000 and counted["co"]["overlimits"] > 0, counted
    assert counted["ci"]["bytes"] > 1000, counted
    host.shell("tc qdisc del dev %s root" % end_of_link)
    again = host.module("container_netns", options)
    assert again["actions"][0]["options"] == ["bandwidth"] and "ingress_rate" not in again["diff"]["before"]["bandwidth"]
    lifted = host.module("container_netns", name="slow")
    assert lifted["actions"][0]["options"] == ["bandwidth"] and lifted["actions"][0]["disruption"] == "live"
    assert "tbf" not in host.shell("tc qdisc show") and "ci" + end_of_link[2:] not in host.shell("ip -o link")
    for wrong in ("fast", "1", "100G"):
        refused = host.module("container_netns", name="b", bandwidth={"ingress_rate": wrong}, fail=True)
        assert "bandwidth.ingress_rate" in refused["msg"] and wrong in refused["msg"]
    host.module("container_netns", options)
    host.module("container_netns", name="slow", state="absent")
    assert host.shell("ip -o link | grep -c .") == "1\n"


COUNT = """
import socket
server = socket.create_server(("", 80))
print("ready", flush=True)
while True:
    peer = server.accept()[0]
    while peer.recv(65536):
        pass
    peer.close()
"""
FLOOD = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 80), 60)
peer.sendall(bytes(600000))
peer.shutdown(socket.SHUT_WR)
peer.recv(1)
"""


def test_a_running_container_is_attached_and_detached(host: Host) -> None:
    add_image(host)
    run = Runner(host, {"command": SLEEP})
    host.module("container_network", name="back", subnet="10.31.0.0/24", ipv6=True)
    first = run("web", networks=[{"name": "coracle"}])["container"]
    rows = [{"name": "coracle"}, {"name": "back", "interface_name": "lan0", "ipv4_address": "10.31.0.9",
                                  "mac_address": "02:00:00:00:00:31", "aliases": ["store"], "bandwidth": {"ingress_rate": "1G"}}]
    both = run("web", networks=rows, published_ports=["8080:80"])
    assert both["container"]["pid"] == first["pid"]
    assert {each["disruption"] for each in both["actions"]} == {"live"}
    assert not run("web", networks=rows, published_ports=["8080:80"])["changed"]
    host.shell("ip link set co-back down")
    mended = run("web", networks=rows, published_ports=["8080:80"])
    assert [(step["action"], step["options"]) for step in mended["actions"]] == [("reconnect", ["network back"])]
    seen = host.shell("nsenter --target %d --net ip -br addr show dev lan0" % first["pid"])
    assert "10.31.0.9/24" in seen and "/64" in seen
    assert "02:00:00:00:00:31" in host.shell("nsenter --target %d --net ip -br link show dev lan0" % first["pid"])
    other = run("db", networks=[{"name": "back"}])["container"]
    assert "10.31.0.9\tweb store" in host.shell("cat /run/coracle/containers/db/hosts")
    one = run("web", networks=rows[1:])
    assert one["container"]["pid"] == first["pid"] and "eth0" not in host.shell(
        "nsenter --target %d --net ip -o link" % first["pid"])
    assert host.shell("nsenter --target %d --net ip route show default" % first["pid"]).split()[2] == "10.31.0.1"
    refused = host.module("container_network", name="back", state="absent", fail=True)
    assert "db, web" in refused["msg"]
    assert other["pid"] != first["pid"]
    for name in ("web", "db"):
        run(name, state="absent")


def test_rules_that_are_flushed_under_load_are_mended(pair: List[Host]) -> None:
    host, outside = pair
    host.module("container_network", name="shop")
    host.module("container_netns", name="web", network={"name": "shop"}, published_ports=["8080:80"])
    server = serve(host, "web", 80)
    command = "/var/lib/coracle/engine/current/coracle "
    target = "tcp:%s:8080" % HOST
    try:
        assert ask(outside, "outside", target) == {target: "web " + OUTSIDE}
        assert host.shell(command + "mend") == ""
        load = outside.start([MANAGED_PYTHON, "-c", LOAD, HOST], stdout=-1)
        for _round in range(3):
            host.shell("nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0")
            assert ask(outside, "outside", target) == {target: "nothing"}
            assert "as declared again" in host.shell(command + "mend")
            assert ask(outside, "outside", target) == {target: "web " + OUTSIDE}
        end([load])
        assert not host.module("container_netns", name="web", network={"name": "shop"}, published_ports=["8080:80"])["changed"]
        host.shell("ip link del co-shop")
        assert "as declared again" in host.shell(command + "mend")
        assert ask(outside, "outside", target) == {target: "web " + OUTSIDE}
        assert "web" in host.shell(command + "networks") and json.loads(host.shell(command + "networks --json"))[0]["name"] == "shop"
    finally:
        end([server])


LOAD = """
import socket, sys
while True:
    try:
        with socket.create_connection((sys.argv[1], 8080), 0.05) as peer:
            peer.recv(100)
    except OSError:
        pass
"""


def test_two_hundred_on_one_bridge(host: Host) -> None:
    def inside_the_host() -> List[Any]:
        from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
        from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, firewall, leases, observe, spec
        here = Instance()
        for number in range(200):
            settled = attach.apply(here, spec.settle(here, "n%d" % number, published=["%d:80/tcp" % (10000 + number)]))
        assert not observe.observe(here, settled).drift and firewall.observe(here).intact
        held = [lease.address for lease in leases.of(here, "coracle")]
        ports = [target for _port, target in firewall.gather(here).published]
        return [len(set(held)), sorted(ports) == sorted(held)]
    assert host.call(inside_the_host) == [200, True]
    server = serve(host, "n0", 80)
    try:
        assert ask(host, "n199", "tcp:10.209.0.2:80", "udp:10.209.0.2:80") == {
            "tcp:10.209.0.2:80": "n0 10.209.0.201", "udp:10.209.0.2:80": "n0 10.209.0.201"}
        assert ask(host, "host", "tcp:127.0.0.1:10000") == {"tcp:127.0.0.1:10000": "n0 10.209.0.1"}
    finally:
        end([server])

    def away() -> int:
        from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
        from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach
        for number in range(200):
            attach.remove(Instance(), "n%d" % number)
        return len(open("/proc/net/dev", encoding="ascii").readlines())
    assert host.call(away) == 3


def test_throughput_between_neighbours_and_by_a_port_is_that_of_a_network_not_of_a_copy(host: Host) -> None:
    """Sanity, not speed: a transfer of 32 MB ends, and meets hardly a retransmission."""
    for name, ports in (("a", ["5201:5201"]), ("b", [])):
        host.module("container_netns", name=name, published_ports=ports)
    server = host.start([*inside("a"), "iperf3", "--server", "--forceflush"], stdout=-1)
    assert server.stdout is not None
    while b"listening" not in server.stdout.readline():
        pass
    try:
        for target in ("10.209.0.2", "10.209.0.1"):
            told = json.loads(host.run([*inside("b"), "iperf3", "--client", target, "--bytes", "32M", "--json"], timeout=300).stdout)
            # What is under way when the client ends is not counted by the receiver.
            assert told["end"]["sum_sent"]["bytes"] >= 32 << 20 and told["end"]["sum_received"]["bytes"] >= 16 << 20, told["end"]
            assert told["end"]["sum_sent"]["retransmits"] < 1000, told["end"]
    finally:
        end([server])
