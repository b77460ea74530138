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
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import firewall, publish
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.firewall import State
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.networks import Network

GOLDEN = Path(__file__).with_name("golden")
PLAIN = Network("coracle", "coracle0", "10.209.0.0/24", "10.209.0.1", 1500)
INNER = Network("inner", "co-inner", "10.70.0.0/24", "10.70.0.1", 1500, internal=True)
ROUTED = Network("routed.net-1", "co-routed", "10.80.0.0/24", "10.80.0.1", 1500, masquerade=False)


def state(*networks: Network, table: str = "coracle", **targets: str) -> State:
    """A state with ports, given as C(address=ports) with underscores for dots."""
    published = tuple(sorted((port, address.lstrip("_").replace("_", "."))
                             for address, texts in targets.items() for port in publish.expand(texts.split())))
    return State(table, networks, published)


SCENARIOS = {
    "nothing": state(),
    "one_network": state(PLAIN),
    "published": state(PLAIN, _10_209_0_2="8080:80/tcp 53:53/udp 8000-8002:80-82/tcp", _10_209_0_3="9000:80/sctp"),
    "published_at_addresses": state(PLAIN, _10_209_0_2="127.0.0.1:8080:80/tcp 192.0.2.1:53:53/udp"),
    "internal": state(INNER),
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
    assert firewall.published_in(text, "10.209.0.2") == ports
    assert firewall.published_in(None, "10.209.0.2") == ()
    assert firewall.masquerades(text, PLAIN) and not firewall.masquerades(text, ROUTED)
