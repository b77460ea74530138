# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink: messages, attributes, acknowledgements and dumps (netlink(7), the kernel's uapi/linux/netlink.h).

Many requests travel in one send, since each system call costs more than the
kernel's work on a message. What the kernel has to say about a refused message
(extended acknowledgement) becomes part of the error.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import KernelError

ROUTE = 0
"""NETLINK_ROUTE: links, addresses, routes, neighbours (rtnetlink(7))."""
NETFILTER = 12
"""NETLINK_NETFILTER."""

NLM_F_REQUEST = 0x01
NLM_F_MULTI = 0x02
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 18
_BATCH = 64
"""Messages in one send: their acknowledgements must fit the socket's receive buffer."""


class Message(NamedTuple):
    """One request.

    Attributes:
        kind: Such as RTM_NEWLINK.
        flags: NLM_F_* beyond NLM_F_REQUEST and NLM_F_ACK.
        body: The fixed header of this kind and the attributes after it.
        what: What is asked for, for the error: C(create link 'veth0').
        ignore: Error numbers that mean that nothing is left to do, such as EEXIST.
    """

    kind: int
    flags: int
    body: bytes
    what: str
    ignore: Tuple[int, ...] = ()


class Reply(NamedTuple):
    """One message of an answer."""

    kind: int
    body: bytes


class NetlinkError(KernelError):
    """The kernel refused a request.

    Args:
        what: What was asked for.
        number: The errno.
        detail: The kernel's own words, where it has any.
    """

    def __init__(self, what: str, number: int, detail: str = "") -> None:
        super().__init__("netlink", number, what)
        self.what = "cannot %s: %s%s" % (what, os.strerror(number), " (%s)" % detail if detail else "")
        self.detail = detail


class Socket:
    """A netlink socket; it belongs to the network namespace that the thread is in when it is opened."""

    def __init__(self, protocol: int = ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for option in (_NETLINK_EXT_ACK, _NETLINK_CAP_ACK, _NETLINK_GET_STRICT_CHK):
            try:
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            except OSError:  # strict checking is of Linux 4.20
                pass
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def request(self, *messages: Message) -> None:
        """Send requests in one go and wait until each is acknowledged.

        The kernel works on all of them in order, also after one was refused.

        Raises:
            NetlinkError: For the first that was refused.
        """
        first: Optional[NetlinkError] = None
        for start in range(0, len(messages), _BATCH):
            refusal = self._batch(messages[start:start + _BATCH])
            first = first or refusal
        if first is not None:
            raise first

    def _batch(self, messages: Sequence[Message]) -> Optional[NetlinkError]:
        """Send a few messages; the first refusal, or C(None)."""
        waiting: Dict[int, Message] = {}
        parts = []
        for message in messages:
            self._sequence += 1
            waiting[self._sequence] = message
            parts.append(_encode(message, NLM_F_ACK, self._sequence))
        self._socket.send(b"".join(parts))
        first: Optional[NetlinkError] = None
        while waiting:
            for kind, flags, sequence, body in _split(self._socket.recv(_BUFFER)):
                if kind != _NLMSG_ERROR or sequence not in waiting:
                    continue
                asked = waiting.pop(sequence)
                refusal = _refusal(asked.what, flags, body)
                if refusal is not None and refusal.errno not in asked.ignore:
                    first = first or refusal
        return first

    def dump(self, kind: int, body: bytes, what: str) -> List[Reply]:
        """All objects of a kind; asked for again where the kernel says that they changed meanwhile.

        Raises:
            NetlinkError: The kernel refused.
        """
        for _attempt in range(16):
            replies, consistent = self._answers(Message(kind, NLM_F_DUMP, body, what))
            if consistent:
                break
        return replies

    def get(self, message: Message) -> Optional[Reply]:
        """One object, or C(None) where the error is one of those to ignore."""
        self._sequence += 1
        self._socket.send(_encode(message, 0, self._sequence))
        while True:
            for kind, flags, sequence, body in _split(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                if kind != _NLMSG_ERROR:
                    return Reply(kind, body)
                refusal = _refusal(message.what, flags, body)
                if refusal is None or refusal.errno in message.ignore:
                    return None
                raise refusal

    def _answers(self, message: Message) -> Tuple[List[Reply], bool]:
        self._sequence += 1
        self._socket.send(_encode(message, 0, self._sequence))
        replies: List[Reply] = []
        consistent = True
        while True:
            for kind, flags, sequence, body in _split(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                consistent = consistent and not flags & NLM_F_DUMP_INTR
                if kind == _NLMSG_DONE:
                    refusal = _refusal(message.what, flags, body)
                    if refusal is not None:
                        raise refusal
                    return replies, consistent
                if kind == _NLMSG_ERROR:
                    refusal = _refusal(message.what, flags, body)
                    if refusal is not None:
                        raise refusal
                    continue
                replies.append(Reply(kind, body))


def attribute(kind: int, value: Union[bytes, int, str, Sequence[bytes]]) -> bytes:
    """One attribute: bytes as they are, an int as 32 bits, text with its final zero, a sequence as a nest."""
    if isinstance(value, int):
        payload = struct.pack("=I", value & 0xFFFFFFFF)
    elif isinstance(value, str):
        payload = value.encode() + b"\0"
    elif isinstance(value, bytes):
        payload = value
    else:
        payload = b"".join(value)
        kind |= _NESTED
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def attributes(buffer: bytes, start: int = 0) -> Dict[int, bytes]:
    """The attributes in a buffer by their kind; of several of one kind the last."""
    return dict(each_attribute(buffer, start))


def each_attribute(buffer: bytes, start: int = 0) -> Iterator[Tuple[int, bytes]]:
    """The attributes in a buffer, in order."""
    end = len(buffer)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, start)
        if length < 4 or start + length > end:
            return
        yield kind & _TYPE_MASK, buffer[start + 4:start + length]
        start += (length + 3) & ~3


def number(value: Optional[bytes], default: int = 0) -> int:
    """The unsigned number in an attribute of 1, 2, 4 or 8 bytes, in the host's byte order."""
    if value is None:
        return default
    return int.from_bytes(value, "little" if struct.pack("=H", 1) == b"\1\0" else "big")


def text(value: Optional[bytes]) -> str:
    """The text in an attribute."""
    return "" if value is None else value.split(b"\0", 1)[0].decode("utf-8", "replace")


def _encode(message: Message, flags: int, sequence: int) -> bytes:
    length = _HEADER.size + len(message.body)
    return (_HEADER.pack(length, message.kind, message.flags | flags | NLM_F_REQUEST, sequence, 0)
            + message.body + b"\0" * (-length % 4))


def _split(data: bytes) -> Iterator[Tuple[int, int, int, bytes]]:
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, start)
        if length < _HEADER.size or start + length > len(data):
            raise NetlinkError("read the kernel's answer", errno.EBADMSG)
        yield kind, flags, sequence, data[start + _HEADER.size:start + length]
        start += (length + 3) & ~3


def _refusal(what: str, flags: int, body: bytes) -> Optional[NetlinkError]:
    """The error in an acknowledgement (struct nlmsgerr) or at a dump's end, or C(None) where all went well."""
    if len(body) < 4:
        return None
    code = struct.unpack_from("=i", body)[0]
    if code >= 0:
        return None
    detail = ""
    if flags & _NLM_F_ACK_TLVS:
        start = 4
        if len(body) >= 20 and flags & _NLM_F_CAPPED:
            start = 20
        elif len(body) >= 20:
            start = 4 + ((struct.unpack_from("=I", body, 4)[0] + 3) & ~3)
        detail = text(attributes(body, start).get(_NLMSGERR_ATTR_MSG))
    return NetlinkError(what, -code, detail)
