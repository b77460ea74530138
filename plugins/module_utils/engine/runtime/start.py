# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""start: let a created container's process become its program."""

from __future__ import annotations

import errno
import os
import time
from typing import List

from ..errors import Conflict
from ..store import files
from . import delete, hooks, record, report, spec

_STRICT = 3
"""The minor version from which on a poststart hook must not fail."""
_PATIENCE = 10.0
"""Seconds to wait for a container that another process is about to have made."""


def start(state_dir: str) -> List[str]:
    """Start a created container; returns when its program runs.

    Returns: Warnings; see C(poststart).

    Raises:
        Conflict: It is not in the state C(created).
        Failure: The program cannot be run; the container has ended.
        Failure, HookFailed: A startContainer or poststart hook failed; the container is gone.
    """
    kept = record.load(state_dir)
    now, until = record.status(state_dir, kept), time.monotonic() + _PATIENCE
    while now == "creating" and time.monotonic() < until:
        time.sleep(0.01)
        kept = record.load(state_dir)
        now = record.status(state_dir, kept)
    if now != "created":
        raise Conflict("cannot start container '%s': it is %s" % (kept.id, now), "Only one that is created can be started")
    result_path = os.path.join(state_dir, record.RESULT_FIFO)
    result = os.open(result_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fifo_path = os.path.join(state_dir, record.START_FIFO)
        try:
            fifo = os.open(fifo_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            # Of two at once the one that removes the FIFO starts it.
            os.unlink(fifo_path)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                raise Conflict("container '%s' is not waiting for its start" % kept.id,
                               "Only one that is created can be started") from error
            raise
        try:
            os.write(fifo, b"\0")
        finally:
            os.close(fifo)
        os.set_blocking(result, True)
        said = report.read_all(result)
    finally:
        os.close(result)
    files.remove(result_path)
    if said:
        failure = report.decode(said)
        if hooks.failed(failure):
            delete.delete(state_dir, force=True)  # lifecycle steps 7, 12 and 13
        raise failure
    return poststart(state_dir, kept)


def poststart(state_dir: str, kept: record.Record) -> List[str]:
    """Run the hooks that follow a start (runtime-spec runtime.md, lifecycle step 9).

    The first that fails ends the container and its life cycle. Up to runtime-spec 1.2 it was nothing but a warning,
    and is for configurations of those versions.

    Returns: Warnings.

    Raises:
        HookFailed: The container is gone.
    """
    wanted = spec.hooks_of(os.path.join(state_dir, record.CONFIG), "poststart")
    if not wanted:
        return []
    state = record.encode(kept, "running")
    if int(kept.oci_version.split(".")[1]) < _STRICT:
        return hooks.run_through("poststart", wanted, state)
    try:
        hooks.run_all("poststart", wanted, state)
    except hooks.HookFailed:
        delete.delete(state_dir, force=True)
        raise
    return []
