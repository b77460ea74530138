# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name means at its registry, and whether that is to be pulled. Reads only.

Sources: OCI distribution-spec 1.1, Pulling manifests; podman-pull(1) for what the policies mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import Corrupt, EngineError, NotFound
from ..instance import Instance
from ..layer import layers
from ..registry.access import Access
from ..store import blobs, files
from . import images, manifests, platforms, references

if TYPE_CHECKING:  # what speaks with registries is loaded where one is asked
    from ..registry import client

MISSING, ALWAYS, NEWER, NEVER = "missing", "always", "newer", "never"
POLICIES = (MISSING, ALWAYS, NEWER, NEVER)


class Offer(NamedTuple):
    """An image as a registry has it, its documents read and verified.

    Attributes:
        reference: The complete name that it shall have.
        repository: Where it is.
        remote: Digest that the name has there: of the index, where there is one.
        digest, manifest, media_type: Of the manifest for the platform.
        config: The config's bytes.
        layers: The blobs, lowest first.
        image: What it would be in the store.
        platforms: Of the images of the index; empty where the name means a single one.
    """

    reference: str
    repository: client.Repository
    remote: str
    digest: str
    manifest: bytes
    media_type: str
    config: bytes
    layers: Tuple[manifests.Descriptor, ...]
    image: images.Image
    platforms: Tuple[str, ...] = ()


class Finding(NamedTuple):
    """What follows from a policy.

    Attributes:
        image: The image that the name leads to, after a pull where there is an offer; C(None) where there is none.
        offer: What is to be pulled, or C(None).
        warnings: What a person should know.
    """

    image: Optional[images.Image]
    offer: Optional[Offer]
    warnings: Tuple[str, ...] = ()


def find(instance: Instance, name: str, policy: str, access: Access,
         platform: Optional[platforms.Platform] = None, expected: str = "") -> Finding:
    """Find an image by the policy: in the store, or at its registry.

    C(missing) asks the registry only for what the store lacks, C(always) and C(newer) ask for the digest and for more
    only where it differs, C(never) does not ask. Where the registry cannot be asked, C(newer) is content with what there is.

    Raises:
        NotFound: The registry has no such image, or none for the platform.
        RegistryError: It refuses or cannot be reached.
    """
    present = images.find(instance, name)
    if policy == NEVER or references.identity(name) and (present is not None or name.startswith("sha256:")):
        return Finding(present, None)
    reference = references.parse(references.normal(name))
    known = _digests(instance, str(reference), present)
    usable = (present is not None and _whole(instance, present) and (not expected or expected in (present.id, *known))
              and (platform is None or platforms.fits(platform, platforms.of_config(present.config))))
    if usable and (policy == MISSING or reference.digest in known):
        return Finding(present, None)
    from ..registry import client  # pylint: disable=import-outside-toplevel,redefined-outer-name
    session = client.Session(access)
    repository = session.repository(reference.host, reference.path)
    try:
        if usable:
            head = repository.head_manifest(reference.digest or reference.tag)
            if head is None:
                raise NotFound("%s: manifest %s is not there" % (repository.name, reference.digest or reference.tag),
                               "Check name and tag")
            if head.digest in known:
                return Finding(present, None)
        offer = look(instance, repository, reference, platform)
        if expected and expected not in (offer.remote, offer.digest, offer.image.id):
            raise blobs.mismatch("%s: manifest %s" % (repository.name, reference.digest or reference.tag), expected,
                                 offer.remote)
    except EngineError as error:
        session.close()
        if usable and policy == NEWER and isinstance(error, (client.RegistryError, NotFound)):
            return Finding(present, None, ("the present image is kept: %s" % error.what,))
        raise
    if usable and present is not None and offer.digest == present.manifest_digest:
        return Finding(present, None)  # another platform's image has changed
    return Finding(offer.image, offer)


def _digests(instance: Instance, reference: str, present: Optional[images.Image]) -> Tuple[str, ...]:
    """The digests that say at the registry that the name is what the store has."""
    entry = images.entry_of(instance, reference)
    return tuple(each for each in (entry.remote if entry else "", entry.digest if entry else "",
                                   present.manifest_digest if present else "") if each)


def _whole(instance: Instance, image: images.Image) -> bool:
    """Whether each layer can be mounted, or made anew from its blob."""
    return all(blobs.size(instance, digest) is not None or layers.find(instance, diff_id) is not None
               for diff_id, (_type, digest, _size) in zip(image.diff_ids, image.layers))


def look(instance: Instance, repository: client.Repository, reference: references.Reference,
         platform: Optional[platforms.Platform] = None) -> Offer:
    """Read what a name means at its registry: manifest and config for the platform.

    Raises:
        NotFound: There is no such name, or nothing for the platform.
        Corrupt: A document is none.
        Unsupported: The image is of a kind that nobody makes any more.
    """
    from ..registry import fetch  # pylint: disable=import-outside-toplevel
    top = found = repository.manifest(reference.digest or reference.tag)
    offered: List[str] = []
    for _depth in range(4):
        where = "%s: manifest %s" % (repository.name, found.digest)
        value = manifests.document(found.content, where)
        if not manifests.is_index(value):
            break
        offered = offered or manifests.offered(value.get("manifests") or [])
        chosen = manifests.descriptor(manifests.choose(value.get("manifests") or [], where, platform), where)
        found = _document(instance, repository, chosen)
    else:
        raise Corrupt("%s: an index within an index within an index" % repository.name, "Push the image again")
    content = manifests.manifest(value, where)
    stored = blobs.size(instance, content.config.digest) == content.config.size
    config = blobs.read(instance, content.config.digest) if stored else \
        fetch.small(repository, content.config.digest, content.config.size)
    document = manifests.document(config, "%s: config %s" % (repository.name, content.config.digest))
    diff_ids = manifests.diff_ids(document, "%s: config %s" % (repository.name, content.config.digest))
    if len(diff_ids) != len(content.layers):
        raise Corrupt("%s: the manifest has %d layers, the config %d" % (where, len(content.layers), len(diff_ids)),
                      "Push the image again")
    if platform is not None and not platforms.fits(platform, platforms.of_config(document)):
        raise NotFound("%s is for %s, not for %s" % (where, platforms.of_config(document), platform),
                       "Name another platform, or make an image for this one")
    media_type = str(value.get("mediaType") or found.media_type or manifests.MANIFEST)
    size = len(found.content) + content.config.size + sum({each.digest: each.size for each in content.layers}.values())
    image = images.Image(content.config.digest, blobs.of_bytes(found.content), media_type, len(found.content),
                         (str(reference),), document, tuple(diff_ids), tuple(each[:3] for each in content.layers), size, 0.0)
    return Offer(str(reference), repository, top.digest, image.manifest_digest, found.content, media_type, config, content.layers,
                 image, tuple(offered))


def _document(instance: Instance, repository: client.Repository, wanted: manifests.Descriptor) -> client.Document:
    from ..registry import client  # pylint: disable=import-outside-toplevel,redefined-outer-name
    if blobs.size(instance, wanted.digest) == wanted.size:
        return client.Document(wanted.media_type, wanted.digest, blobs.read(instance, wanted.digest))
    return repository.manifest(wanted.digest)


class Missing(NamedTuple):
    """A layer that has to come; C(there) are the bytes of it that an earlier run has left."""

    diff_id: str
    blob: manifests.Descriptor
    there: int


def missing(instance: Instance, offer: Offer) -> List[Missing]:
    """The layers that a pull would fetch, lowest first."""
    found = {}
    for diff_id, blob in zip(offer.image.diff_ids, offer.layers):
        if layers.find(instance, diff_id) is None or blobs.size(instance, blob.digest) != blob.size:
            there = 0 if blobs.size(instance, blob.digest) != blob.size else blob.size
            there = there or min(files.length(blobs.part_path(instance, blob.digest)), blob.size)
            found[diff_id] = Missing(diff_id, blob, there)
    return list(found.values())


def describe(instance: Instance, offer: Offer) -> Dict[str, Any]:
    """What a pull would bring, as a result shows it; before the pull."""
    lacking = missing(instance, offer)
    return {"registry": offer.repository.host, "repository": offer.repository.path, "digest": offer.remote,
            "manifest_digest": offer.digest, "size": sum(each.blob.size - each.there for each in lacking),
            "layers": [{"diff_id": each.diff_id, "digest": each.blob.digest, "size": each.blob.size,
                        "present": each.there} for each in lacking]}
