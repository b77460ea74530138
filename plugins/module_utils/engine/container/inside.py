# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's files as it sees them, from outside: every path is resolved beneath its root by the kernel."""

from __future__ import annotations

from ..errors import Conflict, NotFound
from ..instance import Instance
from ..kernel import paths, processes
from . import records


def known(instance: Instance, key: str) -> records.Record:
    """The record of a container.

    Raises:
        NotFound: There is no such container.
    """
    record = records.read(instance, key)
    if record is None:
        raise NotFound("there is no container '%s'" % records.called(key), "coracle.containers.container_info tells which there are",
                       option="container")
    return record


def root_of(init: processes.Process) -> paths.Seen:
    """What a container's first process sees as its root, its mounts included; stays when the process ends.

    Raises:
        Conflict: It has just ended.
    """
    try:
        root = paths.Seen("/proc/%d/root" % init.pid)
    except OSError as error:
        raise _ended() from error
    if not processes.alive(init):
        root.close()
        raise _ended()
    return root


def _ended() -> Conflict:
    return Conflict("the container has just ended", "Start it first with container_run", option="container")
