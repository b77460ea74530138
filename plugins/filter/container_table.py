# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: container_table
short_description: What runs, as a short table
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Turns containers, as M(coracle.containers.container_run) returns them, into the lines of a table.
positional: _input
options:
  _input:
    description: Containers, each the RV(coracle.containers.container_run#module:container) of a result; or such results.
    type: list
    elements: dict
    required: true
  columns:
    description: The columns to show, in order.
    type: list
    elements: str
    default: [name, image, state, address, ports, memory]
    choices: [name, image, state, address, ports, memory, pid, id]
seealso:
  - plugin: coracle.containers.container_run
    plugin_type: module
"""

EXAMPLES = r"""
- name: Show what runs
  ansible.builtin.debug:
    msg: "{{ results | coracle.containers.container_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table, the heading first.
  type: list
  elements: str
  sample:
    - "NAME    IMAGE             STATE    ADDRESS      PORTS        MEMORY"
    - "client  demonstration:1   running  10.209.0.3   -            18.0 MiB / 64.0 MiB"
    - "web     demonstration:1   running  10.209.0.2   18080:8080   27.4 MiB / 128.0 MiB"
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Dict, List

from ansible.errors import AnsibleFilterError
from ansible_collections.coracle.containers.plugins.module_utils.engine.sizes import human_size

COLUMNS = ("name", "image", "state", "address", "ports", "memory")


def container_table(containers: Any, columns: Sequence[str] = COLUMNS) -> List[str]:
    """The lines of the table, sorted by name.

    Raises:
        AnsibleFilterError: Something that is given is no container, or a column is not known.
    """
    unknown = [column for column in columns if column not in _CELLS]
    if unknown:
        raise AnsibleFilterError("container_table has no column '%s'; it has %s" % (unknown[0], ", ".join(_CELLS)))
    if isinstance(containers, Mapping) or not isinstance(containers, Sequence) or isinstance(containers, str):
        raise AnsibleFilterError("container_table takes a list of containers, not %s" % type(containers).__name__)
    rows = [[column.upper() for column in columns]]
    for container in sorted(map(_container, containers), key=lambda container: str(container["name"])):
        rows.append([_CELLS[column](container) or "-" for column in columns])
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _container(given: Any) -> Mapping[str, Any]:
    found = given.get("container", given) if isinstance(given, Mapping) else given
    if not isinstance(found, Mapping) or "name" not in found:
        raise AnsibleFilterError("container_table takes what container_run returns, and this is none: %r" % (given,))
    return found


def _state(container: Mapping[str, Any]) -> str:
    text = str(container.get("status") or "")
    if text == "exited" and container.get("exit_code") is not None:
        text += " (%s)" % container["exit_code"]
    return text + (", out of memory" if container.get("oom_killed") else "")


def _addresses(container: Mapping[str, Any]) -> str:
    return ", ".join(str(address) for address in (container.get("addresses") or {}).values() if address)


def _ports(container: Mapping[str, Any]) -> str:
    return ", ".join(str(port).replace("/tcp", "") for port in container.get("published_ports") or [])


def _memory(container: Mapping[str, Any]) -> str:
    usage = ((container.get("usage") or {}).get("memory") or {}).get("current")
    limit = (container.get("options") or {}).get("memory_max")
    limited = isinstance(limit, int) and limit >= 0
    if usage is None and not limited:
        return ""
    return "%s / %s" % ("-" if usage is None else human_size(usage), human_size(limit if limited else None))


_CELLS = {
    "name": lambda container: str(container["name"]),
    "id": lambda container: str(container.get("id") or "")[:12],
    "image": lambda container: str(container.get("image") or ""),
    "state": _state,
    "pid": lambda container: str(container.get("pid") or ""),
    "address": _addresses,
    "ports": _ports,
    "memory": _memory,
}  # type: Dict[str, Callable[[Mapping[str, Any]], str]]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"container_table": container_table}
