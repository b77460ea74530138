# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of the domain name system (RFC 1035 section 4, RFC 6891), as far as a resolver of a host's containers needs them.

Names are kept in their wire form in lower case, so that a question is looked up without being taken apart.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Sequence

A, PTR, AAAA, OPT, AXFR, ANY = 1, 12, 28, 41, 252, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
PLAIN_SIZE = 512
"""The longest answer by UDP for who has not said otherwise, in bytes (RFC 1035 section 4.2.1)."""
OUR_SIZE = 1232
"""The longest that passes everywhere without fragments: the least MTU of IPv6 without its headers and those of UDP."""
TTL = 0
"""Seconds that a name of ours may be remembered: it is answered faster than looked up in a cache."""

_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")


class Malformed(ValueError):
    """A packet that is no query; C(reply) is what to say to that, empty for nothing."""

    def __init__(self, what: str, reply: bytes = b"") -> None:
        super().__init__(what)
        self.reply = reply


class Query(NamedTuple):
    """A question.

    Attributes:
        id, flags: Of the header.
        name: In wire form, in lower case.
        type, klass: Of what is asked for.
        question: The question section as it came.
        size: The longest answer by UDP that the asker takes, in bytes.
        edns: The version of EDNS that the asker speaks; C(None) where it does not.
    """

    id: int
    flags: int
    name: bytes
    type: int
    klass: int
    question: bytes
    size: int
    edns: Optional[int]


def parse(packet: bytes) -> Query:
    """The query in a packet.

    Raises:
        Malformed: It is none.
    """
    if len(packet) < 12:
        raise Malformed("is shorter than a header")
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(packet)
    if flags & 0x8000:
        raise Malformed("is an answer")
    if flags & 0x7800:
        raise Malformed("is no plain query", _error(number, flags, NOTIMP))
    end = 12
    try:
        if questions != 1 or answers or authorities:
            raise Malformed("does not ask one question", _error(number, flags, FORMERR))
        while packet[end]:
            if packet[end] > 63:
                raise Malformed("has a name that is compressed", _error(number, flags, FORMERR))
            end += packet[end] + 1
        end += 1
        if end - 12 > 255:
            raise Malformed("has a name of more than 255 bytes", _error(number, flags, FORMERR))
        kind, klass = struct.unpack_from(">HH", packet, end)
        size = PLAIN_SIZE
        edns: Optional[int] = None
        if additional and packet[end + 4] == 0:  # the root's name: an OPT record, if it stands first, as stubs have it
            record, payload, extended, _length = _RECORD.unpack_from(packet, end + 5)
            if record == OPT:
                size, edns = max(PLAIN_SIZE, min(payload, OUR_SIZE)), extended >> 16 & 0xFF
    except (IndexError, struct.error):
        raise Malformed("is cut short", _error(number, flags, FORMERR))
    return Query(number, flags, packet[12:end].lower(), kind, klass, packet[12:end + 4], size, edns)


def reply(query: Query, code: int = NOERROR, records: Sequence[bytes] = (), limit: Optional[int] = None,
          ours: bool = True) -> bytes:
    """An answer.

    Args:
        records: The answer section, of C(record).
        limit: The longest that can be sent, in bytes; what is longer is left out, and said to be (TC).
        ours: Whether we are the authority for it.
    """
    flags = 0x8080 | (query.flags & 0x0110) | (0x0400 if ours else 0) | (code & 0xF)
    tail = b"" if query.edns is None else b"\0" + _RECORD.pack(OPT, OUR_SIZE, code >> 4 << 24, 0)
    body = b"".join(records)
    if limit is not None and 12 + len(query.question) + len(body) + len(tail) > limit:
        flags, body, records = flags | 0x0200, b"", ()
    return b"".join((_HEADER.pack(query.id, flags, 1, len(records), 0, 1 if tail else 0), query.question, body, tail))


def record(kind: int, data: bytes) -> bytes:
    """An answer to the question's own name (RFC 1035 section 4.1.4: the pointer to byte 12)."""
    return b"\xc0\x0c" + _RECORD.pack(kind, IN, TTL, len(data)) + data


def wire(name: str) -> bytes:
    """The wire form of a name, in lower case; empty for what is no name.

    A trailing dot says nothing here: all names are whole.
    """
    labels = [label.encode("utf-8", "surrogateescape") for label in name.lower().rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        return b""
    found = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return found if len(found) <= 255 else b""


def reverse(packed: bytes) -> bytes:
    """The name in wire form that an address is asked for by (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    if len(packed) == 4:
        return wire(".".join(str(part) for part in reversed(packed)) + ".in-addr.arpa")
    return wire(".".join(reversed(packed.hex())) + ".ip6.arpa")


def answers(packet: bytes, query: bytes) -> bool:
    """Whether a packet answers a query that we have sent: its number, and its question (RFC 5452 section 9.1)."""
    if len(packet) < 12 or packet[:2] != query[:2] or not packet[2] & 0x80:
        return False
    end = 12
    while end < len(query) and query[end]:
        end += query[end] + 1
    end += 5
    if packet[4:6] == b"\0\0":  # some servers leave the question out of an error
        return bool(packet[3] & 0xF)
    return packet[4:6] == b"\0\1" and packet[12:end].lower() == query[12:end].lower()


def code(packet: bytes) -> int:
    """The response code of an answer, without what EDNS adds to it."""
    return packet[3] & 0xF


def _error(number: int, flags: int, code: int) -> bytes:
    return _HEADER.pack(number, 0x8080 | (flags & 0x7900) | code, 0, 0, 0, 0)
