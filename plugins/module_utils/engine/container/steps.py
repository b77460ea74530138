# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, carried out. Each knows how to take back what it began."""

from __future__ import annotations

import os
import signal
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
from ..runtime import external
from ..store import files
from . import (activation, cgroups, client, confinement, events, lifecycle, log_reading, logs, naming, records, renewing, swap, userns,
               volumes, waiting, wiring)
from .desired import Desired
from .observe import Observed

_MOST_OUTPUT = 1 << 20


class Work:
    """What the steps of one plan hand on to one another."""

    def __init__(self, instance: Instance, desired: Desired, observed: Observed, undo: ExitStack) -> None:
        self.instance = instance
        self.desired = desired
        self.observed = observed
        self.name = observed.name
        self.record = observed.record
        self.undo = undo
        self.done: List[Callable[[], Any]] = []
        self.result: Dict[str, Any] = {}
        self.beside = False

    def known(self) -> records.Record:
        """The record, which a step before must have made."""
        if self.record is None:
            raise EngineError("the container '%s' has no record" % self.name, "Run the task again")
        return self.record


def apply(instance: Instance, desired: Desired, observed: Observed, plan: Plan) -> Dict[str, Any]:
    """Carry out a plan; what was begun is taken back if a step fails."""
    if any(change.action in ("start", "swap") for change in plan):
        client.warm(instance)
    with ExitStack() as undo:
        work = Work(instance, desired, observed, undo)
        for change in plan:
            _STEPS[change.action](work, change)
        undo.pop_all()
    for step in work.done:
        step()
    return work.result


def _pull(work: Work, _change: Change) -> None:
    """Bring the image; it stays, whatever becomes of the container."""
    from ..image import pulling, remote  # pylint: disable=import-outside-toplevel
    if work.desired.offer is not None:
        work.result["pull"] = remote.describe(work.instance, work.desired.offer)
        pulling.pull(work.instance, work.desired.offer)


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
    replaced = work.observed.record
    work.record = records.Record(work.name, os.urandom(32).hex(), logs.timestamp(), str(work.desired.full["image"]),
                                 image.id, list(image.diff_ids), dict(work.desired.full),
                                 userns.allocate(instance, work.name, work.desired.full),
                                 0 if replaced is None else replaced.generation + 1, work.beside)
    records.write_profile(instance, work.name, work.desired.profile)
    records.write(instance, work.record)
    if work.observed.aside:
        work.done.append(lambda: records.forget_aside(instance, work.name))
    if work.desired.state in ("stopped", "killed", "created"):
        records.write_status(instance, work.name, records.Status(stopped=True))
    events.note(instance, work.name, "create", image=work.record.image)


def _start(work: Work, _change: Change) -> None:
    link = lifecycle.start(work.instance, work.known())
    work.undo.callback(lifecycle.release, work.instance, work.name)
    try:
        if not work.desired.detach:
            _wait(work, link)
    finally:
        link.close()


def _listen(work: Work, _change: Change) -> None:
    """Have somebody listen, who starts the container at the first connection."""
    lifecycle.release(work.instance, work.name)
    activation.arm(work.instance, work.known())
    work.undo.callback(activation.disarm, work.instance, work.name)


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
    for stream, content, _time in log_reading.Reader(records.folder(work.instance, work.name, "container.log"),
                                                     status.log_inode, status.log_offset).more():
        output[stream] += content
        del output[stream][:-_MOST_OUTPUT]
    work.result = {"rc": -1 if status.exit_code is None else status.exit_code}
    for stream, collected in output.items():
        work.result[stream] = bytes(collected).decode("utf-8", "surrogateescape")
    lifecycle.await_monitor(work.instance, work.name)
    lifecycle.release(work.instance, work.name)


def _stop(work: Work, _change: Change) -> None:
    lifecycle.pre_stop(work.instance, work.known())
    _end(work)


def _end(work: Work) -> None:
    options = work.known().options
    activation.disarm(work.instance, work.name)
    lifecycle.stop(work.instance, work.name, options["stop_signal"], options["stop_timeout"] / 1000000)


def _kill(work: Work, _change: Change) -> None:
    activation.disarm(work.instance, work.name)
    lifecycle.stop(work.instance, work.name, signal.SIGKILL, 0.0)


def _restart(work: Work, change: Change) -> None:
    _stop(work, change)
    (_listen if activation.wanted(work.known().options) else _start)(work, change)


def _remove(work: Work, _change: Change) -> None:
    swap.clear(work.instance, records.spare(work.name))
    activation.disarm(work.instance, work.name)
    if work.desired.state == "absent":
        records.forget_aside(work.instance, work.name)
    lifecycle.release(work.instance, work.name)
    own = volumes.own(work.instance, work.record)
    records.remove(work.instance, work.name)
    records.sweep(work.instance)
    events.note(work.instance, work.name, "destroy")
    if not work.desired.keep_volumes:
        volumes.remove(work.instance, own)
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
        if work.observed.status == "listening":
            activation.arm(instance, old)
        elif work.observed.status in ("running", "paused", "restarting"):
            lifecycle.start(instance, old).close()
    work.undo.callback(restore)
    work.done.append(lambda: records.discard(kept))
    _create(work, change)


def _judge(work: Work, _change: Change) -> None:
    """Wait for the health of a container that has taken the place of another; without it, that comes back."""
    try:
        waiting.await_health(work.instance, work.name, work.desired.patience, locked=True)
    except EngineError as error:
        _end(work)
        swap.keep_failed(work.instance, work.name)
        raise swap.refused(work.instance, work.name, error, "the old one runs again")


def _swap(work: Work, _change: Change) -> None:
    """Start the new container beside the old one, and let the old one go once the new one serves."""
    beside = Work(work.instance, work.desired, work.observed, work.undo)
    beside.name, beside.record, beside.beside = records.spare(work.name), None, True
    swap.clear(work.instance, beside.name)
    with ExitStack() as beside.undo:
        _create(beside, _change)
        beside.undo.pop_all()
    swap.serve(work.instance, work.known(), beside.known(), work.desired.patience)
    swap.retire(work.instance, work.known(), work.desired.drain)
    lifecycle.show(work.instance, beside.known())
    _collect(work)


def _tidy(work: Work, _change: Change) -> None:
    """Complete what an interrupted replacement has begun, or take it back."""
    records.forget_aside(work.instance, work.name)
    if not work.observed.beside:
        return
    left = records.read(work.instance, work.observed.beside)
    if left is None or left.candidate or work.record is None:
        swap.clear(work.instance, work.observed.beside)
    else:
        swap.take_over(work.instance, left.name, work.record)
        swap.retire(work.instance, left, work.desired.drain)


def _update(work: Work, _change: Change) -> None:
    """Bring options that are changed live to their new values: on disk, in the kernel, in the monitor."""
    instance, old = work.instance, work.known()
    new = old._replace(options=dict(work.desired.full), image=str(work.desired.full["image"]))
    records.write(instance, new)
    work.undo.callback(records.write, instance, old)
    work.record = new
    if work.observed.status not in ("running", "paused", "listening"):
        return
    if activation.wanted(new.options):
        activation.arm(instance, new)
    else:
        activation.disarm(instance, work.name)
    if work.observed.status == "listening":
        return
    path = cgroups.path(instance, work.name, new.options)
    raw = request.files_of(new.options, old.options)
    group.update(path, request.wholly(work.desired.limits, group.read(path, raw)))
    config = records.read_config(instance, work.name)
    config["linux"]["resources"] = dict(limits.to_oci(work.desired.limits),
                                        devices=config["linux"]["resources"].get("devices") or [])
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
        naming.ensure(work.instance)
    hosts.write(work.instance, work.name, wiring.names(work.desired.full), netns.mode)


def _mend(work: Work, _change: Change) -> None:
    """Set back what somebody has changed of the running container's confinement."""
    if work.observed.live.init is not None:
        confinement.mend(work.instance, work.known(), work.observed.live.init, work.observed.drift)


def _renew(work: Work, _change: Change) -> None:
    """Give it its secrets as they are now."""
    renewing.bring(work.instance, work.name)


def _adopt(work: Work, _change: Change) -> None:
    lifecycle.adopt(work.instance, work.name)


def _pause(work: Work, _change: Change) -> None:
    if not external.act(records.run_folder(work.instance, work.name, "runtime"), "pause"):
        group.freeze(cgroups.path(work.instance, work.name, work.known().options))
    events.note(work.instance, work.name, "pause")


def _unpause(work: Work, _change: Change) -> None:
    if not external.act(records.run_folder(work.instance, work.name, "runtime"), "resume"):
        group.thaw(cgroups.path(work.instance, work.name, work.known().options))
    events.note(work.instance, work.name, "unpause")


def _release(work: Work, _change: Change) -> None:
    lifecycle.release(work.instance, work.name)


_STEPS: Dict[str, Callable[[Work, Change], Optional[None]]] = {
    "create": _create, "start": _start, "stop": _stop, "restart": _restart, "remove": _remove, "recreate": _recreate,
    "update": _update, "reconnect": _reconnect, "adopt": _adopt, "pause": _pause, "unpause": _unpause,
    "release": _release, "pull": _pull, "kill": _kill, "listen": _listen, "swap": _swap, "judge": _judge, "tidy": _tidy, "mend": _mend,
    "renew": _renew,
}
