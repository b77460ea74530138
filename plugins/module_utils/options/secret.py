# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_secret): each declared here and nowhere else."""

from __future__ import annotations

from .. import values
from ..option import NOT_COMPARED, Option

OPTIONS = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED,
           form="a name of letters, digits, '_', '.' and '-' that begins with a letter or digit"),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    Option("data", no_log=True, read_from="the secret in memory, by its fingerprint"),
    Option("data_is_b64", type="bool", default=False, compare=NOT_COMPARED),
    Option("path", aliases=("data_src",), parse=values.absolute_path, form="an absolute path such as /etc/app/key",
           compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
)
"""The table."""
