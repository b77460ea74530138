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
from typing import Any, Dict, List

from ..errors import Unsupported
from ..instance import Instance
from ..kernel import clone, mounts, namespaces
from ..network import namespace as network
from ..runtime import isolation
from ..store import files
from . import records

SIZE = 65536
"""IDs of one container."""
OWNERS = ("coracle", "containers")
"""Whose ranges in /etc/subuid and /etc/subgid (subuid(5)) are used; the first that has one."""
POOL = (0x70000000, 0x7FFF0000)
"""Where neither has one: above what systemd-nspawn takes, below where IDs would be negative."""
_FILE = "userns"


def allocate(instance: Instance, name: str) -> int:
    """The first ID of a range that no other container has; the same for users and groups.

    Raises:
        Unsupported: All ranges are taken.
    """
    taken = set()
    for each in records.names(instance):
        record = records.read(instance, each) if each != name else None
        if record is not None and record.id_base is not None:
            taken.add(record.id_base)
    first, end = _pool()
    for base in range(first, end - SIZE + 1, SIZE):
        if base not in taken:
            return base
    raise Unsupported("there is no range of %d user IDs left between %d and %d" % (SIZE, first, end),
                      "Give the user '%s' a larger range in /etc/subuid and /etc/subgid" % OWNERS[0])


def _pool() -> "tuple[int, int]":
    users, groups = _ranges("/etc/subuid"), _ranges("/etc/subgid")
    for owner in OWNERS:
        if owner in users and owner in groups:
            first = max(users[owner][0], groups[owner][0])
            end = min(sum(users[owner]), sum(groups[owner]))
            if end - first >= SIZE:
                return first, end
    return POOL


def _ranges(path: str) -> Dict[str, "tuple[int, int]"]:
    """Owner to first ID and number of IDs; of several the largest."""
    found: Dict[str, "tuple[int, int]"] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            rows = [line.strip().split(":") for line in stream]
    except FileNotFoundError:
        return found
    for row in rows:
        if len(row) == 3 and row[1].isdigit() and row[2].isdigit():
            entry = (int(row[1]), int(row[2]))
            found[row[0]] = max(found.get(row[0], (0, 0)), entry, key=lambda each: each[1])
    return found


def mappings(base: int) -> List[Dict[str, int]]:
    """As C(linux.uidMappings) has them."""
    return [{"containerID": 0, "hostID": base, "size": SIZE}]


def path(instance: Instance, name: str) -> str:
    """The file that stands for a container's user namespace."""
    return records.run_folder(instance, name, _FILE)


def make(instance: Instance, name: str, base: int, with_network: bool) -> None:
    """Make a container's user namespace, and its network namespace so that it belongs to that one; unless they are."""
    target = path(instance, name)
    if mounts.at(target) is not None:
        return
    flags = namespaces.NEWUSER | (namespaces.NEWNET if with_network else 0)
    waiting, release = os.pipe2(os.O_CLOEXEC)
    child = clone.clone(flags)
    if child.pid == 0:
        os.close(release)
        os.read(waiting, 1)
        os._exit(0)
    try:
        maps: Dict[str, Any] = {"uidMappings": mappings(base), "gidMappings": mappings(base)}
        isolation.write_maps(child.pid, maps)
        files.write(target, b"", durable=False)
        mounts.mount("/proc/%d/ns/user" % child.pid, target, None, mounts.MS_BIND)
        if with_network:
            os.close(network.create(instance, name, "/proc/%d/ns/net" % child.pid))
    except BaseException:
        mounts.unmount_if_mounted(target)
        raise
    finally:
        os.close(waiting)
        os.close(release)
        os.waitpid(child.pid, 0)
        os.close(child.pidfd)
