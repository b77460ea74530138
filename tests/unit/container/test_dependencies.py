# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who starts before whom, as data."""

from __future__ import annotations

from ansible_collections.coracle.containers.plugins.module_utils.engine.container import dependencies
from ansible_collections.coracle.containers.plugins.module_utils.engine.container.dependencies import Need


def test_what_options_need() -> None:
    options = {"depends_on": ["db:healthy", "cache"], "network_mode": "container:vpn", "ipc_mode": "container:cache"}
    assert dependencies.of(options) == (Need("cache"), Need("db", "healthy"), Need("vpn"))
    assert dependencies.of({"network_mode": "bridge"}) == ()


def test_a_circle_is_found_by_its_shortest_way() -> None:
    graph = {"a": ["b", "c"], "b": ["c"], "c": ["d"], "d": ["a", "e"], "e": []}
    assert dependencies.cycle(graph, "a") == ["a", "c", "d", "a"]
    assert dependencies.cycle(graph, "e") is None
    assert dependencies.cycle({"a": ["a"]}, "a") == ["a", "a"]


def test_the_order() -> None:
    assert dependencies.ordered({"web": ["db", "cache"], "db": [], "cache": ["db"], "alone": []}) == ["alone", "db", "cache", "web"]
    assert dependencies.ordered({"web": ["nobody"]}) == ["web"]
    assert dependencies.ordered({"a": ["b"], "b": ["a"], "c": []}) == ["c", "a", "b"]  # a circle that somebody has written by hand
