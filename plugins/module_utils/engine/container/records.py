# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a container on disk, and where.

    STATE/containers/NAME/container.json   what was last asked for (the record)
    STATE/containers/NAME/config.json      the OCI bundle's configuration
    STATE/containers/NAME/seccomp.json     its custom system call profile, if it has one
    STATE/containers/NAME/status.json      how the last run of it ended
    STATE/containers/NAME/container.log    its output
    STATE/containers/NAME/upper, work      its writable layer
    STATE/containers/NAME~/                the same of one that takes its place, or has taken it, without a pause
    RUN/containers/NAME/rootfs             where its root is mounted
    RUN/containers/NAME/runtime            the runtime's state of it, with the number of its first process
    RUN/containers/NAME/monitor.json       the number of its monitor
    RUN/containers/NAME/stdout, stderr     FIFOs between it and its monitor
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..errors import Corrupt, NotFound
from ..instance import Instance
from ..kernel import processes
from ..store import files, removals

BESIDE = "~"
"""Ends the name of a folder beside that of a container of the same name; no name of a container has this character."""
VERSION = 1
"""Of the record's form."""
_MEND = "Remove the container with 'state: absent' and create it again"


class Record(NamedTuple):
    """What was last asked for.

    Attributes:
        name, id: The container's, the name as that of its folder (C(current)); the id is 64 hexadecimal digits, new for each creation.
        created: When, RFC 3339 in UTC.
        image: The image's reference as it was asked for.
        image_id: The digest of the image's config.
        diff_ids: The image's layers, lowest first.
        options: The options of C(container_run), typed, as they were applied.
        ids: What its user namespace maps, by C(uid) and C(gid): rows of ID inside, ID on the host, number of IDs;
            C(None) without one.
        generation: One more than that of the container that it has taken the place of.
        candidate: Whether it has yet to show that it can; until then it is nobody's container, but for whoever makes it.
    """

    name: str
    id: str
    created: str
    image: str
    image_id: str
    diff_ids: List[str]
    options: Dict[str, Any]
    ids: Optional[Dict[str, List[List[int]]]] = None
    generation: int = 0
    candidate: bool = False

    @property
    def shown(self) -> str:
        """The name that a person knows it by."""
        return self.name if self.candidate else called(self.name)


class Status(NamedTuple):
    """How the container's last run went; survives a reboot.

    Attributes:
        status: C(created), C(running), C(restarting) or C(exited), as the monitor last knew.
        exit_code: 0 to 255, 128 + the signal's number for a killed one; C(None) while running or where nobody saw it.
        oom_killed: Whether the kernel killed a process of it for its memory limit.
        restarts: How often the restart policy has started it since it was last started by hand.
        stopped: Whether it was stopped on request, so that no policy starts it.
        ended_for: Why it was ended where that was no such request: C(shutdown) of the host, after which it comes back, or C(idle),
            till somebody connects.
        error: Why it could not be started, if so.
        log_offset: Where in the log the last run's output begins, in bytes.
        log_inode: Of the file that was the log then; it may have been rotated since.
    """

    status: str = "created"
    exit_code: Optional[int] = None
    oom_killed: bool = False
    started_at: Optional[str] = None
    finished_at: Optional[str] = None
    restarts: int = 0
    stopped: bool = False
    ended_for: str = ""
    error: Optional[str] = None
    log_offset: int = 0
    log_inode: int = 0


class Live(NamedTuple):
    """The processes of a container that runs, or ran, since the host was booted.

    Attributes:
        init: Its first process, as the runtime's state tells; it may have ended.
        monitor: Who watches it, or did.
    """

    init: Optional[processes.Process] = None
    monitor: Optional[processes.Process] = None


def called(name: str) -> str:
    """The name of a container, of that of its folder."""
    return name.partition(BESIDE)[0]


def spare(name: str) -> str:
    """The name of the folder for a container that is to take this one's place while this one still runs."""
    return called(name) if name.endswith(BESIDE) else name + BESIDE


def current(instance: Instance, name: str) -> str:
    """The name of the folder of the container that is called so; that is its own name, unless it has been replaced live.

    Args:
        name: A container's, or a folder's.
    """
    if name.endswith(BESIDE):
        return name
    beside = name + BESIDE
    if not os.path.isdir(folder(instance, beside)):
        return name
    here, there = read(instance, name), read(instance, beside)
    if there is None or there.candidate:
        return name
    return beside if here is None or here.candidate or here.generation < there.generation else name


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


def listed(instance: Instance) -> List[str]:
    """The folders of those that a person is told of: all but one that has just been replaced and is about to go."""
    return [name for name in names(instance) if current(instance, name) == name]


def read(instance: Instance, name: str) -> Optional[Record]:
    """The record of a container, or C(None)."""
    document = _load(folder(instance, name, "container.json"))
    if document is None:
        return None
    try:
        return Record(**{field: document[field] for field in Record._fields if field in document})
    except TypeError:  # no object, or one that lacks what a record needs
        raise Corrupt("%s is no record of a container" % folder(instance, name, "container.json"), _MEND)


def write(instance: Instance, record: Record) -> None:
    """Keep a record."""
    document = dict(record._asdict(), version=VERSION)
    files.write_json(folder(instance, record.name, "container.json"), document)


def as_ended(reason: str) -> Dict[str, Any]:
    """The members of C(Status) that say why a container is ended: for a reason of the engine's own, or on request."""
    return {"ended_for": reason} if reason else {"stopped": True, "ended_for": ""}


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


def read_cgroup(instance: Instance, name: str) -> Optional[str]:
    """The cgroup of the present or last run, as the runtime knows it; C(None) where it does not."""
    created = _load(run_folder(instance, name, "runtime", "state.json")) or {}
    return created.get("cgroup") or None


def write_monitor(instance: Instance, name: str, monitor: Optional[processes.Process]) -> None:
    """Note who watches the container."""
    if monitor is not None:
        files.write_json(run_folder(instance, name, "monitor.json"), monitor._asdict(), durable=False)


def remove(instance: Instance, name: str) -> None:
    """Delete both folders; everything mounted below must be gone."""
    for path in (run_folder(instance, name), folder(instance, name)):
        if os.path.isdir(path):
            shutil.rmtree(removals.put_away(path))


def write_profile(instance: Instance, name: str, profile: Optional[Mapping[str, Any]]) -> None:
    """Keep a custom system call profile."""
    if profile is not None:
        files.write_json(folder(instance, name, "seccomp.json"), dict(profile))


def read_profile(instance: Instance, name: str) -> Optional[Dict[str, Any]]:
    """The custom system call profile, or C(None)."""
    profile = _load(folder(instance, name, "seccomp.json"))
    return None if profile is None else dict(profile)


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
    kept = _aside(instance, name)
    if os.path.isdir(kept):
        shutil.rmtree(kept)
    os.rename(folder(instance, name), kept)
    return kept


def _aside(instance: Instance, name: str) -> str:
    return instance.state("containers", ".kept-" + name)


def is_aside(instance: Instance, name: str) -> bool:
    """Whether an interrupted replacement has left a container out of the way."""
    return os.path.isdir(_aside(instance, name))


def forget_aside(instance: Instance, name: str) -> None:
    """Delete what an interrupted replacement has moved out of the way."""
    shutil.rmtree(_aside(instance, name), ignore_errors=True)


def put_back(instance: Instance, name: str, kept: str) -> None:
    """Undo C(set_aside)."""
    os.rename(kept, folder(instance, name))


def discard(kept: str) -> None:
    """Delete what was set aside."""
    shutil.rmtree(kept)


def is_doomed(instance: Instance, name: str) -> bool:
    """Whether an interrupted removal of a container has left a part of it."""
    return name in _interrupted(instance).values()


def sweep(instance: Instance) -> None:
    """Delete what interrupted removals have left."""
    for path in _interrupted(instance):
        shutil.rmtree(path, ignore_errors=True)


def _interrupted(instance: Instance) -> Dict[str, str]:
    return {**removals.interrupted(instance.state("containers")), **removals.interrupted(instance.run("containers"))}


def _load(path: str) -> Any:
    try:
        return files.read_json(path)
    except ValueError as error:
        raise Corrupt("%s is no JSON document (%s)" % (path, error),
                      _MEND)
