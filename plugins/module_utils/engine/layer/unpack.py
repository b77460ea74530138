# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over a layer's tar stream: both digests, and the layer in its mountable form.

Four threads share the work, since sockets, zlib and hashlib let go of the
interpreter while they wait or compute: one reads and hashes, one decompresses,
one hashes the plain stream, and the calling one takes the archive apart and writes.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Any, Callable, Iterator, NamedTuple, Optional, Tuple

from ..store import blobs, streams
from . import tarstream
from .tree import Tree

_DEPTH = 8


class Unpacked(NamedTuple):
    """What came out of a stream.

    Attributes:
        blob: Digest of the stream as stored.
        blob_size: Its bytes.
        diff_id: Digest of the plain tar.
        size: Bytes of the plain tar.
        entries: Members of the archive.
        tree: The layer's files; their data is in the form.
        compression: As C(streams.kind) names it.
    """

    blob: str
    blob_size: int
    diff_id: str
    size: int
    entries: int
    tree: Tree
    compression: str


def unpack(chunks: Iterator[bytes], name: str, form: Any, tee: Optional[Callable[[bytes], None]] = None,
           algorithm: str = "sha256") -> Unpacked:
    """Read a layer and store its files' data; the tree is not written yet, so nothing depends on the digests.

    Args:
        chunks: The tar stream, plain or compressed.
        name: What an error names.
        form: Where the data goes: C(file(entry, pieces)) and C(drop(place)).
        tee: Is handed each chunk as stored.
        algorithm: Of the digest of the stream as stored.

    Raises:
        Corrupt: The stream cannot be decoded, or holds what a layer must not hold.
    """
    counted = _Counted(chunks, tee, algorithm)
    with Pump(counted.read) as stored, Pump(lambda: streams.decoded(stored.chunks(), name)) as plain:
        digest = _Hasher()
        try:
            tree, entries = read_tree(digest.through(plain.chunks()), name, form)
            diff_id = digest.finish()
        finally:
            digest.close()
    return Unpacked("%s:%s" % (algorithm, counted.hash.hexdigest()), counted.size, diff_id, digest.size, entries, tree,
                    streams.kind(counted.head))


class Nothing:
    """A form that keeps nothing: for looking whether a layer could be unpacked."""

    def file(self, _entry: tarstream.Entry, _pieces: Iterator[bytes]) -> int:
        """Leave the data to be skipped."""
        return 0

    def drop(self, _place: int) -> None:
        """There is nothing to drop."""


def verify(chunks: Iterator[bytes], name: str, blob: Optional[str] = None, diff_id: Optional[str] = None) -> None:
    """Read a layer as C(unpack) does, writing nothing.

    Raises:
        Corrupt: A digest differs, or the stream holds what a layer must not hold.
    """
    result = unpack(chunks, name, Nothing(), algorithm=blobs.split(blob)[0] if blob else "sha256")
    if blob and result.blob != blob:
        raise blobs.mismatch(name, blob, result.blob, "layer digest")
    if diff_id and result.diff_id != diff_id:
        raise blobs.mismatch(name, diff_id, result.diff_id, "diff ID")


def read_tree(chunks: Iterator[bytes], name: str, form: Any, layer: bool = True) -> Tuple[Tree, int]:
    """Take a plain tar stream apart; returns the tree and the number of entries.

    Args:
        layer: As for C(Tree).
    """
    tree = Tree(name, form.drop, layer)
    reader = tarstream.Reader(chunks, name)

    def store(entry: tarstream.Entry) -> int:
        return int(form.file(entry, reader.content(entry))) if entry.size else 0
    entries = 0
    for entry in reader:
        entries += 1
        tree.add(entry, store)
    tree.finish()
    return tree, entries


class _Counted:
    """Chunks on their way to the decompressor: hashed, counted, handed on."""

    def __init__(self, chunks: Iterator[bytes], tee: Optional[Callable[[bytes], None]], algorithm: str) -> None:
        self._chunks = chunks
        self._tee = tee
        self.hash = hashlib.new(algorithm)
        self.size = 0
        self.head = b""

    def read(self) -> Iterator[bytes]:
        """Each chunk, after it was counted."""
        for chunk in self._chunks:
            if len(self.head) < streams.MAGIC:
                self.head += chunk[:streams.MAGIC]
            self.hash.update(chunk)
            self.size += len(chunk)
            if self._tee is not None:
                self._tee(chunk)
            yield chunk


class Pump:
    """Runs an iterator of chunks in a thread of its own, at most so many chunks ahead."""

    def __init__(self, begin: Callable[[], Iterator[bytes]], ahead: int = _DEPTH) -> None:
        self._begin = begin
        self._queue: "queue.Queue[Any]" = queue.Queue(ahead)
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Pump":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.02)
            except queue.Empty:
                pass
        self._thread.join()

    def _run(self) -> None:
        try:
            for chunk in self._begin():
                self._queue.put(chunk)
                if self._stop:
                    return
            self._queue.put(None)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self._queue.put(error)

    def chunks(self) -> Iterator[bytes]:
        """What the iterator yields; raises what it raises."""
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


class _Hasher:
    """The digest of a stream, computed beside whoever reads it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: "queue.Queue[Optional[bytes]]" = queue.Queue(_DEPTH)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.size = 0

    def _run(self) -> None:
        while True:
            chunk = self._queue.get()
            if chunk is None:
                return
            self._hash.update(chunk)

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the chunks on."""
        for chunk in chunks:
            self.size += len(chunk)
            self._queue.put(chunk)
            yield chunk

    def finish(self) -> str:
        """The digest of all that went through."""
        self.close()
        return "sha256:" + self._hash.hexdigest()

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
