# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_cgroup): each declared here and nowhere else."""

from __future__ import annotations

import re
from typing import Any, Dict

from .. import values
from ..option import CONTAINED, NOT_COMPARED, UNORDERED, Option
from .limits import LIMITS, RULE, device_rules


def _name(value: Any) -> str:
    """Names, joined by slashes where groups are nested."""
    return "/".join(values.name(part) for part in str(value).split("/"))


def _path(value: Any) -> str:
    text = values.absolute_path(value)
    if text == "/":
        raise ValueError("is the root of the hierarchies, which holds the whole host")
    return text


def _unit(value: Any) -> str:
    text = str(value)
    if not re.match(r"^[a-zA-Z0-9:_.\\@-]{1,245}\.(service|scope|slice|socket|mount|swap)$", text):
        raise ValueError("is no unit that has a cgroup")
    return text


def _slice(value: Any) -> str:
    text = _unit(value)
    if not text.endswith(".slice"):
        raise ValueError("is no slice")
    return text


def _class(value: Any) -> str:
    """The handle of a class in its shortest form (tc(8), "IDs")."""
    match = re.match(r"^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$", str(value))
    if not match:
        raise ValueError("is no handle of a class")
    return "%x:%x" % (int(match.group(1), 16), int(match.group(2), 16))


def _priorities(value: Any) -> Dict[str, int]:
    whole = values.integer(0, (1 << 32) - 1)
    for link in value:
        if not re.match(r'^[^\s/"]{1,15}$', str(link)):
            raise ValueError("has '%s', which is no name of a link" % link)
    return {str(link): whole(priority) for link, priority in value.items()}


OPTIONS = (
    Option("name", parse=_name, compare=NOT_COMPARED, form="letters, digits, _, ., -; groups within groups by slashes"),
    Option("path", parse=_path, compare=NOT_COMPARED, form="an absolute cgroup path such as /batch/night"),
    Option("state", default="present", choices=("present", "absent", "frozen", "thawed"), compare=NOT_COMPARED),
    Option("pid", type="int", parse=values.integer(1, 1 << 22), compare=NOT_COMPARED, form="the number of a process"),
    Option("unit", parse=_unit, compare=NOT_COMPARED, form="a unit of systemd such as nginx.service or batch.slice"),
    Option("slice", default="system.slice", parse=_slice, compare=NOT_COMPARED, form="a slice of systemd such as batch.slice"),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
    Option("on_processes", choices=("refuse", "kill", "move"), compare=NOT_COMPARED),
    Option("move_to", parse=values.absolute_path, compare=NOT_COMPARED, form="an absolute cgroup path such as /batch"),
    Option("descendants", type="bool", default=False, compare=NOT_COMPARED),
) + LIMITS + (
    Option("device_rules", type="list", elements="dict", options=RULE, parse=device_rules, aliases=("devices",),
           form="access as some of the letters rwm", read_from="the eBPF program on the group, devices.list"),
    Option("processes", type="list", elements="int", parse=values.integer(1, 1 << 22), aliases=("pids",),
           form="the number of a process", compare=UNORDERED, read_from="/proc/PID/cgroup"),
    Option("network_class", parse=_class, form="a class's handle such as 10:1, as tc writes it",
           read_from="net_cls.classid, or nftables"),
    Option("network_priorities", type="dict", parse=_priorities, compare=CONTAINED, form="for each link a priority from 0 to 4294967295",
           read_from="net_prio.ifpriomap, or nftables"),
    Option("freeze", type="bool", read_from="cgroup.freeze, freezer.self_freezing"),
)
"""The table."""
