# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files that one process reads many times: read again only when they were replaced.

A network's members are read at each step that follows from them; with 200 of them the reading is what takes time. So what was read is
kept: as long as inode, size and time of change of the file are the same, or, while the lock of the networks is held, as long as the
mark in the lock's file is the one that this process has left or found there: then nobody else has changed anything since.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from ..store import files
from ..store.documents import decode

_known: Dict[str, Tuple[Tuple[int, int, int], Any]] = {}
"""By path: inode, size and time of change in nanoseconds, and the value."""
_marks: Dict[str, bytes] = {}
"""By root: the mark under which C(_fresh) and C(_folders) were read."""
_fresh: Set[str] = set()
"""Paths that need no look at the file while the lock is held."""
_folders: Dict[str, Dict[str, Any]] = {}
"""The values of folders by the names of their files, likewise."""
_held: List[str] = []
"""The roots whose lock is held."""


@contextmanager
def trusted(root: str, seen: bytes, mark: bytes) -> Iterator[None]:
    """While the lock of a root is held: go on with what was read under the mark that is found there, and leave another.

    Args:
        seen: The mark found; without one nothing is trusted.
        mark: The mark left; the same by whoever only reads.
    """
    if not seen or _marks.get(root) != seen:
        _fresh.clear()
        _folders.clear()
        _marks.clear()
    _marks[root] = mark
    _held.append(root)
    try:
        yield
    finally:
        _held.remove(root)


def read(path: str, build: Callable[[Any], Any]) -> Optional[Any]:
    """What C(build) makes of a file's JSON; C(None) where there is none, or where a power cut has spoilt it.

    Args:
        build: Raises ValueError, KeyError, TypeError or AttributeError for a document that does not do.
    """
    if _held and path in _fresh:
        known = _known.get(path)
        return known[1] if known is not None else None
    try:
        status = os.stat(path)
    except OSError:
        _known.pop(path, None)
        _keep(path)
        return None
    mark = (status.st_ino, status.st_size, status.st_ctime_ns)
    known = _known.get(path)
    if known is None or known[0] != mark:
        try:
            document = files.read_json(path)
            value = None if document is None else build(document)
        except (ValueError, KeyError, TypeError, AttributeError):
            value = None
        known = _known[path] = (mark, value)
    _keep(path)
    return known[1]


def write(path: str, document: Any, build: Callable[[Any], Any]) -> None:
    """Replace a file, not waiting for the disk, and know what is in it from now on, where the lock is held."""
    content = files.encode_json(document)
    files.write(path, content, 0o600, durable=False)
    if not (_held and path.startswith(_held[-1] + "/")):
        forget(path)
        return
    value = build(decode(content.decode("utf-8", "surrogateescape")))  # just what a reader would have
    status = os.stat(path)
    _known[path] = ((status.st_ino, status.st_size, status.st_ctime_ns), value)
    _fresh.add(path)
    folder, name = os.path.split(path)
    others = _folders.get(folder)
    if others is not None:
        fresh = name not in others
        others[name] = value
        if fresh:
            _folders[folder] = {each: others[each] for each in sorted(others)}


def forget(path: str) -> None:
    """Read a file again the next time, whatever its marks say; for who has written or removed it."""
    _known.pop(path, None)
    _fresh.discard(path)
    _folders.pop(os.path.dirname(path), None)


def each(folder: str, build: Callable[[Any], Any]) -> List[Any]:
    """The values of all JSON files in a folder, by name."""
    if _held and folder in _folders:
        return list(_folders[folder].values())
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    several = {name: read(folder + "/" + name, build) for name in names
               if name.endswith(".json") and not name.startswith(files.TEMPORARY)}
    found = {name: value for name, value in several.items() if value is not None}
    if _held and folder.startswith(_held[-1] + "/"):
        _folders[folder] = found
    return list(found.values())


def _keep(path: str) -> None:
    if _held and path.startswith(_held[-1] + "/"):
        _fresh.add(path)
