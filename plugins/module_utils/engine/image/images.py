# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the store, found by name or ID.

A name is one small file below C(refs/) that points to a manifest; all else is
read from blobs, their digests verified. The layers that an image shares are
derived from all references at the time of asking, never counted.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, NotFound
from ..instance import Instance
from ..store import blobs, files
from . import references

_LONGEST_FILE_NAME = 200


class Image(NamedTuple):
    """An image of the store.

    Attributes:
        id: Digest of its config.
        manifest_digest: Digest of its manifest.
        manifest_type: Media type of the manifest.
        manifest_size: Bytes of the manifest.
        references: All names of this manifest, complete, sorted.
        config: The whole config document (image-spec, config.md); C(config["config"]) is what containers start with.
        diff_ids: Its layers, lowest first.
        layers: The layers' blobs, lowest first: (media type, digest, bytes).
        size: Bytes of all its blobs.
        imported: When the name was given, seconds since the epoch.
    """

    id: str
    manifest_digest: str
    manifest_type: str
    manifest_size: int
    references: Tuple[str, ...]
    config: Dict[str, Any]
    diff_ids: Tuple[str, ...]
    layers: Tuple[Tuple[str, str, int], ...]
    size: int
    imported: float

    @property
    def run_config(self) -> Dict[str, Any]:
        """Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts, Volumes, Labels, StopSignal; those that are set."""
        return self.config.get("config") or {}


class Entry(NamedTuple):
    """What a name points to.

    Attributes:
        remote: Digest that the name had at its registry when it was pulled, of an index perhaps; empty if it was not.
    """

    reference: str
    media_type: str
    digest: str
    size: int
    imported: float
    remote: str = ""


def find(instance: Instance, reference: str) -> Optional[Image]:
    """The image with this name (short or complete), ID, or beginning of an ID; C(None) where there is none.

    Raises:
        ValueError: The text is no name of an image.
        Conflict: The beginning of an ID fits several images.
        Corrupt: A blob of the image is not what its digest says.
    """
    digits = references.identity(reference)
    if digits:
        found = _by_identity(instance, digits)
        if found is not None or reference.startswith("sha256:") or len(digits) == 64:
            return found
    entry = entry_of(instance, references.normal(reference))
    return None if entry is None else load(instance, entry)


def need(instance: Instance, reference: str) -> Image:
    """Like C(find), for an image that must be there.

    Raises:
        NotFound: It is not.
    """
    found = find(instance, reference)
    if found is None:
        raise NotFound("image '%s' is not in %s" % (reference, instance.state_root),
                       "Import it with coracle.containers.container_image", image=reference)
    return found


def incomplete(instance: Instance, name: str, diff_ids: Sequence[str]) -> None:
    """Refuse an image whose layers are not all there.

    Raises:
        NotFound: Always.
    """
    raise NotFound("image '%s': layer %s is not in %s" % (name, diff_ids[0], instance.state("layers")),
                   "Mend it with coracle.containers.container_image and state=present, or import it again", image=name)


def load(instance: Instance, entry: Entry) -> Image:
    """The image that a name points to."""
    manifest = json.loads(blobs.read(instance, entry.digest))
    described = manifest["config"]
    config = json.loads(blobs.read(instance, described["digest"]))
    names = tuple(sorted(each.reference for each in entries(instance) if each.digest == entry.digest))
    layers = tuple((each.get("mediaType", ""), each["digest"], each["size"]) for each in manifest["layers"])
    size = entry.size + described["size"] + sum({digest: length for _type, digest, length in layers}.values())
    return Image(described["digest"], entry.digest, entry.media_type, entry.size, names, config,
                 tuple(config["rootfs"]["diff_ids"]), layers, size, entry.imported)


def _by_identity(instance: Instance, digits: str) -> Optional[Image]:
    found: Dict[str, Image] = {}
    for entry in entries(instance):
        image = load(instance, entry)
        for digest in (image.id, image.manifest_digest):
            if digest.partition(":")[2].startswith(digits):
                found.setdefault(image.id, image)
    if len(found) > 1:
        raise Conflict("image ID '%s' fits %d images" % (digits, len(found)), "Give more of its digits")
    return next(iter(found.values()), None)


# Names

def entry_path(instance: Instance, reference: str) -> str:
    """The file of a complete name."""
    quoted = reference.replace("%", "%25").replace("/", "%2F")
    if len(quoted) > _LONGEST_FILE_NAME:
        quoted = blobs.of_bytes(reference.encode()).partition(":")[2]
    return instance.state("refs", quoted + ".json")


def entry_of(instance: Instance, reference: str) -> Optional[Entry]:
    """What a complete name points to, or C(None)."""
    return _entry(files.read_json(entry_path(instance, reference)))


def entries(instance: Instance) -> Iterator[Entry]:
    """All names of the store, sorted."""
    for name in _names(instance):
        found = _entry(files.read_json(instance.state("refs", name)))
        if found is not None:
            yield found


def _names(instance: Instance) -> List[str]:
    try:
        return sorted(each for each in os.listdir(instance.state("refs"))
                      if each.endswith(".json") and not each.startswith("."))
    except FileNotFoundError:
        return []


def _entry(value: Any) -> Optional[Entry]:
    if not value:
        return None
    described = value["manifest"]
    return Entry(value["reference"], described["mediaType"], described["digest"], described["size"],
                 value.get("imported", 0.0), value.get("remote", ""))


def point(instance: Instance, reference: str, media_type: str, digest: str, size: int, remote: str = "") -> None:
    """Let a complete name point to a manifest that is in the store, from now on."""
    import time  # pylint: disable=import-outside-toplevel

    from ..store import locks  # pylint: disable=import-outside-toplevel
    entry = Entry(reference, media_type, digest, size, time.time(), remote)
    with locks.held(instance, "store", "index"):
        every = {each.reference: each for each in entries(instance)}
        every[reference] = entry
        files.write_together({
            entry_path(instance, reference): files.encode_json({
                "reference": reference, "imported": entry.imported, "remote": remote,
                "manifest": {"mediaType": media_type, "digest": digest, "size": size}}),
            instance.state("index.json"): _index(every.values())})


def forget(instance: Instance, reference: str) -> bool:
    """Remove a complete name; says whether it was there.

    What it pointed to stays until it is collected; C(index.json) is the caller's to write after that, since on a full
    disk there may be no room for it before.
    """
    gone = files.remove(entry_path(instance, reference))
    if gone:
        files.sync_folder(instance.state("refs"))
    return gone


def write_index(instance: Instance) -> None:
    """Write C(index.json), derived from the names, so that other tools can read the store as an OCI image layout."""
    from ..store import locks  # pylint: disable=import-outside-toplevel
    with locks.held(instance, "store", "index"):
        files.write(instance.state("index.json"), _index(entries(instance)))


def _index(every: Iterable[Entry]) -> bytes:
    return files.encode_json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": each.media_type, "digest": each.digest, "size": each.size,
                       "annotations": {"org.opencontainers.image.ref.name": each.reference}}
                      for each in sorted(every, key=lambda entry: entry.reference)]})
