# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that a layer's entries make, in memory: where a name leads is decided here and nowhere else.

Names of an archive are only ever looked up in this tree; a C(..) that leaves the
root is refused, a symbolic link in the middle of a name leads to where it leads
within the tree. So nothing that an archive says can reach a path of the host.
"""

from __future__ import annotations

import os
import stat
from typing import Callable, List, Optional, Set, Tuple

from ..errors import Corrupt
from ..kernel.erofs import Inode
from . import tarstream, whiteouts

DEEPEST = 1000
"""The deepest nesting of folders that is accepted (umoci and others accept less than PATH_MAX / 2)."""
_LONGEST_PART = 255
_MOST_LINKS = 40
_TYPES = {tarstream.FILE: stat.S_IFREG, tarstream.SYMLINK: stat.S_IFLNK, tarstream.CHARACTER: stat.S_IFCHR,
          tarstream.BLOCK_DEVICE: stat.S_IFBLK, tarstream.FOLDER: stat.S_IFDIR, tarstream.FIFO: stat.S_IFIFO}

Found = Optional[Inode]


class Tree:
    """A layer's files.

    Args:
        name: What an error names.
        drop: Called with the place of a file's data that no name leads to any more.
        layer: Whether names and devices that say in a layer what is gone below it do so here; else they are files like others.

    Attributes:
        root: The topmost folder.
        implied: Folders that the archive has not named, by path: their attributes are those of the layers below.
        missing_links: Hard links whose target this layer has not: (folder, name, target's path).
    """

    def __init__(self, name: str, drop: Callable[[int], None], layer: bool = True) -> None:
        self._name = name
        self._layer = layer
        self._drop = drop
        self.root = Inode(stat.S_IFDIR | 0o755)
        self.implied: Set[Tuple[bytes, ...]] = {()}
        self.missing_links: List[Tuple[Inode, bytes, bytes]] = []
        self._hidden: List[Tuple[Inode, bytes]] = []
        self._emptied: List[Inode] = []

    def add(self, entry: tarstream.Entry, store: Callable[[tarstream.Entry], int]) -> None:
        """Put one entry of the archive in its place.

        Args:
            store: Writes a regular file's data and returns where.
        """
        parts = self._parts(entry.name)
        if not parts:
            if entry.kind == tarstream.FOLDER:
                self._describe(self.root, entry)
                self.implied.discard(())
            return
        folder, path = self._folder(parts[:-1])
        name = parts[-1]
        try:
            meaning, hidden = whiteouts.classify(name) if self._layer else (whiteouts.NONE, name)
        except ValueError as error:
            raise self._corrupt(entry.name, str(error))
        if meaning == whiteouts.EMPTIES:
            self._emptied.append(folder)
            return
        if meaning == whiteouts.REMOVES:
            self._hidden.append((folder, hidden))
            return
        if meaning == whiteouts.IGNORED:
            return
        children = _children(folder)
        present = children.get(name)
        if entry.kind == tarstream.FOLDER and present is not None and present.children is not None:
            self._describe(present, entry)
            self.implied.discard(path + (name,))
            return
        if entry.kind == tarstream.LINK:
            self._link(folder, name, entry)
            return
        inode = Inode(_TYPES[entry.kind])
        self._describe(inode, entry)
        if entry.kind == tarstream.FILE:
            inode.size = entry.size
            inode.place = store(entry)
        elif entry.kind == tarstream.SYMLINK:
            if not entry.target or len(entry.target) > 4095 or b"\0" in entry.target:
                raise self._corrupt(entry.name, "is a symbolic link with an impossible target")
            inode.target = entry.target
        elif entry.kind in (tarstream.CHARACTER, tarstream.BLOCK_DEVICE):
            if entry.major >= 1 << 12 or entry.minor >= 1 << 20 or entry.major < 0 or entry.minor < 0:
                raise self._corrupt(entry.name, "is a device with an impossible number")
            inode.device = os.makedev(entry.major, entry.minor)
            if self._layer and whiteouts.is_whiteout(inode.mode, inode.device):
                raise self._corrupt(entry.name, "is a character device 0:0, which overlayfs would take for a whiteout")
        self._place(folder, name, inode)

    def finish(self) -> None:
        """Turn the archive's whiteouts into overlayfs's; to be called after the last entry.

        A whiteout only concerns the layers below, wherever in the archive it stands.
        """
        for folder, name in self._hidden:
            present = _children(folder).get(name)
            if present is None:
                _children(folder)[name] = Inode(stat.S_IFCHR)
            elif present.children is not None:
                self._emptied.append(present)
        for folder in self._emptied:
            if folder is not self.root:
                folder.xattrs = dict(folder.xattrs or {})
                folder.xattrs[whiteouts.OPAQUE_XATTR] = b"y"
        if any(folder is self.root for folder in self._emptied):
            self.root.xattrs = dict(self.root.xattrs or {})
            self.root.xattrs[whiteouts.OPAQUE_XATTR] = b"y"

    def find(self, name: bytes) -> Found:
        """What a name leads to, the last part not followed; C(None) where this layer has nothing there."""
        parts = self._parts(name)
        here, _path = self._walk(parts[:-1], create=False)
        if here is None:
            return None
        return _children(here).get(parts[-1]) if parts else self.root

    # Steps

    def _describe(self, inode: Inode, entry: tarstream.Entry) -> None:
        kind = stat.S_IFMT(inode.mode)
        inode.mode = kind | (0o777 if kind == stat.S_IFLNK else entry.mode)
        inode.uid, inode.gid, inode.mtime = entry.uid, entry.gid, entry.mtime
        inode.xattrs = None
        if entry.xattrs:
            if any(b"\0" in key for key in entry.xattrs):
                raise self._corrupt(entry.name, "has an xattr whose name holds a zero byte")
            inode.xattrs = {key: value for key, value in entry.xattrs.items()
                            if (not self._layer or whiteouts.allowed_xattr(key)) and len(key) < 256 and len(value) < 65536} or None

    def _link(self, folder: Inode, name: bytes, entry: tarstream.Entry) -> None:
        target = self.find(entry.target)
        if target is None:
            self.missing_links.append((folder, name, entry.target))
            self._place(folder, name, Inode(stat.S_IFREG))
            return
        if target.children is not None:
            raise self._corrupt(entry.name, "is a hard link to a folder")
        if _children(folder).get(name) is target:
            return
        target.names += 1
        self._place(folder, name, target)

    def _place(self, folder: Inode, name: bytes, inode: Inode) -> None:
        children = _children(folder)
        present = children.get(name)
        if present is not None:
            self._forget(present)
        children[name] = inode

    def _forget(self, inode: Inode) -> None:
        queue = [inode]
        while queue:
            each = queue.pop()
            each.names -= 1
            if each.children is not None:
                queue.extend(each.children.values())
            elif each.names == 0 and stat.S_ISREG(each.mode) and each.size:
                self._drop(each.place)

    def _parts(self, name: bytes) -> List[bytes]:
        parts: List[bytes] = []
        for part in name.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                if not parts:
                    raise self._corrupt(name, "leads out of the layer")
                parts.pop()
            elif len(part) > _LONGEST_PART or b"\0" in part:
                raise self._corrupt(name, "has a part that no file system takes")
            else:
                parts.append(part)
        if len(parts) > DEEPEST:
            raise self._corrupt(name[:80], "is nested deeper than %d folders" % DEEPEST)
        return parts

    def _folder(self, parts: List[bytes]) -> Tuple[Inode, Tuple[bytes, ...]]:
        folder, path = self._walk(parts, create=True)
        if folder is None:
            raise self._corrupt(b"/".join(parts), "leads nowhere")
        return folder, path

    def _walk(self, parts: List[bytes], create: bool) -> Tuple[Found, Tuple[bytes, ...]]:
        """Follow folders and symbolic links within the tree, C(..) never above its root."""
        stack: List[Tuple[bytes, Inode]] = []
        todo = parts[::-1]
        links = 0
        while todo:
            part = todo.pop()
            here = stack[-1][1] if stack else self.root
            if part in (b"", b"."):
                continue
            if part == b"..":
                if stack:
                    stack.pop()
                continue
            child = _children(here).get(part)
            if child is not None and stat.S_ISLNK(child.mode):
                links += 1
                if links > _MOST_LINKS:
                    raise self._corrupt(b"/".join(parts), "goes through too many symbolic links")
                if child.target.startswith(b"/"):
                    stack = []
                todo.extend(child.target.split(b"/")[::-1])
                continue
            if child is None or child.children is None:
                if not create:
                    return None, ()
                fresh = Inode(stat.S_IFDIR | 0o755)
                self._place(here, part, fresh)
                self.implied.add(tuple(name for name, _inode in stack) + (part,))
                child = fresh
            stack.append((part, child))
        return (stack[-1][1] if stack else self.root), tuple(name for name, _inode in stack)

    def _corrupt(self, name: bytes, why: str) -> Corrupt:
        return Corrupt("%s: entry '%s' %s" % (self._name, name.decode("utf-8", "backslashreplace"), why),
                       "Make the layer again without this entry")


def _children(folder: Inode) -> "dict[bytes, Inode]":
    if folder.children is None:
        raise TypeError("not a folder")
    return folder.children
