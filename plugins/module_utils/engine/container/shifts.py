# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor's shifts: how the first begins, and what each hands over to the next through the process that stays (C(watcher.py))."""

from __future__ import annotations

import os
import socket
from typing import Any, Dict, List, Optional, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..store import locks
from . import errands, readiness, records, sockets, watcher
from .monitor import Monitor

_FIELDS = ("child", "began", "last_pause", "again_at", "kill_at", "revive")
"""Attributes of a monitor that are handed over as they are."""


def main(instance: Instance, name: str, link: Optional[int]) -> int:
    """Be the monitor of one container.

    Args:
        name: The container's; empty where the request says it.
        link: The connection on which the request comes: C(do), which is C(start) or C(adopt), and C(name). The answer goes there:
            C({"pid": N}) or an error; later C({"exit_code": N}). Who is at the other end holds the container's lock.
            C(None) where the keeper adopts of its own accord.

    Returns: The exit status of the monitor: 0 unless it is to be tried again.
    """
    os.setsid()

    def shift(state: Any, handles: List[int], status: Optional[int]) -> Optional[Tuple[watcher.Kept, List[int]]]:
        if state:
            watch: Optional[Monitor] = _again(instance, state, handles)
        else:
            watch = _first(instance, name, socket.socket(fileno=handles[0]) if handles else None)
        if watch is None:
            return None
        if status is not None:
            watch.ended(os.waitstatus_to_exitcode(status))
        if watch.run():
            return _hand_over(watch)
        watch.release()
        return None
    return watcher.stay(shift, [] if link is None else [link])


def _first(instance: Instance, name: str, link: Optional[socket.socket]) -> "Optional[Monitor]":
    """The monitor of a container that it has started or taken over; C(None) where there is nothing to do.

    Raises:
        SystemExit: A run is at this container; afterwards there may be nothing left to adopt.
    """
    if link is None:
        with locks.tried(instance, "container", records.called(name)) as mine:
            if not mine:
                raise SystemExit
            known = errands.learn(instance, name)
            if not known["orphaned"]:
                return None
            watch = Monitor(instance, known)
            watch.adopt()
            return watch
    known = errands.asked(instance, link)
    if not known or known["do"] == "adopt" and not known["orphaned"]:
        return None
    watch = Monitor(instance, known)
    if known["do"] == "adopt":
        watch.adopt()
    else:
        try:
            watch.start()
        except (EngineError, OSError) as error:
            watch.failed(str(error))
            facts = error.facts if isinstance(error, EngineError) else {}
            sockets.send(link, {"error": str(error), "facts": facts})
            return None
    sockets.send(link, {"pid": watch.init.pid if watch.init else 0})
    watch.waiting.append(link)
    return watch


def _again(instance: Instance, state: Dict[str, Any], handles: List[int]) -> Monitor:
    """The monitor that an earlier shift has handed over."""
    watch = Monitor(instance, state, first=False)
    left = iter(handles)
    watch.streams = {next(left): stream for stream in state["streams"]}
    if state["terminal"]:
        watch.terminal.master, watch.terminal.slave = list(watch.streams)[-1], next(left)
    watch.control = socket.socket(fileno=next(left))
    if state["init"]:
        watch.pidfd, watch.init = next(left), processes.Process(*state["init"])
    for field in _FIELDS:
        setattr(watch, field, state[field])
    watch.notices = readiness.Notices(instance, watch.name, socket.socket(fileno=next(left)) if state["heard"] else None)
    watch.notices.init, watch.notices.ready = watch.init, state["ready"]
    watch.checks.take(state["checks"])
    watch.idle.take(state["idle"])
    watch.log.take(state["log"])
    for links, count in zip((watch.waiting, watch.checks.watchers, watch.notices.watchers), state["links"]):
        links.extend(socket.socket(fileno=next(left)) for _each in range(count))
    return watch


def _hand_over(watch: Monitor) -> Tuple[watcher.Kept, List[int]]:
    """What the next shift has to know, and the descriptors that it needs; this one is at its end."""
    links = (watch.waiting, watch.checks.watchers, watch.notices.watchers)
    state = {
        "name": watch.name, "monitor": tuple(watch.me), "status": tuple(watch.status), "options": watch.options,
        "identity": watch.identity, "cgroup": watch.cgroup, "init": tuple(watch.init) if watch.init else None,
        "heard": watch.notices.socket is not None, "ready": watch.notices.ready, "checks": watch.checks.give(),
        "idle": watch.idle.give(), "log": watch.log.give(), "streams": list(watch.streams.values()),
        "terminal": watch.terminal.master >= 0, "links": [len(each) for each in links],
        **{field: getattr(watch, field) for field in _FIELDS}}
    waits = [*watch.streams, *([watch.terminal.slave] if watch.terminal.master >= 0 else ()), watch.control.detach()]
    if watch.init is not None:
        waits.append(watch.pidfd)
    if watch.notices.socket is not None:
        waits.append(watch.notices.socket.detach())
    child = watch.init.pid if watch.init and watch.child else 0
    return (watcher.Kept("coracle:" + watch.name, child, watch.due(), len(waits), state),
            waits + [each.detach() for several in links for each in several])
