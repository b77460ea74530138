# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""state.json: what is kept of a created container, and the state that the specification defines.

    STATE_DIR/state.json    this record, written atomically
    STATE_DIR/config.json   the configuration that the container was made from
    STATE_DIR/exec.fifo     the container's process waits here for the start; gone once started
    STATE_DIR/exec.result   where it says why it could not be started
"""

from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ..errors import Corrupt, NotFound
from ..kernel.processes import Process, alive
from ..store import documents, files

FILE = "state.json"
FOREIGN = "external.json"
"""Only with a container that another runtime has made: C(external.py) says which, and reads it."""
CONFIG = "config.json"
START_FIFO = "exec.fifo"
RESULT_FIFO = "exec.result"
DEVICE = "device"
"""What the names of device nodes begin with, which lie here till they are mounted."""


class Record(NamedTuple):
    """What is kept of a container.

    Attributes:
        id: Its name to the user.
        oci_version: Of its configuration.
        bundle: Absolute path.
        rootfs: Absolute path of its root, as the host sees it.
        cgroup: Its cgroup, absolute below each hierarchy, or nothing where it has none of its own.
        pid, start_time: Of its first process, 0 while it is being created.
        created: When, RFC 3339 in UTC.
        annotations: From its configuration.
        own_pid_namespace: Whether its first process takes all others with it.
        covered: Whether its root is a mount that was made for it, in the mount namespace of its creator.
        stdio: What its first process got as standard streams, as /proc/PID/fd names them.
    """

    id: str
    oci_version: str
    bundle: str
    rootfs: str
    cgroup: str
    pid: int
    start_time: int
    created: str
    annotations: Dict[str, str]
    own_pid_namespace: bool
    stdio: Tuple[str, ...] = ()
    covered: bool = False

    @property
    def process(self) -> Process:
        """Its first process."""
        return Process(self.pid, self.start_time)


def save(state_dir: str, record: Record) -> None:
    """Write the record; the folder is on a tmpfs, so no disk is waited for."""
    files.write(os.path.join(state_dir, FILE), documents.encode(record._asdict()).encode("ascii"), durable=False)


def load(state_dir: str) -> Record:
    """Read the record.

    Raises:
        NotFound: There is no such container.
        Corrupt: It cannot be read.
    """
    path = os.path.join(state_dir, FILE)
    try:
        content = files.read_json(path)
        if content is None:
            raise NotFound("container does not exist: '%s'" % os.path.basename(state_dir.rstrip("/")),
                           "'coracle list' shows those that do")
        return Record(**content)
    except (ValueError, TypeError) as error:
        raise Corrupt("%s is damaged: %s" % (path, error), "Delete the container with force") from error


def status(state_dir: str, record: Record) -> str:
    """C(creating), C(created), C(running), C(paused) or C(stopped), from the kernel."""
    if not record.pid:
        return "creating"
    if not alive(record.process):
        return "stopped"
    if record.cgroup:
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        if group.frozen(record.cgroup):
            return "paused"
    return "created" if os.path.exists(os.path.join(state_dir, START_FIFO)) else "running"


def document(record: Record, now: str, pid: Optional[int] = None) -> Dict[str, Any]:
    """The state as runtime-spec runtime.md defines it, as hooks get it on standard input."""
    state: Dict[str, Any] = {"ociVersion": record.oci_version, "id": record.id, "status": now, "bundle": record.bundle}
    if now != "stopped":
        state["pid"] = record.pid if pid is None else pid
    if record.annotations:
        state["annotations"] = record.annotations
    return state


def encode(record: Record, now: str, pid: Optional[int] = None) -> bytes:
    """The state as bytes, as a hook reads it."""
    return documents.encode(document(record, now, pid)).encode("ascii")
