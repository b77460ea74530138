# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told that files of a folder were written to, replaced or removed (inotify(7))."""

from __future__ import annotations

import ctypes
import os

from ..errors import KernelError
from .syscalls import libc

MODIFY, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x2, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800


def watch(folder: str, written: bool = False) -> int:
    """A non-blocking descriptor that becomes readable when a name in a folder goes or stands for another file.

    Args:
        written: Also when a name comes, or a file in the folder is written to.

    Raises:
        KernelError: There is no such folder, or the user has too many descriptors of this kind.
    """
    handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        raise KernelError("inotify_init1", ctypes.get_errno(), folder)
    events = (MODIFY | CREATE if written else 0) | MOVED_FROM | MOVED_TO | DELETE | DELETE_SELF | MOVE_SELF
    if libc.inotify_add_watch(handle, os.fsencode(folder), events) < 0:
        number = ctypes.get_errno()
        os.close(handle)
        raise KernelError("inotify_add_watch", number, folder)
    return int(handle)


def drain(handle: int) -> bool:
    """Take what has been told so far; whether there was anything."""
    told = False
    while True:
        try:
            told = bool(os.read(handle, 65536)) or told
        except BlockingIOError:
            return told
