# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A first process that does what PID 1 has to do: reap orphans, pass signals on, end as the program ended.

It is the interpreter that made the container, so it is only safe with an
interpreter whose executable is sealed (C(seal.py)); it is not dumpable, has the
program's own user, capabilities and system call filter, and holds no descriptor
of the host.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, Any, Optional

from ..kernel import processes

if TYPE_CHECKING:
    from .child import Plan

_KEPT = frozenset((signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE,
                   signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGTTIN, signal.SIGTTOU))


def wipe_traces(proc: int) -> None:
    """Overwrite the host's command line and environment in this process's memory: /proc/1 would show them.

    Args:
        proc: Descriptor of the host's /proc.
    """
    handle = os.open("self/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        fields = os.read(handle, 4096).rpartition(b")")[2].split()
    finally:
        os.close(handle)
    # proc_pid_stat(5): arg_start, arg_end, env_start, env_end are fields 48 to 51; after the name the third comes first.
    title = b"coracle-init"
    first, last, environment, end = (int(fields[number - 3]) for number in (48, 49, 50, 51))
    if 0 < first < last:
        ctypes.memset(first, 0, last - first)
        ctypes.memmove(first, title, min(len(title), last - first - 1))
    if 0 < environment < end:
        ctypes.memset(environment, 0, end - environment)
    processes.set_name("coracle-init")


def stay(plan: "Plan", syscall_filter: Optional[Any]) -> None:
    """Fork: return in the child, which goes on to be the program; the parent stays and never returns.

    Args:
        syscall_filter: What is not in force yet; the parent is under it from here on, as the program is from its execve(2).
    """
    ready, held = os.pipe2(os.O_CLOEXEC)
    waited = frozenset(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP}
    signal.pthread_sigmask(signal.SIG_SETMASK, waited & signal.valid_signals())
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)
        _take_terminal()
        os.close(held)
        os.read(ready, 1)  # the end of it: the parent is held as the program will be
        os.close(ready)
        return
    for handle in (ready, plan.report, plan.go, plan.start, plan.result, *range(3, 3 + plan.preserved)):
        try:
            if handle is not None:
                os.close(handle)
        except OSError:
            pass
    processes.set_dumpable(False)
    if syscall_filter is not None:
        syscall_filter.install()
    os.close(held)
    _attend(child)


def _take_terminal() -> None:
    """Where there is a terminal, the program becomes its foreground group."""
    if os.isatty(0):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(0, os.getpgrp())
        except OSError:
            pass
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _attend(child: int) -> None:
    waited = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    while True:
        number = int(signal.sigwait(waited))
        if number not in _KEPT:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass
        if number != signal.SIGCHLD:
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == child:
                os._exit(128 + (status & 0x7F) if status & 0x7F else status >> 8)
