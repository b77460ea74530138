# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxies that the environment names: HTTP proxies, and SOCKS 5.

Sources: curl(1), Environment, for the names of the variables; RFC 1928 and RFC 1929 (SOCKS 5, its logins).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any, Dict, Mapping, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from ..errors import InvalidValue
from .urls import Url, basic

_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
_ANSWERS = {1: "it fails", 2: "its rules do not allow it", 3: "the network cannot be reached", 4: "the host cannot be reached",
            5: "the connection is refused", 6: "it took too long", 7: "it cannot make connections",
            8: "it does not know this kind of address"}


class Proxy(NamedTuple):
    """A proxy.

    Attributes:
        scheme: C(http), C(socks5) or C(socks5h); only with the last one the proxy looks names up.
        username, password: Of its login, or empty.
    """

    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = ""

    @property
    def authority(self) -> str:
        """As errors name it: without the login."""
        return "%s:%d" % ("[%s]" % self.host if ":" in self.host else self.host, self.port)

    @property
    def socks(self) -> bool:
        """Whether connections go through it byte by byte."""
        return self.scheme != "http"

    def headers(self) -> Dict[str, str]:
        """What an HTTP proxy wants to see."""
        return {"Proxy-Authorization": basic(self.username, self.password)} if self.username else {}


def proxy_for(asked: Url, environment: Mapping[str, str]) -> Optional[Proxy]:
    """The proxy that the environment names for a URL, or C(None).

    Reads C(https_proxy), C(http_proxy), C(all_proxy) and C(no_proxy), in lower case or, with less weight, in upper
    case. Addresses of the loopback are reached without one.

    Raises:
        InvalidValue: The variable names no proxy that can be spoken to.
    """
    for name in (asked.scheme + "_proxy", "all_proxy"):
        value = environment.get(name) or environment.get(name.upper())
        if not value:
            continue
        if _without_proxy(asked, environment.get("no_proxy") or environment.get("NO_PROXY") or ""):
            return None
        try:
            parts = urlsplit(value if "://" in value else "http://" + value)
            if parts.hostname and parts.scheme in _PORTS:
                return Proxy(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], unquote(parts.username or ""),
                             unquote(parts.password or ""))
        except ValueError:
            pass
        raise InvalidValue(name, "***" if "@" in value else value, "names no proxy that is spoken to by HTTP or SOCKS 5",
                           "Write http://HOST:PORT, socks5://HOST:PORT or, where the proxy looks names up, socks5h://HOST:PORT")
    return None


def _without_proxy(asked: Url, exceptions: str) -> bool:
    address = _address(asked.host)
    if asked.host == "localhost" or (address is not None and address.is_loopback):
        return True
    for each in exceptions.replace(",", " ").split():
        if each == "*":
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(each.strip("[]"), strict=False):
                    return True
            except ValueError:
                pass
        name, _colon, port = each.rpartition(":") if each.count(":") == 1 else (each, "", "")
        if port and port != str(asked.port):
            continue
        name = name.lower().lstrip("*").lstrip(".")
        if name and (asked.host == name or asked.host.endswith("." + name)):
            return True
    return False


# SOCKS 5

def through(proxy: Proxy, host: str, port: int, timeout: float) -> socket.socket:
    """A connection to a server by a SOCKS proxy.

    Raises:
        PermissionError: The proxy does not let us through, and never will.
        OSError: It cannot be reached, or cannot reach the server.
    """
    target = _address(host) or (None if proxy.scheme == "socks5h" else _looked_up(host, port))
    made = socket.create_connection((proxy.host, proxy.port), timeout)
    try:
        _log_in(made, proxy)
        if target is None:
            name = host.encode("idna")
            asked = b"\x03" + bytes([len(name)]) + name
        else:
            asked = (b"\x01" if target.version == 4 else b"\x04") + target.packed
        made.sendall(b"\x05\x01\x00" + asked + port.to_bytes(2, "big"))
        _version, answer, _reserved, kind = _exactly(made, 4)
        if answer:
            raise OSError(errno.EACCES if answer == 2 else errno.ECONNREFUSED,
                          "the proxy says that %s" % _ANSWERS.get(answer, "error %d" % answer))
        _exactly(made, {1: 4, 4: 16}.get(kind) or _exactly(made, 1)[0])
        _exactly(made, 2)
        return made
    except BaseException:
        made.close()
        raise


def _log_in(made: socket.socket, proxy: Proxy) -> None:
    methods = b"\x00\x02" if proxy.username else b"\x00"
    made.sendall(b"\x05" + bytes([len(methods)]) + methods)
    version, method = _exactly(made, 2)
    if version != 5:
        raise OSError(errno.EACCES, "it does not speak SOCKS 5")
    if method == 2:
        username, password = proxy.username.encode()[:255], proxy.password.encode()[:255]
        made.sendall(b"\x01" + bytes([len(username)]) + username + bytes([len(password)]) + password)
        if _exactly(made, 2)[1]:
            raise OSError(errno.EACCES, "the proxy refuses its login")
    elif method:
        raise OSError(errno.EACCES, "the proxy wants a login")


def _exactly(made: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = made.recv(count - len(found))
        if not piece:
            raise OSError(errno.ECONNRESET, "the proxy closed the connection")
        found += piece
    return found


def _address(host: str) -> Any:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _looked_up(host: str, port: int) -> Any:
    return ipaddress.ip_address(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
