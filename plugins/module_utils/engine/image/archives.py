# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in files: OCI image layouts (a folder, or an archive of one) and Docker archives (C(docker save)).

An archive is opened, one image in it is chosen, and its manifest and config are
read and verified; its layers are verified later, while they stream.

Sources: image-spec image-layout.md; moby, image/tarexport (the format of C(docker save)).
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, BinaryIO, Callable, Collection, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..errors import Corrupt, InvalidValue, NotFound
from ..store import blobs, streams
from . import manifests, references

OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, ROOTFS = "oci", "oci-archive", "docker-archive", "rootfs"
_SMALL = 1 << 20
_MOST_SMALL = 64 << 20
_ARCHIVE_NAME = re.compile(rb"^(oci-layout|index\.json|manifest\.json|repositories|blobs(/.*)?|[0-9a-f]{64}"
                           rb"(/(json|VERSION|layer\.tar)?|\.json|\.tar(\.gz)?)?)\Z")
_HEX = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.json)?\Z")


class Source(NamedTuple):
    """One layer as an archive holds it.

    Attributes:
        name: Of the file in the archive.
        diff_id: As the config says.
        digest: As the manifest says, or empty where the archive does not tell.
        media_type: As the manifest says, or empty.
        size: Bytes, or -1 where the archive does not tell.
    """

    name: str
    diff_id: str
    digest: str
    media_type: str
    size: int


class Found(NamedTuple):
    """The image that was chosen.

    Attributes:
        identity: Digest of the manifest; for a Docker archive, which has none, of the config.
        manifest: The manifest's bytes; empty for a Docker archive.
        manifest_type: Its media type.
        config: The config's bytes.
        config_digest: Their digest, verified.
        layers: Lowest first.
        label: What errors call the archive.
    """

    identity: str
    manifest: bytes
    manifest_type: str
    config: bytes
    config_digest: str
    layers: Tuple[Source, ...]
    label: str


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


def choose(archive: Archive, kind: str, wanted: Optional[str], name: str) -> Found:
    """Choose an image, and verify its manifest and config.

    Args:
        wanted: A name or digest in the archive, or C(None) for the only one, or the one called like C(name).
        name: The name that the image shall have in the store.

    Raises:
        NotFound: No image fits; names those that there are.
        Corrupt: A document is not what its digest says.
    """
    if kind == DOCKER_ARCHIVE:
        return _choose_docker(archive, wanted, name)
    return _choose_oci(archive, wanted, name)


def _choose_oci(archive: Archive, wanted: Optional[str], name: str) -> Found:
    where = archive.path
    index = manifests.document(archive.read("index.json"), where + ": index.json")
    offered = [each for each in index.get("manifests") or [] if isinstance(each, dict)]
    if wanted and blobs.is_digest(wanted):
        fitting = [each for each in offered if each.get("digest") == wanted]
    else:
        fitting = _called(offered, wanted or name)
        if not fitting and not wanted:
            fitting = offered
    if not fitting:
        raise _no_such_image(where, wanted, [title for each in offered for title in _titles(each)])
    if len({each.get("digest") for each in fitting}) > 1:
        if not all(each.get("platform") for each in fitting):
            raise InvalidValue("source_reference", wanted, "does not say which of %d images of %s is meant"
                               % (len(fitting), where), "Give one of: %s" % _listed(
                                   [title for each in fitting for title in _titles(each) or [each.get("digest", "?")]]))
        chosen = manifests.choose(fitting, where)
    else:
        chosen = fitting[0]
    for _depth in range(4):
        described = manifests.descriptor(chosen, where)
        content = _blob(archive, described)
        value = manifests.document(content, "%s: manifest %s" % (where, described.digest))
        if not manifests.is_index(value):
            break
        chosen = manifests.choose([each for each in value.get("manifests") or []
                                   if each.get("annotations", {}).get("vnd.docker.reference.type") is None], where)
    else:
        raise Corrupt("%s: an index within an index within an index" % where, "Make it again")
    manifest = manifests.manifest(value, "%s: manifest %s" % (where, described.digest))
    config = _blob(archive, manifest.config)
    diff_ids = manifests.diff_ids(manifests.document(config, "%s: config %s" % (where, manifest.config.digest)), where)
    if len(diff_ids) != len(manifest.layers):
        raise Corrupt("%s: the manifest has %d layers, the config %d" % (where, len(manifest.layers), len(diff_ids)),
                      "Make it again")
    layers = []
    for diff_id, layer in zip(diff_ids, manifest.layers):
        path = _blob_path(layer.digest)
        size = archive.size(path)
        if size is None:
            raise NotFound("%s: layer %s is missing" % (where, layer.digest), "Make the archive again")
        if size != layer.size:
            raise Corrupt("%s: layer %s has %d bytes, its descriptor says %d" % (where, layer.digest, size, layer.size),
                          "Fetch or make it again")
        layers.append(Source(path, diff_id, layer.digest, layer.media_type, layer.size))
    media_type = value.get("mediaType") or described.media_type or manifests.MANIFEST
    return Found(described.digest, content, media_type, config, manifest.config.digest, tuple(layers), where)


def _blob_path(digest: str) -> str:
    return "blobs/%s/%s" % blobs.split(digest)


def _blob(archive: Archive, described: manifests.Descriptor) -> bytes:
    content = archive.read(_blob_path(described.digest))
    blobs.verify(content, described.digest, "%s: %s" % (archive.path, _blob_path(described.digest)))
    return content


def _titles(entry: Dict[str, Any]) -> List[str]:
    notes = entry.get("annotations") or {}
    return [notes[key] for key in (manifests.CONTAINERD_ANNOTATION, manifests.REFERENCE_ANNOTATION) if key in notes]


def _called(offered: List[Dict[str, Any]], wanted: str) -> List[Dict[str, Any]]:
    """The entries with a name: as written, in its complete form, or by the tag alone."""
    exact = [each for each in offered if wanted in _titles(each)]
    if exact:
        return exact
    try:
        full = references.parse(wanted)
    except ValueError:
        return []
    found = []
    for each in offered:
        for title in _titles(each):
            try:
                if references.parse(title) == full:
                    found.append(each)
                    break
            except ValueError:
                continue
    return found or [each for each in offered if full.tag in _titles(each)]


def _choose_docker(archive: Archive, wanted: Optional[str], name: str) -> Found:
    where = archive.path
    try:
        import json  # pylint: disable=import-outside-toplevel
        offered = json.loads(archive.read("manifest.json"))
        titles = [[str(tag) for tag in each.get("RepoTags") or []] for each in offered]
        parts = [(str(each["Config"]), [str(layer) for layer in each["Layers"]]) for each in offered]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Corrupt("%s: manifest.json is not as 'docker save' writes it" % where, "Make the archive again")
    fitting = [at for at, tags in enumerate(titles) if _same_name(tags, wanted or name)
               or (wanted and blobs.is_digest(wanted) and wanted[7:] in parts[at][0])]
    if not fitting and not wanted:
        fitting = list(range(len(offered)))
    if not fitting:
        raise _no_such_image(where, wanted, [tag for tags in titles for tag in tags])
    if len({parts[at][0] for at in fitting}) > 1:
        raise InvalidValue("source_reference", wanted, "does not say which of %d images of %s is meant"
                           % (len(fitting), where), "Give one of: %s" % _listed([t for tags in titles for t in tags]))
    config_name, layer_names = parts[fitting[0]]
    config = archive.read(config_name)
    found = blobs.of_bytes(config)
    match = _HEX.search(config_name)
    if match and found != "sha256:" + match.group(1):
        raise blobs.mismatch("%s: %s" % (where, config_name), "sha256:" + match.group(1), found, "config digest")
    diff_ids = manifests.diff_ids(manifests.document(config, "%s: %s" % (where, config_name)), where)
    if len(diff_ids) != len(layer_names):
        raise Corrupt("%s: manifest.json has %d layers, the config %d" % (where, len(layer_names), len(diff_ids)),
                      "Make it again")
    layers = []
    for diff_id, layer in zip(diff_ids, layer_names):
        size = archive.size(layer)
        if size is None:
            raise NotFound("%s: layer %s is missing" % (where, layer), "Make the archive again")
        digest = "sha256:" + layer[13:] if layer.startswith("blobs/sha256/") and len(layer) == 77 else ""
        layers.append(Source(layer, diff_id, digest, "", size))
    return Found(found, b"", manifests.MANIFEST, config, found, tuple(layers), where)


def _same_name(tags: List[str], wanted: str) -> bool:
    if wanted in tags:
        return True
    try:
        full = references.normal(wanted)
        return any(references.normal(tag) == full for tag in tags)
    except ValueError:
        return False


def _no_such_image(where: str, wanted: Optional[str], titles: List[str]) -> NotFound:
    return NotFound("%s has no image '%s'" % (where, wanted) if wanted else "%s has no image" % where,
                    "It has: %s" % _listed(titles))


def _listed(titles: List[str]) -> str:
    return ", ".join(sorted(set(titles))) or "none with a name"
