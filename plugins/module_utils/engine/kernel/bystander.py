# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that only stands for new namespaces (clone(2) with CLONE_VM)."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import contextmanager
from typing import Iterator

from ..errors import KernelError
from . import signals
from .clone import SIGCHLD

_VM = 0x00000100
_STACK = 64 << 10

_libc = ctypes.CDLL(None, use_errno=True)
_clone = _libc.clone
_clone.restype = ctypes.c_int
_clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
_pause = ctypes.cast(_libc.pause, ctypes.c_void_p)


@contextmanager
def bystander(flags: int) -> Iterator[int]:
    """The number of a process that only stands for new namespaces while the context lasts.

    It shares this process's memory and does nothing but wait in pause(2): no Python runs in it, and with no page
    table to copy it costs a tenth of a fork.

    Args:
        flags: CLONE_NEW*; not NEWPID, whose first process it would be.

    Raises:
        KernelError: As C(clone).
    """
    stack = ctypes.create_string_buffer(_STACK)
    top = (ctypes.addressof(stack) + _STACK) & ~0xF
    with signals.Blocked():  # no handler of ours shall run on that stack
        pid = _clone(_pause, top, _VM | flags | SIGCHLD, None)
        failure = ctypes.get_errno()
    if pid < 0:
        raise KernelError("clone", failure, "flags %#x" % flags)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
