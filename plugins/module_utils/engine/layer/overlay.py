# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays of layers: mount, unmount, and what is mounted as the kernel tells it.

Each EROFS layer is mounted once below C(run_root/layers) for as long as an
overlay of this instance uses it, so that all containers share one page cache
of it; which are in use is read from mountinfo. The overlay's source names the
stack of layers by its chain ID (image-spec, config.md, Layer ChainID), so that
the kernel itself remembers what was mounted.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, KernelError, Unsupported
from ..instance import Instance
from ..kernel import mounts
from ..store import files, locks
from . import layers

_OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"))
"""Every change lies in the upper folder as whole files, so that it can become a layer; nothing follows a redirect."""
_LONGEST = 255
_EMPTY = "empty"
_EINVAL = 22
_points = itertools.count()


class Overlay(NamedTuple):
    """A mounted overlay.

    Attributes:
        target: Where.
        chain_id: Of the stack of layers; empty for an overlay that another program mounted.
        lowers: The layers' mount points or folders, lowest first, as mountinfo shows them.
        upper: The upper folder, or C(None) for a read-only overlay.
        work: The work folder of a writable overlay.
        read_only: Whether the mount refuses writes.
        note: What C(mount) was given.
    """

    target: str
    chain_id: str
    lowers: Tuple[str, ...]
    upper: Optional[str]
    work: Optional[str]
    read_only: bool
    note: str = ""

    @property
    def diff_ids(self) -> Tuple[str, ...]:
        """The layers by diff ID, lowest first; empty where the paths do not tell."""
        found = tuple("sha256:" + name for name in map(os.path.basename, self.lowers) if len(name) == 64)
        return found if chain_id(found) == self.chain_id else ()


def chain_id(diff_ids: Sequence[str]) -> str:
    """The one digest that names a stack of layers, lowest first (image-spec, config.md)."""
    import hashlib  # pylint: disable=import-outside-toplevel
    chain = ""
    for diff_id in diff_ids:
        chain = "sha256:" + hashlib.sha256(("%s %s" % (chain, diff_id)).encode()).hexdigest() if chain else diff_id
    return chain


def mount(instance: Instance, diff_ids: Sequence[str], target: str, upper: Optional[str] = None,
          work: Optional[str] = None, read_only: bool = False, user_namespace: Optional[int] = None,
          note: str = "") -> None:
    """Mount an overlay of layers.

    Args:
        diff_ids: The layers, lowest first, as in an image's config.
        target: An existing folder.
        upper, work: Existing folders of one file system; the work folder is overlayfs's own. Without them the
            overlay is read-only.
        read_only: Refuse writes although there is an upper folder.
        user_namespace: Descriptor of a user namespace through whose mappings the layers are shown (mount_setattr(2),
            ID-mapped mounts): what root owns on the disk belongs to that namespace's root. Not so the upper folder,
            which overlayfs writes as the host's root: it holds the IDs of the host, and must belong to that root.
        note: What mountinfo shall tell besides the chain ID; begins with a semicolon, and has no space.

    Raises:
        Conflict: Something is mounted at the target.
        NotFound: The store lacks a layer.
        KernelError: The kernel refuses; nothing is left mounted.
    """
    if mounts.at(target) is not None:
        raise Conflict("something is mounted at %s already" % target, "Unmount it first")
    stack = _effective([layers.need(instance, diff_id) for diff_id in diff_ids])
    with locks.held(instance, "store", "mounts"), ExitStack() as shown:
        try:
            lowers = [_lower(instance, layer) for layer in stack]
            if user_namespace is not None:
                lowers = [_mapped(instance, path, user_namespace, shown) for path in lowers]
            tree = _new(instance, lowers, chain_id(diff_ids) + note, upper, work, read_only)
            try:
                mounts.move_mount(tree, target)
            finally:
                os.close(tree)
        except BaseException:
            _sweep(instance)
            raise


def _effective(stack: List[layers.Layer]) -> List[layers.Layer]:
    """The layers that make a difference: the last of equal ones, which overlayfs refuses to take twice (old images
    have the empty layer several times), and none below one that hides all."""
    last = [layer for at, layer in enumerate(stack) if layer.diff_id not in (each.diff_id for each in stack[at + 1:])]
    for at in range(len(last) - 1, 0, -1):
        if last[at].opaque:
            return last[at:]
    return last


def unmount(instance: Instance, target: str) -> bool:
    """Unmount the overlay at a path, and the layers that no overlay uses any more; say whether there was one."""
    with locks.held(instance, "store", "mounts"):
        found = mounts.unmount_if_mounted(target)
        _sweep(instance)
    return found


def observe(target: str, table: Optional[List[mounts.Mount]] = None) -> Optional[Overlay]:
    """The overlay that is mounted at a path, or C(None)."""
    found = mounts.at(target, table)
    if found is None or found.fstype != "overlay":
        return None
    return _describe(found)


def every(table: Optional[List[mounts.Mount]] = None) -> List[Overlay]:
    """All overlays that this mount namespace sees."""
    return [_describe(each) for each in (mounts.table() if table is None else table) if each.fstype == "overlay"]


def _describe(found: mounts.Mount) -> Overlay:
    lowers: List[str] = []
    upper = work = None
    for option in found.super_options:
        key, _equals, value = option.partition("=")
        value = value.replace("\\054", ",")
        if key == "lowerdir+":
            lowers.append(value)
        elif key == "lowerdir":
            lowers.extend(value.split(":"))
        elif key == "upperdir":
            upper = value
        elif key == "workdir":
            work = value
    source, mark, note = (found.source if found.source.startswith("sha256:") else "").partition(";")
    return Overlay(found.target, source, tuple(reversed(lowers)), upper, work,
                   "ro" in found.options or "ro" in found.super_options or upper is None, mark + note)


# Lower layers

def _lower(instance: Instance, layer: layers.Layer) -> str:
    """A folder that shows the layer; EROFS images are mounted first where they are not."""
    if layer.form == layers.DIRECTORY:
        return layer.path
    point = instance.run("layers", layer.diff_id.partition(":")[2])
    if mounts.at(os.path.realpath(point)) is None:
        files.make_folder(instance.run_root)
        files.make_folder(instance.run("layers"))
        files.make_folder(point)
        tree = layers.mount_erofs(layer.path)
        try:
            mounts.move_mount(tree, point)
        finally:
            os.close(tree)
    return point


def sweep(instance: Instance) -> None:
    """Unmount the layers that no overlay uses."""
    with locks.held(instance, "store", "mounts"):
        _sweep(instance)


def _mapped(instance: Instance, path: str, user_namespace: int, shown: ExitStack) -> str:
    """Show a folder through a user namespace's mappings at a second place, for as long as C(shown) is open.

    The overlay keeps a copy of the mount for itself.
    """
    folder = instance.run("mapped-%d-%d" % (os.getpid(), next(_points)))
    point = os.path.join(folder, os.path.basename(path))  # a layer's name stays its last part, for C(_sweep)
    files.make_folder(folder)
    shown.callback(os.rmdir, folder)
    files.make_folder(point)
    shown.callback(os.rmdir, point)
    tree = mounts.open_tree(path, clone=True)
    try:
        mounts.set_attributes("", mounts.MOUNT_ATTR_IDMAP, directory=tree, user_namespace=user_namespace)
        mounts.move_mount(tree, point)
    finally:
        os.close(tree)
    shown.callback(mounts.unmount_if_mounted, point)
    return point


def _sweep(instance: Instance) -> None:
    folder = instance.run("layers")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    used = {os.path.basename(lower) for overlay in every() for lower in overlay.lowers
            if lower.startswith(instance.run_root + "/")}
    for name in names:
        if name not in used:
            mounts.unmount_if_mounted(os.path.join(folder, name))
            os.rmdir(os.path.join(folder, name))


# The mount itself

def _new(instance: Instance, lowers: List[str], source: str, upper: Optional[str], work: Optional[str],
         read_only: bool) -> int:
    """The descriptor of a detached overlay mount."""
    attributes = mounts.MOUNT_ATTR_RDONLY if read_only or upper is None else 0
    held: List[int] = []
    try:
        for number in range(len(lowers), 1 if upper is not None else 2):  # overlayfs wants that many
            files.make_folder(instance.run(_EMPTY))
            files.make_folder(instance.run(_EMPTY, str(number)))
            lowers = [instance.run(_EMPTY, str(number))] + lowers
        options: List[Tuple[str, Optional[str]]] = [("source", source)]
        options += [("lowerdir+", _short(path, held)) for path in reversed(lowers)]
        if upper is not None and work is not None:
            options += [("upperdir", _short(upper, held)), ("workdir", _short(work, held))]
        try:
            return mounts.new_file_system("overlay", options + list(_OPTIONS), attributes)
        except KernelError as error:
            if "not supported as upperdir" in str(error):
                raise Unsupported("upper folder %s is on a file system that overlayfs cannot write to" % upper,
                                  "Choose a folder on ext4, xfs, btrfs or tmpfs, not on an overlay or over a network")
            # Before 6.5 overlayfs takes fsconfig's options unseen, and refuses them all at the end without a word.
            if error.errno != _EINVAL or ("(" in str(error) and "lowerdir+" not in str(error)):
                raise
        return _by_old_call(instance, lowers, source, upper, work, read_only, held)
    finally:
        for handle in held:
            os.close(handle)


def _short(path: str, held: List[int]) -> str:
    """The path, or where it is longer than an option may be, its descriptor's."""
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return "/proc/self/fd/%d" % held[-1]


def _by_old_call(instance: Instance, lowers: List[str], source: str, upper: Optional[str], work: Optional[str],
                 read_only: bool, held: List[int]) -> int:
    """mount(2), for kernels older than 6.5, whose overlayfs has no C(lowerdir+)."""
    short = []
    for path in reversed(lowers):
        if sum(map(len, lowers)) > 3000:  # mount(2) takes one page of options
            held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            path = "/proc/self/fd/%d" % held[-1]
        short.append(_quoted(path).replace(":", "\\:"))
    data = "lowerdir=" + ":".join(short)
    if upper is not None and work is not None:
        data += ",upperdir=%s,workdir=%s" % (_quoted(upper), _quoted(work))
    data += "".join(",%s=%s" % each for each in _OPTIONS)
    point = instance.run("overlay-%d" % os.getpid())
    files.make_folder(point)
    try:
        mounts.mount(source, point, "overlay", mounts.MS_RDONLY if read_only or upper is None else 0, data)
        try:
            return mounts.open_tree(point, clone=True)
        finally:
            mounts.unmount(point, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
    finally:
        os.rmdir(point)


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,")
