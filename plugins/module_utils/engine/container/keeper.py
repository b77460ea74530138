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

import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from ..instance import Instance
from ..kernel import processes
from ..store import files
from . import client, monitor, records, sockets

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
    processes.become_subreaper()
    processes.set_name("coracle-keeper")
    gc.collect()
    gc.freeze()
    gc.disable()
    keeper = Keeper(instance, sockets.listen(path), path)
    keeper.adopt_orphans()
    keeper.serve()
    files.remove(path)
    return 0


class Keeper:
    """The keeper's loop: requests on one side, ended children on the other."""

    def __init__(self, instance: Instance, listener: socket.socket, path: str) -> None:
        self.instance = instance
        self.listener = listener
        self.path = path
        self.monitors: Dict[int, str] = {}
        self.due: List[Tuple[float, str]] = []
        self.wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def serve(self) -> None:
        """Run until idle."""
        poller = select.poll()
        poller.register(self.listener, select.POLLIN)
        poller.register(self.wake, select.POLLIN)
        while True:
            busy = bool(self.monitors or self.due)
            ready = {handle for handle, _events in poller.poll(100 if self.due else None if busy else IDLE * 1000)}
            if self.wake in ready:
                os.read(self.wake, 4096)
            self.reap()
            if self.listener.fileno() in ready:
                self.accept()
            now = time.monotonic()
            for when, name in [each for each in self.due if each[0] <= now]:
                self.due.remove((when, name))
                self.adopt(name)
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
        """Take one request and fork the monitor that answers it."""
        link, _address = (listener or self.listener).accept()
        try:
            link.settimeout(5)
            request = sockets.receive(link) if sockets.peer_is_owner(link) else None
            if request is not None:
                link.settimeout(None)
                self.fork(request["name"], request, link)
        except (OSError, ValueError, KeyError) as error:
            complain("a request was not understood: %r" % error)
        finally:
            link.close()

    def fork(self, name: str, request: Dict[str, Any], link: Optional[socket.socket]) -> None:
        """Fork a monitor."""
        child = os.fork()
        if child:
            self.monitors[child] = name
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self.wake)
            self.listener.close()
            status = monitor.main(self.instance, name, request, link)
        except BaseException as error:  # pylint: disable=broad-except
            complain("monitor of %s: %s: %s" % (name, type(error).__name__, error))
        finally:
            os._exit(status)

    def reap(self) -> None:
        """Take note of every child that has ended."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid not in self.monitors:
                self.note_orphan(found.si_pid)
            _pid, status = os.waitpid(found.si_pid, 0)
            name = self.monitors.pop(found.si_pid, None)
            if name is not None and status:
                # Killed: another takes over at once. Ended by itself: it could not do its work, so not so fast.
                self.due.append((time.monotonic() + (0 if os.WIFSIGNALED(status) else REST), name))

    def watched(self) -> List[str]:
        """The containers that have a monitor of this keeper."""
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
        if name not in self.watched() and monitor.orphaned(self.instance, name):
            self.fork(name, {"do": "adopt"}, None)


def complain(text: str) -> None:
    """Write a line to the keeper's log."""
    sys.stderr.write("%s %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text))
    sys.stderr.flush()
