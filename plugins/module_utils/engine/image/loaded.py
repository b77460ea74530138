# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_image) with C(state=loaded): all images of a layout or archive, under the names that they have there."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue
from ..instance import Instance
from ..plan import RECREATE, Change, Difference, Plan
from . import archives, choosing, garbage, images, importing, resource


class Desired(NamedTuple):
    """What was asked for: the images of an archive and the complete names that each has there."""

    state: str
    path: str
    offered: List[Tuple[Tuple[str, ...], choosing.Found]]
    layer_store: str
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is.

    Attributes:
        present: The identity of what each name points to; C(None) where it is not in the store.
        broken: The names whose image lacks layers.
    """

    present: Dict[str, Optional[str]]
    broken: Tuple[str, ...]
    options: Dict[str, Any]


def resolve(_instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Read all manifests and configs of the archive."""
    path = params["source"]
    kind = archives.detect(path) if params["source_type"] == "auto" else params["source_type"]
    if kind == archives.ROOTFS:
        raise InvalidValue("source", path, "is a root file system, which has no name of its own",
                           "Use state=present and give it a name")
    archive = archives.Archive(path)
    try:
        offered = choosing.every(archive, kind)
    finally:
        archive.close()
    for names, found in offered if params["verify"] is not None else ():
        for name in names:
            resource.verify_found(params["verify"], path, kind, name, found)
    return Desired(params["state"], path, offered, params["layer_store"], {})


def observe(instance: Instance, desired: Desired) -> Observed:
    """Read the names of the store."""
    present: Dict[str, Optional[str]] = {}
    broken = []
    for names, found in desired.offered:
        for name in names:
            image = images.find(instance, name)
            present[name] = None
            if image is not None:
                present[name] = image.manifest_digest if found.manifest else image.id
                if garbage.missing(instance, image):
                    broken.append(name)
    return Observed(present, tuple(broken), {})


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """A step for each name that does not point to its image yet."""
    steps = []
    for names, found in desired.offered:
        for name in names:
            before = observed.present[name]
            if before != found.identity:
                steps.append(Change("import", name, "live" if before is None else RECREATE,
                                    (Difference(name, before, found.identity),)))
            elif name in observed.broken:
                steps.append(Change("import", name))
    return tuple(steps)


def apply(instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> Optional[Dict[str, Any]]:
    """Import; a layer that several images have is stored once."""
    todo = {step.target for step in steps}
    archive = archives.Archive(desired.path)
    try:
        for names, found in desired.offered:
            for name in names:
                if name in todo:
                    importing.import_archive(instance, archive, found, name, desired.layer_store)
    finally:
        archive.close()
    return None


def rehearse(instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> None:
    """Verify what would be read."""
    todo = {step.target for step in steps}
    archive = archives.Archive(desired.path)
    try:
        for names, found in desired.offered:
            if todo & set(names):
                importing.rehearse_archive(instance, archive, found)
    finally:
        archive.close()


def report(instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The images that are there."""
    found = []
    for names, _found in desired.offered:
        image = images.find(instance, names[0]) if observed.present[names[0]] else None
        found.append(dict(resource.describe(instance, image), exists=True) if image else
                     {"exists": False, "references": list(names)})
    return {"exists": all(each["exists"] for each in found), "images": found}
