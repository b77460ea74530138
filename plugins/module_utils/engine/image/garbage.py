# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nothing uses any more: found by marking from all names and containers, then removed."""

from __future__ import annotations

import os
from typing import Any, Dict, FrozenSet, Iterator, NamedTuple, Set, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..layer import forms, layers
from ..store import blobs, files, leases, notes
from . import images


class Unused(NamedTuple):
    """Content that can go.

    Attributes:
        layers: Diff IDs.
        blobs: Digests.
        parts: What broken off imports and downloads have left in C(ingest/).
        size: Bytes that all of it takes on the disk.
        sizes: Those of each layer and blob.
    """

    layers: Tuple[str, ...]
    blobs: Tuple[str, ...]
    parts: Tuple[leases.Part, ...] = ()
    size: int = 0
    sizes: Dict[str, int] = {}


def layer_users(instance: Instance, without: FrozenSet[str] = frozenset(),
                without_containers: FrozenSet[str] = frozenset()) -> Dict[str, Set[str]]:
    """Who uses each layer: names of images, and containers as C(container NAME).

    Args:
        without: Complete names of images that do not count.
        without_containers: Names of containers that do not count.
    """
    users: Dict[str, Set[str]] = {}
    for entry in images.entries(instance):
        if entry.reference in without:
            continue
        try:
            found = images.load(instance, entry)
        except (EngineError, ValueError, KeyError):
            continue  # a damaged image keeps what others use, not more
        for diff_id in found.diff_ids:
            users.setdefault(diff_id, set()).add(entry.reference)
    for name, record in containers(instance):
        if name in without_containers:
            continue
        for diff_id in record.get("diff_ids") or ():
            users.setdefault(diff_id, set()).add("container " + name)
    return users


def containers(instance: Instance) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """The containers' names and records."""
    try:
        names = sorted(os.listdir(instance.state("containers")))
    except FileNotFoundError:
        return
    for name in names:
        try:
            record = files.read_json(instance.state("containers", name, "container.json"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            yield name, record


def unused(instance: Instance, without: FrozenSet[str] = frozenset(), without_containers: FrozenSet[str] = frozenset(),
           resumable_for: float = leases.KEPT_FOR, content: bool = True) -> Unused:
    """What could be removed if these names and containers were gone.

    Args:
        resumable_for: Seconds for which the parts of broken off downloads are kept.
        content: Whether layers and blobs count; else only parts do.
    """
    users = layer_users(instance, without, without_containers)
    leased = leases.digests(instance)
    marked: Set[str] = set(leased)
    for entry in images.entries(instance):
        if entry.reference in without:
            continue
        marked.add(entry.digest)
        try:
            found = images.load(instance, entry)
        except (EngineError, ValueError, KeyError):
            continue
        marked.add(found.id)
        marked.update(digest for _type, digest, _size in found.layers)
    doomed = []
    for diff_id in layers.every(instance) if content else ():
        record = layers.find(instance, diff_id)
        if diff_id in users or diff_id in leased or (record is not None and record.kept):
            if record is not None and record.blob:
                marked.add(record.blob)
        else:
            doomed.append(diff_id)
    gone = tuple(sorted(digest for digest in blobs.every(instance) if content and digest not in marked))
    parts = tuple(part for part in leases.leftovers(instance) if not part.resumable or part.age > resumable_for)
    sizes = {diff_id: layers.usage(instance, diff_id) for diff_id in doomed}
    for digest in gone:  # a plain layer is its own blob
        sizes[digest] = sizes.get(digest, 0) + files.usage(blobs.path(instance, digest))
    return Unused(tuple(doomed), gone, parts, sum(sizes.values()) + sum(part.size for part in parts), sizes)


def collect(instance: Instance, resumable_for: float = leases.KEPT_FOR, content: bool = True) -> Unused:
    """Remove what nothing uses and nobody has leased; one unlink for a layer and one for its blob."""
    from ..layer import overlay  # pylint: disable=import-outside-toplevel
    if not os.path.isdir(instance.state("layers")):
        return Unused((), ())
    with leases.content(instance, shared=False):
        leases.digests(instance, tidy=True)
        found = unused(instance, resumable_for=resumable_for, content=content)
        if found.layers:
            overlay.sweep(instance)
        for diff_id in found.layers:
            layers.discard_forms(instance, diff_id)
        for digest in found.blobs:
            blobs.remove(instance, digest)
        for part in found.parts:
            forms.remove(part.path)
        notes.forget_all_but(instance, {*layers.every(instance), *blobs.every(instance)})
    return found


def users_of(instance: Instance, diff_ids: Tuple[str, ...], own: FrozenSet[str]) -> Dict[str, bool]:
    """For each layer whether anything beside these names uses it."""
    users = layer_users(instance, own)
    return {diff_id: bool(users.get(diff_id)) for diff_id in diff_ids}


def missing(instance: Instance, image: images.Image) -> Tuple[str, ...]:
    """The diff IDs of an image's layers that cannot be mounted or whose blob is gone, lowest first."""
    found = []
    for diff_id, (_type, digest, size) in zip(image.diff_ids, image.layers):
        if layers.find(instance, diff_id) is None or blobs.size(instance, digest) != size:
            found.append(diff_id)
    return tuple(dict.fromkeys(found))
