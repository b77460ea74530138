# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's log: where a monitor writes what comes out of it.

A file has a piece of output a line, in Docker's form (C(json-file): a JSON object
with C(log), C(stream) and C(time)) or in that of Kubernetes' CRI (C(k8s-file): time,
stream, C(F) or C(P), text). A line of output longer than 16 KiB is split: only
its last piece ends with a line feed, or is marked C(F). Bytes that are no UTF-8 are
kept, in JSON as lone surrogates (PEP 383). C(log_services.py) has the logs that are
no files, C(log_reading.py) the other side.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..store import documents

LONGEST = 16384
"""Bytes of one piece of a line."""
JSON_FILE = "json-file"
K8S_FILE = "k8s-file"
JOURNALD = "journald"
SYSLOG = "syslog"
NONE = "none"
FILES = (JSON_FILE, K8S_FILE)
"""The drivers whose logs can be read again here."""


def timestamp(nanoseconds: Optional[int] = None) -> str:
    """RFC 3339 in UTC with nanoseconds, as Docker writes it: of nanoseconds since the epoch, or of now."""
    whole, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1000000000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + ".%09dZ" % rest


def driver(options: Mapping[str, Any]) -> str:
    """The driver that a container's options name."""
    return str(options.get("log_driver") or JSON_FILE)


def open_log(path: str, name: str, identity: str, options: Mapping[str, Any], unit: str = "") -> "Log":
    """The log of a container.

    Args:
        path: Of the file, for the drivers that write one.
        name, identity: The container's.
        options: Of C(container_run).
        unit: Of systemd, under which the journal shows the output too.
    """
    kind = driver(options)
    if kind == NONE:
        return Log()
    if kind in FILES:
        found = File(path, kind=kind)
        found.limit(options)
        return found
    from . import log_services  # pylint: disable=import-outside-toplevel
    return log_services.open_log(kind, name, identity, options, unit)


class Log:
    """The writing side, one for each monitor; this one forgets what it is given.

    Attributes:
        dropped: Pieces that could not be written and of which the log has not told yet.
        inode, length: Of the file that is written to, and bytes in it; 0 where there is none.
    """

    inode = 0
    length = 0

    def __init__(self) -> None:
        self.dropped = 0
        self._rest: Dict[str, bytes] = {}

    def give(self) -> Tuple[Any, ...]:
        """What another of the same log has to know to go on with it, of plain types."""
        return self.dropped, self._rest

    def take(self, known: Tuple[Any, ...]) -> None:
        """Go on with that."""
        self.dropped, self._rest = known

    def limit(self, options: Mapping[str, Any]) -> None:
        """Take in how large it may get."""

    def feed(self, stream: str, content: bytes) -> None:
        """Take output as it comes; whole lines are written at once."""
        content = self._rest.pop(stream, b"") + content
        pieces: List[bytes] = []
        lines = content.split(b"\n")
        rest = lines.pop()
        for line in lines:
            pieces.extend(_cut(line + b"\n"))
        while len(rest) >= LONGEST:
            pieces.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        if rest:
            self._rest[stream] = rest
        self._take(stream, pieces)

    def finish(self) -> None:
        """Write what has not been ended by a line feed."""
        for stream in list(self._rest):
            self._take(stream, [self._rest.pop(stream)])

    def close(self) -> None:
        """Finish and let go of what it writes to."""
        self.finish()

    def _take(self, stream: str, pieces: List[bytes]) -> None:
        """Write pieces, with a note before them where others were lost."""
        if not pieces:
            return
        note = b"coracle: %d pieces of output were dropped, since the log could not take them\n" % self.dropped
        count = len(pieces)
        if self.dropped:
            pieces = [note, *pieces]
        lost = self._write(stream, pieces)
        if self.dropped and lost < len(pieces):  # the note is written first
            self.dropped = lost
        else:
            self.dropped += min(lost, count)

    def _write(self, stream: str, pieces: List[bytes]) -> int:
        """Write pieces in their order; how many could not be, which are the last ones."""
        return 0


class File(Log):
    """A file that is rotated by size.

    Args:
        path: The file.
        max_size: Bytes after which a new file is begun; 0 or below: never.
        max_files: How many files are kept, the current one included.
        kind: C(json-file) or C(k8s-file).
    """

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1, kind: str = JSON_FILE) -> None:
        super().__init__()
        self.path = path
        self.max_size = max_size
        self.max_files = max_files
        self.kind = kind
        self._handle = self._open(path)
        self.length = os.fstat(self._handle).st_size
        self._end_line()

    def limit(self, options: Mapping[str, Any]) -> None:
        """Take in how large it may get."""
        self.max_size = options.get("log_max_size") or 0
        self.max_files = options.get("log_max_files") or 1

    def _open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _end_line(self) -> None:
        """End a line that a power cut has left half written, so that what comes next stands for itself."""
        if self.length and os.pread(self._handle, 1, self.length - 1) != b"\n":
            try:
                self.length += os.write(self._handle, b"\n")
            except OSError:
                pass

    @property
    def inode(self) -> int:  # type: ignore[override]
        """The number of the file that is written to."""
        return os.fstat(self._handle).st_ino

    def close(self) -> None:
        """Finish and let go of the file."""
        self.finish()
        os.close(self._handle)

    def _write(self, stream: str, pieces: List[bytes]) -> int:
        now = timestamp()
        form = _json_line if self.kind == JSON_FILE else _k8s_line
        content = b"".join(form(stream, piece, now) for piece in pieces)
        start = self.length
        lost = 0
        try:
            view = memoryview(content)
            while view:
                written = os.write(self._handle, view)
                view = view[written:]
                self.length += written
        except OSError:  # ENOSPC, EDQUOT, EIO: the container must not suffer from it
            lost = len(pieces)
            try:
                os.ftruncate(self._handle, start)  # no half line
                self.length = start
            except OSError:
                pass
        if 0 < self.max_size <= self.length:
            self._rotate()
        return lost

    def _rotate(self) -> None:
        """Begin a new file; where there is no room for one, the old one grows on."""
        fresh = self.path + ".new"
        try:
            handle = self._open(fresh)
            for number in range(self.max_files - 1, 0, -1):
                older = "%s.%d" % (self.path, number)
                newer = "%s.%d" % (self.path, number - 1) if number > 1 else self.path
                if os.path.exists(newer):
                    os.rename(newer, older)
            os.rename(fresh, self.path)
        except OSError:
            return
        os.close(self._handle)
        self._handle, self.length = handle, 0


def _cut(line: bytes) -> List[bytes]:
    return [line] if len(line) <= LONGEST else [line[at:at + LONGEST] for at in range(0, len(line), LONGEST)]


def _json_line(stream: str, piece: bytes, now: str) -> bytes:
    text = documents.encode(piece.decode("utf-8", "surrogateescape"))
    return ('{"log":%s,"stream":"%s","time":"%s"}\n' % (text, stream, now)).encode()


def _k8s_line(stream: str, piece: bytes, now: str) -> bytes:
    whole = piece.endswith(b"\n")
    return b"%s %s %s %s\n" % (now.encode(), stream.encode(), b"F" if whole else b"P", piece[:-1] if whole else piece)
