# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_cgroup): each declared here and nowhere else."""

from __future__ import annotations

from typing import Any

from .. import values
from ..option import NOT_COMPARED, UNORDERED, Option
from .limits import LIMITS, RULE, device_rules


def _name(value: Any) -> str:
    """Names, joined by slashes where groups are nested."""
    return "/".join(values.name(part) for part in str(value).split("/"))


def _path(value: Any) -> str:
    text = values.absolute_path(value)
    if text == "/":
        raise ValueError("is the root of the hierarchies, which holds the whole host")
    return text


OPTIONS = (
    Option("name", parse=_name, compare=NOT_COMPARED, form="letters, digits, _, ., -; groups within groups by slashes"),
    Option("path", parse=_path, compare=NOT_COMPARED, form="an absolute cgroup path such as /batch/night"),
    Option("state", default="present", choices=("present", "absent", "frozen", "thawed"), compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
) + LIMITS + (
    Option("device_rules", type="list", elements="dict", options=RULE, parse=device_rules, aliases=("devices",),
           form="access as some of the letters rwm", read_from="the eBPF program on the group, devices.list"),
    Option("processes", type="list", elements="int", parse=values.integer(1, 1 << 22), aliases=("pids",),
           form="the number of a process", compare=UNORDERED, read_from="/proc/PID/cgroup"),
    Option("freeze", type="bool", read_from="cgroup.freeze, freezer.self_freezing"),
)
"""The table."""
