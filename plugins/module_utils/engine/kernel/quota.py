# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Project quotas: how much the files of one tree may take (quotactl(2), ioctl_xfs_fsgetxattr(2)).

A project is a number that a folder hands on to what is made in it. ext4 and XFS count and limit what bears it, where they are
mounted with C(prjquota).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from typing import NamedTuple, Optional

from .syscalls import call, try_call

_GET, _SET = 0x800007, 0x800008  # Q_GETQUOTA, Q_SETQUOTA
_PROJECT = 2  # PRJQUOTA
_BLOCK_LIMITS = 1  # QIF_BLIMITS
_DQBLK = "=8QI4x"  # struct if_dqblk; limits count 1024 bytes, what is used counts bytes
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
_FSXATTR = "=5I8x"
_INHERIT = 0x200  # FS_XFLAG_PROJINHERIT
_NONE = (errno.ESRCH, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.EPERM)


class Quota(NamedTuple):
    """What a project has and may have, in bytes; a limit of 0 is none."""

    limit: int
    used: int


def read(path: str, project: int) -> Optional[Quota]:
    """The quota of a project of the file system that a path is on; C(None) where the file system counts no projects.

    Raises:
        KernelError: The kernel failed at it.
    """
    record = ctypes.create_string_buffer(struct.calcsize(_DQBLK))
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        result = try_call("quotactl_fd", handle, _GET << 8 | _PROJECT, project, record)
        if -result == errno.ENOENT:  # XFS knows nothing of a project that has nothing
            return Quota(0, 0)
        if -result in _NONE:
            return None
        if result < 0:
            call("quotactl_fd", handle, _GET << 8 | _PROJECT, project, record, target=path)
    finally:
        os.close(handle)
    hard, _soft, used = struct.unpack_from("=3Q", record)
    return Quota(hard * 1024, used)


def limit(path: str, project: int, size: int) -> None:
    """Let a project have so many bytes, rounded up to 1024; 0 for no limit.

    Raises:
        KernelError: The kernel refuses.
    """
    blocks = -(-size // 1024)
    record = struct.pack(_DQBLK, blocks, blocks, 0, 0, 0, 0, 0, 0, _BLOCK_LIMITS)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("quotactl_fd", handle, _SET << 8 | _PROJECT, project, record, target=path)
    finally:
        os.close(handle)


def project_of(path: str) -> int:
    """The project of a folder or file; 0 where it has none."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return int(struct.unpack(_FSXATTR, fcntl.ioctl(handle, _GET_ATTRIBUTES, bytes(28)))[3])
    except OSError:
        return 0
    finally:
        os.close(handle)


def assign(path: str, project: int) -> None:
    """Give a folder and all that is in it to a project; what is made in it later belongs to it too. Links are not followed.

    Raises:
        OSError: The file system knows no projects.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _assign(handle, project, True)
        _assign_below(handle, project)
    finally:
        os.close(handle)


def _assign_below(folder: int, project: int) -> None:
    for name in os.listdir(folder):
        kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
            continue  # no such file can be opened without a side effect, and none of them holds data
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            _assign(handle, project, stat.S_ISDIR(kind))
            if stat.S_ISDIR(kind):
                _assign_below(handle, project)
        finally:
            os.close(handle)


def _assign(handle: int, project: int, folder: bool) -> None:
    fields = list(struct.unpack(_FSXATTR, fcntl.ioctl(handle, _GET_ATTRIBUTES, bytes(28))))
    fields[0] = fields[0] | _INHERIT if folder else fields[0]
    fields[3] = project
    fcntl.ioctl(handle, _SET_ATTRIBUTES, struct.pack(_FSXATTR, *fields))
