# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a container counts as ready (C(sdnotify)), what its program says of that by itself, and what systemd is told.

The monitor has a socket of its own for the program: a message that came from inside a container straight to systemd could name any
process of the host, and would come from a cgroup that is not the unit's. It passes on what concerns the container alone.
Source: sd_notify(3).
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Any, Dict, List, Mapping, Optional

from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..store import files
from . import health, records, sockets

IGNORE = "ignore"
MONITOR = "conmon"
PROGRAM = "container"
HEALTH = "healthy"
INSIDE = "/run/notify"
"""Where a program finds the socket's folder; Podman's place."""
SOCKET = "notify.sock"
SYSTEMD = "/run/systemd/notify"
_PASSED = ("STATUS", "STOPPING", "RELOADING", "MONOTONIC_USEC", "EXTEND_TIMEOUT_USEC", "ERRNO")
_LONGEST = 4096
_PATIENCE = 2.0
"""Seconds that systemd may take for a message."""


def folder(instance: Instance, name: str) -> str:
    """The host's folder of a container's socket."""
    return records.run_folder(instance, name, "notify")


def ready(instance: Instance, name: str, options: Mapping[str, Any]) -> bool:
    """Whether a container that runs is ready."""
    mode = options.get("sdnotify")
    if mode == HEALTH:
        return health.read(instance, name).status == health.HEALTHY
    if mode != PROGRAM:
        return True
    init = records.read_live(instance, name).init
    return init is not None and files.read_json(records.run_folder(instance, name, "ready.json")) == init._asdict()


def heard(instance: Instance, name: str, options: Mapping[str, Any]) -> Optional[socket.socket]:
    """A socket on which a container's program is heard, where it is to speak."""
    if options.get("sdnotify") != PROGRAM:
        return None
    files.make_folder(folder(instance, name), 0o755)
    return sockets.bind_datagram(os.path.join(folder(instance, name), SOCKET), 0o666)


class Notices:
    """What one container's program has said, and who waits for it.

    Attributes:
        socket: Where it is heard; C(None) unless it is to speak.
        ready: Whether it has said that it is.
    """

    def __init__(self, instance: Instance, name: str, listener: Optional[socket.socket]) -> None:
        self.instance = instance
        self.name = name
        self.init: Optional[processes.Process] = None
        self.ready = False
        self.watchers: List[socket.socket] = []
        self.socket = listener
        if listener is not None:
            listener.setblocking(False)

    def fileno(self) -> int:
        """Of the socket; -1 without one."""
        return -1 if self.socket is None else self.socket.fileno()

    def begin(self, init: Optional[processes.Process], options: Mapping[str, Any]) -> None:
        """Listen to a container that has been started, or was before this monitor."""
        self.init = init
        self.ready = self.socket is not None and ready(self.instance, self.name, options)
        self.say("running")

    def say(self, state: str) -> None:
        """Tell systemd of the container's state and first process, if this monitor is in its unit."""
        fields = {"STATUS": state}
        if self.init is not None:
            fields["MAINPID"] = str(self.init.pid)
        self._pass_on(fields)

    def hear(self) -> None:
        """Take what the program has said."""
        while self.socket is not None:
            try:
                content = self.socket.recv(_LONGEST)
            except BlockingIOError:
                return
            said = dict(line.partition("=")[::2] for line in content.decode("utf-8", "replace").splitlines())
            self._pass_on({key: said[key] for key in _PASSED if key in said})
            if said.get("READY") == "1" and not self.ready and self.init is not None:
                self.ready = True
                files.write_json(records.run_folder(self.instance, self.name, "ready.json"), self.init._asdict(), durable=False)
                self.tell(self.watchers)

    def watch(self, link: socket.socket) -> None:
        """Tell somebody now, and when it becomes ready."""
        self.watchers.append(link)
        self.tell([link])

    def tell(self, links: List[socket.socket]) -> None:
        """Say whether it is ready; who does not listen any more is forgotten."""
        for link in list(links):
            link.setblocking(False)
            try:
                there = sockets.send(link, {"ready": self.ready})
            except OSError:
                there = False
            if not there:
                link.close()
                self.watchers.remove(link)

    def end(self) -> None:
        """The container has ended."""
        self.init, self.ready = None, False

    def close(self) -> None:
        """The monitor ends."""
        while self.watchers:
            sockets.hang_up(self.watchers.pop())
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _pass_on(self, fields: Dict[str, str]) -> None:
        if fields and in_unit(records.called(self.name)):
            notify("\n".join("%s=%s" % each for each in fields.items()))


def in_unit(name: str) -> bool:
    """Whether this process, a fork of the one that stays with a container, is in the group of the container's unit of systemd.

    Where it was forked before the other one was moved there it follows: systemd looks at the group of who speaks to it.
    """
    if not os.path.exists(SYSTEMD):
        return False
    if _unit("self", name):
        return True
    unit = _unit(str(os.getppid()), name)
    if not unit:
        return False
    from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
    try:
        systemd.attach(unit, [os.getpid()])
    except (EngineError, OSError):
        return False
    return True


def _unit(process: str, name: str) -> str:
    """The unit of a container as the group of a process names it; empty where the process is in no such group."""
    try:
        with open("/proc/%s/cgroup" % process, encoding="utf-8", errors="surrogateescape") as stream:
            groups = [os.path.basename(line.rstrip("\n")) for line in stream]
    except OSError:  # it has ended
        return ""
    return next((group for group in groups if group.endswith("@%s.service" % name)), "")


def notify(message: str, address: str = SYSTEMD) -> None:
    """Send one message to systemd, which need not be there, and wait until it has taken that.

    It looks at who has sent a message when it reads it, and a shift of a monitor may be gone by then (sd_notify_barrier(3)).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.settimeout(_PATIENCE)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            link.connect("\0" + address[1:] if address.startswith("@") else address)
            link.send(message.encode("utf-8", "replace"))
            link.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", writing))])
            os.close(writing)
            writing = -1
            select.select([reading], [], [], _PATIENCE)  # readable once systemd has closed the other end
        except OSError:
            pass
        finally:
            for handle in (reading, writing):
                if handle >= 0:
                    os.close(handle)
