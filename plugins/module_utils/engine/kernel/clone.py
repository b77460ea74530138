# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clone3(2) from Python: new namespaces, a pidfd and a cgroup in one step.

The interpreter is told before and after, as its own C(os.fork) does: without
C(PyOS_BeforeFork) the child of a 3.13 interpreter aborts. The call keeps the
GIL, so that no other thread runs between the two.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple, Optional

from ..errors import KernelError
from .syscalls import number

PIDFD = 0x00001000
PARENT = 0x00008000
INTO_CGROUP = 0x200000000
_SIGCHLD = 17
_SIZE = 88  # struct clone_args up to and with cgroup (CLONE_ARGS_SIZE_VER2)

_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_before = ctypes.pythonapi.PyOS_BeforeFork
_after_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _each in (_before, _after_parent, _after_child):
    _each.restype = None


class Child(NamedTuple):
    """What clone3(2) returned.

    Attributes:
        pid: 0 in the child itself.
        pidfd: A descriptor (CLOEXEC) that stands for the child; -1 in the child itself.
    """

    pid: int
    pidfd: int


def clone(flags: int = 0, cgroup: Optional[int] = None) -> Child:
    """Make a child process; returns twice, as fork(2) does.

    Args:
        flags: CLONE_NEW* and C(PARENT); CLONE_PIDFD is added.
        cgroup: Descriptor of a cgroup v2 folder in which the child is to begin.

    Raises:
        KernelError: EPERM, EINVAL for a namespace that the kernel lacks, EAGAIN, ...
    """
    pidfd = ctypes.c_int(-1)
    flags |= PIDFD | (INTO_CGROUP if cgroup is not None else 0)
    # CLONE_PARENT takes the exit signal of the caller and refuses one of its own.
    exit_signal = 0 if flags & PARENT else _SIGCHLD
    arguments = struct.pack("<11Q", flags, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, cgroup or 0)
    call = ctypes.c_long(number("clone3"))
    size = ctypes.c_size_t(_SIZE)
    _before()
    pid = _syscall(call, arguments, size)
    if pid == 0:
        _after_child()
        return Child(0, -1)
    failure = ctypes.get_errno()
    _after_parent()
    if pid < 0:
        raise KernelError("clone3", failure, "flags %#x" % flags)
    return Child(pid, pidfd.value)


def close_from(first: int, only_on_exec: bool = False, last: int = 0xFFFFFFFF) -> None:
    """Close all descriptors from a number on, or mark them to be closed by the next execve (close_range(2))."""
    if first > last:
        return
    result = _syscall(ctypes.c_long(number("close_range")), ctypes.c_uint(first), ctypes.c_uint(last),
                      ctypes.c_uint(4 if only_on_exec else 0))
    if result < 0:
        raise KernelError("close_range", ctypes.get_errno(), os.strerror(ctypes.get_errno()))
