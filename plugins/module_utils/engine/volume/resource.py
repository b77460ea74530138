# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_volume) manages: a volume by itself."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict
from ..instance import Instance
from ..kernel import mounts, quota
from ..plan import LIVE, RECREATE, Change, Difference, Plan
from . import content, information, mounting, records, room, volumes
from .records import Record

_COMPARED = ("driver", "driver_options", "labels", "owner", "group", "mode", "size")


class Desired(NamedTuple):
    """How a volume shall be.

    Attributes:
        record: With what nobody asked for as it is; C(None) where it shall not be there.
        options: For the comparison: what was asked for.
        backup: The tarball to be written, or C(None).
        restore: The tarball that it is filled from, or C(None).
        recreate: C(always), C(never) or C(options-changed).
    """

    name: str
    record: Optional[Record]
    options: Mapping[str, Any] = {}
    backup: Optional[str] = None
    restore: Optional[str] = None
    recreate: str = "never"
    force: bool = False


class Observed(NamedTuple):
    """How it is.

    Attributes:
        record: C(None) where it is not there.
        users: The containers that mention it.
        mounted: Whether what it needs is mounted.
        empty: Whether nothing was ever put into it.
        digests: Of what the tarball holds, and of what it would.
        used: Bytes in it, where it shall hold less than it does.
        counted: Whether its file system has project quotas.
        options: For the comparison.
    """

    record: Optional[Record]
    users: Tuple[str, ...]
    mounted: bool = True
    empty: bool = False
    digests: Tuple[Optional[str], Optional[str]] = (None, None)
    used: int = 0
    counted: bool = False
    options: Mapping[str, Any] = {}


def key(params: Mapping[str, Any]) -> str:
    """The volume's name."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """The complete volume that is asked for."""
    name = params["name"]
    if params["state"] == "absent":
        return Desired(name, None, force=params["force"])
    if params["backup"] is not None:
        content.check_backup(params["backup"])
    if params["restore"] is not None:
        content.check_restore(params["restore"])
    record = volumes.settle(instance, params, records.load(instance, name))
    shown = _options(record)
    return Desired(name, record, {option: shown[option] for option in _COMPARED if params[option] is not None},
                   params["backup"], params["restore"], params["recreate"], params["force"])


def observe(instance: Instance, desired: Desired, known: Optional[Mapping[str, Tuple[str, ...]]] = None) -> Observed:
    """What the record and the kernel tell of the volume.

    Args:
        known: The users of all volumes, where the caller has looked already.
    """
    record = records.load(instance, desired.name)
    users = (records.users(instance) if known is None else known).get(desired.name, ())
    if record is None or desired.record is None:
        return Observed(record, users, options=dict.fromkeys(desired.options))
    path = records.content(instance, desired.name)
    options = _options(record)
    if mounting.wanted(record) and mounting.seen(instance, record) is None:
        return Observed(record, users, mounted=False, options={key: options[key] for key in ("driver", "driver_options", "labels")})
    options.update(content.attributes(path), size=room.current(instance, record))
    digests: Tuple[Optional[str], Optional[str]] = (None, None)
    if desired.backup is not None:
        digests = content.written(desired.backup), content.digest(path)
    less = desired.record.size is not None and desired.record.size != options["size"]
    return Observed(record, users, True, record.fresh and content.empty(path), digests,
                    information.used(instance, record, True) or 0 if less else 0,
                    less and quota.read(path, 0) is not None, options)


def plan(desired: Desired, observed: Observed, differences: Sequence[Difference]) -> Plan:
    """The steps in between.

    Raises:
        Conflict: They would take away what is in use, or what is in the volume without having been told so.
    """
    name = desired.name
    if desired.record is None:
        if observed.record is not None and observed.users and not desired.force:
            volumes.refuse(name, observed.users)
        return (Change("remove", name, RECREATE),) if observed.record is not None else ()
    filling = (Difference("restore", None, desired.restore),) if desired.restore is not None else ()
    if observed.record is None:
        return (Change("create", name, LIVE, (*differences, *filling)), *_backup(desired, observed, True))
    replacing = [each for each in differences if each.disruption != LIVE]
    if desired.recreate == "always" or replacing:
        if desired.recreate == "never":
            raise Conflict("volume '%s': %s cannot be changed while its content stays" % (
                name, " and ".join("'%s'" % each.option for each in replacing)),
                "Say 'recreate: options-changed' to make it anew%s" % (
                    ", which deletes what is in it; 'backup' writes that to a tarball first" if observed.record.ours else ""))
        if observed.users and not desired.force:
            volumes.refuse(name, observed.users)
        return (*_backup(desired, observed, False), Change("recreate", name, RECREATE, (*differences, *filling)))
    steps: List[Change] = [] if observed.mounted else [Change("mount", name)]
    for each in differences:
        if each.option == "size":
            room.check(observed.record, each.after, observed.used, observed.counted)
    if differences:
        steps.append(Change("update", name, LIVE, tuple(differences)))
    if filling and observed.empty:
        steps.append(Change("restore", name, LIVE, filling))
    return (*steps, *_backup(desired, observed, bool(steps)))


def _backup(desired: Desired, observed: Observed, changed: bool) -> Plan:
    """A step where the tarball is not what it has to be; after another step nobody knows what it will be."""
    before, after = observed.digests
    if desired.backup is None or before == after and before is not None and not changed:
        return ()
    return (Change("backup", desired.name, LIVE, (Difference("backup", before, "what is in the volume then" if changed else after),)),)


def apply(instance: Instance, desired: Desired, observed: Observed, steps: Plan) -> Dict[str, Any]:
    """Carry the steps out."""
    name, record, present = desired.name, desired.record, observed.record
    path = records.content(instance, name)
    for step in steps:
        if record is None:
            volumes.remove(instance, name, desired.force)
        elif step.action == "create":
            volumes.create(instance, record, desired.restore)
        elif step.action == "recreate" and present is not None:
            volumes.replace(instance, present, record, desired.restore, desired.force)
        elif step.action == "mount":
            volumes.attach(instance, record)
            content.own(path, record.owner, record.group, record.mode)
        elif step.action == "update" and present is not None:
            volumes.change(instance, present, record)
        elif step.action == "restore" and desired.restore is not None:
            content.restore(path, desired.restore)
            content.own(path, record.owner, record.group, record.mode)
            records.save(instance, record._replace(fresh=False))
        elif step.action == "backup" and desired.backup is not None:
            content.backup(path, desired.backup)
    return {}


def rehearse(_instance: Instance, desired: Desired, _observed: Observed, steps: Plan) -> Dict[str, Any]:
    """Read the tarball that would be restored."""
    if desired.restore is not None and any(step.action in ("create", "recreate", "restore") for step in steps):
        content.verify(desired.restore)
    return {}


def report(instance: Instance, desired: Desired, _observed: Observed) -> Dict[str, Any]:
    """The volume's full state."""
    users = records.users(instance).get(desired.name, ())
    return information.of(instance, desired.name, records.load(instance, desired.name), users, mounts.table(), usage=False)


def _options(record: Record) -> Dict[str, Any]:
    """A volume as the options of the module show it."""
    return {option: getattr(record, option) for option in _COMPARED}
