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
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ..errors import KernelError, Unsupported
from ..kernel import mounts, namespaces, paths
from . import cgroup_mount, isolation, mount_options, places, tmpfs
from .mount_options import Options

_STRICT = ("proc", "sysfs")
"""What is never mounted where a link leads: /proc and /sys must be the real ones."""


class Step(NamedTuple):
    """One mount, ready to be made.

    Attributes:
        label: For errors: its JSON path and destination.
        destination: Absolute, as seen inside.
        fstype, source: As in config.json.
        options: Sorted.
        tree: A descriptor of the detached mount, where the parent has made it.
        inside: Of a source that only an earlier mount brings: its path seen from the root.
        space: Of such a one that is mapped: descriptor of the user namespace that stands for its mappings.
    """

    label: str
    destination: str
    fstype: str
    source: str
    options: Options
    tree: Optional[int] = None
    inside: str = ""
    space: Optional[int] = None


def steps(config: Dict[str, Any], bundle: str) -> List[Step]:
    """The mounts that a configuration asks for, in order.

    Relative sources are of the bundle; a destination that begins with the path of the root is the rest of it, as with runc.
    """
    result = []
    above = os.path.realpath(os.path.join(bundle, (config.get("root") or {}).get("path") or "/")).rstrip("/") + "/"
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
        if len(above) > 1 and destination.startswith(above):
            destination = destination[len(above) - 1:]
        result.append(Step("mounts[%d] (%s)" % (number, destination), "/" + destination.lstrip("/"), fstype, source,
                           options))
    return result


def prepared(all_steps: Sequence[Step], config: Dict[str, Any], root_path: str, in_user_namespace: bool,
             opened: List[int]) -> List[Step]:
    """In the parent: make those mounts that the child cannot: binds from where its user may not go, and mapped ones.

    Args:
        root_path: Of the root; real.
        opened: Gets the descriptors, for the caller to close.
    """
    result: List[Step] = []
    spaces: Dict[str, int] = {}
    for number, step in enumerate(all_steps):
        inside = _brought(step.source, root_path, result) \
            if step.options.bind and (in_user_namespace or step.options.idmap) else ""
        if inside:
            step = step._replace(inside=inside)
        elif step.options.bind and not step.options.remount and (in_user_namespace or step.options.idmap):
            tree = mounts.open_tree(step.source, clone=True, recursive=step.options.recursive)
            opened.append(tree)
            step = step._replace(tree=tree)
        if step.options.idmap:
            space = _space(step, config, (config.get("mounts") or ())[number], spaces, opened)
            if step.tree is not None:
                show_mapped(step.label, step.source, step.tree, space, step.options.idmap == "ridmap")
            else:
                step = step._replace(space=space)
        result.append(step)
    return result


def with_sysfs(all_steps: Sequence[Step], network: Optional[int], unprivileged: bool, opened: List[int]) -> List[Step]:
    """In the parent: the sysfs of a network namespace that the child's user namespace does not own, and so may not mount.

    Args:
        network: Descriptor of that namespace; C(None) for the caller's own.
        unprivileged: Whether the caller may not either: then the host's is shown, with what lies below it, read-only.
        opened: Gets the descriptors, for the caller to close.
    """
    result = []
    for step in all_steps:
        options = step.options
        if step.fstype == "sysfs" and not options.bind and not options.remount:
            if unprivileged:
                flags = options.set | mounts.MOUNT_ATTR_RDONLY
                step = step._replace(source="/sys", options=options._replace(
                    bind=True, recursive=True, set=flags, set_below=flags | options.set_below, data=()))
            else:
                opened.append(_sysfs(network, options.set))
                step = step._replace(tree=opened[-1])
        result.append(step)
    return result


def _sysfs(network: Optional[int], attributes: int) -> int:
    def make() -> int:
        return mounts.new_file_system("sysfs", [("source", "sysfs")], attributes)
    return make() if network is None else namespaces.inside(network, namespaces.NEWNET, make)


def _brought(source: str, root_path: str, earlier: Sequence[Step]) -> str:
    """The path inside the root of a source that earlier mounts lie on, over or under, or nothing."""
    path = os.path.realpath(source)
    inside = path[len(root_path):] + "/" if path.startswith(root_path.rstrip("/") + "/") else ""
    for each in earlier if inside else ():
        place = each.destination.rstrip("/") + "/"
        if inside.startswith(place) or place.startswith(inside):
            return inside
    return ""


def _space(step: Step, config: Dict[str, Any], mount_config: Dict[str, Any], spaces: Dict[str, int], opened: List[int]) -> int:
    """The user namespace that stands for the mount's own mappings, else the container's, which may be one that it joins.

    Args:
        spaces: Those of the mappings so far.
    """
    if step.tree is None and not step.inside:
        raise Unsupported("%s: only bind mounts can be mapped to other users" % step.label, "Leave idmap out")
    linux = config.get("linux") or {}
    maps = [mount_config.get(kind) or linux.get(kind) for kind in ("uidMappings", "gidMappings")]
    joined = [each["path"] for each in linux.get("namespaces") or () if each["type"] == "user" and each.get("path")]
    if joined and not any(maps):
        if joined[0] not in spaces:
            spaces[joined[0]] = os.open(joined[0], os.O_RDONLY | os.O_CLOEXEC)
            opened.append(spaces[joined[0]])
        return spaces[joined[0]]
    if not maps[0] or not maps[1]:
        raise Unsupported("%s: idmap without mappings" % step.label, "Give the mount uidMappings and gidMappings")
    key = repr(maps)
    if key not in spaces:
        spaces[key] = isolation.mapping_namespace({"uidMappings": maps[0], "gidMappings": maps[1]})
        opened.append(spaces[key])
    return spaces[key]


def show_mapped(label: str, source: str, tree: int, space: int, recursive: bool) -> None:
    """Show a detached mount's files with other owners (mount_setattr(2)); with rights in the user namespace of its file system.

    Raises:
        KernelError: The file system cannot be shown so.
    """
    try:
        mounts.set_attributes("", mounts.MOUNT_ATTR_IDMAP, directory=tree, user_namespace=space, recursive=recursive)
    except KernelError as error:
        place = _holder(os.path.realpath(source))
        kind = next((each.fstype for each in reversed(mounts.table()) if each.target == place), "unknown")
        raise KernelError("mount_setattr(MOUNT_ATTR_IDMAP)", error.errno, label,
                          "The file system of %s (%s) cannot be shown through mappings: take a folder on another one, or no "
                          "user namespace" % (source, kind)) from error


def enter_namespace(root_path: str, propagation: int, tree: Optional[int] = None) -> paths.Root:
    """Cut the mount namespace loose from the host's and make the root a mount of its own.

    Args:
        propagation: MS_*; what comes from the host's mounts, and what goes to them.
        tree: A detached copy of the root, made by the parent. It is laid over C(/), so that no path needs to be
            reached, and stays this descriptor's.
    """
    mounts.mount(None, "/", None, propagation or mounts.MS_SLAVE | mounts.MS_REC)
    if propagation & mounts.MS_SHARED or propagation and not propagation & mounts.MS_REC:
        # pivot_root(2) refuses a root whose parent mount is shared, and the host would see what is mounted on one.
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


def mount(root: paths.Root, step: Step, cgroups: cgroup_mount.Cgroups, late: List[int],
          ask: Optional[Callable[[int, Step], None]] = None) -> None:
    """Make one mount.

    Args:
        ask: Lets the creator show a detached mount mapped, where the caller's user namespace may not.
        late: Gets the descriptor of a mount that is to become read-only once all is made that lies in it; see C(finish).
    """
    options = step.options
    if options.remount:
        _remount(root, step)
        return
    if step.fstype in ("cgroup", "cgroup2") and not options.bind:
        cgroup_mount.mount(root, step.destination, options, cgroups)
        return
    if options.bind:
        tree = step.tree if step.tree is not None else _source(root, step)
        if step.space is not None and ask is not None:
            ask(tree, step)
        elif step.space is not None:
            show_mapped(step.label, step.source, tree, step.space, options.idmap == "ridmap")
        if options.set or options.clear:
            mounts.set_attributes("", options.set, options.clear, directory=tree)
    else:
        held_back = options.set & mounts.MOUNT_ATTR_RDONLY if step.fstype == "tmpfs" or step.destination == "/dev" else 0
        tree = step.tree if step.tree is not None else \
            mounts.new_file_system(step.fstype, _settings(root, step), options.set & ~held_back)
        if held_back:
            late.append(os.dup(tree))
    try:
        if options.set_below or options.clear_below:
            mounts.set_attributes("", options.set_below, options.clear_below, directory=tree, recursive=True)
        if options.copy_up and step.fstype == "tmpfs":
            tmpfs.copy_up(root, step.destination, tree)
        places.attach(root, step.destination, tree, folder=not options.bind or stat.S_ISDIR(os.fstat(tree).st_mode),
                      strict=step.fstype in _STRICT)
        for each in options.propagation:
            mounts.set_attributes("", 0, directory=tree, propagation=each & ~mounts.MS_REC,
                                  recursive=bool(each & mounts.MS_REC))
    finally:
        os.close(tree)


def _source(root: paths.Root, step: Step) -> int:
    """A detached copy of what a bind shows."""
    if not step.inside:
        return mounts.open_tree(step.source, clone=True, recursive=step.options.recursive)
    handle = root.open(step.inside.rstrip("/"))
    try:
        return mounts.open_tree("", handle, clone=True, recursive=step.options.recursive)
    finally:
        os.close(handle)


def finish(late: Sequence[int]) -> None:
    """Make read-only what was held back till devices, places of other mounts and what hooks add were there."""
    for tree in late:
        mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY, directory=tree)
        os.close(tree)


def _settings(root: paths.Root, step: Step) -> List[Any]:
    settings = list(step.options.data)
    if step.fstype == "tmpfs" and "mode" not in dict(settings):
        mode = tmpfs.mode_at(root, step.destination)
        if mode is not None:
            settings.append(("mode", "%o" % mode))
    if step.source:
        settings.insert(0, ("source", step.source))
    return settings


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


def make_read_only(root: paths.Root) -> None:
    """Let nothing be written to the root's own mount; what is mounted inside keeps its ways."""
    mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY, directory=root.handle)


def enter(root: paths.Root, pivot: bool = True) -> None:
    """Make the root the root, and let go of the host's mounts.

    Args:
        pivot: Whether to use pivot_root(2); where C(/) is the initramfs only a move works.
    """
    if not pivot:
        _hide_kernel_views(root)
    os.fchdir(root.handle)
    if not pivot:
        try:
            mounts.mount(".", "/", None, mounts.MS_MOVE)
        except KernelError as error:
            if error.errno != errno.ELOOP:  # it lies over C(/) already
                raise
        os.chroot(".")
        os.chdir("/")
        return
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # Both at one place: the old root comes to lie over the new one (pivot_root(2), NOTES).
    mounts.pivot_root(".", ".")
    os.fchdir(old)
    os.close(old)
    mounts.mount(None, ".", None, mounts.MS_SLAVE | mounts.MS_REC)  # the unmount below must not reach the host
    mounts.unmount(".", mounts.MNT_DETACH)
    os.chdir("/")


def _hide_kernel_views(root: paths.Root) -> None:
    """Let go of the host's procfs and sysfs: while one is in the namespace, who has a user namespace may mount it unmasked.

    What cannot be unmounted is covered (mount_namespaces(7), restrictions).
    """
    rows = mounts.table()
    with open("/proc/self/fdinfo/%d" % root.handle, "rb") as stream:
        own = {int(line.split()[1]) for line in stream if line.startswith(b"mnt_id:")}
    for each in rows:  # a mount comes after the one that it lies on
        if each.parent in own:
            own.add(each.identity)
    for target in {each.target for each in rows if each.fstype in _STRICT and each.identity not in own}:
        mounts.mount(None, target, None, mounts.MS_SLAVE | mounts.MS_REC)  # the host keeps its own
        if not mounts.unmount_if_mounted(target):
            mounts.mount("tmpfs", target, "tmpfs")


def chroot(path: str) -> None:
    """Where the container shares the host's mount namespace: only the root changes."""
    os.chdir(path)
    os.chroot(".")


def propagation_of(config: Dict[str, Any]) -> int:
    """MS_* of C(linux.rootfsPropagation), 0 where it says nothing."""
    name = (config.get("linux") or {}).get("rootfsPropagation") or ""
    return mount_options.PROPAGATION.get(name, 0)


def has_bind_at(all_steps: Sequence[Step], destination: str) -> bool:
    """Whether a folder of the host is shown at a destination."""
    return any(each.options.bind and each.destination.rstrip("/") == destination for each in all_steps)
