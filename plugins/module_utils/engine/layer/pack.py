# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a folder as a tar stream: the same tree gives the same bytes, on every host.

Entries are sorted, folders before what is in them; owners are numbers; times are
whole seconds; names that ustar cannot hold, xattrs and big numbers go to PAX
records, which are written only where they are needed. Access and change times,
devices and inodes of the host's file system leave no trace.
"""

from __future__ import annotations

import os
import stat
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

BLOCK = 512
_CHUNK = 1 << 18
_BATCH = 1 << 18
_OCTAL_LIMIT = 8 ** 11


class Item(NamedTuple):
    """One file to be written.

    Attributes:
        name: In the archive, without a leading slash; folders without a trailing one.
        status: As lstat(2) gives it.
        folder: Descriptor of the folder that it is in.
        leaf: Its name there.
    """

    name: bytes
    status: os.stat_result
    folder: int
    leaf: bytes


Turn = Callable[[Item], Optional[bytes]]
"""What to write instead of an item: the name of an empty file, or C(None) for the item itself."""


def walk(folder: int, prefix: bytes = b"") -> Iterator[Item]:
    """The files below a folder, sorted by name, each folder before its content; links are not followed.

    Sockets are left out: a tar cannot hold them. What is mounted below the folder is left out too.
    """
    device = os.fstat(folder).st_dev
    for leaf in sorted(os.fsencode(each) for each in os.listdir(folder)):
        status = os.stat(leaf, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISSOCK(status.st_mode):
            continue
        yield Item(prefix + leaf, status, folder, leaf)
        if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
            inner = os.open(leaf, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                yield from walk(inner, prefix + leaf + b"/")
            finally:
                os.close(inner)


def pack(path: str, epoch: Optional[int] = None, turn: Optional[Turn] = None,
         before: Optional[Callable[[Item], List[bytes]]] = None,
         allowed: Callable[[bytes], bool] = lambda name: True, head: bytes = b"") -> Iterator[bytes]:
    """A folder's content as a tar stream.

    Args:
        path: The folder; it becomes the entry C(./), so that its own attributes are kept.
        epoch: No time is later than this (SOURCE_DATE_EPOCH); seconds since the epoch.
        turn: Replaces items; see C(Turn).
        before: Names of empty files to be written right after a folder.
        allowed: Which xattrs are kept.
        head: Whole blocks that begin the stream, such as C(comment) makes.
    """
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    batch: List[bytes] = [head]
    size, total = 0, len(head)
    first: Dict[Tuple[int, int], bytes] = {}
    try:
        root = Item(b"", os.fstat(top), top, b".")
        for pieces in _entries(root, walk(top), first, epoch, turn, before, allowed):
            for piece in pieces:
                total += len(piece)
                batch.append(piece)
                size += len(piece)
                if size >= _BATCH:
                    yield b"".join(batch)
                    batch, size = [], 0
        batch.append(end(total))
        yield b"".join(batch)
    finally:
        os.close(top)


def member(name: bytes, size: int) -> bytes:
    """The header of a file that belongs to root, has no time, and whose data the caller lets follow, padded."""
    return _header(name, b"0", 0o644, 0, 0, size, 0)


def end(total: int) -> bytes:
    """What ends a tar of so many bytes: two zero blocks, and zeros up to a whole record, as GNU tar writes."""
    return bytes(2 * BLOCK + -(total + 2 * BLOCK) % (20 * BLOCK))


def comment(text: bytes) -> bytes:
    """A global extended header that says something about the whole archive, as C(git archive) writes (pax(1))."""
    record = _record(b"comment", text)
    return _ustar(b"pax_global_header", b"g", 0o666, 0, 0, len(record), 0) + record + bytes(-len(record) % BLOCK)


def _entries(root: Item, items: Iterator[Item], first: Dict[Tuple[int, int], bytes], epoch: Optional[int],
             turn: Optional[Turn], before: Optional[Callable[[Item], List[bytes]]],
             allowed: Callable[[bytes], bool]) -> Iterator[Iterator[bytes]]:
    yield _entry(root, first, epoch, allowed)
    if before is not None:
        yield from (iter([_header(name, b"0", 0o644, 0, 0, 0, 0)]) for name in before(root))
    for item in items:
        instead = None if turn is None else turn(item)
        if instead is not None:
            yield iter([_header(instead, b"0", 0o644, 0, 0, 0, 0)])
            continue
        yield _entry(item, first, epoch, allowed)
        if before is not None and stat.S_ISDIR(item.status.st_mode):
            yield from (iter([_header(name, b"0", 0o644, 0, 0, 0, 0)]) for name in before(item))


def _entry(item: Item, first: Dict[Tuple[int, int], bytes], epoch: Optional[int],
           allowed: Callable[[bytes], bool]) -> Iterator[bytes]:
    status = item.status
    kind = stat.S_IFMT(status.st_mode)
    mtime = int(status.st_mtime_ns // 1000000000)
    if epoch is not None and mtime > epoch:
        mtime = epoch
    mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    name = item.name + b"/" if kind == stat.S_IFDIR else item.name
    name = name if item.name else b"./"
    if kind != stat.S_IFDIR and status.st_nlink > 1:
        earlier = first.setdefault((status.st_dev, status.st_ino), item.name)
        if earlier != item.name:
            yield _header(name, b"1", mode, uid, gid, 0, mtime, target=earlier)
            return
    xattrs = _xattrs(item, allowed)
    if kind == stat.S_IFREG:
        yield _header(name, b"0", mode, uid, gid, status.st_size, mtime, xattrs=xattrs)
        yield from _data(item, status.st_size)
    elif kind == stat.S_IFDIR:
        yield _header(name, b"5", mode, uid, gid, 0, mtime, xattrs=xattrs)
    elif kind == stat.S_IFLNK:
        target = os.fsencode(os.readlink(item.leaf, dir_fd=item.folder))
        yield _header(name, b"2", 0o777, uid, gid, 0, mtime, target=target, xattrs=xattrs)
    elif kind == stat.S_IFIFO:
        yield _header(name, b"6", mode, uid, gid, 0, mtime, xattrs=xattrs)
    else:
        yield _header(name, b"3" if kind == stat.S_IFCHR else b"4", mode, uid, gid, 0, mtime, xattrs=xattrs,
                      device=(os.major(status.st_rdev), os.minor(status.st_rdev)))


def _data(item: Item, size: int) -> Iterator[bytes]:
    handle = os.open(item.leaf, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=item.folder)
    try:
        left = size
        while left:
            piece = os.read(handle, min(left, _CHUNK))
            if not piece:  # it has shrunk since: the header promised more
                yield bytes(left)
                break
            left -= len(piece)
            yield piece
    finally:
        os.close(handle)
    if size % BLOCK:
        yield bytes(-size % BLOCK)


def _xattrs(item: Item, allowed: Callable[[bytes], bool]) -> Dict[bytes, bytes]:
    path = "/proc/self/fd/%d/%s" % (item.folder, os.fsdecode(item.leaf))
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    found = {}
    for name in sorted(names):
        raw = os.fsencode(name)
        if allowed(raw):
            found[raw] = os.getxattr(path, name, follow_symlinks=False)
    return found


def _header(name: bytes, flag: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, target: bytes = b"",
            device: Tuple[int, int] = (0, 0), xattrs: Optional[Dict[bytes, bytes]] = None) -> bytes:
    """The blocks before an entry's data: PAX records where ustar's fields do not suffice, and the header."""
    records: List[Tuple[bytes, bytes]] = []
    prefix, short = _fit(name)
    if short is None:
        records.append((b"path", name))
        prefix, short = b"", name[:100]
    if len(target) > 100:
        records.append((b"linkpath", target))
    if size >= _OCTAL_LIMIT:
        records.append((b"size", b"%d" % size))
    if not 0 <= mtime < _OCTAL_LIMIT:
        records.append((b"mtime", b"%d" % mtime))
    for key, number in ((b"uid", uid), (b"gid", gid)):
        if number >= 8 ** 7:
            records.append((key, b"%d" % number))
    for key, value in (xattrs or {}).items():
        records.append((b"SCHILY.xattr." + key, value))
    before = b""
    if records:
        data = b"".join(_record(key, value) for key, value in sorted(records))
        before = _ustar(b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2][:80], b"x", 0o644, 0, 0, len(data), 0)
        before += data + bytes(-len(data) % BLOCK)
    return before + _ustar(short, flag, mode, uid if uid < 8 ** 7 else 0, gid if gid < 8 ** 7 else 0,
                           size if size < _OCTAL_LIMIT else 0, mtime if 0 <= mtime < _OCTAL_LIMIT else 0,
                           target[:100], prefix, device)


def _fit(name: bytes) -> Tuple[bytes, Optional[bytes]]:
    """Prefix and name as ustar splits them, or no name where they do not fit."""
    if len(name) <= 100:
        return b"", name
    at = name.rfind(b"/", 0, 156)
    if at > 0 and 0 < len(name) - at - 1 <= 100:
        return name[:at], name[at + 1:]
    return b"", None


def _ustar(name: bytes, flag: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, target: bytes = b"",
           prefix: bytes = b"", device: Tuple[int, int] = (0, 0)) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, mtime)
    tail = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (flag, target.ljust(100, b"\0"), bytes(64), device[0], device[1],
                                                 prefix.ljust(155, b"\0"))
    head = name.ljust(100, b"\0") + numbers
    total = sum(head) + sum(tail) + 8 * 32
    return head + b"%06o\0 " % total + tail + bytes(12)


def _record(key: bytes, value: bytes) -> bytes:
    """C("length key=value\\n"), where the length counts its own digits."""
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length = bare + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
