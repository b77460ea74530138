# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests, indexes and configs: what they say, checked, and how ours are made.

Sources: image-spec manifest.md, image-index.md, config.md, descriptor.md; Docker's
image manifest version 2, schema 2.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Corrupt, NotFound, Unsupported
from ..store import blobs, strict
from .platforms import Platform, platform

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
REFERENCE_ANNOTATION = "org.opencontainers.image.ref.name"
CONTAINERD_ANNOTATION = "io.containerd.image.name"


class Descriptor(NamedTuple):
    """A pointer to content: its type, digest and length in bytes, and where else it is to be had.

    Attributes:
        urls: Of layers that may not be stored in registries, such as those of Windows.
    """

    media_type: str
    digest: str
    size: int
    urls: Tuple[str, ...] = ()


class Manifest(NamedTuple):
    """An image: its config and its layers, lowest first."""

    config: Descriptor
    layers: Tuple[Descriptor, ...]


def descriptor(value: Any, where: str) -> Descriptor:
    """A descriptor, checked.

    Raises:
        Corrupt: It lacks what every descriptor has.
    """
    try:
        found = Descriptor(str(value.get("mediaType", "")), value["digest"], value["size"], tuple(map(str, value.get("urls") or ())))
        if blobs.is_digest(found.digest) and isinstance(found.size, int) and found.size >= 0:
            return found
    except (KeyError, TypeError, AttributeError):
        pass
    raise Corrupt("%s: %r is no descriptor" % (where, value), "Make it again")


def document(content: bytes, where: str) -> Dict[str, Any]:
    """A JSON object that says one thing.

    Raises:
        Corrupt: It is none, or could be read as an index by one tool and as a manifest by another (CVE-2021-41190).
    """
    try:
        value = strict.loads(content)
    except strict.Unclear as error:
        raise Corrupt("%s %s" % (where, error.why), "Make it again")
    if not isinstance(value, dict):
        raise Corrupt("%s is no JSON object" % where, "Make it again")
    parts = [key for key in ("config", "layers", "fsLayers") if key in value] if "schemaVersion" in value else []
    if parts and ("manifests" in value or value.get("mediaType") in (INDEX, DOCKER_LIST)):
        raise Corrupt("%s is an index and has a manifest's %s too" % (where, " and ".join(parts)), "Make it again")
    return value


def is_index(value: Dict[str, Any]) -> bool:
    """Whether a document is an index (or Docker's manifest list) rather than a manifest."""
    return value.get("mediaType") in (INDEX, DOCKER_LIST) or ("manifests" in value and "config" not in value)


def manifest(value: Dict[str, Any], where: str) -> Manifest:
    """A manifest's contents, checked.

    Raises:
        Unsupported: It is of Docker's schema 1, or no image.
        Corrupt: It lacks what every manifest has.
    """
    if value.get("schemaVersion") == 1:
        raise Unsupported("%s is a manifest of Docker's schema 1, which ended in 2017" % where,
                          "Push the image again with a newer tool")
    if not isinstance(value.get("layers"), list) or "config" not in value:
        raise Corrupt("%s is no image manifest" % where, "Name another image of the archive")
    return Manifest(descriptor(value["config"], where), tuple(descriptor(each, where) for each in value["layers"]))


def diff_ids(config: Dict[str, Any], where: str) -> List[str]:
    """The diff IDs of an image's layers, lowest first, from a config whose other members are checked with them.

    Raises:
        Corrupt: The config has none, or a member of another type than image-spec config.md says.
    """
    _check_settings(config.get("config"), where)
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, str) and blobs.is_digest(each) for each in found):
        raise Corrupt("%s: the config names no layers by diff ID" % where, "Make the image again")
    if not all(each.startswith("sha256:") for each in found):
        raise Unsupported("%s: the config names layers by other digests than sha256" % where, "Make the image again")
    return list(found)


_SETTINGS = {"User": "text", "WorkingDir": "text", "StopSignal": "text", "Env": "list", "Entrypoint": "list", "Cmd": "list",
             "Labels": "texts", "ExposedPorts": "names", "Volumes": "names"}


def _check_settings(settings: Any, where: str) -> None:
    """What containers inherit from an image comes from a stranger: each member has its type, and no NUL in it."""
    for key, kind in (_SETTINGS if settings is not None else {}).items():
        if not isinstance(settings, dict):
            raise Corrupt("%s: the config's 'config' is no object" % where, "Make the image again")
        value = settings.get(key)
        parts: List[Any] = []
        if kind == "text":
            parts = [value]
        elif isinstance(value, list) and kind == "list":
            parts = value
        elif isinstance(value, dict) and kind != "list":
            parts = [*value, *(value.values() if kind == "texts" else ())]
        elif value is not None:
            parts = [None]
        if value is not None and not all(isinstance(each, str) and "\0" not in each for each in parts):
            raise Corrupt("%s: the config's '%s' is not what it should be: %s" % (where, key, json.dumps(value)[:80]),
                          "Make the image again")


def choose(manifests: Sequence[Any], where: str, wanted: Optional[Platform] = None) -> Any:
    """The entry of an index that fits a platform, by default this host's.

    Raises:
        NotFound: There is none; names those that there are.
    """
    own = wanted or Platform("linux", *platform())
    fitting = []
    for each in manifests:
        offer = each.get("platform") or {}
        if offer.get("os", own.os) != own.os or offer.get("architecture", own.architecture) != own.architecture:
            continue
        if wanted and wanted.variant and offer.get("variant") and offer["variant"] != wanted.variant:
            continue
        fitting.append((_rank(offer.get("variant", ""), own.variant), each))
    if not fitting:
        raise NotFound("%s holds no image for %s, only for %s" % (where, own, ", ".join(offered(manifests)) or "nothing"),
                       "Name another platform, or make an image for this one")
    return min(fitting, key=lambda pair: pair[0])[1]


def offered(manifests: Sequence[Any]) -> List[str]:
    """The platforms that the entries of an index are for."""
    return sorted({str(Platform(*(str((each.get("platform") or {}).get(key, "")) for key in Platform._fields)))
                   for each in manifests} - {"", "unknown/unknown"})


def _rank(offered: str, own: str) -> int:
    """How well a variant fits: the own one first, then lower ones, then what names none."""
    if offered == own:
        return 0
    if not offered:
        return 5
    try:
        distance = int((own or "v1").lstrip("v")) - int(offered.lstrip("v"))
    except ValueError:
        return 9
    return distance if distance > 0 else 20 - distance


def encode(value: Any) -> bytes:
    """A document of ours: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def make(config: bytes, layers: Sequence[Descriptor], annotations: Optional[Dict[str, str]] = None) -> bytes:
    """A manifest for a config and layers."""
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": blobs.of_bytes(config), "size": len(config)},
        "layers": [{"mediaType": each.media_type, "digest": each.digest, "size": each.size,
                    **({"urls": list(each.urls)} if each.urls else {})} for each in layers],
    }  # type: Dict[str, Any]
    if annotations:
        value["annotations"] = annotations
    return encode(value)
