# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_image) with C(state=saved): images of the store as a file or folder on the host."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue
from ..instance import Instance
from ..plan import Change, Difference, Plan
from ..store import leases
from . import archives, garbage, images, references, resource, saving


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        items: The images, the one called C(name) first.
        wanted: What the file shall hold.
        options: Nothing is compared by table.
    """

    state: str
    items: List[saving.Item]
    dest: str
    wanted: saving.Saved
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is: what the file holds, if it holds whole images."""

    found: Optional[saving.Saved]
    options: Dict[str, Any]


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Find the images; look whether the place will do."""
    kind, dest = params["dest_type"], params["dest"]
    compression = params["compression"] or "none"
    names = list(dict.fromkeys([params["name"], *(params["images"] or ())]))
    if compression != "none" and kind in (archives.OCI, archives.ROOTFS_FOLDER):
        raise InvalidValue("compression", compression, "cannot be used for a folder", "Leave it out, or choose a dest_type that is a file")
    plain = kind in (archives.ROOTFS, archives.ROOTFS_FOLDER)
    if len(names) > 1 and plain:
        raise InvalidValue("images", params["images"], "cannot be used with dest_type=%s, which is of one image" % kind,
                           "Leave it out")
    saving.check_dest(dest, kind)
    items = [saving.Item(images.need(instance, name), "" if references.identity(name) else name) for name in names]
    for item in items:
        lost = garbage.missing(instance, item.image)
        if lost:
            images.incomplete(instance, item.name or item.image.id, lost)
    held = {"" if plain else item.name: item.image.manifest_digest for item in items}
    return Desired(params["state"], items, dest, saving.Saved(kind, compression, held), {})


def observe(instance: Instance, desired: Desired) -> Observed:
    """Read what the file or folder holds."""
    return Observed(saving.observe(instance, desired.dest, desired.wanted.kind), {})


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """One step, if any."""
    if saving.satisfies(observed.found, desired.wanted):
        return ()
    before = None if observed.found is None else dict(observed.found._asdict())
    return (Change("save", desired.dest, differences=(Difference("dest", before, dict(desired.wanted._asdict())),)),)


def apply(instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> Optional[Dict[str, Any]]:
    """Write it."""
    needed = {digest for item in desired.items for digest in (
        item.image.manifest_digest, item.image.id, *item.image.diff_ids, *(layer[1] for layer in item.image.layers))}
    with leases.held(instance, needed):
        saving.save(instance, desired.items, desired.wanted.kind, desired.dest, desired.wanted.compression)
    return None


def report(instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The first image's state, and the file's."""
    found = dict(resource.describe(instance, desired.items[0].image), exists=True)
    found["saved"] = None
    if observed.found is not None:
        found["saved"] = dict(observed.found._asdict(), path=desired.dest, size=saving.sizes(desired.dest))
    return found
