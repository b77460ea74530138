# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What work under way needs, although no name leads to it yet: a collection leaves it alone.

    leases/NUMBER.json     the digests of blobs and layers that a pull or an import will use
    ingest/...             what is being written, or was broken off

Both belong to whoever has the file locked (flock(2)), so that nothing has to be repaired when its holder dies: an
unlocked lease counts for nothing, and an unlocked part is a leftover. A collection holds the lock of the store's
content while it looks and deletes; leases and parts are begun under the same lock, shared.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import time
from contextlib import contextmanager
from typing import Collection, Iterator, List, NamedTuple, Optional, Set

from ..instance import Instance
from . import files, locks

KEPT = "download-"
"""How the name of a part in C(ingest/) begins that a later run resumes: a collection leaves it for C(KEPT_FOR)."""
KEPT_FOR = 7 * 86400
"""Seconds after its last change for which such a part is left."""
_numbers = itertools.count(1)


class Part(NamedTuple):
    """A leftover in C(ingest/): nobody writes to it.

    Attributes:
        path: A file or a folder.
        size: Bytes on the disk.
        age: Seconds since it was last changed.
    """

    path: str
    size: int
    age: float

    @property
    def resumable(self) -> bool:
        """Whether a later run may go on with it."""
        return os.path.basename(self.path).startswith(KEPT)


@contextmanager
def content(instance: Instance, shared: bool) -> Iterator[None]:
    """Hold the lock of the store's content: shared to add to it unseen by a collection, else to collect."""
    with locks.held(instance, "store", "content", shared=shared):
        yield


@contextmanager
def held(instance: Instance, digests: Collection[str]) -> Iterator[None]:
    """Keep blobs and layers from being collected, whether they are in the store already or come later."""
    folder = instance.state("leases")
    path = os.path.join(folder, "%d-%d.json" % (os.getpid(), next(_numbers)))
    with content(instance, shared=True):
        files.make_folder(folder)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, json.dumps(sorted(digests)).encode())
        except BaseException:
            files.remove(path)
            os.close(handle)
            raise
    try:
        yield
    finally:
        files.remove(path)
        _let_go(handle)


def digests(instance: Instance, tidy: bool = False) -> Set[str]:
    """All that is leased.

    Args:
        tidy: Remove the leases of the dead; the caller holds the lock of the content.
    """
    found: Set[str] = set()
    for path in _listed(instance.state("leases")):
        try:
            handle = _locked(path)
            if handle is None:
                with open(path, "rb") as stream:
                    found.update(json.load(stream))
            else:
                if tidy:
                    files.remove(path)
                _let_go(handle)
        except FileNotFoundError:
            continue  # let go just now
    return found


def claim(instance: Instance, path: str, flags: int) -> int:
    """Create or open a part that nobody else has, and lock it.

    Args:
        path: Below C(ingest/).
        flags: As of open(2), such as O_RDWR and O_CREAT; with O_DIRECTORY a new folder is made.

    Returns: Its descriptor; the part is the caller's until this is closed.
    """
    with content(instance, shared=True):
        if flags & os.O_DIRECTORY:
            os.mkdir(path, 0o700)
        handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        return handle


def leftovers(instance: Instance) -> List[Part]:
    """The parts that nobody writes to. The caller holds the lock of the content, or only wants to know."""
    found = []
    for path in _listed(instance.state("ingest")):
        try:
            handle = _locked(path)
        except FileNotFoundError:
            continue  # finished just now
        if handle is not None:
            age = time.time() - os.fstat(handle).st_mtime
            _let_go(handle)
            found.append(Part(path, files.usage(path), max(0.0, age)))
    return found


def _listed(folder: str) -> List[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except FileNotFoundError:
        return []


def _locked(path: str) -> Optional[int]:
    """The descriptor of a file that is locked from now on, or C(None) where somebody else has it locked."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except BlockingIOError:
        os.close(handle)
        return None


def _let_go(handle: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_UN)  # closing would leave it to a child that was forked meanwhile
    os.close(handle)
