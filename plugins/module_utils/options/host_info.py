# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_host_info): each declared here and nowhere else."""

from __future__ import annotations

from ..option import NOT_COMPARED, Option

OPTIONS = (
    Option("disk", aliases=("disk_usage",), type="bool", default=True, compare=NOT_COMPARED),
)
"""The table."""
