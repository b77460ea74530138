# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a growing file to the disk while more comes, so that fsync(2) at its end waits for little."""

from __future__ import annotations

import ctypes

from .syscalls import libc

_STEP = 8 << 20
_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, do not wait

libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong, ctypes.c_uint]


class Writeback:
    """The disk's part in writing one file; nothing but time depends on it.

    Args:
        handle: The file's descriptor.
        size: Bytes that are there already.
    """

    def __init__(self, handle: int, size: int = 0) -> None:
        self._handle = handle
        self._begun = size

    def reached(self, size: int) -> None:
        """Say how long the file is now; what it lacks on the disk is begun when there is enough of it (sync_file_range(2))."""
        if size - self._begun >= _STEP:
            libc.sync_file_range(self._handle, self._begun, size - self._begun, _WRITE)
            self._begun = size
