# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image of a layout or archive is meant; its manifest and config are read and verified.

Its layers are verified later, while they stream.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import Corrupt, InvalidValue, NotFound
from ..store import blobs, strict
from . import manifests, references
from .archives import DOCKER_ARCHIVE, Archive

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


def every(archive: Archive, kind: str) -> List[Tuple[Tuple[str, ...], Found]]:
    """All images of an archive, each with the complete names that it has there; of those for several platforms, this host's.

    Raises:
        NotFound: It has none.
        InvalidValue: One has no name.
        Corrupt: A document is not what its digest says.
    """
    found: Dict[str, Tuple[List[str], Found]] = {}
    if kind == DOCKER_ARCHIVE:
        pairs = [(names, _found_docker(archive, *part)) for names, part in zip(*_docker_list(archive))]
    else:
        index = manifests.document(archive.read("index.json"), archive.path + ": index.json")
        pairs = [(_full_titles(each), _found_oci(archive, each)) for each in index.get("manifests") or []
                 if isinstance(each, dict)]
    for titles, image in pairs:
        found.setdefault(image.identity, ([], image))[0].extend(titles)
    if not found:
        raise _no_such_image(archive.path, None, [])
    for identity, (titles, _image) in found.items():
        if not titles:
            raise InvalidValue("source", archive.path, "holds image %s, which has no name there" % identity,
                               "Use state=present with a name and source_reference=%s" % identity)
    try:
        return [(tuple(sorted({references.normal(title) for title in titles})), image) for titles, image in found.values()]
    except ValueError as error:
        raise Corrupt("%s: a name of an image %s" % (archive.path, error), "Use state=present with a name")


def _full_titles(entry: Dict[str, Any]) -> List[str]:
    """The names of an entry that are more than a tag."""
    notes = entry.get("annotations") or {}
    if manifests.CONTAINERD_ANNOTATION in notes:
        return [str(notes[manifests.CONTAINERD_ANNOTATION])]
    title = str(notes.get(manifests.REFERENCE_ANNOTATION, ""))
    return [title] if "/" in title or ":" in title else []


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
    return _found_oci(archive, chosen)


def _found_oci(archive: Archive, chosen: Dict[str, Any]) -> Found:
    """The image that an entry of an index leads to."""
    where = archive.path
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
    return Found(blobs.of_bytes(content), content, media_type, config, manifest.config.digest, tuple(layers), where)


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


def _docker_list(archive: Archive) -> Tuple[List[List[str]], List[Tuple[str, List[str]]]]:
    """Of each image of a Docker archive its names, and the files of its config and its layers."""
    try:
        offered = strict.loads(archive.read("manifest.json"))
        return ([[str(tag) for tag in each.get("RepoTags") or []] for each in offered],
                [(str(each["Config"]), [str(layer) for layer in each["Layers"]]) for each in offered])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Corrupt("%s: manifest.json is not as 'docker save' writes it" % archive.path, "Make the archive again")


def _choose_docker(archive: Archive, wanted: Optional[str], name: str) -> Found:
    where = archive.path
    titles, parts = _docker_list(archive)
    fitting = [at for at, tags in enumerate(titles) if _same_name(tags, wanted or name)
               or (wanted and blobs.is_digest(wanted) and wanted[7:] in parts[at][0])]
    if not fitting and not wanted:
        fitting = list(range(len(parts)))
    if not fitting:
        raise _no_such_image(where, wanted, [tag for tags in titles for tag in tags])
    if len({parts[at][0] for at in fitting}) > 1:
        raise InvalidValue("source_reference", wanted, "does not say which of %d images of %s is meant"
                           % (len(fitting), where), "Give one of: %s" % _listed([t for tags in titles for t in tags]))
    return _found_docker(archive, *parts[fitting[0]])


def _found_docker(archive: Archive, config_name: str, layer_names: List[str]) -> Found:
    where = archive.path
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
