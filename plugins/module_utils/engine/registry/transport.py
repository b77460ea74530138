# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 for registries: connections that are used again, TLS, by proxies where the environment names them.

No policy: nothing is tried twice here but a request on a connection that the other side had closed meanwhile.
Sources: RFC 9110, RFC 9112; getaddrinfo(3) for what its errors mean.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..errors import EngineError, InvalidValue, NotFound
from .proxies import Proxy, proxy_for, through
from .urls import Url

CHUNK = 1 << 18
"""Bytes that a body is read by."""
AGENT = "coracle"
_STALE = (http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionResetError, BrokenPipeError)

Body = Union[bytes, Callable[[], Iterable[bytes]], None]
"""What is sent: bytes, or a function that begins to yield them, called once for each attempt."""


class Trust(NamedTuple):
    """How one host is spoken to by TLS.

    Attributes:
        verify: Whether its certificate is checked.
        authorities: Files or folders of certificates to trust beside the system's.
        certificate, key: Files of the client's own certificate, or empty.
    """

    verify: bool = True
    authorities: Tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""


class Unreachable(EngineError):
    """No answer came, or it broke off: trying again may help.

    Attributes:
        permanent: Whether it would fail again, such as for a certificate that nobody vouches for.
        attempts: How often at most it is worth to try; C(None) where nothing speaks against the usual number.
    """

    def __init__(self, what: str, remedy: Optional[str] = None, permanent: bool = False,
                 attempts: Optional[int] = None) -> None:
        super().__init__(what, remedy)
        self.permanent = permanent
        self.attempts = 1 if permanent else attempts


class Response:
    """An answer; its body must be read to the end, or C(close) called.

    Attributes:
        status: Such as 200.
        headers: By lower-case name.
        url: What was asked.
        length: Bytes of the body, or C(None) where they are not told.
    """

    def __init__(self, asked: Url, raw: http.client.HTTPResponse, done: Callable[[bool], None]) -> None:
        self.url = asked
        self.status = raw.status
        self.headers: Dict[str, str] = {}
        for key, value in raw.getheaders():
            key = key.lower()
            self.headers[key] = "%s, %s" % (self.headers[key], value) if key in self.headers else value
        self._raw = raw
        self._done: Optional[Callable[[bool], None]] = done
        self.length: Optional[int] = raw.length
        if self.length == 0:
            raw.read()
            self._finish(True)

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The body in pieces.

        Raises:
            Unreachable: It ends before its length, or the connection breaks.
        """
        left = self.length
        while self._done is not None:
            try:
                chunk = self._raw.read(size)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise Unreachable("%s: the answer broke off: %s" % (self.url.authority, reason(error)))
            if left is not None:
                left -= len(chunk)
                if not chunk and left:
                    self.close()
                    raise Unreachable("%s: the answer broke off, %d bytes before its end" % (self.url.authority, left))
            if not chunk or left == 0:
                self._finish(True)
            if chunk:
                yield chunk

    def read(self, limit: int) -> bytes:
        """The whole body, of which C(limit) bytes at most are read."""
        parts: List[bytes] = []
        for chunk in self.chunks(min(limit, CHUNK)):
            parts.append(chunk)
            limit -= len(chunk)
            if limit <= 0:
                self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Leave the rest of the body."""
        self._finish(False)

    def _finish(self, whole: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(whole)


class Pool:
    """Connections, used again once an answer has been read; safe for threads.

    Args:
        timeout: Seconds that a connection may stay silent.
        environment: Where the proxies are named; the process's own unless given.
    """

    def __init__(self, timeout: float = 60, environment: Optional[Mapping[str, str]] = None) -> None:
        self._timeout = timeout
        self._environment: Mapping[str, str] = os.environ if environment is None else environment
        self._idle: Dict[Any, List[http.client.HTTPConnection]] = {}
        self._contexts: Dict[Trust, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def send(self, method: str, asked: Url, headers: Mapping[str, str], body: Body = None,
             trust: Optional[Trust] = None) -> Response:
        """Send one request.

        Raises:
            Unreachable: No answer came.
        """
        trust = trust or Trust()
        proxy = proxy_for(asked, self._environment)
        key = (asked.origin, trust, proxy)
        while True:
            connection, used = self._take(key), True
            if connection is None:
                connection, used = self._connection(asked, trust, proxy), False
            try:
                if proxy is not None and proxy.socks and not used:
                    self._tunnel(connection, asked, trust, proxy)
                raw = self._exchange(connection, method, asked, headers, body, proxy)
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if used and isinstance(error, _STALE):
                    continue  # on the next one, or a new one
                raise _failure(asked, trust, proxy, error)

        def done(whole: bool, held: http.client.HTTPConnection = connection) -> None:
            if whole and not raw.will_close:
                with self._lock:
                    self._idle.setdefault(key, []).append(held)
            else:
                held.close()
                raw.close()
        return Response(asked, raw, done)

    def _exchange(self, connection: http.client.HTTPConnection, method: str, asked: Url, headers: Mapping[str, str],
                  body: Body, proxy: Optional[Proxy]) -> http.client.HTTPResponse:
        sent = {"Host": asked.authority, "User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        target = asked.target
        if proxy is not None and not proxy.socks and asked.scheme == "http":
            target = str(asked)
            sent.update(proxy.headers())
        try:
            connection.request(method, target, body=body() if callable(body) else body, headers=sent)
        except (BrokenPipeError, ConnectionResetError):
            if body is None or connection.sock is None:
                raise
            # The other side may have answered before it had read everything
        return connection.getresponse()

    def _take(self, key: Any) -> Optional[http.client.HTTPConnection]:
        while True:
            with self._lock:
                waiting = self._idle.get(key)
                connection = waiting.pop() if waiting else None
            if connection is None:
                return None
            poller = select.poll()
            if connection.sock is not None:
                poller.register(connection.sock, select.POLLIN | select.POLLHUP)
                if not poller.poll(0):
                    return connection
            connection.close()  # the other side has closed it, or speaks unasked

    def _connection(self, asked: Url, trust: Trust, proxy: Optional[Proxy]) -> http.client.HTTPConnection:
        near = asked if proxy is None or proxy.socks else proxy
        if asked.scheme == "http":
            return http.client.HTTPConnection(near.host, near.port, timeout=self._timeout)
        made = http.client.HTTPSConnection(near.host, near.port, timeout=self._timeout, context=self._context(trust))
        if proxy is not None and not proxy.socks:
            made.set_tunnel(asked.host, asked.port, proxy.headers())
        return made

    def _tunnel(self, connection: http.client.HTTPConnection, asked: Url, trust: Trust, proxy: Proxy) -> None:
        """Connect by a SOCKS proxy; a connection that is lost is not made again by itself, which would go around it."""
        connection.auto_open = 0
        made = through(proxy, asked.host, asked.port, self._timeout)
        connection.sock = self._context(trust).wrap_socket(made, server_hostname=asked.host) if asked.scheme == "https" else made

    def _context(self, trust: Trust) -> ssl.SSLContext:
        with self._lock:
            if trust not in self._contexts:
                self._contexts[trust] = context(trust)
            return self._contexts[trust]

    def close(self) -> None:
        """Close all connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for connection in waiting:
                connection.close()


def context(trust: Trust) -> ssl.SSLContext:
    """What a TLS connection needs.

    Raises:
        InvalidValue, NotFound: A file is not there, or holds no certificate or key.
    """
    made = ssl.create_default_context()
    if not trust.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    for path in (*trust.authorities, trust.certificate, trust.key):
        if path and not os.path.exists(path):
            raise NotFound("%s: No such file or directory" % path, "Give the path of a file on the managed host")
    if trust.key and not trust.certificate:
        raise InvalidValue("client_key", trust.key, "has no certificate that it belongs to", "Give client_cert as well")
    for path in trust.authorities:
        try:
            if os.path.isdir(path):
                made.load_verify_locations(capath=path)
            else:
                made.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError):
            raise InvalidValue("ca_path", path, "holds no certificate in PEM format", "Give certificates of authorities")
    if trust.certificate:
        try:
            made.load_cert_chain(trust.certificate, trust.key or None, password=_no_password)
        except (OSError, ssl.SSLError, ValueError):
            raise InvalidValue("client_cert", trust.certificate, "and its key %s do not go together, or are no PEM files "
                               "without a password" % (trust.key or "in the same file"),
                               "Give a certificate and its key in PEM format")
    return made


def _no_password() -> str:
    raise ValueError("the key has a password")


# Failures

def reason(error: BaseException) -> str:
    """A failure in a few words."""
    if isinstance(error, socket.timeout):
        return "nothing came for too long"
    if isinstance(error, http.client.IncompleteRead):
        return "it ends too early"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__


def _failure(asked: Url, trust: Trust, proxy: Optional[Proxy], error: BaseException) -> Unreachable:
    where = asked.authority + (" (by the proxy %s)" % proxy.authority if proxy is not None else "")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable("%s: its certificate cannot be trusted: %s" % (where, reason(error)),
                           "Give the authority's certificate in ca_path, or in /etc/containers/certs.d/%s/ca.crt"
                           % asked.authority, permanent=True)
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return Unreachable("%s: it does not speak TLS" % where,
                           "If plain HTTP is meant, say plain_http: true", permanent=True)
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        wants = "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error)
        return Unreachable("%s: %s" % (where, reason(error)), "Give client_cert and client_key" if wants and
                           not trust.certificate else None, permanent=True)
    remedy = None
    if isinstance(error, socket.gaierror):  # the resolver itself has tried several times
        return Unreachable("%s: %s" % (where, reason(error)), "Check the name of the %s, and the host's resolver"
                           % ("registry" if proxy is None else "proxy"), permanent=error.errno != socket.EAI_AGAIN, attempts=2)
    if isinstance(error, PermissionError) and proxy is not None:
        return Unreachable("%s: %s" % (where, reason(error)), "Correct the variable that names the proxy", permanent=True)
    if isinstance(error, OSError):
        remedy = "Check that the registry runs and that the host can reach it"
    return Unreachable("%s: %s" % (where, reason(error)), remedy)
