# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit of systemd for each container that runs: NAME@CONTAINER.service, NAME being the instance's.

Its process is the monitor, which is there anyway: who starts the unit moves the monitor into the unit's group and tells
systemd of the container's first process (Type=notify, C(MAINPID)). With the monitor's end the group is empty and the unit
inactive. To stop the unit is to stop the container. Source: systemd.service(5), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..store import files
from . import boot_files, readiness, records

FOLDER = "/run/systemd/system"
"""Of units that are forgotten with the next boot (systemd.unit(5)); it is there where systemd is process 1."""

PATIENCE = 300.0
"""Seconds that a container may take to become ready before its unit counts as started all the same."""


def name_of(instance: Instance, container: str) -> str:
    """The unit of a container."""
    return "%s@%s.service" % (instance.name, records.called(container))


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether a container shall have one."""
    return os.path.isdir(FOLDER) and options.get("sdnotify") != readiness.IGNORE


def monitored(instance: Instance, container: str) -> Optional[records.Live]:
    """The processes of a container that runs and has a monitor; C(None) of another."""
    live = records.read_live(instance, container)
    return live if all(each is not None and processes.alive(each) for each in live) else None


def show(instance: Instance, container: str, options: Mapping[str, Any], monitor: Optional[processes.Process]) -> Dict[str, Any]:
    """Have the unit of a container that runs be active, with its monitor in it.

    systemd is not waited for, and what it says against it is no reason for the container not to run.

    Args:
        options: The container's.
        monitor: The monitor's process.

    Returns: What was done.
    """
    record = records.read(instance, container)
    if not wanted(options) or monitor is None or record is None or record.candidate:
        return {"unit": None}
    from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
    unit = name_of(instance, container)
    try:
        _template(instance)
        if systemd.active_state(unit) in ("active", "activating", "reloading"):
            systemd.attach(unit, [monitor.pid])  # another monitor's, which has ended; else this changes nothing
        else:
            systemd.start_unit(unit)
    except (EngineError, OSError):
        pass
    return {"unit": unit}


def _template(instance: Instance) -> None:
    """Write the template that all these units are made from."""
    path = os.path.join(FOLDER, instance.name + "@.service")
    text = boot_files.container_unit(instance)
    try:
        with open(path, encoding="utf-8") as stream:
            if stream.read() == text:
                return
    except FileNotFoundError:
        pass
    files.write(path, text.encode(), mode=0o644, durable=False)


def forget(instance: Instance) -> None:
    """Remove the template, and the slice that systemd has made for the units of it."""
    if files.remove(os.path.join(FOLDER, instance.name + "@.service")):
        from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
        try:
            systemd.stop("system-%s.slice" % instance.name.replace("-", "\\x2d"))
        except (EngineError, OSError):
            pass
