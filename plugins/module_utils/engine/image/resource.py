# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_image): observe, plan, apply. This file stands above both images and layers."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import Corrupt, InvalidValue, NotFound
from ..instance import Instance
from ..plan import RECREATE, Change, Difference, Plan
from ..store import blobs, notes
from . import archives, choosing, garbage, images, importing, references, rootfs


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        state: C(present), C(absent) or C(tagged).
        name: Complete name, or an image ID.
        tags: Further complete names.
        path, kind: The source, or C(None).
        found: The image that was chosen in an archive.
        params: As given.
        options: What is compared.
    """

    state: str
    name: str
    tags: Tuple[str, ...]
    path: Optional[str]
    kind: Optional[str]
    found: Optional[choosing.Found]
    params: Mapping[str, Any]
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is.

    Attributes:
        image: The image that the name leads to.
        missing: Diff IDs of its layers that have to be made anew.
        unused: For C(absent): what nothing would use any more.
        options: What is compared.
    """

    image: Optional[images.Image]
    missing: Tuple[str, ...]
    unused: Optional[garbage.Unused]
    options: Dict[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The name; what two names share is locked by digest."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Check the options against one another and the source; choose the image in an archive."""
    state, name, path = params["state"], params["name"], params["source"]
    tags = tuple(dict.fromkeys(params["tags"] or ()))
    options = {}  # type: Dict[str, Any]
    if tags:
        options["tags"] = sorted(tags)
    kind = found = None
    if state != "present" or not path:
        _no_config(params, "only makes sense with a root file system as source")
        return Desired(state, name, tags, None, None, None, params, options)
    if references.identity(name):
        raise InvalidValue("name", name, "is an image ID", "Give the name that the image shall have")
    kind = params["source_type"]
    kind = archives.detect(path) if kind == "auto" else _existing(path, kind)
    if kind == archives.ROOTFS:
        options.update({option: params[option] or None for option in rootfs.CONFIG_OPTIONS})
        for option in ("exposed_ports", "volumes"):
            options[option] = sorted(options[option]) if options[option] else None
        if params["source_reference"]:
            raise InvalidValue("source_reference", params["source_reference"], "names an image, but %s is a root file "
                               "system" % path, "Leave it out")
        current = images.entry_of(instance, name)
        options["source"] = params["digest"] or path  # without a present image there is nothing to compare it with
        if current is not None or os.path.isdir(path) and params["digest"]:
            options["source"] = rootfs.identity(instance, path)
            if params["digest"] and params["digest"] != options["source"]:
                raise blobs.mismatch(path, params["digest"], options["source"])
    else:
        _no_config(params, "cannot be set for an image that brings its own config")
        archive = archives.Archive(path)
        try:
            found = choosing.choose(archive, kind, params["source_reference"], name)
        finally:
            archive.close()
        if params["digest"] and params["digest"] not in (found.identity, found.config_digest):
            raise blobs.mismatch("%s: image %s" % (path, name), params["digest"], found.identity)
        options["source"] = found.identity
    return Desired(state, name, tags, path, kind, found, params, options)


def _existing(path: str, kind: str) -> str:
    if not os.path.exists(path):
        raise NotFound("source %s: No such file or directory" % path,
                       "Give the path of an image on the managed host")
    return kind


def _no_config(params: Mapping[str, Any], why: str) -> None:
    for option in rootfs.CONFIG_OPTIONS:
        if params[option] is not None:
            raise InvalidValue(option, params[option], why, "Leave it out")


def observe(instance: Instance, desired: Desired) -> Observed:
    """Read the name, the image's documents, and which layers are there."""
    image = images.find(instance, desired.name)
    if image is None:
        if desired.state == "tagged" or (desired.state == "present" and desired.path is None):
            images.need(instance, desired.name)
        return Observed(None, (), None, {option: [] if option == "tags" else None for option in desired.options})
    options = {}  # type: Dict[str, Any]
    if desired.tags:
        pointing = {tag: images.entry_of(instance, tag) for tag in desired.tags}
        options["tags"] = sorted(tag for tag, entry in pointing.items()
                                 if entry is not None and entry.digest == image.manifest_digest)
    if desired.state == "absent":
        return Observed(image, (), garbage.unused(instance, frozenset(_doomed(desired, image))), options)
    expected = desired.params["digest"]
    if desired.path is None and expected and expected not in (image.id, image.manifest_digest):
        raise Corrupt("image '%s': expected digest %s, found %s" % (desired.name, expected, image.manifest_digest),
                      "Import the right one, or correct the digest")
    options["source"] = _identity(desired, image)
    if desired.kind == archives.ROOTFS:
        options.update(rootfs.options_of(image.config))
    return Observed(image, garbage.missing(instance, image), None, options)


def _identity(desired: Desired, image: images.Image) -> str:
    """The present image, named as C(desired.options['source']) names the source."""
    if desired.kind == archives.DOCKER_ARCHIVE:
        return image.id
    if desired.kind == archives.ROOTFS and desired.path:
        if len(image.layers) != 1:
            return image.manifest_digest
        return image.diff_ids[0] if os.path.isdir(desired.path) else image.layers[0][1]
    return image.manifest_digest


def _doomed(desired: Desired, image: images.Image) -> Tuple[str, ...]:
    """The names that C(absent) removes: the one given, or with an ID all of the image."""
    return image.references if references.identity(desired.name) else (desired.name,)


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """Import, mend, tag or remove."""
    image = observed.image
    steps: List[Change] = []
    if desired.state == "absent":
        if image is None:
            return ()
        steps = [Change("remove", name) for name in _doomed(desired, image)]
        if observed.unused is not None:
            steps += [Change("delete", "layer " + diff_id) for diff_id in observed.unused.layers]
        return tuple(steps)
    content = tuple(each for each in differences if each.option != "tags")
    if desired.state == "present" and desired.path:
        if image is None or content:
            steps.append(Change("import", desired.name, "live" if image is None else RECREATE, content))
        elif observed.missing:
            steps.append(Change("import", desired.name))
    elif observed.missing:
        steps += [Change("mend", "layer " + diff_id) for diff_id in observed.missing]
    if desired.tags:
        absent = [tag for tag in desired.tags if image is None or tag not in observed.options["tags"]]
        if any(step.action == "import" for step in steps):
            absent = list(desired.tags)
        steps += [Change("tag", tag, differences=tuple(each for each in differences if each.option == "tags"))
                  for tag in absent if tag != desired.name]
    return tuple(steps)


def apply(instance: Instance, desired: Desired, observed: Observed, steps: Plan) -> Optional[Dict[str, Any]]:
    """Carry the steps out."""
    if desired.state == "absent":
        for step in steps:
            if step.action == "remove":
                images.forget(instance, step.target)
        found = garbage.collect(instance)
        return {"freed": found.size}
    actions = [step.action for step in steps]
    if "import" in actions:
        _import(instance, desired)
    for step in steps:
        if step.action == "mend":
            _mend(instance, step.target.partition(" ")[2])
        elif step.action == "tag":
            image = images.need(instance, desired.name)
            images.point(instance, step.target, image.manifest_type, image.manifest_digest, image.manifest_size)
    return None


def rehearse(instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> None:
    """Verify what an import would read."""
    if "import" not in (step.action for step in steps):
        return
    path = str(desired.path)
    if desired.found is not None:
        archive = archives.Archive(path)
        try:
            importing.rehearse_archive(instance, archive, desired.found)
        finally:
            archive.close()
    elif not os.path.isdir(path):
        from ..layer import unpack  # pylint: disable=import-outside-toplevel
        unpack.verify(rootfs.chunks(path), path, desired.params["digest"])


def _import(instance: Instance, desired: Desired) -> None:
    params = desired.params
    path = str(desired.path)
    wanted = params["layer_store"]
    if desired.found is not None:
        archive = archives.Archive(path)
        try:
            importing.import_archive(instance, archive, desired.found, desired.name, wanted)
        finally:
            archive.close()
        return
    at = time.time_ns()
    seen = notes.fingerprint(path, at)
    folder = os.path.isdir(path)
    layer = importing.import_root(
        instance, rootfs.chunks(path), path, None if folder else params["digest"],
        lambda diff_id: rootfs.make_config(params, diff_id), desired.name, wanted)
    notes.remember(instance, rootfs.NOTE, path, seen, at, layer.diff_id if folder else layer.blob)


def _mend(instance: Instance, diff_id: str) -> None:
    from ..layer import layers  # pylint: disable=import-outside-toplevel
    layers.ensure(instance, diff_id)


def report(instance: Instance, _desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The image's full state."""
    image = observed.image
    if image is None:
        return {"exists": False}
    return dict(describe(instance, image), exists=True)


def describe(instance: Instance, image: images.Image) -> Dict[str, Any]:
    """An image as a result shows it."""
    from ..layer import layers  # pylint: disable=import-outside-toplevel
    shared = garbage.users_of(instance, image.diff_ids, frozenset(image.references))
    stack = []
    for diff_id, (media_type, digest, size) in zip(image.diff_ids, image.layers):
        layer = layers.find(instance, diff_id)
        stack.append({"diff_id": diff_id, "digest": digest, "media_type": media_type, "size": size,
                      "form": layer.form if layer is not None else None, "shared": shared[diff_id]})
    return {
        "id": image.id, "digest": image.manifest_digest, "references": list(image.references), "size": image.size,
        "created": image.config.get("created"), "architecture": image.config.get("architecture"),
        "os": image.config.get("os"), "config": image.run_config, "layers": stack,
    }
