# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_netns, as Ansible sends it: what it does, predicts, finds changed and mends."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from hosts import Host

NSENTER = "nsenter --net=/run/coracle/netns/%s "


def traces(host: Host) -> str:
    """All that a network could leave on a host."""
    return host.shell("ip -o link show | grep -v ' lo:' || true; nft list ruleset; ip route; "
                      "find /var/lib/coracle/networks /var/lib/coracle/netns /run/coracle/netns /run/coracle/network "
                      "2>/dev/null || true; grep -c run/coracle/netns/ /proc/self/mountinfo || true").strip()


def converge(host: Host, **options: Any) -> Dict[str, Any]:
    """What check mode predicts, the run does, and the run after it finds done."""
    predicted = host.module("container_netns", options, check_mode=True)
    done = host.module("container_netns", options)
    assert {key: predicted[key] for key in ("changed", "actions", "diff")} == \
        {key: done[key] for key in ("changed", "actions", "diff")}
    again = host.module("container_netns", options)
    assert not again["changed"], again["actions"]
    return done


def test_a_namespace_comes_and_goes_and_leaves_nothing(host: Host) -> None:
    before = traces(host)
    forward = host.shell("cat /proc/sys/net/ipv4/ip_forward")
    made = converge(host, name="web", published_ports=["8080:80", "5353:53/udp"], aliases=["www"])
    assert [step["action"] for step in made["actions"]] == ["create"]
    netns = made["netns"]
    assert netns["mode"] == "bridge" and netns["published_ports"] == ["8080:80/tcp", "5353:53/udp"]
    eth0 = netns["interfaces"][1]
    assert (eth0["name"], eth0["up"], eth0["addresses"]) == ("eth0", True, ["10.209.0.2/24"])
    assert host.shell(NSENTER % "web" + "ip -4 route show default").split()[:3] == ["default", "via", "10.209.0.1"]
    assert "10.209.0.1/24" in host.shell("ip -4 -o addr show dev coracle0")
    gone = host.module("container_netns", name="web", state="absent")
    assert gone["changed"] and gone["netns"] == {"name": "web", "exists": False}
    assert not host.module("container_netns", name="web", state="absent")["changed"]
    assert traces(host) == before
    assert host.shell("cat /proc/sys/net/ipv4/ip_forward") == forward


def test_check_mode_leaves_no_trace(host: Host) -> None:
    before = traces(host)
    result = host.module("container_netns", name="web", published_ports=["8080:80"], check_mode=True)
    assert result["changed"] and traces(host) == before
    assert host.shell("ls /run/coracle 2>/dev/null || true") == ""


@pytest.mark.parametrize(("by_hand", "option"), [
    (NSENTER % "web" + "ip addr flush dev eth0", "ipv4_address"),
    (NSENTER % "web" + "ip link set eth0 down", "interface"),
    (NSENTER % "web" + "ip link set lo down", "loopback"),
    (NSENTER % "web" + "ip route del default", "default_route"),
    (NSENTER % "web" + "ip link set eth0 address 02:00:00:00:00:99", "mac_address"),
    (NSENTER % "web" + "ip link del eth0", "interface"),
    (NSENTER % "web" + "ip link set eth0 mtu 1280", "network"),
    (NSENTER % "web" + "ip route add 10.99.0.0/16 via 10.209.0.1", "routes"),
    (NSENTER % "web" + "sysctl -qw net.core.somaxconn=77", "sysctls"),
    ("ip link set coracle0 down", "network"),
    ("ip addr flush dev coracle0", "network"),
    ("ip link set coracle0 mtu 1300", "network"),
    ("ip link del coracle0", "network"),
    ("ip link set $(ls /sys/class/net/coracle0/brif) nomaster", "interface"),
    ("ip link set $(ls /sys/class/net/coracle0/brif) type bridge_slave hairpin off", "interface"),
    ("sysctl -qw net.ipv4.ip_forward=0", "net.ipv4.ip_forward"),
    ("sysctl -qw net.ipv4.conf.coracle0.route_localnet=0", "net.ipv4.conf.coracle0.route_localnet"),
    ("sysctl -qw net.ipv6.conf.coracle0.accept_ra=1", "net.ipv6.conf.coracle0.accept_ra"),
    ("nft flush ruleset", "published_ports"),
    ("nft flush chain inet coracle postrouting", "network"),
    ("nft delete element inet coracle published '{ tcp . 8080 }'", "published_ports"),
    ("nft add rule inet coracle forward drop", "nftables"),
])
def test_what_a_person_changed_is_seen_and_mended(shared_host: Host, by_hand: str, option: str) -> None:
    wanted = {"name": "web", "published_ports": ["8080:80"], "routes": [], "sysctls": {"net.core.somaxconn": 2048}}
    shared_host.module("container_netns", wanted)
    rules = shared_host.shell("nft list ruleset")
    shared_host.shell(by_hand)
    done = converge(shared_host, **wanted)
    assert done["changed"]
    assert option in [name for step in done["actions"] for name in step["options"]], done["actions"]
    assert shared_host.shell("nft list ruleset") == rules


@pytest.mark.parametrize(("change", "action"), [
    ({"published_ports": ["8081:80", "127.0.0.1:9000-9002:90-92/udp"]}, "publish"),
    ({"ipv4_address": "10.209.0.77"}, "connect"),
    ({"mac_address": "02:00:00:00:00:07"}, "connect"),
    ({"interface": "lan0"}, "connect"),
    ({"aliases": ["db", "database"]}, "connect"),
    ({"routes": [{"destination": "10.40.0.0/16", "gateway": "10.209.0.9", "metric": 5}]}, "route"),
    ({"routes": [{"destination": "default", "gateway": "10.209.0.9"}]}, "route"),
    ({"sysctls": {"net.ipv4.ip_local_port_range": "20000 30000"}}, "set_sysctls"),
    ({"network": {"mtu": 1400}}, "update_network"),
    ({"network": {"masquerade": False}}, "update_network"),
    ({"network": {"internal": True}}, "update_network"),
    ({"network": {"persistent": True}}, "update_network"),
    ({"network": {"subnet": "10.55.0.0/16"}}, "update_network"),
    ({"network": {"gateway": "10.209.0.254"}}, "update_network"),
    ({"network": {"bridge": "lanbr"}}, "update_network"),
    ({"network": {"name": "other"}}, "update_network"),
    ({"mode": "none"}, "recreate"),
    ({"mode": "host"}, "recreate"),
])
def test_each_option_changes_and_then_holds(host: Host, change: Dict[str, Any], action: str) -> None:
    host.module("container_netns", name="web")
    inode = host.shell("stat -Lc %i /run/coracle/netns/web")
    done = converge(host, name="web", **change)
    assert done["changed"] and action in [step["action"] for step in done["actions"]], done["actions"]
    assert all(step["disruption"] == ("recreate" if action == "recreate" else "live") for step in done["actions"])
    assert (host.shell("stat -Lc %i /run/coracle/netns/web") == inode) == (action != "recreate")
    host.module("container_netns", name="web", state="absent", network={})
    links = host.shell("ip -o link show")
    assert ("coracle" in links) == (change == {"network": {"persistent": True}}), links


def test_networks_are_a_list_that_changes_under_the_namespace(host: Host) -> None:
    host.module("container_network", name="back", subnet="10.31.0.0/24", ipv6=True)
    rows = [{"name": "front"}, {"name": "back", "interface_name": "lan0", "ipv4_address": "10.31.0.9", "mac_address": "02:00:00:00:00:31",
                                "aliases": ["store"], "bandwidth": {"ingress_rate": "1G"}}]
    made = converge(host, name="web", networks=rows, published_ports=["8080:80"])
    assert [(each["name"], each["network"]) for each in made["netns"]["interfaces"][1:]] == [("eth0", "front"), ("lan0", "back")]
    assert "10.31.0.9/24" in made["netns"]["interfaces"][2]["addresses"]
    inode = host.shell("stat -Lc %i /run/coracle/netns/web; " + NSENTER % "web" + "ip -o link show lan0 | cut -d: -f1")
    host.shell("ip link set co-back down; ip link del co-front; " + NSENTER % "web" + "ip addr flush dev lan0")
    mended = converge(host, name="web", networks=rows, published_ports=["8080:80"])["actions"]
    assert [(step["action"], step["options"]) for step in mended] == [
        ("update_network", ["network front", "network back"]), ("connect", ["networks"])], mended
    changed = converge(host, name="web", networks=[*rows[1:], {"name": "third"}], published_ports=["8080:80"])
    assert {step["disruption"] for step in changed["actions"]} == {"live"}
    assert "disconnect" in [step["action"] for step in changed["actions"]] and "co-front" not in host.shell("ip -o link")
    assert inode == host.shell("stat -Lc %i /run/coracle/netns/web; " + NSENTER % "web" + "ip -o link show lan0 | cut -d: -f1")
    assert "10.31.0.9 . 80" in host.shell("nft list table inet coracle"), "ports go where the default route is"
    for wrong, words in (({"networks": rows, "aliases": ["x"]}, ["aliases", "networks"]),
                         ({"networks": [{"name": "back"}, {"name": "back"}]}, ["back", "twice"]),
                         ({"networks": rows[:1], "mode": "none"}, ["front", "none"])):
        refused = host.module("container_netns", name="b", fail=True, **wrong)
        assert all(word in refused["msg"] for word in words), refused["msg"]
    assert converge(host, name="web", network={"name": "third"})["netns"]["interfaces"][1]["network"] == "third"


def test_a_namespace_joins_another(host: Host) -> None:
    host.module("container_netns", name="web")
    converge(host, name="sidecar", mode="container:web")
    inodes = host.shell("stat -Lc %i /run/coracle/netns/web /run/coracle/netns/sidecar").split()
    assert inodes[0] == inodes[1]
    host.module("container_netns", name="web", state="absent")
    host.module("container_netns", name="web")
    done = converge(host, name="sidecar", mode="container:web")
    assert done["diff"]["before"]["mode"] == "container:web (gone)"
    for name in ("sidecar", "web"):
        host.module("container_netns", name=name, state="absent")
    assert "coracle" not in traces(host)


def test_a_namespace_of_somebody_else_is_joined_by_its_path(host: Host) -> None:
    host.shell("ip netns add vpn")
    converge(host, name="tunnel", mode="ns:/run/netns/vpn")
    inodes = host.shell("stat -Lc %i /run/netns/vpn /run/coracle/netns/tunnel").split()
    assert inodes[0] == inodes[1]
    refused = host.module("container_netns", name="b", mode="ns:/run/netns/none", fail=True)
    assert "'/run/netns/none'" in refused["msg"]
    host.shell("ip netns del vpn; ip netns add vpn")
    assert converge(host, name="tunnel", mode="ns:/run/netns/vpn")["diff"]["before"]["mode"] == "ns:/run/netns/vpn (gone)"
    host.module("container_netns", name="tunnel", state="absent")
    assert host.shell("ls /run/netns") == "vpn\n"
    host.shell("ip netns del vpn")


@pytest.mark.parametrize(("options", "words"), [
    ({"name": "../x"}, ["name", "../x"]),
    ({"name": "b", "published_ports": ["8080"]}, ["8080", "HOST"]),
    ({"name": "b", "published_ports": ["8000-8010:80-91"]}, ["different length"]),
    ({"name": "b", "published_ports": ["70000:80"]}, ["70000", "65535"]),
    ({"name": "b", "published_ports": ["81:80", "81:82"]}, ["81/tcp", "two ports"]),
    ({"name": "b", "published_ports": ["8080:80"]}, ["8080/tcp", "container 'web'"]),
    ({"name": "b", "published_ports": ["127.0.0.1:8079-8081:1-3"]}, ["8080/tcp", "container 'web'"]),
    ({"name": "b", "ipv4_address": "10.209.0.2"}, ["10.209.0.2", "'web'"]),
    ({"name": "b", "ipv4_address": "10.209.0.1"}, ["10.209.0.1", "gateway"]),
    ({"name": "b", "ipv4_address": "10.9.0.1"}, ["10.9.0.1", "10.209.0.0/24"]),
    ({"name": "b", "network": {"name": "n2", "subnet": "10.209.0.128/25"}}, ["10.209.0.128/25", "'coracle'"]),
    ({"name": "b", "network": {"name": "n2", "subnet": "192.0.2.128/25"}}, ["192.0.2.0/24", "'wan'"]),
    ({"name": "b", "network": {"subnet": "10.66.0.0/24"}}, ["10.66.0.0/24", "web"]),
    ({"name": "b", "network": {"name": "n2", "subnet": "10.66.0.0/24", "gateway": "10.67.0.1"}}, ["10.67.0.1"]),
    ({"name": "b", "network": {"name": "n2", "bridge": "a-bridge-too-long"}}, ["a-bridge-too-long"]),
    ({"name": "b", "network": {"name": "n2", "bridge": "wan"}}, ["'wan'", "no bridge of ours"]),
    ({"name": "b", "mode": "container:nobody"}, ["nobody"]),
    ({"name": "b", "mode": "host", "published_ports": ["1:1"]}, ["host"]),
    ({"name": "b", "sysctls": {"kernel.hostname": "x"}}, ["kernel.hostname", "net."]),
    ({"name": "b", "sysctls": {"net.core.nonsense": "1"}}, ["net.core.nonsense"]),
    ({"name": "b", "routes": [{"destination": "10.1.0.0/16", "gateway": "172.16.0.1"}]}, ["10.1.0.0/16", "172.16.0.1"]),
    ({"name": "b", "mac_address": "01:00:00:00:00:00"}, ["01:00:00:00:00:00"]),
    ({"name": "b", "network": {"name": "n2", "internal": True}, "published_ports": ["9:9"]}, ["internal"]),
])
def test_bad_input_is_one_clear_error_that_changes_nothing(shared_host: Host, options: Dict[str, Any],
                                                           words: Any) -> None:
    shared_host.shell("ip link show wan >/dev/null 2>&1 || { ip link add wan type veth peer name wan1; "
                      "ip addr add 192.0.2.1/24 dev wan; ip link set wan up; }")
    shared_host.module("container_netns", name="web", published_ports=["8080:80"])
    before = traces(shared_host)
    result = shared_host.module("container_netns", options, fail=True)
    assert all(word in result["msg"] for word in words), result["msg"]
    assert traces(shared_host) == before


def test_a_listening_process_is_named(host: Host) -> None:
    server = host.start(["python3", "-c", "import socket,time\ns=socket.create_server(('',8080))\n"
                         "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nu.bind(('127.0.0.1',53))\n"
                         "print(flush=True)\ntime.sleep(600)"], stdout=-1)
    assert server.stdout is not None and server.stdout.readline()
    for port in ("8080:80", "53:53/udp"):
        result = host.module("container_netns", name="web", published_ports=[port], check_mode=True, fail=True)
        assert "python3" in result["msg"] and "PID" in result["msg"] and port.split(":")[0] in result["msg"]
    assert host.module("container_netns", name="web", check_mode=True,
                       published_ports=["8080:80/udp", "192.0.2.7:53:53/udp"])["changed"]
    server.kill()
    server.wait()
