# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of IP addresses, for both families.

The standard library's C(ipaddress) costs several milliseconds to load, which is
more than the attachment of a container takes.
"""

from __future__ import annotations

import socket
from typing import NamedTuple, Tuple


class Subnet(NamedTuple):
    """A block of addresses.

    Attributes:
        width: 32 or 128 bits.
        base: The first address, as a number.
        prefix: How many leading bits are fixed.
    """

    width: int
    base: int
    prefix: int

    @property
    def last(self) -> int:
        """The last address, as a number."""
        return self.base | ((1 << (self.width - self.prefix)) - 1)

    def __str__(self) -> str:
        return "%s/%d" % (text(self.width, self.base), self.prefix)


def number(address: str) -> Tuple[int, int]:
    """Width in bits and value of an address.

    Raises:
        ValueError: It is no address.
    """
    for family, width in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            return width, int.from_bytes(socket.inet_pton(family, address), "big")
        except (OSError, ValueError):
            continue
    raise ValueError("is no IP address")


def text(width: int, value: int) -> str:
    """An address in its usual form."""
    return socket.inet_ntop(socket.AF_INET if width == 32 else socket.AF_INET6, value.to_bytes(width // 8, "big"))


def subnet(cidr: str) -> Subnet:
    """The block that C(10.0.0.0/24) means; bits after the prefix are cut off.

    Raises:
        ValueError: It is no block.
    """
    address, slash, length = cidr.partition("/")
    width, value = number(address)
    if not slash or not length.isdecimal() or int(length) > width:
        raise ValueError("is no subnet such as 10.0.0.0/24")
    prefix = int(length)
    spare = width - prefix
    return Subnet(width, value >> spare << spare, prefix)


def contains(block: Subnet, address: str) -> bool:
    """Whether an address lies in a block."""
    width, value = number(address)
    return width == block.width and block.base <= value <= block.last


def link_local(cidr: str) -> bool:
    """Whether an address or block is one of those that each IPv6 link has by itself (RFC 4291 section 2.5.6)."""
    return cidr.startswith("fe80:")


def link_local_of(mac: str) -> str:
    """The link-local address in CIDR form that a link of a MAC has (RFC 4291 appendix A)."""
    parts = [int(part, 16) for part in mac.split(":")]
    packed = bytes([0xFE, 0x80, *[0] * 6, parts[0] ^ 2, *parts[1:3], 0xFF, 0xFE, *parts[3:]])
    return socket.inet_ntop(socket.AF_INET6, packed) + "/64"


def overlap(one: Subnet, other: Subnet) -> bool:
    """Whether two blocks share an address."""
    return one.width == other.width and one.base <= other.last and other.base <= one.last
