# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two forms in which a layer can be mounted: an EROFS image, or a folder tree for overlayfs.

Both are filled in the same way: the data of each regular file as it comes, then
the whole tree at once; both are built in C(ingest/) and renamed when they are whole.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import Dict, Iterator, Union

from ..errors import KernelError
from ..instance import Instance
from ..kernel import erofs
from ..kernel.erofs import Inode
from ..kernel.syscalls import libc
from ..store import files, leases
from . import tarstream

EROFS, DIRECTORY = "erofs", "directory"
FORMS = (EROFS, DIRECTORY)


class ErofsForm:
    """Builds an image file."""

    def __init__(self, instance: Instance, part: str) -> None:
        self.path = part
        self._stream = open(leases.claim(instance, part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb", buffering=0)
        self._writer = erofs.Writer(self._stream)

    def file(self, entry: tarstream.Entry, pieces: Iterator[bytes]) -> int:
        """Write a regular file's data; returns its place."""
        if entry.parts is not None:
            return self._writer.add_sparse(entry.size, entry.parts, pieces)
        return self._writer.add_file(pieces)[0]

    def drop(self, _place: int) -> None:
        """A file's data that nothing leads to stays as unused blocks."""

    def finish(self, root: Inode, identity: bytes) -> int:
        """Write the tree; flush to the disk; returns the size in bytes."""
        size = self._writer.finish(root, identity)
        os.fsync(self._stream.fileno())
        os.fchmod(self._stream.fileno(), 0o444)
        self._stream.close()
        return size

    def publish(self, target: str) -> None:
        """Give the finished layer its name."""
        os.rename(self.path, target)
        files.sync_folder(os.path.dirname(target))

    def abort(self) -> None:
        """Leave nothing behind."""
        if not self._stream.closed:
            self._stream.close()
        files.remove(self.path)


class FolderForm:
    """Builds a folder tree in the folder C(part), which is there and empty.

    File data goes to numbered files first, which are renamed into a tree made from
    scratch: no step ever walks through a folder or link that an archive named.
    """

    def __init__(self, part: str) -> None:
        self.path = part
        self.tree = os.path.join(part, "tree")
        os.mkdir(os.path.join(part, "data"), 0o700)
        os.mkdir(self.tree, 0o700)
        self._data = os.open(os.path.join(part, "data"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._next = 0
        self._size = 0

    def file(self, entry: tarstream.Entry, pieces: Iterator[bytes]) -> int:
        """Write a regular file's data; returns its place."""
        self._next += 1
        handle = os.open(b"%d" % self._next, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                         0o600, dir_fd=self._data)
        try:
            if entry.parts is None:
                for piece in pieces:
                    _write(handle, piece)
            else:
                _write_parts(handle, entry, pieces)
        finally:
            os.close(handle)
        self._size += entry.size
        return self._next

    def drop(self, place: int) -> None:
        """Delete a file's data that no name leads to any more."""
        os.unlink(b"%d" % place, dir_fd=self._data)

    def finish(self, root: Inode, _identity: bytes) -> int:
        """Make the tree; flush to the disk; returns the bytes of file data."""
        top = os.open(self.tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        first: Dict[int, str] = {}
        try:
            self._fill(top, b"", root, first)
            if libc.syncfs(top) != 0:  # one call for the whole tree instead of one for each file
                raise KernelError("syncfs", 5, self.path)
        finally:
            os.close(top)
        return self._size

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._data >= 0:
            os.close(self._data)
            self._data = -1
            shutil.rmtree(self.path, ignore_errors=True)

    def _fill(self, folder: int, path: bytes, inode: Inode, first: Dict[int, str]) -> None:
        """Make what is in a folder, then give the folder its attributes; its time comes last."""
        children = inode.children or {}
        for name in sorted(children):
            child = children[name]
            inner = path + b"/" + name
            if child.children is not None:
                os.mkdir(name, 0o700, dir_fd=folder)
                handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    self._fill(handle, inner, child, first)
                finally:
                    os.close(handle)
                continue
            if child.names > 1:
                earlier = first.get(id(child))
                if earlier is not None:
                    # An absolute path, made of folders that this run has made itself
                    os.link(earlier, name, dst_dir_fd=folder, follow_symlinks=False)
                    continue
                first[id(child)] = self.tree + os.fsdecode(inner)
            self._make(folder, name, child)
        describe(folder, inode)

    def _make(self, folder: int, name: bytes, inode: Inode) -> None:
        kind = stat.S_IFMT(inode.mode)
        if kind == stat.S_IFREG:
            if inode.place:
                os.rename(b"%d" % inode.place, name, src_dir_fd=self._data, dst_dir_fd=folder)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder))
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                describe(handle, inode)
            finally:
                os.close(handle)
            return
        if kind == stat.S_IFLNK:
            os.symlink(inode.target, name, dir_fd=folder)
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, 0o600, dir_fd=folder)
        else:
            os.mknod(name, kind | 0o600, inode.device, dir_fd=folder)
        os.chown(name, inode.uid, inode.gid, dir_fd=folder, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(name, stat.S_IMODE(inode.mode), dir_fd=folder)  # no link: made just now, in a folder of our own
        if inode.xattrs:
            path = "/proc/self/fd/%d/%s" % (folder, os.fsdecode(name))
            _set_xattrs(path, inode.xattrs, follow_symlinks=False)
        os.utime(name, ns=(inode.mtime, inode.mtime), dir_fd=folder, follow_symlinks=False)


class DirectoryForm(FolderForm):
    """Builds a folder tree that is a layer."""

    def __init__(self, instance: Instance, part: str) -> None:
        self._claim = leases.claim(instance, part, os.O_RDONLY | os.O_DIRECTORY)
        super().__init__(part)

    def publish(self, target: str) -> None:
        """Give the finished layer its name."""
        os.rename(self.tree, target)
        files.sync_folder(os.path.dirname(target))
        self.abort()

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._data >= 0:
            super().abort()
            os.close(self._claim)


def describe(handle: int, inode: Inode) -> None:
    """Owner, then mode (chown(2) clears setuid), then xattrs (it clears capabilities too), then the time."""
    os.fchown(handle, inode.uid, inode.gid)
    os.fchmod(handle, stat.S_IMODE(inode.mode))
    if inode.xattrs:
        _set_xattrs(handle, inode.xattrs)
    os.utime(handle, ns=(inode.mtime, inode.mtime))


def _set_xattrs(where: Union[int, str], xattrs: Dict[bytes, bytes], follow_symlinks: bool = True) -> None:
    for name, value in xattrs.items():
        try:
            if isinstance(where, int):
                os.setxattr(where, name, value)
            else:
                os.setxattr(where, name, value, follow_symlinks=follow_symlinks)
        except OSError as error:
            if error.errno not in (95, 1):  # ENOTSUP, EPERM: the file system, or the kind of file, has none of these
                raise


def _write(handle: int, piece: bytes) -> None:
    written = os.write(handle, piece)
    while written < len(piece):
        piece = piece[written:]
        written = os.write(handle, piece)


def _write_parts(handle: int, entry: tarstream.Entry, pieces: Iterator[bytes]) -> None:
    held = b""
    for offset, length in entry.parts or ():
        os.lseek(handle, offset, os.SEEK_SET)
        while length:
            held = held or next(pieces)
            _write(handle, held[:length])
            taken = min(length, len(held))
            held = held[taken:]
            length -= taken
    os.ftruncate(handle, entry.size)


def new_form(instance: Instance, form: str, part: str) -> Union[ErofsForm, DirectoryForm]:
    """Begin a layer of this form in a place below C(ingest/) that does not exist yet."""
    return ErofsForm(instance, part) if form == EROFS else DirectoryForm(instance, part)


def remove(path: str) -> None:
    """Delete a layer of either form: first out of its name, then piece by piece."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)  # what is left of it, and a collection may help
    else:
        files.remove(path)
