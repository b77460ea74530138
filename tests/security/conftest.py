# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attacks share: a bundle to spoil, with and without a user namespace, and hosts with containers.

Whatever would harm a host if it succeeded is aimed at files of the test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from attacks import Ground
from bundles import Bundle
from containers import Runner, add_image
from hosts import Host
from rooted import nothing_left, pytest_collection_modifyitems  # noqa: F401


@pytest.fixture(params=["root", "mapped"])
def ground(request: pytest.FixtureRequest, shared_host: Host, tmp_path: Path) -> Ground:
    """A place for an attack, once with the host's users and once with a user namespace."""
    return _ground(request, shared_host, tmp_path, request.param == "mapped")


@pytest.fixture
def plain(request: pytest.FixtureRequest, shared_host: Host, tmp_path: Path) -> Ground:
    """The same with the host's users alone: where a user namespace makes the attack pointless."""
    return _ground(request, shared_host, tmp_path, False)


def _ground(request: pytest.FixtureRequest, host: Host, folder: Path, mapped: bool) -> Ground:
    for each in (folder, *folder.parents):
        if not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o011)
    cgroup = "%s/%s" % (host.cgroup_root, request.node.name.replace("[", "-").replace("/", "-").rstrip("]"))
    return Ground(host, Bundle(folder / "bundle", cgroup), folder, mapped)


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """One test host with an image called busybox, for all tests of a file."""
    host = new_host()
    add_image(host)
    return host


@pytest.fixture(params=["root", "mapped"])
def run(request: pytest.FixtureRequest, machine: Host) -> Iterator[Runner]:
    """A runner of containers, once with the host's users and once with a user namespace."""
    runner = Runner(machine, {"userns_mode": "auto"} if request.param == "mapped" else {})
    yield runner
    for name in reversed(runner.names):
        machine.module("container_run", name=name, state="absent", keep_volumes=False)
