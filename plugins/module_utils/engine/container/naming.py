# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeing to it that somebody answers the names of an instance's networks: the engine's side of C(resolver)."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any, Dict, Optional

from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..network import firewall, turns, zones
from ..plan import Difference
from ..store import glance
from . import client, sockets

PATIENCE = 5.0
"""Seconds that a resolver may take to answer; who takes longer is stopped or stuck, and replaced."""


def control_path(instance: Instance) -> str:
    """Where the resolver is spoken with."""
    return instance.run("resolver.sock")


def engine() -> str:
    """Which engine this process runs."""
    return os.path.basename(client.ENGINE)


def running(instance: Instance) -> Optional[int]:
    """The number of the process that resolves now, or C(None)."""
    link = sockets.connect(control_path(instance))
    if link is None:
        return None
    with link:
        return sockets.peer(link)


def watch(instance: Instance) -> Optional[int]:
    """Have the resolver watch this process, which is a keeper; its number, for the keeper to do the same.

    C(None) where there is none of this engine: another engine's has a keeper of its own.
    """
    link = sockets.connect(control_path(instance))
    if link is None:
        return None
    with link:
        said = ask(link, {"do": "watch"})
        return sockets.peer(link) if said is not None and said["engine"] == engine() else None


def drift(instance: Instance) -> Optional[Difference]:
    """What is to be mended of the resolver, or C(None)."""
    if glance.shared("resolver", lambda: zones.wanted(instance) and running(instance) is None):
        return Difference("resolver", "not running", "running")
    return None


def begin(instance: Instance) -> Optional[socket.socket]:
    """Have a resolver started where there is none, without waiting for it; what C(ensure) waits on."""
    if not zones.wanted(instance):
        return None
    link = sockets.connect(control_path(instance))
    if link is None:
        return client.ask(instance, {"do": "resolve"})
    link.close()
    return None


def ensure(instance: Instance, begun: Optional[socket.socket] = None) -> None:
    """Have this engine's resolver answer all zones as they are now, before anybody is told that they are.

    Args:
        begun: What C(begin) has returned, where that was called.

    Raises:
        EngineError: It cannot be had.
    """
    if not zones.wanted(instance):
        return
    if begun is not None:
        _await(begun)
    deadline = time.monotonic() + 6 * PATIENCE
    while time.monotonic() < deadline:
        link = sockets.connect(control_path(instance))
        if link is not None:
            with link:
                said = ask(link, {"do": "sync"})
                if said is not None and said["engine"] == engine():
                    _lead(instance, said["moved"])
                    if said.get("refused"):
                        raise EngineError("the proxy of published ports cannot listen at " + ", ".join(
                            "%s (%s)" % each for each in sorted(said["refused"].items())), "Look who listens there: ss -lntup")
                    if said["failed"]:
                        raise EngineError("the resolver cannot answer at " + ", ".join(
                            "%s (%s)" % each for each in sorted(said["failed"].items())), "Look who listens there: ss -lnup")
                    return
        _await(client.ask(instance, {"do": "resolve"}))
    raise EngineError("the resolver did not come up within %d s" % (6 * PATIENCE), "Look at %s" % instance.run("keeper.log"))


def _await(begun: socket.socket) -> None:
    """Wait until a resolver that was asked for is there."""
    with begun:
        begun.settimeout(PATIENCE)
        try:
            sockets.receive(begun)
        except socket.timeout:
            pass


def ask(link: socket.socket, request: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """What the resolver says to a request; C(None) where it is gone. One that does not answer is ended."""
    link.settimeout(PATIENCE)
    try:
        return sockets.receive(link) if sockets.send(link, request) else None
    except socket.timeout:
        process = processes.identify(sockets.peer(link))
        pidfd = None if process is None else processes.open_pidfd(process)
        if pidfd is not None:
            processes.send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        return None


def _lead(instance: Instance, moved: Dict[str, int]) -> None:
    """Lead port 53 to where the resolver listens, where another server has that port."""
    if firewall.resolver_ports(instance) != moved:
        with turns.changing(instance):
            firewall.note_resolver_ports(instance, moved)
            firewall.apply(instance)
