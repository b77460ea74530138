# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that are started at the first connection: C(activation: socket).

    asleep     the keeper listens on the published ports; nothing else of the container is there
    waking     a fork of the keeper (C(waking.py)) starts it without its ports, and connects whoever has come as soon as it accepts
    awake      the ports lead to it as to any other; the keeper still listens, and nobody gets there
    leaving    idle for long enough, it loses its ports, so that whoever comes now waits at the keeper; then it is stopped

C(RUN/activation/NAME.json) says which ports are listened on, and by whom.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional

from ..instance import Instance
from ..kernel import processes
from ..network import publish
from ..store import files
from . import client, connections, records, sockets

SOCKET = "socket"
PROTOCOL = "tcp"
"""Of the ports that are listened on: a datagram belongs to no connection that could wait for a program."""
IDLE = "idle"
"""C(ended_for) of a container that sleeps again."""


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether a container sleeps until somebody connects."""
    return options.get("activation") == SOCKET


def noted(instance: Instance, name: str) -> Optional[Dict[str, Any]]:
    """Who listens for a container; C(None) where nobody does, or who did is gone."""
    found = files.read_json(publish.listening_path(instance, records.called(name)))
    if found and processes.alive(processes.Process(found["pid"], found["start_time"])):
        return dict(found)
    return None


def listening(instance: Instance, name: str) -> bool:
    """Whether somebody listens for a container."""
    return noted(instance, name) is not None


def arm(instance: Instance, record: records.Record) -> None:
    """Have the keeper listen on a container's ports, those that it has by now. The caller holds the container's lock.

    Raises:
        EngineError: A port cannot be had; what was listened on before is so still.
    """
    name = records.called(record.name)
    status = records.read_status(instance, record.name)
    if status.stopped or status.error:
        records.write_status(instance, record.name, status._replace(stopped=False, error=None))
    here, there = client.socket_path(instance), noted(instance, name)
    if there is not None and there["socket"] != here:  # an older engine's keeper
        _ask(there["socket"], {"do": "unlisten", "name": name})
    link = client.ask(instance, {"do": "listen", "name": name})
    try:
        client.answer(link)
    finally:
        link.close()


def disarm(instance: Instance, name: str) -> None:
    """Have nobody listen for a container. The caller holds the container's lock."""
    there = noted(instance, name)
    if there is not None:
        _ask(there["socket"], {"do": "unlisten", "name": records.called(name)})
    files.remove(publish.listening_path(instance, records.called(name)))
    files.remove_empty(publish.listening_folder(instance))


def _ask(path: str, request: Dict[str, Any]) -> None:
    link = sockets.connect(path)
    if link is not None:
        if sockets.send(link, request):
            sockets.receive(link)
        link.close()


def note(instance: Instance, name: str, ports: List[str]) -> None:
    """The keeper notes that it listens."""
    me = processes.identify(os.getpid())
    files.make_folder(publish.listening_folder(instance))
    files.write_json(publish.listening_path(instance, name), {"ports": ports, "socket": client.socket_path(instance),
                                                              **(me._asdict() if me else {})}, durable=False)


def publish_ports(instance: Instance, record: records.Record, published: bool) -> None:
    """Give a running container its ports, or take them from it. The caller holds the container's lock."""
    from ..network import attach  # pylint: disable=import-outside-toplevel
    from . import wiring  # pylint: disable=import-outside-toplevel
    netns = wiring.settle(instance, record.name, record.options)
    attach.apply(instance, netns if published else netns._replace(published=()))


def leave(instance: Instance, name: str) -> bool:
    """Take the ports from an idle container, unless somebody has come meanwhile; whether it may end now."""
    from ..store import locks  # pylint: disable=import-outside-toplevel
    with locks.tried(instance, "container", records.called(name)) as mine:
        record, init = records.read(instance, name), records.read_live(instance, name).init
        if not mine or record is None or init is None or not listening(instance, name):
            return False
        publish_ports(instance, record, False)
        if connections.opened(init.pid):
            publish_ports(instance, record, True)
            return False
        return True
