# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper: one small process per host from which containers and their monitors are forked.

It has imported all that a monitor needs, is frozen against the garbage
collector so that forked children share its memory, and runs from a read-only
copy of the interpreter. It also adopts: when a monitor dies, the container's
init becomes the keeper's child (PR_SET_CHILD_SUBREAPER), its exit status is
learnt here, and a new monitor is forked. Nothing depends on the keeper being
alive.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..network import zones
from ..store import files
from . import client, errands, naming, records, shifts, sockets, watcher

_MONITORS = (b'{"do": "start"', b'{"do": "adopt"')
"""How requests for a monitor begin. The keeper reads no further: what it writes to in its memory ceases to be shared with each monitor."""
IDLE = 2.0
"""Seconds without monitor or request after which the keeper goes."""
REST = 1.0
"""Seconds between two attempts to watch the same container when the first one failed."""


def main(instance: Instance) -> int:
    """Be the keeper until there is nothing left to keep."""
    files.make_folder(instance.run_root)
    path = client.socket_path(instance)
    lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # there is one already
    processes.set_subreaper(True)
    processes.set_name("coracle-keeper")
    _load_what_monitors_need()
    watcher.rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()
    keeper = Keeper(instance, sockets.listen(path), path, lock)
    keeper.adopt_orphans()
    keeper.open_doors()
    keeper.mind_resolver()
    keeper.serve()
    files.remove(path)
    return 0


def _load_what_monitors_need() -> None:
    """Import now, once, what would be imported in each monitor when it first needs it."""
    from . import lifecycle, log_services, probe, programs  # noqa: F401  # pylint: disable=import-outside-toplevel,unused-import
    from ..runtime import exec as added  # noqa: F401  # pylint: disable=import-outside-toplevel,unused-import
    files.encode_json({})


def _resolver(instance: Instance, link: Optional[socket.socket]) -> int:
    from . import resolver  # only once, and only there  # pylint: disable=import-outside-toplevel
    return resolver.main(instance, link)


class Keeper:
    """The keeper's loop: requests on one side, ended children on the other."""

    def __init__(self, instance: Instance, listener: socket.socket, path: str, lock: int) -> None:
        self.instance = instance
        self.lock = lock
        self.listener = listener
        self.path = path
        self.monitors: Dict[int, str] = {}
        self.due: List[Tuple[float, str]] = []
        self.doors: Optional[Any] = None
        self.guard = 0
        self.resolver = -1
        self.resolver_due: Optional[float] = None
        self.resolver_began = 0.0
        self.wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def serve(self) -> None:
        """Run until idle."""
        poller = select.poll()
        poller.register(self.listener, select.POLLIN)
        poller.register(self.wake, select.POLLIN)
        while True:
            doors = self.doors.handles() if self.doors is not None else {}
            self.mind_guard()
            sleeping = self.doors is not None and (self.doors.open or self.doors.waking)
            busy = bool(self.monitors or self.due or sleeping or self.resolver >= 0 or self.resolver_due is not None)
            soon = self.due or self.resolver_due is not None
            watched = self.resolver
            if watched >= 0:
                poller.register(watched, select.POLLIN)
            for handle in doors:
                poller.register(handle, select.POLLIN)
            ready = {handle for handle, _events in poller.poll(100 if soon else None if busy else IDLE * 1000)}
            if watched >= 0:
                poller.unregister(watched)
            for handle in doors:
                poller.unregister(handle)
            for name in {doors[handle] for handle in ready if handle in doors}:
                self.wake_up(name)
            if watched in ready:
                self.resolver_ended()
            if self.wake in ready:
                os.read(self.wake, 4096)
            self.reap()
            if self.listener.fileno() in ready:
                self.accept()
            now = time.monotonic()
            for when, name in [each for each in self.due if each[0] <= now]:
                self.due.remove((when, name))
                if name:
                    self.adopt(name)
                else:
                    self.adopt_orphans()
            if self.resolver_due is not None and self.resolver_due <= now:
                self.mind_resolver()
            if not ready and not busy:
                # Whoever connected before the name was gone is served; whoever comes later starts another keeper.
                files.remove(self.path)
                if not select.select([self.listener], [], [], 0)[0]:
                    return
                poller.unregister(self.listener)
                pending = self.listener
                self.listener = sockets.listen(self.path)
                poller.register(self.listener, select.POLLIN)
                self.accept(pending)
                pending.close()

    def accept(self, listener: Optional[socket.socket] = None) -> None:
        """Take one request and fork the monitor that answers it.

        Without the class of C(socket) as far as there: it makes enumerations of numbers, which takes many pages of memory.
        """
        handle, _address = (listener or self.listener)._accept()  # type: ignore[attr-defined]  # pylint: disable=protected-access
        plain = _socket.socket(fileno=handle)
        try:
            plain.settimeout(5)
            asked = plain.recv(len(_MONITORS[0]), _socket.MSG_PEEK)
        except OSError:
            asked = b""
        if not asked:  # who only wanted to know whether there is a keeper has gone again
            plain.close()
            return
        if asked in _MONITORS:
            plain.settimeout(None)
            self.fork("", handle)
            plain.close()
            return
        link = socket.socket(fileno=plain.detach())
        try:
            link.settimeout(5)
            request = sockets.receive(link) if sockets.peer_is_owner(link) else None
            if request is not None and request["do"] == "resolve":
                self.mind_resolver(link)
            elif request is not None and request["do"] == "mind":
                self.mind_resolver()
            elif request is not None and request["do"] in ("listen", "unlisten"):
                self.listen(request["name"], request["do"] == "listen", link)
        except (OSError, ValueError, KeyError) as error:
            complain("a request was not understood: %r" % error)
        finally:
            link.close()

    def fork(self, name: str, link: Optional[int]) -> None:
        """Fork a monitor; what it is to do, and for whom, it reads from the connection itself, where there is one."""
        child = self.child("a monitor", lambda: shifts.main(self.instance, name, link))
        self.monitors[child] = name

    def child(self, what: str, work: Callable[[], int], doors: str = "") -> int:
        """Fork a process that does some work and ends with the status that this returns; its number.

        Args:
            doors: The container whose listening sockets it keeps.
        """
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            os.close(self.wake)
            os.close(self.lock)  # the keeper's alone: with it a child would keep the next keeper out
            os.close(self.listener.fileno())
            if self.doors is not None:
                self.doors.close_others(doors)
            status = work()
        except BaseException as error:  # pylint: disable=broad-except
            complain("%s: %s: %s" % (what, type(error).__name__, error))
        finally:
            os._exit(status)

    # Containers that sleep

    def listen(self, name: str, wanted: bool, link: socket.socket) -> None:
        """Listen for a container that sleeps, or no longer; say so, or what is in the way."""
        if self.doors is None:
            from . import waking  # only where there is one  # pylint: disable=import-outside-toplevel
            self.doors = waking.Doors(self.instance)
        try:
            if wanted:
                self.doors.listen(name)
            else:
                self.doors.close(name)
            sockets.send(link, {"done": name})
        except EngineError as error:
            sockets.send(link, {"error": error.what, "remedy": error.remedy, "facts": error.facts})

    def open_doors(self) -> None:
        """Listen for those for whom an earlier keeper has listened."""
        from ..network import publish  # pylint: disable=import-outside-toplevel
        folder = publish.listening_folder(self.instance)
        for note in os.listdir(folder) if os.path.isdir(folder) else ():
            ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.listen(note[:-len(".json")], True, ends[0])
            for end in ends:
                end.close()

    def mind_guard(self) -> None:
        """As long as it listens for anybody, have a process that waits for this one's end."""
        wanted = bool(self.doors is not None and self.doors.open)
        if wanted == bool(self.guard):
            return
        from . import guard  # pylint: disable=import-outside-toplevel
        if wanted:
            me = os.getpid()
            self.guard = self.child("the guard", lambda: guard.main(self.instance, me))
        else:
            guard.end(self.guard)

    def wake_up(self, name: str) -> None:
        """Have a process of its own start a container to which somebody has connected."""
        from . import waking  # pylint: disable=import-outside-toplevel
        if self.doors is not None:
            doors = self.doors.open[name]
            self.doors.waking[self.child("waking of " + name, lambda: waking.serve(self.instance, name, doors), name)] = name

    # The resolver

    def mind_resolver(self, link: Optional[socket.socket] = None) -> None:
        """Have a resolver of this engine where there is something to resolve, and watch it.

        Args:
            link: Who asked for it; it is told, or closed, once there is one.
        """
        self.resolver_due = None
        if not zones.wanted(self.instance):
            return
        pid = None if link is not None else naming.watch(self.instance)  # who asks has looked, and wants another
        if pid is None:
            if link is None and naming.running(self.instance) is not None:
                return  # another engine's, which has a keeper of its own
            pid = self.child("resolver", lambda: _resolver(self.instance, link))
            self.resolver_began = time.monotonic()
        if self.resolver >= 0:
            os.close(self.resolver)
            self.resolver = -1
        try:
            self.resolver = os.pidfd_open(pid)
        except ProcessLookupError:
            self.resolver_due = time.monotonic() + REST

    def resolver_ended(self) -> None:
        """Put another in its place: at once, unless it ended as soon as it had begun."""
        os.close(self.resolver)
        self.resolver = -1
        now = time.monotonic()
        self.resolver_due = now + (REST if now - self.resolver_began < REST else 0)

    def reap(self) -> None:
        """Take note of every child that has ended."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid not in self.monitors and found.si_pid != self.guard:
                self.note_orphan(found.si_pid)
            _pid, status = os.waitpid(found.si_pid, 0)
            if found.si_pid == self.guard:
                self.guard = 0
            if self.doors is not None:
                self.doors.waking.pop(found.si_pid, None)
            name = self.monitors.pop(found.si_pid, None)
            if name is not None and status:
                # Killed: another takes over at once. Ended by itself: it could not do its work, so not so fast.
                self.due.append((time.monotonic() + (0 if os.WIFSIGNALED(status) else REST), name))

    def watched(self) -> List[str]:
        """The containers that this keeper has of its own accord forked a monitor for."""
        return list(self.monitors.values())

    def note_orphan(self, pid: int) -> None:
        """Keep the exit status of a container's init whose monitor is gone, before it can be learnt no more."""
        for name in records.names(self.instance):
            init = records.read_live(self.instance, name).init
            if init is not None and init.pid == pid:
                # The zombie is still there, so its start time can be compared; pidfds of others become readable now.
                found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                if found is not None:
                    code = found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status
                    files.write_json(records.run_folder(self.instance, name, "exit.json"),
                                     {"pid": pid, "start_time": init.start_time, "exit_code": code}, durable=False)

    def adopt_orphans(self) -> None:
        """Give a monitor to every running container that has none."""
        for name in records.names(self.instance):
            self.adopt(name)

    def adopt(self, name: str) -> None:
        """Give a monitor to one container if it has something to watch and nobody who does."""
        if name not in self.watched() and errands.orphaned(self.instance, name):
            self.fork(name, None)


def complain(text: str) -> None:
    """Write a line to the keeper's log."""
    sys.stderr.write("%s %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text))
    sys.stderr.flush()
