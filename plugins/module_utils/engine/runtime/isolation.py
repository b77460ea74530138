# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which namespaces a container gets new, which it joins, and how its first process comes into them.

Most can be joined by the parent, which then makes the child and returns home,
so that the child is born inside and stays the parent's own child. A user or
mount namespace can only be joined by the child itself.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, KernelError
from ..kernel import clone, namespaces

_BY_CHILD = ("user", "mount")
_IOCTL_USERNS, _IOCTL_NSTYPE = 0xB701, 0xB703  # NS_GET_USERNS, NS_GET_NSTYPE (ioctl_nsfs(2))


class Request(NamedTuple):
    """The namespaces of a container.

    Attributes:
        new: Kinds that are made new.
        joined: Kind and descriptor of each that exists already.
    """

    new: Tuple[str, ...]
    joined: Tuple[Tuple[str, int], ...]

    def has(self, kind: str) -> bool:
        """Whether the container has a namespace of this kind that is not simply the caller's."""
        return kind in self.new or any(each == kind for each, _handle in self.joined)

    def handle(self, kind: str) -> Optional[int]:
        """The descriptor of the namespace to join, or C(None)."""
        return dict(self.joined).get(kind)

    def close(self) -> None:
        """Let go of the descriptors."""
        for _kind, handle in self.joined:
            os.close(handle)


def open_request(config: Dict[str, Any]) -> Request:
    """Open the namespaces that a configuration names by path.

    Raises:
        EngineError: A path is no namespace, or one of another kind.
    """
    new = []
    joined: List[Tuple[str, int]] = []
    try:
        for number, each in enumerate((config.get("linux") or {}).get("namespaces") or ()):
            kind, path = each["type"], each.get("path")
            if not path:
                new.append(kind)
                continue
            label = "linux.namespaces[%d].path" % number
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError as error:
                raise EngineError("%s: %s: %s" % (label, path, error.strerror),
                                  "Give the path of an existing %s namespace" % kind, path=label) from error
            joined.append((kind, handle))
            _check(handle, kind, label, path)
    except BaseException:
        for _kind, handle in joined:
            os.close(handle)
        raise
    return Request(tuple(new), tuple(joined))


def _check(handle: int, kind: str, label: str, path: str) -> None:
    try:
        found = fcntl.ioctl(handle, _IOCTL_NSTYPE)
    except OSError:
        found = 0
    if found != namespaces.FLAGS[kind]:
        names = [name for name, flag in namespaces.FLAGS.items() if flag == found]
        raise EngineError("%s: %s is %s" % (label, path, "a %s namespace" % names[0] if names else "no namespace"),
                          "Give the path of a %s namespace" % kind, path=label)


def foreign_network(request: Request) -> bool:
    """Whether the container's user namespace does not own its network namespace, and so may not mount its sysfs."""
    if not request.has("user") or "network" in request.new:
        return False
    network, user = request.handle("network"), request.handle("user")
    if network is None or user is None:  # the caller's own; or older than the user namespace
        return True
    owner = fcntl.ioctl(network, _IOCTL_USERNS)
    try:
        return not os.path.sameopenfile(owner, user)
    finally:
        os.close(owner)


def flags_of(kinds: Tuple[str, ...]) -> int:
    """The clone flags of some kinds."""
    flags = 0
    for kind in kinds:
        flags |= namespaces.FLAGS[kind]
    return flags


def make_child(request: Request, born_flags: int, cgroup: Optional[int]) -> clone.Child:
    """clone3(2) with the joined namespaces around the child.

    Args:
        born_flags: CLONE_NEW* of those that the child gets at birth.
    """
    from . import rootless  # pylint: disable=import-outside-toplevel
    by_parent = [(kind, handle) for kind, handle in request.joined if kind not in _BY_CHILD]
    if by_parent and request.handle("user") is None and rootless.limited():
        # A way back from a namespace needs rights on the one that was left, which only the host's root has.
        return clone_within([(handle, namespaces.FLAGS[kind]) for kind, handle in by_parent], born_flags, cgroup)
    home: List[Tuple[int, int]] = []
    child: Optional[clone.Child] = None
    try:
        for kind, handle in by_parent:
            flag = namespaces.FLAGS[kind]
            own = "/proc/thread-self/ns/" + namespaces.FILES[kind] + ("_for_children" if kind in ("pid", "time") else "")
            home.append((os.open(own, os.O_RDONLY | os.O_CLOEXEC), flag))
            try:
                namespaces.setns(handle, flag)
            except KernelError as error:
                raise EngineError("cannot join the %s namespace: %s" % (kind, os.strerror(error.errno)), None,
                                  errno=error.errno) from error
        user = request.handle("user")
        if user is not None and "pid" in request.new:
            child = clone_within([(user, namespaces.NEWUSER)], born_flags, cgroup)
        else:
            child = clone.clone(born_flags, cgroup)
    finally:
        if child is None or child.pid:  # in the child itself there is nothing to go home to
            for handle, flag in reversed(home):
                namespaces.setns(handle, flag)
                os.close(handle)
    return child


def clone_within(joined: Sequence[Tuple[int, int]], flags: int = 0, cgroup: Optional[int] = None) -> clone.Child:
    """clone3(2) from within namespaces that the caller does not join itself; the child is still the caller's own.

    Somebody in between joins them, makes the child with CLONE_PARENT, tells its number and goes.

    Args:
        joined: In order: descriptor of a namespace, or of a process, and CLONE_NEW* of what is joined by it (setns(2)).
        flags: CLONE_NEW* of those that the child gets at birth.
    """
    telling, told = os.pipe2(os.O_CLOEXEC)
    between = clone.clone()
    if between.pid == 0:
        word = b""
        try:
            for handle, kinds in joined:
                namespaces.setns(handle, kinds)
            child = clone.clone(flags | clone.PARENT, cgroup)
            if child.pid == 0:
                os.close(telling)
                os.close(told)
                return child
            word = b"%d" % child.pid
        except BaseException as error:  # pylint: disable=broad-except
            word = b"-%d" % (getattr(error, "errno", 0) or 0)
        os.write(told, word)
        os._exit(0)
    os.close(told)
    try:
        word = os.read(telling, 32)
    finally:
        os.close(telling)
        os.waitpid(between.pid, 0)
        os.close(between.pidfd)
    number = int(word or b"-0")
    if number <= 0:
        raise EngineError("cannot make a process in the namespaces that it joins: %s" % os.strerror(-number), None,
                          errno=-number)
    return clone.Child(number, os.pidfd_open(number))


def join_in_child(request: Request, kind: str, proc: int) -> bool:
    """Join a user or mount namespace, in the child; say whether there was one to join.

    Args:
        proc: Descriptor of the host's /proc.
    """
    handle = request.handle(kind)
    if handle is None:
        return False
    there, here = os.fstat(handle), os.stat("self/ns/" + namespaces.FILES[kind], dir_fd=proc)
    if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
        return True  # born inside
    namespaces.setns(handle, namespaces.FLAGS[kind])
    return True


def mapping_namespace(maps: Dict[str, Any]) -> int:
    """The descriptor of a user namespace that only stands for mappings; nobody lives in it.

    Args:
        maps: C(uidMappings) and C(gidMappings) as in config.json.
    """
    from ..kernel import bystander  # pylint: disable=import-outside-toplevel
    with bystander.bystander(namespaces.NEWUSER) as pid:
        write_maps(pid, maps)
        return namespaces.open_of(pid, "user")


def write_maps(pid: int, linux: Dict[str, Any]) -> None:
    """Give a new user namespace its mappings (user_namespaces(7)).

    Raises:
        KernelError: The kernel refused; names the file.
    """
    from . import rootless  # pylint: disable=import-outside-toplevel
    if rootless.unprivileged() and rootless.write_maps(pid, linux):
        return
    for kind in ("uid", "gid"):
        rows = "".join("%d %d %d\n" % (each["containerID"], each["hostID"], each["size"])
                       for each in linux.get(kind + "Mappings") or _identity(kind))
        path = "/proc/%d/%s_map" % (pid, kind)
        try:
            if kind == "gid" and rootless.unprivileged():
                _put("/proc/%d/setgroups" % pid, "deny")
            _put(path, rows)
        except OSError as error:
            raise KernelError("write", error.errno or 0, "linux.%sMappings" % kind) from error


def _identity(kind: str) -> List[Dict[str, int]]:
    """Mappings by which every ID that the caller's namespace has stands for itself."""
    with open("/proc/self/%s_map" % kind, "rb") as stream:
        rows = [line.split() for line in stream]
    return [{"containerID": int(row[0]), "hostID": int(row[0]), "size": int(row[2])} for row in rows]


def host_id(linux: Dict[str, Any], kind: str, number: int) -> int:
    """The host's ID for one of a new user namespace.

    Args:
        kind: C(uid) or C(gid).

    Raises:
        EngineError: No mapping has it.
    """
    for each in linux.get(kind + "Mappings") or _identity(kind):
        if each["containerID"] <= number < each["containerID"] + each["size"]:
            return int(each["hostID"] + number - each["containerID"])
    raise EngineError("linux.%sMappings: none of them has the %s %d" % (kind, kind, number), "Map it, or choose another",
                      path="linux.%sMappings" % kind)


def _put(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
