# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_layer): observe, plan, apply. This file stands above both images and layers."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import Conflict, InvalidValue, NotFound
from ..image import garbage, images
from ..instance import Instance
from ..kernel import mounts
from ..plan import RESTART, Change, Difference, Plan
from ..store import blobs, files, leases, locks, notes, streams
from . import idmap, layers, overlay

_NOTE = "layer"
_NEEDED = {"present": (), "absent": ("diff_id",), "mounted": ("path",), "unmounted": ("path",),
           "diff": ("upper", "dest"), "committed": ("upper",)}  # type: Dict[str, Tuple[str, ...]]


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        diff_id: The layer that it is about, or C(None).
        stack: The layers to be mounted, or to be committed upon, lowest first.
        seen, at: What the source looked like before it was read, for its note.
        options: What is compared.
    """

    state: str
    params: Mapping[str, Any]
    diff_id: Optional[str]
    stack: Tuple[str, ...]
    seen: Optional[str]
    at: int
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is.

    Attributes:
        layer: The layer, if the store has it.
        mounted: The overlay at the path.
        users: Who uses the layer.
        image: The image under C(commit_as).
        options: What is compared.
    """

    layer: Optional[layers.Layer]
    mounted: Optional[overlay.Overlay]
    users: Tuple[str, ...]
    image: Optional[images.Image]
    options: Dict[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """What the task changes: a mount point, a file, or a layer."""
    for option in ("path", "dest", "diff_id", "upper", "source"):
        if params[option]:
            return "task-" + str(params[option])
    return "task"


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Check the options against one another; find out which layer or layers are meant."""
    state = params["state"]
    for option in _NEEDED[state]:
        if params[option] is None:
            raise InvalidValue(option, None, "is needed with state=%s" % state, "Give it")
    diff_id, seen, at = params["diff_id"], None, time.time_ns()
    stack = ()  # type: Tuple[str, ...]
    options = {}  # type: Dict[str, Any]
    if state == "present":
        diff_id, seen = _source(instance, params, at)
        options["diff_id"] = diff_id
    elif state == "mounted":
        stack = _stack(instance, params)
        options = {"layers": list(stack), "upper": params["upper"], "work": _work(params),
                   "read_only": params["read_only"] or params["upper"] is None, **_maps(params)}
        idmap.note(_maps(params))
    elif state in ("diff", "committed"):
        from . import diff  # pylint: disable=import-outside-toplevel
        diff_id = diff.diff_id(params["upper"], params["source_date_epoch"])
        options["diff_id"] = diff_id
        if state == "diff":
            options["compression"] = params["compression"]
            if not os.path.isdir(os.path.dirname(params["dest"])):
                raise NotFound("folder %s does not exist" % os.path.dirname(params["dest"]), "Create it")
        if params["commit_as"] is not None:
            if state == "diff" or params["image"] is None:
                raise InvalidValue("commit_as", params["commit_as"], "needs state=committed and an image below",
                                   "Give the image that the upper folder belongs to")
            stack = images.need(instance, params["image"]).diff_ids
    return Desired(state, params, diff_id, stack, seen, at, options)


def _source(instance: Instance, params: Mapping[str, Any], at: int) -> Tuple[str, Optional[str]]:
    """The diff ID of the source, and what the source looked like before."""
    path, wanted = params["source"], params["diff_id"]
    if path is None:
        if wanted is None:
            raise InvalidValue("source", None, "is needed with state=present", "Give it, or diff_id")
        layers.need(instance, wanted)
        return str(wanted), None
    if wanted is not None:
        found = layers.find(instance, wanted)
        if found is not None and found.kept:
            return str(wanted), None
    if not os.path.isfile(path):
        raise NotFound("source %s is no file" % path, "Give the path of a layer's tar on the managed host")
    seen = notes.fingerprint(path, at)
    diff_id = notes.recalled_or(instance, _NOTE, path, lambda: _decoded_digest(path, params["digest"]))
    if wanted is not None and diff_id != wanted:
        raise blobs.mismatch(path, wanted, diff_id, "diff ID")
    return diff_id, seen


def _decoded_digest(path: str, digest: Optional[str]) -> str:
    """The digest of a file's plain content; its own is verified on the way."""
    algorithm = blobs.split(digest)[0] if digest is not None else "sha256"
    stored, plain = hashlib.new(algorithm), hashlib.sha256()
    with open(path, "rb") as stream:

        def noted() -> Any:
            for chunk in streams.read_chunks(stream):
                stored.update(chunk)
                yield chunk
        for chunk in streams.decoded(noted(), path):
            plain.update(chunk)
    found = "%s:%s" % (algorithm, stored.hexdigest())
    if digest is not None and found != digest:
        raise blobs.mismatch(path, digest, found)
    return "sha256:" + plain.hexdigest()


def _stack(instance: Instance, params: Mapping[str, Any]) -> Tuple[str, ...]:
    if (params["layers"] is None) == (params["image"] is None):
        raise InvalidValue("layers", params["layers"], "and image: exactly one of the two is needed with state=mounted",
                           "Give layers, or the image that has them")
    if params["work"] is not None and params["upper"] is None:
        raise InvalidValue("work", params["work"], "makes no sense without upper", "Give upper, or leave it out")
    found = tuple(params["layers"] or ()) if params["image"] is None else images.need(instance, params["image"]).diff_ids
    for diff_id in found:
        layers.need(instance, diff_id)
    return found


def _maps(params: Mapping[str, Any]) -> Dict[str, Any]:
    return {option: params[option] or None for option in idmap.KINDS}


def _work(params: Mapping[str, Any]) -> Optional[str]:
    """The work folder; by default beside the upper one."""
    if params["upper"] is None:
        return None
    return str(params["work"] or params["upper"].rstrip("/") + ".work")


def observe(instance: Instance, desired: Desired) -> Observed:
    """Read the layer's record and form, mountinfo, the file at C(dest)."""
    params = desired.params
    layer = layers.find(instance, desired.diff_id) if desired.diff_id is not None else None
    users = ()  # type: Tuple[str, ...]
    if layer is not None:
        users = tuple(sorted(garbage.layer_users(instance).get(layer.diff_id) or ()))
    mounted = image = None
    options = {}  # type: Dict[str, Any]
    if desired.state in ("mounted", "unmounted"):
        mounted, options = _observe_mount(params["path"], desired)
    elif desired.state == "diff":
        options = _observe_file(params["dest"])
    elif desired.state in ("present", "committed"):
        there = layer is not None and (layer.kept or params["commit_as"] is not None)
        options["diff_id"] = desired.diff_id if there else None
        if params["commit_as"] is not None:
            image = images.find(instance, params["commit_as"])
            if image is None or image.diff_ids != (*desired.stack, desired.diff_id):
                options["diff_id"] = None if image is None or not image.diff_ids else image.diff_ids[-1]
                image = None
    elif layer is not None and users:
        raise Conflict("layer %s is used by %s" % (layer.diff_id, ", ".join(users)), "Remove these first")
    return Observed(layer, mounted, users, image, options)


def _observe_mount(path: str, desired: Desired) -> Tuple[Optional[overlay.Overlay], Dict[str, Any]]:
    path = os.path.realpath(path)
    found = overlay.observe(path)
    if found is None:
        other = mounts.at(path)
        if other is not None:
            raise Conflict("at %s a file system of type %s is mounted" % (path, other.fstype),
                           "Unmount it, or choose another path")
        return None, dict.fromkeys(("layers", "upper", "work", "read_only", *idmap.KINDS))
    if not found.chain_id:
        raise Conflict("the overlay at %s was mounted by another program" % path, "Unmount it, or choose another path")
    same = found.chain_id == overlay.chain_id(desired.stack)
    return found, {"layers": list(desired.stack) if same else list(found.diff_ids) or [found.chain_id],
                   "upper": found.upper, "work": found.work, "read_only": found.read_only, **idmap.read(found.note)}


def _observe_file(dest: str) -> Dict[str, Any]:
    if not os.path.isfile(dest):
        return {"diff_id": None, "compression": None}
    with open(dest, "rb") as stream:
        kind = streams.kind(stream.read(streams.MAGIC))
    try:
        return {"diff_id": _decoded_digest(dest, None), "compression": kind}
    except Exception:  # pylint: disable=broad-exception-caught
        return {"diff_id": None, "compression": kind}  # whatever it is, it is no such layer


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """One or two steps."""
    params = desired.params
    steps: List[Change] = []
    if desired.state == "present" and differences:
        steps.append(Change("unpack", "layer %s" % desired.diff_id, differences=differences))
    elif desired.state == "absent" and observed.layer is not None:
        steps.append(Change("delete", "layer %s" % desired.diff_id))
    elif desired.state == "mounted" and differences:
        if observed.mounted is not None:
            steps.append(Change("unmount", params["path"], RESTART))
        steps.append(Change("mount", params["path"], "live" if observed.mounted is None else RESTART, differences))
    elif desired.state == "unmounted" and observed.mounted is not None:
        steps.append(Change("unmount", params["path"], RESTART))
    elif desired.state == "diff" and differences:
        steps.append(Change("write", params["dest"], differences=differences))
    elif desired.state == "committed" and (differences or (params["commit_as"] and observed.image is None)):
        steps.append(Change("commit", params["commit_as"] or "layer %s" % desired.diff_id, differences=differences))
    return tuple(steps)


def apply(instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> Optional[Dict[str, Any]]:
    """Carry the steps out."""
    params = desired.params
    for step in steps:
        if step.action == "unpack":
            _unpack(instance, desired)
        elif step.action == "delete":
            layer = layers.need(instance, str(desired.diff_id))
            layers.keep(instance, layer, False)
            garbage.collect(instance)
        elif step.action == "unmount":
            overlay.unmount(instance, os.path.realpath(params["path"]))
        elif step.action == "mount":
            _mount(instance, desired)
        elif step.action == "write":
            from . import diff  # pylint: disable=import-outside-toplevel
            diff.write(params["upper"], params["dest"], params["compression"], params["source_date_epoch"])
        elif step.action == "commit":
            from . import commit  # pylint: disable=import-outside-toplevel
            commit.commit(instance, params["upper"], params["compression"], params["layer_store"],
                          params["source_date_epoch"], params["image"], params["commit_as"])
    return None


def rehearse(_instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> None:
    """Look whether a layer can be unpacked."""
    if desired.params["source"] is not None and "unpack" in (step.action for step in steps):
        from . import unpack  # pylint: disable=import-outside-toplevel
        with open(desired.params["source"], "rb") as stream:
            unpack.verify(streams.read_chunks(stream), desired.params["source"], desired.params["digest"],
                          desired.diff_id)


def _unpack(instance: Instance, desired: Desired) -> None:
    params, diff_id = desired.params, str(desired.diff_id)
    blobs.prepare(instance)
    with leases.content(instance, shared=True), locks.held(instance, "layer", diff_id):
        found = layers.find(instance, diff_id)
        if found is not None:
            layers.keep(instance, found, True)
        else:
            with open(params["source"], "rb") as stream:
                layers.ingest(instance, streams.read_chunks(stream), params["source"], params["digest"], diff_id,
                              params["layer_store"], params["layers"] or (), kept=True)
    if params["source"] is not None:
        notes.remember(instance, _NOTE, params["source"], desired.seen, desired.at, diff_id)


def _mount(instance: Instance, desired: Desired) -> None:
    params, maps = desired.params, _maps(desired.params)
    note = idmap.note(maps)
    fresh = params["upper"] is not None and not os.path.exists(params["upper"])
    for folder in (params["path"], params["upper"], _work(params)):
        if folder is not None:
            files.make_folder(folder, 0o755)
    if fresh and note:
        os.chown(params["upper"], *idmap.root_of(maps))
    for diff_id in desired.stack:
        layers.ensure(instance, diff_id, params["layer_store"])
    namespace = idmap.namespace(maps) if note else None
    try:
        overlay.mount(instance, desired.stack, os.path.realpath(params["path"]), params["upper"], _work(params),
                      params["read_only"], namespace, note)
    finally:
        if namespace is not None:
            os.close(namespace)


def report(instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """The layer's full state, and the mount's."""
    layer, mounted = observed.layer, observed.mounted
    found = {"exists": layer is not None, "diff_id": desired.diff_id}  # type: Dict[str, Any]
    if layer is not None:
        found.update(form=layer.form, path=layer.path, digest=layer.blob, media_type=layer.media_type,
                     size=layer.blob_size, entries=layer.entries, used_by=list(observed.users))
    if desired.state in ("mounted", "unmounted"):
        found = {"mounted": mounted is not None, "path": desired.params["path"]}
        if mounted is not None:
            found.update(chain_id=mounted.chain_id, layers=observed.options["layers"], upper=mounted.upper,
                         work=mounted.work, read_only=mounted.read_only, **idmap.read(mounted.note))
    if observed.image is not None:
        found["image"] = {"id": observed.image.id, "digest": observed.image.manifest_digest,
                          "references": list(observed.image.references)}
    if desired.state == "diff" and observed.options.get("diff_id") == desired.diff_id:
        found["dest"] = desired.params["dest"]
    return found
