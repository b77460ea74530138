# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a container's log files, through rotations, in either form that C(logs.py) writes."""

from __future__ import annotations

import os
from collections import deque
from contextlib import ExitStack
from typing import Any, BinaryIO, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..store import documents


class Piece(NamedTuple):
    """A line of output, or a piece of one.

    Attributes:
        stream: C(stdout) or C(stderr).
        content: With its line feed, unless it is a piece of a longer line.
        time: RFC 3339 in UTC, with nine digits after the point, so that texts compare as times do.
    """

    stream: str
    content: bytes
    time: str


class Reader:
    """Reads on from where it has come to.

    Args:
        path: The log.
        inode, offset: Where to begin: a file that was the log at some time, and bytes in it; all there is where that is gone.
    """

    def __init__(self, path: str, inode: int = 0, offset: int = 0) -> None:
        self.path = path
        self.inode = inode
        self.offset = offset

    def more(self) -> Iterator[Piece]:
        """What has been written since."""
        with ExitStack() as opened:
            streams = _open(self.path, self.inode, opened)
            if all(inode != self.inode for inode, _stream in streams):
                self.offset = 0
            for inode, stream in streams:
                if inode != self.inode:
                    self.inode, self.offset = inode, 0
                stream.seek(self.offset)
                yield from self._read(stream)

    def _read(self, stream: BinaryIO) -> Iterator[Piece]:
        for line in stream:
            if not line.endswith(b"\n"):
                return  # it is being written
            self.offset += len(line)
            piece = parse(line)
            if piece is not None:
                yield piece


def _open(path: str, inode: int, opened: ExitStack) -> List[Tuple[int, BinaryIO]]:
    """The log's files, oldest first, from the one with this inode on; all at once, so that no rotation comes in between."""
    while True:
        there = _listed(path)
        inodes = [each for _place, each in there]
        streams: List[Tuple[int, BinaryIO]] = []
        try:
            for place, _inode in there[inodes.index(inode) if inode in inodes else 0:]:
                stream = opened.enter_context(open(place, "rb"))
                streams.append((os.fstat(stream.fileno()).st_ino, stream))
            if _listed(path) == there:
                return streams
        except FileNotFoundError:  # rotated away just now
            pass
        opened.close()


def _listed(path: str) -> List[Tuple[str, int]]:
    """The log's files, oldest first, with their inodes."""
    found = []
    for place in files_of(path):
        try:
            found.append((place, os.stat(place).st_ino))
        except FileNotFoundError:
            continue
    return found


def parse(line: bytes) -> Optional[Piece]:
    """The piece of a line of a file, in either form; C(None) for a line that is neither, which a power cut may leave."""
    if not line.startswith(b"{"):
        words = line.split(b" ", 3)
        if len(words) < 4 or words[1] not in (b"stdout", b"stderr") or words[2] not in (b"F", b"P"):
            return None
        return Piece(words[1].decode(), words[3] if words[2] == b"F" else words[3][:-1], words[0].decode("ascii", "replace"))
    try:
        entry: Dict[str, Any] = documents.decode(line.decode("utf-8"))
        return Piece(str(entry["stream"]), entry["log"].encode("utf-8", "surrogateescape"), str(entry["time"]))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def files_of(path: str) -> List[str]:
    """The log's files that are there, oldest first; also amidst a rotation, when there may be a gap in their numbers."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    numbers = [int(each[len(name) + 1:]) for each in names if each.startswith(name + ".") and each[len(name) + 1:].isdecimal()]
    return ["%s.%d" % (path, number) for number in sorted(numbers, reverse=True)] + ([path] if name in names else [])


def last(pieces: Iterable[Piece], count: int) -> List[Piece]:
    """The last lines, at most C(count) of them; a long line counts once."""
    kept: Deque[List[Piece]] = deque(maxlen=max(0, count))
    unfinished: Dict[str, List[Piece]] = {}
    for piece in pieces:
        if piece.stream in unfinished:
            unfinished[piece.stream].append(piece)
        else:
            unfinished[piece.stream] = [piece]
            kept.append(unfinished[piece.stream])
        if piece.content.endswith(b"\n"):
            del unfinished[piece.stream]
    return [piece for line in kept for piece in line]


def lines(pieces: Iterable[Piece]) -> List[Dict[str, str]]:
    """Whole lines, each with C(time), C(stream) and C(message), without the line feed."""
    found: List[Dict[str, str]] = []
    unfinished: Dict[str, Dict[str, str]] = {}
    for piece in pieces:
        text = piece.content.decode("utf-8", "replace")
        if piece.stream not in unfinished:
            unfinished[piece.stream] = {"time": piece.time, "stream": piece.stream, "message": ""}
            found.append(unfinished[piece.stream])
        unfinished[piece.stream]["message"] += text.rstrip("\n") if text.endswith("\n") else text
        if piece.content.endswith(b"\n"):
            del unfinished[piece.stream]
    return found
