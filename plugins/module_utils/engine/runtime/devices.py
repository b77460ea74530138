# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes of a container: the default ones, those that its configuration adds, and the usual links."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ..kernel import mounts, paths

DEFAULT = (("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8),
           ("/dev/urandom", 1, 9), ("/dev/tty", 5, 0))
"""Path, major and minor number of the nodes that every container has (runtime-spec config-linux.md)."""
LINKS = (("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
         ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"))
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Node(NamedTuple):
    """One device node; C(mode) holds type and permission bits."""

    path: str
    mode: int
    device: int
    uid: int = 0
    gid: int = 0


def nodes(config: Dict[str, Any]) -> List[Node]:
    """The nodes of a configuration: the default ones, unless it names the same path, and its own."""
    own = [Node(each["path"], _KINDS[each["type"]] | (0o666 if each.get("fileMode") is None else each["fileMode"] & 0o7777),
                os.makedev(each.get("major") or 0, each.get("minor") or 0), each.get("uid") or 0, each.get("gid") or 0)
           for each in (config.get("linux") or {}).get("devices") or () if each["type"] != "a"]
    named = {each.path for each in own}
    return [Node(path, stat.S_IFCHR | 0o666, os.makedev(major, minor)) for path, major, minor in DEFAULT
            if path not in named] + own


def allow_rules() -> List[Dict[str, Any]]:
    """The cgroup's device rules that a container's default nodes need (as runc and Docker have them)."""
    pairs = [(major, minor) for _path, major, minor in DEFAULT] + [(5, 2), (136, -1)]  # ptmx and the pts
    rules: List[Dict[str, Any]] = [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    for major, minor in pairs:
        rule: Dict[str, Any] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        if minor >= 0:
            rule["minor"] = minor
        rules.append(rule)
    return rules


def make(root: paths.Root, wanted: Sequence[Node], by_bind: bool) -> None:
    """Make the nodes beneath the root.

    Args:
        by_bind: Whether to show the host's nodes instead: in a user namespace mknod(2) is refused.
    """
    folder, folder_path = -1, ""
    try:
        for node in wanted:
            parent, name = os.path.split(node.path)
            if parent != folder_path:
                if folder >= 0:
                    os.close(folder)
                folder, folder_path = -1, ""
                folder, folder_path = root.make_folders(parent), parent
            if by_bind and not stat.S_ISFIFO(node.mode):
                _bind(root, node)
                continue
            try:
                _make(folder, name, node)
            except PermissionError:
                _bind(root, node)
    finally:
        if folder >= 0:
            os.close(folder)


def _make(folder: int, name: str, node: Node) -> None:
    try:
        os.mknod(name, node.mode, node.device, dir_fd=folder)
    except FileExistsError:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(node.mode) or found.st_rdev != node.device:
            raise
    # The mode is made exact in spite of the umask, through a descriptor that follows no link.
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(handle)
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(node.mode) or found.st_rdev != node.device:
            raise OSError(errno.EEXIST, "something else is there", node.path)
        if (found.st_uid, found.st_gid) != (node.uid, node.gid):
            os.chown(name, node.uid, node.gid, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(handle)


def _bind(root: paths.Root, node: Node) -> None:
    tree = mounts.open_tree(node.path, clone=True)
    try:
        if os.fstat(tree).st_rdev != node.device:
            raise OSError(errno.ENODEV, "the host has another device there", node.path)
        target = root.make_file(node.path)
        try:
            mounts.move_mount(tree, "", target)
        finally:
            os.close(target)
    finally:
        os.close(tree)


def link(root: paths.Root, links: Sequence[Tuple[str, str]] = LINKS) -> None:
    """Make the usual links in /dev; one that is there already stays, but for ptmx, which must be the container's."""
    folder = root.make_folders("/dev")
    try:
        for path, target in links:
            name = os.path.basename(path)
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                if name == "ptmx":
                    os.unlink(name, dir_fd=folder)
                    os.symlink(target, name, dir_fd=folder)
    finally:
        os.close(folder)
