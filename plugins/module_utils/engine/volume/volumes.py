# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume's life: made, changed while it is in use, brought to where a container finds it, removed."""

from __future__ import annotations

import functools
import os
import time
from contextlib import ExitStack
from typing import Any, Callable, Collection, Mapping, Optional, Sequence, Union

from ..errors import Conflict, EngineError, NotFound
from ..instance import Instance
from ..kernel import mounts
from ..store import files, locks, removals
from . import content, drivers, mounting, records, room
from .records import Record

CONTENT_MODE = 0o755


def settle(instance: Instance, given: Mapping[str, Any], present: Optional[Record] = None) -> Record:
    """The complete volume that is asked for.

    Args:
        given: C(driver), C(driver_options), C(labels), C(owner), C(group), C(mode), C(size), typed; what is C(None) or not there stays
            as it is, or is the default.
        present: The volume that is there.

    Raises:
        InvalidValue: The options contradict each other.
        NotFound: The host has no such account.
    """
    old = present or Record(str(given["name"]))
    driver = given.get("driver") or old.driver
    options = given.get("driver_options")
    if options is None:
        options = old.driver_options if driver == old.driver else {}
    driver, options = drivers.normal(driver, options)
    size = old.size if given.get("size") is None else rounded(given["size"])
    drivers.check(driver, options, given.get("size"))
    new = old._replace(driver=driver, driver_options=options, size=size,
                       labels=old.labels if given.get("labels") is None else dict(given["labels"]),
                       owner=old.owner if given.get("owner") is None else _number(given["owner"], "owner"),
                       group=old.group if given.get("group") is None else _number(given["group"], "group"),
                       mode=old.mode if given.get("mode") is None else given["mode"])
    if present is None or not same_source(present, new):
        new = new._replace(backing=records.MOUNT if new.call is not None else room.backing(instance, size), project=0, fresh=True)
    return new


def rounded(size: int) -> int:
    """A size as every file system can keep it: whole blocks of 4096 bytes."""
    return -(-size // 4096) * 4096 if size >= 0 else size


def same_source(one: Record, other: Record) -> bool:
    """Whether the content is the same, whatever else differs."""
    return (one.driver, one.driver_options) == (other.driver, other.driver_options)


def _number(value: Union[int, str], option: str) -> int:
    if isinstance(value, int):
        return value
    import grp  # pylint: disable=import-outside-toplevel
    import pwd  # pylint: disable=import-outside-toplevel
    try:
        return pwd.getpwnam(value).pw_uid if option == "owner" else grp.getgrnam(value).gr_gid
    except KeyError:
        raise NotFound("option '%s': this host has no %s '%s'" % (option, "user" if option == "owner" else "group", value),
                       "Create it first, or write a number, which need not be an account's") from None


def create(instance: Instance, record: Record, source: Optional[str] = None) -> Record:
    """Make a volume, mounted where it has to be; the caller holds its lock. What was begun is taken back where it fails.

    Args:
        source: A tarball that it is filled from.

    Returns: The record as it was written.
    """
    name = record.name
    with ExitStack() as undo:
        if not os.path.isdir(records.folder(instance, name)):
            files.make_folder(instance.state_root)
            files.make_folder(instance.state("volumes"))
            undo.callback(files.remove_empty, instance.state("volumes"))
            files.make_folder(records.folder(instance, name))
            undo.callback(_quietly, lambda: _delete(records.folder(instance, name)))
        files.make_folder(records.content(instance, name), CONTENT_MODE)
        undo.callback(_quietly, lambda: mounting.detach(instance, record, force=True))
        record = room.make(instance, record._replace(created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))
        undo.callback(_quietly, lambda: room.forget(instance, record))
        attach(instance, record)
        path = records.content(instance, name)
        if record.backing == records.IMAGE:
            content.remove(os.path.join(path, "lost+found"))  # e2fsck(8) makes it again where it wants one
        if source is not None:
            content.restore(path, source)
            record = record._replace(fresh=False)
        content.own(path, record.owner, record.group, record.mode)
        records.save(instance, record)
        undo.pop_all()
    return record


def attach(instance: Instance, record: Record) -> None:
    """Mount a volume unless it is; a tmpfs begins anew, with owner and mode as they shall be."""
    if mounting.wanted(record) and mounting.seen(instance, record) is None:
        mounting.attach(instance, record)
        if record.driver == drivers.TMPFS:
            content.own(records.content(instance, record.name), record.owner, record.group, record.mode)


def change(instance: Instance, old: Record, new: Record) -> Record:
    """Bring a volume that is in use to new labels, owner, mode and size; what was done is taken back where a step fails."""
    path = records.content(instance, old.name)
    before = content.attributes(path)
    with ExitStack() as undo:
        if new.size is not None and room.current(instance, old) != new.size:
            new = room.resize(instance, old, new.size)._replace(labels=new.labels, owner=new.owner, group=new.group, mode=new.mode)
        undo.callback(_quietly, lambda: content.own(path, **before))
        content.own(path, new.owner, new.group, new.mode)
        records.save(instance, new)
        undo.pop_all()
    return new


def remove(instance: Instance, name: str, force: bool = False) -> None:
    """Remove a volume with its content; what another machine or another folder holds stays there. The caller holds its lock.

    Raises:
        Conflict: Something is mounted in it, or has it open; nothing was removed.
    """
    record = records.load(instance, name)
    if record is None:
        return
    below = mounting.inside(instance, name)
    if below and not force:
        raise Conflict("the volume '%s' has something mounted in it, at %s" % (name, below[0].target),
                       "Unmount that first, or say 'force: true'")
    for each in below:
        mounts.unmount(each.target, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
    if mounting.wanted(record):
        mounting.detach(instance, record, force)
    _delete(removals.put_away(records.folder(instance, name)))
    room.forget(instance, record)
    files.remove_empty(instance.state("volumes"))


def remove_unused(instance: Instance, names: Collection[str]) -> None:
    """Remove those of these volumes that no container mentions; what something on the host has open stays."""
    used = records.users(instance)
    for name in sorted(set(names) - set(used)):
        with locks.held(instance, "volume", name):
            _quietly(functools.partial(remove, instance, name))


def replace(instance: Instance, old: Record, new: Record, source: Optional[str] = None, force: bool = False) -> Record:
    """Put a new volume in the place of the old one, which comes back where that fails; the caller holds its lock.

    Args:
        source: As for C(create).
    """
    below = mounting.inside(instance, old.name)
    if below:
        raise Conflict("the volume '%s' has something mounted in it, at %s" % (old.name, below[0].target), "Unmount that first")
    if mounting.wanted(old):
        mounting.detach(instance, old, force)
    kept = instance.state("volumes", ".kept-" + old.name)
    os.rename(records.folder(instance, old.name), kept)
    try:
        made = create(instance, new, source)
    except BaseException:
        os.rename(kept, records.folder(instance, old.name))
        _quietly(lambda: attach(instance, old))
        raise
    _delete(kept)
    room.forget(instance, old)
    return made


def _delete(folder: str) -> None:
    """Delete a volume's folder, in which nothing must be mounted: that would be deleted too.

    Raises:
        Conflict: Something is.
    """
    below = mounts.below(folder)
    if below:
        raise Conflict("%s cannot be deleted, since something is mounted at %s" % (folder, below[0].target), "Unmount that first")
    content.remove(folder)


def ready(instance: Instance, name: str, filling: Optional[Callable[[str], bool]] = None, container: str = "",
          starting: bool = True) -> str:
    """The folder of a volume for a container that is about to start: made and mounted where it is not.

    Args:
        filling: Fills the folder of a volume that nothing was ever put into; says whether it did.
        starting: Whether a container is about to use it; else it stays to be filled.
        container: Whose it is where it is made now and has no name of its own.
    """
    with locks.held(instance, "volume", name):
        record = records.load(instance, name)
        if record is None:
            record = create(instance, settle(instance, {"name": name})._replace(container=container))
        again = record.driver == drivers.TMPFS and mounting.seen(instance, record) is None
        attach(instance, record)
        path = records.content(instance, name)
        if starting and (record.fresh or again):
            if filling is not None and content.empty(path) and filling(path):
                content.own(path, record.owner, record.group, record.mode)
            if record.fresh:
                records.save(instance, record._replace(fresh=False))
        return path


def refuse(name: str, users: Sequence[str]) -> None:
    """Say who uses a volume that was to go.

    Raises:
        Conflict: Always.
    """
    raise Conflict("volume '%s' is in use by: %s" % (name, ", ".join(users)),
                   "Remove these or take the volume from their options first, or say 'force: true', which leaves to those that run "
                   "what they have mounted")


def sweep(instance: Instance) -> None:
    """Delete what interrupted removals have left."""
    for path in removals.interrupted(instance.state("volumes")):
        _quietly(functools.partial(_delete, path))


def boot(instance: Instance) -> "list[str]":
    """Mount again what was mounted before the host went down; what failed, as sentences."""
    failed = []
    for record in records.every(instance):
        try:
            with locks.held(instance, "volume", record.name):
                attach(instance, record)
        except (EngineError, OSError) as error:  # one server must not stand in the way of the others
            failed.append("volume %s: %s" % (record.name, error))
    return failed


def _quietly(step: Callable[[], Any]) -> None:
    try:
        step()
    except (EngineError, OSError):
        pass
