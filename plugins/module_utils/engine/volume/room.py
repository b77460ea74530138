# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a volume may hold: by a project quota where the file system has such, else by a file system of that size in a sparse file."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from typing import Optional

from ..errors import Conflict, EngineError, KernelError, Unsupported
from ..instance import Instance
from ..kernel import commands, loop, mounts, quota
from ..store import files, locks
from . import mounting, records
from .records import Record

_FIRST, _RANGE = 1 << 20, 1 << 30
"""Where our project numbers begin, and how many there are: far from those that people give by hand."""
_RESIZE = 0x40086610
"""EXT4_IOC_RESIZE_FS: to so many blocks, while it is mounted."""


def backing(instance: Instance, size: Optional[int]) -> str:
    """What a new volume of such a size rests on."""
    if size is None or size < 0:
        return records.FOLDER
    folder = instance.state("volumes")
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return records.IMAGE if quota.read(folder, 0) is None else records.PROJECT


def check(record: Record, size: int, used: int, counted: bool) -> None:
    """Refuse a change of size that cannot be made while the content stays.

    Args:
        size: In bytes; less than 0 for no limit.
        used: Bytes in it now.
        counted: Whether the file system has project quotas.

    Raises:
        Conflict: Says what to do instead.
    """
    remedy = "Write it to a tarball ('backup'), and make it again from that ('recreate: always' with 'restore')"
    if record.backing == records.IMAGE:
        if size < 0:
            raise Conflict("the volume '%s' is a file system of a fixed size, which cannot be without a limit" % record.name, remedy)
        if size < (record.size or 0):
            raise Conflict("the volume '%s' is a file system of %d bytes, which cannot shrink while it is mounted"
                           % (record.name, record.size or 0), remedy)
    elif record.backing == records.MOUNT and size < 0:
        raise Conflict("the volume '%s' is a tmpfs with a limit, which the kernel does not take away" % record.name, "Say a larger size")
    elif record.backing == records.FOLDER and size >= 0 and not counted:
        raise Conflict("the volume '%s' is a folder on a file system without project quotas, which knows no limit" % record.name,
                       remedy + ", or mount the file system of the state root with prjquota")
    elif record.backing in (records.FOLDER, records.PROJECT, records.MOUNT) and 0 <= size < used:
        raise Conflict("the volume '%s' holds %d bytes, more than the %d that are asked for" % (record.name, used, size),
                       "Remove some of it, or ask for more")


def make(instance: Instance, record: Record) -> Record:
    """Prepare what limits a new volume, before anything is mounted; the record with what was chosen."""
    if record.backing == records.IMAGE:
        _make_image(records.image(instance, record.name), record.size or 0)
    if record.backing == records.PROJECT:
        return _limited(instance, record)
    return record


def resize(instance: Instance, record: Record, size: int) -> Record:
    """Let a volume hold more or less, while it is in use; the record with what has changed."""
    path = records.content(instance, record.name)
    if record.backing == records.PROJECT:
        quota.limit(path, record.project, max(0, size))
    elif record.backing == records.FOLDER and size >= 0:
        return _limited(instance, record._replace(size=size, backing=records.PROJECT))
    elif record.backing == records.IMAGE:
        _grow(instance, record, size)
    elif record.backing == records.MOUNT:
        mounts.mount(None, path, None, mounts.MS_REMOUNT, "size=%d" % max(0, size))
    return record._replace(size=size)


def current(instance: Instance, record: Record) -> Optional[int]:
    """The limit as the kernel has it, in bytes; -1 where there is none, C(None) where it is not told here."""
    path = records.content(instance, record.name)
    if record.backing == records.PROJECT:
        found = quota.read(path, record.project) if quota.project_of(path) == record.project else None
        return -1 if found is None or not found.limit else found.limit
    if record.backing == records.IMAGE:
        return files.length(records.image(instance, record.name))
    if record.backing == records.FOLDER:
        return -1
    mounted = mounts.at(path)
    if mounted is None or mounted.fstype != "tmpfs":
        return None
    for option in mounted.super_options:
        key, _equals, value = option.partition("=")
        if key == "size" and value.endswith("k"):
            return int(value[:-1]) * 1024 or -1
    return -1


def forget(instance: Instance, record: Record) -> None:
    """Lift a project's limit, so that its number can be another's."""
    if record.backing == records.PROJECT and record.project:
        quota.limit(instance.state("volumes"), record.project, 0)


def _limited(instance: Instance, record: Record) -> Record:
    path = records.content(instance, record.name)
    with locks.held(instance, "store", "projects"):
        project = record.project or _free(instance, path)
        quota.limit(path, project, max(0, record.size or 0))
    try:
        quota.assign(path, project)
    except OSError as error:
        quota.limit(path, project, 0)
        raise Unsupported("the file system of %s counts projects, but its folders cannot belong to one (%s)" % (path, error.strerror),
                          "Switch the feature on ('tune2fs -O project'), or mount it without prjquota") from error
    return record._replace(project=project)


def _free(instance: Instance, path: str) -> int:
    """A number that no volume of ours has and that nothing on the file system bears."""
    taken = {each.project for each in records.every(instance)}
    number = zlib.crc32(os.fsencode(path)) % _RANGE
    for at in range(_RANGE):
        project = _FIRST + (number + at) % _RANGE
        found = quota.read(path, project)
        if project not in taken and found is not None and found == (0, 0):
            return project
    raise Conflict("there is no project number left on the file system of %s" % path, "Remove volumes that have a size")


def _make_image(path: str, size: int) -> None:
    program = commands.find("mkfs.ext4")
    if program is None:
        raise Unsupported("this host has no mkfs.ext4, and the file system of %s has no project quotas: a volume can have no size"
                          % os.path.dirname(path), "Install Debian's package e2fsprogs, or mount that file system with prjquota")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(handle, size)
    finally:
        os.close(handle)
    done = commands.run([program, "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", path])
    if done.status:
        raise EngineError("%s cannot make a file system of %d bytes: %s" % (
            program, size, " ".join(done.stderr.decode("utf-8", "replace").split())), "Ask for a larger 'size'")


def _grow(instance: Instance, record: Record, size: int) -> None:
    """Let a file system in a file grow: while it is in use, or where that is not permitted, unmounted for a moment."""
    image, path = records.image(instance, record.name), records.content(instance, record.name)
    mounted = mounts.at(path)
    before = files.length(image)
    if mounted is None:
        raise KernelError("EXT4_IOC_RESIZE_FS", errno.EINVAL, path)
    os.truncate(image, size)
    try:
        loop.grown(mounted.source)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(handle, _RESIZE, struct.pack("=Q", size // os.fstatvfs(handle).f_bsize))
        except PermissionError:  # without CAP_SYS_RESOURCE
            os.close(handle)
            handle = -1
            _grow_unmounted(instance, record, mounted.source)
        finally:
            if handle >= 0:
                os.close(handle)
    except BaseException:
        os.truncate(image, before)
        raise


def _grow_unmounted(instance: Instance, record: Record, device: str) -> None:
    """By resize2fs(8), once nothing has the file system mounted any more; it is mounted again in any case.

    Raises:
        Conflict: A container has.
    """
    program = commands.find("resize2fs")
    if program is None:
        raise Unsupported("the volume '%s' cannot grow: this process lacks CAP_SYS_RESOURCE, and the host resize2fs" % record.name,
                          "Install Debian's package e2fsprogs")
    mounting.detach(instance, record)
    try:
        if not loop.freed(device, records.image(instance, record.name)):
            raise Conflict("the volume '%s' cannot grow while a container runs with it, since this process lacks CAP_SYS_RESOURCE"
                           % record.name, "Stop the container first")
        done = commands.run([program, "-f", records.image(instance, record.name)])
        if done.status:
            raise EngineError("%s cannot let the volume '%s' grow: %s" % (
                program, record.name, " ".join(done.stderr.decode("utf-8", "replace").split())), "Look at it with e2fsck -f")
    finally:
        mounting.attach(instance, record)
