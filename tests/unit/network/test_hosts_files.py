# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of hosts and resolv.conf, and rewriting in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import hosts
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.hosts import Names
from ansible_collections.coracle.containers.plugins.module_utils.engine.network.leases import Lease

HOST = "# by hand\nnameserver 192.0.2.53\nnameserver 127.0.0.1 ; local\nsearch example.org lan\noptions ndots:2 edns0\n"


def test_hosts_names_itself_its_neighbours_and_the_extra_ones() -> None:
    text = hosts.hosts_text(
        Names("web.example.org", (("host.internal", "host-gateway"), ("far", "192.0.2.9"))), ["10.209.0.2"],
        hosts.lines_of([Lease("db", "eth0", "10.209.0.3", "", ("db", "database")), Lease("bare", "eth0", "10.209.0.4", "")]),
        "10.209.0.1")
    lines = text.splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    for line in ("10.209.0.2\tweb.example.org web", "10.209.0.1\thost.internal", "192.0.2.9\tfar",
                 "10.209.0.3\tdb database", "10.209.0.4\tbare"):
        assert line in lines
    assert text.endswith("\n")


def test_without_a_network_the_own_name_is_still_known() -> None:
    text = hosts.hosts_text(Names("alone", (("h", "host-gateway"),)), [], [])
    assert "127.0.1.1\talone" in text.splitlines() and "host-gateway" not in text


@pytest.mark.parametrize(("names", "host", "on_loopback", "lines"), [
    (Names("a"), HOST, False, ["search example.org lan", "nameserver 192.0.2.53", "options ndots:2 edns0"]),
    (Names("a"), HOST, True, ["search example.org lan", "nameserver 192.0.2.53", "nameserver 127.0.0.1",
                              "options ndots:2 edns0"]),
    (Names("a", dns=("10.0.0.1",)), HOST, False, ["search example.org lan", "nameserver 10.0.0.1",
                                                   "options ndots:2 edns0"]),
    (Names("a", dns_search=("x",), dns_options=("rotate",)), HOST, False,
     ["search x", "nameserver 192.0.2.53", "options rotate"]),
    (Names("a", dns_search=(".",), dns_options=()), HOST, False, ["nameserver 192.0.2.53"]),
    (Names("a"), "nameserver 127.0.0.1\n", False, []),
])
def test_resolv_conf(names: Names, host: str, on_loopback: bool, lines: List[str]) -> None:
    assert hosts.resolv_text(names, host, on_loopback).splitlines() == lines


@pytest.mark.parametrize(("names", "lines"), [
    (Names("a"), ["search example.org lan", "nameserver 10.209.0.1", "options ndots:2 edns0"]),
    (Names("a", dns=("192.0.2.7",), dns_options=()), ["search example.org lan", "nameserver 10.209.0.1", "options ndots:0"]),
    (Names("a", dns=("127.0.0.1",), dns_search=(".",), dns_options=()), ["nameserver 127.0.0.1"]),
])
def test_with_a_resolver_it_alone_is_asked(names: Names, lines: List[str]) -> None:
    assert hosts.resolv_text(names, HOST, resolver="10.209.0.1").splitlines() == lines


def test_a_name_that_several_have_is_left_to_the_resolver() -> None:
    own, *others = hosts.lines_of([
        Lease("web-1", "eth0", "10.209.0.2", "", ("web-1", "data")),
        Lease("web-2", "eth0", "10.209.0.3", "", ("web-2", "web")), Lease("web-3", "eth0", "10.209.0.4", "", ("web-3", "web", "api")),
        Lease("db", "eth0", "10.209.0.5", "", ("db", "data"), "fd00::5"), Lease("api-2", "eth0", "10.209.0.6", "", ("api",))],
        resolver="10.209.0.1")
    text = hosts.hosts_text(Names("web-1"), ["10.209.0.2"], others)
    assert own == "10.209.0.2\tweb-1\n"
    assert text.splitlines()[-5:] == ["10.209.0.2\tweb-1", "10.209.0.3\tweb-2", "10.209.0.4\tweb-3", "10.209.0.5\tdb", "fd00::5\tdb"]


@pytest.mark.parametrize("text", ["longer than before\n" * 9, "short\n", "", "same\n"])
def test_rewriting_keeps_the_inode(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hosts"
    path.write_text("same\n")
    inode = path.stat().st_ino
    hosts.rewrite(str(path), text)
    assert path.read_text() == text and path.stat().st_ino == inode


def test_rewriting_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "hosts").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"):
        hosts.rewrite(str(tmp_path / "hosts"), "x")
    assert not os.path.exists(tmp_path / "victim")


def test_names_survive_their_record() -> None:
    names = Names("a", (("b", "192.0.2.1"),), ("10.0.0.1",), (), None)
    assert hosts.from_record(hosts.to_record(names)) == names
