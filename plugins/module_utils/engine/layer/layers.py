# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer store: each layer once, by the digest of its plain tar (diff ID), in a form that can be mounted.

    layers/sha256/HEX.erofs   an EROFS image, or
    layers/sha256/HEX         a folder tree for overlayfs
    layers/sha256/HEX.json    which blob it was made from, and what the tar had to leave open

A layer counts as present when its record and its form are there; the record is written last.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from ..errors import EngineError, KernelError, NotFound, Unsupported
from ..instance import Instance
from ..kernel import mounts
from ..store import blobs, files, leases, locks

AUTO, EROFS, DIRECTORY = "auto", "erofs", "directory"
_ENOTBLK = 15


class Layer(NamedTuple):
    """A layer of the store.

    Attributes:
        diff_id: Digest of the plain tar.
        form: C(erofs) or C(directory).
        path: The image file or the folder.
        blob: Digest of the tar as stored below C(blobs/), plain or compressed; empty where it is not kept.
        media_type: Of the blob.
        blob_size: Its bytes.
        size: Bytes of the plain tar.
        entries: Members of the tar.
        opaque: Whether it hides everything below it.
        kept: Whether it stays although no image uses it.
    """

    diff_id: str
    form: str
    path: str
    blob: str = ""
    media_type: str = ""
    blob_size: int = 0
    size: int = 0
    entries: int = 0
    opaque: bool = False
    kept: bool = False


class Noted:
    """Is told what comes into the store, before anybody can find it there; this one does not mind."""

    def blob(self, digest: str, fresh: bool) -> None:
        """A blob is there; C(fresh) tells whether it was not before."""

    def layer(self, diff_id: str) -> None:
        """A layer comes that was not there before."""


def base_path(instance: Instance, diff_id: str) -> str:
    """Where a layer's folder is, or would be; the names of its other files begin with this."""
    algorithm, digits = blobs.split(diff_id)
    return instance.state("layers", algorithm, digits)


def find(instance: Instance, diff_id: str) -> Optional[Layer]:
    """The layer with this diff ID, or C(None) where the store has none that could be mounted."""
    base = base_path(instance, diff_id)
    record = files.read_json(base + ".json")
    if record is None:
        return None
    for form, path in ((EROFS, base + ".erofs"), (DIRECTORY, base)):
        if os.path.exists(path):
            return Layer(diff_id, form, path, **{key: record[key] for key in _RECORDED if key in record})
    return None


_RECORDED = ("blob", "media_type", "blob_size", "size", "entries", "opaque", "kept")


def every(instance: Instance) -> Iterator[str]:
    """The diff IDs of all layers in the store."""
    try:
        names = os.listdir(instance.state("layers", "sha256"))
    except FileNotFoundError:
        return
    for name in sorted({each.partition(".")[0] for each in names}):
        if len(name) == 64:
            yield "sha256:" + name


def lower_paths(instance: Instance, diff_ids: Sequence[str]) -> List[str]:
    """Each layer's image file or folder, in the order of the diff IDs.

    Raises:
        NotFound: The store lacks one.
    """
    return [need(instance, diff_id).path for diff_id in diff_ids]


def need(instance: Instance, diff_id: str) -> Layer:
    """The layer with this diff ID.

    Raises:
        NotFound: The store lacks it.
    """
    layer = find(instance, diff_id)
    if layer is None:
        raise NotFound("layer %s is not in %s" % (diff_id, instance.state("layers")), "Import its image again")
    return layer


def ensure(instance: Instance, diff_id: str, wanted: str = AUTO) -> Layer:
    """The layer in a form that this kernel can mount; made again from its blob where need be.

    Raises:
        NotFound: The store has neither the layer nor its blob.
    """
    layer = find(instance, diff_id)
    if layer is not None and (layer.form == DIRECTORY or can_mount(layer.path)):
        return layer
    record = files.read_json(base_path(instance, diff_id) + ".json")
    if not record or not record.get("blob"):
        raise NotFound("layer %s is not in %s" % (diff_id, instance.state("layers")), "Import its image again")
    from ..store import streams  # pylint: disable=import-outside-toplevel
    with leases.held(instance, (diff_id, record["blob"])), locks.held(instance, "layer", diff_id):
        with open(blobs.path(instance, record["blob"]), "rb") as stream:
            return ingest(instance, streams.read_chunks(stream), record["blob"], blob=record["blob"], diff_id=diff_id,
                          wanted=wanted, replace=True)


def ingest(instance: Instance, chunks: Iterator[bytes], name: str, blob: Optional[str] = None,
           diff_id: Optional[str] = None, wanted: str = AUTO, lowers: Sequence[str] = (), replace: bool = False,
           kept: bool = False, part: Optional[blobs.Part] = None, await_lowers: Callable[[], None] = lambda: None,
           noted: Optional[Noted] = None, guards: Optional[ExitStack] = None) -> Layer:
    """Store a layer: its blob as it is, its files in mountable form, both digests verified on the way.

    The caller who knows the diff ID holds the layer's lock; for one who does not, it is taken here.

    Args:
        chunks: The tar, plain or compressed.
        name: What an error names.
        blob, diff_id: The digests that the stream shall have, where they are known.
        wanted: C(auto), C(erofs) or C(directory).
        lowers: Diff IDs of the layers below, lowest first; what the tar leaves open is taken from them.
        replace: Whether to make a form anew that is there.
        kept: Whether the layer stays although no image uses it.
        part: The blob C(blob), where whoever yields the chunks stores it too.
        await_lowers: Returns when the layers below are in the store.
        noted: Is told what is added.
        guards: Is given the lock that is taken here, for a caller who may take back what was added.

    Raises:
        Corrupt: A digest differs, or the stream cannot be decoded; nothing was stored.
    """
    from . import below, forms, unpack  # pylint: disable=import-outside-toplevel

    blobs.prepare(instance)
    form_name = choose_form(instance, wanted)
    form = forms.new_form(instance, form_name, instance.state("ingest", "layer-%d-%x" % (os.getpid(), id(chunks))))
    algorithm = blobs.split(blob)[0] if blob else "sha256"
    noted = noted or Noted()
    try:
        with ExitStack() as own, part or blobs.Writer(instance, algorithm) as writer:
            stored = part is None and blob is not None and blobs.size(instance, blob) is not None
            tee = None if stored or part is not None else writer.write
            result = unpack.unpack(chunks, name, form, tee, algorithm)
            if blob is not None and result.blob != blob:
                raise blobs.mismatch(name, blob, result.blob, "layer digest")
            if diff_id is not None and result.diff_id != diff_id:
                raise blobs.mismatch(name, diff_id, result.diff_id, "diff ID")
            if diff_id is None:
                (guards or own).enter_context(locks.held(instance, "layer", result.diff_id))
            present = find(instance, result.diff_id)
            if present is not None and not replace:
                if blobs.size(instance, present.blob) is None:
                    present = present._replace(blob=result.blob, blob_size=result.blob_size,
                                               media_type=media_type(result.compression))
                    noted.blob(*writer.commit())
                present = present._replace(kept=present.kept or kept)
                _record(instance, present)
                return present
            await_lowers()
            below.complete(instance, result.tree, lowers, form, name)
            form.finish(result.tree.root, bytes.fromhex(result.diff_id[7:39]))
            if not stored:
                noted.blob(*writer.commit())
            target = base_path(instance, result.diff_id) + (".erofs" if form_name == EROFS else "")
            discard_forms(instance, result.diff_id)
            if present is None:
                noted.layer(result.diff_id)
            form.publish(target)
            layer = Layer(result.diff_id, form_name, target, result.blob, media_type(result.compression),
                          result.blob_size, result.size, result.entries, below.hides_all(result.tree),
                          kept or bool(present and present.kept))
            _record(instance, layer)
            return layer
    finally:
        form.abort()


def _record(instance: Instance, layer: Layer) -> None:
    files.write_json(base_path(instance, layer.diff_id) + ".json",
                     dict({key: getattr(layer, key) for key in _RECORDED}, diff_id=layer.diff_id))


def keep(instance: Instance, layer: Layer, kept: bool) -> None:
    """Say whether a layer stays although no image uses it."""
    if layer.kept != kept:
        _record(instance, layer._replace(kept=kept))


def discard_forms(instance: Instance, diff_id: str) -> None:
    """Delete what is mountable of a layer; its record goes first, so that a half-deleted layer is none."""
    from . import forms  # pylint: disable=import-outside-toplevel
    base = base_path(instance, diff_id)
    files.remove(base + ".json")
    files.remove(base + ".erofs")
    if os.path.isdir(base):
        doomed = instance.state("ingest", "delete-%d-%s" % (os.getpid(), os.path.basename(base)[:16]))
        os.rename(base, doomed)
        forms.remove(doomed)


def usage(instance: Instance, diff_id: str) -> int:
    """Bytes on the disk of what is mountable of a layer."""
    base = base_path(instance, diff_id)
    return sum(files.usage(base + suffix) for suffix in ("", ".erofs", ".json"))


def media_type(compression: str) -> str:
    """The media type of a layer (image-spec, media-types.md; zstd since 1.1)."""
    suffix = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}.get(compression, "+" + compression)
    return "application/vnd.oci.image.layer.v1.tar" + suffix


# Which form this host can mount

_tried: Dict[str, Optional[str]] = {}
"""What C(_erofs_works) has found, by state root, while this process lives."""


def choose_form(instance: Instance, wanted: str) -> str:
    """The form to make: as wanted, or the best that works when tried.

    Raises:
        Unsupported: EROFS is wanted and cannot be mounted here.
    """
    if wanted == DIRECTORY:
        return DIRECTORY
    if instance.state_root not in _tried:
        _tried[instance.state_root] = _erofs_works(instance)
    works = _tried[instance.state_root]
    if works is None:
        return EROFS
    if wanted == EROFS:
        raise Unsupported("an EROFS image below %s cannot be mounted: %s" % (instance.state_root, works),
                          "Load the kernel module 'erofs', or use layer_store: directory")
    return DIRECTORY


def _erofs_works(instance: Instance) -> Optional[str]:
    """C(None) where an empty image can be mounted; else why not."""
    import stat  # pylint: disable=import-outside-toplevel

    from ..kernel import erofs  # pylint: disable=import-outside-toplevel
    handle = os.open(instance.state("ingest"), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb", buffering=0) as stream:
            erofs.Writer(stream).finish(erofs.Inode(stat.S_IFDIR | 0o755), b"")
            os.close(mount_erofs("/proc/self/fd/%d" % handle))
        return None
    except EngineError as error:
        return error.what


def can_mount(path: str) -> bool:
    """Whether an image can be mounted on this host."""
    try:
        os.close(mount_erofs(path))
        return True
    except EngineError:
        return False


def mount_erofs(path: str) -> int:
    """A descriptor of the detached mount of an EROFS image: of the file itself, or through a loop device.

    Raises:
        KernelError, Unsupported: Neither works.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Through the descriptor, since an option's value must be shorter than 256 bytes
        return mounts.new_file_system("erofs", [("source", "/proc/self/fd/%d" % handle), ("ro", None)],
                                      mounts.MOUNT_ATTR_RDONLY)
    except KernelError as error:
        if error.errno not in (_ENOTBLK, 22, 95):
            raise
    finally:
        os.close(handle)
    from ..kernel import loop  # pylint: disable=import-outside-toplevel
    device, name = loop.attach(path)
    try:
        return mounts.new_file_system("erofs", [("source", name), ("ro", None)], mounts.MOUNT_ATTR_RDONLY)
    finally:
        os.close(device)
