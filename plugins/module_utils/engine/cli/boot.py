# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's process 1 calls when the host comes up or goes down, and when a container's unit is started or stopped."""

from __future__ import annotations

import os
import sys
from typing import List

from ..container import records
from ..errors import EngineError, NotFound
from ..instance import Instance


def boot(instance: Instance, arguments: List[str]) -> int:
    """Start every container whose restart policy says so; the exit status says whether all could be started."""
    if arguments:
        return _print(instance, arguments)
    from ..container import boot as steps  # pylint: disable=import-outside-toplevel
    from ..network import declare  # pylint: disable=import-outside-toplevel
    from ..volume import volumes  # pylint: disable=import-outside-toplevel
    failures = 0
    try:
        declare.mend(instance)
    except (EngineError, OSError) as error:
        failures += 1
        sys.stderr.write("coracle: networks: %s\n" % error)
    failures += steps.start(instance, steps.wanted(instance))
    for failure in volumes.boot(instance):  # after the containers, which have mounted theirs: a server that is away takes its time
        failures += 1
        sys.stderr.write("coracle: %s\n" % failure)
    return 1 if failures else 0


def _print(instance: Instance, arguments: List[str]) -> int:
    from ..container import boot_files  # pylint: disable=import-outside-toplevel
    if len(arguments) != 2 or arguments[0] != "--print" or arguments[1] not in boot_files.KINDS:
        raise EngineError("boot: %s is not understood" % " ".join(arguments), "Say 'coracle boot', or 'coracle boot --print %s'"
                          % "|".join(boot_files.KINDS))
    sys.stdout.write(boot_files.KINDS[arguments[1]](instance))
    return 0


def start(instance: Instance, _arguments: List[str]) -> int:
    """Start all containers that do not run, each after those that it needs."""
    from ..container import boot as steps  # pylint: disable=import-outside-toplevel
    runs = steps.running(instance)
    names = [records.called(name) for name in records.listed(instance) if records.read(instance, name) is not None]
    return 1 if steps.start(instance, [name for name in names if name not in runs]) else 0


def stop(instance: Instance, arguments: List[str]) -> int:
    """Stop containers, those that others need after these others; they count as stopped."""
    from ..container import boot as steps  # pylint: disable=import-outside-toplevel
    names = list(steps.running(instance)) if arguments == ["--all"] else arguments
    if not arguments:
        raise EngineError("coracle stop takes the names of containers, or --all", "'coracle ps' lists them")
    for name in names:
        _folder(instance, name)
    return 1 if steps.stop(instance, names) else 0


def shutdown(instance: Instance, arguments: List[str]) -> int:
    """End all containers since the host goes down: the next boot starts them again."""
    if arguments not in ([], ["--if-stopping"]):
        raise EngineError("shutdown: %s is not understood" % " ".join(arguments), "Say 'coracle shutdown'")
    if arguments and not _stopping():
        return 0
    from ..container import boot as steps  # pylint: disable=import-outside-toplevel
    return 1 if steps.stop(instance, steps.running(instance), "shutdown") else 0


def unit(instance: Instance, arguments: List[str]) -> int:
    """Be what a container's unit of systemd runs: C(start NAME) or C(stop NAME)."""
    if len(arguments) != 2 or arguments[0] not in ("start", "stop"):
        raise EngineError("unit: %s is not understood" % " ".join(arguments), "Say 'systemctl start' or 'systemctl stop', with "
                          "the container's unit")
    name = _folder(instance, arguments[1])
    from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
    from ..container import lifecycle, readiness, units, waiting  # pylint: disable=import-outside-toplevel
    if arguments[0] == "stop":
        # systemd calls this too when the container has ended by itself; it may have been started again by now.
        if systemd.job(units.name_of(instance, name)) in ("stop", "restart", "try-restart"):
            lifecycle.end(instance, name, "shutdown" if _stopping() else "")
        return 0
    live = units.monitored(instance, name)
    if live is None:
        lifecycle.begin(instance, name, awake=True)
        live = units.monitored(instance, name)
    if live is None or live.monitor is None or live.init is None:
        raise EngineError("the container '%s' ended at once" % arguments[1], "See its output with: coracle logs %s" % arguments[1])
    systemd.attach(units.name_of(instance, name), [live.monitor.pid])
    address = os.environ.get("NOTIFY_SOCKET") or readiness.SYSTEMD
    readiness.notify("MAINPID=%d\nSTATUS=running, not ready yet" % live.init.pid, address)
    try:
        waiting.await_ready(instance, name, units.PATIENCE, locked=False)
        state = "running"
    except EngineError as error:
        sys.stderr.write("coracle: %s\n" % error)
        state = "running, but not ready"
    readiness.notify("READY=1\nSTATUS=" + state, address)
    return 0


def _stopping() -> bool:
    """Whether systemd is taking the host down."""
    from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
    return systemd.running() and systemd.system_state() == "stopping"


def _folder(instance: Instance, name: str) -> str:
    found = records.current(instance, name)
    if found not in records.names(instance):
        raise NotFound("there is no container '%s'" % name, "'coracle ps' lists them")
    return found
