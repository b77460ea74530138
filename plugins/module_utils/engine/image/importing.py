# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing an image into the store: all of it, or nothing.

What an import has added is taken away again when a later step fails, so that an
archive with one wrong digest leaves the store as it was.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Collection, Dict, Iterator, List, Optional, Sequence, Tuple

from ..errors import Corrupt
from ..instance import Instance
from ..layer import layers
from ..store import blobs, leases, locks
from . import archives, choosing, images, manifests


class Additions(layers.Noted):
    """What an import has added so far.

    Args:
        resumable: Whether the blobs stay behind as parts when it fails, for the next run.
    """

    def __init__(self, instance: Instance, resumable: bool = False) -> None:
        self._instance = instance
        self.resumable = resumable
        self._blobs: List[str] = []
        self._layers: List[str] = []

    def blob(self, digest: str, fresh: bool) -> None:
        """Note a blob."""
        if fresh:
            self._blobs.append(digest)

    def layer(self, diff_id: str) -> None:
        """Note a layer that was not there before."""
        self._layers.append(diff_id)

    def undo(self) -> None:
        """Take everything away again."""
        for diff_id in self._layers:
            layers.discard_forms(self._instance, diff_id)
        for digest in self._blobs:
            if self.resumable:
                blobs.put_back(self._instance, digest)
            else:
                blobs.remove(self._instance, digest)


@contextmanager
def locked(instance: Instance, diff_ids: Collection[str]) -> Iterator[None]:
    """Hold the locks of layers, so that two who need the same do the work once.

    They are taken in the order of their names, so that no two wait for each other, before C(additions) and let go after it:
    whoever has waited finds what succeeded, and nothing that is about to be taken back.
    """
    with ExitStack() as guards:
        for diff_id in sorted(set(diff_ids)):
            guards.enter_context(locks.held(instance, "layer", diff_id))
        yield


@contextmanager
def additions(instance: Instance, digests: Optional[Collection[str]] = None,
              resumable: bool = False) -> Iterator[Additions]:
    """An import under way: nothing that it needs is collected meanwhile, and a failure leaves nothing behind.

    Args:
        digests: Of all blobs and layers that it will use; C(None) where they show on the way: then a collection waits.
        resumable: As of C(Additions).
    """
    blobs.prepare(instance)
    with leases.content(instance, shared=True) if digests is None else leases.held(instance, digests):
        added = Additions(instance, resumable)
        try:
            yield added
        except BaseException:
            added.undo()
            raise


def add_layer(instance: Instance, added: Additions, chunks: Callable[[], Iterator[bytes]], name: str, digest: str,
              diff_id: str, wanted: str, lowers: Sequence[str]) -> Tuple[str, str, int]:
    """Store a layer whose lock the caller holds, unless the store has it.

    Args:
        chunks: Begins to read it.
        digest: The blob's digest, or empty where any blob with this diff ID does.
        lowers: Diff IDs of the layers below.

    Returns: Media type, digest and bytes of its blob.
    """
    found = layers.find(instance, diff_id)
    if found is None:
        found = layers.ingest(instance, chunks(), name, digest or None, diff_id, wanted, lowers, noted=added)
    elif found.blob not in (digest or found.blob) or blobs.size(instance, found.blob) is None:
        return another_blob(instance, added, chunks(), name, digest, diff_id)
    return found.media_type, found.blob, found.blob_size


def another_blob(instance: Instance, added: Additions, chunks: Iterator[bytes], name: str, digest: str,
                 diff_id: str) -> Tuple[str, str, int]:
    """Store a blob of a layer that can be mounted already: the same tar, perhaps compressed in another way."""
    import hashlib  # pylint: disable=import-outside-toplevel

    from ..store import streams  # pylint: disable=import-outside-toplevel
    heads = []  # type: List[bytes]
    plain = hashlib.sha256()
    with blobs.Writer(instance, blobs.split(digest)[0] if digest else "sha256") as writer:

        def stored() -> Iterator[bytes]:
            for chunk in chunks:
                heads.append(chunk[:streams.MAGIC] if not heads else b"")
                writer.write(chunk)
                yield chunk
        for chunk in streams.decoded(stored(), name):
            plain.update(chunk)
        if digest and writer.digest != digest:
            raise blobs.mismatch(name, digest, writer.digest, "layer digest")
        if "sha256:" + plain.hexdigest() != diff_id:
            raise blobs.mismatch(name, diff_id, "sha256:" + plain.hexdigest(), "diff ID")
        size = writer.size
        found, fresh = writer.commit()
    added.blob(found, fresh)
    return layers.media_type(streams.kind(heads[0] if heads else b"")), found, size


def import_archive(instance: Instance, archive: archives.Archive, found: choosing.Found, reference: str,
                   wanted: str) -> None:
    """Store the chosen image of an archive and let a complete name point to it."""
    manifest = blobs.of_bytes(found.manifest) if found.manifest else ""
    known = {manifest, found.config_digest} | {each.diff_id for each in found.layers} | {each.digest for each in found.layers}
    with locked(instance, [each.diff_id for each in found.layers]), \
            additions(instance, None if "" in known else known) as added:
        archive.expand(instance.state("ingest"))
        stored = []
        below = []  # type: List[str]
        for layer in found.layers:
            def chunks(name: str = layer.name) -> Iterator[bytes]:
                return archive.chunks(name)
            media_type, digest, size = add_layer(instance, added, chunks, _label(found, layer), layer.digest, layer.diff_id,
                                                 wanted, below)
            stored.append(manifests.Descriptor(media_type, digest, size))
            below.append(layer.diff_id)
        conclude(instance, added, reference, found.manifest or manifests.make(found.config, stored),
                 found.manifest_type, found.config)


def rehearse_archive(instance: Instance, archive: archives.Archive, found: choosing.Found) -> None:
    """Verify the layers of the chosen image that the store lacks, writing nothing.

    Raises:
        Corrupt: As C(import_archive) would.
    """
    from ..layer import unpack  # pylint: disable=import-outside-toplevel
    lacking = {layer.name: layer for layer in found.layers
               if layers.find(instance, layer.diff_id) is None
               or (layer.digest and blobs.size(instance, layer.digest) is None)}

    def look(name: str, chunks: Iterator[bytes]) -> None:
        unpack.verify(chunks, _label(found, lacking[name]), lacking[name].digest, lacking[name].diff_id)
    archive.visit(list(lacking), look)


def _label(found: choosing.Found, layer: choosing.Source) -> str:
    return "%s: layer %s" % (found.label, layer.digest or layer.name)


def import_root(instance: Instance, chunks: Iterator[bytes], label: str, digest: Optional[str],
                make_config: Callable[[str], Dict[str, Any]], reference: str, wanted: str) -> layers.Layer:
    """Make an image of one layer from a root file system's tar stream.

    Args:
        digest: What the stream's digest shall be, or C(None).
        make_config: The config for the layer's diff ID.
    """
    with ExitStack() as guards, additions(instance) as added:
        layer = layers.ingest(instance, chunks, label, digest, None, wanted, noted=added, guards=guards)
        if not layer.entries:
            raise Corrupt("%s holds no file" % label, "Give a root file system")
        config = manifests.encode(make_config(layer.diff_id))
        manifest = manifests.make(config, [manifests.Descriptor(layer.media_type, layer.blob, layer.blob_size)])
        conclude(instance, added, reference, manifest, manifests.MANIFEST, config)
    return layer


def store_image(instance: Instance, added: Additions, config: Dict[str, Any],
                stack: Sequence[Tuple[str, str, int]], reference: str) -> None:
    """Make an image of layers whose blobs are in the store: (media type, digest, bytes), lowest first."""
    encoded = manifests.encode(config)
    manifest = manifests.make(encoded, [manifests.Descriptor(*each) for each in stack])
    conclude(instance, added, reference, manifest, manifests.MANIFEST, encoded)


def conclude(instance: Instance, added: Additions, reference: str, manifest: bytes, media_type: str,
             config: bytes, remote: str = "") -> None:
    """Store an image's documents, whose layers are there, and let a complete name point to it."""
    named = json.loads(manifest)["config"]["digest"]
    for content, algorithm in ((config, blobs.split(named)[0]), (manifest, "sha256")):
        digest, fresh = blobs.put(instance, content, algorithm)
        added.blob(digest, fresh)
    images.point(instance, reference, media_type, digest, len(manifest), remote)
