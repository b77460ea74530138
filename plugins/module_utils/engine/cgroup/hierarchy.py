# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the controllers live: v1, v2 or both at once (hybrid).

Each controller is in one hierarchy at a time, and the host's init decides which. All
that follows asks per controller. Sources: cgroups(7), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
from typing import Dict, FrozenSet, List, NamedTuple, Optional

from ..errors import Unsupported
from ..kernel import cgroupfs

V1_CONTROLLERS = {"cpu": "cpu", "cpuacct": "cpuacct", "cpuset": "cpuset", "memory": "memory", "devices": "devices",
                  "freezer": "freezer", "blkio": "io", "pids": "pids", "hugetlb": "hugetlb", "rdma": "rdma",
                  "net_cls": "net_cls", "net_prio": "net_prio", "perf_event": "perf_event", "misc": "misc"}
"""v1's names, and the names by which this engine knows them: v2's where v2 has the controller."""


class Hierarchies(NamedTuple):
    """The cgroup file systems of this host.

    Attributes:
        v1: Controller (v2's name) to the folder where its v1 hierarchy is mounted.
        folders: Each v1 hierarchy once, named ones such as systemd's too.
        v2: The folder of the v2 hierarchy, or C(None).
        v2_controllers: The controllers that live in v2.
    """

    v1: Dict[str, str]
    folders: List[str]
    v2: Optional[str]
    v2_controllers: FrozenSet[str]

    @property
    def kind(self) -> str:
        """C(v1), C(v2) or C(hybrid)."""
        return "v2" if not self.v1 else "hybrid" if self.v2 else "v1"

    def version(self, controller: str) -> int:
        """1 or 2, or 0 where the host does not have the controller."""
        return 1 if controller in self.v1 else 2 if controller in self.v2_controllers else 0

    def root(self, controller: str) -> Optional[str]:
        """The folder of the controller's hierarchy."""
        return self.v1.get(controller) or (self.v2 if controller in self.v2_controllers else None)

    def all_roots(self) -> List[str]:
        """Every hierarchy; v2 last."""
        return self.folders + ([self.v2] if self.v2 else [])


_known: Optional[Hierarchies] = None


def discover(fresh: bool = False) -> Hierarchies:
    """Find the mounted hierarchies; remembered for the life of the process.

    Args:
        fresh: Whether to look again, as after a change of the mount namespace.

    Raises:
        Unsupported: No cgroup file system is mounted.
    """
    global _known  # pylint: disable=global-statement
    if _known is None or fresh:
        _known = from_mountinfo(cgroupfs.read("/proc/self/mountinfo"))
        if not _known.folders and _known.v2 is None:
            _known = None
            raise Unsupported("no cgroup file system is mounted",
                              "Mount one: 'mount -t cgroup2 none /sys/fs/cgroup', which systemd does by itself")
    return _known


def from_mountinfo(text: str) -> Hierarchies:
    """The hierarchies that a C(/proc/PID/mountinfo) tells of, as far as they can be reached."""
    v1: Dict[str, str] = {}
    folders: List[str] = []
    seen = set()
    v2: Optional[str] = None
    for line in text.splitlines():
        if " - cgroup" not in line:
            continue
        left, _separator, right = line.partition(" - ")
        kind, _source, options = right.split(" ", 2)
        fields = left.split(" ")
        folder = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        if kind not in ("cgroup", "cgroup2") or fields[2] in seen \
                or not os.path.exists(os.path.join(folder, "cgroup.procs")):  # hidden below a later mount
            continue
        seen.add(fields[2])
        if kind == "cgroup2":
            v2 = v2 or folder
            continue
        folders.append(folder)
        for option in options.split(","):
            if option in V1_CONTROLLERS:
                v1[V1_CONTROLLERS[option]] = folder
    available = frozenset(cgroupfs.words(os.path.join(v2, "cgroup.controllers"))) if v2 else frozenset()
    return Hierarchies(v1, folders, v2, available)


def folder(root: str, path: str) -> str:
    """The folder of a group in one hierarchy."""
    return root.rstrip("/") + path


def ancestors(path: str) -> List[str]:
    """The groups above this one, the root excluded, the highest first."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]
