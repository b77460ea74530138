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
from ..registry.access import access_of
from ..store import blobs, notes
from . import archives, choosing, garbage, images, importing, platforms, references, remote, rootfs


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
        offer: What is to be pulled, or C(None).
        warnings: What a person should know.
    """

    state: str
    name: str
    tags: Tuple[str, ...]
    path: Optional[str]
    kind: Optional[str]
    found: Optional[choosing.Found]
    params: Mapping[str, Any]
    options: Dict[str, Any]
    offer: Optional[remote.Offer] = None
    warnings: Tuple[str, ...] = ()


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


def _apart(state: str) -> Any:
    """The file that has this module's functions for a state, or C(None) where they are below."""
    if state == "saved":
        from . import saved  # pylint: disable=import-outside-toplevel
        return saved
    if state == "loaded":
        from . import loaded  # pylint: disable=import-outside-toplevel
        return loaded
    if state == "pushed":
        from . import pushed  # pylint: disable=import-outside-toplevel
        return pushed
    if state == "unpushed":
        from . import unpushed  # pylint: disable=import-outside-toplevel
        return unpushed
    return None


def key(params: Mapping[str, Any]) -> str:
    """The name; what two names share is locked by digest."""
    return str(params["name"] or params["source"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Any:
    """Check the options against one another and the source; choose the image in an archive."""
    apart = _apart(params["state"])
    if apart is not None:
        return apart.resolve(instance, params)
    state, name, path = params["state"], params["name"], params["source"]
    tags = tuple(dict.fromkeys(params["tags"] or ()))
    options = {}  # type: Dict[str, Any]
    if tags:
        options["tags"] = sorted(tags)
    kind = found = None
    if state != "present" or not path:
        _no_config(params, "only makes sense with a root file system as source")
        plain = Desired(state, name, tags, None, None, None, params, options)
        if state != "present":
            return plain
        platform = platforms.parse(params["platform"]) if params["platform"] else None
        finding = remote.find(instance, name, params["pull"], access_of(params), platform, params["digest"] or "")
        if params["verify"] is not None:
            _verify_remote(instance, params, finding)
        return plain._replace(offer=finding.offer, warnings=finding.warnings)
    if references.identity(name):
        raise InvalidValue("name", name, "is an image ID", "Give the name that the image shall have")
    kind = params["source_type"]
    kind = archives.detect(path) if kind == "auto" else _existing(path, kind)
    if kind == archives.ROOTFS:
        if params["verify"] is not None:
            raise InvalidValue("verify", params["verify"], "cannot be used for a root file system, which nobody can sign",
                               "Say its digest")
        if params["digest"] and not params["digest"].startswith("sha256:"):
            raise InvalidValue("digest", params["digest"], "is of another kind than root file systems are compared by", "Give sha256")
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
        wanted = params["digest"]
        if wanted and wanted not in (found.identity, found.config_digest) and not (
                found.manifest and wanted == blobs.of_bytes(found.manifest, blobs.split(wanted)[0])):
            raise blobs.mismatch("%s: image %s" % (path, name), params["digest"], found.identity)
        if params["verify"] is not None:
            verify_found(params["verify"], path, kind, name, found)
        options["source"] = found.identity
    return Desired(state, name, tags, path, kind, found, params, options)


def _verify_remote(instance: Instance, params: Mapping[str, Any], finding: remote.Finding) -> None:
    """Check what would be pulled, or what is there, against what the task demands of images."""
    from ..registry import client  # pylint: disable=import-outside-toplevel
    from . import attached, trust  # pylint: disable=import-outside-toplevel
    if finding.image is None:
        return
    offer, name = finding.offer, params["name"]
    if references.identity(name):
        raise InvalidValue("verify", params["verify"], "needs the name that the image has at its registry", "Give it as name")
    if offer is not None:
        digests = (offer.digest, offer.remote)
    else:
        entry = images.entry_of(instance, name)
        digests = (finding.image.manifest_digest, entry.remote if entry else "")
    reference = references.parse(name)
    with client.Session(access_of(params)) as session:
        trust.demand(params["verify"], "docker", name, name, tuple(dict.fromkeys(filter(None, digests))),
                     attached.AtRegistry(session.repository(reference.host, reference.path)))


def verify_found(verify: Mapping[str, Any], path: str, kind: str, name: str, found: choosing.Found) -> None:
    """Check an image of a layout or archive against what the task demands of images."""
    from . import attached, trust  # pylint: disable=import-outside-toplevel
    archive = archives.Archive(path)
    try:
        trust.demand(verify, kind, path if kind == archives.DOCKER_ARCHIVE else "%s:%s" % (path, name), name,
                     (found.identity,), attached.Attached() if kind == archives.DOCKER_ARCHIVE else
                     attached.InLayout(archive))
    finally:
        archive.close()


def _existing(path: str, kind: str) -> str:
    if not os.path.exists(path):
        raise NotFound("source %s: No such file or directory" % path,
                       "Give the path of an image on the managed host")
    return kind


def _no_config(params: Mapping[str, Any], why: str) -> None:
    for option in rootfs.CONFIG_OPTIONS:
        if params[option] is not None:
            raise InvalidValue(option, params[option], why, "Leave it out")


def observe(instance: Instance, desired: Any) -> Any:
    """Read the name, the image's documents, and which layers are there."""
    apart = _apart(desired.state)
    if apart is not None:
        return apart.observe(instance, desired)
    image = images.find(instance, desired.name)
    if image is None:
        if desired.state == "tagged" or (desired.state == "present" and desired.path is None and desired.offer is None):
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
    entry = images.entry_of(instance, desired.name)
    if desired.path is None and desired.offer is None and expected and expected not in (
            image.id, image.manifest_digest, entry.remote if entry else ""):
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


def plan(desired: Any, observed: Any, differences: Tuple[Difference, ...]) -> Plan:
    """Import, pull, mend, tag or remove."""
    apart = _apart(desired.state)
    if apart is not None:
        return tuple(apart.plan(desired, observed, differences))
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
    elif desired.offer is not None and (image is None or observed.missing or image.manifest_digest != desired.offer.digest):
        before = None if image is None else image.manifest_digest
        steps.append(Change("pull", desired.name, "live" if image is None else RECREATE,
                            (Difference("digest", before, desired.offer.digest, RECREATE),)))
    elif observed.missing:
        steps += [Change("mend", "layer " + diff_id) for diff_id in observed.missing]
    if desired.tags:
        absent = [tag for tag in desired.tags if image is None or tag not in observed.options["tags"]]
        if any(step.action in ("import", "pull") for step in steps):
            absent = list(desired.tags)
        steps += [Change("tag", tag, differences=tuple(each for each in differences if each.option == "tags"))
                  for tag in absent if tag != desired.name]
    return tuple(steps)


def apply(instance: Instance, desired: Any, observed: Any, steps: Plan) -> Optional[Dict[str, Any]]:
    """Carry the steps out."""
    apart = _apart(desired.state)
    if apart is not None:
        return dict(apart.apply(instance, desired, observed, steps) or {})
    if desired.state == "absent":
        for step in steps:
            if step.action == "remove":
                images.forget(instance, step.target)
        found = garbage.collect(instance)
        images.write_index(instance)
        return {"freed": found.size}
    result = None
    for step in steps:
        if step.action == "import":
            _import(instance, desired)
        elif step.action == "pull" and desired.offer is not None:
            from . import pulling  # pylint: disable=import-outside-toplevel
            result = {"pull": remote.describe(instance, desired.offer)}
            pulling.pull(instance, desired.offer, desired.params["layer_store"])
        elif step.action == "mend":
            _mend(instance, step.target.partition(" ")[2])
        elif step.action == "tag":
            image = images.need(instance, desired.name)
            images.point(instance, step.target, image.manifest_type, image.manifest_digest, image.manifest_size)
    return result


def rehearse(instance: Instance, desired: Any, observed: Any, steps: Plan) -> Optional[Dict[str, Any]]:
    """Verify what an import would read; say what a pull would bring."""
    apart = _apart(desired.state)
    if apart is not None:
        return apart.rehearse(instance, desired, observed, steps) if hasattr(apart, "rehearse") else None
    if "import" not in (step.action for step in steps):
        return {"pull": remote.describe(instance, desired.offer)} if desired.offer is not None else None
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
    return None


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


def report(instance: Instance, desired: Any, observed: Any) -> Dict[str, Any]:
    """The image's full state."""
    apart = _apart(desired.state)
    if apart is not None:
        return dict(apart.report(instance, desired, observed))
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
