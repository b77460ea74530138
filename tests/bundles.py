# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles for tests of the runtime: a root file system, a configuration, and what a container of it said."""

from __future__ import annotations

import copy
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import busybox

DEFAULT_CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
                        "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
                        "CAP_AUDIT_WRITE"]
_CONFIG: Dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/",
        "env": ["PATH=/bin", "HOME=/root"],
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), DEFAULT_CAPABILITIES),
    },
    "root": {"path": "rootfs"},
    "hostname": "inside",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/nothing"],
        "readonlyPaths": ["/proc/bus", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


Lab = Callable[[Callable[["Bundle"], Any]], Any]
"""The fixture C(lab): call a scenario with a bundle inside a test host."""


class Outcome(NamedTuple):
    """What a container did: its exit status (negative for a signal), and what it wrote."""

    status: int
    output: str
    errors: str


def config(**process: Any) -> Dict[str, Any]:
    """A configuration like a stock container's; arguments replace members of its process."""
    made = copy.deepcopy(_CONFIG)
    made["process"].update(process)
    return made


def root_file_system(folder: Path) -> Path:
    """Lay a tiny root file system out in a folder."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox.tar())) as archive:
        archive.extractall(folder, **({"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}))
    return folder


class Bundle:
    """A bundle folder, and a place for states beside it."""

    def __init__(self, folder: Path, cgroup: str = "") -> None:
        self.folder = folder
        self.root = root_file_system(folder / "rootfs")
        self.states = folder / "states"
        self.states.mkdir(mode=0o700)
        self.cgroup = cgroup

    def state(self, name: str = "c") -> str:
        """The state folder of a container."""
        return str(self.states / name)

    def write(self, document: Any) -> None:
        """Write config.json."""
        (self.folder / "config.json").write_text(json.dumps(document), encoding="utf-8")

    def run(self, document: Dict[str, Any], name: str = "c", while_running: Optional[Callable[[int], Any]] = None,
            given: bytes = b"", **options: Any) -> Outcome:
        """Create, start, wait for and delete a container; to be called inside a test host."""
        from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, start
        ends = [os.open(str(self.folder / part), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
                for part in ("out", "err")]
        source, feed = os.pipe2(os.O_CLOEXEC)
        os.write(feed, given)
        os.close(feed)
        options.setdefault("cgroup", self.cgroup)
        try:
            made = create.create(str(self.folder), self.state(name), document, stdin=source, stdout=ends[0],
                                 stderr=ends[1], **options)
        finally:
            for handle in (*ends, source):
                os.close(handle)
        try:
            if options.get("wait", True):
                start.start(self.state(name))
            if while_running is not None:
                while_running(made.pid)
        except BaseException:
            delete.delete(self.state(name), force=True)
            os.waitpid(made.pid, 0)
            raise
        finally:
            os.close(made.pidfd)
        _pid, status = os.waitpid(made.pid, 0)
        delete.delete(self.state(name))
        return Outcome(os.waitstatus_to_exitcode(status), self.said("out"), self.said("err"))

    def said(self, part: str) -> str:
        """What was written to C(out) or C(err)."""
        return (self.folder / part).read_text(encoding="utf-8", errors="replace")

    def shell(self, script: str, changes: Optional[Callable[[Dict[str, Any]], None]] = None, **options: Any) -> Outcome:
        """Run a shell script in a stock container, whose configuration a function may change."""
        document = config(args=["sh", "-c", script])
        if changes is not None:
            changes(document)
        return self.run(document, **options)


def fields(status: str) -> Dict[str, str]:
    """A /proc/PID/status as a mapping."""
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in status.splitlines())}


def children(pid: int) -> List[int]:
    """The processes that a process has made and not reaped."""
    text = Path("/proc/%d/task/%d/children" % (pid, pid)).read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def refused(attempt: Callable[[], Any]) -> str:
    """The error that an attempt ends with."""
    import pytest  # the benchmarks, which use this file too, have none

    from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
    with pytest.raises(EngineError) as caught:
        attempt()
    return str(caught.value)


