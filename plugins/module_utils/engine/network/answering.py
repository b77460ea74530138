# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets at which names are asked for, and what is said there: from the zones, or from a server outside."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import Callable, Dict, List, Mapping, Tuple

from . import dns, zones
from .upstream import Forwarder

PORT = 53
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78  # the bridge may come later than the resolver, or be made anew
_CONNECTIONS = 256
IDLE = 20.0
"""Seconds after which a connection on which nothing is asked is closed."""
_LONGEST = 1 << 17
"""Bytes of answers that wait for one connection's asker to take them."""


class Connection:
    """An asker's TCP connection."""

    def __init__(self, sock: socket.socket, network: str, address: str) -> None:
        self.sock = sock
        self.network = network
        self.address = address
        self.incoming = b""
        self.outgoing = b""
        self.closed = False
        self.last = time.monotonic()


class Answering:
    """All sockets, and the loop's table of what is to be done when one is ready."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.forwarder = Forwarder(self.poller)
        self.handlers: Dict[int, Callable[[int], None]] = {}
        self.listening: Dict[Tuple[str, str], Tuple[int, List[socket.socket]]] = {}
        self.failed: Dict[str, str] = {}
        self.connections: Dict[int, Connection] = {}
        self.directory = zones.Directory(())
        self.turn = 0

    def handle(self, handle: int, step: Callable[[int], None], events: int = select.EPOLLIN) -> None:
        """Call a function when a descriptor is ready."""
        self.poller.register(handle, events)
        self.handlers[handle] = step

    def forget(self, handle: int) -> None:
        """No longer do so."""
        self.poller.unregister(handle)
        del self.handlers[handle]

    def listen(self, ports: Mapping[str, int]) -> None:
        """Listen where the zones say; sockets that stay are not touched.

        Args:
            ports: By address, that to be taken where another server has port 53.
        """
        wanted = {(zone.network, address) for zone in self.directory.zones.values() for address in zone.listen}
        for key in set(self.listening) - wanted:
            self.close(key)
        for key in sorted(wanted - set(self.listening)):
            try:
                self.open(*key, ports.get(key[1], 0))
                self.failed.pop(key[1], None)
            except OSError as error:
                self.failed[key[1]] = str(error)

    def open(self, network: str, address: str, other: int) -> None:
        """Answer at an address: at port 53, or where that is taken at another, to which the table then leads."""
        for port in (PORT, other, 0, 0, 0):
            opened: List[socket.socket] = []
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    opened.append(_bind(address, port, kind))
                    port = opened[0].getsockname()[1]
                break
            except OSError as error:
                for sock in opened:
                    sock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
        else:
            raise OSError(errno.EADDRINUSE, "no port is free at %s" % address)
        packets, stream = opened
        stream.listen(64)
        self.listening[(network, address)] = (port, opened)
        self.handle(packets.fileno(), lambda _events: self.packet(packets, network))
        self.handle(stream.fileno(), lambda _events: self.accept(stream, network))

    def close(self, key: Tuple[str, str]) -> None:
        """No longer listen at an address."""
        for sock in self.listening.pop(key)[1]:
            self.forget(sock.fileno())
            sock.close()

    # Questions

    def packet(self, sock: socket.socket, network: str) -> None:
        """Answer one question that came by UDP."""
        try:
            packet, peer = sock.recvfrom(4096)
        except OSError:
            return

        def send(answer: bytes) -> None:
            try:
                sock.sendto(answer, peer)
            except OSError:  # who asked is gone
                pass
        self.question(network, peer[0], packet, send, stream=False)

    def question(self, network: str, address: str, packet: bytes, send: Callable[[bytes], None], stream: bool) -> None:
        """Answer a question, now or when a server outside has."""
        try:
            query = dns.parse(packet)
        except dns.Malformed as error:
            if error.reply:
                send(error.reply)
            return
        limit = 65535 if stream else query.size
        asker = self.directory.asker(network, address)
        if asker is None:
            send(dns.reply(query, dns.REFUSED, ours=False))
        elif query.edns:
            send(dns.reply(query, dns.BADVERS, ours=False))
        elif query.klass == dns.IN:
            found = self.directory.find(asker, query.name)
            if found is not None:
                records = _records(query.type, found, self.turn)
                self.turn += len(records) > 1  # not by what asks for both families in turn
                send(dns.reply(query, records=records, limit=limit))
            elif not asker.outside or self.directory.ours(asker, query.name):
                send(dns.reply(query, dns.NXDOMAIN))
            elif query.type in (dns.AXFR, 251):
                send(dns.reply(query, dns.REFUSED, ours=False))
            else:
                self.forwarder.ask(address, packet, asker.servers, self.directory.own, stream,
                                   lambda answer: send(answer or dns.reply(query, dns.SERVFAIL, ours=False)))
        else:
            send(dns.reply(query, dns.REFUSED, ours=False))

    def accept(self, sock: socket.socket, network: str) -> None:
        """Take a connection."""
        try:
            link, peer = sock.accept()
        except OSError:
            return
        if len(self.connections) >= _CONNECTIONS:
            self.hang_up(min(self.connections.values(), key=lambda each: each.last))
        link.setblocking(False)
        connection = Connection(link, network, peer[0])
        self.connections[link.fileno()] = connection
        self.handle(link.fileno(), lambda events: self.converse(connection, events))

    def converse(self, connection: Connection, events: int) -> None:
        """Take questions from a connection, and send what is left of its answers."""
        connection.last = time.monotonic()
        try:
            if events & select.EPOLLOUT:
                self.send(connection, b"")
            if events & ~select.EPOLLOUT:
                part = connection.sock.recv(65536)
                if not part:
                    self.hang_up(connection)
                    return
                connection.incoming += part
        except BlockingIOError:
            return
        except OSError:
            self.hang_up(connection)
            return
        while len(connection.incoming) > 2 and not connection.closed:
            length = int.from_bytes(connection.incoming[:2], "big")
            if len(connection.incoming) < length + 2:
                break
            packet, connection.incoming = connection.incoming[2:length + 2], connection.incoming[length + 2:]
            self.question(connection.network, connection.address, packet,
                          lambda answer: self.send(connection, len(answer).to_bytes(2, "big") + answer), stream=True)

    def send(self, connection: Connection, content: bytes) -> None:
        """Send as much as the connection takes; the rest when it takes more."""
        if connection.closed:
            return
        waited = bool(connection.outgoing)
        connection.outgoing += content
        try:
            connection.outgoing = connection.outgoing[connection.sock.send(connection.outgoing):]
        except BlockingIOError:
            pass
        except OSError:
            self.hang_up(connection)
            return
        if len(connection.outgoing) > _LONGEST:
            self.hang_up(connection)
        elif waited != bool(connection.outgoing):
            self.poller.modify(connection.sock.fileno(),
                               select.EPOLLIN | (select.EPOLLOUT if connection.outgoing else 0))

    def hang_up(self, connection: Connection) -> None:
        """End a connection."""
        if not connection.closed:
            connection.closed = True
            del self.connections[connection.sock.fileno()]
            self.forget(connection.sock.fileno())
            connection.sock.close()

    def idle(self) -> None:
        """Close connections on which nothing was asked for long."""
        for connection in [each for each in self.connections.values() if each.last < time.monotonic() - IDLE]:
            self.hang_up(connection)


def _bind(address: str, port: int, kind: int) -> socket.socket:
    ipv6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6 if ipv6 else socket.IPPROTO_IP, _IPV6_FREEBIND if ipv6 else _IP_FREEBIND, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _records(kind: int, found: zones.Found, turn: int) -> List[bytes]:
    """The records of a type, each time another first."""
    records: List[bytes] = []
    for of, values in zip((dns.A, dns.AAAA, dns.PTR), found):
        if kind in (of, dns.ANY) and values:
            first = turn % len(values)
            records += [dns.record(of, value) for value in values[first:] + values[:first]]
    return records
