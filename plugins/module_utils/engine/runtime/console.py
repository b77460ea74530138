# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's terminal: a pseudo-terminal of its own devpts, whose master goes to the caller.

Both ends come from one open of the ptmx beneath the container's root, the
second by TIOCGPTPEER: no name in the container's /dev/pts is ever followed.
Sources: ioctl_tty(2), pty(7), runtime-spec config.md, Process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Tuple

from ..kernel import mounts, paths
from . import places

if TYPE_CHECKING:
    import socket

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_SOL_SOCKET, _SCM_RIGHTS = 1, 1
_PTMX = os.makedev(5, 2)


class Terminal(NamedTuple):
    """The two ends of a pseudo-terminal."""

    master: int
    slave: int


def make(root: int, process: Dict[str, Any]) -> Terminal:
    """Open a new pseudo-terminal of the devpts that is mounted at /dev/pts beneath a root.

    Raises:
        KernelError, OSError: There is none.
    """
    master = paths.open_beneath(root, "dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        status = os.fstat(master)
        if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _PTMX:
            raise OSError(errno.ENODEV, "is no pseudo-terminal multiplexer", "/dev/pts/ptmx")
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        size = process.get("consoleSize") or {}
        if size.get("height") and size.get("width"):
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", min(size["height"], 65535),
                                                                min(size["width"], 65535), 0, 0))
    except BaseException:
        os.close(master)
        raise
    return Terminal(master, slave)


def show(root: paths.Root, terminal: Terminal) -> None:
    """Let /dev/console beneath the root be the container's terminal."""
    tree = mounts.open_tree("", terminal.slave, clone=True)
    try:
        places.attach(root, "/dev/console", tree, folder=False, mode=0o600)
    finally:
        os.close(tree)


def hand_out(link: "socket.socket", terminal: Terminal) -> None:
    """Send the master through a UNIX socket, with its name as runc sends it, and keep none.

    Whoever listens at a path is an engine, which sets the terminal as it wants it. A socket without a name belongs to a
    caller who shows what comes on its own terminal, or in a file, which want no carriage returns at the ends of lines.
    """
    if not link.getpeername():
        attributes = termios.tcgetattr(terminal.master)
        attributes[1] &= ~termios.ONLCR
        termios.tcsetattr(terminal.master, termios.TCSANOW, attributes)
    link.sendmsg([b"/dev/ptmx"], [(_SOL_SOCKET, _SCM_RIGHTS, struct.pack("i", terminal.master))])
    os.close(terminal.master)
    link.close()


def send(path: str, name: bytes, handle: int) -> None:
    """Send a descriptor to whoever listens on a UNIX socket.

    Raises:
        OSError: Nobody does.
    """
    link = connect(path)
    try:
        link.sendmsg([name], [(_SOL_SOCKET, _SCM_RIGHTS, struct.pack("i", handle))])
    finally:
        link.close()


def control(terminal: Terminal) -> None:
    """Make it the controlling terminal of the session that the caller leads."""
    fcntl.ioctl(terminal.slave, termios.TIOCSCTTY, 0)


def connect(path: str) -> "socket.socket":
    """A connection to the socket that is to get the master.

    Raises:
        OSError: Nobody listens there.
    """
    import socket  # pylint: disable=import-outside-toplevel,redefined-outer-name
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link.connect("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))  # a long path would not fit
    except BaseException:
        link.close()
        raise
    finally:
        os.close(folder)
    return link


def listen(folder: int) -> "Tuple[socket.socket, str]":
    """A socket in a folder that another program may send a terminal to, and its path for as long as the descriptor is open.

    The path is that of the descriptor, so that it fits, wherever the folder is (unix(7): 108 bytes).
    """
    import socket  # pylint: disable=import-outside-toplevel,redefined-outer-name
    place = "/proc/%d/fd/%d/terminal" % (os.getpid(), folder)
    waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    waiting.bind(place)
    waiting.listen(1)
    return waiting, place


def relay(waiting: "socket.socket", link: "socket.socket") -> None:
    """Hand out the terminal that another program has sent.

    Raises:
        OSError: It has sent none.
    """
    waiting.setblocking(False)  # whoever was to send it has ended by now
    with waiting.accept()[0] as given:
        _name, parts, _flags, _address = given.recvmsg(4096, 64)
    masters = [struct.unpack("i", content[:4])[0] for _level, kind, content in parts if kind == _SCM_RIGHTS]
    if not masters:
        raise OSError(errno.ENOTTY, "sent no terminal", "the runtime")
    hand_out(link, Terminal(masters[0], -1))
