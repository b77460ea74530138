# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift as rows and as a table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.coracle.containers.plugins.filter.container_drift import container_drift

UPDATE = {"changed": True, "item": {"name": "web"}, "container": {"status": "running"},
          "actions": [{"action": "update", "disruption": "live", "options": ["memory_max"]},
                      {"action": "unpause", "disruption": "live", "options": []}],
          "diff": {"before": {"memory_max": 1}, "after": {"memory_max": 2, "actions": ["unpause web"]}}}


def test_rows_of_options_steps_and_errors() -> None:
    rows = container_drift({"b": [UPDATE, {"changed": False, "item": {"name": "same"}}],
                            "a": [{"failed": True, "item": {"name": "db"}, "msg": "no image"}]})
    assert [tuple(row.values()) for row in rows] == [
        ("a", "db", "error", None, "no image", None), ("b", "web", "memory_max", 1, 2, "live"),
        ("b", "web", "unpause", "running", None, "live")]


def test_the_table_is_aligned_and_bounded() -> None:
    lines = container_drift({"host": [{**UPDATE, "diff": {"before": {"memory_max": "x" * 100}, "after": {"memory_max": "two\nlines"}}}]},
                            form="table")
    assert lines[0].split() == ["HOST", "OBJECT", "OPTION", "BEFORE", "AFTER", "DISRUPTION"]
    assert "x" * 45 + "..." in lines[1] and "two lines" in lines[1] and len({line.index("  ") for line in lines}) == 1
    assert container_drift({}, form="table") == [" ".join(lines[0].split()).replace(" ", "  ")]


@pytest.mark.parametrize("given, form", [([], "rows"), ({"a": "x"}, "rows"), ({"a": ["x"]}, "rows"), ({}, "csv")])
def test_what_it_cannot_take_is_said(given: Any, form: str) -> None:
    with pytest.raises(AnsibleFilterError, match="container_drift"):
        container_drift(given, form=form)
