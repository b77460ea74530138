# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths inside a root that is not trusted: every step is resolved by the kernel beneath it.

openat2(2) with RESOLVE_IN_ROOT treats the root's descriptor as C(/): absolute
links and C(..) stay inside, and magic links are refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from typing import List, Optional, Sequence, Tuple, Type, TypeVar

from ..errors import KernelError
from .syscalls import failure, try_call

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_MOST_LINKS = 40
_Root = TypeVar("_Root", bound="Root")


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def open_beneath(root: int, path: str, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Open a path inside the root that a descriptor stands for.

    Raises:
        KernelError: ENOENT, ELOOP and so on, naming the path as seen inside.
    """
    result = _try_open(root, path, flags, mode, resolve)
    if result < 0:
        raise failure("openat2", -result, path)
    return result


def _try_open(root: int, path: str, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """The same, where a failure is returned as the negative errno: an exception takes longer than the call."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve | RESOLVE_NO_MAGICLINKS)
    for _attempt in range(128):  # EAGAIN: a rename raced with the walk (openat2(2), ERRORS)
        result = try_call("openat2", root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if result != -errno.EAGAIN:
            break
    return result


class Root:
    """A root folder, held by descriptor."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.handle = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    @classmethod
    def of(cls: Type[_Root], handle: int, path: str) -> _Root:
        """A root whose descriptor is open already; C(path) is for errors alone."""
        root = cls.__new__(cls)
        root.path, root.handle = path, handle
        return root

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.handle)

    def open(self, path: str, flags: int = os.O_PATH, mode: int = 0) -> int:
        """Open what a path leads to inside the root, links followed inside the root."""
        return open_beneath(self.handle, path, flags, mode)

    def find(self, path: str, nothing: Sequence[int] = (errno.ENOENT, errno.ENOTDIR)) -> Optional[int]:
        """Open what a path leads to (O_PATH), or C(None) where it leads to nothing.

        Args:
            nothing: What the kernel says then.
        """
        result = _try_open(self.handle, path, os.O_PATH)
        if result >= 0:
            return result
        if -result in nothing:
            return None
        raise failure("openat2", -result, path)

    def exists(self, path: str) -> bool:
        """Whether a path leads to anything inside the root."""
        found = self.find(path, (errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
        if found is not None:
            os.close(found)
        return found is not None

    def make_folders(self, path: str, mode: int = 0o755, resolve: int = RESOLVE_IN_ROOT) -> int:
        """Create a folder and its parents where missing, beneath the root; return its descriptor (O_PATH).

        What a link leads to is made where it is inside the root.

        Args:
            resolve: RESOLVE_*; with RESOLVE_NO_SYMLINKS a link on the way is ELOOP.
        """
        here = os.dup(self.handle)
        done: List[str] = []
        rest = _parts(path)[::-1]
        links = _MOST_LINKS
        try:
            while rest:
                done.append(rest.pop())
                try:
                    following = open_beneath(self.handle, "/".join(done), os.O_PATH | os.O_DIRECTORY, resolve=resolve)
                except KernelError as error:
                    if error.errno != errno.ENOENT:
                        raise
                    part = done.pop()
                    target = _link_target(part, here)
                    if target is not None:
                        links -= 1
                        if links < 0:
                            raise KernelError("open", errno.ELOOP, path) from error
                        rest += _parts(target)[::-1]
                        if not target.startswith("/"):
                            continue
                        following, done = os.dup(self.handle), []
                    else:  # mkdirat follows no link, should one have come meanwhile
                        os.mkdir(part, mode, dir_fd=here)
                        following = open_beneath(here, part, os.O_PATH | os.O_DIRECTORY,
                                                 resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
                        done.append(part)
                os.close(here)
                here = following
        except BaseException:
            os.close(here)
            raise
        return here

    def make_file(self, path: str, mode: int = 0o644) -> int:
        """Create an empty file and its missing parents unless something is there; return its descriptor (O_PATH)."""
        for _link in range(_MOST_LINKS):
            folder, name = _split(path)
            parent = self.make_folders(folder)
            try:
                try:
                    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC,
                                     mode, dir_fd=parent))
                except FileExistsError:
                    pass
                target = _link_target(name, parent)
            finally:
                os.close(parent)
            try:
                return self.open(path)
            except KernelError as error:
                if error.errno != errno.ENOENT or target is None:
                    raise
            path = target if target.startswith("/") else folder + "/" + target
        raise KernelError("open", errno.ELOOP, path)

    def open_file(self, path: str) -> int:
        """Open a regular file for reading; never waits on a FIFO.

        Raises:
            KernelError: EINVAL where it is no regular file; ENOENT and so on as the kernel says.
        """
        handle = self.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise KernelError("read", errno.EINVAL, "%s (no regular file)" % path)
        return handle

    def read(self, path: str, limit: int) -> bytes:
        """The content of a regular file, at most C(limit) bytes of it; never waits on a FIFO or device.

        Raises:
            KernelError: EINVAL where it is no regular file; ENOENT and so on as the kernel says.
        """
        handle = self.open_file(path)
        with os.fdopen(handle, "rb") as stream:
            content = stream.read(limit)
        if content is None:  # a file of a pseudo file system that has nothing to say now
            raise KernelError("read", errno.EAGAIN, path)
        return content


class Seen(Root):
    """A root that the host looks into, where no cgroup keeps it from devices that somebody inside may have made."""

    def open_file(self, path: str, resolve: int = RESOLVE_IN_ROOT) -> int:
        """Open a regular file for reading. Nothing else is opened, not even for a moment: to open a device may be to act on it.

        Args:
            resolve: RESOLVE_*; with RESOLVE_NO_SYMLINKS a link is no regular file.
        """
        found = open_beneath(self.handle, path, os.O_PATH | (os.O_NOFOLLOW if resolve & RESOLVE_NO_SYMLINKS else 0), 0, resolve)
        try:
            if not stat.S_ISREG(os.fstat(found).st_mode):
                raise KernelError("read", errno.EINVAL, "%s (no regular file)" % path)
            return os.open("/proc/self/fd/%d" % found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        finally:
            os.close(found)


def _link_target(name: str, folder: int) -> Optional[str]:
    """Where a link leads to, or C(None) where there is no link of this name."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _split(path: str) -> Tuple[str, str]:
    folder, _slash, name = path.rstrip("/").rpartition("/")
    return folder, name
