# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers in tests: a small image, and a runner that removes what it ran."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

import busybox
from hosts import Host

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""A program that runs until it is told to end, as PID 1 too."""

PYTHON = [{"source": "/usr", "target": "/usr", "read_only": True}, {"source": "/usr/lib", "target": "/lib", "read_only": True},
          {"source": "/usr/lib64", "target": "/lib64", "read_only": True}]
"""Mounts that bring the host's interpreter into a container, which can send datagrams."""
READY = """
import os, signal, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1\\nSTATUS=at work\\nMAINPID=1", os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    signal.pause()
"""
"""A program for that interpreter that says that it is ready, and runs until it is told to end."""


def add_image(host: Host) -> None:
    """Import an image called busybox."""
    source = host.folder / "busybox.tar"
    source.write_bytes(busybox.tar())
    host.module("container_image", name="busybox", source=str(source), cmd=["/bin/sh"], env={"PATH": "/bin"})


class Runner:
    """Runs containers on one host.

    Args:
        options: Of every container that it starts.
    """

    def __init__(self, host: Host, options: Mapping[str, Any] = {}) -> None:
        self.host = host
        self.options = options
        self.names: List[str] = []

    def __call__(self, name: str, **options: Any) -> Dict[str, Any]:
        if name not in self.names:
            self.names.append(name)
        options.setdefault("stop_timeout", "2s")
        if options.get("state", "started") == "started":
            options = {"image": "busybox", "command": SLEEP, **self.options, **options}
        return self.host.module("container_run", name=name, **options)

    def output(self, name: str, script: str, **options: Any) -> str:
        """What a shell script in a new container prints."""
        return str(self(name, command=["/bin/sh", "-c", script], detach=False, **options)["stdout"])
