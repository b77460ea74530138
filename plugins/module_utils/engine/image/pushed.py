# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_image) with C(state=pushed): an image of the store at a registry.

What is stored compressed is sent as it is, so that the image has the same digest there. Layers that are stored plain,
as those of root file systems and of Docker's archives are, are compressed on the way unless that is not wanted; the
manifest is then another one, for the same config and the same diff IDs, and is told by these when it is there already.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue, NotFound
from ..instance import Instance
from ..layer import layers, unpack
from ..plan import RECREATE, Change, Difference, Plan
from ..registry.access import Access, access_of
from ..store import blobs, leases, streams
from . import images, manifests, references, resource

if TYPE_CHECKING:
    from ..registry import client

_AT_ONCE = 3
_PIECE = 1 << 20
"""Bytes, at least, of what is compressed ahead; as many such pieces as the next chunk of an upload needs."""


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        destination: The complete name at the registry.
        compression: Of layers that are stored plain.
        options: Nothing is compared by table.
    """

    state: str
    image: images.Image
    destination: references.Reference
    compression: str
    access: Access
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is: the digest that the name has at the registry, and whether that is this image."""

    remote: Optional[str]
    same: bool
    options: Dict[str, Any]


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Find the image."""
    image = images.need(instance, params["name"])
    lost = [diff_id for diff_id, (_type, digest, size) in zip(image.diff_ids, image.layers)
            if blobs.size(instance, digest) != size]
    if lost:
        images.incomplete(instance, params["name"], lost)
    destination = params["destination"] or params["name"]
    if references.identity(destination):
        raise InvalidValue("destination", params["destination"], "is needed, since an image ID is no place",
                           "Give the name that the image shall have at its registry")
    return Desired(params["state"], image, references.parse(destination), params["compression"] or streams.best(),
                   access_of(params), {})


def observe(_instance: Instance, desired: Desired) -> Observed:
    """Ask for the manifest's digest: one request, or two where the layers are compressed on the way."""
    with _session(desired) as session:
        repository = _repository(session, desired)
        tag = desired.destination.tag or desired.destination.digest
        head = repository.head_manifest(tag)
        if head is None:
            return Observed(None, False, {})
        same = head.digest == desired.image.manifest_digest
        if not same and _plain(desired):
            same = _equivalent(desired, repository.manifest(head.digest).content)
        return Observed(head.digest, same, {})


def _session(desired: Desired) -> client.Session:
    from ..registry import client  # pylint: disable=import-outside-toplevel,redefined-outer-name
    return client.Session(desired.access)


def _repository(session: client.Session, desired: Desired) -> client.Repository:
    return session.repository(desired.destination.host, desired.destination.path)


def _plain(desired: Desired) -> bool:
    """Whether any layer will be compressed on the way."""
    return desired.compression != "none" and any(_is_plain(each[0]) for each in desired.image.layers)


def _is_plain(media_type: str) -> bool:
    return media_type == layers.media_type("none")


def _equivalent(desired: Desired, content: bytes) -> bool:
    """Whether a manifest is of this image, with each layer stored in one of the ways that were asked for."""
    try:
        value = json.loads(content)
        if value["config"]["digest"] != desired.image.id or len(value["layers"]) != len(desired.image.layers):
            return False
        return all(there["digest"] == own[1] or _is_plain(own[0]) and there["mediaType"] == layers.media_type(desired.compression)
                   for there, own in zip(value["layers"], desired.image.layers))
    except (ValueError, KeyError, TypeError):
        return False


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """One step, if any."""
    if observed.same:
        return ()
    return (Change("push", str(desired.destination), "live" if observed.remote is None else RECREATE,
                   (Difference("digest", observed.remote, desired.image.manifest_digest),)),)


def apply(instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """Send layers, several at once, then the config, then the manifest."""
    image = desired.image
    needed = {image.manifest_digest, image.id, *image.diff_ids, *(layer[1] for layer in image.layers)}
    with leases.held(instance, needed), _session(desired) as session:
        return {"push": Pushing(instance, desired, _repository(session, desired)).run()}


def rehearse(instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """What the registry lacks; of what is compressed on the way the plain bytes."""
    foreign = _foreign(instance, desired.image)
    with _session(desired) as session:
        repository = _repository(session, desired)
        lacking = {digest: size for kind, digest, size in desired.image.layers if digest not in foreign
                   and (desired.compression != "none" and _is_plain(kind) or repository.blob_size(digest) is None)}
    return {"push": _result(desired, desired.image.manifest_digest, sum(lacking.values()))}


def _result(desired: Desired, digest: str, size: int) -> Dict[str, Any]:
    return {"registry": desired.destination.host, "repository": desired.destination.path, "digest": digest, "size": size}


class Pushing:
    """A push under way."""

    def __init__(self, instance: Instance, desired: Desired, repository: client.Repository) -> None:
        self._instance = instance
        self._desired = desired
        self._repository = repository
        self._stored: Dict[str, manifests.Descriptor] = {}
        self._sent = 0
        self._failure: Optional[BaseException] = None
        self._lock = threading.Lock()
        self._neighbours = _neighbours(instance, desired)
        self._foreign = _foreign(instance, desired.image)

    def run(self) -> Dict[str, Any]:
        """Send all; returns what the result shall say."""
        from ..registry import upload  # pylint: disable=import-outside-toplevel
        image = self._desired.image
        waiting = list({digest: (kind, digest, size) for kind, digest, size in image.layers}.values())

        def work() -> None:
            while True:
                with self._lock:
                    if not waiting or self._failure is not None:
                        return
                    one = waiting.pop(0)
                try:
                    self._layer(*one)
                except BaseException as error:  # pylint: disable=broad-exception-caught
                    self._failure = self._failure or error
        threads = [threading.Thread(target=work, daemon=True) for _number in range(min(_AT_ONCE, len(waiting)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        config = blobs.read(self._instance, image.id)
        self._sent += upload.blob(self._repository, image.id, len(config), lambda: iter([config]), self._neighbours).sent
        manifest, media_type = blobs.read(self._instance, image.manifest_digest), image.manifest_type
        if any(self._stored[digest].digest != digest for _type, digest, _size in image.layers):
            manifest, media_type = manifests.make(config, [self._stored[each[1]] for each in image.layers]), manifests.MANIFEST
        wanted = self._desired.destination
        digest = blobs.of_bytes(manifest)
        if wanted.digest and not wanted.tag and wanted.digest != digest:
            raise InvalidValue("destination", str(wanted), "names a digest that the image has not, which is %s" % digest,
                               "Name a tag")
        upload.manifest(self._repository, wanted.tag or digest, manifest, media_type)
        return _result(self._desired, digest, self._sent)

    def _layer(self, kind: str, digest: str, size: int) -> None:
        from ..registry import upload  # pylint: disable=import-outside-toplevel
        compression = self._desired.compression
        if digest in self._foreign:
            with self._lock:
                self._stored[digest] = self._foreign[digest]
            return
        if compression == "none" or not _is_plain(kind):
            sent = upload.blob(self._repository, digest, size, lambda: blobs.chunks(self._instance, digest),
                               self._neighbours)
        else:
            kind = layers.media_type(compression)
            begin = unpack.Pump(lambda: streams.joined(streams.encoded(blobs.chunks(self._instance, digest), compression, fast=True),
                                                       _PIECE), upload.CHUNK // _PIECE)
            with begin as packed:  # compressed in a thread of its own, while the chunk before is under way
                sent = upload.stream(self._repository, packed.chunks(), "upload of layer " + digest)
        with self._lock:
            self._stored[digest] = manifests.Descriptor(kind, sent.digest, sent.size)
            self._sent += sent.sent


def _foreign(instance: Instance, image: images.Image) -> Dict[str, manifests.Descriptor]:
    """The layers that have a place of their own and may not be stored in registries (image-spec layer.md)."""
    where = "manifest " + image.manifest_digest
    found = manifests.manifest(manifests.document(blobs.read(instance, image.manifest_digest), where), where)
    return {each.digest: each for each in found.layers if each.urls}


def _neighbours(instance: Instance, desired: Desired) -> List[str]:
    """Repositories of the same registry from which images of the store have come that share a layer."""
    own = {each[1] for each in desired.image.layers}
    found = []
    for entry in images.entries(instance):
        reference = references.parse(entry.reference)
        if entry.remote and reference.host == desired.destination.host and reference.path != desired.destination.path:
            try:
                other = images.load(instance, entry)
            except (NotFound, ValueError, KeyError):
                continue
            if own & {each[1] for each in other.layers}:
                found.append(reference.path)
    return sorted(set(found))[:3]


def report(instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The image's state, and what its name at the registry leads to."""
    return dict(resource.describe(instance, desired.image), exists=True,
                pushed={"name": str(desired.destination), "digest": observed.remote, "same": observed.same})
