# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an image as a container would see them, outside of the store: as a tarball, or as a folder.

Both tell which image they were: the tarball in a comment, the folder in an extended attribute together with the digest that
it has as a tar stream, so that a folder in which somebody has changed something is not taken for the image.
"""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import contextmanager
from typing import Iterator, Optional

from ..errors import Conflict, Unsupported
from ..instance import Instance
from ..layer import forms, pack, unpack, whiteouts
from ..store import files
from . import images, rootfs

_SAVED = "trusted.coracle.saved"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD of fcntl.h, RENAME_EXCHANGE of linux/fs.h
_mounts = itertools.count(1)


@contextmanager
def merged(instance: Instance, image: images.Image) -> Iterator[str]:
    """A folder that shows the image's files, mounted read-only while the context lasts."""
    from ..layer import layers, overlay  # pylint: disable=import-outside-toplevel
    target = instance.run("export-%d-%d" % (os.getpid(), next(_mounts)))
    for diff_id in image.diff_ids:
        layers.ensure(instance, diff_id)
    files.make_folder(instance.run_root)
    files.make_folder(target)
    try:
        overlay.mount(instance, image.diff_ids, target, read_only=True)
        yield target
    finally:
        overlay.unmount(instance, target)
        os.rmdir(target)


def tarball(instance: Instance, image: images.Image) -> Iterator[bytes]:
    """The files as a tar stream that says which image it was."""
    with merged(instance, image) as root:
        yield from pack.pack(root, allowed=whiteouts.allowed_xattr, head=pack.comment(image.manifest_digest.encode()))


def folder(instance: Instance, image: images.Image, dest: str) -> None:
    """The files as a folder, which is made beside C(dest) and takes its place at once.

    Raises:
        Unsupported: Its file system has no extended attributes.
    """
    part = os.path.join(os.path.dirname(dest), "%s%s-%d" % (files.TEMPORARY, os.path.basename(dest), os.getpid()))
    made = forms.DirectoryForm(instance, part)
    try:
        with merged(instance, image) as root:
            found = unpack.unpack(pack.pack(root, allowed=whiteouts.allowed_xattr), dest, made)
        made.finish(found.tree.root, b"")
        try:
            os.setxattr(made.tree, _SAVED, ("%s %s" % (image.manifest_digest, found.diff_id)).encode())
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            raise Unsupported("dest %s: its file system has no extended attributes" % dest, "Choose one on ext4, xfs, btrfs or tmpfs")
        if os.path.isdir(dest):
            from ..kernel import syscalls  # pylint: disable=import-outside-toplevel
            syscalls.call("renameat2", _HERE, os.fsencode(made.tree), _HERE, os.fsencode(dest), _EXCHANGE, target=dest)
            files.sync_folder(os.path.dirname(dest))
        else:
            made.publish(dest)
    finally:
        made.abort()


def check(dest: str) -> None:
    """Look whether a folder may be replaced.

    Raises:
        Conflict: It is no folder, or one that was not written here and has files.
    """
    if os.path.lexists(dest) and (not os.path.isdir(dest) or os.path.islink(dest) or _mark(dest) is None and os.listdir(dest)):
        raise Conflict("dest %s is there and was not written from an image" % dest, "Name a folder that is new or empty")


def observe(instance: Instance, dest: str) -> Optional[str]:
    """Digest of the manifest of the image whose files a folder holds; C(None) where it holds other ones."""
    mark = _mark(dest) or ""
    manifest, _space, tree = mark.partition(" ")
    return manifest if tree and rootfs.identity(instance, dest) == tree else None


def _mark(dest: str) -> Optional[str]:
    try:
        return os.getxattr(dest, _SAVED, follow_symlinks=False).decode("ascii", "replace")
    except OSError:
        return None
