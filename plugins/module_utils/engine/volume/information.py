# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of volumes: each with what the kernel says of it, and with the containers that use it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..instance import Instance
from ..kernel import mounts, quota
from ..store import files
from . import content, drivers, mounting, records, room
from .records import Record


def describe(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The volumes with certain names, in this order; without names all."""
    found = {record.name: record for record in records.every(instance)}
    names = params["name"] if params["name"] is not None else list(found)
    users, table = records.users(instance), mounts.table()
    wanted = params["label"] or {}
    told = [of(instance, name, found.get(name), users.get(name, ()), table, params["usage"]) for name in names]
    return [each for each in told if not wanted or each["exists"] and all(
        key in each["labels"] and value in (None, each["labels"][key]) for key, value in wanted.items())]


def of(instance: Instance, name: str, record: Optional[Record], users: Sequence[str], table: Sequence[mounts.Mount],
       usage: bool) -> Dict[str, Any]:
    """One volume; C(exists) says whether there is one of this name.

    Args:
        usage: Whether to count what is in a folder file by file; where the file system knows, it is told in any case.
    """
    if record is None:
        return {"name": name, "exists": False}
    mounted = not mounting.wanted(record) or mounting.seen(instance, record, table) is not None
    seen: Dict[str, Any] = content.attributes(records.content(instance, name)) if mounted else dict.fromkeys(("owner", "group", "mode"))
    return {"name": name, "exists": True, "driver": record.driver, "driver_options": drivers.masked(record.driver_options),
            "labels": record.labels, **seen, "mode": None if seen["mode"] is None else "%04o" % seen["mode"],
            "size": room.current(instance, record) if mounted else record.size,
            "used": used(instance, record, usage) if mounted else None, "backing": record.backing, "mounted": mounted,
            "mountpoint": records.content(instance, name), "created": record.created, "container": record.container or None,
            "used_by": list(users)}


def used(instance: Instance, record: Record, count: bool) -> Optional[int]:
    """Bytes in a volume; of a folder only with C(count), since its files have to be looked at one by one."""
    path = records.content(instance, record.name)
    if record.backing == records.PROJECT:
        found = quota.read(path, record.project)
        return None if found is None else found.used
    if record.backing == records.FOLDER or record.call is not None and record.call.bind:
        return files.usage(path) if count else None
    space = os.statvfs(path)
    if not space.f_blocks:  # a tmpfs without a limit does not say
        return files.usage(path)
    return (space.f_blocks - space.f_bfree) * space.f_frsize


def on_disk(instance: Instance, record: Record) -> int:
    """Bytes that removing a volume gives back to the disk of the state root; what is mounted for it is not among them."""
    folder = records.folder(instance, record.name)
    parts = [name for name in os.listdir(folder) if name != "_data" or not mounting.wanted(record)]
    return sum(files.usage(os.path.join(folder, part)) for part in parts)
