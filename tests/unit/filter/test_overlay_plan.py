# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which subnet of a network over several hosts."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.coracle.containers.plugins.filter.overlay_plan import FilterModule

plan = FilterModule().filters()["overlay_plan"]


def host(address: str, subnets: List[str] = [], peers: Dict[str, str] = {}, fixed: List[str] = [], **options: str) -> Dict[str, Any]:  # noqa: B006
    """A host of the play, with what it has."""
    network: Dict[str, Any] = {"exists": bool(subnets), "driver": "vxlan", "driver_options": options, "members": [], "peers": [
        {"name": name, "address": "192.0.2.99", "subnets": [subnet], "members": []} for name, subnet in peers.items()]}
    network.update(zip(("ip_range", "ipv6_range") if options.get("shared") == "true" else ("subnet", "ipv6_subnet"), subnets))
    return {"address": address, "fixed": fixed, "network": network}


def subnets(rows: List[Dict[str, Any]]) -> Dict[str, List[str]]:
    return {row["name"]: row["subnets"] for row in rows}


def test_each_gets_the_first_that_is_free_and_keeps_it() -> None:
    first = plan(["a", "b"], {"a": host("192.0.2.1"), "b": host("192.0.2.2")}, [], ["10.80.0.0/16", "fd00:80::/48"])
    assert subnets(first) == {"a": ["10.80.0.0/24", "fd00:80::/64"], "b": ["10.80.1.0/24", "fd00:80:0:1::/64"]}
    known = {row["name"]: host(row["address"], row["subnets"]) for row in first}
    joined = plan(["0", "a", "b"], {"0": host("192.0.2.3"), **known}, [], ["fd00:80::/48", "10.80.0.0/16"])
    assert subnets(joined) == {**subnets(first), "0": ["10.80.2.0/24", "fd00:80:0:2::/64"]}
    left = plan(["0", "b"], {"0": host("192.0.2.3"), "b": known["b"]}, [], ["10.80.0.0/16"])
    assert subnets(left) == {"b": ["10.80.1.0/24"], "0": ["10.80.0.0/24"]}


def test_hosts_outside_of_the_play_are_asked_or_remembered_and_others_are_left_out() -> None:
    outside = [{"item": "b", "networks": [host("", ["10.80.0.0/24"], local="192.0.2.2")["network"]]},
               {"item": "c", "unreachable": True}, {"item": "d", "unreachable": True}]
    found = plan(["a", "b", "c", "d"], {"a": host("192.0.2.1", peers={"c": "10.80.1.0/24"})}, outside, ["10.80.0.0/16"])
    assert subnets(found) == {"a": ["10.80.2.0/24"], "b": ["10.80.0.0/24"], "c": ["10.80.1.0/24"]}
    assert [row["address"] for row in found] == ["192.0.2.1", "192.0.2.2", "192.0.2.99"]


def test_what_is_written_for_a_host_goes_first_and_shared_parts_are_kept() -> None:
    found = plan(["a", "b", "c"], {"a": host("192.0.2.1", ["10.80.0.0/24"], fixed=["10.80.9.0/24"]), "b": host("192.0.2.2"),
                                   "c": host("192.0.2.3", ["10.80.4.0/24"], shared="true")}, [], ["10.80.0.0/16"])
    assert subnets(found) == {"a": ["10.80.9.0/24"], "b": ["10.80.0.0/24"], "c": ["10.80.4.0/24"]}


def test_members_are_told() -> None:
    one = host("192.0.2.1", ["10.80.0.0/24"])
    one["network"]["members"] = [
        {"name": "db", "ipv4_address": "10.80.0.2", "ipv6_address": None, "aliases": ["sql"], "labels": {"a": "b"}}]
    assert plan(["a"], {"a": one}, [], ["10.80.0.0/16"])[0]["members"] == [
        {"name": "db", "addresses": ["10.80.0.2"], "aliases": ["sql"], "labels": {"a": "b"}}]


@pytest.mark.parametrize("ranges, prefix, word", [
    (["10.80.0.0/16", "10.81.0.0/16"], 24, "one IPv4 block"), (["fd00::/48"], 24, "one IPv4 block"), (["10.80.0.1/16"], 24, "host bits"),
    (["10.80.0.0/24"], 16, "no subnets of /16 fit"), (["10.80.0.0/24"], 24, "is free"),
])
def test_what_cannot_be_is_said(ranges: List[str], prefix: int, word: str) -> None:
    with pytest.raises(AnsibleFilterError, match=word):
        plan(["a", "b"], {"a": host("192.0.2.1"), "b": host("192.0.2.2")}, [], ranges, prefix)
