# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in files: OCI image layouts (a folder, or an archive of one) and Docker archives (C(docker save)).

Sources: image-spec image-layout.md; moby, image/tarexport (the format of C(docker save)).
"""

from __future__ import annotations

import os
import re
import stat
from typing import BinaryIO, Callable, Collection, Dict, Iterator, Optional, Tuple

from ..errors import Corrupt, NotFound
from ..store import blobs, streams

OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, ROOTFS, ROOTFS_FOLDER = "oci", "oci-archive", "docker-archive", "rootfs", "rootfs-folder"
_SMALL = 1 << 20
_MOST_SMALL = 64 << 20
_ARCHIVE_NAME = re.compile(rb"^(oci-layout|index\.json|manifest\.json|repositories|blobs(/.*)?|[0-9a-f]{64}"
                           rb"(/(json|VERSION|layer\.tar)?|\.json|\.tar(\.gz)?)?)\Z")


class Archive:
    """The files of a layout or archive.

    Args:
        path: A folder or a tar file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder = os.path.isdir(path)
        self._members: Dict[str, Tuple[int, int]] = {}
        self._links: Dict[str, str] = {}
        self._small: Dict[str, bytes] = {}
        self._stream: Optional[BinaryIO] = None
        if not self._folder:
            self._index()

    def _index(self) -> None:
        """Find where each member is; of a compressed archive also keep the small ones, since it cannot be sought in."""
        from ..layer import tarstream  # pylint: disable=import-outside-toplevel
        stream = open(self.path, "rb")
        self._stream = stream
        compressed = streams.kind(stream.read(streams.MAGIC)) != "none"
        stream.seek(0)
        if compressed:
            reader = tarstream.Reader(streams.decoded(streams.read_chunks(stream), self.path), self.path)
        else:
            reader = tarstream.Reader(streams.read_chunks(stream, 65536), self.path,
                                      _leap(stream))
        kept = 0
        for entry in reader:
            name = os.path.normpath(entry.name.decode("utf-8", "surrogateescape"))
            if entry.kind == tarstream.FILE and entry.parts is None:
                self._members[name] = (reader.position, entry.size)
                if compressed and entry.size <= _SMALL and kept + entry.size <= _MOST_SMALL:
                    self._small[name] = b"".join(reader.content(entry))
                    kept += entry.size
            elif entry.kind == tarstream.SYMLINK:
                self._links[name] = os.path.normpath(os.path.join(os.path.dirname(name), os.fsdecode(entry.target)))
            elif entry.kind == tarstream.LINK:
                self._links[name] = os.path.normpath(os.fsdecode(entry.target))
        if compressed:
            self._stream = None
            stream.close()

    def expand(self, folder: str) -> None:
        """Write a compressed archive's plain content to a nameless file in a folder, so that it can be sought in."""
        if self._folder or self._stream is not None:
            return
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(handle, "w+b")
        with open(self.path, "rb") as packed:
            for chunk in streams.decoded(streams.read_chunks(packed), self.path):
                self._stream.write(chunk)
        self._stream.flush()

    def _resolved(self, name: str) -> str:
        for _step in range(8):
            if name in self._members or name not in self._links:
                break
            name = self._links[name]
        return name

    def size(self, name: str) -> Optional[int]:
        """A file's bytes, or C(None) where there is none."""
        if self._folder:
            try:
                status = os.stat(os.path.join(self.path, name))
            except OSError:
                return None
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        found = self._members.get(self._resolved(os.path.normpath(name)))
        return None if found is None else found[1]

    def read(self, name: str) -> bytes:
        """A small file's content.

        Raises:
            NotFound: There is none, or it is too large for a document.
        """
        length = self.size(name)
        if length is None:
            raise NotFound("%s has no file %s" % (self.path, name), "Make it again")
        if length > blobs.DOCUMENT_LIMIT:
            raise Corrupt("%s: %s has %d bytes, too many for a document" % (self.path, name, length), "Make it again")
        if not self._folder and self._stream is None:
            resolved = self._resolved(os.path.normpath(name))
            if resolved not in self._small:
                raise Corrupt("%s: %s is too large for a document" % (self.path, name), "Make it again")
            return self._small[resolved]
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's content in pieces; of a compressed archive only after C(expand)."""
        if self._folder:
            with open(os.path.join(self.path, name), "rb") as stream:
                yield from streams.read_chunks(stream)
            return
        if self._stream is None:
            raise Corrupt("%s was not expanded" % self.path)
        offset, left = self._members[self._resolved(os.path.normpath(name))]
        handle = self._stream.fileno()
        while left:
            chunk = os.pread(handle, min(left, streams.CHUNK), offset)
            if not chunk:
                raise Corrupt("%s ends within %s" % (self.path, name), "Fetch or make it again")
            offset, left = offset + len(chunk), left - len(chunk)
            yield chunk

    def visit(self, names: Collection[str], visitor: Callable[[str, Iterator[bytes]], None]) -> None:
        """Hand some files' content to a function, writing nothing; of a compressed archive in its own order."""
        wanted = {self._resolved(os.path.normpath(name)): name for name in names}
        if self._folder or self._stream is not None:
            for name in names:
                visitor(name, self.chunks(name))
            return
        from ..layer import tarstream  # pylint: disable=import-outside-toplevel
        with open(self.path, "rb") as stream:
            reader = tarstream.Reader(streams.decoded(streams.read_chunks(stream), self.path), self.path)
            for entry in reader:
                asked = wanted.get(os.path.normpath(entry.name.decode("utf-8", "surrogateescape")))
                if asked is not None:
                    visitor(asked, reader.content(entry))

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()


def _leap(stream: BinaryIO) -> Callable[[int], None]:
    def ahead(count: int) -> None:
        stream.seek(count, os.SEEK_CUR)
    return ahead


def detect(path: str) -> str:
    """What a path holds: one of the constants above.

    Raises:
        NotFound: There is nothing.
        Corrupt: It is neither a folder nor a tar archive.
    """
    from ..layer import tarstream  # pylint: disable=import-outside-toplevel
    try:
        status = os.stat(path)
    except OSError as error:
        raise NotFound("source %s: %s" % (path, error.strerror), "Give the path of an image on the managed host")
    if stat.S_ISDIR(status.st_mode):
        return OCI if os.path.isfile(os.path.join(path, "oci-layout")) else ROOTFS
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("source %s is neither a folder nor a file" % path, "Give the path of an image")
    names = set()
    with open(path, "rb") as stream:
        plain = streams.kind(stream.read(streams.MAGIC)) == "none"
        stream.seek(0)
        chunks = streams.read_chunks(stream, 65536)
        if plain:
            reader = tarstream.Reader(chunks, path, _leap(stream))
        else:
            reader = tarstream.Reader(streams.decoded(chunks, path), path)
        for entry in reader:
            name = os.path.normpath(entry.name)
            if not _ARCHIVE_NAME.match(name):
                return ROOTFS
            names.add(name)
            if b"oci-layout" in names:
                return OCI_ARCHIVE
    if b"index.json" in names:
        return OCI_ARCHIVE
    return DOCKER_ARCHIVE if b"manifest.json" in names else ROOTFS
