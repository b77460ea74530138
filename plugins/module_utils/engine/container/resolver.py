# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolver: one small process per instance that answers containers on their bridges' addresses.

Forked from the keeper, as a monitor is, and watched by it; it watches the keeper in turn. All that it knows lies in the
zones' files, which are written before anybody is told of a change, so that it can be killed and replaced at any time.
A newer engine's resolver takes its place without a moment in which nobody answers: both listen until the older has answered
what it was asked.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from typing import List, Optional, Set, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..kernel import inotify, nftables, processes
from ..network import answering, firewall, proxied, zones
from ..store import files
from . import client, naming, proxy, sockets

LOOK = 1.0
"""Seconds between two looks whether somebody has flushed the rules."""
LAST = 10.0
"""Seconds that one who leaves waits for answers from outside."""


def main(instance: Instance, link: Optional[socket.socket]) -> int:
    """Be the resolver until there is nothing to resolve.

    Args:
        link: Who waits for it; is told when it listens.

    Returns: 0 where nothing has to take its place.
    """
    processes.set_name("coracle-names")
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    lock = os.open(instance.run("resolver.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    older: Optional[socket.socket] = None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if older is None:
                older = sockets.connect(naming.control_path(instance))
                said = None if older is None else naming.ask(older, {"do": "leave", "engine": naming.engine()})
                if said is not None and said["stays"]:
                    return 0
            time.sleep(0.005)
    resolver = Resolver(instance, lock)
    resolver.follow()
    resolver.open_control()
    for each in (older, link):
        if each is not None:
            sockets.send(each, {"pid": os.getpid()})
            each.close()
    resolver.serve()
    return 0


class Resolver(answering.Answering):
    """The resolver's loop."""

    def __init__(self, instance: Instance, lock: int) -> None:
        super().__init__()
        self.instance = instance
        self.lock = lock
        self.leaving = 0.0
        self.control: Optional[socket.socket] = None
        self.notes = -1
        self.keepers: Set[int] = set()
        self.proxy = proxy.Listening(self.handle, self.forget)
        self.generation, self.look_due, self.mender = -1, 0.0, 0
        self.watch_keeper(os.getppid())
        self.read_zones()

    # What there is to know

    def read_zones(self) -> None:
        """Read the zones again, and watch for their next change."""
        if self.notes >= 0:
            self.forget(self.notes)
            os.close(self.notes)
            self.notes = -1
        if os.path.isdir(zones.folder(self.instance)):
            self.notes = inotify.watch(zones.folder(self.instance))
            self.handle(self.notes, lambda _events: self.changed())
        self.directory = zones.Directory(zones.every(self.instance))

    def changed(self) -> None:
        """Follow a change of the zones."""
        inotify.drain(self.notes)
        if not os.path.isdir(zones.folder(self.instance)):
            self.read_zones()
        else:
            self.directory = zones.Directory(zones.every(self.instance))
        self.follow()

    def follow(self) -> None:
        """Listen where the zones say, and for the ports that are to be relayed."""
        self.listen(firewall.resolver_ports(self.instance))
        self.proxy.follow(proxied.read(self.instance))

    def watch_keeper(self, pid: int) -> None:
        """Learn when a keeper ends."""
        try:
            keeper = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self.keepers.add(keeper)
        self.handle(keeper, lambda _events: self.keeper_gone(keeper))

    def keeper_gone(self, keeper: int) -> None:
        """Have another one started, so that somebody watches this process and adopts the containers' monitors."""
        self.forget(keeper)
        os.close(keeper)
        self.keepers.discard(keeper)
        if self.directory.own and not self.keepers and not self.leaving and os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.closerange(3, 65536)  # the resolver's alone
                client.ask(self.instance, {"do": "mind"}).close()
            except EngineError as error:
                sys.stderr.write("the resolver could not have a keeper started: %s\n" % error)
            finally:
                os._exit(0)

    # The engine's side

    def open_control(self) -> None:
        """Let the engine speak with this process."""
        control = self.control = sockets.listen(naming.control_path(self.instance))
        self.handle(control.fileno(), lambda _events: self.command(control))

    def command(self, control: socket.socket) -> None:
        """Do what the engine asks for."""
        link, _address = control.accept()
        try:
            link.settimeout(5)
            request = sockets.receive(link) if sockets.peer_is_owner(link) else None
            if request is not None and request.get("do") == "sync":
                self.read_zones()
                self.follow()
                sockets.send(link, {
                    "engine": naming.engine(), "failed": self.failed, "refused": self.proxy.failed,
                    "moved": {address: port for (_network, address), (port, _socks) in self.listening.items()
                              if port != answering.PORT}})
            elif request is not None and request.get("do") == "watch":
                self.watch_keeper(sockets.peer(link))
                sockets.send(link, {"engine": naming.engine()})
            elif request is not None and request.get("do") == "leave":
                self.leave(link, request.get("engine") != naming.engine())
                return
        except (OSError, ValueError):
            pass
        link.close()

    def leave(self, link: socket.socket, really: bool) -> None:
        """Make room for a newer one: it takes the lock, listens too, and then says so or closes the connection."""
        sockets.send(link, {"stays": not really})
        if not really or self.control is None:
            link.close()
            return
        self.forget(self.control.fileno())
        self.control.close()
        self.control = None
        files.remove(naming.control_path(self.instance))
        os.close(self.lock)

        def taken(_events: int) -> None:
            self.forget(link.fileno())
            link.close()
            self.leaving = time.monotonic() + LAST
            self.proxy.close()
        self.handle(link.fileno(), taken)

    def serve(self) -> None:
        """Answer until there is nothing to resolve, or a newer one does."""
        while self.directory.own:
            wait = self.forwarder.tick()
            wait = LOOK if wait < 0 else min(wait, LOOK)
            self.look_at_rules()
            if self.leaving:
                # Its sockets share the ports with the newer one's: what has come to them by now is still to be answered.
                if self.listening and not self.poller.poll(0):
                    for key in list(self.listening):
                        self.close(key)
                if not self.listening and (not self.forwarder.flights or time.monotonic() > self.leaving):
                    return
                wait = 0.1
            if self.connections:
                self.idle()
            self.round(self.poller.poll(wait))
        self.proxy.close()
        if self.control is not None:
            files.remove(naming.control_path(self.instance))

    def look_at_rules(self) -> None:
        """Have the rules mended where somebody has flushed them with the rest of the host's: where any have changed and ours are gone."""
        now = time.monotonic()
        if now < self.look_due or self.leaving:
            return
        self.look_due = now + LOOK
        try:
            generation = nftables.generation()
            if generation == self.generation or _lives(self.mender):
                return
            if nftables.exists(firewall.FAMILY, self.instance.name):
                self.generation = generation
                return
        except (EngineError, OSError):
            return
        self.mender = os.fork()
        if self.mender == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                nftables.forget()
                os.closerange(3, 65536)  # the resolver's alone
                from ..network import declare  # only there  # pylint: disable=import-outside-toplevel
                declare.mend(self.instance)
            except (EngineError, OSError) as error:
                sys.stderr.write("the rules could not be mended: %s\n" % error)
            finally:
                os._exit(0)

    def round(self, ready: List[Tuple[int, int]]) -> None:
        """Do what descriptors are ready for."""
        if self.notes >= 0 and any(handle == self.notes for handle, _events in ready):
            self.changed()  # before the questions, of which some have come after it
        for handle, events in ready:
            step = self.handlers.get(handle)
            if step is None:
                self.forwarder.ready(handle, events)
            elif handle != self.notes:
                step(events)


def _lives(pid: int) -> bool:
    """Whether a child is still at work; those that have ended are not kept."""
    try:
        if pid:
            os.kill(pid, 0)
        return bool(pid)
    except ProcessLookupError:
        return False
