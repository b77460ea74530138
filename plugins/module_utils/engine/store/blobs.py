# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content by digest, in the folders of an OCI image layout (image-spec, image-layout.md).

    blobs/ALGORITHM/HEX   immutable once named
    ingest/               parts that are being written

A blob is written to C(ingest/), hashed on the way, flushed and renamed: under
its name it is whole, or it is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, BinaryIO, Iterator, Optional, Tuple

from ..errors import Corrupt, InvalidValue, NotFound
from ..instance import Instance
from ..kernel.writeback import Writeback
from . import files, leases

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}\n'
_LENGTHS = {"sha256": 64, "sha512": 128}
DOCUMENT_LIMIT = 4 << 20
"""The largest manifest or config that is read, in bytes; registries use the same bound."""


def split(digest: str) -> Tuple[str, str]:
    """Algorithm and hexadecimal digits of a digest (image-spec, descriptor.md, Digests).

    Raises:
        InvalidValue: It is no sha256 or sha512 digest.
    """
    if not is_digest(digest):
        raise InvalidValue("digest", digest, "is no digest", "Write sha256: and 64 lower-case hexadecimal digits")
    algorithm, _colon, digits = digest.partition(":")
    return algorithm, digits


def is_digest(text: str) -> bool:
    """Whether a text is a sha256 or sha512 digest."""
    algorithm, _colon, digits = text.partition(":")
    return len(digits) == _LENGTHS.get(algorithm, -1) and not digits.strip("0123456789abcdef")


def of_bytes(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes."""
    return "%s:%s" % (algorithm, hashlib.new(algorithm, content).hexdigest())


def path(instance: Instance, digest: str) -> str:
    """Where a blob is, or would be."""
    algorithm, digits = split(digest)
    return instance.state("blobs", algorithm, digits)


def size(instance: Instance, digest: str) -> Optional[int]:
    """A blob's length in bytes, or C(None) where the store has none."""
    try:
        return os.stat(path(instance, digest)).st_size
    except FileNotFoundError:
        return None


def read(instance: Instance, digest: str) -> bytes:
    """A small blob's content, its digest verified.

    Raises:
        NotFound: The store has no such blob.
        Corrupt: Its content is not what its digest says.
    """
    try:
        with open(path(instance, digest), "rb") as stream:
            content = stream.read(DOCUMENT_LIMIT + 1)
    except FileNotFoundError:
        raise NotFound("blob %s is not in %s" % (digest, instance.state("blobs")), "Import the image again")
    verify(content, digest, path(instance, digest))
    return content


def chunks(instance: Instance, digest: str) -> Iterator[bytes]:
    """A blob's content in pieces, its digest verified in the end.

    Raises:
        NotFound, Corrupt: As C(read).
    """
    from . import streams  # pylint: disable=import-outside-toplevel
    try:
        stream = open(path(instance, digest), "rb")
    except FileNotFoundError:
        raise NotFound("blob %s is not in %s" % (digest, instance.state("blobs")), "Import the image again")
    found = hashlib.new(split(digest)[0])
    with stream:
        for chunk in streams.read_chunks(stream):
            found.update(chunk)
            yield chunk
    if found.hexdigest() != split(digest)[1]:
        raise Corrupt("%s: expected digest %s, found %s" % (path(instance, digest), digest, found.hexdigest()),
                      "The disk has damaged it; remove the image and import it again")


def read_json(instance: Instance, digest: str) -> Any:
    """A JSON blob, its digest verified."""
    return json.loads(read(instance, digest))


def verify(content: bytes, digest: str, where: str) -> None:
    """Check that bytes have the digest they should.

    Raises:
        Corrupt: They have another; names the place and both digests.
    """
    found = of_bytes(content, split(digest)[0])
    if found != digest:
        raise mismatch(where, digest, found)


def mismatch(where: str, expected: str, found: str, what: str = "digest") -> Corrupt:
    """The error for content that is not what its digest says."""
    return Corrupt("%s: expected %s %s, found %s" % (where, what, expected, found),
                   "Fetch or make the source again; nothing was stored", expected=expected, found=found)


def prepare(instance: Instance) -> None:
    """Make the store's folders and the file that marks an OCI image layout."""
    files.make_folder(instance.state_root)
    for name in ("blobs", "ingest", "refs", "layers"):
        files.make_folder(instance.state(name))
    for name in ("blobs", "layers"):
        files.make_folder(instance.state(name, "sha256"))
    if not os.path.exists(instance.state("oci-layout")):
        files.write(instance.state("oci-layout"), LAYOUT, 0o644)


class Writer:
    """A blob in the making; a context manager that leaves nothing behind unless C(commit) was called."""

    def __init__(self, instance: Instance, algorithm: str = "sha256") -> None:
        self._instance = instance
        self._hash = hashlib.new(algorithm)
        self._algorithm = algorithm
        self._part = instance.state("ingest", "blob-%d-%x" % (os.getpid(), id(self)))
        handle = leases.claim(instance, self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._stream: BinaryIO = open(handle, "wb", buffering=0)
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append to the blob."""
        self._hash.update(chunk)
        self.size += len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[self._stream.write(view):]

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return "%s:%s" % (self._algorithm, self._hash.hexdigest())

    def commit(self) -> Tuple[str, bool]:
        """Give the blob its name; returns the digest and whether the store did not have it before."""
        digest = self.digest
        target = path(self._instance, digest)
        if os.path.exists(target):
            self.abort()
            return digest, False
        os.fsync(self._stream.fileno())
        os.fchmod(self._stream.fileno(), 0o600)
        self._stream.close()
        files.make_folder(os.path.dirname(target))
        os.rename(self._part, target)
        files.sync_folder(os.path.dirname(target))
        return digest, True

    def abort(self) -> None:
        """Drop what was written."""
        if not self._stream.closed:
            self._stream.close()
        files.remove(self._part)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_error: object) -> None:
        if not self._stream.closed:
            self.abort()


class Part:
    """A blob whose digest is known and which comes in parts, perhaps over several runs; it stays unless it is committed.

    The caller sees to it that what is committed has the digest.

    Attributes:
        size: Bytes that are there.
    """

    def __init__(self, instance: Instance, digest: str) -> None:
        self._instance = instance
        self._digest = digest
        self.path = part_path(instance, digest)
        handle = leases.claim(instance, self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._stream: BinaryIO = open(handle, "r+b", buffering=0)
        self.size = os.fstat(handle).st_size
        self._writeback = Writeback(handle, self.size)

    def read(self, chunk: int = 1 << 18) -> Iterator[bytes]:
        """What is there, in pieces."""
        at = 0
        while at < self.size:
            piece = os.pread(self._stream.fileno(), min(chunk, self.size - at), at)
            if not piece:
                return
            at += len(piece)
            yield piece

    def write(self, chunk: bytes) -> None:
        """Append."""
        view = memoryview(chunk)
        while view:
            done = self._stream.write(view)
            view = view[done:]
            self.size += done
        self._writeback.reached(self.size)

    def flush(self) -> None:
        """Wait until all of it is on the disk."""
        os.fsync(self._stream.fileno())

    def restart(self) -> None:
        """Forget what is there."""
        os.ftruncate(self._stream.fileno(), 0)
        self.size = 0
        self._writeback = Writeback(self._stream.fileno())

    def commit(self) -> Tuple[str, bool]:
        """Give the blob its name, after C(flush); returns the digest and whether the store did not have it before."""
        target = path(self._instance, self._digest)
        if os.path.exists(target):
            self.discard()
            return self._digest, False
        os.fchmod(self._stream.fileno(), 0o600)
        files.make_folder(os.path.dirname(target))
        os.rename(self.path, target)
        files.sync_folder(os.path.dirname(target))
        self._stream.close()
        return self._digest, True

    def discard(self) -> None:
        """Drop it."""
        files.remove(self.path)
        self._stream.close()

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()


def part_path(instance: Instance, digest: str) -> str:
    """Where the parts of a blob are that is being fetched, or was."""
    return instance.state("ingest", leases.KEPT + digest.replace(":", "-"))


def put_back(instance: Instance, digest: str) -> None:
    """Make a blob a part again, whole, so that the next run need not fetch it."""
    try:
        os.rename(path(instance, digest), part_path(instance, digest))
    except FileNotFoundError:
        pass


def put(instance: Instance, content: bytes, algorithm: str = "sha256") -> Tuple[str, bool]:
    """Store some bytes; returns their digest and whether the store did not have them before."""
    with Writer(instance, algorithm) as writer:
        writer.write(content)
        return writer.commit()


def remove(instance: Instance, digest: str) -> bool:
    """Delete a blob; say whether it was there."""
    return files.remove(path(instance, digest))


def every(instance: Instance) -> Iterator[str]:
    """The digests of all blobs in the store."""
    for algorithm, length in _LENGTHS.items():
        try:
            names = os.listdir(instance.state("blobs", algorithm))
        except FileNotFoundError:
            continue
        for name in names:
            if len(name) == length:
                yield "%s:%s" % (algorithm, name)
