# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's end of a container's terminal (C(tty)).

The runtime opens it in the container's own devpts and sends the master; what comes from there is output like any other. A
terminal hangs up when nobody has its master any more, so it goes with its monitor, unlike the FIFOs of a container without one.
Sources: pty(7), ioctl_tty(2).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import Optional, Tuple

_TIOCGPTPEER = 0x5441


def pair(wanted: bool) -> "Tuple[Optional[socket.socket], Optional[socket.socket]]":
    """Where a master is to come, and what the runtime sends it through; neither where there is to be no terminal."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM) if wanted else (None, None)


def receive(link: "socket.socket") -> int:
    """The master that a runtime has sent.

    Raises:
        OSError: It has sent none.
    """
    link.setblocking(False)  # it was sent before the program began
    _name, parts, _flags, _address = link.recvmsg(64, 64, socket.MSG_CMSG_CLOEXEC)
    return int(struct.unpack("i", parts[0][2][:4])[0])


class Terminal:
    """A terminal, or the place for one.

    Attributes:
        master: Its master; -1 where there is none.
        slave: Held open, so that a program that closes its own ends none, as with the FIFOs.
        unsaid: Input that it did not take yet.
    """

    def __init__(self) -> None:
        self.master = self.slave = -1
        self.unsaid = b""

    def begin(self, master: int) -> None:
        """Hold the one of a container that has been started."""
        os.set_blocking(master, False)
        self.master = master
        self.slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def type(self, content: bytes) -> None:
        """Pass input on, as much as it takes now; without a terminal nobody reads it."""
        self.unsaid += content
        try:
            while self.unsaid and self.master >= 0:
                self.unsaid = self.unsaid[os.write(self.master, self.unsaid):]
        except BlockingIOError:
            return
        self.unsaid = b""

    def end(self) -> None:
        """The container has ended."""
        if self.master >= 0:
            os.close(self.master)
            os.close(self.slave)
        self.master = self.slave = -1
        self.unsaid = b""
