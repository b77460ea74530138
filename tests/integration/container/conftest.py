# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts that have an image called busybox."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import pytest

import busybox
from hosts import Host

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""A program that runs until it is told to end, as PID 1 too."""


def add_image(host: Host) -> None:
    """Import the image."""
    source = host.folder / "busybox.tar"
    source.write_bytes(busybox.tar())
    host.module("container_image", name="busybox", source=str(source), cmd=["/bin/sh"], env={"PATH": "/bin"})


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """One test host with the image, for all tests of a file."""
    host = new_host()
    add_image(host)
    return host


class Runner:
    """Runs containers on one host and removes them in the end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.names: List[str] = []

    def __call__(self, name: str, **options: Any) -> Dict[str, Any]:
        if name not in self.names:
            self.names.append(name)
        options.setdefault("stop_timeout", "2s")
        if options.get("state", "started") == "started":
            options.setdefault("image", "busybox")
            options.setdefault("command", SLEEP)
        return self.host.module("container_run", name=name, **options)

    def output(self, name: str, script: str, **options: Any) -> str:
        """What a shell script in a new container prints."""
        return str(self(name, command=["/bin/sh", "-c", script], detach=False, **options)["stdout"])


@pytest.fixture
def run(machine: Host) -> Iterator[Runner]:
    """A runner of containers; what it ran is removed after the test."""
    runner = Runner(machine)
    yield runner
    for name in reversed(runner.names):
        machine.module("container_run", name=name, state="absent", keep_volumes=False)
