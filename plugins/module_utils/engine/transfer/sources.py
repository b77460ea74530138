# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where copied content comes from: files that are there, a text, or a parcel that the controller has sent."""

from __future__ import annotations

import hashlib
import io
import os
from typing import Any, BinaryIO, List, Sequence

from ..errors import Corrupt, NotFound
from . import entries
from .entries import Entry, Place

_PIECE = 1 << 20
WANTED = "coracle_wants_the_content"
"""In the result of a module that got a parcel without the content that it needs; the action plugin sends that then."""


class Files:
    """Files of one side."""

    def __init__(self, place: Place, strange: Sequence[int] = ()) -> None:
        self.place = place
        self.name = place.name
        self.entries, self.skipped = entries.walk(place, strange)

    def open(self, each: Entry) -> BinaryIO:
        """Its content, of which only as much is to be read as it was long: who writes to it meanwhile may never end."""
        return os.fdopen(self.place.read(each.path), "rb", buffering=0)

    def same(self, wanted: Entry, now: Entry, place: Place) -> bool:
        """Whether the other side has the same content."""
        return wanted.size == now.size and _equal(self, wanted, place)


class Text:
    """A file that there is as a text alone."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.name = ""
        self.entries: List[Entry] = [Entry("", entries.FILE, 0o644, size=len(content))]
        self.skipped: List[str] = []

    def open(self, _each: Entry) -> BinaryIO:
        """Its content."""
        return io.BytesIO(self.content)

    def same(self, wanted: Entry, now: Entry, place: Place) -> bool:
        """Whether the other side has the same content."""
        return wanted.size == now.size and _equal(self, wanted, place)


class Parcel:
    """What the controller has sent: a tar whose first member lists all, and perhaps the content of each file.

    Raises:
        Corrupt: It is none.
    """

    def __init__(self, path: str) -> None:
        import json  # pylint: disable=import-outside-toplevel
        import tarfile  # pylint: disable=import-outside-toplevel
        try:
            self.archive = tarfile.open(path)
            first = self.archive.next()
            stream = self.archive.extractfile(first) if first is not None else None
            listed: Any = json.loads(stream.read().decode("utf-8", "surrogateescape")) if stream is not None else {}
            self.name = str(listed["name"])
            self.entries = sorted(Entry(**row) for row in listed["entries"])
        except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
            raise Corrupt("%s is no parcel of files: %s" % (path, error), "Run the task again") from error
        self.skipped: List[str] = list(listed["skipped"])
        self.complete = bool(listed["complete"])

    def open(self, each: Entry) -> BinaryIO:
        """Its content."""
        if not self.complete:
            raise NotFound("the content is still on the controller", None, **{WANTED: True})
        stream = self.archive.extractfile(each.digest)
        if stream is None:
            raise Corrupt("the parcel lacks %s" % each.path, "Run the task again")
        return stream  # type: ignore[return-value]

    def same(self, wanted: Entry, now: Entry, place: Place) -> bool:
        """Whether the other side has the same content."""
        if wanted.size != now.size:
            return False
        digest = hashlib.sha256()
        with os.fdopen(place.read(wanted.path), "rb", buffering=0) as stream:
            for part in pieces(stream, now.size):
                digest.update(part)
        return digest.hexdigest() == wanted.digest


def pieces(stream: BinaryIO, size: int) -> Any:
    """What a stream holds, at most so many bytes."""
    left = size
    while left > 0:
        part = stream.read(min(left, _PIECE))
        if not part:
            return
        left -= len(part)
        yield part


def _equal(source: Any, wanted: Entry, place: Place) -> bool:
    with source.open(wanted) as ours, os.fdopen(place.read(wanted.path), "rb", buffering=0) as theirs:
        left = wanted.size
        while left > 0:
            one, other = ours.read(min(left, _PIECE)), theirs.read(min(left, _PIECE))
            if one != other or not one:
                return False
            left -= len(one)
    return True
