# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes named without the danger of a recycled number: pidfds and start times.

Sources: pidfd_open(2), pidfd_send_signal(2), ioctl_pidfd(2), proc_pid_stat(5), prctl(2).
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from typing import Callable, NamedTuple, Optional, Tuple

from .syscalls import call, libc, try_call

_PIDFD_GET_INFO = 0xC050FF0B  # _IOWR(0xFF, 11, struct pidfd_info of 80 bytes)
_PIDFD_INFO_EXIT = 1 << 3
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NAME = 15
_PR_SET_DUMPABLE = 4


class Process(NamedTuple):
    """A process for as long as the host is up: its number and when it started.

    Attributes:
        pid: In the PID namespace of the reader.
        start_time: Clock ticks since boot (proc_pid_stat(5), field 22).
    """

    pid: int
    start_time: int


def start_time(pid: int) -> Optional[int]:
    """When a process started, in clock ticks since boot; C(None) where there is none or it is a zombie."""
    try:
        handle = os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(handle, 4096).rpartition(b")")[2].split()
        finally:
            os.close(handle)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def identify(pid: int) -> Optional[Process]:
    """The process that has this number now, if it lives."""
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def alive(process: Process) -> bool:
    """Whether exactly this process lives."""
    return start_time(process.pid) == process.start_time


def age(process: Process) -> float:
    """Seconds since a process was started, those in which the host was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_time / os.sysconf("SC_CLK_TCK")


def open_pidfd(process: Process) -> Optional[int]:
    """A descriptor that stands for exactly this process, or C(None) if it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if alive(process):
        return handle
    os.close(handle)
    return None


def send_signal(pidfd: int, signal_number: int) -> bool:
    """Signal the process of a pidfd; say whether it was still there."""
    result = try_call("pidfd_send_signal", pidfd, signal_number, None, 0)
    if result == -3:  # ESRCH
        return False
    if result < 0:
        call("pidfd_send_signal", pidfd, signal_number, None, 0)
    return True


def wait(pidfd: int, seconds: Optional[float]) -> bool:
    """Wait until the process of a pidfd has ended; say whether it has."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(None if seconds is None else max(0, int(seconds * 1000))))


def exit_status(pidfd: int) -> Optional[int]:
    """The wait status of an ended and reaped process, also for a stranger; C(None) below Linux 6.15.

    Returns: As waitpid(2) gives it; see C(os.waitstatus_to_exitcode).
    """
    record = bytearray(80)
    struct.pack_into("<Q", record, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, record, True)
    except OSError:
        return None
    mask = struct.unpack_from("<Q", record, 0)[0]
    return int(struct.unpack_from("<i", record, 60)[0]) if mask & _PIDFD_INFO_EXIT else None


def set_subreaper(on: bool) -> None:
    """Whether to adopt descendants whose parent dies (PR_SET_CHILD_SUBREAPER); a fork does not inherit it."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)  # what the wrapper's objects of ctypes take, each monitor would keep


def set_name(name: str) -> None:
    """The name that ps shows in its comm column; cut to 15 bytes (PR_SET_NAME)."""
    call("prctl", _PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0)


def rename(name: str) -> None:
    """The same without a call of C, which would make two hundred kilobytes of memory this process's own."""
    handle = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(handle, name.encode()[:15])
    os.close(handle)


def set_dumpable(on: bool) -> None:
    """Whether others of the same user may look into this process (PR_SET_DUMPABLE)."""
    call("prctl", _PR_SET_DUMPABLE, int(on), 0, 0, 0)


def forked(work: Callable[[], bytes]) -> Tuple[int, int]:
    """Do some work in a fork of this process, which ends with it; its number, and the end of a pipe that gives what the work returns.

    Where that fails the pipe gives nothing. The caller reads, closes the pipe and reaps the child.
    """
    back, out = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        os.close(out)
        return pid, back
    try:
        os.close(back)
        view = memoryview(work())
        while view:
            view = view[os.write(out, view):]
    finally:
        os._exit(0)
