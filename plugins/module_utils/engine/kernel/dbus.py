# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D-Bus, as much as it takes to call a method and read its answer, over a UNIX socket.

Source: D-Bus Specification, "Message Protocol", "Type System", "Authentication Protocol" (EXTERNAL).
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, List, NamedTuple, Tuple

from ..errors import EngineError, Unsupported

_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_FIXED = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4), "x": ("q", 8),
          "t": ("Q", 8), "d": ("d", 8)}
"""Type to its form for C(struct) and its alignment."""


class DBusError(EngineError):
    """The other side answered with an error; C(facts['name']) is its name."""


class Variant(NamedTuple):
    """A value that brings its type along."""

    signature: str
    value: Any


def first(signature: str) -> Tuple[str, str]:
    """The first complete type of a signature, and the rest."""
    if signature[0] == "a":
        inner, rest = first(signature[1:])
        return "a" + inner, rest
    if signature[0] not in "({":
        return signature[0], signature[1:]
    depth = 0
    for at, letter in enumerate(signature):
        depth += (letter in "({") - (letter in ")}")
        if not depth:
            return signature[:at + 1], signature[at + 1:]
    raise ValueError("the signature %r is not complete" % signature)


def _alignment(kind: str) -> int:
    return _FIXED[kind[0]][1] if kind[0] in _FIXED else {"v": 1, "g": 1, "s": 4, "o": 4, "a": 4}.get(kind[0], 8)


def _pad(content: bytearray, alignment: int) -> None:
    content.extend(bytes(-len(content) % alignment))


def put(content: bytearray, signature: str, values: Any) -> None:
    """Append values of the types that a signature names."""
    for value in values:
        kind, signature = first(signature)
        _pad(content, _alignment(kind))
        if kind in _FIXED:
            content += struct.pack("<" + _FIXED[kind][0], value)
        elif kind in ("s", "o"):
            text = value.encode()
            content += struct.pack("<I", len(text)) + text + b"\0"
        elif kind == "g":
            content += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            put(content, "g", [value.signature])
            put(content, value.signature, [value.value])
        elif kind[0] == "a":
            at = len(content)
            content += bytes(4)
            _pad(content, _alignment(kind[1:]))
            begin = len(content)
            for item in value:
                put(content, kind[1:], [item])
            struct.pack_into("<I", content, at, len(content) - begin)
        else:
            put(content, kind[1:-1], value)


class _Reader:
    """Takes values out of a message."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content, self.at = content, at

    def take(self, signature: str) -> List[Any]:
        """The values of the types that a signature names; structures as tuples, variants as what they hold."""
        found = []
        while signature:
            kind, signature = first(signature)
            found.append(self._one(kind))
        return found

    def _one(self, kind: str) -> Any:
        self.at += -self.at % _alignment(kind)
        if kind in _FIXED:
            form, size = _FIXED[kind]
            self.at += size
            value = struct.unpack_from("<" + form, self.content, self.at - size)[0]
            return bool(value) if kind == "b" else value
        if kind in ("s", "o", "g"):
            length = self._one("y" if kind == "g" else "u")
            self.at += length + 1
            return self.content[self.at - length - 1:self.at - 1].decode()
        if kind == "v":
            return self._one(self._one("g"))
        if kind[0] == "a":
            length = self._one("u")
            self.at += -self.at % _alignment(kind[1:])
            end, items = self.at + length, []
            while self.at < end:
                items.append(self._one(kind[1:]))
            return items
        return tuple(self.take(kind[1:-1]))


class Connection:
    """A connection to a bus, or straight to a service that listens by itself."""

    def __init__(self, address: str, is_bus: bool, timeout: float = 25.0) -> None:
        """Connect.

        Args:
            address: The socket's path.
            is_bus: Whether a bus is there, to which one says hello first.
            timeout: Seconds to wait for each answer.

        Raises:
            Unsupported: Nobody answers there.
        """
        self._serial = 0
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(address)
            # All in one write: systemd would overlook a message that it finds behind a BEGIN that came later.
            self._socket.sendall(b"\0AUTH EXTERNAL %s\r\nBEGIN\r\n" % str(os.geteuid()).encode().hex().encode())
            if not self._line().startswith(b"OK "):
                raise OSError(13, "it refuses user %d" % os.geteuid())
        except OSError as error:
            self._socket.close()
            raise Unsupported("%s: %s" % (address, error.strerror or error), "Run as root where systemd is process 1")
        if is_bus:
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_error: Any) -> None:
        self._socket.close()

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line

    def _more(self) -> None:
        content = self._socket.recv(65536)
        if not content:
            raise OSError(104, "the connection was closed")
        self._rest += content

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def call(self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: Any) -> List[Any]:
        """Call a method; the values that it returns.

        Raises:
            DBusError: It answered with an error.
            EngineError: It did not answer.
        """
        self._serial += 1
        body = bytearray()
        put(body, signature, values)
        fields = [(_PATH, Variant("o", path)), (_INTERFACE, Variant("s", interface)), (_MEMBER, Variant("s", member)),
                  (_DESTINATION, Variant("s", destination))]
        if signature:
            fields.append((_SIGNATURE, Variant("g", signature)))
        message = bytearray()
        put(message, "yyyyuua(yv)", (ord("l"), _CALL, 0, 1, len(body), self._serial, fields))
        _pad(message, 8)
        try:
            self._socket.sendall(message + body)
            return self._answer(member)
        except socket.timeout as error:
            raise EngineError("%s.%s has not answered in time" % (interface, member)) from error
        except OSError as error:
            raise EngineError("%s.%s: %s" % (interface, member, error.strerror or error)) from error

    def _answer(self, member: str) -> List[Any]:
        while True:
            head = self._exactly(16)
            if head[0] != ord("l"):
                raise EngineError("%s: the answer is big-endian, which this client does not read" % member)
            length, _serial, fields = struct.unpack_from("<III", head, 4)
            rest = self._exactly(fields + -fields % 8 + length)
            found = dict(_Reader(head + rest, 12).take("a(yv)")[0])
            if found.get(_REPLY_SERIAL) != self._serial:
                continue  # a signal, or the answer to somebody who has given up
            content = rest[len(rest) - length:]
            values = _Reader(content).take(found.get(_SIGNATURE, ""))
            if head[1] == _ERROR:
                raise DBusError("%s: %s" % (member, values[0] if values else found.get(_ERROR_NAME)),
                                name=found.get(_ERROR_NAME, ""))
            return values
