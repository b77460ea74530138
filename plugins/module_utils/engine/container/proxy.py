# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy: one process for all published ports that the kernel alone cannot lead to a container.

The resolver listens, and forks this process when somebody connects; so a host where nobody does has none. It serves what it was forked
with. When the ports change it is told to listen no more, goes on with the connections that it has, and ends with the last of them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import struct
import time
from typing import Callable, Dict, List, Mapping, Tuple

from ..kernel import capabilities, processes, syscalls
from ..network.proxied import Way

IDLE = 30.0
"""Seconds without a connection after which it ends."""
FLOW = 60.0
"""Seconds for which an answer to a datagram is waited for after the last one of either side."""
_CHUNK = 1 << 18
"""Bytes that wait for one side to take them before the other is read no further."""
_FLOWS = 4096
_BACKLOG = 1024
_PR_SET_PDEATHSIG = 1

Key = Tuple[str, str, int]
"""Protocol, address and port that are listened at."""


class Listening:
    """The resolver's part: the sockets, and the process that serves them.

    Args:
        handle, forget: The resolver's loop: call a function when a descriptor is ready, and no longer.
    """

    def __init__(self, handle: Callable[[int, Callable[[int], None]], None], forget: Callable[[int], None]) -> None:
        self.handle, self.forget = handle, forget
        self.sockets: Dict[Key, socket.socket] = {}
        self.ways: Dict[Key, Way] = {}
        self.failed: Dict[str, str] = {}
        self.pid, self.pidfd = 0, -1

    def follow(self, ways: List[Way]) -> None:
        """Listen where it is wanted now; a process that serves something else is told to end."""
        wanted = {(way.protocol, way.address, way.port): way for way in ways}
        if wanted == self.ways and not self.failed:
            return
        self.dismiss()
        for key in set(self.sockets) - set(wanted):
            self._close(key)
        self.failed = {}
        for key, way in sorted(wanted.items()):
            try:
                if key not in self.sockets:
                    self.sockets[key] = _listen(*key)
                    self.handle(self.sockets[key].fileno(), lambda _events: self.employ())
            except OSError as error:
                if way.needed:
                    self.failed["%s %s port %d" % key] = error.strerror or str(error)
        self.ways = {key: way for key, way in wanted.items() if key in self.sockets}

    def close(self) -> None:
        """Listen no more."""
        self.dismiss()
        for key in list(self.sockets):
            self._close(key)
        self.ways = {}

    def employ(self) -> None:
        """Somebody has connected: fork the process that serves all."""
        if self.pid:
            return
        pid = os.fork()
        if pid == 0:
            try:
                _be(self.sockets, self.ways)
            finally:
                os._exit(0)
        try:
            self.pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self.pid = pid
        for sock in self.sockets.values():
            self.forget(sock.fileno())
        self.handle(self.pidfd, lambda _events: self._ended())

    def dismiss(self) -> None:
        """Have the process end when its connections have."""
        if self.pid:
            processes.send_signal(self.pidfd, signal.SIGTERM)
            self._ended()

    def _ended(self) -> None:
        self.forget(self.pidfd)
        os.close(self.pidfd)
        self.pid, self.pidfd = 0, -1
        for sock in self.sockets.values():
            self.handle(sock.fileno(), lambda _events: self.employ())

    def _close(self, key: Key) -> None:
        sock = self.sockets.pop(key)
        self.forget(sock.fileno())
        sock.close()


def _listen(protocol: str, address: str, port: int) -> socket.socket:
    """A socket that takes what comes to a port.

    Raises:
        OSError: Somebody else has it, or the host has not the address.
    """
    six = ":" in address
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # a newer engine's takes its place
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if protocol == "tcp":
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _be(sockets: Mapping[Key, socket.socket], ways: Mapping[Key, Way]) -> None:
    """In the fork: keep the sockets and nothing else, and serve them."""
    processes.set_name("coracle-proxy")
    wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    keep = {0, 1, 2, wake, wake_write, *(sock.fileno() for sock in sockets.values())}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # the one that lists
                pass
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    syscalls.libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM))
    try:
        import resource  # pylint: disable=import-outside-toplevel
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ImportError, OSError, ValueError):
        pass
    capabilities.give_up()  # it talks with strangers and with containers, and needs no right for it
    processes.set_dumpable(False)
    Proxy([(sock, ways[key]) for key, sock in sockets.items() if key in ways], wake).serve()


class Stream:
    """Two connections, each of which gets what the other sends; side 0 is the client's."""

    def __init__(self, client: socket.socket, target: socket.socket) -> None:
        self.sides = (client, target)
        self.waiting = [bytearray(), bytearray()]
        """What each side has sent and the other has not taken yet."""
        self.ended = [False, False]
        self.told = [False, False]
        """Whether a side was told that no more comes."""
        self.connected = False
        self.interest = [0, 0]


class Proxy:
    """The process's loop."""

    def __init__(self, listeners: List[Tuple[socket.socket, Way]], wake: int) -> None:
        self.poller = select.epoll()
        self.listeners = {sock.fileno(): (sock, way) for sock, way in listeners}
        self.streams: Dict[int, Tuple[Stream, int]] = {}
        self.flows: Dict[Tuple[int, Tuple[str, int]], socket.socket] = {}
        self.answers: Dict[int, Tuple[socket.socket, socket.socket, Tuple[int, Tuple[str, int]], List[float]]] = {}
        self.wake = wake
        self.leaving = False
        for handle in (*self.listeners, wake):
            self.poller.register(handle, select.EPOLLIN)

    def serve(self) -> None:
        """Relay until there has been nothing to relay for a while, or, once told to leave, nothing is left."""
        quiet = time.monotonic()
        while True:
            for handle, events in self.poller.poll(1.0):
                if handle == self.wake:
                    self.leave()
                elif handle in self.streams:
                    self.relay(*self.streams[handle], events)
                elif handle in self.answers:
                    self.answer(handle)
                elif handle in self.listeners:
                    self.take(*self.listeners[handle])
            now = time.monotonic()
            for handle in [handle for handle, each in self.answers.items() if each[3][0] < now - FLOW]:
                self.drop_flow(handle)
            if self.streams or self.answers:
                quiet = now
            if self.leaving and not self.streams or now - quiet > IDLE:
                return

    def leave(self) -> None:
        """Listen no more."""
        os.read(self.wake, 64)
        self.leaving = True
        for handle in self.listeners:
            self.poller.unregister(handle)
        self.listeners = {}

    def take(self, listener: socket.socket, way: Way) -> None:
        """A connection, or a datagram."""
        try:
            if way.protocol == "udp":
                self.datagram(listener, way)
                return
            client = listener.accept()[0]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                time.sleep(0.01)
            return
        target = socket.socket(socket.AF_INET6 if ":" in way.target else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        stream = Stream(client, target)
        client.setblocking(False)
        for sock in stream.sides:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        status = target.connect_ex((way.target, way.target_port))
        for side, sock in enumerate(stream.sides):
            self.streams[sock.fileno()] = (stream, side)
            self.poller.register(sock.fileno(), 0)
        if status not in (0, errno.EINPROGRESS):
            self.close(stream, reset=True)
        else:
            self.watch(stream)

    def relay(self, stream: Stream, side: int, events: int) -> None:
        """Bring on what one side has sent, and what the other can take."""
        try:
            if not stream.connected:
                status = stream.sides[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if side == 0 or status:
                    self.close(stream, reset=True)
                    return
                stream.connected = True
            if events & ~select.EPOLLOUT and not stream.ended[side] and len(stream.waiting[side]) < _CHUNK:
                part = stream.sides[side].recv(_CHUNK)
                if part:
                    stream.waiting[side] += part
                else:
                    stream.ended[side] = True
            for one in (side, 1 - side):
                self.flush(stream, one)
        except BlockingIOError:
            pass
        except OSError:
            self.close(stream, reset=True)
            return
        if all(stream.told):
            self.close(stream)
        else:
            self.watch(stream)

    def flush(self, stream: Stream, side: int) -> None:
        """Send the other side what one has sent."""
        if stream.waiting[side]:
            try:
                del stream.waiting[side][:stream.sides[1 - side].send(stream.waiting[side])]
            except BlockingIOError:
                return
        if stream.ended[side] and not stream.waiting[side] and not stream.told[1 - side]:
            stream.told[1 - side] = True
            stream.sides[1 - side].shutdown(socket.SHUT_WR)

    def watch(self, stream: Stream) -> None:
        """Wait for what can come next."""
        for side, sock in enumerate(stream.sides):
            wanted = 0
            if stream.connected and not stream.ended[side] and len(stream.waiting[side]) < _CHUNK:
                wanted |= select.EPOLLIN
            if stream.waiting[1 - side] or side == 1 and not stream.connected:
                wanted |= select.EPOLLOUT
            if stream.connected and stream.ended[side] and stream.told[side]:
                wanted = -1  # nothing is to come, but that it has gone, which would be told again and again
            if wanted == stream.interest[side]:
                continue
            if wanted == -1:
                self.poller.unregister(sock.fileno())
            elif stream.interest[side] == -1:
                self.poller.register(sock.fileno(), wanted)
            else:
                self.poller.modify(sock.fileno(), wanted)
            stream.interest[side] = wanted

    def close(self, stream: Stream, reset: bool = False) -> None:
        """End both connections; with C(reset), so that the client learns that it was no good end."""
        for side, sock in enumerate(stream.sides):
            del self.streams[sock.fileno()]
            if stream.interest[side] != -1:
                self.poller.unregister(sock.fileno())
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

    def datagram(self, listener: socket.socket, way: Way) -> None:
        """Send a datagram on, by a socket for each who sends."""
        content, peer = listener.recvfrom(65536)
        key = (listener.fileno(), peer)
        target = self.flows.get(key)
        if target is None:
            if len(self.answers) >= _FLOWS:
                self.drop_flow(min(self.answers, key=lambda handle: self.answers[handle][3][0]))
            target = socket.socket(socket.AF_INET6 if ":" in way.target else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            target.connect((way.target, way.target_port))
            self.flows[key] = target
            self.answers[target.fileno()] = (target, listener, key, [0.0])
            self.poller.register(target.fileno(), select.EPOLLIN)
        self.answers[target.fileno()][3][0] = time.monotonic()
        target.send(content)

    def answer(self, handle: int) -> None:
        """Send an answer back."""
        target, listener, key, last = self.answers[handle]
        try:
            listener.sendto(target.recv(65536), key[1])
            last[0] = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.drop_flow(handle)

    def drop_flow(self, handle: int) -> None:
        """Forget who sent datagrams."""
        target, _listener, key, _last = self.answers.pop(handle)
        del self.flows[key]
        self.poller.unregister(handle)
        target.close()
