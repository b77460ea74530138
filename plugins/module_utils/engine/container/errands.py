# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor does beside its loop: reading records, making the container's process, clearing up after it."""

from __future__ import annotations

import os
import socket
import stat
from typing import Any, Dict, Optional, Tuple

from ..instance import Instance
from ..kernel import processes
from ..runtime import create, delete, external
from ..store import files
from . import cgroups, records, runtimes, sockets, terminal

_KEPT = ("activation", "healthcheck", "idle_timeout", "interactive", "log_driver", "log_max_files", "log_max_size", "log_options",
         "restart_policy", "sdnotify", "stop_signal", "stop_timeout", "tty")
"""The options that a monitor keeps in mind; what needs the others reads them."""


def asked(instance: Instance, link: socket.socket) -> Dict[str, Any]:
    """What a connection asks for, and what C(learn) tells; nothing where nobody may ask, or nobody does."""
    link.settimeout(5)
    request = sockets.receive(link) if sockets.peer_is_owner(link) else None
    link.settimeout(None)
    return {} if request is None else dict(learn(instance, str(request["name"])), do=str(request["do"]))


def learn(instance: Instance, name: str) -> Dict[str, Any]:
    """What the monitor of a container, whose shift this process is, keeps of what is on disk."""
    record = records.read(instance, name)
    options = record.options if record else {}
    return {"name": name, "orphaned": orphaned(instance, name), "monitor": tuple(processes.identify(os.getppid()) or ()),
            "status": tuple(records.read_status(instance, name)), "identity": record.id if record else "",
            "cgroup": cgroups.path(instance, name, options), "options": {key: options[key] for key in _KEPT if key in options}}


def orphaned(instance: Instance, name: str) -> bool:
    """Whether a container has something to watch and nobody who does."""
    live = records.read_live(instance, name)
    if live.monitor is not None and processes.alive(live.monitor):
        return False
    if not os.path.isdir(records.run_folder(instance, name)):
        return False
    return live.init is not None or records.read_status(instance, name).status == "restarting"


def fifo(instance: Instance, name: str, stream: str) -> str:
    """The path of one of the FIFOs; made if it is not there."""
    path = records.run_folder(instance, name, stream)
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(os.lstat(path).st_mode):
            raise
    return path


def make(instance: Instance, name: str) -> Tuple[processes.Process, Optional[int]]:
    """Make the container's process; it, and the master of its terminal, if it has one."""
    record = records.read(instance, name)
    options = record.options if record else {}
    runtime_folder = records.run_folder(instance, name, "runtime")
    config = records.read_config(instance, name)
    user = config["process"]["user"]
    interactive = bool(options.get("interactive")) and not options.get("tty")
    # Open for reading too, by the container itself: should this monitor die, the FIFO still has a reader, and
    # the container's writes wait for the next monitor instead of failing with EPIPE.
    ends = [os.open(fifo(instance, name, stream), os.O_RDWR | os.O_CLOEXEC) for stream in ("stdout", "stderr")]
    # For writing too, by the container itself: so it never ends, whoever has written to it and gone.
    given = os.open(fifo(instance, name, "stdin"), os.O_RDWR | os.O_CLOEXEC) if interactive \
        else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    ours, theirs = terminal.pair(bool(options.get("tty")))
    runtime = runtimes.other(options)
    try:
        for end in ends + [given] * interactive:
            os.fchown(end, user["uid"], user["gid"])
        if runtime is not None:
            config = runtimes.adapted(options, config)
            other = external.create(external.find(runtime), runtime_folder, config, name, (given, *ends), theirs)
            made = processes.Process(other.pid, other.start_time)
        else:
            created = create.create(
                records.folder(instance, name), runtime_folder, config,
                identity=name, stdin=given, stdout=ends[0], stderr=ends[1],
                cgroup=cgroups.path(instance, name, options), systemd=cgroups.by_systemd(options), init=bool(options.get("init")),
                wait=False, console=theirs, filters=instance.run("filters"))
            made = processes.Process(created.pid, created.start_time)
        return made, None if ours is None else terminal.receive(ours)
    finally:
        for end in ends + [given]:
            os.close(end)
        for link in (ours, theirs):
            if link is not None:
                link.close()


def clean(instance: Instance, name: str) -> None:
    """Remove what the runtime made for the run that has ended."""
    runtime_folder = records.run_folder(instance, name, "runtime")
    if os.path.exists(os.path.join(runtime_folder, "state.json")):
        external.delete(runtime_folder)
        delete.delete(runtime_folder, force=True)
    files.remove(records.run_folder(instance, name, "exit.json"))
