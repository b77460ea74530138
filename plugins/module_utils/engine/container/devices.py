# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of the host that a container gets: their nodes, and the rules that let it use them."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from ..errors import InvalidValue, NotFound

_NOT_OF_THE_HOST = ("pts", "shm", "fd", "mqueue", "console", ".udev", ".lxc", ".lxd-mounts")
"""In /dev, what each container has of its own."""
MOST = 4096
"""Nodes that one folder may bring."""


class Devices(NamedTuple):
    """What of the configuration comes from the devices.

    Attributes:
        nodes: C(linux.devices).
        rules: Further ones of C(linux.resources.devices).
    """

    nodes: Sequence[Dict[str, Any]] = ()
    rules: Sequence[Dict[str, Any]] = ()


def of(options: Mapping[str, Any]) -> Devices:
    """The nodes as they are on the host now, and their rules; reads only.

    Raises:
        NotFound: A device is missing.
        InvalidValue: A path is neither a device nor a folder of devices.
    """
    nodes: Dict[str, Dict[str, Any]] = {}
    rules: List[Dict[str, Any]] = []
    if options.get("privileged"):
        rules.append({"allow": True, "access": "rwm"})
        nodes.update((path, _node(path, status)) for path, status in _within("/dev", _NOT_OF_THE_HOST))
    for text in options.get("devices") or ():
        host, inside, access = text.split(":")
        for path, status in _named(host):
            node = _node(inside + path[len(host):], status)
            nodes[node["path"]] = node
            rules.append({"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"],
                          "access": access})
    return Devices(list(nodes.values()), rules + [_rule(text) for text in options.get("device_cgroup_rules") or ()])


def _named(path: str) -> List[Tuple[str, os.stat_result]]:
    """The device at a path of the host, or those in a folder."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise NotFound("option 'devices': there is no %s on this host: %s" % (path, error.strerror),
                       "Load its driver first, or leave it out") from error
    if _is_device(status):
        return [(path, status)]
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidValue("devices", path, "is no device on this host", "Give a device, or a folder of devices")
    found = list(_within(path))
    if not found:
        raise NotFound("option 'devices': there is no device in the folder %s" % path, "Give a device")
    return found


def _within(folder: str, apart: Sequence[str] = ()) -> Iterator[Tuple[str, os.stat_result]]:
    count = 0
    for where, folders, files in os.walk(folder):
        if where == folder:
            folders[:] = [name for name in folders if name not in apart]
        for name in sorted(files):
            path = os.path.join(where, name)
            if where == folder and name in apart:
                continue
            try:
                status = os.lstat(path)
            except OSError:
                continue  # gone between two looks
            if _is_device(status):
                count += 1
                if count > MOST:
                    raise InvalidValue("devices", folder, "has more than %d devices" % MOST, "Name those that are needed")
                yield path, status


def _is_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _node(path: str, status: os.stat_result) -> Dict[str, Any]:
    return {"path": path, "type": "c" if stat.S_ISCHR(status.st_mode) else "b", "major": os.major(status.st_rdev),
            "minor": os.minor(status.st_rdev), "fileMode": stat.S_IMODE(status.st_mode), "uid": status.st_uid,
            "gid": status.st_gid}


def _rule(text: str) -> Dict[str, Any]:
    kind, numbers, access = text.split(" ")
    rule: Dict[str, Any] = {"allow": True, "type": kind, "access": access}
    rule.update((key, int(number)) for key, number in zip(("major", "minor"), numbers.split(":")) if number != "*")
    return rule
