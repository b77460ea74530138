# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tar stream front to back, names and values as bytes, in bounded memory.

Understands ustar, GNU (long names, base-256 numbers, sparse files) and PAX
(pax(1), with xattrs as GNU tar, libarchive and star write them, and sparse
files 0.0, 0.1 and 1.0). Sources: POSIX.1-2017 pax(1), "Extended Header" and
"ustar Interchange Format"; tar.info of GNU tar 1.35, "Tar Internals".
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..errors import Corrupt

BLOCK = 512
LONGEST_NAME = 1 << 20
"""The longest long name or extended header that is accepted, in bytes; more is an attack."""
FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = "file", "link", "symlink", "char", "block", "folder", "fifo"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE, b"1": LINK, b"2": SYMLINK, b"3": CHARACTER,
          b"4": BLOCK_DEVICE, b"5": FOLDER, b"6": FIFO, b"D": FOLDER}
_WITHOUT_DATA = (LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO)
_XATTR = b"SCHILY.xattr."
_XATTR_LIBARCHIVE = b"LIBARCHIVE.xattr."
_ZEROS = bytes(BLOCK)


class Entry(NamedTuple):
    """One member of the archive.

    Attributes:
        name: As in the archive.
        kind: One of the constants above.
        mode: Permission bits with setuid, setgid and sticky.
        uid, gid: Numbers; names in the archive are ignored.
        size: Bytes of the file as it shall be, holes included.
        mtime: Nanoseconds since the epoch.
        target: Of a symbolic or hard link.
        major, minor: Of a device.
        xattrs: By name.
        parts: Where a sparse file has data: (offset, length) in order; C(None) for all others.
    """

    name: bytes
    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: Dict[bytes, bytes] = {}
    parts: Optional[Tuple[Tuple[int, int], ...]] = None


class Reader:
    """The members of a tar stream, in order.

    Iterate over it for the entries; between two, C(content) yields the data of the
    one just seen. What is not read is skipped.

    Args:
        chunks: The stream.
        name: What an error names.
        leap: Moves the source of the chunks so many bytes ahead; for files that can be sought in.
    """

    def __init__(self, chunks: Iterator[bytes], name: str, leap: Optional[Callable[[int], None]] = None) -> None:
        self._leap = leap
        self._chunks = chunks
        self._name = name
        self._window = b""
        self._at = 0
        self._left = 0  # of the present member: stored bytes not yet read
        self._padding = 0
        self._global: Dict[bytes, bytes] = {}
        self.position = 0
        """Bytes of the stream that were consumed."""

    @property
    def comment(self) -> str:
        """What a global extended header before the entry just seen says about the whole archive."""
        return self._global.get(b"comment", b"").decode("utf-8", "replace")

    def __iter__(self) -> Iterator[Entry]:
        local: Dict[bytes, bytes] = {}
        long_name = long_link = None  # type: Optional[bytes]
        while True:
            self._skip(self._left)
            self._skip(self._padding, end_allowed=True)  # umoci ends layers there, and Go's reader takes them
            self._left = self._padding = 0
            header = self._take(BLOCK, end_allowed=True)
            if not header or header == _ZEROS:
                if local or long_name is not None or long_link is not None:
                    raise self._corrupt("ends after an extended header")
                for _rest in self._remaining():  # padding; whatever hashes the stream wants to see all of it
                    pass
                return
            self._check(header)
            flag = header[156:157]
            size = self._number(header[124:136])
            if size < 0:
                raise self._corrupt("has a member of negative size")
            self._begin(size)
            if flag in (b"x", b"X", b"g"):
                records = self._records(self._special(size))
                if flag == b"g":
                    self._global.update(records)
                else:
                    local.update(records)
            elif flag == b"L":
                long_name = _text(self._special(size))
            elif flag == b"K":
                long_link = _text(self._special(size))
            elif flag in b"VMN":  # volume label, continuation, old long name
                pass
            else:
                entry = self._entry(header, size, _merged(self._global, local),
                                    long_name, long_link)
                local, long_name, long_link = {}, None, None
                yield entry

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The data of the entry that was yielded last, in pieces; of a sparse file its parts one after another."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece

    # The stream

    def _some(self, most: int) -> bytes:
        """At least one and at most so many bytes."""
        while self._at >= len(self._window):
            try:
                self._window = next(self._chunks)
            except StopIteration:
                raise self._corrupt("is cut short")
            self._at = 0
        start = self._at
        piece = self._window if start == 0 and len(self._window) <= most else self._window[start:start + most]
        self._at = start + len(piece)
        self.position += len(piece)
        return piece

    def _take(self, count: int, end_allowed: bool = False) -> bytes:
        start = self._at
        if len(self._window) - start >= count:
            self._at = start + count
            self.position += count
            return self._window[start:start + count]
        parts: List[bytes] = []
        missing = count
        while missing:
            if end_allowed and missing == count and self._at >= len(self._window):
                try:
                    self._window, self._at = next(self._chunks), 0
                except StopIteration:
                    return b""
                continue
            piece = self._some(missing)
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def _skip(self, count: int, end_allowed: bool = False) -> None:
        ahead = len(self._window) - self._at
        if self._leap is not None and count > ahead:
            self._window, self._at = b"", 0
            self._leap(count - ahead)
            self.position += count
            return
        while count:
            if end_allowed and self._at >= len(self._window):
                following = next(self._chunks, None)
                if following is None:
                    return
                self._window, self._at = following, 0
                continue
            count -= len(self._some(count))

    def _remaining(self) -> Iterator[bytes]:
        yield self._window[self._at:]
        self._window, self._at = b"", 0
        yield from self._chunks

    def _begin(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _special(self, size: int) -> bytes:
        if size > LONGEST_NAME:
            raise self._corrupt("has an extended header of %d bytes" % size)
        self._left = 0
        return self._take(size)

    def _corrupt(self, what: str) -> Corrupt:
        return Corrupt("%s: the tar archive %s (at byte %d)" % (self._name, what, self.position),
                       "Fetch or make it again")

    # Headers

    def _check(self, header: bytes) -> None:
        stored = self._number(header[148:156])
        total = sum(header) - sum(header[148:156]) + 8 * 32
        if stored != total:
            signed = total - 256 * sum(1 for byte in header[:148] + header[156:] if byte > 127)  # historic writers
            if stored != signed:
                raise self._corrupt("has a header with a wrong checksum")

    def _number(self, field: bytes) -> int:
        """A numeric field: octal digits, or base-256 where the first byte says so (GNU tar, star)."""
        if field[0] & 0x80:
            value = int.from_bytes(field, "big")
            if field[0] & 0x40:
                return value - (1 << (8 * len(field)))
            return value - (0x80 << (8 * (len(field) - 1)))
        text = field.replace(b"\0", b" ").strip()
        try:
            return int(text, 8) if text else 0
        except ValueError:
            raise self._corrupt("has a number that is not octal: %r" % text)

    def _records(self, data: bytes) -> Dict[bytes, bytes]:
        """The records C("length key=value\\n") of an extended header; values may hold any bytes."""
        found: Dict[bytes, bytes] = {}
        at = 0
        sparse: List[bytes] = []
        while at < len(data):
            space = data.find(b" ", at, at + 20)
            digits = data[at:space] if space > 0 else b""
            if not digits.isdigit():
                if not data[at:].strip(b"\0"):
                    break
                raise self._corrupt("has a malformed extended header")
            end = at + int(digits)
            equals = data.find(b"=", space, end)
            if end > len(data) or end <= space or equals < 0 or data[end - 1:end] != b"\n":
                raise self._corrupt("has a malformed extended header")
            key, value = data[space + 1:equals], data[equals + 1:end - 1]
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):  # format 0.0: a pair per part
                sparse.append(value)
            found[key] = value
            at = end
        if sparse:
            found[b"GNU.sparse.map"] = b",".join(sparse)
        return found

    def _entry(self, header: bytes, size: int, records: Dict[bytes, bytes], long_name: Optional[bytes],
               long_link: Optional[bytes]) -> Entry:
        flag = header[156:157]
        name = _text(header[0:100])
        if header[257:263] == b"ustar\0" or (header[257:265] == b"ustar  \0" and _has_prefix(header)):
            prefix = _text(header[345:500])
            if prefix and flag != b"S":
                name = prefix + b"/" + name
        if long_name is not None:
            name = long_name
        target = _text(header[157:257]) if long_link is None else long_link
        kind = _KINDS.get(flag, FILE)
        mtime = self._number(header[136:148]) * 1000000000
        uid, gid = self._number(header[108:116]), self._number(header[116:124])
        parts = None
        real = size
        if flag == b"S":
            parts, real = self._gnu_sparse(header)
        xattrs: Dict[bytes, bytes] = {}
        if records:
            name = records.get(b"GNU.sparse.name") or records.get(b"path") or name
            target = records.get(b"linkpath") or target
            if b"size" in records and flag != b"S":
                size = real = self._decimal(records[b"size"])
                if kind not in _WITHOUT_DATA:
                    self._begin(size)
            if records.get(b"mtime"):
                mtime = self._nanoseconds(records[b"mtime"])
            if records.get(b"uid"):
                uid = self._decimal(records[b"uid"])
            if records.get(b"gid"):
                gid = self._decimal(records[b"gid"])
            for key, value in records.items():
                if key.startswith(_XATTR):
                    xattrs[key[len(_XATTR):]] = value
                elif key.startswith(_XATTR_LIBARCHIVE):
                    xattrs.setdefault(_unquote(key[len(_XATTR_LIBARCHIVE):]), _base64(value))
            if b"GNU.sparse.major" in records or b"GNU.sparse.map" in records:
                parts, real = self._pax_sparse(records)
        if kind == FILE and flag in b"0\0" and name.endswith(b"/"):
            kind = FOLDER  # as tar before POSIX marked folders
        if kind in _WITHOUT_DATA:
            if kind != FOLDER or flag != b"D":
                # A hard link may be written with its file's size, and never has data in a layer (archive/tar, pax)
                self._left = self._padding = 0
            real, parts = 0, None
        return Entry(name, kind, self._number(header[100:108]) & 0o7777, uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, real,
                     mtime, target, self._number(header[329:337]) if kind in (CHARACTER, BLOCK_DEVICE) else 0,
                     self._number(header[337:345]) if kind in (CHARACTER, BLOCK_DEVICE) else 0, xattrs, parts)

    def _decimal(self, text: bytes) -> int:
        try:
            value = int(text)
        except ValueError:
            raise self._corrupt("has a number that is not decimal: %r" % text)
        if value < 0:
            raise self._corrupt("has a negative number: %r" % text)
        return value

    def _nanoseconds(self, text: bytes) -> int:
        whole, _dot, fraction = text.partition(b".")
        try:
            seconds = int(whole or b"0")
            nano = int((fraction + b"000000000")[:9])
        except ValueError:
            raise self._corrupt("has a time that is no number: %r" % text)
        return seconds * 1000000000 + (-nano if whole.startswith(b"-") else nano)

    # Sparse files

    def _gnu_sparse(self, header: bytes) -> Tuple[Tuple[Tuple[int, int], ...], int]:
        numbers: List[int] = []
        for at in range(386, 386 + 4 * 24, 12):
            numbers.append(self._number(header[at:at + 12]))
        more = header[482]
        while more:
            block = self._take(BLOCK)
            for at in range(0, 21 * 24, 12):
                numbers.append(self._number(block[at:at + 12]))
            more = block[504]
        return self._parts(numbers, self._number(header[483:495])), self._number(header[483:495])

    def _pax_sparse(self, records: Dict[bytes, bytes]) -> Tuple[Tuple[Tuple[int, int], ...], int]:
        real = self._decimal(records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size") or b"0")
        if records.get(b"GNU.sparse.major") == b"1":  # format 1.0: the map is at the head of the data
            head = self._take(BLOCK)
            self._left -= BLOCK
            lines: List[bytes] = []
            while True:
                lines = head.split(b"\n")
                wanted = 2 * self._decimal(lines[0]) + 1 if len(lines) > 1 else 1
                if len(lines) > wanted:
                    break
                if self._left < BLOCK or len(head) > LONGEST_NAME:
                    raise self._corrupt("has a malformed sparse map")
                head += self._take(BLOCK)
                self._left -= BLOCK
            numbers = [self._decimal(line) for line in lines[1:wanted]]
        else:
            text = records.get(b"GNU.sparse.map", b"")
            numbers = [self._decimal(each) for each in text.split(b",")] if text else []
        return self._parts(numbers, real), real

    def _parts(self, numbers: List[int], real: int) -> Tuple[Tuple[int, int], ...]:
        pairs = tuple((offset, length) for offset, length in zip(numbers[::2], numbers[1::2]) if length)
        end = total = 0
        for offset, length in pairs:
            if offset < end or length < 0 or offset + length > real:
                raise self._corrupt("has a malformed sparse map")
            end = offset + length
            total += length
        if total != self._left:
            raise self._corrupt("has a sparse map that does not fit its data")
        return pairs


def _has_prefix(header: bytes) -> bool:
    """Whether a GNU header has a prefix where the format has times: Go's writer before 1.8 made such, and Docker with it.

    As archive/tar does, it is taken for a prefix if it cannot be times and is ASCII.
    """
    times = header[345:369]
    return bool(times.strip(b"\0 01234567")) and not times[0] & 0x80 and max(header[345:500]) < 0x80


def _merged(first: Dict[bytes, bytes], second: Dict[bytes, bytes]) -> Dict[bytes, bytes]:
    if not first:
        return second
    both = dict(first)
    both.update(second)
    return both


def _text(field: bytes) -> bytes:
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def _unquote(name: bytes) -> bytes:
    from urllib.parse import unquote_to_bytes  # pylint: disable=import-outside-toplevel
    return unquote_to_bytes(name)


def _base64(value: bytes) -> bytes:
    import binascii  # pylint: disable=import-outside-toplevel
    try:
        return binascii.a2b_base64(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return b""
