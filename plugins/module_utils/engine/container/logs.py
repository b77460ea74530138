# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's log: Docker's json-file form, rotated by size.

Each line of the file is one JSON object with C(log), C(stream) and C(time). A
line of output longer than 16 KiB is split, and only its last piece ends with a
line feed. Bytes that are no UTF-8 are kept as lone surrogates (PEP 383).
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

LONGEST = 16384
"""Bytes of one piece of a line."""


def timestamp(seconds: Optional[float] = None) -> str:
    """RFC 3339 in UTC with nanoseconds, as Docker writes it."""
    nanoseconds = time.time_ns() if seconds is None else int(seconds * 1000000000)
    whole, rest = divmod(nanoseconds, 1000000000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + ".%09dZ" % rest


class Log:
    """The writing side; one per monitor.

    Args:
        path: The file.
        max_size: Bytes after which a new file is begun; 0 or below: never.
        max_files: How many files are kept, the current one included.
    """

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1) -> None:
        self.path = path
        self.max_size = max_size
        self.max_files = max_files
        self.dropped = 0
        self._rest: Dict[str, bytes] = {}
        self._handle = self._open()
        self._length = os.fstat(self._handle).st_size

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @property
    def length(self) -> int:
        """Bytes in the current file."""
        return self._length

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
        self._write(stream, pieces)

    def finish(self) -> None:
        """Write what has not been ended by a line feed."""
        for stream in list(self._rest):
            self._write(stream, [self._rest.pop(stream)])

    def close(self) -> None:
        """Finish and let go of the file."""
        self.finish()
        os.close(self._handle)

    def _write(self, stream: str, pieces: List[bytes]) -> None:
        if not pieces:
            return
        now = timestamp()
        if self.dropped:
            note = "coracle: %d pieces of output were dropped, the disk was full\n" % self.dropped
            pieces = [note.encode()] + pieces
        content = b"".join(_line(stream, piece, now) for piece in pieces)
        start = self._length
        try:
            view = memoryview(content)
            while view:
                written = os.write(self._handle, view)
                view = view[written:]
                self._length += written
            self.dropped = 0
        except OSError:  # ENOSPC, EDQUOT, EIO: the container must not suffer from it
            try:
                os.ftruncate(self._handle, start)  # no half line
                self._length = start
            except OSError:
                pass
            self.dropped += len(pieces) - (1 if self.dropped else 0)
        if 0 < self.max_size <= self._length:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(self.max_files - 1, 0, -1):
            older = "%s.%d" % (self.path, number)
            newer = "%s.%d" % (self.path, number - 1) if number > 1 else self.path
            if os.path.exists(newer):
                os.rename(newer, older)
        if self.max_files == 1:
            os.unlink(self.path)
        os.close(self._handle)
        self._handle = self._open()
        self._length = 0


def _cut(line: bytes) -> List[bytes]:
    return [line] if len(line) <= LONGEST else [line[at:at + LONGEST] for at in range(0, len(line), LONGEST)]


def _line(stream: str, piece: bytes, now: str) -> bytes:
    text = json.dumps(piece.decode("utf-8", "surrogateescape"))
    return ('{"log":%s,"stream":"%s","time":"%s"}\n' % (text, stream, now)).encode()


def read(path: str, offset: int = 0) -> Iterator[Tuple[str, bytes, str]]:
    """The pieces in a log file: stream, content, time. A line that is cut short (a crash) ends the reading."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            for line in stream:
                try:
                    entry: Dict[str, Any] = json.loads(line)
                    yield entry["stream"], entry["log"].encode("utf-8", "surrogateescape"), entry["time"]
                except (ValueError, KeyError):
                    return
    except FileNotFoundError:
        return


def files_of(path: str) -> List[str]:
    """The log's files that are there, oldest first."""
    numbered = []
    number = 1
    while os.path.exists("%s.%d" % (path, number)):
        numbered.append("%s.%d" % (path, number))
        number += 1
    return numbered[::-1] + ([path] if os.path.exists(path) else [])
