# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a user who is not the host's root: what the kernel grants, and how it is reached.

The user makes a user namespace and has all rights in it; every other namespace is made inside. More IDs than its own
come by newuidmap(1) and newgidmap(1), and a cgroup only where one was delegated. A user may also be root in a user
namespace that somebody else made, as below Podman: then all is done as for root, but for cgroups.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Sequence

from ..errors import EngineError, Unsupported
from ..kernel import capabilities

_ALL_IDS = [b"0", b"0", b"4294967295"]


def unprivileged() -> bool:
    """Whether the caller lacks the right to mount and to make namespaces where it is now (CAP_SYS_ADMIN)."""
    return not capabilities.own()[0] >> capabilities.CAP_SYS_ADMIN & 1


def limited() -> bool:
    """Whether the caller is not the host's root, whatever it is called where it is now."""
    if os.geteuid() != 0:
        return True
    try:
        with open("/proc/self/uid_map", "rb", buffering=0) as stream:
            return stream.read(4096).split() != _ALL_IDS
    except FileNotFoundError:
        return False


def state_root() -> str:
    """Where the states of a user's containers are kept by default.

    Raises:
        EngineError: The user has no folder for what must not survive a reboot.
    """
    folder = os.environ.get("XDG_RUNTIME_DIR") or ""
    if not folder.startswith("/"):
        raise EngineError("user id %d has no XDG_RUNTIME_DIR" % os.geteuid(),
                          "Log in by way of systemd, or say where states are to be kept with --root")
    return os.path.join(folder, "coracle", "oci")


def check(user_namespace: bool, mapped: Sequence[str]) -> None:
    """Refuse what only the host's root is granted.

    Args:
        user_namespace: Whether the container has one.
        mapped: Labels of the mounts that are to be shown through mappings.

    Raises:
        Unsupported: Names what it is.
    """
    if not user_namespace:
        raise Unsupported("linux.namespaces: without a user namespace among them, user id %d cannot make the others" % os.geteuid(),
                          "Add one with its mappings, as 'coracle spec --rootless' does")
    if mapped:
        raise Unsupported("%s: only the host's root can show a mount through mappings" % mapped[0], "Leave idmap out")


def write_maps(pid: int, linux: Mapping[str, Any]) -> bool:
    """Let newuidmap(1) and newgidmap(1) map a child's IDs; say whether it was necessary.

    Raises:
        Unsupported: The programs are not there.
        EngineError: They refuse.
    """
    maps: Dict[str, Sequence[Mapping[str, int]]] = {kind: linux.get(kind + "Mappings") or () for kind in ("uid", "gid")}
    own = {"uid": os.geteuid(), "gid": os.getegid()}
    if all(len(rows) == 1 and rows[0]["size"] == 1 and rows[0]["hostID"] == own[kind] for kind, rows in maps.items()):
        return False  # its own alone, which everybody may map
    from ..kernel import commands  # pylint: disable=import-outside-toplevel
    for kind, rows in maps.items():
        program = commands.find("new%smap" % kind)
        if program is None:
            raise Unsupported("linux.%sMappings: a user other than root can only map its own ID without new%smap" % (kind, kind),
                              "Install the package uidmap (shadow-utils), or map one ID")
        words = [program, str(pid)]
        for row in rows:
            words += [str(row["containerID"]), str(row["hostID"]), str(row["size"])]
        done = commands.run(words)
        if done.status:
            raise EngineError("linux.%sMappings: %s" % (kind, done.stderr.decode("utf-8", "replace").strip()[:500]
                                                        or "%s ended with %d" % (program, done.status)),
                              "The ranges of a user are in /etc/sub%s" % kind, path="linux.%sMappings" % kind)
    return True


def may_set_groups(proc: int) -> bool:
    """Whether the calling process, in its user namespace, may change its groups (user_namespaces(7)).

    Args:
        proc: Descriptor of the host's /proc.
    """
    try:
        handle = os.open("self/setgroups", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except FileNotFoundError:
        return True
    try:
        return os.read(handle, 16).strip() != b"deny"
    finally:
        os.close(handle)


def cgroup(name: str, asked: str, by_systemd: bool) -> str:
    """The cgroup of a user's container: below one that was delegated to the user; nothing where there is none.

    Args:
        asked: The absolute path that root would take.
        by_systemd: Whether it is the place where systemd would put it, below the user's own manager.
    """
    import re  # pylint: disable=import-outside-toplevel

    from ..cgroup import hierarchy  # pylint: disable=import-outside-toplevel
    try:
        found = hierarchy.discover()
    except Unsupported:
        return ""
    if found.kind != "v2" or not found.v2:
        return ""
    own = _own_cgroup()
    manager = re.match(r"^(.*/user@[0-9]+\.service)(/|\Z)", own)
    choices: List[str] = []
    if by_systemd and manager:
        choices.append(manager.group(1) + asked)
    choices += [asked] + [base.rstrip("/") + "/coracle-" + name for base in (os.path.dirname(own), own)]
    for path in choices:
        if _delegated(hierarchy.folder(found.v2, path), hierarchy.folder(found.v2, os.path.commonpath([path, own]))):
            return path
    return ""


def _own_cgroup() -> str:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    return "/"


def _delegated(folder: str, common: str) -> bool:
    """Whether a group can be made, and a process be moved there from one below the common ancestor (cgroup-v2.rst)."""
    above = os.path.dirname(folder)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    return os.access(above, os.W_OK) and os.access(os.path.join(above, "cgroup.procs"), os.W_OK) \
        and os.access(os.path.join(common, "cgroup.procs"), os.W_OK)


def without_cgroup(config: Dict[str, Any]) -> None:
    """Take the cgroup out of a configuration that gets none; device rules too: the user's own rights on the nodes hold.

    Raises:
        Unsupported: It has limits.
    """
    linux = config.get("linux") or {}
    resources = linux.get("resources") or {}
    limits = sorted(key for key, value in resources.items() if key != "devices" and value)
    if limits:
        raise Unsupported("linux.resources: %s cannot be applied: no cgroup was delegated to user id %d" % (
            " and ".join(limits), os.geteuid()),
            "Leave them out, or use a host with cgroup v2 and run within 'systemd-run --user --scope -p Delegate=yes'")
    linux.pop("cgroupsPath", None)
    linux.pop("resources", None)
