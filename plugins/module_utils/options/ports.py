# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How published ports, addresses and interfaces are written; shared by all modules that have networks."""

from __future__ import annotations

import re
import socket
from typing import Any, Tuple

from .. import values
from ..option import Option

_PORT = re.compile(r"^(?:(?P<address>[0-9.]+|\[[0-9A-Fa-f.:]+\]):)?(?P<host>\d{1,5}(?:-\d{1,5})?):(?P<inner>\d{1,5}(?:-\d{1,5})?)"
                   r"(?:/(?P<protocol>tcp|udp|sctp))?$")
PUBLISHED_FORM = "[ADDRESS:]HOST[-HOST]:CONTAINER[-CONTAINER][/tcp|udp|sctp], such as 127.0.0.1:8080:80; an IPv6 address in []"


def published_port(value: Any) -> str:
    """C(8080:80/tcp), C(127.0.0.1:8080:80), C(8000-8010:80-90/udp), with its protocol written out."""
    text = str(value).strip()
    match = _PORT.match(text)
    if not match:
        if re.match(r"^\d+(-\d+)?(/\w+)?$", text):
            raise ValueError("does not say which port of the host")
        raise ValueError("is no published port")
    host, inner = _range(match.group("host")), _range(match.group("inner"))
    if host[1] - host[0] != inner[1] - inner[0]:
        raise ValueError("has ranges of different length")
    address = match.group("address")
    if address and address.startswith("["):
        address = ipv6_address(address[1:-1])
        address = "" if address == "::" else "[%s]" % address
    elif address:
        address = ipv4_address(address)
    front = "" if not address or address == "0.0.0.0" else address + ":"
    return "%s%s:%s/%s" % (front, _written(host), _written(inner), match.group("protocol") or "tcp")


def ipv4_address(value: Any) -> str:
    """An IPv4 address in its usual form."""
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, str(value)))
    except OSError:
        raise ValueError("is no IPv4 address")


def ipv6_address(value: Any) -> str:
    """An IPv6 address in its usual form (RFC 5952)."""
    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, str(value)))
    except (OSError, ValueError):
        raise ValueError("is no IPv6 address")


def ip_address(value: Any) -> str:
    """An address of either family."""
    try:
        return ipv6_address(value) if ":" in str(value) else ipv4_address(value)
    except ValueError:
        raise ValueError("is no IP address")


def ip_block(value: Any) -> str:
    """A block of either family; C(default) is C(0.0.0.0/0)."""
    return ipv6_block(value) if ":" in str(value) else ipv4_block(value)


def ipv6_block(value: Any) -> str:
    """An IPv6 block in CIDR form."""
    address, slash, prefix = str(value).partition("/")
    if not slash or not re.match(r"^\d{1,3}$", prefix) or int(prefix) > 128:
        raise ValueError("is no block of IPv6 addresses in CIDR form")
    packed = int.from_bytes(socket.inet_pton(socket.AF_INET6, ipv6_address(address)), "big")
    if packed & ((1 << (128 - int(prefix))) - 1):
        raise ValueError("has bits set behind its prefix")
    return "%s/%d" % (ipv6_address(address), int(prefix))


def ipv4_block(value: Any) -> str:
    """An IPv4 block in CIDR form; C(default) is C(0.0.0.0/0)."""
    text = "0.0.0.0/0" if value == "default" else str(value)
    address, slash, prefix = text.partition("/")
    if not slash or not re.match(r"^\d{1,2}$", prefix) or int(prefix) > 32:
        raise ValueError("is no block of IPv4 addresses in CIDR form")
    packed = socket.inet_pton(socket.AF_INET, ipv4_address(address))
    spare = 32 - int(prefix)
    if int.from_bytes(packed, "big") >> spare << spare != int.from_bytes(packed, "big"):
        raise ValueError("has bits set behind its prefix")
    return "%s/%d" % (socket.inet_ntop(socket.AF_INET, packed), int(prefix))


def mac_address(value: Any) -> str:
    """A unicast MAC in lower case with colons."""
    text = str(value).lower().replace("-", ":")
    if not re.match(r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", text):
        raise ValueError("is no MAC address")
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise ValueError("is no MAC address of a single interface")
    return text


def interface(value: Any) -> str:
    """The name of an interface as the kernel takes it (dev_valid_name)."""
    text = str(value)
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$", text) or text == "lo":
        raise ValueError("is no name for an interface")
    return text


def rate(value: Any) -> int:
    """Bits a second from C(100M), C(1.5gbit) or C(8000000); units are powers of 1000, as with tc(8)."""
    match = re.match(r"^(\d+(?:\.\d+)?)\s*([kmg]?)(?:bit)?$", str(value).strip(), re.IGNORECASE)
    bits = int(float(match.group(1)) * {"": 1, "k": 1000, "m": 1000000, "g": 1000000000}[match.group(2).lower()]) if match else 0
    if not 8000 <= bits <= 34000000000:
        raise ValueError("is no rate from 8k to 34G")
    return bits


def _burst(value: Any) -> int:
    size = values.size(value)
    if not 2048 <= size <= 1 << 30:
        raise ValueError("is no size from 2K to 1G")
    return size


_RATE_FORM = "bits a second such as 100M"
_BURST_FORM = "bytes such as 64K"
BANDWIDTH = (
    Option("ingress_rate", parse=rate, form=_RATE_FORM),
    Option("ingress_burst", parse=_burst, form=_BURST_FORM),
    Option("egress_rate", parse=rate, form=_RATE_FORM),
    Option("egress_burst", parse=_burst, form=_BURST_FORM),
)
"""How much an attachment may receive and send."""


def host_name(value: Any) -> str:
    """A name of a host (RFC 1123 section 2.1); the underscore is let pass, as it is by Docker."""
    text = str(value)
    if len(text) > 253 or not all(re.match(r"^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$", part)
                                  for part in text.split(".")):
        raise ValueError("is no host name")
    return text


def _range(text: str) -> Tuple[int, int]:
    first, dash, last = text.partition("-")
    low, high = int(first), int(last if dash else first)
    if not 1 <= low <= high <= 65535:
        raise ValueError("has a port that is not between 1 and 65535, or a range that ends before it begins")
    return low, high


def _written(ports: Tuple[int, int]) -> str:
    return "%d" % ports[0] if ports[0] == ports[1] else "%d-%d" % ports
