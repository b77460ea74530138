# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of files and folders outside of the store, remembered for as long as nothing in them has changed.

As git does with its index: a note holds what stat(2) said about every file, and
the digest that was computed then. Where all of it is still the same, the digest
is too; else everything is read again.
"""

from __future__ import annotations

import hashlib
import os
from typing import Callable, Collection, List, Optional

from ..instance import Instance
from . import files

_RACY = 2000000000
"""A file that changed so shortly before it was looked at may change again unseen; nanoseconds."""


def recall(instance: Instance, purpose: str, path: str) -> Optional[str]:
    """The digest that was noted for a path, if nothing there has changed since."""
    note = files.read_json(_place(instance, purpose, path))
    if note and note["seen"] == fingerprint(path, note["at"]):
        return str(note["digest"])
    return None


def remember(instance: Instance, purpose: str, path: str, seen: Optional[str], at: int, digest: str) -> None:
    """Note a digest.

    Args:
        purpose: What kind of digest it is.
        seen: C(fingerprint) of the path before it was read; with C(None) nothing is noted.
        at: When that was, in nanoseconds since the epoch.
    """
    if seen is not None:
        files.make_folder(instance.state("sources"))
        files.write_json(_place(instance, purpose, path), {"path": path, "seen": seen, "at": at, "digest": digest})


def fingerprint(path: str, at: int) -> Optional[str]:
    """What tells whether anything at or below a path has changed, or C(None) where something changed just before.

    Args:
        at: Nanoseconds since the epoch.
    """
    found = hashlib.sha256()
    newest = 0

    def note(name: bytes, status: os.stat_result) -> None:
        nonlocal newest
        newest = max(newest, status.st_ctime_ns)
        found.update(b"%s\0%o %d %d %d %d %d %d %d %d\n" % (
            name, status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns,
            status.st_ctime_ns, status.st_ino, status.st_nlink, status.st_rdev))
    note(b"", os.stat(path))
    if os.path.isdir(path):
        queue: List[bytes] = [os.fsencode(path)]
        while queue:
            with os.scandir(queue.pop()) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                note(entry.path, entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)
    return found.hexdigest() if newest + _RACY < at else None


def forget_all_but(instance: Instance, digests: Collection[str]) -> None:
    """Drop the notes of digests that nothing in the store has any more."""
    folder = instance.state("sources")
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            note = files.read_json(path)
            if not note or note["digest"] not in digests:
                files.remove(path)


def recalled_or(instance: Instance, purpose: str, path: str, compute: Callable[[], str]) -> str:
    """The noted digest, or the computed one."""
    return recall(instance, purpose, path) or compute()


def _place(instance: Instance, purpose: str, path: str) -> str:
    name = hashlib.sha256(b"%s\0%s" % (purpose.encode(), os.fsencode(os.path.realpath(path)))).hexdigest()[:32]
    return instance.state("sources", name + ".json")
