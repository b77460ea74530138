# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests, indexes and configs: what they say, checked, and how ours are made.

Sources: image-spec manifest.md, image-index.md, config.md, descriptor.md; Docker's
image manifest version 2, schema 2.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Corrupt, NotFound, Unsupported
from ..store import blobs

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
REFERENCE_ANNOTATION = "org.opencontainers.image.ref.name"
CONTAINERD_ANNOTATION = "io.containerd.image.name"
_ARCHITECTURES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv7l": ("arm", "v7"),
                  "armv6l": ("arm", "v6"), "i686": ("386", ""), "i386": ("386", ""), "riscv64": ("riscv64", ""),
                  "ppc64le": ("ppc64le", ""), "s390x": ("s390x", ""), "loongarch64": ("loong64", ""),
                  "mips64": ("mips64le", "")}


class Descriptor(NamedTuple):
    """A pointer to content: its type, digest and length in bytes."""

    media_type: str
    digest: str
    size: int


class Manifest(NamedTuple):
    """An image: its config and its layers, lowest first."""

    config: Descriptor
    layers: Tuple[Descriptor, ...]


def platform() -> Tuple[str, str]:
    """This host's architecture and variant as image-spec and Go name them."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, (machine, ""))


def descriptor(value: Any, where: str) -> Descriptor:
    """A descriptor, checked.

    Raises:
        Corrupt: It lacks what every descriptor has.
    """
    try:
        found = Descriptor(str(value.get("mediaType", "")), value["digest"], value["size"])
        if blobs.is_digest(found.digest) and isinstance(found.size, int) and found.size >= 0:
            return found
    except (KeyError, TypeError, AttributeError):
        pass
    raise Corrupt("%s: %r is no descriptor" % (where, value), "Make it again")


def document(content: bytes, where: str) -> Dict[str, Any]:
    """A JSON object.

    Raises:
        Corrupt: It is none.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise Corrupt("%s is no JSON document: %s" % (where, error), "Make it again")
    if not isinstance(value, dict):
        raise Corrupt("%s is no JSON object" % where, "Make it again")
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
    """The diff IDs of an image's layers, lowest first.

    Raises:
        Corrupt: The config has none.
    """
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, str) and blobs.is_digest(each) for each in found):
        raise Corrupt("%s: the config names no layers by diff ID" % where, "Make the image again")
    return list(found)


def choose(manifests: Sequence[Any], where: str) -> Any:
    """The entry of an index that fits this host.

    Raises:
        NotFound: There is none; names those that there are.
    """
    architecture, variant = platform()
    fitting = []
    for each in manifests:
        wanted = each.get("platform") or {}
        if wanted.get("os", "linux") != "linux" or wanted.get("architecture", architecture) != architecture:
            continue
        fitting.append((_rank(wanted.get("variant", ""), variant), each))
    if not fitting:
        offered = sorted({"%s/%s" % ((each.get("platform") or {}).get("os", "?"),
                                     (each.get("platform") or {}).get("architecture", "?")) for each in manifests})
        raise NotFound("%s holds no image for linux/%s, only for %s" % (where, architecture, ", ".join(offered) or
                                                                        "nothing"), "Make one for this host")
    return min(fitting, key=lambda pair: pair[0])[1]


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
        "layers": [{"mediaType": each.media_type, "digest": each.digest, "size": each.size} for each in layers],
    }  # type: Dict[str, Any]
    if annotations:
        value["annotations"] = annotations
    return encode(value)
