# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a container's cgroup is, and who makes it: the engine itself (C(cgroupfs)) or systemd, as Docker and Podman call them."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ..errors import Corrupt, InvalidValue, Unsupported
from ..instance import Instance
from . import records

SYSTEMD = "systemd"
SLICE = "system.slice"
"""Where systemd starts scopes unless it is told otherwise."""


def by_systemd(options: Mapping[str, Any]) -> bool:
    """Whether systemd makes it."""
    return options.get("cgroup_manager") == SYSTEMD


def path(instance: Instance, name: str, options: Mapping[str, Any]) -> str:
    """A container's cgroup, absolute below each hierarchy; pure.

    Args:
        options: The container's, or as many of them as are known.
    """
    parent = options.get("cgroup_parent")
    if by_systemd(options):
        from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
        return systemd.place("%s-%s.scope" % (instance.name, name.replace(records.BESIDE, "\\x7e")), parent or SLICE)
    return os.path.join(parent, name) if parent else instance.cgroup(name)


def of(instance: Instance, name: str) -> str:
    """The same, by the record; where that is lost, by what the runtime knows of the run."""
    try:
        record = records.read(instance, name)
        if record is not None:
            return path(instance, name, record.options)
    except Corrupt:
        pass
    try:
        return records.read_cgroup(instance, name) or instance.cgroup(name)
    except Corrupt:
        return instance.cgroup(name)


def check(options: Mapping[str, Any]) -> None:
    """Refuse options that do not go together, or with this host.

    Raises:
        InvalidValue: The parent is not of the manager's kind, or a foreign runtime is to be used.
        Unsupported: systemd is not process 1.
    """
    from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
    from . import runtimes  # pylint: disable=import-outside-toplevel
    parent: Optional[str] = options.get("cgroup_parent")
    is_path = parent is not None and parent.startswith("/")
    if by_systemd(options):
        if is_path:
            raise InvalidValue("cgroup_parent", parent, "is no slice of systemd", "Give one such as batch.slice, or leave it out")
        if runtimes.other(options) is not None:
            raise InvalidValue("cgroup_manager", SYSTEMD, "needs the engine's own runtime", "Leave one of the two out")
        if not systemd.running():
            raise Unsupported("option 'cgroup_manager': systemd is not process 1 on this host", "Leave it out",
                              option="cgroup_manager")
    elif parent is not None and (not is_path or parent.endswith(".slice") and systemd.running()):
        raise InvalidValue("cgroup_parent", parent, "is a slice, whose groups systemd makes",
                           "Set 'cgroup_manager: systemd' and give the slice's name, or give a path such as /batch")


def end(instance: Instance, at: str) -> None:
    """Kill what is in a container's group and remove it; and those of the instance's groups above it that are empty then."""
    from ..cgroup import group, systemd  # pylint: disable=import-outside-toplevel
    if group.exists(at):
        group.kill(at)
    if at.endswith(".scope"):
        systemd.stop_at(at)
    group.remove(at)
    above = os.path.dirname(at)
    while (above + "/").startswith(instance.cgroup_root + "/") and group.prune(above):
        above = os.path.dirname(above)
