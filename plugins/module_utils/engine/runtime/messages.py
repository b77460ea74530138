# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocol Buffers on the wire, as far as CRIU's messages need them: numbers, texts and messages in messages.

Source: Protocol Buffers documentation, Encoding.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple, Union

from ..errors import EngineError

Value = Union[int, str, Sequence["Field"]]
"""A number (negative ones as int32 has them) or truth, a text, or the fields of a message."""
Field = Tuple[int, Value]
"""Number of a field, and its value."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def encode(fields: Sequence[Field]) -> bytes:
    """A message; a field that is there several times is a repeated one."""
    parts: List[bytes] = []
    for number, value in fields:
        if isinstance(value, int):
            parts += (_varint(number << 3 | _VARINT), _varint(int(value)))
            continue
        content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else encode(value)
        parts += (_varint(number << 3 | _BYTES), _varint(len(content)), content)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def decode(content: bytes) -> Dict[int, List[Union[int, bytes]]]:
    """The values of each field: numbers, and the bytes of texts and messages.

    Raises:
        EngineError: It is cut short, or has a kind of value that CRIU does not send.
    """
    found: Dict[int, List[Union[int, bytes]]] = {}
    at = 0
    try:
        while at < len(content):
            key, at = _number(content, at)
            kind = key & 7
            value: Union[int, bytes]
            if kind == _VARINT:
                value, at = _number(content, at)
            else:
                length, at = _number(content, at) if kind == _BYTES else ({_FIXED64: 8, _FIXED32: 4}[kind], at)
                if at + length > len(content):
                    raise IndexError
                value, at = content[at:at + length], at + length
            found.setdefault(key >> 3, []).append(value)
    except (IndexError, KeyError) as error:
        raise EngineError("a message of Protocol Buffers is damaged at byte %d" % at) from error
    return found


def _number(content: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
