# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_copy): each declared here and nowhere else."""

from __future__ import annotations

import re
from typing import Any

from .. import values
from ..option import NOT_COMPARED, Option

_PATH_FORM = "an absolute path such as /srv/app"
_MODE_FORM = "an octal mode in quotes, such as '0644'"


def _mode(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("is a number, which YAML may have read otherwise than it was written")
    return values.octal(value[2:] if value.startswith("0o") else value)


def _name(value: Any) -> str:
    text = str(value)
    if not re.match(r"^[^:\s/\0]+\Z", text):
        raise ValueError("is no name of a user or group")
    return text


OPTIONS = (
    Option("container", required=True, aliases=("name",), parse=values.name, compare=NOT_COMPARED, form="the name of a container"),
    Option("container_path", required=True, parse=values.absolute_path, compare=NOT_COMPARED, form=_PATH_FORM),
    Option("path", parse=values.absolute_path, compare=NOT_COMPARED, form=_PATH_FORM),
    Option("src", compare=NOT_COMPARED),
    Option("content", compare=NOT_COMPARED),
    Option("content_is_b64", type="bool", default=False, compare=NOT_COMPARED),
    Option("template", type="bool", default=False, compare=NOT_COMPARED),
    Option("from_container", type="bool", default=False, compare=NOT_COMPARED),
    Option("owner", aliases=("owner_id",), parse=_name, compare=NOT_COMPARED, form="a name or a number"),
    Option("group", aliases=("group_id",), parse=_name, compare=NOT_COMPARED, form="a name or a number"),
    Option("mode", type="raw", parse=_mode, compare=NOT_COMPARED, form=_MODE_FORM),
    Option("directory_mode", type="raw", parse=_mode, compare=NOT_COMPARED, form=_MODE_FORM),
    Option("follow", type="bool", default=False, compare=NOT_COMPARED),
    Option("local_follow", type="bool", default=True, compare=NOT_COMPARED),
    Option("force", type="bool", compare=NOT_COMPARED),
    Option("backup", type="bool", default=False, compare=NOT_COMPARED),
)
"""The table."""
