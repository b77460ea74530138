# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_volume_info): each declared here and nowhere else."""

from __future__ import annotations

from .. import values
from ..option import NOT_COMPARED, Option

OPTIONS = (
    Option("name", type="list", elements="str", aliases=("names",), parse=values.name, compare=NOT_COMPARED,
           form="letters, digits, _, ., -"),
    Option("label", type="dict", aliases=("labels",), compare=NOT_COMPARED),
    Option("usage", type="bool", default=True, compare=NOT_COMPARED),
)
"""The table."""
