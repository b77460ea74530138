# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Integration tests run as root, on the real kernel, inside test hosts, and leave nothing."""

from __future__ import annotations

from rooted import nothing_left, pytest_collection_modifyitems  # noqa: F401
