# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Staying with a container in the foreground: its signals, its terminal, its exit status."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
from typing import Any, List, Optional

from ..kernel import processes

_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
              signal.SIGTERM, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)


class Terminal:
    """The container's terminal, shown on the caller's own."""

    def __init__(self) -> None:
        import socket  # pylint: disable=import-outside-toplevel
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.master = -1
        self.before: Optional[List[Any]] = None

    def begin(self) -> None:
        """Take the master and make the caller's terminal raw."""
        import termios  # pylint: disable=import-outside-toplevel
        self.theirs.close()
        _data, ancillary, _flags, _address = self.ours.recvmsg(64, 64)
        self.ours.close()
        self.master = struct.unpack("i", ancillary[0][2][:4])[0]
        os.set_inheritable(self.master, False)
        self.resize()
        if os.isatty(0):
            self.before = termios.tcgetattr(0)
            import tty  # pylint: disable=import-outside-toplevel
            tty.setraw(0)
            attributes = termios.tcgetattr(0)
            attributes[1] |= termios.OPOST  # it shows the ends of lines: the container's own terminal is told not to
            termios.tcsetattr(0, termios.TCSADRAIN, attributes)

    def resize(self) -> None:
        """Give it the size of the caller's."""
        import termios  # pylint: disable=import-outside-toplevel
        if os.isatty(0):
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def end(self) -> None:
        """Give the caller's terminal back as it was."""
        import termios  # pylint: disable=import-outside-toplevel
        if self.before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self.before)
        if self.master >= 0:
            os.close(self.master)


def attend(pid: int, pidfd: int, terminal: Optional[Terminal] = None) -> int:
    """Pass signals and keys on until the process ends; its exit status as a shell gives it."""
    pending: List[int] = []
    wake, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda got, _frame: pending.append(got)) for number in _FORWARDED}
    old = signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    try:
        if terminal is not None:
            terminal.begin()
        _loop(pidfd, terminal, wake, pending)
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        if terminal is not None:
            terminal.end()
        os.close(wake)
        os.close(signalled)
    _pid, status = os.waitpid(pid, 0)
    os.close(pidfd)
    return 128 + (status & 0x7F) if status & 0x7F else status >> 8


def _loop(pidfd: int, terminal: Optional[Terminal], wake: int, pending: List[int]) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.register(wake, select.POLLIN)
    if terminal is not None:
        poller.register(terminal.master, select.POLLIN)
        poller.register(0, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        if wake in ready:
            os.read(wake, 4096)
            while pending:
                number = pending.pop(0)
                if terminal is not None and number == signal.SIGWINCH:
                    terminal.resize()
                else:
                    processes.send_signal(pidfd, number)
        if terminal is not None:
            if terminal.master in ready and not _copy(terminal.master, 1):
                poller.unregister(terminal.master)
            if 0 in ready and not _copy(0, terminal.master):
                poller.unregister(0)
                os.write(terminal.master, b"\x04")  # the end of the caller's input is the end of the terminal's
        if pidfd in ready:
            while terminal is not None and _more(terminal.master) and _copy(terminal.master, 1):
                pass
            return


def _more(handle: int) -> bool:
    return bool(select.select([handle], [], [], 0)[0])


def _copy(source: int, target: int) -> bool:
    """Pass on what is there; say whether there can be more."""
    try:
        content = os.read(source, 65536)
    except OSError:  # EIO: the last holder of the other end is gone
        return False
    view = memoryview(content)
    while view:
        view = view[os.write(target, view):]
    return bool(content)
