# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts that have an image called busybox."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest

from containers import Runner, add_image
from hosts import Host


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """One test host with the image, for all tests of a file."""
    host = new_host()
    add_image(host)
    return host


@pytest.fixture
def run(machine: Host) -> Iterator[Runner]:
    """A runner of containers; what it ran is removed after the test."""
    runner = Runner(machine)
    yield runner
    for name in reversed(runner.names):
        machine.module("container_run", name=name, state="absent", keep_volumes=False)
    machine.module("container_prune", volumes=True, volumes_filters={"all": True})
