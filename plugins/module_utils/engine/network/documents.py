# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files that one process reads many times: read again only when they were replaced.

A network's members are read at each step that follows from them; with 200 of them the reading is what takes time.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..store import files

_known: Dict[str, Tuple[Tuple[int, int, int], Any]] = {}
"""By path: inode, size and time of change in nanoseconds, and the value."""


def read(path: str, build: Callable[[Any], Any]) -> Optional[Any]:
    """What C(build) makes of a file's JSON; C(None) where there is none, or where a power cut has spoilt it.

    Args:
        build: Raises ValueError, KeyError, TypeError or AttributeError for a document that does not do.
    """
    try:
        status = os.stat(path)
    except OSError:
        _known.pop(path, None)
        return None
    mark = (status.st_ino, status.st_size, status.st_ctime_ns)
    known = _known.get(path)
    if known is not None and known[0] == mark:
        return known[1]
    try:
        document = files.read_json(path)
        value = None if document is None else build(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        value = None
    _known[path] = (mark, value)
    return value


def forget(path: str) -> None:
    """Read a file again the next time, whatever its marks say; for who has written it."""
    _known.pop(path, None)


def each(folder: str, build: Callable[[Any], Any]) -> List[Any]:
    """The values of all JSON files in a folder, by name."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    found = [read(folder + "/" + name, build) for name in names
             if name.endswith(".json") and not name.startswith(files.TEMPORARY)]
    return [value for value in found if value is not None]
