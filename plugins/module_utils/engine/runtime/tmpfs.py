# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new tmpfs takes over from the folder that it will cover: its mode, and with C(tmpcopyup) its content."""

from __future__ import annotations

import errno
import os
import stat
from typing import Optional

from ..errors import KernelError
from ..kernel import paths


def mode_at(root: paths.Root, destination: str) -> Optional[int]:
    """The permission bits of the folder that a mount will cover, which a tmpfs without a mode of its own takes over."""
    try:
        handle = root.open(destination, os.O_PATH | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def copy_up(root: paths.Root, destination: str, tree: int) -> None:
    """Fill a new tmpfs with what its place in the image held: the option tmpcopyup."""
    try:
        source = root.open(destination, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        target = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        try:
            status = os.fstat(source)
            os.fchown(target, status.st_uid, status.st_gid)
            _copy_tree(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_tree(source: int, target: int) -> None:
    folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            below, above = os.open(name, folder_flags, dir_fd=source), os.open(name, folder_flags, dir_fd=target)
            try:
                _copy_tree(below, above)
            finally:
                os.close(below)
                os.close(above)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source, target, name)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while True:
                part = os.read(reading, 1 << 20)
                if not part:
                    break
                view = memoryview(part)
                while view:
                    view = view[os.write(writing, view):]
        finally:
            os.close(writing)
    finally:
        os.close(reading)
