# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the servers outside for names that are not ours, without waiting for any of them.

Each question goes from a socket of its own: a port that the kernel chose by chance, connected to the server, so that nobody else's
packet gets in; with a number that nobody can guess (RFC 5452 section 9). It goes out as it came, EDNS included, and its answer
goes back as it came, to who asked and to nobody else; nothing is remembered.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from . import dns, resolvconf

PORT = 53
MOST = 1024
"""Questions under way at a time."""
MOST_OF_ONE = 128
"""Of these, one asker's: who asks for more waits in vain, and nobody with him."""
_RETRY = (dns.SERVFAIL, dns.NOTIMP, dns.REFUSED)
"""What another server is asked after, as glibc does."""


class Flight:
    """One question that is under way.

    Args:
        query: As the asker sent it.
        servers: Whom to ask, in turn.
        stream: Whether by TCP.
        answer: Is given the answer, with the asker's number in it; empty where no server gave one.
    """

    def __init__(self, asker: str, query: bytes, servers: Sequence[str], stream: bool, seconds: float,
                 answer: Callable[[bytes], None]) -> None:
        self.asker = asker
        self.original = query[:2]
        self.query = query
        self.servers = list(servers)
        self.stream = stream
        self.seconds = seconds
        self.answer = answer
        self.sock: Optional[socket.socket] = None
        self.deadline = 0.0
        self.last = b""
        self.incoming = b""
        self.outgoing = b""


class Forwarder:
    """All questions under way.

    Args:
        poller: Watches the sockets, and tells C(ready).
        path: The host's resolv.conf, read again whenever it has changed.
    """

    def __init__(self, poller: "select.epoll", path: str = "/etc/resolv.conf") -> None:
        self.poller = poller
        self.settings = resolvconf.Followed(path)
        self.flights: Dict[int, Flight] = {}
        self.of_asker: Dict[str, int] = {}
        self._soonest = 0.0

    def ask(self, asker: str, query: bytes, own: Optional[Sequence[str]], not_these: Any, stream: bool,
            answer: Callable[[bytes], None]) -> None:
        """Ask for somebody.

        Args:
            own: The asker's own servers; C(None) for the host's.
            not_these: Addresses that are ours: asking them would be asking ourselves.
        """
        settings = self.settings.now()
        servers = [each for each in (settings.servers if own is None else own) if each not in not_these]
        if not servers or len(self.flights) >= MOST or self.of_asker.get(asker, 0) >= MOST_OF_ONE:
            answer(b"")
            return
        flight = Flight(asker, query, servers * settings.attempts, stream, settings.timeout, answer)
        self.of_asker[asker] = self.of_asker.get(asker, 0) + 1
        self._next(flight)

    def ready(self, handle: int, events: int) -> bool:
        """Go on with the question of a socket; whether it is one of these."""
        flight = self.flights.get(handle)
        if flight is None:
            return False
        try:
            packet = self._stream(flight, events) if flight.stream else self._packet(flight)
        except OSError:  # refused, unreachable: told at once, so the next one is asked at once
            self._next(flight)
            return True
        if packet is None or not dns.answers(packet, flight.query):
            if packet is not None and flight.stream:
                self._next(flight)
            return True
        flight.last = packet
        if dns.code(packet) in _RETRY and flight.servers:
            self._next(flight)
        else:
            self._done(flight)
        return True

    def tick(self) -> float:
        """Give up on servers that have taken too long; seconds until the next will have, -1 where none is waited for."""
        if not self.flights:
            return -1.0
        now = time.monotonic()
        if self._soonest <= now:
            for flight in [each for each in self.flights.values() if each.deadline <= now]:
                self._next(flight)
            if not self.flights:
                return -1.0
            self._soonest = min(each.deadline for each in self.flights.values())
        return max(0.0, self._soonest - now) + 0.001

    def _packet(self, flight: Flight) -> Optional[bytes]:
        try:
            return None if flight.sock is None else flight.sock.recv(65535)
        except BlockingIOError:
            return None

    def _stream(self, flight: Flight, events: int) -> Optional[bytes]:
        sock = flight.sock
        if sock is None:
            return None
        if flight.outgoing:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                raise ConnectionError("the server has refused the connection")
            flight.outgoing = flight.outgoing[sock.send(flight.outgoing):]
            if flight.outgoing:
                return None
            self.poller.modify(sock.fileno(), select.EPOLLIN)
        try:
            part = sock.recv(65537)
        except BlockingIOError:
            return None
        if not part:
            raise ConnectionError("the server has closed the connection")
        flight.incoming += part
        length = int.from_bytes(flight.incoming[:2], "big")
        if len(flight.incoming) < 2 or len(flight.incoming) < length + 2:
            return None
        return flight.incoming[2:length + 2]

    def _next(self, flight: Flight) -> None:
        """Ask the next server; where none is left, answer with what there is."""
        self._land(flight)
        while flight.servers:
            server = flight.servers.pop(0)
            flight.query = os.urandom(2) + flight.query[2:]
            try:
                flight.sock = self._send(flight, server)
            except OSError:
                continue
            flight.deadline = time.monotonic() + flight.seconds
            self._soonest = min(self._soonest, flight.deadline) if self.flights else flight.deadline
            self.flights[flight.sock.fileno()] = flight
            return
        self._done(flight)

    def _send(self, flight: Flight, server: str) -> socket.socket:
        family, address = _destination(server)
        kind = socket.SOCK_STREAM if flight.stream else socket.SOCK_DGRAM
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if flight.stream:
                flight.incoming, flight.outgoing = b"", len(flight.query).to_bytes(2, "big") + flight.query
                try:
                    sock.connect(address)
                except BlockingIOError:
                    pass
                self.poller.register(sock.fileno(), select.EPOLLOUT)
            else:
                sock.connect(address)
                sock.send(flight.query)
                self.poller.register(sock.fileno(), select.EPOLLIN)
        except BaseException:
            sock.close()
            raise
        return sock

    def _land(self, flight: Flight) -> None:
        if flight.sock is not None:
            self.flights.pop(flight.sock.fileno(), None)
            self.poller.unregister(flight.sock.fileno())
            flight.sock.close()
            flight.sock = None

    def _done(self, flight: Flight) -> None:
        self._land(flight)
        left = self.of_asker.get(flight.asker, 1) - 1
        if left:
            self.of_asker[flight.asker] = left
        else:
            self.of_asker.pop(flight.asker, None)
        flight.answer(flight.original + flight.last[2:] if flight.last else b"")


def _destination(server: str) -> Tuple[int, Tuple[Any, ...]]:
    address, _percent, scope = server.partition("%")
    if ":" not in address:
        return socket.AF_INET, (address, PORT)
    index = 0 if not scope else int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    return socket.AF_INET6, (address, PORT, 0, index)
