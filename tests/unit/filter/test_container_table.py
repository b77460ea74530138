# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what runs."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.coracle.containers.plugins.filter.container_table import FilterModule

table = FilterModule().filters()["container_table"]

WEB: Dict[str, Any] = {
    "name": "web", "image": "demonstration:1", "status": "running", "addresses": {"coracle": "10.209.0.2", "back": "10.209.1.2"},
    "published_ports": ["18080:8080"], "options": {"memory_max": 134217728}, "usage": {"memory": {"current": 28731000}},
    "id": "0123456789abcdef", "pid": 42}
CLIENT: Dict[str, Any] = {"name": "client", "image": "demonstration:1", "status": "exited", "exit_code": 137, "oom_killed": True}


def test_rows_are_sorted_and_columns_aligned() -> None:
    assert table([{"changed": True, "container": WEB}, CLIENT]) == [
        "NAME    IMAGE            STATE                        ADDRESS                 PORTS       MEMORY",
        "client  demonstration:1  exited (137), out of memory  -                       -           -",
        "web     demonstration:1  running                      10.209.0.2, 10.209.1.2  18080:8080  27.4 MiB / 128.0 MiB"]


def test_columns_can_be_chosen() -> None:
    assert table([WEB], columns=["name", "pid", "id"]) == ["NAME  PID  ID", "web   42   0123456789ab"]


@pytest.mark.parametrize("usage, options, shown", [
    ({"memory": {"current": 512}}, {}, "512 B / unlimited"),
    ({"memory": {"current": None}}, {"memory_max": 1048576}, "- / 1.0 MiB"),
    (None, {"memory_max": -1}, "-"),
    ({"memory": {"current": 3 << 40}}, {"memory_max": -1}, "3.0 TiB / unlimited"),
])
def test_memory(usage: Any, options: Any, shown: str) -> None:
    assert table([{"name": "x", "usage": usage, "options": options}], columns=["memory"])[1] == shown


def test_nothing_runs() -> None:
    assert table([]) == ["NAME  IMAGE  STATE  ADDRESS  PORTS  MEMORY"]


@pytest.mark.parametrize("given, columns, said", [
    ("web", ["name"], "takes a list of containers, not str"),
    ({"name": "web"}, ["name"], "takes a list of containers, not dict"),
    ([{"changed": False}], ["name"], "this is none"),
    ([WEB], ["nmae"], "has no column 'nmae'"),
])
def test_what_it_refuses(given: Any, columns: Any, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        table(given, columns)
