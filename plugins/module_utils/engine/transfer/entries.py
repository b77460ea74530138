# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copied files as data: what there is at one end, and what it takes to have it at the other."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue, KernelError, NotFound
from ..kernel import paths

FILE, FOLDER, LINK, OTHER = "file", "directory", "link", "special file"
INSIDE = paths.RESOLVE_BENEATH | paths.RESOLVE_NO_SYMLINKS
"""How what lies below the place of a copy is reached: no link on the way is followed, whoever has put it there."""
_MOST = 1 << 20
_LINKS = 40
_OVERFLOW = 65534
_NOTHING = (errno.ENOENT, errno.ENOTDIR)


class Entry(NamedTuple):
    """A file, folder or link.

    Attributes:
        path: Relative to the top of what is copied; nothing for the top itself.
        uid, gid: As the host has them.
        size: Bytes of a file.
        target: Of a link.
        digest: SHA-256 of a file's content, where that is known before the content is.
    """

    path: str
    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    digest: str = ""


class Ids:
    """What a user namespace makes of users and groups.

    Args:
        rows: By C(uid) and C(gid) rows of ID inside, ID on the host, number of IDs; C(None) where both are the same.
    """

    def __init__(self, rows: Optional[Mapping[str, Sequence[Sequence[int]]]] = None) -> None:
        self.rows = rows

    def inside(self, kind: str, number: int) -> int:
        """The ID inside of one of the host's."""
        for first, host, size in (self.rows or {}).get(kind, ((0, 0, 1 << 32),)):
            if host <= number < host + size:
                return number - host + first
        return _OVERFLOW

    def outside(self, kind: str, number: int, option: str) -> int:
        """The ID on the host of one inside.

        Raises:
            InvalidValue: The namespace does not map it.
        """
        for first, host, size in (self.rows or {}).get(kind, ((0, 0, 1 << 32),)):
            if first <= number < first + size:
                return number - first + host
        raise InvalidValue(option, number, "is not mapped by the container's user namespace", "Name one that is")


class Place:
    """Where a copy comes from or goes to: a name in a folder that is held open.

    Attributes:
        path: Absolute, as its own side sees it, links resolved as far as they are followed.
        folder: The folder that has the top in it.
        name: Of the top in there; C(.) for the root.
    """

    def __init__(self, root: paths.Seen, path: str, follow: bool) -> None:
        self.path = _real(root, path) if follow else path
        parent, _slash, name = self.path.rpartition("/")
        self.name = name or "."
        try:
            self.folder = paths.Seen.of(root.open(parent or "/", os.O_PATH | os.O_DIRECTORY), parent or "/")
        except KernelError as error:
            if error.errno not in (*_NOTHING, errno.ELOOP):
                raise
            raise NotFound("there is no folder %s for %s" % (parent, self.path), "Make it first, or name another place",
                           folder=parent) from error

    def below(self, relative: str) -> str:
        """The path from the folder of what is at a path from the top."""
        return "%s/%s" % (self.name, relative) if relative else self.name

    def shown(self, relative: str) -> str:
        """The path for a person."""
        return "%s/%s" % (self.path.rstrip("/"), relative) if relative else self.path or "/"

    def open(self, relative: str, flags: int) -> int:
        """Open what is there; a link itself with O_PATH and O_NOFOLLOW."""
        return paths.open_beneath(self.folder.handle, self.below(relative), flags, 0, INSIDE)

    def look(self, relative: str) -> Optional[Entry]:
        """What is there, or C(None).

        Raises:
            Conflict: A part of the path is a link or no folder.
        """
        try:
            handle = self.open(relative, os.O_PATH | os.O_NOFOLLOW)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise Conflict("%s cannot be reached: a part of the path is a link or no folder" % self.shown(relative),
                           "Remove that first, or name another place") from error
        try:
            return entry(relative, os.fstat(handle), handle)
        finally:
            os.close(handle)

    def mounted_on(self, relative: str) -> bool:
        """Whether something is mounted on what is there.

        The kernel would not mind another file there, as the mount is in another mount namespace than this process: the mount goes then.
        """
        folder, _slash, name = self.below(relative).rpartition("/")
        handle = paths.open_beneath(self.folder.handle, folder or ".", os.O_PATH | os.O_DIRECTORY, 0, INSIDE)
        try:
            os.close(paths.open_beneath(handle, name, os.O_PATH | os.O_NOFOLLOW, 0, INSIDE | paths.RESOLVE_NO_XDEV))
        except KernelError as error:
            return error.errno == errno.EXDEV  # what else there is to say, the copy itself says
        finally:
            os.close(handle)
        return False

    def read(self, relative: str) -> int:
        """Open a regular file for reading.

        Raises:
            KernelError: It is none, or no more.
        """
        return self.folder.open_file(self.below(relative), INSIDE)


def _real(root: paths.Seen, path: str) -> str:
    """Where a path leads to if its last part is a link, as the root's own paths say it."""
    for _link in range(_LINKS):
        parent, _slash, name = path.rpartition("/")
        try:
            folder = root.open(parent or "/", os.O_PATH | os.O_DIRECTORY)
        except KernelError as error:
            if error.errno in _NOTHING:
                return path
            raise
        try:
            target = os.readlink(name, dir_fd=folder)
        except OSError:
            return path
        finally:
            os.close(folder)
        path = os.path.normpath(target if target.startswith("/") else "%s/%s" % (parent, target))
    raise KernelError("open", errno.ELOOP, path)


def entry(path: str, status: os.stat_result, handle: int, name: str = "") -> Entry:
    """What a descriptor stands for; with a name, what has that in the folder that it stands for."""
    kind = {stat.S_IFREG: FILE, stat.S_IFDIR: FOLDER, stat.S_IFLNK: LINK}.get(stat.S_IFMT(status.st_mode), OTHER)
    target = os.readlink(name, dir_fd=handle) if kind == LINK else ""
    return Entry(path, kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_size if kind == FILE else 0, target)


def walk(place: Place, strange: Sequence[int] = ()) -> Tuple[List[Entry], List[str]]:
    """All that is to be copied, folders before what is in them; and what cannot be: devices, sockets and the like.

    Args:
        strange: Device numbers of file systems of the kernel's own, whose content is no file.

    Raises:
        NotFound: There is nothing.
        Conflict: It is nothing that can be copied, or too much.
    """
    top = place.look("")
    if top is None:
        raise NotFound("there is no %s" % place.path, "Name a file or folder that is there")
    if top.kind == OTHER:
        raise Conflict("%s is neither a file nor a folder nor a link" % place.path, "Name another")
    found, skipped = [top], []
    queue = [""] if top.kind == FOLDER else []
    while queue:
        folder = queue.pop()
        handle = place.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if os.fstat(handle).st_dev in strange:
                skipped.append(place.shown(folder))
                continue
            for name in sorted(os.listdir(handle)):
                try:
                    each = entry("%s/%s" % (folder, name) if folder else name, os.stat(name, dir_fd=handle, follow_symlinks=False),
                                 handle, name)
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.EINVAL):  # gone meanwhile, or no link any more
                        continue
                    raise
                if each.kind == OTHER:
                    skipped.append(place.shown(each.path))
                    continue
                found.append(each)
                if each.kind == FOLDER:
                    queue.append(each.path)
        finally:
            os.close(handle)
        if len(found) > _MOST:
            raise Conflict("there are more than %d files in %s" % (_MOST, place.path), "Copy a part of it, or an archive of it")
    return sorted(found), skipped


class Step(NamedTuple):
    """What is to be done with one entry.

    Attributes:
        entry: What shall be.
        now: What is, or C(None).
        action: C(create), C(write) or C(set).
        uid, gid, mode: Of the result; IDs as the host has them.
        changed: The names of what differs: C(content), C(mode), C(owner), C(group).
    """

    entry: Entry
    now: Optional[Entry]
    action: str
    uid: int
    gid: int
    mode: int
    changed: Tuple[str, ...]


class Manner(NamedTuple):
    """How things shall be at the other end.

    Attributes:
        uid, gid: Of all of it, on the host's side; C(None) where what is there keeps its own.
        new: User and group of what is new and has none said.
        mode, folder_mode: Permission bits; C(None) for those of the source.
        own_mode: Whether the source's bits count for a file that is there already.
        bits: Which of the source's bits may be taken over.
        force: C(None) to compare, C(True) to write in any case, C(False) to leave what is there.
    """

    uid: Optional[int]
    gid: Optional[int]
    new: Tuple[int, int]
    mode: Optional[int]
    folder_mode: Optional[int]
    own_mode: bool
    bits: int
    force: Optional[bool]


def compare(source: Any, place: Place, manner: Manner) -> List[Step]:
    """What it takes; reads only.

    Raises:
        Conflict: A folder is where a file shall be, or the other way round; or something is mounted on a file.
    """
    steps = []
    fresh: Dict[str, bool] = {}
    for each in source.entries:
        parent = each.path.rpartition("/")[0]
        now = None if each.path and fresh.get(parent) else place.look(each.path)
        fresh[each.path] = now is None and each.kind == FOLDER
        step = _step(source, place, manner, each, now)
        if step is None:
            continue
        if step.action == "write" and place.mounted_on(each.path):
            raise Conflict("%s is in use: something is mounted on it" % place.shown(each.path),
                           "Name another place, or change what is mounted there on the host")
        steps.append(step)
    return steps


def _step(source: Any, place: Place, manner: Manner, wanted: Entry, now: Optional[Entry]) -> Optional[Step]:
    said = manner.folder_mode if wanted.kind == FOLDER else manner.mode
    mode = wanted.mode & manner.bits if said is None else said
    if now is None:
        uid, gid = (new if given is None else given for given, new in zip((manner.uid, manner.gid), manner.new))
        return Step(wanted, None, "create", uid, gid, mode, ("content",) if wanted.kind == FILE else ())
    if now.kind == OTHER or FOLDER in (now.kind, wanted.kind) and now.kind != wanted.kind:
        raise Conflict("%s is a %s, where a %s shall be" % (place.shown(wanted.path), now.kind, wanted.kind),
                       "Remove it first, or name another place")
    if manner.force is False:
        return None
    if said is None and (wanted.kind == FOLDER or not manner.own_mode) and now.kind == wanted.kind:
        mode = now.mode
    uid, gid = (present if given is None else given for given, present in zip((manner.uid, manner.gid), (now.uid, now.gid)))
    changed = []
    if now.kind != wanted.kind or wanted.kind == LINK and now.target != wanted.target or wanted.kind == FILE and (
            manner.force or not source.same(wanted, now, place)):
        changed.append("content")
    if mode != now.mode and wanted.kind != LINK and now.kind == wanted.kind:
        changed.append("mode")
    changed += [name for name, before, after in (("owner", now.uid, uid), ("group", now.gid, gid)) if before != after]
    if not changed:
        return None
    return Step(wanted, now, "write" if "content" in changed or wanted.kind == LINK else "set", uid, gid, mode, tuple(changed))
