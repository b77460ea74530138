# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One write to a controller's file, as data."""

from __future__ import annotations

from typing import NamedTuple


class Write(NamedTuple):
    """One write.

    Attributes:
        controller: By its v2 name; says in which hierarchy the file is.
        file: The file's name in the group's folder.
        value: What is written.
        field: The field of the limits that it serves, for errors.
        optional: Left out where the kernel has no such file.
    """

    controller: str
    file: str
    value: str
    field: str
    optional: bool = False
