# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last steps of a container's process, the same for its first one and for one that C(exec) adds.

From the moment the root changes nothing is imported, looked up or decoded by
way of a file: what the image holds is never run or read by this interpreter.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from typing import Dict, List, Sequence, Tuple

from ..kernel import clone, paths

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a program is searched whose environment has no PATH."""


def seal_imports() -> None:
    """From now on no module can be loaded, whatever lies at the paths of the interpreter."""
    sys.path[:] = []
    sys.meta_path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()


def reset_signals() -> None:
    """Default dispositions and an empty mask: an ignored signal would be inherited through execve(2)."""
    for number in range(1, signal.NSIG):
        try:
            if signal.getsignal(number) is not signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def place_stdio(handles: Sequence[int]) -> None:
    """Make three descriptors 0, 1 and 2, in whatever order they are numbered now."""
    if tuple(handles) == (0, 1, 2):
        for handle in handles:
            os.set_inheritable(handle, True)
        return
    safe = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 3) for handle in handles]
    for number, handle in enumerate(safe):
        os.dup2(handle, number)
        os.close(handle)


def environment(entries: Sequence[str]) -> Dict[bytes, bytes]:
    """NAME=value entries as execve takes them; of two with one name the last counts."""
    result = {}
    for each in entries:
        name, _equals, value = each.encode("utf-8", "surrogateescape").partition(b"=")
        result[name] = value
    return result


def arguments(args: Sequence[str]) -> List[bytes]:
    """Arguments as execve takes them."""
    return [each.encode("utf-8", "surrogateescape") for each in args]


def enter_folder(root: int, cwd: str) -> None:
    """Change to the working directory, resolved beneath the root and without magic links.

    Raises:
        KernelError, OSError: It is missing, no folder, or not for this user.
    """
    handle = paths.open_beneath(root, cwd, os.O_PATH | os.O_DIRECTORY)
    try:
        os.fchdir(handle)
    finally:
        os.close(handle)
    if not os.getcwd().startswith("/"):
        raise OSError(errno.ENOENT, "lies outside of the container's root", cwd)


def execute(args: List[bytes], env: Dict[bytes, bytes], preserved: int) -> None:
    """Become the program; returns only by an exception.

    Args:
        preserved: How many descriptors after the third stay open.

    Raises:
        OSError: Names the program.
    """
    clone.close_from(3 + preserved, only_on_exec=True)
    name = args[0]
    if b"/" in name:
        os.execve(name, args, env)
    failure = errno.ENOENT
    for folder in env.get(b"PATH", DEFAULT_PATH).split(b":"):
        try:
            os.execve((folder or b".") + b"/" + name, args, env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise
            if error.errno == errno.EACCES:
                failure = errno.EACCES
    raise OSError(failure, os.strerror(failure) + " in $PATH", name)


Descriptors = Tuple[int, int, int]
