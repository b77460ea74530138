# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_netns, by the common test."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import pytest

from hosts import Host, keeps_vlans
from quadruple import compared, quadruple

MODULE = "container_netns"
VALUES: Dict[str, Tuple[Dict[str, Any], Any, Any]] = {
    # option: (the others, first, second)
    "mode": ({}, "none", "bridge"),
    "network": ({}, {"name": "blue", "mtu": 1400}, {"name": "blue", "mtu": 1300}),
    "interface": ({}, "eth0", "net0"),
    "ipv4_address": ({"network": {"subnet": "10.77.0.0/24"}}, "10.77.0.5", "10.77.0.9"),
    "ipv6_address": ({"network": {"ipv6_subnet": "fd00:77::/64"}}, "fd00:77::5", "fd00:77::9"),
    "mac_address": ({}, "02:00:00:00:00:05", "02:00:00:00:00:09"),
    "bandwidth": ({}, {"ingress_rate": "100M"}, {"ingress_rate": "200M", "egress_rate": "50M"}),
    "vlan": ({"network": {"name": "vlans", "vlan_filtering": True}}, {"pvid": 10}, {"pvid": 0, "tagged": [20, "30-39", 31]}),
    "networks": ({}, [{"name": "one"}, {"name": "two", "interface": "back0"}],
                 [{"name": "two", "interface_name": "back0", "aliases": ["db"], "mac_address": "02:00:00:00:00:05"}, {"name": "three"}]),
    "labels": ({}, {"tier": "web"}, {"tier": "data"}),
    "policy": ({}, {"ingress": []}, {"egress": [{"allow": ["any"], "ports": ["53/udp"]}, {"deny": ["10.0.0.0/8"], "ports": ["1-9"]}]}),
    "aliases": ({}, ["db"], ["db", "db.internal"]),
    "routes": ({"network": {"subnet": "10.77.0.0/24"}}, [{"destination": "10.88.0.0/16", "gateway": "10.77.0.1"}],
               [{"destination": "10.99.0.0/16", "gateway": "10.77.0.1", "metric": 7}]),
    "sysctls": ({}, {"net.ipv4.ip_unprivileged_port_start": "1024"}, {"net.ipv4.ip_unprivileged_port_start": "80"}),
    "published_ports": ({}, ["8080:80"], ["8080:80", "127.0.0.1:9000-9001:9000-9001/udp"]),
}


@pytest.fixture
def namespace(shared_host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a namespace for one test."""
    name = str(request.node.callspec.params["option"]).replace("_", "-")
    yield name
    shared_host.module(MODULE, name=name, state="absent")


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted(VALUES)


@pytest.mark.parametrize("option", sorted(VALUES))
def test_option(shared_host: Host, namespace: str, option: str) -> None:
    if option == "vlan" and not keeps_vlans(shared_host):
        pytest.skip("this kernel has no VLANs on bridges")
    others, first, second = VALUES[option]
    quadruple(shared_host, MODULE, {"name": namespace, **others}, option, first, second)


@pytest.mark.parametrize(("key", "first", "second"), [
    ("bridge", "br-one", "br-two"), ("subnet", "10.78.0.0/24", "10.79.0.0/24"), ("gateway", "10.78.0.1", "10.78.0.254"),
    ("masquerade", True, False), ("internal", False, True), ("persistent", False, True), ("name", "red", "green"),
    ("ipv6", True, False), ("ipv6_subnet", "fd00:1::/64", "fd00:2::/64"), ("ipv6_gateway", "fd00:3::1", "fd00:3::9"),
    ("ip_range", "10.78.0.64/26", "10.78.0.128/26"), ("aux_addresses", {"a": "10.78.0.9"}, {"a": "10.78.0.8"})])
def test_option_of_the_network(shared_host: Host, key: str, first: Any, second: Any) -> None:
    base = {"name": "net-" + key.replace("_", "-")}
    beside = {"gateway": {"subnet": "10.78.0.0/24"}, "ip_range": {"subnet": "10.78.0.0/24"},
              "aux_addresses": {"subnet": "10.78.0.0/24"}, "ipv6_gateway": {"ipv6_subnet": "fd00:3::/64"}}
    network: Dict[str, Any] = {"name": "of-" + key.replace("_", "-"), **beside.get(key, {})}
    try:
        quadruple(shared_host, MODULE, base, "network", {**network, key: first}, {**network, key: second})
    finally:
        # the last word on persistence, so that the network goes too
        network[key] = second
        if key == "persistent":
            shared_host.module(MODULE, **base, network={**network, "persistent": False})
        shared_host.module(MODULE, **base, state="absent")
    assert shared_host.shell("ls /sys/class/net").split() == ["lo"]
