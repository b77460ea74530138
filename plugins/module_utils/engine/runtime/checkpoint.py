# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""checkpoint: write a container's processes to files, from which C(restore) makes them anew.

    IMAGES/*.img             CRIU's
    IMAGES/descriptors.json  what comes from outside: the names of the first process's standard streams, then those of
                             null devices that are the host's
"""

from __future__ import annotations

import os
import stat
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..errors import Conflict, EngineError, KernelError
from ..kernel import namespaces, paths
from ..store import documents, files
from . import cgroup_mount, criu, devices, record, rootfs, spec

DESCRIPTORS = "descriptors.json"
DUMP_LOG = "dump.log"
CONFIG_ANNOTATION = "org.criu.config"
"""Names a file with further options of CRIU, as for runc."""
_DEFAULT_CONFIG = "/etc/criu/runc.conf"
_VERBOSE = 4
OUTSIDE = ("network", "pid")
"""Kinds of namespaces that stay where they are if a configuration names them by path."""


class Wishes(NamedTuple):
    """What both verbs can be told, by the names of runc's options.

    Attributes:
        images, work: Folders for the images, and for the log and what CRIU needs on its way.
        page_server: Address and port of whoever gets the memory, or C(None).
        parent: The folder of an earlier pre-dump, relative to C(images).
        status_fd: A descriptor that gets a zero byte once memory can be fetched; -1 for none.
        empty: CLONE_NEW* of namespaces that are made, but left empty.
    """

    images: str
    work: str = ""
    leave_running: bool = False
    pre_dump: bool = False
    tcp_established: bool = False
    tcp_skip_in_flight: bool = False
    link_remap: bool = False
    ext_unix_sk: bool = False
    shell_job: bool = False
    file_locks: bool = False
    auto_dedup: bool = False
    lazy_pages: bool = False
    status_fd: int = -1
    page_server: Optional[Tuple[str, int]] = None
    parent: str = ""
    cgroups: int = criu.CGROUP_MODES[""]
    empty: int = namespaces.NEWNET
    lsm_profile: str = ""
    lsm_mount_context: str = ""


def checkpoint(program: str, state_dir: str, wishes: Wishes) -> None:
    """Write a running container's processes to C(wishes.images).

    Raises:
        Conflict: It does not run.
        Unsupported: CRIU or the kernel lack what is asked for.
        EngineError: CRIU could not do it, and says why; the container goes on.
    """
    kept = record.load(state_dir)
    now = record.status(state_dir, kept)
    if now not in ("running", "paused"):
        raise Conflict("Container cannot be checkpointed in %s state: '%s'" % (now, kept.id))
    config = spec.load(os.path.join(state_dir, record.CONFIG))
    criu.clear_log(wishes.work or wishes.images, DUMP_LOG)
    opened: List[int] = []
    try:
        if wishes.pre_dump:
            criu.need(program, "mem_track")
        if wishes.lazy_pages:
            criu.need(program, "lazy_pages")
        given = common(wishes, config, opened)
        external = _namespaces(config)
        streams, outside, mounted = [], [], []  # type: List[str], List[str], List[Any]
        if not wishes.pre_dump:
            streams, outside = _outside(kept)
            external += [each for each in (*streams, *outside) if each.startswith("file[")]
            mounted = [[(1, place), (2, name)] for place, name in _mounts(config, kept)]
        given += criu.options(
            pid=kept.pid, root=kept.rootfs, log_file=DUMP_LOG, leave_running=wishes.leave_running or None,
            tcp_skip_in_flight=wishes.tcp_skip_in_flight or None, link_remap=wishes.link_remap or None,
            ps=[[(1, wishes.page_server[0]), (2, wishes.page_server[1])]] if wishes.page_server else None,
            parent_img=wishes.parent or None, track_mem=bool(wishes.parent) or wishes.pre_dump or None, external=external,
            ext_mnt=mounted, freeze_cgroup=_freezer(kept.cgroup))
        kind = criu.PRE_DUMP if wishes.pre_dump else criu.DUMP
        criu.talk(program, kind, given, notified=_teller(wishes))
        if not wishes.pre_dump:
            content = documents.encode([*streams, *outside]).encode("ascii")
            files.write(os.path.join(wishes.images, DESCRIPTORS), content, durable=False)
    except KernelError:
        raise
    except EngineError as error:
        raise criu.complain(error, program, wishes.work or wishes.images, DUMP_LOG) if error.what.startswith("criu ") else error
    finally:
        for handle in opened:
            os.close(handle)


def common(wishes: Wishes, config: Dict[str, Any], opened: List[int]) -> List[Any]:
    """The options of CRIU that both verbs need.

    Args:
        opened: Gets the descriptors of the folders, for the caller to close.
    """
    folders = []
    for path in (wishes.images, wishes.work):
        folders.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if path else None)
        if path:
            opened.append(folders[-1])  # type: ignore[arg-type]
    return criu.options(
        images_dir_fd=folders[0], work_dir_fd=folders[1], log_level=_VERBOSE, notify_scripts=True, manage_cgroups=True,
        manage_cgroups_mode=wishes.cgroups, orphan_pts_master=True, empty_ns=wishes.empty,
        config_file=(config.get("annotations") or {}).get(CONFIG_ANNOTATION, _DEFAULT_CONFIG) or None,
        tcp_established=wishes.tcp_established or None, ext_unix_sk=wishes.ext_unix_sk or None,
        shell_job=wishes.shell_job or None, file_locks=wishes.file_locks or None, auto_dedup=wishes.auto_dedup or None,
        lazy_pages=wishes.lazy_pages or None, network_lock=criu.network_lock())


def _teller(wishes: Wishes) -> Callable[[criu.Notice], None]:
    def told(notice: criu.Notice) -> None:
        for handle in notice.handles:
            os.close(handle)
        if notice.what == "status-ready" and wishes.status_fd >= 0:
            os.write(wishes.status_fd, b"\0")
            os.close(wishes.status_fd)
    return told


def _freezer(cgroup: str) -> Optional[str]:
    """The folder by which CRIU can stop all processes at once."""
    if not cgroup:
        return None
    from ..cgroup import hierarchy  # pylint: disable=import-outside-toplevel
    found = hierarchy.discover()
    root = found.v1.get("freezer") or found.v2
    return hierarchy.folder(root, cgroup) if root else None


def key_of(kind: str) -> str:
    """What a namespace that stays outside is called in the images (runc's names)."""
    return "extRoot%sNS" % {"network": "Net", "pid": "Pid"}[kind]


def _namespaces(config: Dict[str, Any]) -> List[str]:
    """The namespaces that were joined and stay what they are."""
    return ["%s[%d]:%s" % (namespaces.FILES[each["type"]], os.stat(each["path"]).st_ino, key_of(each["type"]))
            for each in (config.get("linux") or {}).get("namespaces") or () if each.get("path") and each["type"] in OUTSIDE]


def groups_at(destination: str, config: Dict[str, Any], cgroup: str) -> List[Tuple[str, str]]:
    """The cgroups' folders that a mount shows where the container has no cgroup namespace: where, and which."""
    own = any(each["type"] == "cgroup" and not each.get("path") for each in (config.get("linux") or {}).get("namespaces") or ())
    return cgroup_mount.shown(destination, cgroup_mount.needed(config, cgroup, own))


def place_of(root: paths.Root, destination: str) -> str:
    """Where a mount lies whose destination leads through links of the root."""
    try:
        handle = root.open(destination)
    except KernelError:
        return os.path.normpath(destination)
    try:
        path = os.readlink("/proc/self/fd/%d" % handle)
    finally:
        os.close(handle)
    start = os.path.realpath(root.path).rstrip("/") + "/"
    return "/" + path[len(start):] if path.startswith(start) else os.path.normpath(destination)


def _mounts(config: Dict[str, Any], kept: record.Record) -> Iterable[Tuple[str, str]]:
    """What in the container is shown from outside: where it lies, and what it is called in the images."""
    root, inside = paths.Root(kept.rootfs), paths.Root("/proc/%d/root" % kept.pid)
    try:
        for step in rootfs.steps(config, kept.bundle):
            if step.options.bind:
                place = place_of(root, step.destination)
                yield place, place
            elif step.fstype in ("cgroup", "cgroup2"):
                yield from ((place, place) for place, _folder in groups_at(step.destination, config, kept.cgroup))
        for node in devices.nodes(config):
            yield node.path, node.path
        for path in (config.get("linux") or {}).get("maskedPaths") or ():
            try:
                handle = inside.open(path)
            except KernelError:
                continue  # it is not there
            try:
                if not stat.S_ISDIR(os.fstat(handle).st_mode):
                    yield os.path.normpath(path), "/dev/null"
            finally:
                os.close(handle)
    finally:
        root.close()
        inside.close()


def _outside(kept: record.Record) -> Tuple[List[str], List[str]]:
    """What processes of a container hold open that lies outside: its standard streams, and null devices of the host.

    Raises:
        Conflict: One holds something else, which nobody could give it again.
    """
    from ..cgroup import entry  # pylint: disable=import-outside-toplevel
    streams = list(kept.stdio) or ["", "", ""]
    nulls: List[str] = []
    for pid in entry.everyone(kept.cgroup) if kept.cgroup else [kept.pid]:
        try:
            mounted = {int(line.split(b" ", 1)[0]) for line in _lines("/proc/%d/mountinfo" % pid)}
            opened = os.listdir("/proc/%d/fd" % pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        for number in opened:
            name = _foreign("/proc/%d" % pid, number, mounted)
            if name is None or name in nulls:
                continue
            status = os.stat("/proc/%d/fd/%s" % (pid, number))
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == devices.NULL:
                nulls.append(name)
            elif pid == kept.pid and int(number) < len(streams):
                streams[int(number)] = name
            elif name not in streams:
                raise Conflict("process %d of container '%s' holds %s open, which lies outside of the container"
                               % (pid, kept.id, os.readlink("/proc/%d/fd/%s" % (pid, number))), "Let it close that first")
    return streams, nulls


def _foreign(process: str, number: str, mounted: Iterable[int]) -> Optional[str]:
    """CRIU's name of an open file that lies on no mount of the process, or C(None)."""
    try:
        target = os.readlink("%s/fd/%s" % (process, number))
        if not target.startswith("/") or target.startswith("/memfd:"):
            return None  # a pipe, a socket, memory, or nothing with a name
        found = {line.split(b":")[0]: line.split()[1] for line in _lines("%s/fdinfo/%s" % (process, number)) if b":" in line}
        identity = int(found[b"mnt_id"])
        if identity in mounted:
            return None
        return "file[%x:%x]" % (identity, os.stat("%s/fd/%s" % (process, number)).st_ino)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _lines(path: str) -> List[bytes]:
    with open(path, "rb") as stream:
        return stream.read().splitlines()
