# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system: its mounts, put together by descriptor, and the change into it.

All runs in the container's first process, in its mount namespace, before the
root changes: every target is opened beneath the root's descriptor, every mount
is made detached and attached to a descriptor. No path through the root is ever
handed to the kernel as a string.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..errors import KernelError, Unsupported
from ..kernel import mounts, paths
from . import cgroup_mount, isolation, mount_options
from .mount_options import Options

_STRICT = ("proc", "sysfs")


class Step(NamedTuple):
    """One mount, ready to be made.

    Attributes:
        label: For errors: its JSON path and destination.
        destination: Absolute, as seen inside.
        fstype, source: As in config.json.
        options: Sorted.
        tree: A descriptor of the detached mount, where the parent has made it.
    """

    label: str
    destination: str
    fstype: str
    source: str
    options: Options
    tree: Optional[int] = None


def steps(config: Dict[str, Any], bundle: str) -> List[Step]:
    """The mounts that a configuration asks for, in order; relative sources are of the bundle."""
    result = []
    for number, each in enumerate(config.get("mounts") or ()):
        options = mount_options.parse(each.get("options") or ())
        if (each.get("uidMappings") or each.get("gidMappings")) and not options.idmap:
            options = options._replace(idmap="idmap")
        fstype = each.get("type") or ""
        if fstype == "bind":
            options = options._replace(bind=True)
        source = each.get("source") or ""
        if options.bind and not source.startswith("/"):
            source = os.path.join(bundle, source)
        label = (config.get("linux") or {}).get("mountLabel")
        if label and not options.bind and fstype not in ("proc", "sysfs"):
            options = options._replace(data=options.data + (("context", label),))
        destination = each["destination"]
        result.append(Step("mounts[%d] (%s)" % (number, destination), "/" + destination.lstrip("/"), fstype, source,
                           options))
    return result


def prepared(all_steps: Sequence[Step], config: Dict[str, Any], in_user_namespace: bool, opened: List[int]) -> List[Step]:
    """In the parent: make those mounts that the child cannot: binds from where its user may not go, and mapped ones.

    Args:
        opened: Gets the descriptors, for the caller to close.
    """
    result = []
    for number, step in enumerate(all_steps):
        if step.options.bind and not step.options.remount and (in_user_namespace or step.options.idmap):
            tree = mounts.open_tree(step.source, clone=True, recursive=step.options.recursive)
            opened.append(tree)
            step = step._replace(tree=tree)
        if step.options.idmap:
            _map(step, config, (config.get("mounts") or ())[number])
        result.append(step)
    return result


def _map(step: Step, config: Dict[str, Any], mount_config: Dict[str, Any]) -> None:
    """Show a mount's files with other owners: the mount's own mappings, else the container's (mount_setattr(2))."""
    if step.tree is None:
        raise Unsupported("%s: only bind mounts can be mapped to other users" % step.label, "Leave idmap out")
    linux = config.get("linux") or {}
    maps = [mount_config.get(kind) or linux.get(kind) for kind in ("uidMappings", "gidMappings")]
    if not maps[0] or not maps[1]:
        raise Unsupported("%s: idmap without mappings" % step.label, "Give the mount uidMappings and gidMappings")
    namespace = isolation.mapping_namespace({"uidMappings": maps[0], "gidMappings": maps[1]})
    try:
        mounts.set_attributes("", mounts.MOUNT_ATTR_IDMAP, directory=step.tree, user_namespace=namespace,
                              recursive=step.options.idmap == "ridmap")
    except KernelError as error:
        raise KernelError("mount_setattr(MOUNT_ATTR_IDMAP)", error.errno, step.label,
                          "The file system of %s must support mapped mounts" % step.source) from error
    finally:
        os.close(namespace)


def enter_namespace(root_path: str, propagation: int, tree: Optional[int] = None) -> paths.Root:
    """Cut the mount namespace loose from the host's and make the root a mount of its own.

    Args:
        propagation: MS_*; what comes from the host's mounts, and what goes to them.
        tree: A detached copy of the root, made by the parent. It is laid over C(/), so that no path needs to be
            reached, and stays this descriptor's.
    """
    mounts.mount(None, "/", None, propagation or mounts.MS_SLAVE | mounts.MS_REC)
    if propagation & mounts.MS_SHARED:
        # pivot_root(2) refuses a root whose parent mount is shared.
        mounts.mount(None, _holder(root_path), None, mounts.MS_PRIVATE)
    if tree is not None:
        mounts.move_mount(tree, "/")
        return paths.Root.of(tree, root_path)
    tree = mounts.open_tree(root_path, clone=True, recursive=True)
    mounts.move_mount(tree, root_path)
    os.close(tree)
    return paths.Root(root_path)


def _holder(path: str) -> str:
    """The mount point that a path lies on."""
    found = "/"
    for each in mounts.table():
        if (path + "/").startswith(each.target.rstrip("/") + "/") and len(each.target) >= len(found):
            found = each.target
    return found


def mount(root: paths.Root, step: Step, cgroups: cgroup_mount.Cgroups) -> None:
    """Make one mount."""
    options = step.options
    if options.remount:
        _remount(root, step)
        return
    if step.fstype in ("cgroup", "cgroup2") and not options.bind:
        cgroup_mount.mount(root, step.destination, options, cgroups)
        return
    if options.bind:
        tree = step.tree if step.tree is not None else \
            mounts.open_tree(step.source, clone=True, recursive=options.recursive)
        if options.set or options.clear:
            mounts.set_attributes("", options.set, options.clear, directory=tree)
    else:
        tree = mounts.new_file_system(step.fstype, _settings(step), options.set)
    try:
        if options.set_below or options.clear_below:
            mounts.set_attributes("", options.set_below, options.clear_below, directory=tree, recursive=True)
        if options.copy_up and step.fstype == "tmpfs":
            _copy_up(root, step.destination, tree)
        attach(root, step.destination, tree, folder=not options.bind or stat.S_ISDIR(os.fstat(tree).st_mode),
               strict=step.fstype in _STRICT and not options.bind)
        for each in options.propagation:
            mounts.set_attributes("", 0, directory=tree, propagation=each & ~mounts.MS_REC,
                                  recursive=bool(each & mounts.MS_REC))
    finally:
        os.close(tree)


def _settings(step: Step) -> List[Any]:
    settings = list(step.options.data)
    if step.source:
        settings.insert(0, ("source", step.source))
    return settings


def attach(root: paths.Root, destination: str, tree: int, folder: bool, strict: bool = False) -> None:
    """Put a detached mount at a place inside the root, made where missing.

    Args:
        folder: Whether a folder is made, or else an empty file.
        strict: Refuse a place that is reached through a link: /proc and /sys must be the real ones.
    """
    if strict:
        _refuse_link(root, destination)
    target = root.make_folders(destination) if folder else root.make_file(destination)
    try:
        mounts.move_mount(tree, "", target)
    except KernelError as error:
        raise KernelError("move_mount", error.errno, destination) from error
    finally:
        os.close(target)


def _refuse_link(root: paths.Root, destination: str) -> None:
    try:
        handle = paths.open_beneath(root.handle, destination.strip("/"), os.O_PATH | os.O_NOFOLLOW,
                                    resolve=paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_SYMLINKS)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            raise KernelError("open", errno.ENOTDIR, destination,
                              "The image must hold an ordinary folder there, or nothing")
    finally:
        os.close(handle)


def _remount(root: paths.Root, step: Step) -> None:
    handle = root.open(step.destination)
    try:
        mounts.set_attributes("", step.options.set, step.options.clear, directory=handle,
                              recursive=False)
        if step.options.set_below or step.options.clear_below:
            mounts.set_attributes("", step.options.set_below, step.options.clear_below, directory=handle,
                                  recursive=True)
    finally:
        os.close(handle)


def _copy_up(root: paths.Root, destination: str, tree: int) -> None:
    """Fill a new tmpfs with what its place in the image held: the option tmpcopyup."""
    try:
        source = root.open(destination, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        target = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        try:
            status = os.fstat(source)
            os.fchown(target, status.st_uid, status.st_gid)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            _copy_tree(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_tree(source: int, target: int) -> None:
    folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            below, above = os.open(name, folder_flags, dir_fd=source), os.open(name, folder_flags, dir_fd=target)
            try:
                _copy_tree(below, above)
            finally:
                os.close(below)
                os.close(above)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source, target, name)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while True:
                part = os.read(reading, 1 << 20)
                if not part:
                    break
                view = memoryview(part)
                while view:
                    view = view[os.write(writing, view):]
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def make_read_only(root: paths.Root) -> None:
    """Let nothing be written to the root's own mount; what is mounted inside keeps its ways."""
    mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY, directory=root.handle)


def enter(root: paths.Root, pivot: bool = True) -> None:
    """Make the root the root, and let go of the host's mounts.

    Args:
        pivot: Whether to use pivot_root(2); where C(/) is the initramfs only a move works.
    """
    os.fchdir(root.handle)
    if not pivot:
        mounts.mount(".", "/", None, mounts.MS_MOVE)
        os.chroot(".")
        os.chdir("/")
        return
    # Both at one place: the old root comes to lie over the new one (pivot_root(2), NOTES).
    mounts.pivot_root(".", ".")
    mounts.mount(None, ".", None, mounts.MS_SLAVE | mounts.MS_REC)  # the unmount below must not reach the host
    mounts.unmount(".", mounts.MNT_DETACH)
    os.chdir("/")


def chroot(path: str) -> None:
    """Where the container shares the host's mount namespace: only the root changes."""
    os.chdir(path)
    os.chroot(".")


def propagation_of(config: Dict[str, Any]) -> int:
    """MS_* of C(linux.rootfsPropagation), 0 where it says nothing."""
    name = (config.get("linux") or {}).get("rootfsPropagation") or ""
    return mount_options.PROPAGATION.get(name, 0) | (mounts.MS_REC if name else 0)


def has_bind_at(all_steps: Sequence[Step], destination: str) -> bool:
    """Whether a folder of the host is shown at a destination."""
    return any(each.options.bind and each.destination.rstrip("/") == destination for each in all_steps)
