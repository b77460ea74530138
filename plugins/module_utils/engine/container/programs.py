# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Further programs in a container: with what of its own they run, and a short one from its start to its end."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Any, Dict, List, Mapping, Tuple

from ..instance import Instance
from ..kernel import paths
from ..runtime import exec as added
from ..runtime import users
from . import records, security


def process(instance: Instance, record: records.Record, root: paths.Root, args: List[str], said: Mapping[str, Any]) -> Dict[str, Any]:
    """The container's own process with something else in its place, as the runtime-spec describes it.

    Args:
        root: What the container sees as its root, in which the user is looked up.
        said: C(user), C(cwd), C(env), C(privileged) and C(tty), as far as they are to be others.

    Raises:
        InvalidValue: The container does not know the user.
    """
    env = dict(said.get("env") or {})
    changes: Dict[str, Any] = {"terminal": bool(said.get("tty"))}
    if said.get("tty") and "TERM" not in env and "TERM" not in (record.options.get("env") or {}):
        env["TERM"] = "xterm"
    if said.get("cwd"):
        changes["cwd"] = said["cwd"]
    made = added.process_like_init(records.run_folder(instance, record.name, "runtime"), args, **changes)
    made.pop("consoleSize", None)
    if said.get("user"):
        user = users.resolve(root, said["user"])
        made["user"] = {"uid": user.uid, "gid": user.gid, "additionalGids": sorted({user.gid, *user.groups})}
        if "HOME" not in (record.options.get("env") or {}):
            env.setdefault("HOME", user.home)
    sets = dict(made.get("capabilities") or {})
    bounding = security.capabilities({"privileged": True}) if said.get("privileged") else list(sets.get("bounding") or ())
    effective = bounding if made["user"]["uid"] == 0 else []
    made["capabilities"] = dict(sets, bounding=bounding, effective=effective, permitted=effective)
    made["env"] += ["%s=%s" % pair for pair in sorted(env.items())]
    return made


def run(instance: Instance, name: str, wanted: Dict[str, Any], deadline: float, most: int) -> Tuple[int, bytes]:
    """Run a program in a container; its exit code as a shell gives it, and the beginning of what it wrote.

    Args:
        wanted: The process, as the runtime-spec describes it.
        deadline: When it is killed, by the monotonic clock.
        most: Bytes of its output that are kept.

    Raises:
        TimeoutError: It had to be killed.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        started = added.run(records.run_folder(instance, name, "runtime"), wanted, null, writing, writing, filters=instance.run("filters"))
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        os.close(null)
    os.set_blocking(reading, False)
    output = bytearray()
    try:
        while not _wait((reading, started.pidfd), deadline) & {started.pidfd}:
            if not _read(reading, output, most):
                _wait((started.pidfd,), deadline)
                break
        _read(reading, output, most)
    except BaseException:
        os.killpg(started.pid, signal.SIGKILL)  # it is the first of its session, and so of its group
        os.waitpid(started.pid, 0)
        raise
    finally:
        os.close(started.pidfd)
        os.close(reading)
    _pid, status = os.waitpid(started.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return (code if code >= 0 else 128 - code), bytes(output)


def _read(handle: int, output: bytearray, most: int) -> bool:
    """Take what is there, keep the beginning; whether there may be more later."""
    while True:
        try:
            part = os.read(handle, 65536)
        except BlockingIOError:
            return True
        if not part:
            return False
        output += part[:most - len(output)]


def _wait(handles: Tuple[int, ...], deadline: float) -> "set[int]":
    """Those of the descriptors that are ready.

    Raises:
        TimeoutError: None is at the deadline.
    """
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    ready = {handle for handle, _events in poller.poll(max(0, int((deadline - time.monotonic()) * 1000) + 1))}
    if not ready:
        raise TimeoutError
    return ready
