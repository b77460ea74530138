# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes of a container: the default ones, those that its configuration adds, and the usual links."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..kernel import mounts, paths
from . import isolation, places, record

DEFAULT = (("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8),
           ("/dev/urandom", 1, 9), ("/dev/tty", 5, 0))
"""Path, major and minor number of the nodes that every container has (runtime-spec config-linux.md)."""
LINKS = (("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
         ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"))
NULL = os.makedev(1, 3)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Node(NamedTuple):
    """One device node.

    Attributes:
        mode: Its type and permission bits.
        tree: A detached mount of it, where the parent has made it; see C(prepared).
    """

    path: str
    mode: int
    device: int
    uid: int = 0
    gid: int = 0
    tree: Optional[int] = None


def nodes(config: Dict[str, Any]) -> List[Node]:
    """The nodes of a configuration: the default ones, unless it names the same path, and its own."""
    own = [Node("/" + each["path"].strip("/"),
                _KINDS[each["type"]] | (0o666 if each.get("fileMode") is None else each["fileMode"] & 0o7777),
                os.makedev(each.get("major") or 0, each.get("minor") or 0), each.get("uid") or 0, each.get("gid") or 0)
           for each in (config.get("linux") or {}).get("devices") or ()]
    named = {each.path for each in own}
    return [Node(path, stat.S_IFCHR | 0o666, os.makedev(major, minor)) for path, major, minor in DEFAULT
            if path not in named] + own


def prepared(wanted: Sequence[Node], linux: Dict[str, Any], folder: str, opened: List[int], made: List[str]) -> List[Node]:
    """For a new user namespace, in which mknod(2) is refused: make its own nodes here, as detached mounts.

    The default ones are those of the host, shown. So is whatever this process may not make either.

    Args:
        folder: Where the nodes lie till they are mounted.
        opened: Gets the descriptors, for the caller to close.
        made: Gets the paths of the nodes, for the caller to remove.
    """
    result = []
    for node in wanted:
        if (node.path, os.major(node.device), os.minor(node.device)) not in DEFAULT and not stat.S_ISFIFO(node.mode):
            path = os.path.join(folder, "%s%d" % (record.DEVICE, len(made)))
            try:
                os.mknod(path, node.mode, node.device)
            except PermissionError:
                result.append(node)
                continue
            made.append(path)
            os.chmod(path, stat.S_IMODE(node.mode))
            os.chown(path, isolation.host_id(linux, "uid", node.uid), isolation.host_id(linux, "gid", node.gid))
            opened.append(mounts.open_tree(path, clone=True))
            mounts.set_attributes("", 0, mounts.MOUNT_ATTR_NODEV, directory=opened[-1])
            node = node._replace(tree=opened[-1])
        result.append(node)
    return result


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
            if node.tree is not None:
                places.attach(root, node.path, node.tree, folder=False)
                continue
            if by_bind and not stat.S_ISFIFO(node.mode):
                _bind(root, node, folder, name)
                continue
            try:
                _make(folder, name, node)
            except PermissionError:
                _bind(root, node, folder, name)
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
            os.chown("/proc/self/fd/%d" % handle, node.uid, node.gid)  # of what was looked at, not of a name
    finally:
        os.close(handle)


def null() -> int:
    """A detached mount of the host's null device, checked; never of the one that a container's root holds.

    Raises:
        OSError: The host has none.
    """
    tree = mounts.open_tree("/dev/null", clone=True)
    if not is_null(tree):
        os.close(tree)
        raise OSError(errno.ENODEV, "is not the null device on this host", "/dev/null")
    return tree


def is_null(handle: int) -> bool:
    """Whether a descriptor is of the null device."""
    status = os.fstat(handle)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == NULL


def _bind(root: paths.Root, node: Node, folder: int, name: str) -> None:
    tree = mounts.open_tree(node.path, clone=True)
    try:
        if os.fstat(tree).st_rdev != node.device:
            raise OSError(errno.ENODEV, "the host has another device there", node.path)
        try:
            new = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
        except FileExistsError:
            places.attach(root, node.path, tree, folder=False)
            return
        try:
            places.cover(new, tree, node.path)
        finally:
            os.close(new)
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
