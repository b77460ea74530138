# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_copy): files into a container, or out of it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..container import at_rest, inside, records, status
from ..errors import Conflict, EngineError, InvalidValue, NotFound
from ..instance import Instance
from ..kernel import mounts, paths
from ..plan import Change, Difference, Plan
from ..runtime import users
from . import entries, sources, writing
from .entries import FILE, FOLDER, LINK, Ids, Manner, Place, Step

LOCKED = "container"
"""The kind of the lock: a container that does not run shall not begin to meanwhile, and one that runs not be replaced."""
PARCEL = "CORACLE_PARCEL"
"""Environment variable that tells where the controller has put what it sent."""
_STRANGE = ("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "devtmpfs", "debugfs", "tracefs", "securityfs", "pstore",
            "bpf", "binfmt_misc", "configfs", "fusectl", "hugetlbfs", "rpc_pipefs", "autofs", "nsfs")
_TEXT = 64 << 10
_TEXTS = 512 << 10
"""Bytes of a file, and of all together, that a diff shows of each side."""


class Work:
    """What stays open between the steps of one task.

    Attributes:
        done: Whether the plan has been carried out.
    """

    def __init__(self) -> None:
        self.held = ExitStack()
        self.done = False


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        record: The container's.
        source: Where the content comes from.
        place: Where it goes to.
        manner: How it shall be there.
        ids: What the container's user namespace makes of IDs, at the place.
        creator: Who new files are made by.
    """

    record: records.Record
    params: Mapping[str, Any]
    source: Any
    place: Place
    manner: Manner
    ids: Ids
    creator: Tuple[int, int]
    work: Work
    warnings: Tuple[str, ...] = ()
    options: Dict[str, Any] = {}


class Observed(NamedTuple):
    """What it takes."""

    steps: Tuple[Step, ...]
    options: Dict[str, Any] = {}


def key(params: Mapping[str, Any]) -> str:
    """The container's name."""
    return str(params["container"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Find both ends. Reads only.

    Raises:
        NotFound, Conflict: There is no such container, or one of the ends is not there.
        InvalidValue: Options contradict each other, or name a user that is not known.
    """
    _check(params)
    name = records.current(instance, params["container"])
    record = inside.known(instance, name)
    work = Work()
    try:
        return _resolve(instance, record, params, work)
    except BaseException:
        work.held.close()
        raise


def _resolve(instance: Instance, record: records.Record, params: Mapping[str, Any], work: Work) -> Desired:
    root, strange = _root(instance, record, params, work)
    if params["from_container"]:
        source: Any = sources.Files(Place(root, params["container_path"], params["follow"]), strange)
        place, ids, creator = Place(paths.Seen("/"), params["path"], params["local_follow"]), Ids(), (0, 0)
        manner = _manner(params, ids, _host_ids, (0, 0), 0o777)
    else:
        source = _source(params)
        place, ids = Place(root, params["container_path"], params["follow"]), Ids(record.ids)
        who = users.resolve(root, record.options["user"])
        new = ids.outside("uid", who.uid, "owner"), ids.outside("gid", who.gid, "group")
        creator = ids.outside("uid", 0, "owner"), ids.outside("gid", 0, "group")
        manner = _manner(params, ids, lambda text: _container_ids(root, text), new, 0o7777)
    place = _into(place, source, params)
    skipped = ["%s was not copied: it is no file, folder or link, or of a file system of the kernel's own" % each
               for each in source.skipped[:20]]
    return Desired(record, params, source, place, manner, ids, creator, work, tuple(skipped))


def _check(params: Mapping[str, Any]) -> None:
    if params["from_container"] and params["path"] is None:
        raise InvalidValue("path", None, "is needed with 'from_container: true'", "Say where on the managed host it shall go")
    if params["template"] and params["src"] is None:
        raise InvalidValue("template", True, "needs 'src'", "Name a template of the controller, or render 'content' in the playbook")
    if params["content_is_b64"] and params["content"] is None:
        raise InvalidValue("content_is_b64", True, "needs 'content'", "Leave it out")


def _root(instance: Instance, record: records.Record, params: Mapping[str, Any], work: Work) -> Tuple[paths.Seen, List[int]]:
    """The container's root, and the file systems below it that hold no files."""
    live = records.read_live(instance, record.name)
    now = status.status(instance, record.name, record, live)
    if now in (status.RUNNING, status.PAUSED) and live.init is not None:
        root = inside.root_of(live.init)
        work.held.callback(root.close)
        table = mounts.table(str(live.init.pid))
        return root, [os.makedev(*map(int, each.device.split(":"))) for each in table if each.fstype in _STRANGE]
    for row in record.options["mounts"]:
        if row["type"] == "tmpfs" and (params["container_path"] + "/").startswith(row["target"].rstrip("/") + "/"):
            raise Conflict("%s lies on a tmpfs, which the container '%s' has only while it runs" % (
                params["container_path"], record.shown), "Start it first, or name another place", option="container_path")
    return work.held.enter_context(at_rest.mounted(instance, record)), []


def _source(params: Mapping[str, Any]) -> Any:
    if params["content"] is not None:
        return sources.Text(_decoded(params))
    if params["src"] is not None:
        parcel = os.environ.get(PARCEL)
        if not parcel:
            raise NotFound("option 'src': the file '%s' is on the controller" % params["src"],
                           "Run the module as a task of Ansible, or name a file of the managed host with 'path'", option="src")
        return sources.Parcel(parcel)
    try:
        return sources.Files(Place(paths.Seen("/"), params["path"], params["local_follow"]))
    except NotFound as error:
        raise NotFound("option 'path': " + error.what, error.remedy, option="path") from error


def _decoded(params: Mapping[str, Any]) -> bytes:
    content = str(params["content"])
    if not params["content_is_b64"]:
        return content.encode("utf-8", "surrogateescape")
    import base64  # pylint: disable=import-outside-toplevel
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError as error:
        raise InvalidValue("content", content[:20] + "...", "is no Base64", "Encode it, or leave 'content_is_b64' out") from error


def _into(place: Place, source: Any, params: Mapping[str, Any]) -> Place:
    """A file that is to go to where a folder is goes into that, under its own name."""
    if source.entries[0].kind == FOLDER or not source.name:
        return place
    now = place.look("")
    if now is None or now.kind != FOLDER:
        return place
    folder = paths.Seen.of(place.open("", os.O_PATH | os.O_DIRECTORY), place.path)
    found = Place(folder, "/" + source.name, follow=False)
    found.path = place.shown(source.name)
    return found


def _manner(params: Mapping[str, Any], ids: Ids, look_up: Any, new: Tuple[int, int], bits: int) -> Manner:
    known: Dict[str, Optional[int]] = {"owner": None, "group": None}
    for option, kind in (("owner", "uid"), ("group", "gid")):
        if params[option] is not None:
            try:
                known[option] = ids.outside(kind, look_up((option, params[option])), option)
            except (EngineError, KeyError) as error:
                if isinstance(error, InvalidValue):
                    raise
                raise InvalidValue(option, params[option], "is not known at the other end: %s" % (
                    error.what if isinstance(error, EngineError) else "no such name"), "Name one that is there, or a number") from error
    return Manner(known["owner"], known["group"], new, params["mode"], params["directory_mode"], params["content"] is None, bits,
                  params["force"])


def _container_ids(root: paths.Seen, wanted: Tuple[str, str]) -> int:
    """The number of a user or group by the container's own files."""
    option, text = wanted
    return users.resolve(root, text).uid if option == "owner" else users.resolve(root, "0:" + text).gid


def _host_ids(wanted: Tuple[str, str]) -> int:
    """The number of a user or group of the host's."""
    import grp  # pylint: disable=import-outside-toplevel
    import pwd  # pylint: disable=import-outside-toplevel
    option, text = wanted
    if text.isdecimal():
        return int(text)
    return pwd.getpwnam(text).pw_uid if option == "owner" else grp.getgrnam(text).gr_gid


def let_go(desired: Desired) -> None:
    """The container's files are no longer needed."""
    desired.work.held.close()


def observe(_instance: Instance, desired: Desired) -> Observed:
    """Compare both ends; what has just been written need not be read again."""
    if desired.work.done:
        return Observed(())
    return Observed(tuple(entries.compare(desired.source, desired.place, desired.manner)))


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """A step for each file, folder or link."""
    return tuple(Change(step.action, desired.place.shown(step.entry.path), differences=tuple(
        Difference(name, None, None) for name in step.changed)) for step in observed.steps)


def apply(_instance: Instance, desired: Desired, observed: Observed, _changes: Plan) -> Dict[str, Any]:
    """Write it."""
    writer = writing.Writer(desired.source, desired.place, desired.creator, desired.params["backup"])
    writer.run(observed.steps)
    desired.work.done = True
    told = _told(desired)
    if writer.kept:
        told.update(backup_files=sorted(writer.kept), backup_file=min(writer.kept))
    return told


def rehearse(_instance: Instance, desired: Desired, _observed: Observed, _changes: Plan) -> Dict[str, Any]:
    """Where it would go."""
    return _told(desired)


def idle(_instance: Instance, desired: Desired, _observed: Observed) -> Dict[str, Any]:
    """Where it is."""
    return _told(desired)


def _told(desired: Desired) -> Dict[str, Any]:
    own = desired.params["from_container"]
    return {"container_path": desired.params["container_path"] if own else desired.place.path}


def diff(desired: Desired, observed: Observed) -> List[Dict[str, Any]]:
    """Per file what was and what will be: texts as texts, as long as they are not too long, all else by its properties."""
    found: List[Dict[str, Any]] = []
    budget = [_TEXTS]
    for step in observed.steps:
        path = desired.place.shown(step.entry.path)
        before, after = _properties(desired, step, False), _properties(desired, step, True)
        if before != after:
            found.append({"before_header": path, "after_header": path, "before": before, "after": after})
        if "content" in step.changed and step.entry.kind == FILE:
            texts = [_text(desired, step, side, budget) for side in (False, True)]
            if None not in texts:
                found.append({"before_header": path, "after_header": path, "before": texts[0], "after": texts[1]})
    return found


def _properties(desired: Desired, step: Step, after: bool) -> Dict[str, Any]:
    each = step.entry if after else step.now
    if each is None:
        return {"state": "absent"}
    told: Dict[str, Any] = {"state": each.kind}
    if each.kind == LINK:
        told["target"] = each.target
    mode, uid, gid = (step.mode, step.uid, step.gid) if after else (each.mode, each.uid, each.gid)
    if each.kind != LINK:
        told["mode"] = "%04o" % mode
    told.update(owner=desired.ids.inside("uid", uid), group=desired.ids.inside("gid", gid))
    if each.kind == FILE and "content" in step.changed:
        told["size"] = each.size
    return told


def _text(desired: Desired, step: Step, after: bool, budget: List[int]) -> Optional[str]:
    """The content of one side, or C(None) where it is no text, or too long."""
    each = step.entry if after else step.now
    if each is None or each.kind != FILE:
        return ""
    if each.size > min(_TEXT, budget[0]):
        return None
    try:
        stream = desired.source.open(each) if after else os.fdopen(desired.place.read(each.path), "rb", buffering=0)
        with stream:
            content = b"".join(sources.pieces(stream, each.size))
        budget[0] -= len(content)
        return None if b"\0" in content else content.decode("utf-8")
    except (UnicodeDecodeError, EngineError):
        return None


def report(_instance: Instance, desired: Desired, _observed: Observed) -> Dict[str, Any]:
    """What was looked at."""
    kinds = [each.kind for each in desired.source.entries]
    return {"container": desired.record.shown, "container_id": desired.record.id, "place": desired.place.path or "/",
            "files": kinds.count(FILE), "directories": kinds.count(FOLDER), "links": kinds.count(LINK),
            "size": sum(each.size for each in desired.source.entries), "skipped": desired.source.skipped}
