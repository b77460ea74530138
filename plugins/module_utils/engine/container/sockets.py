# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unix sockets by folder descriptor, so that no path is too long for them (unix(7): 108 bytes)."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional

from ..store import documents

LIMIT = 1 << 16
"""The longest message, in bytes."""


@contextmanager
def _short(path: str) -> Iterator[str]:
    folder, name = os.path.split(path)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield "/proc/self/fd/%d/%s" % (handle, name)
    finally:
        os.close(handle)


def listen(path: str) -> socket.socket:
    """A listening socket at a path (replacing what is there), for root alone."""
    listener = _bound(path, socket.SOCK_SEQPACKET, 0o600)
    listener.listen(64)
    return listener


def bind_datagram(path: str, mode: int) -> socket.socket:
    """A socket at a path (replacing what is there), to which whoever may write there can send."""
    return _bound(path, socket.SOCK_DGRAM, mode)


def _bound(path: str, kind: int, mode: int) -> socket.socket:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    made = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    with _short(path) as short:
        before = os.umask(0o777 & ~mode)
        try:
            made.bind(short)
        finally:
            os.umask(before)
    return made


def connect(path: str) -> Optional[socket.socket]:
    """A connection to whoever listens at a path, or C(None) where nobody does."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        with _short(path) as short:
            link.connect(short)
    except (FileNotFoundError, ConnectionRefusedError):
        link.close()
        return None
    return link


def hang_up(link: socket.socket) -> None:
    """End a connection for its other end too where further processes hold this one."""
    try:
        link.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other end is gone
        pass
    link.close()


def turn_away(listener: socket.socket) -> None:
    """Take no more connections, and end those that nobody has taken yet, though further processes hold the listener."""
    listener.shutdown(socket.SHUT_RDWR)
    listener.setblocking(False)
    while True:
        try:
            link, _address = listener.accept()
        except OSError:  # there is none left
            break
        link.close()
    listener.close()


def peer_is_owner(link: socket.socket) -> bool:
    """Whether the other end runs as this user (SO_PEERCRED, unix(7))."""
    credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.geteuid())


def peer(link: socket.socket) -> int:
    """The number of the process at the other end; of a listener, that of who opened it."""
    credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def send(link: socket.socket, message: Dict[str, Any]) -> bool:
    """Send one message; say whether the other end was there."""
    try:
        link.send(documents.encode(message).encode("ascii"))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def receive(link: socket.socket) -> Optional[Dict[str, Any]]:
    """The next message, or C(None) once the other end is gone."""
    try:
        content = link.recv(LIMIT)
    except ConnectionResetError:
        return None
    if not content:
        return None
    message = documents.decode(content.decode("utf-8"))
    return message if isinstance(message, dict) else None
