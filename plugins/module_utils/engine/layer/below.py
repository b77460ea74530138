# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a layer's tar leaves open, taken from the layers below it.

A tar may hold C(a/b) without C(a/): the folder's attributes are then those of
the layers below. And a hard link may lead to a file of a layer below: then it
carries a copy of that file, as a copy-up would make.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from ..errors import Corrupt
from ..instance import Instance
from ..kernel.erofs import Inode
from . import layers, tarstream, whiteouts
from .tree import Tree


def hides_all(tree: Tree) -> bool:
    """Whether the layer's root is opaque; overlayfs heeds this for no root, so the mount leaves the lower ones out."""
    return whiteouts.OPAQUE_XATTR in (tree.root.xattrs or {})


def complete(instance: Instance, tree: Tree, lowers: Sequence[str], form: Any, name: str) -> None:
    """Fill in what the tar left open.

    Args:
        lowers: Diff IDs of the layers below, lowest first.
        form: Takes the data of copied files.

    Raises:
        Corrupt: A hard link leads to a file that is in no layer.
    """
    implied = [path for path in tree.implied if path]
    if not tree.missing_links and not (lowers and (tree.implied)):
        return
    with ExitStack() as held:
        tops = [_open(instance, diff_id, held) for diff_id in reversed(lowers)]
        for path in implied:
            inode = _at(tree.root, path)
            status = _look(tops, path)
            if inode is not None and status is not None and stat.S_ISDIR(status[0].st_mode):
                _copy_attributes(inode, status[0], status[1])
        if () in tree.implied and tops:
            _copy_attributes(tree.root, os.stat(tops[0]), "/proc/self/fd/%d" % tops[0])
        for folder, link, target in tree.missing_links:
            _copy_file(tops, folder, link, target, form, name)


def _open(instance: Instance, diff_id: str, held: ExitStack) -> int:
    layer = layers.need(instance, diff_id)
    if layer.form == layers.EROFS:
        handle = layers.mount_erofs(layer.path)
    else:
        handle = os.open(layer.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, handle)
    return handle


def _at(root: Inode, path: Tuple[bytes, ...]) -> Optional[Inode]:
    here = root
    for part in path:
        child = (here.children or {}).get(part)
        if child is None:
            return None
        here = child
    return here if here.children is not None else None


def _look(tops: List[int], path: Tuple[bytes, ...]) -> Optional[Tuple[os.stat_result, str]]:
    """What the stack of layers shows at a path: its status and a way to reach it; links are not followed."""
    for top in tops:
        hidden = False
        here = "/proc/self/fd/%d" % top
        status = os.stat(here)
        for at, part in enumerate(path):
            if at and _opaque(here):
                hidden = True
            here = here + "/" + os.fsdecode(part)
            try:
                status = os.lstat(here)
            except OSError:
                break
            if whiteouts.is_whiteout(status.st_mode, status.st_rdev):
                return None
            if not stat.S_ISDIR(status.st_mode) and at + 1 < len(path):
                return None
        else:
            return status, here
        if hidden:
            return None
    return None


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, whiteouts.OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _copy_attributes(inode: Inode, status: os.stat_result, path: str) -> None:
    inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(status.st_mode)
    inode.uid, inode.gid, inode.mtime = status.st_uid, status.st_gid, status.st_mtime_ns
    for name in os.listxattr(path, follow_symlinks=False):
        if whiteouts.allowed_xattr(os.fsencode(name)):
            inode.xattrs = dict(inode.xattrs or {})
            inode.xattrs.setdefault(os.fsencode(name), os.getxattr(path, name, follow_symlinks=False))


def _copy_file(tops: List[int], folder: Inode, link: bytes, target: bytes, form: Any, name: str) -> None:
    parts = tuple(part for part in target.split(b"/") if part not in (b"", b"."))
    found = None if b".." in parts else _look(tops, parts)
    if found is None or stat.S_ISDIR(found[0].st_mode):
        raise Corrupt("%s: entry '%s' is a hard link to '%s', which is no file of this layer or of one below"
                      % (name, os.fsdecode(link), os.fsdecode(target)), "Make the layer again without this entry")
    status, path = found
    inode = Inode(status.st_mode)
    _copy_attributes(inode, status, path)
    if stat.S_ISREG(status.st_mode):
        inode.size = status.st_size
        if status.st_size:
            inode.place = form.file(tarstream.Entry(link, tarstream.FILE, size=status.st_size), _content(path))
    elif stat.S_ISLNK(status.st_mode):
        inode.target = os.fsencode(os.readlink(path))
    else:
        inode.device = status.st_rdev
    if folder.children is not None:
        folder.children[link] = inode


def _content(path: str) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        while True:
            piece = stream.read(1 << 18)
            if not piece:
                return
            yield piece
