# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How published ports and addresses are written."""

from __future__ import annotations

from typing import Any, Callable, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import publish
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.publish import Published
from ansible_collections.coracle.containers.plugins.module_utils.options import netns, ports


@pytest.mark.parametrize(("given", "written"), [
    ("8080:80", "8080:80/tcp"),
    ("8080:80/udp", "8080:80/udp"),
    ("0.0.0.0:8080:80", "8080:80/tcp"),
    ("127.0.0.1:8080:80/sctp", "127.0.0.1:8080:80/sctp"),
    ("8000-8010:80-90", "8000-8010:80-90/tcp"),
    ("8000-8000:80", "8000:80/tcp"),
    (" 1:65535 ", "1:65535/tcp"),
])
def test_ports_get_one_written_form(given: str, written: str) -> None:
    assert ports.published_port(given) == written
    assert publish.contract(publish.expand([written])) == [written]


@pytest.mark.parametrize(("parse", "value", "why"), [
    (ports.published_port, "80", "which port of the host"),
    (ports.published_port, "80/tcp", "which port of the host"),
    (ports.published_port, "1-3:1-2", "different length"),
    (ports.published_port, "3-1:3-1", "ends before it begins"),
    (ports.published_port, "0:80", "between 1 and 65535"),
    (ports.published_port, "80:65536", "between 1 and 65535"),
    (ports.published_port, "80:80/icmp", "no published port"),
    (ports.published_port, "300.0.0.1:80:80", "no IPv4 address"),
    (ports.published_port, "80:80\n", ""),
    (ports.ipv4_address, "10.0.0", "no IPv4 address"),
    (ports.ipv4_address, "::1", "no IPv4 address"),
    (ports.ipv4_block, "10.0.0.1/24", "behind its prefix"),
    (ports.ipv4_block, "10.0.0.0/33", "no block"),
    (ports.mac_address, "ff:ff:ff:ff:ff:ff", "single interface"),
    (ports.mac_address, "02:00", "no MAC"),
    (ports.interface, "lo", "no name"),
    (ports.interface, "sixteen-letters-", "no name"),
    (ports.interface, "a/b", "no name"),
    (ports.host_name, "a b", "no host name"),
    (ports.host_name, "a" * 64, "no host name"),
    (netns._mode, "macvlan", "no mode"),
    (netns._mode, "container:", "name"),
    (netns._sysctls, {"kernel.hostname": "x"}, "kernel.hostname"),
    (netns._sysctls, {"net.ipv4.ip_forward": True}, "net.ipv4.ip_forward"),
    (netns._sysctls, {"net.../x": "1"}, "net.../x"),
])
def test_what_is_written_wrongly_is_refused(parse: Callable[[Any], Any], value: Any, why: str) -> None:
    if not why:
        assert parse(value) == "80:80/tcp"
        return
    with pytest.raises(ValueError, match=why.replace(".", r"\.")):
        parse(value)


@pytest.mark.parametrize(("given", "expected"), [
    (["1:1/tcp", "2:2/tcp", "3:3/tcp"], ["1-3:1-3/tcp"]),
    (["1:1/tcp", "2:3/tcp"], ["1:1/tcp", "2:3/tcp"]),
    (["2:2/tcp", "1:1/tcp", "1:1/udp"], ["1-2:1-2/tcp", "1:1/udp"]),
    (["1-2:1-2/tcp", "2-3:2-3/tcp"], ["1-3:1-3/tcp"]),
    (["127.0.0.1:1:1/tcp", "2:2/tcp"], ["2:2/tcp", "127.0.0.1:1:1/tcp"]),
    (["80:80", "0.0.0.0:81:81"], ["80-81:80-81/tcp"]),
    ([], []),
])
def test_neighbours_become_ranges(given: List[str], expected: List[str]) -> None:
    assert publish.contract(publish.expand(given)) == expected


def test_what_the_option_table_would_not_let_through_is_refused_too() -> None:
    for text in ("80/tcp", "1-3:1-2/tcp"):
        with pytest.raises(InvalidValue):
            publish.expand([text])


def test_loopback_reaches_ports_of_all_and_of_loopback_addresses() -> None:
    assert publish.loopback(Published("", 1, 1, "tcp"))
    assert publish.loopback(Published("127.0.0.2", 1, 1, "tcp"))
    assert not publish.loopback(Published("192.0.2.1", 1, 1, "tcp"))
