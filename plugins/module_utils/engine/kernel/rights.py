# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are made as those of another user, with the rights of root: setfsuid(2), capabilities(7)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from .syscalls import call

_PR_GET_SECUREBITS = 27
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2


@contextmanager
def files_as(uid: int, gid: int) -> Iterator[None]:
    """Make files as this user and group while the context lasts, and keep all rights.

    A mount that shows its files through the mappings of a user namespace takes new ones only from who is mapped.
    """
    if (uid, gid) == (0, 0):
        yield
        return
    before = call("prctl", _PR_GET_SECUREBITS, 0, 0, 0, 0)
    call("prctl", _PR_SET_SECUREBITS, before | _NO_SETUID_FIXUP, 0, 0, 0)
    try:
        call("setfsgid", gid)
        call("setfsuid", uid)
        yield
    finally:
        call("setfsuid", 0)
        call("setfsgid", 0)
        call("prctl", _PR_SET_SECUREBITS, before, 0, 0, 0)
