# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces: clone flags, setns(2), unshare(2), and handles of namespaces (namespaces(7))."""

from __future__ import annotations

import os
from typing import Callable, TypeVar

from .syscalls import call

NEWTIME = 0x00000080
NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

FLAGS = {"mount": NEWNS, "pid": NEWPID, "network": NEWNET, "ipc": NEWIPC, "uts": NEWUTS, "user": NEWUSER,
         "cgroup": NEWCGROUP, "time": NEWTIME}
"""Clone flags by the names that the OCI runtime-spec gives the namespaces."""
FILES = {"mount": "mnt", "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "user": "user",
         "cgroup": "cgroup", "time": "time"}
"""File names below /proc/PID/ns by the same names."""

Result = TypeVar("Result")


def unshare(flags: int) -> None:
    """Leave the named namespaces for new ones (unshare(2))."""
    call("unshare", flags)


def setns(handle: int, flags: int = 0) -> None:
    """Enter the namespace, or with a pidfd the namespaces, that a descriptor stands for (setns(2))."""
    call("setns", handle, flags)


def open_of(pid: int, kind: str) -> int:
    """A descriptor of a process's namespace; C(kind) as in C(FILES)."""
    return os.open("/proc/%d/ns/%s" % (pid, FILES[kind]), os.O_RDONLY | os.O_CLOEXEC)


def identity(path: str) -> str:
    """What tells two namespaces apart: C(device:inode) of their file, links followed."""
    status = os.stat(path)
    return "%d:%d" % (status.st_dev, status.st_ino)


def inside(handle: int, flags: int, step: Callable[[], Result]) -> Result:
    """Call a function with this thread inside another namespace and come back; for network, UTS and IPC.

    Sockets that the function opens stay of that namespace.
    """
    kinds = [kind for kind, flag in FLAGS.items() if flags & flag]
    home = [(os.open("/proc/thread-self/ns/" + FILES[kind], os.O_RDONLY | os.O_CLOEXEC), FLAGS[kind])
            for kind in kinds]
    try:
        setns(handle, flags)
        return step()
    finally:
        for back, flag in home:
            setns(back, flag)
            os.close(back)
