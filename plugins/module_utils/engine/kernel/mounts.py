# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts: mount(2), umount2(2), and the descriptor-based calls of Linux 5.2 and newer.

Constants are of the kernel's uapi/linux/mount.h. Nothing here decides what to mount.
"""

from __future__ import annotations

import ctypes
import os
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import KernelError
from .syscalls import call, try_call

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_SILENT = 32768
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_ATIME = 0x70
MOUNT_ATTR_IDMAP = 0x00100000
MOUNT_ATTR_NOSYMFOLLOW = 0x00200000
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_EINVAL = 22


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class Mount(NamedTuple):
    """One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).

    Attributes:
        identity, parent: Mount IDs.
        device: C(major:minor) of the file system.
        root: The part of the file system that is mounted.
        target: Where it is mounted.
        options: Per-mount options.
        fstype, source: Of the file system.
        super_options: Of the file system.
        propagation: C(shared:N), C(master:N), C(unbindable), or nothing for private.
    """

    identity: int
    parent: int
    device: str
    root: str
    target: str
    options: Tuple[str, ...]
    fstype: str
    source: str
    super_options: Tuple[str, ...]
    propagation: Tuple[str, ...]


def mount(source: Optional[str], target: str, fstype: Optional[str] = None, flags: int = 0,
          data: Optional[str] = None) -> None:
    """mount(2).

    Raises:
        KernelError: Names the target.
    """
    call("mount", _bytes(source), _bytes(target), _bytes(fstype), flags, _bytes(data), target=target)


def unmount(target: str, flags: int = UMOUNT_NOFOLLOW) -> None:
    """umount2(2).

    Raises:
        KernelError: Names the target; EINVAL where nothing is mounted there.
    """
    call("umount2", _bytes(target), flags, target=target)


def unmount_if_mounted(target: str) -> bool:
    """Detach whatever is mounted at a path, all layers of it; say whether there was anything."""
    found = False
    while True:
        result = try_call("umount2", _bytes(target), MNT_DETACH | UMOUNT_NOFOLLOW)
        if result == 0:
            found = True
        elif result in (-_EINVAL, -2):  # nothing mounted there, or no such path
            return found
        else:
            raise KernelError("umount2", -result, target)


def bind(source: str, target: str, read_only: bool = False, recursive: bool = True) -> None:
    """Show a file or folder at a second place."""
    mount(source, target, None, MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        set_attributes(target, MOUNT_ATTR_RDONLY, recursive=recursive)


def make_private(target: str) -> None:
    """Stop mounts below a path from reaching other mount namespaces, and theirs from reaching here."""
    mount(None, target, None, MS_PRIVATE | MS_REC)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    call("pivot_root", _bytes(new_root), _bytes(put_old), target=new_root)


def open_tree(path: str, directory: int = AT_FDCWD, clone: bool = False, recursive: bool = False) -> int:
    """A descriptor of a mount, or of a detached copy of it (open_tree(2))."""
    flags = OPEN_TREE_CLOEXEC | (OPEN_TREE_CLONE if clone else 0) | (AT_RECURSIVE if recursive else 0)
    return call("open_tree", directory, _bytes(path), flags | (AT_EMPTY_PATH if not path else 0), target=path)


def move_mount(tree: int, target: str, directory: int = AT_FDCWD) -> None:
    """Attach a detached mount; an empty target means the directory descriptor itself (move_mount(2))."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (MOVE_MOUNT_T_EMPTY_PATH if not target else 0)
    call("move_mount", tree, b"", directory, _bytes(target), flags, target=target)


def set_attributes(path: str, attributes: int, clear: int = 0, directory: int = AT_FDCWD, recursive: bool = False,
                   propagation: int = 0, user_namespace: int = 0) -> None:
    """Change attributes of a mount; an empty path means the descriptor itself (mount_setattr(2)).

    Args:
        attributes: MOUNT_ATTR_* to set; with MOUNT_ATTR_IDMAP, C(user_namespace) is the descriptor of the mapping.
        clear: MOUNT_ATTR_* to clear.
        propagation: One of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or 0.
    """
    record = _MountAttr(attributes, clear, propagation, user_namespace)
    flags = (AT_RECURSIVE if recursive else 0) | (AT_EMPTY_PATH if not path else 0)
    call("mount_setattr", directory, _bytes(path), flags, ctypes.byref(record), ctypes.sizeof(record), target=path)


def new_file_system(fstype: str, options: Sequence[Tuple[str, Optional[str]]], attributes: int = 0) -> int:
    """Make a file system and return the descriptor of its detached mount (fsopen(2), fsconfig(2), fsmount(2)).

    Args:
        options: Key and value, or key and C(None) for a flag; a key may come more than once.
        attributes: MOUNT_ATTR_*.
    """
    context = call("fsopen", _bytes(fstype), _FSOPEN_CLOEXEC, target=fstype)
    try:
        for key, value in options:
            kind = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            result = try_call("fsconfig", context, kind, _bytes(key), _bytes(value), 0)
            if result < 0:
                raise KernelError("fsconfig", -result, "%s option %s=%s%s" % (fstype, key, value, _complaint(context)))
        result = try_call("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0)
        if result < 0:
            raise KernelError("fsconfig", -result, "%s%s" % (fstype, _complaint(context)))
        return call("fsmount", context, _FSMOUNT_CLOEXEC, attributes, target=fstype)
    finally:
        os.close(context)


def _complaint(context: int) -> str:
    """What the kernel said about a file system context, as it words it."""
    said = []
    while True:
        try:
            said.append(os.read(context, 4096).decode("utf-8", "replace").strip())
        except OSError:
            return " (%s)" % "; ".join(said) if said else ""


def table(pid: str = "self") -> List[Mount]:
    """The mounts that a process sees, in mount order."""
    with open("/proc/%s/mountinfo" % pid, "rb") as stream:
        return list(_parse(stream.read().decode("utf-8", "surrogateescape")))


def at(target: str, mounts: Optional[List[Mount]] = None) -> Optional[Mount]:
    """The topmost mount exactly at a path, or C(None)."""
    for each in reversed(table() if mounts is None else mounts):
        if each.target == target:
            return each
    return None


def below(folder: str, mounts: Optional[List[Mount]] = None) -> List[Mount]:
    """The mounts at or below a folder, deepest and latest first: the order in which to unmount them."""
    prefix = folder.rstrip("/") + "/"
    found = [each for each in (table() if mounts is None else mounts) if (each.target + "/").startswith(prefix)]
    return found[::-1]


def _parse(text: str) -> Iterator[Mount]:
    for line in text.splitlines():
        head, _dash, tail = line.partition(" - ")
        fields, rest = head.split(" "), tail.split(" ")
        yield Mount(int(fields[0]), int(fields[1]), fields[2], _unescape(fields[3]), _unescape(fields[4]),
                    tuple(fields[5].split(",")), rest[0], _unescape(rest[1]),
                    tuple(_unescape(rest[2]).split(",")) if len(rest) > 2 else (), tuple(fields[6:]))


def _unescape(text: str) -> str:
    """Undo the octal escapes of space, tab, newline and backslash (proc_pid_mounts(5))."""
    if "\\" not in text:
        return text
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text


def _bytes(text: Optional[str]) -> Optional[bytes]:
    return None if text is None else os.fsencode(text)
