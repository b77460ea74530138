# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: container_drift
short_description: What is not as it was declared, as rows or as a table
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Turns what modules of this collection return in check mode, with C(diff), into one row for each option that differs and for each
    step that would be taken besides. What is as declared has no row.
positional: _input
options:
  _input:
    description: Results of modules, by the name of the host that they are of.
    type: dict
    required: true
  form:
    description: V(rows) for data, V(table) for lines of text, the heading first.
    type: str
    default: rows
    choices: [rows, table]
seealso:
  - plugin: coracle.containers.container_run
    plugin_type: module
"""

EXAMPLES = r"""
- name: Show what is not as it was declared
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: checked.results} | coracle.containers.container_drift(form='table') }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(host), C(object), C(option), C(before), C(after) and C(disruption); or the lines of a table.
    - A step that sets no option has the step's name as its C(option), such as V(start). A task that failed has V(error).
  type: list
  elements: raw
  sample:
    - {"host": "web1", "object": "shop", "option": "memory_max", "before": 99999744, "after": 67108864, "disruption": "live"}
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Dict, List

from ansible.errors import AnsibleFilterError

COLUMNS = ("host", "object", "option", "before", "after", "disruption")
WIDEST = 48
"""Characters of a cell of the table."""


def container_drift(results: Any, form: str = "rows") -> List[Any]:
    """Rows or lines.

    Raises:
        AnsibleFilterError: What is given are no results by host, or the form is unknown.
    """
    if form not in ("rows", "table"):
        raise AnsibleFilterError("container_drift has no form '%s'; it has rows and table" % form)
    if not isinstance(results, Mapping):
        raise AnsibleFilterError("container_drift takes results by host, not %s" % type(results).__name__)
    rows: List[Dict[str, Any]] = []
    for host in sorted(results):
        if not isinstance(results[host], Sequence) or isinstance(results[host], str):
            raise AnsibleFilterError("container_drift takes a list of results for host '%s'" % host)
        for result in results[host]:
            rows += _rows(str(host), result)
    return rows if form == "rows" else _table(rows)


def _rows(host: str, result: Any) -> List[Dict[str, Any]]:
    if not isinstance(result, Mapping):
        raise AnsibleFilterError("container_drift takes what modules return, and this is none: %r" % (result,))
    item = result.get("item")
    name = str((item.get("name") if isinstance(item, Mapping) else item) or (result.get("container") or {}).get("name") or "-")
    if result.get("failed"):
        return [_row(host, name, "error", None, result.get("msg"), None)]
    if not result.get("changed"):
        return []
    diff = result.get("diff") or {}
    before, after = diff.get("before") or {}, diff.get("after") or {}
    rows: List[Dict[str, Any]] = []
    for action in result.get("actions") or []:
        for option in action.get("options") or []:
            rows.append(_row(host, name, option, before.get(option), after.get(option), action.get("disruption")))
        if not action.get("options"):
            status = (result.get("container") or {}).get("status")
            rows.append(_row(host, name, action.get("action"), status, None, action.get("disruption")))
    return rows or [_row(host, name, "changed", None, None, None)]


def _row(*values: Any) -> Dict[str, Any]:
    return dict(zip(COLUMNS, values))


def _table(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    cells = [[column.upper() for column in COLUMNS]] + [[_cell(row[column]) for column in COLUMNS] for row in rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else text[:WIDEST - 3] + "..."


class FilterModule:
    """The filter of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"container_drift": container_drift}
