# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User namespaces of containers: each its own range of the host's IDs, and namespaces that belong to it.

The namespaces are made before the process, since the mounts of its layers are
mapped to them and its network is connected first; a file in the run folder
keeps the user namespace until then.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..errors import InvalidValue, NotFound, Unsupported
from ..instance import Instance
from ..kernel import bystander, mounts, namespaces
from ..network import namespace as network
from ..runtime import isolation
from ..store import files
from . import records

SIZE = 65536
"""IDs of one container, where nothing else is said."""
OWNERS = ("coracle", "containers")
"""Whose ranges in /etc/subuid and /etc/subgid (subuid(5)) are used; the first that has one large enough."""
POOL = (0x70000000, 0x7FFF0000)
"""Where neither has one: above what systemd-nspawn takes, below where IDs would be negative."""
FILES = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
LIMIT = 4 << 20
"""Bytes of either file that are looked at."""
_FILE = "userns"
_END = 2**32 - 1
Rows = List[List[int]]
"""ID inside, ID on the host, number of IDs: a row of user_namespaces(7)."""


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether the container gets a user namespace of its own."""
    return options["userns_mode"] != "host" or bool(options.get("uidmap") or options.get("gidmap"))


def check(full: Mapping[str, Any]) -> None:
    """Refuse what cannot be mapped; reads only.

    Raises:
        InvalidValue, NotFound: Names the option.
    """
    if (full.get("uidmap") or full.get("gidmap")) and full["userns_mode"] != "host":
        raise InvalidValue("userns_mode", full["userns_mode"], "does not go with 'uidmap' and 'gidmap'",
                           "Leave one of the two out")
    if full["userns_mode"].startswith("remap:"):
        _remapped(full["userns_mode"])


def allocate(instance: Instance, name: str, options: Mapping[str, Any]) -> Optional[Dict[str, Rows]]:
    """The mappings of a new container, by C(uid) and C(gid); C(None) without a user namespace.

    Raises:
        Unsupported: All ranges are taken.
        NotFound: The user that is named has none.
    """
    if not wanted(options):
        return None
    mode = options["userns_mode"]
    if mode == "host":
        users = options.get("uidmap") or options["gidmap"]
        return {"uid": users, "gid": options.get("gidmap") or users}
    if mode.startswith("remap:"):
        return _remapped(mode)
    size = int(mode.partition("=")[2] or SIZE)
    return {kind: [[0, _free(instance, name, kind, size), size]] for kind in FILES}


def _remapped(mode: str) -> Dict[str, Rows]:
    """The whole of a user's ranges, one after the other, as Docker's userns-remap has it."""
    owner = mode.partition(":")[2]
    found: Dict[str, Rows] = {}
    for kind, path in FILES.items():
        rows: Rows = []
        inside = 0
        for first, count in _ranges(path).get(owner, ()):
            rows.append([inside, first, count])
            inside += count
        if not rows:
            raise NotFound("option 'userns_mode': the user '%s' has no range in %s" % (owner, path),
                           "Give it one, for example with 'usermod --add-sub%ss 100000-165535 %s'" % (kind, owner))
        found[kind] = rows[:340]
    return found


def _free(instance: Instance, name: str, kind: str, size: int) -> int:
    """The first ID of a range that no other container has."""
    first, end = _pool(kind, size)
    taken = []
    for each in records.names(instance):
        record = records.read(instance, each) if each != name else None
        taken += [(row[1], row[1] + row[2]) for row in ((record.ids or {}).get(kind, ()) if record is not None else ())]
    base = first
    for low, high in sorted(taken):
        if low < base + size and high > base:
            base = high
    if base + size <= end:
        return base
    raise Unsupported("there is no range of %d %ss left between %d and %d" % (size, kind.upper(), first, end),
                      "Give the user '%s' a larger range in %s" % (OWNERS[0], FILES[kind]))


def _pool(kind: str, size: int) -> "tuple[int, int]":
    ranges = _ranges(FILES[kind])
    for owner in OWNERS:
        first, count = max(ranges.get(owner, [(0, 0)]), key=lambda each: each[1])
        if count >= size:
            return first, first + count
    return POOL


def _ranges(path: str) -> Dict[str, "list[tuple[int, int]]"]:
    """Owner to first ID and number of IDs of each of its ranges; lines that make no sense are left out, as elsewhere."""
    found: Dict[str, "list[tuple[int, int]]"] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            rows = [line.strip().split(":") for line in stream.read(LIMIT).splitlines()]
    except FileNotFoundError:
        return found
    for row in rows:
        if len(row) == 3 and all(re.match(r"^[0-9]{1,10}\Z", part) for part in row[1:]):
            first, count = int(row[1]), int(row[2])
            if row[0] and first > 0 and count > 0 and first + count <= _END:
                found.setdefault(row[0], []).append((first, count))
    return found


def mappings(ids: Optional[Mapping[str, Rows]]) -> Dict[str, List[Dict[str, int]]]:
    """C(uidMappings) and C(gidMappings) as C(linux) has them."""
    return {kind + "Mappings": [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in rows]
            for kind, rows in (ids or {}).items()}


def root_of(ids: Mapping[str, Rows]) -> "tuple[int, int]":
    """The host's IDs of the container's root: user and group."""
    uid, gid = (next(row[1] for row in ids[kind] if row[0] == 0) for kind in FILES)
    return uid, gid


def need(ids: Optional[Mapping[str, Rows]], user: str, uid: int, gids: Sequence[int]) -> None:
    """Check that who the process shall be is mapped.

    Args:
        user: As it was asked for.

    Raises:
        InvalidValue: Somebody is not.
    """
    for kind, wanted_ids in (("uid", [uid]), ("gid", sorted(set(gids)))):
        rows = (ids or {}).get(kind)
        missing = [each for each in wanted_ids if rows is not None
                   and not any(row[0] <= each < row[0] + row[2] for row in rows)]
        if missing:
            raise InvalidValue("user", user, "has the %s %s, which its user namespace does not map" % (
                kind, ", ".join(map(str, missing))), "Map more IDs with 'uidmap' and 'gidmap', or with 'userns_mode: auto:size=N'")


def on_host(ids: Optional[Mapping[str, Rows]], kind: str, number: int) -> int:
    """The host's ID of a user (C(uid)) or group (C(gid)) of a container.

    Raises:
        InvalidValue: Its user namespace does not map it.
    """
    for inside, outside, size in [[0, 0, _END]] if ids is None else ids[kind]:
        if inside <= number < inside + size:
            return int(number - inside + outside)
    raise InvalidValue(kind, number, "is not mapped by the container's user namespace", "Name one that is, or map more IDs")


def path(instance: Instance, name: str) -> str:
    """The file that stands for a container's user namespace."""
    return records.run_folder(instance, name, _FILE)


def make(instance: Instance, name: str, ids: Mapping[str, Rows], with_network: bool) -> None:
    """Make a container's user namespace, and its network namespace so that it belongs to that one; unless they are."""
    target = path(instance, name)
    if mounts.at(target) is not None:
        return
    flags = namespaces.NEWUSER | (namespaces.NEWNET if with_network else 0)
    with bystander.bystander(flags) as pid:
        isolation.write_maps(pid, mappings(ids))
        files.write(target, b"", durable=False)
        mounts.mount("/proc/%d/ns/user" % pid, target, None, mounts.MS_BIND)
        try:
            if with_network:
                os.close(network.create(instance, name, "/proc/%d/ns/net" % pid))
        except BaseException:
            mounts.unmount_if_mounted(target)
            raise
