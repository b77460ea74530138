# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter, out of a container's reach: run from a read-only view of its own executable.

A process of the container can open /proc/PID/exe of the one that set it up, and
write to that file once nobody runs it any more. So whoever makes containers
first runs itself anew from a detached mount of the executable that is read-only
for good: such a write is refused with EROFS. The mount goes with its last user.
"""

from __future__ import annotations

import os
import sys
from typing import List

from ..errors import KernelError
from ..kernel import mounts

_MARK = "CORACLE_SEALED"
_ST_RDONLY = 1


def ensure() -> None:
    """Go on only as a sealed interpreter: run this very program again where it is not sealed yet.

    The process keeps its number, descriptors and arguments. Threads and Python objects are lost, so call it first.

    Raises:
        KernelError: No detached mount can be made.
    """
    if sealed():
        os.environ.pop(_MARK, None)
        return
    if os.environ.get(_MARK):  # run anew already, and still not read-only: never loop
        raise KernelError("open_tree", 30, sys.executable, "The interpreter must lie on a local file system")
    tree = mounts.open_tree("/proc/self/exe", clone=True)
    mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NODEV, directory=tree)
    environment = dict(os.environ)
    environment[_MARK] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(tree, _command_line(), environment)


def sealed() -> bool:
    """Whether this interpreter's executable cannot be written by way of /proc/PID/exe."""
    handle = os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
    try:
        return bool(os.fstatvfs(handle).f_flag & _ST_RDONLY)
    finally:
        os.close(handle)


def _command_line() -> List[bytes]:
    with open("/proc/self/cmdline", "rb") as stream:
        words = stream.read().split(b"\0")[:-1]
    # The interpreter finds its library by the name that it was called by.
    words[0] = os.fsencode(sys.executable)
    return words
