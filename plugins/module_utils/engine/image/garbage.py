# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nothing uses any more: found by marking from all names and containers, then removed."""

from __future__ import annotations

import os
from typing import Any, Dict, FrozenSet, Iterator, NamedTuple, Set, Tuple

from ..errors import EngineError
from ..instance import Instance
from ..layer import layers
from ..store import blobs, files, locks, notes
from . import images


class Unused(NamedTuple):
    """Content that can go.

    Attributes:
        layers: Diff IDs.
        blobs: Digests.
        size: Bytes of the blobs.
    """

    layers: Tuple[str, ...]
    blobs: Tuple[str, ...]
    size: int


def layer_users(instance: Instance, without: FrozenSet[str] = frozenset()) -> Dict[str, Set[str]]:
    """Who uses each layer: names of images, and containers as C(container NAME).

    Args:
        without: Complete names of images that do not count.
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


def unused(instance: Instance, without: FrozenSet[str] = frozenset()) -> Unused:
    """What could be removed if these names were gone. Reads only."""
    users = layer_users(instance, without)
    marked: Set[str] = set()
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
    for diff_id in layers.every(instance):
        record = layers.find(instance, diff_id)
        if diff_id in users or (record is not None and record.kept):
            if record is not None and record.blob:
                marked.add(record.blob)
        else:
            doomed.append(diff_id)
    gone = tuple(sorted(digest for digest in blobs.every(instance) if digest not in marked))
    return Unused(tuple(doomed), gone, sum(blobs.size(instance, digest) or 0 for digest in gone))


def collect(instance: Instance) -> Unused:
    """Remove what nothing uses; waits until no import is under way."""
    from ..layer import overlay  # pylint: disable=import-outside-toplevel
    if not os.path.isdir(instance.state("layers")):
        return Unused((), (), 0)
    with locks.held(instance, "store", "content"):
        found = unused(instance)
        if found.layers:
            overlay.sweep(instance)
        for diff_id in found.layers:
            layers.discard_forms(instance, diff_id)
        for digest in found.blobs:
            blobs.remove(instance, digest)
        clear_ingest(instance)
        notes.forget_all_but(instance, {*layers.every(instance), *blobs.every(instance)})
    return found


def clear_ingest(instance: Instance) -> None:
    """Delete what interrupted imports left; the caller holds the store's lock, so none is under way."""
    import shutil  # pylint: disable=import-outside-toplevel
    folder = instance.state("ingest")
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            files.remove(path)


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
