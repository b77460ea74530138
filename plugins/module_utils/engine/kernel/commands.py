# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host programs: fork, execve, and pipes; no shell, an environment of our own."""

from __future__ import annotations

import fcntl
import os
import select
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

MOST = 16 << 20
"""Bytes of each output of a program that are kept; what it writes beyond is read and forgotten."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Outcome(NamedTuple):
    """What a program left.

    Attributes:
        status: Its exit status, or minus the signal that ended it.
        stdout, stderr: What it wrote, at most C(MOST) bytes of each.
    """

    status: int
    stdout: bytes
    stderr: bytes


def find(name: str) -> Optional[str]:
    """The path of a program in the system's folders, or C(None)."""
    for folder in _PATH.split(":"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def run(arguments: Sequence[str], stdin: bytes = b"", environment: Optional[Mapping[str, str]] = None) -> Outcome:
    """Run a program to its end; C(arguments[0]) is its absolute path.

    Args:
        environment: What the program sees besides C(PATH) and C(LC_ALL), which are always ours.
    """
    pipes = [os.pipe(), os.pipe(), os.pipe()]
    pid = start(arguments, (pipes[0][0], pipes[1][1], pipes[2][1]), environment)
    for handle in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(handle)
    collected = _exchange(pipes[0][1], pipes[1][0], pipes[2][0], stdin)
    return Outcome(status_of(pid), collected[0], collected[1])


def call(arguments: Sequence[str], stdio: Sequence[int], environment: Optional[Mapping[str, str]] = None) -> int:
    """Run a program to its end on streams of the caller; its exit status, or minus the signal that ended it.

    Args:
        stdio: Descriptors that become its 0, 1 and 2.
        environment: As for C(run).
    """
    return status_of(start(arguments, stdio, environment))


def start(arguments: Sequence[str], handles: Sequence[int], environment: Optional[Mapping[str, str]] = None) -> int:
    """Start a program; its process is a child of the caller.

    Args:
        handles: Descriptors that become its 0, 1, 2 and so on; it has no others.
        environment: As for C(run).
    """
    pid = os.fork()
    if pid == 0:
        try:
            for number, handle in enumerate([fcntl.fcntl(each, fcntl.F_DUPFD, len(handles)) for each in handles]):
                os.dup2(handle, number)
            os.closerange(len(handles), 1 << 16)
            os.execve(arguments[0], list(arguments), {**(environment or {}), "PATH": _PATH, "LC_ALL": "C.UTF-8"})
        finally:
            os._exit(127)
    return pid


def status_of(pid: int) -> int:
    """Wait for a child's end: its exit status, or minus the signal that ended it."""
    status = os.waitpid(pid, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def _exchange(inward: int, out: int, err: int, stdin: bytes) -> List[bytes]:
    """Feed one pipe and drain two without waiting on any of them alone."""
    os.set_blocking(inward, False)
    poller = select.poll()
    for handle, events in ((inward, select.POLLOUT), (out, select.POLLIN), (err, select.POLLIN)):
        poller.register(handle, events)
    gathered: Dict[int, List[bytes]] = {out: [], err: []}
    room = {out: MOST, err: MOST}
    left = memoryview(stdin)
    opened = {inward, out, err}
    while opened:
        for handle, _events in poller.poll():
            done = False
            if handle == inward:
                try:
                    left = left[os.write(inward, left):] if left else left
                    done = not left
                except BrokenPipeError:
                    done = True
            else:
                chunk = os.read(handle, 1 << 16)
                if room[handle] > 0:
                    gathered[handle].append(chunk[:room[handle]])
                    room[handle] -= len(chunk)
                done = not chunk
            if done:
                poller.unregister(handle)
                opened.discard(handle)
                os.close(handle)
    return [b"".join(gathered[out]), b"".join(gathered[err])]
