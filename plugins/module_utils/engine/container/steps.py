# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, carried out. Each knows how to take back what it began."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from typing import Any, Callable, Dict, List, Optional

from ..cgroup import group, limits, request
from ..errors import EngineError
from ..image import images
from ..instance import Instance
from ..network import attach, hosts
from ..plan import Change, Plan
from ..store import files
from . import client, lifecycle, logs, records, userns, wiring
from .desired import Desired
from .observe import Observed

_MOST_OUTPUT = 1 << 20


class Work:
    """What the steps of one plan hand on to one another."""

    def __init__(self, instance: Instance, desired: Desired, observed: Observed, undo: ExitStack) -> None:
        self.instance = instance
        self.desired = desired
        self.observed = observed
        self.name = desired.name
        self.record = observed.record
        self.undo = undo
        self.done: List[Callable[[], Any]] = []
        self.result: Dict[str, Any] = {}

    def known(self) -> records.Record:
        """The record, which a step before must have made."""
        if self.record is None:
            raise EngineError("the container '%s' has no record" % self.name, "Run the task again")
        return self.record


def apply(instance: Instance, desired: Desired, observed: Observed, plan: Plan) -> Dict[str, Any]:
    """Carry out a plan; what was begun is taken back if a step fails."""
    with ExitStack() as undo:
        work = Work(instance, desired, observed, undo)
        for change in plan:
            _STEPS[change.action](work, change)
        undo.pop_all()
    for step in work.done:
        step()
    return work.result


def _create(work: Work, _change: Change) -> None:
    """Write the record of a new container."""
    image = work.desired.image
    if image is None:
        raise EngineError("the container '%s' cannot be created without an image" % work.name, "Say 'image'")
    instance = work.instance
    for folder in (instance.state_root, instance.state("containers")):
        files.make_folder(folder)
    records.sweep(instance)
    files.make_folder(records.folder(instance, work.name))
    work.undo.callback(records.remove, instance, work.name)
    work.record = records.Record(work.name, os.urandom(32).hex(), logs.timestamp(), str(work.desired.full["image"]),
                                 image.id, list(image.diff_ids), dict(work.desired.full),
                                 userns.allocate(instance, work.name) if work.desired.full["userns_mode"] == "auto" else None)
    records.write(instance, work.record)


def _start(work: Work, _change: Change) -> None:
    link = lifecycle.start(work.instance, work.known())
    work.undo.callback(lifecycle.release, work.instance, work.name)
    try:
        if not work.desired.detach:
            _wait(work, link)
    finally:
        link.close()


def _wait(work: Work, link: socket.socket) -> None:
    """Wait until the container has ended, and collect what it wrote."""
    try:
        client.answer(link)
    except EngineError:  # the monitor was killed
        while records.read_status(work.instance, work.name).status != "exited":
            lifecycle.adopt(work.instance, work.name)
            time.sleep(0.05)
    status = records.read_status(work.instance, work.name)
    output = {"stdout": bytearray(), "stderr": bytearray()}
    for stream, content, _time in logs.read(records.folder(work.instance, work.name, "container.log"),
                                            status.log_offset):
        output[stream] += content
        del output[stream][:-_MOST_OUTPUT]
    work.result = {"rc": -1 if status.exit_code is None else status.exit_code}
    for stream, collected in output.items():
        work.result[stream] = bytes(collected).decode("utf-8", "surrogateescape")
    lifecycle.await_monitor(work.instance, work.name)
    lifecycle.release(work.instance, work.name)


def _stop(work: Work, _change: Change) -> None:
    options = work.known().options
    lifecycle.stop(work.instance, work.name, options["stop_signal"], options["stop_timeout"] / 1000000)


def _restart(work: Work, change: Change) -> None:
    _stop(work, change)
    _start(work, change)


def _remove(work: Work, _change: Change) -> None:
    lifecycle.release(work.instance, work.name)
    volumes = lifecycle.volume_names(work.record)
    records.remove(work.instance, work.name)
    if not work.desired.keep_volumes:
        lifecycle.remove_volumes(work.instance, volumes)
    _collect(work)
    lifecycle.tidy(work.instance)


def _collect(work: Work) -> None:
    """Remove what is left of an image that only this container kept."""
    if work.record is not None and images.find(work.instance, work.record.image_id) is None:
        from ..image import garbage  # pylint: disable=import-outside-toplevel
        garbage.collect(work.instance)


def _recreate(work: Work, change: Change) -> None:
    """Put a new container in the place of the old one, which is kept until all is well."""
    instance, old = work.instance, work.known()
    _stop(work, change)
    kept = records.set_aside(instance, work.name)

    def restore() -> None:
        records.remove(instance, work.name)
        records.put_back(instance, work.name, kept)
        if work.observed.status in ("running", "paused", "restarting"):
            lifecycle.start(instance, old).close()
    work.undo.callback(restore)
    work.done.append(lambda: records.discard(kept))
    _create(work, change)


def _update(work: Work, _change: Change) -> None:
    """Bring options that are changed live to their new values: on disk, in the kernel, in the monitor."""
    instance, old = work.instance, work.known()
    new = old._replace(options=dict(work.desired.full), image=str(work.desired.full["image"]))
    records.write(instance, new)
    work.undo.callback(records.write, instance, old)
    work.record = new
    if work.observed.status not in ("running", "paused"):
        return
    path = instance.cgroup(work.name)
    group.update(path, request.wholly(work.desired.limits, group.read(path)))
    config = records.read_config(instance, work.name)
    config["linux"]["resources"] = limits.to_oci(work.desired.limits)
    files.write_json(records.folder(instance, work.name, "config.json"), config)
    _reconnect(work, _change)
    lifecycle.tell_monitor(instance, work.name)


def _reconnect(work: Work, _change: Change) -> None:
    """Bring the network, and the files that tell of it, to what is declared."""
    netns = work.desired.netns
    if netns is None:
        return
    if netns.mode != "host":
        attach.apply(work.instance, netns)
    hosts.write(work.instance, work.name, wiring.names(work.desired.full), netns.mode)


def _adopt(work: Work, _change: Change) -> None:
    lifecycle.adopt(work.instance, work.name)


def _pause(work: Work, _change: Change) -> None:
    group.freeze(work.instance.cgroup(work.name))


def _unpause(work: Work, _change: Change) -> None:
    group.thaw(work.instance.cgroup(work.name))


def _release(work: Work, _change: Change) -> None:
    lifecycle.release(work.instance, work.name)


_STEPS: Dict[str, Callable[[Work, Change], Optional[None]]] = {
    "create": _create, "start": _start, "stop": _stop, "restart": _restart, "remove": _remove, "recreate": _recreate,
    "update": _update, "reconnect": _reconnect, "adopt": _adopt, "pause": _pause, "unpause": _unpause,
    "release": _release,
}
