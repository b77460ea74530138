# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore: make a container's processes anew from what C(checkpoint) has written.

CRIU makes mounts and namespaces as it found them; the cgroup with its limits, places of mounts in the root, the state and
the hooks that come before the container's own are made here. The first process becomes a child of the caller.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..errors import EngineError
from ..kernel import mounts, namespaces, paths, processes
from ..store import files
from . import checkpoint, console, create, criu, devices, hooks, launch, places, record, rootfs, spec

RESTORE_LOG = "restore.log"
ROOT = "criu-root"
"""Folder in the state folder where the root is mounted for CRIU, which wants it to be a mount of its own."""
_FIRST_INHERITED = 4
"""Three streams and CRIU's socket come before what is passed on to it."""


def restore(program: str, bundle: str, state_dir: str, wishes: checkpoint.Wishes, **choices: Any) -> create.Created:
    """Make a container anew; its processes run when this returns.

    The caller's mount namespace is left for a new one, whose mounts are slaves of those before: so that nothing of what is
    mounted on the way stays on the host, however this ends.

    Args:
        bundle: Folder of its configuration and root, which are those of the container that was written.
        state_dir: As for C(create.create).
        choices: As for C(create.create): C(identity), C(stdin), C(stdout), C(stderr), C(cgroup), C(systemd) and C(console).

    Raises:
        Invalid: The configuration breaks the specification; nothing was done.
        EngineError: CRIU could not do it, and says why; nothing remains.
    """
    bundle = os.path.abspath(bundle)
    options = create.Options(**choices)
    config, content = spec.read(bundle)
    create.refuse(config)
    root = os.path.realpath(os.path.join(bundle, config["root"]["path"]))
    named = _descriptors(wishes.images)
    criu.clear_log(wishes.work or wishes.images, RESTORE_LOG)
    undo: List[Callable[[], Any]] = []
    opened: List[int] = []
    try:
        return _restore(program, (bundle, root, state_dir), config, content, options, wishes, named, undo, opened)
    except BaseException as error:
        for step in reversed(undo):
            try:
                step()
            except (OSError, EngineError):
                pass
        if isinstance(error, EngineError) and error.what.startswith("criu "):
            raise criu.complain(error, program, wishes.work or wishes.images, RESTORE_LOG) from error
        raise
    finally:
        for handle in opened:
            os.close(handle)


def _descriptors(images: str) -> List[str]:
    """What has to come from outside.

    Raises:
        EngineError: There is no checkpoint in that folder.
    """
    path = os.path.join(images, checkpoint.DESCRIPTORS)
    found = files.read_json(path)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise EngineError("%s: there is no checkpoint of a container in this folder" % images, "Name one with --image-path")
    return found


def _restore(program: str, at: Tuple[str, str, str], config: Dict[str, Any], content: bytes, options: create.Options,
             wishes: checkpoint.Wishes, named: List[str], undo: List[Callable[[], Any]], opened: List[int]) -> create.Created:
    bundle, root, state_dir = at
    linux = config.get("linux") or {}
    options = options._replace(cgroup=options.cgroup or linux.get("cgroupsPath") or "")
    name = options.identity or os.path.basename(state_dir.rstrip("/"))
    create.claim(state_dir, undo)
    kept = create.new_record(name, config, bundle, root, options)
    record.save(state_dir, kept)
    undo.append(lambda: files.remove(os.path.join(state_dir, record.FILE)))
    create.keep_config(state_dir, config, content, undo)
    place, leave = create.own_cgroup(options.cgroup, linux.get("resources") or {}, options.systemd, undo)
    if place is not None:
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        group.close_birthplace(place)
        undo.append(lambda: group.kill(options.cgroup))
    shown = _show_root(root, state_dir, config, bundle)
    undo.append(lambda: os.rmdir(shown))
    undo.append(lambda: mounts.unmount(shown, mounts.MNT_DETACH))
    inherited, keys = _inherited(config, named, opened)
    given = checkpoint.common(wishes, config, opened) + criu.options(
        root=shown, log_file=RESTORE_LOG, evasive_devices=True, rst_sibling=True, inherit_fd=keys, join_ns=_joined(config),
        ext_mnt=[[(1, place), (2, source)] for place, source in _mounts(config, kept)],
        lsm_profile=wishes.lsm_profile or None, lsm_mount_context=wishes.lsm_mount_context or None)
    found: List[int] = []

    def began(pid: int) -> Sequence[Any]:
        return _enter(pid, options.cgroup) if options.cgroup else []

    def told(notice: criu.Notice) -> None:
        _told(notice, config, kept, options.console)
        if notice.what == "post-restore" and notice.pid and not found:
            found.append(os.pidfd_open(notice.pid))  # from here on there is somebody to be ended
            undo.append(lambda: _end(notice.pid, found[0]))
    streams = launch.streams((options.stdin, options.stdout, options.stderr), opened)
    answer = criu.talk(program, criu.RESTORE, given, (), streams, inherited, told, began)
    leave()
    pid = criu.restored(answer)
    if not found:
        found.append(os.pidfd_open(pid))
    kept = kept._replace(pid=pid, start_time=processes.start_time(pid) or 0)
    record.save(state_dir, kept)
    mounts.unmount(shown, mounts.MNT_DETACH)
    os.rmdir(shown)
    return create.Created(pid, found[0], kept.start_time, state_dir, kept, tuple(spec.warnings(config)))


def _end(pid: int, pidfd: int) -> None:
    processes.send_signal(pidfd, 9)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
    os.close(pidfd)


def _show_root(root: str, state_dir: str, config: Dict[str, Any], bundle: str) -> str:
    """Mount the root where CRIU finds it, and make in it what it will mount on, where that is missing."""
    namespaces.unshare(namespaces.NEWNS)
    mounts.mount(None, "/", None, mounts.MS_SLAVE | mounts.MS_REC)
    shown = os.path.join(state_dir, ROOT)
    os.mkdir(shown, 0o700)
    try:
        tree = mounts.open_tree(root, clone=True, recursive=True)
        try:
            mounts.move_mount(tree, shown)
        finally:
            os.close(tree)
        _make_places(paths.Root(root), config, bundle)
    except BaseException:
        mounts.unmount(shown, mounts.MNT_DETACH)
        os.rmdir(shown)
        raise
    return shown


def _make_places(root: paths.Root, config: Dict[str, Any], bundle: str) -> None:
    """Make missing places of mounts, also such that lie in what another mount shows; CRIU brings those that lie on a tmpfs."""
    covered: List[str] = []
    try:
        for step in rootfs.steps(config, bundle):
            place = os.path.normpath(step.destination)
            if any(place.startswith(each + "/") for each in covered):
                continue
            if step.options.bind and not step.options.remount:
                tree = mounts.open_tree(step.source, clone=True, recursive=step.options.recursive)
                try:
                    places.attach(root, step.destination, tree, folder=stat.S_ISDIR(os.fstat(tree).st_mode))
                finally:
                    os.close(tree)
            elif step.fstype not in ("cgroup", "cgroup2"):
                os.close(root.make_folders(step.destination))
            if not step.options.bind:
                covered.append(place)
    finally:
        root.close()


def _mounts(config: Dict[str, Any], kept: record.Record) -> List[Tuple[str, str]]:
    """What CRIU shows from outside: as it is called in the images, and where it comes from."""
    root = paths.Root(kept.rootfs)
    found: List[Tuple[str, str]] = []
    try:
        for step in rootfs.steps(config, kept.bundle):
            if step.options.bind:
                found.append((checkpoint.place_of(root, step.destination), os.path.realpath(step.source)))
            elif step.fstype in ("cgroup", "cgroup2"):
                found += checkpoint.groups_at(step.destination, config, kept.cgroup)
    finally:
        root.close()
    return found + [(node.path, node.path) for node in devices.nodes(config)]


def _inherited(config: Dict[str, Any], named: List[str], opened: List[int]) -> Tuple[List[int], List[Any]]:
    """Descriptors that CRIU passes on, and what they are called in the images.

    Args:
        opened: Gets those that are opened for it, for the caller to close.
    """
    passed: List[int] = []
    keys: List[Any] = [[(1, each), (2, number)] for number, each in enumerate(named[:3])
                       if each.startswith(("pipe:", "file["))]

    def pass_on(handle: int, key: str) -> None:
        opened.append(handle)
        keys.append([(1, key), (2, _FIRST_INHERITED + len(passed))])
        passed.append(handle)
    for each in (config.get("linux") or {}).get("namespaces") or ():
        if each.get("path") and each["type"] in checkpoint.OUTSIDE:
            pass_on(os.open(each["path"], os.O_RDONLY | os.O_CLOEXEC), checkpoint.key_of(each["type"]))
    for key in named[3:]:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        opened.append(null)
        pass_on(os.dup(launch.streams((null, null, null), opened)[0]), key)
    return passed, keys


def _joined(config: Dict[str, Any]) -> Optional[List[Any]]:
    """Further namespaces that are joined by path."""
    found: List[Any] = []
    for number, each in enumerate((config.get("linux") or {}).get("namespaces") or ()):
        if not each.get("path") or each["type"] in checkpoint.OUTSIDE:
            continue
        if each["type"] in ("cgroup", "mount"):
            raise EngineError("linux.namespaces[%d]: CRIU cannot restore into a %s namespace that exists" % (number, each["type"]),
                              "Leave its path out", path="linux.namespaces[%d].path" % number)
        found.append([(1, namespaces.FILES[each["type"]]), (2, each["path"])])
    return found or None


def _enter(pid: int, cgroup: str) -> Sequence[Any]:
    """Put CRIU into the container's cgroup, and let it take that for the root of all groups that it knows of."""
    from ..cgroup import entry  # pylint: disable=import-outside-toplevel
    entry.attach(cgroup, pid)
    with open("/proc/%d/cgroup" % pid, encoding="utf-8", errors="surrogateescape") as stream:
        rows = [line.rstrip("\n").split(":", 2) for line in stream]
    return criu.options(cg_root=[[(1, controllers), (2, path)] for _number, controllers, path in rows])


def _told(notice: criu.Notice, config: Dict[str, Any], kept: record.Record, link: Optional[Any]) -> None:
    """Do what is to be done at some point of a restore."""
    handles = list(notice.handles)
    try:
        if notice.what == "orphan-pts-master" and handles and link is not None:
            console.hand_out(link, console.Terminal(handles.pop(0), -1))
        elif notice.what == "setup-namespaces":
            wanted = config.get("hooks") or {}
            state = record.encode(kept, "creating", notice.pid)
            for kind in ("prestart", "createRuntime"):
                hooks.run_all(kind, wanted.get(kind) or (), state)
    finally:
        for handle in handles:
            os.close(handle)
