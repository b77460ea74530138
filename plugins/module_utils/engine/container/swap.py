# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing a container without a pause.

    1  The new one is created in the folder beside the old one's, as a candidate: without published ports, and under a
       name that nobody asks for. It is started, and has to become healthy.
    2  Its record says that it is the container now. From here on an interrupted replacement is completed, before it is taken back.
    3  One nftables transaction gives it the published ports; the hosts files of the neighbours follow.
       Connections that there are stay with the old one, as connection tracking knows them.
    4  Once these have ended, or their time has, the old one is stopped and removed.

A candidate that fails is stopped and kept. Nobody else is touched by it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Dict

from ..errors import EngineError
from ..instance import Instance
from ..network import attach
from . import connections, lifecycle, records, waiting, wiring

_REST = 0.05


def serve(instance: Instance, old: records.Record, new: records.Record, patience: float) -> None:
    """Start a candidate, wait until it is healthy, and let it take the place of the old one.

    Raises:
        EngineError: It does not start or is not healthy in time; it is stopped and kept, and the old one has not noticed.
    """
    try:
        lifecycle.start(instance, new).close()
        waiting.await_health(instance, new.name, patience, locked=True)
        records.write(instance, new._replace(candidate=False))
        try:
            take_over(instance, old.name, new)
        except BaseException:
            records.write(instance, new)
            raise
    except EngineError as error:
        _stop(instance, new)
        raise refused(instance, new.name, error, "the old one has never stopped serving")
    except BaseException:
        clear(instance, new.name)
        raise


def take_over(instance: Instance, old: str, new: records.Record) -> None:
    """Give a container the published ports and the names of another."""
    netns = wiring.settle(instance, new.name, new.options)
    if netns.mode in ("bridge", "none"):
        attach.apply(instance, netns, instead_of=old)


def retire(instance: Instance, old: records.Record, seconds: float) -> None:
    """Stop and remove a container that has been replaced, once the connections to it have ended, or the time has."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while quiet < 2 and time.monotonic() < deadline:
        # Twice: one that was translated before the ports moved may arrive after the first look.
        quiet = 0 if _connections(instance, old.name) else quiet + 1
        time.sleep(_REST)
    lifecycle.pre_stop(instance, old)
    _stop(instance, old)
    records.remove(instance, old.name)


def _connections(instance: Instance, name: str) -> int:
    """How many connections others have to a container now."""
    init = records.read_live(instance, name).init
    return connections.opened(init.pid) if init is not None else 0


def _stop(instance: Instance, record: records.Record) -> None:
    lifecycle.stop(instance, record.name, record.options["stop_signal"], record.options["stop_timeout"] / 1000000)


def clear(instance: Instance, name: str) -> None:
    """Remove what there is of a container beside another, whatever state it is in."""
    if not any(os.path.isdir(folder) for folder in (records.folder(instance, name), records.run_folder(instance, name))):
        return
    if os.path.isdir(records.folder(instance, name)):
        lifecycle.stop(instance, name, signal.SIGKILL, 0.0)
    else:
        lifecycle.release(instance, name)
    records.remove(instance, name)


def keep_failed(instance: Instance, name: str) -> None:
    """Put a stopped container that has failed where a candidate would be."""
    record = records.read(instance, name)
    aside = records.spare(name)
    clear(instance, aside)
    if record is not None:
        os.rename(records.folder(instance, name), records.folder(instance, aside))
        records.write(instance, record._replace(name=aside, candidate=True))


def refused(instance: Instance, name: str, error: EngineError, comfort: str) -> EngineError:
    """What is said of a container that could not take the place of another."""
    kept = name if name.endswith(records.BESIDE) or comfort.endswith("serving") else records.spare(name)
    command = lifecycle.log_command(instance, kept)
    facts: Dict[str, object] = dict(error.facts, failed_container=kept, log_command=command)
    return EngineError("%s. The new container is kept, stopped, as '%s', and %s" % (error.what, kept, comfort),
                       "See its output with: %s" % command, **facts)
