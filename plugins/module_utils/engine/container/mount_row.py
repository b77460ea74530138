# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts that are not written as entries of C(mounts): complete ones, so that they compare as those do."""

from __future__ import annotations

from typing import Any, Dict, Optional


def complete(kind: str, source: Optional[str], target: str, **said: Any) -> Dict[str, Any]:
    """An entry of C(mounts) with each of its keys; those that are not said have their defaults.

    Args:
        kind: C(bind), C(tmpfs) or C(volume).
        source: A path of the host, or a volume's name; C(None) for a tmpfs, and a volume without a name.
        said: Further keys of an entry.
    """
    return {"type": kind, "source": source, "target": target, "read_only": False, "options": None, "propagation": None, "size": None,
            "mode": None, "uid": None, "gid": None, "no_copy": False, "create_host_path": False, **said}
