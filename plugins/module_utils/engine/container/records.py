# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a container on disk, and where.

    STATE/containers/NAME/container.json   what was last asked for (the record)
    STATE/containers/NAME/config.json      the OCI bundle's configuration
    STATE/containers/NAME/status.json      how the last run of it ended
    STATE/containers/NAME/container.log    its output
    STATE/containers/NAME/upper, work      its writable layer
    RUN/containers/NAME/rootfs             where its root is mounted
    RUN/containers/NAME/runtime            the runtime's state of it, with the number of its first process
    RUN/containers/NAME/monitor.json       the number of its monitor
    RUN/containers/NAME/stdout, stderr     FIFOs between it and its monitor
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import Corrupt, NotFound
from ..instance import Instance
from ..kernel import processes
from ..store import files

VERSION = 1
"""Of the record's form."""


class Record(NamedTuple):
    """What was last asked for.

    Attributes:
        name, id: The container's; the id is 64 hexadecimal digits, new for each creation.
        created: When, RFC 3339 in UTC.
        image: The image's reference as it was asked for.
        image_id: The digest of the image's config.
        diff_ids: The image's layers, lowest first.
        options: The options of C(container_run), typed, as they were applied.
        id_base: The first of the host's IDs that its user namespace maps; C(None) without one.
    """

    name: str
    id: str
    created: str
    image: str
    image_id: str
    diff_ids: List[str]
    options: Dict[str, Any]
    id_base: Optional[int] = None


class Status(NamedTuple):
    """How the container's last run went; survives a reboot.

    Attributes:
        status: C(created), C(running), C(restarting) or C(exited), as the monitor last knew.
        exit_code: 0 to 255, 128 + the signal's number for a killed one; C(None) while running or where nobody saw it.
        oom_killed: Whether the kernel killed a process of it for its memory limit.
        restarts: How often the restart policy has started it since it was last started by hand.
        stopped: Whether it was stopped on request, so that no policy starts it.
        error: Why it could not be started, if so.
        log_offset: Where in the log the last run's output begins, in bytes.
    """

    status: str = "created"
    exit_code: Optional[int] = None
    oom_killed: bool = False
    started_at: Optional[str] = None
    finished_at: Optional[str] = None
    restarts: int = 0
    stopped: bool = False
    error: Optional[str] = None
    log_offset: int = 0


class Live(NamedTuple):
    """The processes of a container that runs, or ran, since the host was booted.

    Attributes:
        init: Its first process, as the runtime's state tells; it may have ended.
        monitor: Who watches it, or did.
    """

    init: Optional[processes.Process] = None
    monitor: Optional[processes.Process] = None


def folder(instance: Instance, name: str, *parts: str) -> str:
    """A path in the container's folder for what survives a reboot."""
    return instance.state("containers", name, *parts)


def run_folder(instance: Instance, name: str, *parts: str) -> str:
    """A path in the container's folder for what does not."""
    return instance.run("containers", name, *parts)


def names(instance: Instance) -> List[str]:
    """The names of all containers, half-made ones included."""
    found = set()
    for parent in (instance.state("containers"), instance.run("containers")):
        try:
            found.update(os.listdir(parent))
        except FileNotFoundError:
            continue
    return sorted(name for name in found if not name.startswith("."))


def read(instance: Instance, name: str) -> Optional[Record]:
    """The record of a container, or C(None)."""
    document = _load(folder(instance, name, "container.json"))
    if document is None:
        return None
    return Record(**{field: document[field] for field in Record._fields if field in document})


def write(instance: Instance, record: Record) -> None:
    """Keep a record."""
    document = dict(record._asdict(), version=VERSION)
    files.write_json(folder(instance, record.name, "container.json"), document)


def read_status(instance: Instance, name: str) -> Status:
    """How the last run went; defaults where it never ran."""
    document = _load(folder(instance, name, "status.json")) or {}
    return Status(**{key: value for key, value in document.items() if key in Status._fields})


def write_status(instance: Instance, name: str, status: Status) -> None:
    """Keep how it goes."""
    files.write_json(folder(instance, name, "status.json"), status._asdict())


def read_live(instance: Instance, name: str) -> Live:
    """The processes as last noted; whether they live is for the caller to see."""
    watched = _load(run_folder(instance, name, "monitor.json")) or {}
    created = _load(run_folder(instance, name, "runtime", "state.json")) or {}
    return Live(processes.Process(created["pid"], created["start_time"]) if created.get("pid") else None,
                processes.Process(watched["pid"], watched["start_time"]) if watched else None)


def write_monitor(instance: Instance, name: str, monitor: Optional[processes.Process]) -> None:
    """Note who watches the container."""
    if monitor is not None:
        files.write_json(run_folder(instance, name, "monitor.json"), monitor._asdict(), durable=False)


def remove(instance: Instance, name: str) -> None:
    """Delete both folders; everything mounted below must be gone."""
    for path in (run_folder(instance, name), folder(instance, name)):
        if os.path.isdir(path):
            # Renamed first, so that a run that is interrupted here leaves no container that looks whole.
            doomed = os.path.join(os.path.dirname(path), ".removed-%s-%d" % (name, os.getpid()))
            os.rename(path, doomed)
            shutil.rmtree(doomed)


def read_config(instance: Instance, name: str) -> Dict[str, Any]:
    """The OCI configuration of a container's bundle.

    Raises:
        NotFound: There is none.
    """
    config = _load(folder(instance, name, "config.json"))
    if config is None:
        raise NotFound("the container '%s' has no bundle" % name, "Run the task that declares it")
    return dict(config)


def set_aside(instance: Instance, name: str) -> str:
    """Move the folder of a stopped container out of the way; return where it is."""
    kept = instance.state("containers", ".kept-" + name)
    if os.path.isdir(kept):
        shutil.rmtree(kept)
    os.rename(folder(instance, name), kept)
    return kept


def put_back(instance: Instance, name: str, kept: str) -> None:
    """Undo C(set_aside)."""
    os.rename(kept, folder(instance, name))


def discard(kept: str) -> None:
    """Delete what was set aside."""
    shutil.rmtree(kept)


def sweep(instance: Instance) -> None:
    """Delete what interrupted removals have left."""
    for parent in (instance.state("containers"), instance.run("containers")):
        if not os.path.isdir(parent):
            continue
        for name in os.listdir(parent):
            if name.startswith(".removed-"):
                shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


def _load(path: str) -> Any:
    try:
        return files.read_json(path)
    except ValueError as error:
        raise Corrupt("%s is no JSON document (%s)" % (path, error),
                      "Remove the container with 'state: absent' and create it again")
