# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter, out of a container's reach: run from a read-only view of its own executable.

A process of the container can open /proc/PID/exe of the one that set it up, and
write to that file once nobody runs it any more. So whoever makes containers
first runs itself anew from a detached mount of the executable that is read-only
for good: such a write is refused with EROFS. The mount goes with its last user.

Starting twice takes twice as long. So a host can keep such a mount, at a place
where the launcher of the command looks (C(launcher.py)): made by C(coracle seal), gone with
C(coracle seal --undo), C(coracle reset) or the next boot. Whether the interpreter is sealed is
looked at in any case.
"""

from __future__ import annotations

import fcntl
import os
import sys
from typing import List

from ..errors import EngineError, KernelError
from ..kernel import mounts
from ..store import files
from . import rootless

_MARK = "CORACLE_SEALED"
_ST_RDONLY = 1
_F_ADD_SEALS, _F_GET_SEALS = 1033, 1034
_F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW, _F_SEAL_WRITE = 1, 2, 4, 8
"""fcntl(2); the standard library has them from Python 3.9.1 on a recent kernel only."""


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
    if rootless.unprivileged():
        if not _writable():
            return  # nobody in the container is more than this user, who cannot write it
        tree = _copy()
    else:
        tree = mounts.open_tree("/proc/self/exe", clone=True)
        mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NODEV, directory=tree)
    environment = dict(os.environ)
    environment[_MARK] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(tree, _command_line(), environment)


def keep() -> str:
    """Keep a sealed view of the interpreter until the next boot; where it is.

    Raises:
        EngineError: The interpreter does not run from there; nothing was kept.
        KernelError: The mount cannot be made.
    """
    from .. import launcher  # pylint: disable=import-outside-toplevel
    from ..kernel import commands  # pylint: disable=import-outside-toplevel
    python = os.path.realpath(sys.executable)
    target, original = launcher.place(python), os.path.dirname(os.path.dirname(python))
    if python == target:
        return target  # this is it
    release()
    files.make_folder(os.path.dirname(target), 0o755)
    for name in ("lib", "lib64"):  # the interpreter looks for its library beside the folder that it lies in
        if os.path.isdir(os.path.join(original, name)):
            os.symlink(os.path.join(original, name), os.path.join(launcher.HOME, name))
    files.write(target, b"", 0o600, durable=False)
    tree = mounts.open_tree(python, clone=True)
    try:
        mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NODEV, directory=tree)
        mounts.move_mount(tree, target)
    finally:
        os.close(tree)
    if commands.run([target, "-IS", "-c", "import ctypes, fcntl"]).status:
        release()
        raise EngineError("%s does not run from another place" % python, "Leave it where it is: containers only start slower")
    return target


def release() -> None:
    """Give up what C(keep) has made; who runs from there goes on."""
    from .. import launcher  # pylint: disable=import-outside-toplevel
    folder = os.path.join(launcher.HOME, "bin")
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        mounts.unmount_if_mounted(path)
        os.unlink(path)
    for name in os.listdir(launcher.HOME) if os.path.isdir(launcher.HOME) else ():
        if name != "bin":
            os.unlink(os.path.join(launcher.HOME, name))
    files.remove_empty(folder, launcher.HOME)


def sealed() -> bool:
    """Whether this interpreter's executable cannot be written by way of /proc/PID/exe."""
    handle = os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
    try:
        if os.fstatvfs(handle).f_flag & _ST_RDONLY:
            return True
    finally:
        os.close(handle)
    handle = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return bool(fcntl.fcntl(handle, _F_GET_SEALS) & _F_SEAL_WRITE)
    except OSError:
        return False  # an ordinary file
    finally:
        os.close(handle)


def _writable() -> bool:
    """Whether this user, and so the container's root, could write the interpreter's executable."""
    return os.stat("/proc/self/exe").st_uid == os.geteuid() or os.access("/proc/self/exe", os.W_OK)


def _copy() -> int:
    """The executable in memory, sealed (memfd_create(2)): for a user who may not make mounts."""
    source = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
    copy = os.memfd_create("coracle", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        offset, size = 0, os.fstat(source).st_size
        while offset < size:
            offset += os.sendfile(copy, source, offset, size - offset)
        os.fchmod(copy, 0o755)
        fcntl.fcntl(copy, _F_ADD_SEALS, _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW | _F_SEAL_WRITE)
        # A file that is open for writing, sealed or not, is not run.
        return os.open("/proc/self/fd/%d" % copy, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(source)
        os.close(copy)


def _command_line() -> List[bytes]:
    with open("/proc/self/cmdline", "rb") as stream:
        words = stream.read().split(b"\0")[:-1]
    # The interpreter finds its library by the name that it was called by.
    words[0] = os.fsencode(sys.executable)
    return words
