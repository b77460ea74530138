# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors of containers that sleep: the keeper's listening sockets, and the process that wakes a container when somebody knocks."""

from __future__ import annotations

import errno
import select
import socket
import sys
import threading
import time
from typing import Dict, Iterable, List, Optional, Tuple

from ..errors import Conflict, EngineError
from ..instance import Instance
from ..kernel import processes
from ..network import publish
from ..network.publish import Published
from ..store import locks
from . import activation, lifecycle, records, wiring

PATIENCE = 60.0
"""Seconds that a container may take to start, and then to accept a connection."""
MOST = 256
"""Connections that are carried at once; more wait in the kernel."""
_REST = 0.02
_CHUNK = 1 << 16


class Doors:
    """The keeper's listening sockets, by container."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.open: Dict[str, Dict[Published, socket.socket]] = {}
        self.waking: Dict[int, str] = {}

    def listen(self, name: str) -> None:
        """Listen on a container's ports of TCP, and on no others for it.

        Those of other protocols know no connection that somebody could wait with; they are kept for it, and lead to it while it runs.

        Raises:
            Conflict: One cannot be had; nothing has changed.
        """
        record = records.read(self.instance, records.current(self.instance, name))
        wanted = publish.expand(record.options.get("published_ports") or ()) if record is not None else ()
        before = self.open.get(name, {})
        fresh: Dict[Published, socket.socket] = {}
        try:
            for port in _doors(wanted):
                if port not in before:
                    fresh[port] = _listen(port)
        except OSError as error:
            for each in fresh.values():
                each.close()
            raise Conflict("port %s of the host cannot be listened on: %s" % (publish.contract([port])[0], error.strerror),
                           "Publish another port, or see who has it with: ss -lntp")
        for port in set(before) - set(_doors(wanted)):
            before.pop(port).close()
        self.open[name] = {**before, **fresh}
        activation.note(self.instance, name, publish.contract(wanted))

    def close(self, name: str) -> None:
        """Listen for a container no longer."""
        for each in self.open.pop(name, {}).values():
            each.close()

    def close_others(self, name: str = "") -> None:
        """In a fork of the keeper: let go of all but one container's."""
        for each in list(self.open):
            if each != name:
                self.close(each)

    def handles(self) -> Dict[int, str]:
        """The descriptors to be watched, and whose they are; those of a container that is being woken are watched by who does that."""
        busy = set(self.waking.values())
        return {each.fileno(): name for name, ports in self.open.items() if name not in busy for each in ports.values()}


def _doors(ports: Iterable[Published]) -> List[Published]:
    return [port for port in ports if port.protocol == activation.PROTOCOL]


def _listen(port: Published) -> socket.socket:
    for family, address in ([(socket.AF_INET6 if ":" in port.address else socket.AF_INET, port.address)] if port.address else
                            [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]):
        try:
            made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        except OSError:  # no IPv6
            continue
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The instance's own proxy may listen there for IPv6, as long as the container runs; either leads to it.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if address == "::":
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind((address, port.host_port))
            made.listen(1024)
            return made
        except OSError as error:
            made.close()
            if address != "::" or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    raise OSError(errno.EAFNOSUPPORT, "the host has neither IPv6 nor IPv4")


def serve(instance: Instance, name: str, doors: Dict[Published, socket.socket]) -> int:
    """Wake a container, and carry the connections that came to its doors until they end; the exit status of the process."""
    processes.set_name("coracle-wake")
    address: Optional[str] = None
    try:
        address = _wake(instance, name)
    except (EngineError, OSError) as error:
        sys.stderr.write("coracle: %s: somebody has connected, but %s\n" % (name, error))
        sys.stderr.flush()
    carriers: List[threading.Thread] = []
    accepted = threading.Event()
    published = address is None
    deadline = time.monotonic() + PATIENCE
    while True:
        carriers = [each for each in carriers if each.is_alive()]
        for port, link in _arrived(doors, MOST - len(carriers)):
            if address is None:
                link.close()
                continue
            carriers.append(threading.Thread(target=_carry, args=(link, (address, port.port), deadline, accepted), daemon=True))
            carriers[-1].start()
        if not published and (accepted.is_set() or time.monotonic() > deadline or not carriers):
            published = True
            _publish(instance, name)
        elif published and not carriers and not select.select(list(doors.values()), [], [], 0)[0]:
            return 0
        if published and len(carriers) < MOST:
            select.select(list(doors.values()), [], [], _REST * 10)
        else:
            accepted.wait(_REST)


def _arrived(doors: Dict[Published, socket.socket], most: int) -> List[Tuple[Published, socket.socket]]:
    found: List[Tuple[Published, socket.socket]] = []
    for port, door in doors.items():
        while len(found) < most:
            try:
                link, _peer = door.accept()
            except BlockingIOError:
                break
            except OSError:  # it has gone already
                continue
            link.setblocking(True)
            found.append((port, link))
    return found


def _wake(instance: Instance, name: str) -> Optional[str]:
    """Have the container run; its address, or C(None) where it is not to run.

    Raises:
        EngineError: It cannot be started.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        with locks.held(instance, "container", name):
            folder = records.current(instance, name)
            record, live = records.read(instance, folder), records.read_live(instance, folder)
            if record is None or not activation.wanted(record.options) or not activation.listening(instance, name):
                return None
            runs, watched = (each is not None and processes.alive(each) for each in live)
            if runs and records.read_status(instance, folder).ended_for != activation.IDLE:
                break
            if not runs and not watched:
                lifecycle.release(instance, folder)
                lifecycle.start(instance, record, published=False).close()
                break
        if time.monotonic() > deadline:  # it is on its way down, or between two starts, for longer than anybody waits
            raise EngineError("the container does not come up within %g s" % PATIENCE)
        time.sleep(_REST)
    netns = wiring.settle(instance, folder, record.options)
    return netns.attachments[0].address if netns.attachments else None


def _publish(instance: Instance, name: str) -> None:
    try:
        with locks.held(instance, "container", name):
            record = records.read(instance, records.current(instance, name))
            live = None if record is None else records.read_live(instance, record.name).init
            if record is not None and live is not None and processes.alive(live):
                activation.publish_ports(instance, record, True)
    except (EngineError, OSError) as error:
        sys.stderr.write("coracle: %s: its ports: %s\n" % (name, error))
        sys.stderr.flush()


def _carry(link: socket.socket, target: Tuple[str, int], deadline: float, accepted: threading.Event) -> None:
    """Take one connection to the container, once that accepts."""
    with link:
        while True:
            try:
                inner = socket.create_connection(target, timeout=5)
                break
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(_REST)
        accepted.set()
        with inner:
            inner.settimeout(None)
            back = threading.Thread(target=_pour, args=(inner, link), daemon=True)
            back.start()
            _pour(link, inner)
            back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Send on what comes, and say when nothing more does."""
    try:
        while True:
            content = source.recv(_CHUNK)
            if not content:
                break
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
