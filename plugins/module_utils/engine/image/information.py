# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(container_image_info) tells: the images of the store, what each takes of the disk, and what registries say of names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, Sequence, Set, Tuple

from ..errors import EngineError, InvalidValue
from ..instance import Instance
from ..layer import layers
from ..registry.access import access_of
from ..store import blobs, files
from . import attached, garbage, images, manifests, platforms, references, remote, resource

if TYPE_CHECKING:
    from ..registry import client


def describe(instance: Instance, params: Mapping[str, Any]) -> Dict[str, Any]:
    """C(images): those that are asked for, or all, each once whatever names it has; C(registry): what their registries say.

    Reads only.
    """
    if params["registry"]:
        return {"images": _present(instance, params), "registry": _at_registry(instance, params)}
    return {"images": _present(instance, params)}


def _present(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    every = _every(instance)
    if params["name"]:
        wanted = [images.find(instance, name) for name in params["name"]]
        chosen = {image.manifest_digest: image for image in wanted if image is not None}
    else:
        chosen = every
    owners = _owners(instance, every)
    found = [_described(instance, image, owners) for image in chosen.values()]
    if params["referrers"] or params["fetch"] or params["registry_tags"]:
        from ..registry import client  # pylint: disable=import-outside-toplevel
        with client.Session(access_of(params)) as session:
            for row, image in zip(found, chosen.values()):
                _ask(instance, session, params, row, image)
    return found


def _at_registry(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What each name means at its registry, whether the store has it or not."""
    from ..registry import client, listing  # pylint: disable=import-outside-toplevel,redefined-outer-name
    if not params["name"]:
        raise InvalidValue("registry", True, "needs names, since registries are asked for these", "Give name")
    platform = platforms.parse(params["platform"]) if params["platform"] else None
    found = []
    with client.Session(access_of(params)) as session:
        for name in params["name"]:
            if references.identity(name):
                raise InvalidValue("name", name, "is an image ID, which is no name at a registry", "Give the name that it has there")
            reference = references.parse(name)
            repository = session.repository(reference.host, reference.path)
            row: Dict[str, Any] = {"name": name, "exists": repository.head_manifest(reference.digest or reference.tag) is not None}
            if row["exists"]:
                row.update(_offered(remote.look(instance, repository, reference, platform)))
                row["present"] = any(entry.digest == row["manifest_digest"] for entry in images.entries(instance))
            if params["registry_tags"]:
                row["tags"] = listing.tags(repository)
            if row["exists"] and (params["referrers"] or params["fetch"]):
                row["referrers"] = _referrers(repository, (row["manifest_digest"], row["digest"]), params)
            found.append(row)
    return found


def _offered(offer: remote.Offer) -> Dict[str, Any]:
    image = offer.image
    return {"digest": offer.remote, "manifest_digest": offer.digest, "media_type": offer.media_type,
            "platforms": list(offer.platforms), "id": image.id, "created": image.config.get("created"),
            "architecture": image.config.get("architecture"), "os": image.config.get("os"), "config": image.run_config,
            "size": image.size, "layers": [{"diff_id": diff_id, "digest": digest, "media_type": media_type, "size": size}
                                           for diff_id, (media_type, digest, size) in zip(image.diff_ids, image.layers)]}


def _ask(instance: Instance, session: client.Session, params: Mapping[str, Any], row: Dict[str, Any], image: images.Image) -> None:
    """Add what the registries of an image's names have besides: what is attached to it, and their tags."""
    from ..registry import listing  # pylint: disable=import-outside-toplevel
    row["referrers"], row["registry_tags"] = [], {}
    names = [entry for entry in images.entries(instance) if entry.digest == image.manifest_digest]
    for place, digest in sorted({(references.parse(each.reference).repository, each.remote) for each in names}):
        host, _slash, path = place.partition("/")
        repository = session.repository(host, path)
        if params["registry_tags"]:
            row["registry_tags"][place] = listing.tags(repository)
        if params["referrers"] or params["fetch"]:
            row["referrers"] += _referrers(repository, (image.manifest_digest, digest), params)


def _referrers(repository: client.Repository, digests: Sequence[str], params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What refers to manifests, each asked for once."""
    source = attached.AtRegistry(repository)
    return [_referrer(source, repository.name, digest, each, params["fetch"] or ())
            for digest in dict.fromkeys(filter(None, digests)) for each in source.referrers(digest)]


def _referrer(source: attached.Attached, repository: str, subject: str, described: Dict[str, Any],
              wanted: Collection[str]) -> Dict[str, Any]:
    """A referrer, and where its type is wanted its content: parsed where it is JSON, else as text."""
    kind = str(described.get("artifactType") or "")
    row = {"repository": repository, "subject": subject, "digest": described.get("digest"), "artifact_type": kind,
           "size": described.get("size"), "annotations": described.get("annotations") or {}}  # type: Dict[str, Any]
    if kind in wanted:
        manifest = manifests.document(source.document(described), "%s: referrer %s" % (repository, described.get("digest")))
        row["documents"] = []
        for layer in manifest.get("layers") or ():
            content = source.blob(layer)
            try:
                parsed: Any = json.loads(content)
            except ValueError:
                parsed = content.decode("utf-8", "replace")
            row["documents"].append({"media_type": layer.get("mediaType"), "digest": layer.get("digest"), "content": parsed})
    return row


def _every(instance: Instance) -> Dict[str, images.Image]:
    """All whole images by the digest of their manifest."""
    found: Dict[str, images.Image] = {}
    for entry in images.entries(instance):
        if entry.digest not in found:
            try:
                found[entry.digest] = images.load(instance, entry)
            except (EngineError, ValueError, KeyError):
                continue
    return found


def _pieces(instance: Instance, image: images.Image) -> Dict[Tuple[str, str], int]:
    """All that an image needs, as (kind, digest), and its bytes on the disk."""
    found = {("blob", digest): files.usage(blobs.path(instance, digest))
             for digest in (image.manifest_digest, image.id, *(digest for _type, digest, _size in image.layers))}
    found.update({("layer", diff_id): layers.usage(instance, diff_id) for diff_id in image.diff_ids})
    return found


def _owners(instance: Instance, every: Mapping[str, images.Image]) -> Dict[Tuple[str, str], Set[str]]:
    """Who needs each piece: digests of manifests, and containers as C(container NAME)."""
    found: Dict[Tuple[str, str], Set[str]] = {}
    for image in every.values():
        for piece in _pieces(instance, image):
            found.setdefault(piece, set()).add(image.manifest_digest)
    for name, record in garbage.containers(instance):
        for diff_id in record.get("diff_ids") or ():
            layer = layers.find(instance, diff_id)
            for piece in (("layer", diff_id), ("blob", layer.blob if layer is not None else "")):
                found.setdefault(piece, set()).add("container " + name)
    return found


def _described(instance: Instance, image: images.Image, owners: Mapping[Tuple[str, str], Set[str]]) -> Dict[str, Any]:
    pieces = _pieces(instance, image)
    unique = sum(size for piece, size in pieces.items() if owners[piece] == {image.manifest_digest})
    users = sorted(name for name, record in garbage.containers(instance) if record.get("image_id") == image.id)
    return dict(resource.describe(instance, image), document=image.config, media_type=image.manifest_type,
                containers=users, disk={"unique": unique, "shared": sum(pieces.values()) - unique})
