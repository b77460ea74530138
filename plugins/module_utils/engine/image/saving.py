# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the store as files: an OCI image layout, an archive of one, a Docker archive, the files themselves.

Blobs are written as they are stored, so that whoever reads the result finds the same digests. An archive for Docker is
an archive of a layout that has a C(manifest.json) besides, as C(docker save) has written them since version 25: whoever
knows only one of the two finds it. The same images give the same bytes.

Sources: image-spec image-layout.md, annotations.md; moby, image/tarexport.
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional

from ..errors import Conflict, EngineError, NotFound
from ..instance import Instance
from ..layer import pack, tarstream
from ..store import blobs, files, streams
from . import archives, exported, images, manifests

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Item(NamedTuple):
    """An image and the complete name that it shall have in the file; empty for none."""

    image: images.Image
    name: str


class Saved(NamedTuple):
    """What a file or folder holds.

    Attributes:
        kind: As C(archives.detect) names it.
        compression: As C(streams.kind) names it.
        images: Digests of the manifests by complete name; of a root file system that of its image, by an empty name.
    """

    kind: str
    compression: str
    images: Dict[str, str]


# Writing

def save(instance: Instance, items: List[Item], kind: str, dest: str, compression: str) -> None:
    """Write images to a file or folder, which is replaced at once; into a layout that is there, they are added.

    Raises:
        NotFound, Corrupt: A blob is missing or damaged; nothing was written.
    """
    if kind == archives.ROOTFS:
        files.write_chunks(dest, streams.encoded(exported.tarball(instance, items[0].image), compression, fast=True))
    elif kind == archives.ROOTFS_FOLDER:
        exported.folder(instance, items[0].image, dest)
    elif kind == archives.OCI:
        _layout(instance, items, dest)
    else:
        plain = _tar(instance, items, kind == archives.DOCKER_ARCHIVE)
        files.write_chunks(dest, streams.encoded(plain, compression, fast=True))


def _documents(items: List[Item], docker: bool) -> Dict[str, bytes]:
    """The files of a layout that are no blobs."""
    found = {"oci-layout": LAYOUT, "index.json": _index([_entry(item) for item in items])}
    if docker:
        listing: Dict[str, Dict[str, Any]] = {}
        for item in items:
            row = listing.setdefault(item.image.id, {
                "Config": _path(item.image.id), "RepoTags": [],
                "Layers": [_path(digest) for _type, digest, _size in item.image.layers]})
            if item.name:
                row["RepoTags"].append(item.name)
        found["manifest.json"] = manifests.encode(list(listing.values()))
    return found


def _index(entries: Iterable[Any]) -> bytes:
    return manifests.encode({"schemaVersion": 2, "mediaType": manifests.INDEX, "manifests": list(entries)})


def _entry(item: Item) -> Dict[str, Any]:
    """The descriptor of an image in an index; it has its name as Podman and as containerd look for it."""
    image = item.image
    entry = {"mediaType": image.manifest_type, "digest": image.manifest_digest, "size": image.manifest_size}  # type: Dict[str, Any]
    if item.name:
        entry["annotations"] = {manifests.REFERENCE_ANNOTATION: item.name, manifests.CONTAINERD_ANNOTATION: item.name}
    return entry


def _contents(items: List[Item]) -> Dict[str, int]:
    """The digests and sizes of all blobs, each once: manifests, configs, layers."""
    found: Dict[str, int] = {}
    for item in items:
        image = item.image
        layers = {digest: size for _type, digest, size in image.layers}
        found[image.manifest_digest] = image.manifest_size
        found[image.id] = image.size - image.manifest_size - sum(layers.values())
        found.update(layers)
    return found


def _path(digest: str) -> str:
    return "blobs/%s/%s" % blobs.split(digest)


def _tar(instance: Instance, items: List[Item], docker: bool) -> Iterator[bytes]:
    total = 0
    for name, content in _documents(items, docker).items():
        whole = _member(name, len(content)) + content + bytes(-len(content) % pack.BLOCK)
        total += len(whole)
        yield whole
    for digest, size in _contents(items).items():
        header = _member(_path(digest), size)
        yield header
        yield from _exactly(instance, digest, size)
        yield bytes(-size % pack.BLOCK)
        total += len(header) + size + -size % pack.BLOCK
    yield pack.end(total)


def _member(name: str, size: int) -> bytes:
    return pack.member(name.encode(), size)


def _exactly(instance: Instance, digest: str, size: int) -> Iterator[bytes]:
    found = blobs.size(instance, digest)
    if found is not None and found != size:
        raise blobs.mismatch(blobs.path(instance, digest), "%d bytes" % size, "%d bytes" % found, "size")
    return blobs.chunks(instance, digest)


def _layout(instance: Instance, items: List[Item], dest: str) -> None:
    """Add images to a layout; what has one of their names loses it."""
    fresh = not os.path.exists(dest)
    part = os.path.join(os.path.dirname(dest), "%s%s-%d" % (files.TEMPORARY, os.path.basename(dest), os.getpid()))
    folder = part if fresh else dest
    added: List[str] = []
    try:
        for name in ("", "blobs", "blobs/sha256"):
            files.make_folder(os.path.join(folder, name), 0o755)
        for digest, size in _contents(items).items():
            target = os.path.join(folder, _path(digest))
            files.make_folder(os.path.dirname(target), 0o755)
            if not os.path.exists(target) or os.path.getsize(target) != size:
                files.write_chunks(target, _exactly(instance, digest, size))
                added.append(target)
        documents = _documents(items, docker=False)
        if os.path.exists(os.path.join(folder, "index.json")):
            names = {item.name for item in items}
            kept = [each for each in manifests.document(_read(folder, "index.json"), dest).get("manifests") or []
                    if (each.get("annotations") or {}).get(manifests.REFERENCE_ANNOTATION) not in names
                    and each.get("digest") not in {item.image.manifest_digest for item in items if not item.name}]
            documents["index.json"] = _index(kept + [_entry(item) for item in items])
        for name, content in documents.items():
            files.write(os.path.join(folder, name), content, 0o644)
        if fresh:
            os.rename(part, dest)
            files.sync_folder(os.path.dirname(dest))
    except BaseException:
        for path in added:
            files.remove(path)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb") as stream:
        return stream.read()


# Reading back

def observe(instance: Instance, dest: str, wanted: str) -> Optional[Saved]:
    """What a file or folder holds, or C(None) where there is nothing, or what is no whole image."""
    if not os.path.exists(dest):
        return None
    try:
        if wanted == archives.ROOTFS_FOLDER:
            held = exported.observe(instance, dest)
            return Saved(wanted, "none", {"": held}) if held else None
        kind = archives.detect(dest)
        compression = "none" if os.path.isdir(dest) else _compression(dest)
        if kind == archives.ROOTFS:
            return Saved(kind, compression, {"": _comment(dest)})
        archive = archives.Archive(dest)
        try:
            return _observed(archive, kind, compression)
        finally:
            archive.close()
    except (EngineError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _compression(dest: str) -> str:
    with open(dest, "rb") as stream:
        return streams.kind(stream.read(streams.MAGIC))


def _comment(dest: str) -> str:
    if os.path.isdir(dest):
        raise Conflict("dest %s is a folder" % dest, "Name a file")
    with open(dest, "rb") as stream:
        reader = tarstream.Reader(streams.decoded(streams.read_chunks(stream), dest), dest)
        next(iter(reader), None)
        return reader.comment


def _observed(archive: archives.Archive, kind: str, compression: str) -> Saved:
    found = {}
    for each in manifests.document(archive.read("index.json"), archive.path).get("manifests") or []:
        described = manifests.descriptor(each, archive.path)
        value = manifests.document(archive.read(_path(described.digest)), archive.path)
        manifest = manifests.manifest(value, archive.path)
        for blob in (described, manifest.config, *manifest.layers):
            if archive.size(_path(blob.digest)) != blob.size:
                raise NotFound("%s: blob %s is missing" % (archive.path, blob.digest))
        found[(each.get("annotations") or {}).get(manifests.REFERENCE_ANNOTATION, "")] = described.digest
    if kind == archives.OCI_ARCHIVE and archive.size("manifest.json") is not None:
        kind = archives.DOCKER_ARCHIVE
    return Saved(kind, compression, found)


def satisfies(found: Optional[Saved], wanted: Saved) -> bool:
    """Whether a file holds what it shall, and nothing else; a layout may hold more."""
    if found is None or wanted.kind != archives.OCI:
        return found == wanted
    return found.kind == archives.OCI and all(found.images.get(name) == digest for name, digest in wanted.images.items())


def sizes(dest: str) -> int:
    """Bytes of a file, or of all files of a folder."""
    if not os.path.isdir(dest):
        return os.path.getsize(dest)
    return sum(os.lstat(os.path.join(top, name)).st_size for top, _folders, names in os.walk(dest) for name in names)


def check_dest(dest: str, kind: str) -> None:
    """Look whether the place will do.

    Raises:
        NotFound: Its folder is not there.
        Conflict: Something else is there.
    """
    if not os.path.isdir(os.path.dirname(dest)):
        raise NotFound("dest: folder %s does not exist" % os.path.dirname(dest), "Create it")
    if kind == archives.ROOTFS_FOLDER:
        exported.check(dest)
    elif kind == archives.OCI:
        if os.path.exists(dest) and not os.path.isfile(os.path.join(dest, "oci-layout")) and (
                not os.path.isdir(dest) or os.listdir(dest)):
            raise Conflict("dest %s is there and is no OCI image layout" % dest, "Name a folder that is new, empty or a layout")
    elif os.path.isdir(dest):
        raise Conflict("dest %s is a folder" % dest, "Name a file, or choose dest_type: oci or rootfs-folder")
