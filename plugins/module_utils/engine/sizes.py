# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of bytes as people read them."""

from __future__ import annotations

from typing import Optional


def human_size(number: Optional[int]) -> str:
    """C(512.0 MiB) and the like, for tables and messages."""
    if number is None or number < 0:
        return "unlimited"
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return "%d B" % number if unit == "B" else "%.1f %s" % (amount, unit)
