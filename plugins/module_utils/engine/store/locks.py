# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock per object, held by the kernel for as long as the process lives.

C(flock) vanishes with its holder, so there is no stale lock to repair. Order:
a container's lock before a network's, a network's before the store's; whoever
takes two takes them in this order.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import Iterator

from ..instance import Instance
from . import files


@contextmanager
def held(instance: Instance, kind: str, name: str, shared: bool = False) -> Iterator[int]:
    """Hold the lock of one object; wait for it where another process has it.

    Args:
        instance: Whose object.
        kind: C(container), C(network), C(layer), C(image), C(cgroup), C(netns), C(store).
        name: The object's name; any text.
        shared: Whether other shared holders are let in beside this one.

    Yields: The descriptor of the lock's file, in which its holders may leave one another a note.
    """
    handle = _open(instance, kind, name)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield handle
    finally:
        _let_go(handle)


@contextmanager
def tried(instance: Instance, kind: str, name: str) -> Iterator[bool]:
    """Hold the lock of one object unless another process has it; yields whether it is held."""
    handle = _open(instance, kind, name)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        _let_go(handle)


def _open(instance: Instance, kind: str, name: str) -> int:
    folder = instance.run("locks")
    files.make_folder(instance.run_root)
    files.make_folder(folder)
    return os.open(os.path.join(folder, _file_name(kind, name)),
                   os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _let_go(handle: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_UN)  # closing would leave it to a child that was forked meanwhile
    os.close(handle)


def _file_name(kind: str, name: str) -> str:
    """Different for different names; as long as a file name may be (NAME_MAX of limits.h is 255 bytes)."""
    plain = "%s-%s" % (kind, name.replace("%", "%25").replace("/", "%2F"))
    if len(os.fsencode(plain)) <= 200:
        return plain
    return "%s-%%%s" % (kind, hashlib.sha256(os.fsencode(name)).hexdigest())
