# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a volume: filled from an image or a tarball, and written to one.

Both ways lead through the engine's own tar writer and reader, so that what is copied is what a tarball can hold: owners, modes,
times in whole seconds, links, devices and extended attributes; no sockets.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set

from ..errors import Conflict, Corrupt, InvalidValue, KernelError, NotFound
from ..kernel import paths
from ..kernel.erofs import Inode
from ..layer import forms, pack, unpack
from ..store import files, streams

_PART = ".coracle-fill"
"""The folder in a volume's topmost one in which a tree is made that then takes its place."""
_COMPRESSIONS = {".tar": "none", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_HOSTS_OWN = (b"security.selinux", b"security.ima", b"security.evm", b"system.nfs4_acl")
"""Extended attributes that a host gives to its files by itself."""

Owners = Callable[[Inode], None]
"""Changes owner and group of a file."""


def empty(path: str) -> bool:
    """Whether a folder has nothing in it, apart from what an interrupted run has left."""
    with os.scandir(path) as listing:
        return not any(entry.name != _PART for entry in listing)


def fill(path: str, chunks: Iterator[bytes], name: str, owners: Optional[Owners] = None) -> None:
    """Put what a tar stream holds into an empty folder; one that fails leaves it empty.

    Args:
        path: The folder; it takes owner, mode and times of the archive's topmost one.
        chunks: The plain stream.
        name: What an error names.
        owners: As the files' owners shall become.

    Raises:
        Conflict: The folder is not empty.
        Corrupt: The stream cannot be read, or leads out of itself.
    """
    if not empty(path):
        raise Conflict("%s: the folder %s holds files already" % (name, path), "Empty it, or leave it as it is")
    part = os.path.join(path, _PART)
    shutil.rmtree(part, ignore_errors=True)
    os.mkdir(part, 0o700)
    form = forms.FolderForm(part)
    moved: List[str] = []
    try:
        tree, _entries = unpack.read_tree(chunks, name, form, layer=False)
        if tree.missing_links:
            raise Corrupt("%s: entry '%s' is a link to a file that the archive has not" % (
                name, tree.missing_links[0][1].decode("utf-8", "backslashreplace")), "Make the archive again, with all files")
        if owners is not None:
            _each(tree.root, owners)
        form.finish(tree.root, b"")
        for child in sorted(os.listdir(form.tree)):
            os.rename(os.path.join(form.tree, child), os.path.join(path, child))
            moved.append(child)
        form.abort()
        if () not in tree.implied:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                forms.describe(handle, tree.root)
            finally:
                os.close(handle)
    except BaseException:
        form.abort()
        for child in moved:
            remove(os.path.join(path, child))
        raise


def _each(inode: Inode, change: Owners) -> None:
    """Change each file of a tree once, however many names it has."""
    seen: Set[int] = set()
    queue = [inode]
    while queue:
        each = queue.pop()
        if id(each) not in seen:
            seen.add(id(each))
            change(each)
            queue.extend((each.children or {}).values())


def copy_up(path: str, root: str, target: str, name: str, ids: Optional[Mapping[str, Sequence[Sequence[int]]]]) -> bool:
    """Fill an empty volume with what an image has at the place where it is mounted; whether there was anything.

    Args:
        path: The volume's folder.
        root: Where the container's root is mounted; links in it lead nowhere but inside.
        target: The place in it.
        name: What an error names.
        ids: Rows of the container's user namespace: in a volume, as in the image, files belong to IDs of the container.
    """
    inside = paths.Root(root)
    try:
        try:
            source = inside.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except KernelError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise
        try:
            fill(path, archive("/proc/self/fd/%d" % source), name, None if ids is None else _translated(ids))
        finally:
            os.close(source)
    finally:
        inside.close()
    return True


def _translated(ids: Mapping[str, Sequence[Sequence[int]]]) -> Owners:
    def back(kind: str, number: int) -> int:
        for inner, outer, size in ids[kind]:
            if outer <= number < outer + size:
                return int(inner + number - outer)
        return number

    def change(inode: Inode) -> None:
        inode.uid, inode.gid = back("uid", inode.uid), back("gid", inode.gid)
    return change


def archive(path: str) -> Iterator[bytes]:
    """The folder's content as a tar stream: the same content gives the same bytes."""
    return pack.pack(path, allowed=lambda name: name not in _HOSTS_OWN)


def digest(path: str) -> str:
    """The digest of that stream."""
    return _digest(archive(path))


def _digest(chunks: Iterator[bytes]) -> str:
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return "sha256:" + found.hexdigest()


def compression_of(path: str) -> str:
    """How a tarball of this name is compressed.

    Raises:
        InvalidValue: The name does not tell.
    """
    for end in sorted(_COMPRESSIONS, key=len, reverse=True):
        if path.endswith(end):
            return _COMPRESSIONS[end]
    raise InvalidValue("backup", path, "does not tell by its name what kind of file it is", "End it with %s" % ", ".join(_COMPRESSIONS))


def check_backup(path: str) -> None:
    """Refuse a place where no tarball can be.

    Raises:
        EngineError: Says why.
    """
    compression_of(path)
    if not os.path.isdir(os.path.dirname(path)):
        raise NotFound("option 'backup': the folder %s does not exist" % os.path.dirname(path), "Create it first")
    if os.path.isdir(path):
        raise InvalidValue("backup", path, "is a folder", "Name the file to be written")


def check_restore(path: str) -> None:
    """Refuse what is no file.

    Raises:
        NotFound: It is none.
    """
    if not os.path.isfile(path):
        raise NotFound("option 'restore': there is no file %s on the managed host" % path, "Bring it there first, or leave the option out")


def written(path: str) -> Optional[str]:
    """The digest of the plain stream in a tarball; C(None) where there is none that can be read."""
    try:
        with open(path, "rb") as stream:
            return _digest(streams.decoded(streams.read_chunks(stream), path))
    except (FileNotFoundError, Corrupt):
        return None


def backup(path: str, target: str) -> None:
    """Write a tarball of a folder; one that fails leaves the former."""
    files.write_chunks(target, streams.encoded(archive(path), compression_of(target)), mode=0o600)


def restore(path: str, source: str) -> None:
    """Fill a folder from a tarball, compressed or not."""
    with open(source, "rb") as stream:
        fill(path, streams.decoded(streams.read_chunks(stream), source), source)


def verify(source: str) -> None:
    """Read a tarball as C(restore) would, writing nothing.

    Raises:
        Corrupt: It cannot be read.
    """
    with open(source, "rb") as stream:
        unpack.read_tree(streams.decoded(streams.read_chunks(stream), source), source, unpack.Nothing(), layer=False)


def remove(path: str) -> None:
    """Delete a file, or a folder with all that is in it; links are not followed."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        files.remove(path)


def attributes(path: str) -> Dict[str, Any]:
    """Owner, group and mode of a folder."""
    status = os.stat(path)
    return {"owner": status.st_uid, "group": status.st_gid, "mode": stat.S_IMODE(status.st_mode)}


def own(path: str, owner: Optional[int], group: Optional[int], mode: Optional[int]) -> None:
    """Set those that are given."""
    if owner is not None or group is not None:
        os.chown(path, -1 if owner is None else owner, -1 if group is None else group)
    if mode is not None:
        os.chmod(path, mode)
