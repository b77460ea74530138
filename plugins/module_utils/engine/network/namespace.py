# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces: bound to a file in the run root, so that they live without a process in them."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import Callable, Iterator, Optional, TypeVar

from ..errors import Conflict
from ..instance import Instance
from ..kernel import mounts, namespaces
from ..kernel.netlink import Socket
from ..store import files

_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)

Result = TypeVar("Result")


def path(instance: Instance, name: str) -> str:
    """The file that a named namespace is bound to; also what an OCI config.json names to join it."""
    return instance.run("netns", name)


def open_named(instance: Instance, name: str) -> Optional[int]:
    """A descriptor of a named namespace, or C(None) where there is none."""
    return open_path(path(instance, name))


def open_path(where: str) -> Optional[int]:
    """A descriptor of the network namespace bound to a path, or C(None) where none is."""
    try:
        handle = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if fcntl.ioctl(handle, _NS_GET_NSTYPE) == namespaces.NEWNET:
            return handle
    except OSError:  # a plain file: what the mount point looks like without its mount
        pass
    os.close(handle)
    return None


def create(instance: Instance, name: str, source: Optional[str] = None) -> int:
    """Make a named namespace and return its descriptor.

    Args:
        source: The file of an existing namespace that shall get this name too; C(None) makes a new one.

    Raises:
        Conflict: There is one of this name.
    """
    target = path(instance, name)
    existing = open_path(target)
    if existing is not None:
        os.close(existing)
        raise Conflict("the network namespace '%s' exists already" % name, "Remove it first")
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("netns"), 0o755)
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o444))
    try:
        if source is not None:
            mounts.mount(source, target, None, mounts.MS_BIND)
        else:
            _bind_new(target)
        handle = open_path(target)
        if handle is None:
            raise Conflict("'%s' is no network namespace" % source, "Name a file such as /proc/PID/ns/net")
    except BaseException:
        remove(instance, name)
        raise
    return handle


def remove(instance: Instance, name: str) -> bool:
    """Take a namespace's name away; it ends with its last process. Says whether there was one."""
    target = path(instance, name)
    found = mounts.unmount_if_mounted(target)
    found = files.remove(target) or found
    files.remove_empty(instance.run("netns"))
    return found


def inside(handle: int, step: Callable[[], Result]) -> Result:
    """Call a function with this thread inside a network namespace."""
    return namespaces.inside(handle, namespaces.NEWNET, step)


@contextmanager
def closing(handle: int) -> Iterator[int]:
    """Close a namespace's descriptor at the end."""
    try:
        yield handle
    finally:
        os.close(handle)


def socket_in(handle: int) -> Socket:
    """A netlink socket of another network namespace."""
    return inside(handle, Socket)


def same(one: int, other: str) -> bool:
    """Whether a descriptor and a path stand for one namespace."""
    status = os.fstat(one)
    return "%d:%d" % (status.st_dev, status.st_ino) == namespaces.identity(other)


def _bind_new(target: str) -> None:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.unshare(namespaces.NEWNET)
        try:
            mounts.mount("/proc/thread-self/ns/net", target, None, mounts.MS_BIND)
        finally:
            namespaces.setns(home, namespaces.NEWNET)
    finally:
        os.close(home)
