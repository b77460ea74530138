# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs of registries, taken apart, and what a login looks like in a header.

Source: RFC 3986, RFC 6454 (origins), RFC 7617 (Basic).
"""

from __future__ import annotations

import base64
from typing import NamedTuple, Optional, Tuple
from urllib.parse import urljoin, urlsplit

PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """An absolute URL, taken apart.

    Attributes:
        target: Path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> Tuple[str, str, int]:
        """What credentials are bound to (RFC 6454)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host, in brackets where it is an IPv6 address, and the port unless it is the scheme's own."""
        host = "[%s]" % self.host if ":" in self.host else self.host
        return host if self.port == PORTS.get(self.scheme) else "%s:%d" % (host, self.port)

    def __str__(self) -> str:
        return "%s://%s%s" % (self.scheme, self.authority, self.target)


def url(text: str, base: Optional[Url] = None) -> Url:
    """A URL, or a reference relative to another.

    Raises:
        ValueError: It is no http or https URL.
    """
    if base is not None:
        text = urljoin(str(base), text)
    parts = urlsplit(text)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("is no http or https URL")
    return Url(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme],
               (parts.path or "/") + ("?" + parts.query if parts.query else ""))


def basic(username: str, password: str) -> str:
    """The value of an authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(("%s:%s" % (username, password)).encode()).decode()
