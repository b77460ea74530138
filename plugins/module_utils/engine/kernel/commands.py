# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host programs: fork, execve, and pipes; no shell, an environment of our own."""

from __future__ import annotations

import os
import select
from typing import Dict, List, NamedTuple, Optional, Sequence

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Outcome(NamedTuple):
    """What a program left.

    Attributes:
        status: Its exit status, or minus the signal that ended it.
        stdout, stderr: All that it wrote.
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


def run(arguments: Sequence[str], stdin: bytes = b"") -> Outcome:
    """Run a program to its end; C(arguments[0]) is its absolute path."""
    pipes = [os.pipe(), os.pipe(), os.pipe()]
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(pipes[0][0], 0)
            os.dup2(pipes[1][1], 1)
            os.dup2(pipes[2][1], 2)
            os.closerange(3, 1 << 16)
            os.execve(arguments[0], list(arguments), {"PATH": _PATH, "LC_ALL": "C.UTF-8"})
        finally:
            os._exit(127)
    for handle in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(handle)
    collected = _exchange(pipes[0][1], pipes[1][0], pipes[2][0], stdin)
    status = os.waitpid(pid, 0)[1]
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return Outcome(code, collected[0], collected[1])


def _exchange(inward: int, out: int, err: int, stdin: bytes) -> List[bytes]:
    """Feed one pipe and drain two without waiting on any of them alone."""
    os.set_blocking(inward, False)
    poller = select.poll()
    for handle, events in ((inward, select.POLLOUT), (out, select.POLLIN), (err, select.POLLIN)):
        poller.register(handle, events)
    gathered: Dict[int, List[bytes]] = {out: [], err: []}
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
                gathered[handle].append(chunk)
                done = not chunk
            if done:
                poller.unregister(handle)
                opened.discard(handle)
                os.close(handle)
    return [b"".join(gathered[out]), b"".join(gathered[err])]
