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
from .syscalls import call, number

PIDFD = 0x00001000
PARENT = 0x00008000
INTO_CGROUP = 0x200000000
SIGCHLD = 17
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


def clone(flags: int = 0, cgroup: Optional[int] = None, alone: bool = False) -> Child:
    """Make a child process; returns twice, as fork(2) does.

    A process with other threads first forks by way of the C library, which sees to it that no lock of its allocator
    stays taken, and the fork, which has one thread, makes the child with CLONE_PARENT: it is the caller's own.

    Args:
        flags: CLONE_NEW* and C(PARENT); CLONE_PIDFD is added.
        cgroup: Descriptor of a cgroup v2 folder in which the child is to begin.
        alone: Whether the caller is known to have one thread, so that /proc is not asked: it may be a container's.

    Raises:
        KernelError: EPERM, EINVAL for a namespace that the kernel lacks, EAGAIN, ...
    """
    if not flags & PARENT and not alone and os.stat("/proc/self/task").st_nlink > 3:  # its links are . and .. and one for each thread
        return _from_one_thread(flags, cgroup)
    pidfd = ctypes.c_int(-1)
    flags |= PIDFD | (INTO_CGROUP if cgroup is not None else 0)
    # CLONE_PARENT takes the exit signal of the caller and refuses one of its own.
    exit_signal = 0 if flags & PARENT else SIGCHLD
    arguments = struct.pack("<11Q", flags, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, cgroup or 0)
    clone3 = ctypes.c_long(number("clone3"))
    size = ctypes.c_size_t(_SIZE)
    _before()
    pid = _syscall(clone3, arguments, size)
    if pid == 0:
        _after_child()
        return Child(0, -1)
    failure = ctypes.get_errno()
    _after_parent()
    if pid < 0:
        raise KernelError("clone3", failure, "flags %#x" % flags)
    return Child(pid, pidfd.value)


def _from_one_thread(flags: int, cgroup: Optional[int]) -> Child:
    telling, told = os.pipe2(os.O_CLOEXEC)
    waiting, release = os.pipe2(os.O_CLOEXEC)
    between = os.fork()
    if between == 0:
        os.close(telling)
        os.close(release)
        answer = 0
        try:
            made = clone(flags | PARENT, cgroup)
            if made.pid == 0:
                os.close(told)
                os.close(waiting)
                return made
            answer = made.pidfd
        except KernelError as error:
            answer = -error.errno
        os.write(told, struct.pack("i", answer))
        os.read(waiting, 1)  # till the pidfd has been fetched
        os._exit(0)
    os.close(told)
    os.close(waiting)
    try:
        word = os.read(telling, 4)
        answer = struct.unpack("i", word)[0] if len(word) == 4 else -5  # EIO: it ended without a word
        pidfd = _fetch(between, answer) if answer >= 0 else -1
    finally:
        os.close(telling)
        os.close(release)
        os.waitpid(between, 0)
    if answer < 0:
        raise KernelError("clone3", -answer, "flags %#x" % flags)
    return Child(_number_of(pidfd), pidfd)


def _fetch(pid: int, handle: int) -> int:
    """A copy of another process's descriptor (pidfd_getfd(2))."""
    pidfd = os.pidfd_open(pid)
    try:
        return call("pidfd_getfd", pidfd, handle, 0)
    finally:
        os.close(pidfd)


def _number_of(pidfd: int) -> int:
    """The number of a pidfd's process in this PID namespace, whichever the process was born into."""
    with open("/proc/self/fdinfo/%d" % pidfd, "rb") as stream:
        for line in stream:
            if line.startswith(b"Pid:"):
                return int(line.split()[1])
    raise KernelError("pidfd", 3, str(pidfd))


def close_from(first: int, only_on_exec: bool = False, last: int = 0xFFFFFFFF) -> None:
    """Close all descriptors from a number on, or mark them to be closed by the next execve (close_range(2))."""
    if first > last:
        return
    result = _syscall(ctypes.c_long(number("close_range")), ctypes.c_uint(first), ctypes.c_uint(last),
                      ctypes.c_uint(4 if only_on_exec else 0))
    if result < 0:
        raise KernelError("close_range", ctypes.get_errno(), os.strerror(ctypes.get_errno()))
