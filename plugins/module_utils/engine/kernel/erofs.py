# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing an EROFS image: file data as it comes, then all inodes, then the superblock.

Only flat, uncompressed inodes of the extended form are written, so that every
kernel which has EROFS can mount the result. Layout: include/linux of the kernel,
fs/erofs/erofs_fs.h.

    block 0           superblock at byte 1024
    data              each file from a block boundary on
    metadata          inodes at multiples of 32 bytes, followed by their xattrs, and by
                      short folders and link targets; long folders in blocks of their own
"""

from __future__ import annotations

import os
import stat
import struct
from typing import BinaryIO, Dict, Iterator, List, Optional, Tuple

from ..errors import Unsupported
from .writeback import Writeback

BLOCK = 4096
_MAGIC = 0xE0F5E1E2
_SUPERBLOCK = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQB23x")
_SUPERBLOCK_AT = 1024
_INODE = struct.Struct("<HHHHQIIIIQII16x")
_DIRENT = struct.Struct("<QHBB")
_XATTR_HEADER = bytes(12)
_XATTR = struct.Struct("<BBH")
_EXTENDED, _PLAIN, _INLINE = 1, 0 << 1, 2 << 1
_COMPAT_MTIME = 2
_SLOT = 32
_TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFBLK: 4, stat.S_IFIFO: 5, stat.S_IFSOCK: 6,
          stat.S_IFLNK: 7}
_PREFIXES = ((b"user.", 1), (b"system.posix_acl_access", 2), (b"system.posix_acl_default", 3), (b"trusted.", 4),
             (b"security.", 6))
_LONGEST_INLINE = BLOCK - 2 * _SLOT
_FLUSH = 1 << 20


class Inode:
    """A file, folder, link or device.

    Attributes:
        mode: With the type's bits.
        mtime: Nanoseconds since the epoch.
        children: Of a folder, by name; C(None) for all else.
        target: Of a symbolic link.
        size: Of a regular file.
        place: Where a regular file's data is; an image's first block, or what another backend keeps there.
        device: Of a device node, as C(os.makedev) gives it.
        names: How many names lead to it.
    """

    __slots__ = ("mode", "uid", "gid", "mtime", "xattrs", "children", "target", "size", "place", "device", "names",
                 "extra", "slot", "number")

    def __init__(self, mode: int, uid: int = 0, gid: int = 0, mtime: int = 0) -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.xattrs: Optional[Dict[bytes, bytes]] = None
        self.children: Optional[Dict[bytes, Inode]] = {} if stat.S_ISDIR(mode) else None
        self.target = b""
        self.size = 0
        self.place = 0
        self.device = 0
        self.names = 1
        self.extra: object = None
        self.slot = -1
        self.number = 0


class Writer:
    """An image in the making.

    Args:
        stream: A new file that can be written and sought in.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writeback = Writeback(stream.fileno())
        self._stream.write(bytes(BLOCK))
        self._block = 1
        self._pending: List[bytes] = []
        self._pending_size = 0

    def add_file(self, pieces: Iterator[bytes]) -> Tuple[int, int]:
        """Write a file's data; returns its first block and its length in bytes."""
        first, length = self._block, 0
        for piece in pieces:
            length += len(piece)
            self._append(piece)
        if length == 0:
            return 0, 0
        if length % BLOCK:
            self._append(bytes(-length % BLOCK))
        self._block += -(-length // BLOCK)
        return first, length

    def add_sparse(self, size: int, parts: Tuple[Tuple[int, int], ...], pieces: Iterator[bytes]) -> int:
        """Write a file with holes; they stay holes of the image file. Returns its first block."""
        self._flush()
        first = self._block
        base = first * BLOCK
        held = b""
        for offset, length in parts:
            self._stream.seek(base + offset)
            while length:
                held = held or next(pieces)
                self._stream.write(held[:length])
                taken = min(length, len(held))
                held = held[taken:]
                length -= taken
        self._block += -(-size // BLOCK)
        self._stream.truncate(self._block * BLOCK)
        self._stream.seek(self._block * BLOCK)
        return first if size else 0

    def finish(self, root: Inode, identity: bytes) -> int:
        """Write metadata and superblock; returns the image's length in bytes.

        Args:
            root: The tree. It is laid out first, since its number has 16 bits only.
            identity: 16 bytes for the file system's UUID.
        """
        order = list(_walk(root))
        start = self._block
        at, long_folders = self._lay_out(order, start)
        self._write_inodes(order, start, long_folders)
        blocks = at
        self._flush()
        self._stream.truncate(blocks * BLOCK)
        self._stream.seek(_SUPERBLOCK_AT)
        self._stream.write(_SUPERBLOCK.pack(_MAGIC, 0, _COMPAT_MTIME, 12, 0, root.slot, len(order), 0, 0,
                                            blocks, start, 0, identity[:16].ljust(16, b"\0"), b"", 0, 0, 0, 0, 0, 0,
                                            0, 0, 0))
        self._stream.flush()
        return blocks * BLOCK

    def _lay_out(self, order: List[Inode], start: int) -> Tuple[int, Dict[int, int]]:
        """Give every inode its slot, and every long folder its blocks behind them."""
        at = _SLOT  # bytes from the start of the metadata; some readers take inode number 0 for a deleted file
        long_folders: Dict[int, int] = {}
        for number, inode in enumerate(order, 1):
            inode.number = number
            head = _INODE.size + _xattr_size(inode)
            tail = _tail_size(inode)
            if tail > _LONGEST_INLINE:
                long_folders[number] = -(-tail // BLOCK)
                tail = 0
            at += -at % _SLOT
            if tail and (at + head) % BLOCK + tail > BLOCK:  # what is inline must not cross a block
                at += BLOCK - (at + head) % BLOCK
                at += -at % _SLOT
            inode.slot = at // _SLOT
            at += head + tail
        block = start + -(-at // BLOCK)
        for number, count in long_folders.items():
            long_folders[number] = block
            block += count
        if block >= 1 << 32:
            raise Unsupported("a layer of more than 16 TiB does not fit an EROFS image", "Use layer_store: directory")
        return block, long_folders

    def _write_inodes(self, order: List[Inode], start: int, long_folders: Dict[int, int]) -> None:
        at = 0
        later: List[Tuple[int, bytes]] = []
        parents = _parents(order)
        for inode in order:
            place = inode.slot * _SLOT
            if place > at:
                self._append(bytes(place - at))
            at = place
            tail = b""
            address = 0
            layout = _PLAIN
            kind = stat.S_IFMT(inode.mode)
            if inode.children is not None:
                tail = _entries(inode, parents.get(inode.number, inode))
            elif kind == stat.S_IFLNK:
                tail = inode.target
            size = len(tail)
            if kind == stat.S_IFREG:
                size, address = inode.size, inode.place
            elif kind in (stat.S_IFCHR, stat.S_IFBLK):
                address = _encode_device(inode.device)
            if inode.number in long_folders:
                address = long_folders[inode.number]
                later.append((address, tail))
                tail = b""
            elif tail:
                layout = _INLINE
            links = inode.names
            if inode.children is not None:
                links = 2 + sum(1 for child in inode.children.values() if child.children is not None)
            xattrs = _xattrs(inode)
            seconds, nano = divmod(inode.mtime, 1000000000)
            record = _INODE.pack(_EXTENDED | layout, 1 + (len(xattrs) - 12) // 4 if xattrs else 0, inode.mode, 0, size,
                                 address, inode.number, inode.uid, inode.gid, seconds & 0xFFFFFFFFFFFFFFFF, nano, links)
            self._append(record + xattrs + tail)
            at += len(record) + len(xattrs) + len(tail)
        if at % BLOCK:
            self._append(bytes(-at % BLOCK))
        for _address, content in later:
            self._append(content)
            if len(content) % BLOCK:
                self._append(bytes(-len(content) % BLOCK))

    def _append(self, piece: bytes) -> None:
        self._pending.append(piece)
        self._pending_size += len(piece)
        if self._pending_size >= _FLUSH or len(self._pending) >= 1000:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            handle = self._stream.fileno()
            self._stream.flush()
            pieces = self._pending
            left = self._pending_size
            while left:
                done = os.writev(handle, pieces)
                left -= done
                if left:  # a short write
                    rest = b"".join(pieces)[done:]
                    pieces = [rest]
            self._pending, self._pending_size = [], 0
            self._writeback.reached(self._stream.tell())


def _walk(root: Inode) -> Iterator[Inode]:
    """Every inode once: a folder, then what is in it, so that what is listed together lies together."""
    seen = set()
    queue = [root]
    yield root
    while queue:
        folder = queue.pop()
        children = folder.children or {}
        for name in sorted(children):
            child = children[name]
            if child.names > 1:
                if id(child) in seen:
                    continue
                seen.add(id(child))
            yield child
        queue.extend(children[name] for name in sorted(children, reverse=True) if children[name].children is not None)


def _parents(order: List[Inode]) -> Dict[int, Inode]:
    return {child.number: folder for folder in order if folder.children
            for child in folder.children.values() if child.children is not None}


def _tail_size(inode: Inode) -> int:
    """How long a folder's entries or a link's target are, as stored."""
    if inode.children is not None:
        size = used = 0
        for name in _names(inode):
            need = _DIRENT.size + len(name)
            if used + need > BLOCK:
                size, used = size + BLOCK, 0
            used += need
        return size + used
    return len(inode.target) if stat.S_ISLNK(inode.mode) else 0


def _names(folder: Inode) -> List[bytes]:
    return sorted([b".", b"..", *(folder.children or ())])


def _entries(folder: Inode, parent: Inode) -> bytes:
    """A folder's blocks: in each, the fixed records, then the names; sorted as strcmp(3) does, over all blocks."""
    blocks: List[bytes] = []
    batch: List[Tuple[bytes, Inode]] = []
    used = 0
    for name in _names(folder):
        child = folder if name == b"." else parent if name == b".." else (folder.children or {})[name]
        need = _DIRENT.size + len(name)
        if used + need > BLOCK:
            blocks.append(_directory_block(batch).ljust(BLOCK, b"\0"))
            batch, used = [], 0
        batch.append((name, child))
        used += need
    blocks.append(_directory_block(batch))
    return b"".join(blocks)


def _directory_block(batch: List[Tuple[bytes, Inode]]) -> bytes:
    at = len(batch) * _DIRENT.size
    records = []
    for name, child in batch:
        records.append(_DIRENT.pack(child.slot, at, _TYPES[stat.S_IFMT(child.mode)], 0))
        at += len(name)
    return b"".join(records) + b"".join(name for name, _child in batch)


def _xattr_entries(inode: Inode) -> Iterator[Tuple[int, bytes, bytes]]:
    for name in sorted(inode.xattrs or ()):
        for prefix, index in _PREFIXES:
            if name.startswith(prefix) and len(name) - len(prefix) < 256:
                yield index, name[len(prefix):], (inode.xattrs or {})[name]
                break


def _xattr_size(inode: Inode) -> int:
    return len(_xattrs(inode)) if inode.xattrs else 0


def _xattrs(inode: Inode) -> bytes:
    if not inode.xattrs:
        return b""
    found = []
    for index, name, value in _xattr_entries(inode):
        entry = _XATTR.pack(len(name), index, len(value)) + name + value
        found.append(entry + bytes(-len(entry) % 4))
    return _XATTR_HEADER + b"".join(found) if found else b""


def _encode_device(device: int) -> int:
    """A device number as the kernel's new_encode_dev() stores it."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
