# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroup file systems inside a container: v2, v1 or both, as the host has them."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..kernel import mounts, paths
from . import places
from .mount_options import Options

_LINKED = ("cpu", "cpuacct", "net_cls", "net_prio")


class Cgroups(NamedTuple):
    """What the host has, found before the root changed.

    Attributes:
        v1: Of each v1 hierarchy: the name of its folder below the mount, its mount options, and the
            container's own folder in it.
        v2: The container's folder in the v2 hierarchy, or C(None).
        hybrid_name: The name of v2's folder beside the v1 ones, or nothing on a pure v2 host.
        own_namespace: Whether the container has a cgroup namespace, so that a new mount shows its own part.
    """

    v1: Tuple[Tuple[str, str, str], ...] = ()
    v2: Optional[str] = None
    hybrid_name: str = ""
    own_namespace: bool = True


def mount(root: paths.Root, destination: str, options: Options, cgroups: Cgroups) -> None:
    """Show the container its cgroups at a destination."""
    read_only = options.set & mounts.MOUNT_ATTR_RDONLY
    if not cgroups.v1:
        if cgroups.v2 is None:
            raise FileNotFoundError(2, "the host has no cgroup file system", destination)
        _attach(root, destination, _tree("cgroup2", [], cgroups.v2, options.set, cgroups.own_namespace))
        return
    attributes = options.set & ~read_only
    _attach(root, destination, mounts.new_file_system("tmpfs", [("source", "cgroup"), ("mode", "755")], attributes))
    for name, setting, folder in cgroups.v1:
        key, equals, value = setting.partition("=")
        settings: List[Tuple[str, Optional[str]]] = [(key, value)] if equals else [(each, None) for each in setting.split(",")]
        if equals:
            settings.insert(0, ("none", None))
        _attach(root, os.path.join(destination, name),
                _tree("cgroup", settings, folder, options.set, cgroups.own_namespace))
        for part in name.split(","):
            if part != name:
                _link(root, destination, part, name)
    if cgroups.v2 is not None and cgroups.hybrid_name:
        _attach(root, os.path.join(destination, cgroups.hybrid_name),
                _tree("cgroup2", [], cgroups.v2, options.set, cgroups.own_namespace))
    if read_only:
        handle = root.open(destination)
        try:
            mounts.set_attributes("", read_only, directory=handle)
        finally:
            os.close(handle)


def shown(destination: str, cgroups: Cgroups) -> List[Tuple[str, str]]:
    """The folders of the host that C(mount) shows at a destination: where, and which; none where it makes mounts of its own."""
    if cgroups.own_namespace:
        return []
    found = [(os.path.join(destination, name), folder) for name, _setting, folder in cgroups.v1]
    if cgroups.v2 is not None and (cgroups.hybrid_name or not cgroups.v1):
        found.append((os.path.join(destination, cgroups.hybrid_name).rstrip("/"), cgroups.v2))
    return found


def _tree(fstype: str, settings: List[Tuple[str, Optional[str]]], folder: str, attributes: int, own: bool) -> int:
    if own:
        return mounts.new_file_system(fstype, [("source", fstype)] + settings, attributes)
    # Without a cgroup namespace a new mount would show all of the host's groups: show the container's alone.
    tree = mounts.open_tree(folder, clone=True)
    mounts.set_attributes("", attributes, directory=tree)
    return tree


def _attach(root: paths.Root, destination: str, tree: int) -> None:
    try:
        places.attach(root, destination, tree)
    finally:
        os.close(tree)


def _link(root: paths.Root, destination: str, name: str, target: str) -> None:
    handle = root.open(destination, os.O_PATH | os.O_DIRECTORY)
    try:
        os.symlink(target, name, dir_fd=handle)
    except FileExistsError:
        pass
    finally:
        os.close(handle)


def setting_of(folder: str, mounted: List[mounts.Mount]) -> str:
    """The mount options that name a v1 hierarchy again: its controllers, or C(name=...)."""
    found = mounts.at(folder, mounted)
    options = found.super_options if found is not None else ()
    named = [each for each in options if each.startswith("name=")]
    flags = ("rw", "ro", "xattr", "noprefix", "cpuset_v2_mode", "favordynmods", "none", "clone_children")
    controllers = [each for each in options if each not in flags and "=" not in each]
    return named[0] if named else ",".join(controllers)


def needed(config: Dict[str, Any], path: str, own: bool) -> Cgroups:
    """What a mount of the cgroup file system will need; found out only where there is such a mount.

    Args:
        path: The container's cgroup.
        own: Whether it has a cgroup namespace of its own.
    """
    if not any(each.get("type") in ("cgroup", "cgroup2") for each in config.get("mounts") or ()):
        return Cgroups()
    from ..cgroup import hierarchy  # pylint: disable=import-outside-toplevel
    found = hierarchy.discover()
    mounted = mounts.table()
    rows = [(os.path.basename(folder), setting_of(folder, mounted), hierarchy.folder(folder, path or "/"))
            for folder in found.folders]
    v2 = hierarchy.folder(found.v2, path or "/") if found.v2 else None
    return Cgroups(tuple(rows), v2, os.path.basename(found.v2) if found.v2 and rows else "", own)
