# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""state: what a container is now, as runtime-spec runtime.md defines it."""

from __future__ import annotations

from typing import Any, Dict

from . import record


def state(state_dir: str) -> Dict[str, Any]:
    """The state of a container, its status read from the kernel.

    Raises:
        NotFound: There is no such container.
    """
    kept = record.load(state_dir)
    return record.document(kept, record.status(state_dir, kept))
