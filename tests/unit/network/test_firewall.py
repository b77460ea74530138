# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables table as a function of the state: one golden file per scenario.

C(CORACLE_WRITE_GOLDEN=1) writes them anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import firewall, networks, publish
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.firewall import State
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.policy import Member
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.networks import Network

GOLDEN = Path(__file__).with_name("golden")
PLAIN = Network("coracle", "coracle0", "10.209.0.0/24", "10.209.0.1", 1500)
INNER = Network("inner", "co-inner", "10.70.0.0/24", "10.70.0.1", 1500, internal=True)
DUAL = Network("dual", "co-dual", "10.90.0.0/24", "10.90.0.1", 1500, ipv6_subnet="fd00:90::/64", ipv6_gateway="fd00:90::1")
OPEN = Network("open", "co-open", "10.91.0.0/24", "10.91.0.1", 1500, isolate="no",
               more=(networks.Pool("10.92.0.0/24", "10.92.0.1"), networks.Pool("fd00:92::/64", "fd00:92::1")))
FRIEND = Network("friend", "co-friend", "10.93.0.0/24", "10.93.0.1", 1500, isolate="no", masquerade_exclude=("10.0.0.0/8", "fd00::/8"))
STRICT = Network("strict", "co-strict", "10.94.0.0/24", "10.94.0.1", 1500, isolate="strict", icc=False)
OVER = Network("mesh", "co-mesh", "10.80.1.0/24", "10.80.1.1", 1450, ipv6_subnet="fd00:80:0:1::/64", ipv6_gateway="fd00:80:0:1::1",
               driver="vxlan", cluster_ranges=("10.80.0.0/16", "fd00:80::/48"),
               options=(("backend", "vxlan"), ("parent", "eth0"), ("port", "4789"), ("shared", "false")))
ROUTED = Network("routed.net-1", "co-routed", "10.80.0.0/24", "10.80.0.1", 1500, masquerade=False)


def state(*networks: Network, table: str = "coracle", **targets: str) -> State:
    """A state with ports, given as C(address=ports) with underscores for dots."""
    published = tuple(sorted((port, address.lstrip("_").replace("_", "."))
                             for address, texts in targets.items() for port in publish.expand(texts.split())))
    return State(table, networks, published)


POLICY = {"ingress": [{"deny": ["container:c"]}, {"allow": ["label:tier=web"], "ports": ["80/tcp", "8000-8010/tcp", "53/udp"]},
                      {"allow": ["192.0.2.0/24"], "except": ["192.0.2.7/32"]}], "egress": []}
MEMBERS = (Member("a", "dual", "coa", ("10.90.0.2", "fd00:90::2"), {"tier": "web"}),
           Member("b", "dual", "cob", ("10.90.0.3", "fd00:90::3"), {}, POLICY), Member("c", "dual", "coc", ("10.90.0.4", "fd00:90::4")))
OF_NETWORK = {"ingress": [{"allow": ["host"], "members": ["container:c"]}], "egress": [{"deny": ["host"], "ports": ["22/tcp"]}]}
SCENARIOS = {
    "policies": State("coracle", (DUAL._replace(policy=OF_NETWORK),), (), (("10.90.0.1", 40053),), MEMBERS, calls=True),
    "policies_by_the_bridge": State("coracle", (DUAL,), (), (), MEMBERS),
    "policies_gone": state(PLAIN)._replace(leftover=True),
    "nothing_left": state()._replace(leftover=True),
    "nothing": state(),
    "one_network": state(PLAIN),
    "published": state(PLAIN, _10_209_0_2="8080:80/tcp 53:53/udp 8000-8002:80-82/tcp", _10_209_0_3="9000:80/sctp"),
    "published_at_addresses": state(PLAIN, _10_209_0_2="127.0.0.1:8080:80/tcp 192.0.2.1:53:53/udp"),
    "dual_stack": State("coracle", (DUAL,), tuple(
        (port, target) for port in publish.expand(["8080:80/tcp", "127.0.0.1:81:81/tcp", "[2001:db8::1]:53:53/udp"])
        for target in ("10.90.0.2", "fd00:90::2") if publish.serves(port, target))),
    "internal": state(INNER),
    "isolation": state(PLAIN, OPEN, FRIEND, STRICT, _10_91_0_2="8080:80/tcp"),
    "over_hosts": state(OVER, PLAIN), "over_hosts_inside_only": state(OVER._replace(internal=True)),
    "over_hosts_by_routes": state(OVER._replace(options=(("backend", "host-gw"), ("parent", "eth0"), ("shared", "false")))),
    "over_hosts_shared": state(OVER._replace(options=(("backend", "vxlan"), ("port", "4789"), ("shared", "true")), cluster_ranges=())),
    "without_masquerade": state(ROUTED, _10_80_0_2="8080:80/tcp"),
    "three_networks": state(PLAIN, INNER, ROUTED, _10_209_0_2="8080:80/tcp", _10_80_0_2="127.0.0.1:81:80/tcp"),
    "another_instance": state(PLAIN._replace(bridge="co-0123456789"), table="coracle-0a1b2c3d"),
}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_table_is_as_written_down(name: str) -> None:
    path = GOLDEN / (name + ".nft")
    text = firewall.render(SCENARIOS[name])
    if os.environ.get("CORACLE_WRITE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_a_policy_about_nobody_makes_no_rule() -> None:
    assert firewall.render(state(PLAIN._replace(policy={"ingress": []}))) == firewall.render(state(PLAIN))


def test_every_golden_file_has_its_scenario() -> None:
    assert {path.stem for path in GOLDEN.glob("*.nft")} == set(SCENARIOS)


def test_a_thousand_ports_are_one_rule() -> None:
    few = firewall.render(state(PLAIN, _10_209_0_2="8080:80/tcp"))
    many = firewall.render(state(PLAIN, _10_209_0_2="1000-1999:1000-1999/tcp"))
    assert [line for line in many.splitlines() if " : " not in line or "vmap" in line] == \
        [line for line in few.splitlines() if " : " not in line or "vmap" in line]


def test_a_listing_tells_the_ports_of_an_address() -> None:
    ports = publish.expand(["8080:80/tcp", "127.0.0.1:53:53/udp"])
    text = firewall.render(State("coracle", (PLAIN,), tuple((port, "10.209.0.2") for port in ports)
                                 + ((publish.Published("", 1, 1, "tcp"), "10.209.0.22"),)))
    assert firewall.published_in(text, ["10.209.0.2"]) == ports
    assert firewall.published_in(None, ["10.209.0.2"]) == ()
    dual = firewall.render(SCENARIOS["dual_stack"])
    assert firewall.published_in(dual, ["10.90.0.2", "fd00:90::2"]) == publish.expand(
        ["8080:80/tcp", "127.0.0.1:81:81/tcp", "[2001:db8::1]:53:53/udp"])
    half = "\n".join(line for line in dual.splitlines() if "8080 : fd00:90::2" not in line)
    assert "8080" not in str(firewall.published_in(half, ["10.90.0.2", "fd00:90::2"])), "a port that serves one family only"
    assert firewall.masquerades(text, PLAIN) and not firewall.masquerades(text, ROUTED)
