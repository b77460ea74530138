# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_stack)."""

from __future__ import annotations

from .. import values
from ..option import NOT_COMPARED, Option

OPTIONS = (
    Option("name", parse=values.name, form="letters, digits, _, ., -", compare=NOT_COMPARED),
    Option("state", default="present", choices=("present", "stopped", "absent", "pulled", "rolled_back"), compare=NOT_COMPARED),
    Option("definition", type="dict", no_log=True, compare=NOT_COMPARED),
    Option("project_src", type="path", compare=NOT_COMPARED),
    Option("files", type="list", elements="path", compare=NOT_COMPARED),
    Option("project_dest", type="path", parse=values.absolute_path, form="an absolute path on the managed host", compare=NOT_COMPARED),
    Option("env_files", type="list", elements="path", compare=NOT_COMPARED),
    Option("environment", type="dict", compare=NOT_COMPARED),
    Option("profiles", type="list", elements="str", compare=NOT_COMPARED),
    Option("unsupported", choices=("fail", "warn"), default="fail", compare=NOT_COMPARED),
    Option("services", type="list", elements="str", compare=NOT_COMPARED),
    Option("prune", type="bool", default=False, compare=NOT_COMPARED),
    Option("keep_volumes", type="bool", default=True, compare=NOT_COMPARED),
    Option("wait", choices=("none", "started", "healthy"), default="started", compare=NOT_COMPARED),
    Option("wait_timeout", default="300s", parse=values.duration, form="a duration such as 300s", compare=NOT_COMPARED),
    Option("pull", choices=("missing", "always", "newer", "never"), compare=NOT_COMPARED),
    Option("recreate", type="bool", default=False, compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
    Option("rollback_on_failure", type="bool", default=False, compare=NOT_COMPARED),
    Option("revision", type="int", parse=values.integer(1, 1 << 31), form="the number of a revision, 1 or more", compare=NOT_COMPARED),
    Option("plan", type="path", parse=values.absolute_path, form="an absolute path on the managed host", compare=NOT_COMPARED),
    Option("parallel", type="int", parse=values.integer(1, 64), form="a number from 1 to 64", compare=NOT_COMPARED),
)
"""The table."""
