# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which namespaces a container has for itself, and which it shares with the host or with another container."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional

from ..errors import Conflict, InvalidValue, NotFound
from ..instance import Instance
from ..kernel import mounts, processes
from ..store import files
from . import records

_MODES = (("ipc_mode", "ipc"), ("pid_mode", "pid"))
_SHM = "shm"
OPTIONS = ("network_mode", "ipc_mode", "pid_mode")
"""Those that can name another container."""


def other(options: Mapping[str, Any], option: str) -> str:
    """The container whose namespace is joined, or nothing."""
    kind, _colon, name = str(options.get(option) or "").partition(":")
    return name if kind == "container" else ""


def depended_on(instance: Instance, name: str) -> bool:
    """Whether another container lives in namespaces of this one."""
    found = (records.read(instance, each) for each in records.names(instance))
    return any(other(record.options, option) == name for record in found if record is not None
               for option in OPTIONS)


def _joined(instance: Instance, options: Mapping[str, Any], option: str) -> str:
    """The folder of that container, or nothing."""
    name = other(options, option)
    return records.current(instance, name) if name else ""


def check(instance: Instance, name: str, full: Mapping[str, Any], userns: bool) -> None:
    """Refuse what does not go together, or cannot be joined.

    Args:
        userns: Whether the container has a user namespace of its own.

    Raises:
        InvalidValue: An option contradicts another.
        NotFound, Conflict: The other container is not there, does not run, or does not share.
    """
    for option, kind in _MODES:
        if userns and full[option] not in ("private", "shareable", "none"):
            raise InvalidValue(option, full[option], "does not go with a user namespace of the container's own",
                               "Leave it out, or use 'userns_mode: host'")
        joined = _joined(instance, full, option)
        if joined == name:
            raise Conflict("the container '%s' cannot join its own %s namespace" % (records.called(name), kind.upper()),
                           "Name another container")
        if joined:
            _process(instance, joined, option)
    if userns and full["privileged"]:
        raise InvalidValue("privileged", True, "does not go with a user namespace of the container's own",
                           "Use 'userns_mode: host', or give the capabilities and devices that are needed")
    if userns and full["uts"] == "host":
        raise InvalidValue("uts", "host", "does not go with a user namespace of the container's own",
                           "Leave it out, or use 'userns_mode: host'")
    if other(full, "ipc_mode"):
        record = records.read(instance, _joined(instance, full, "ipc_mode"))
        if record is not None and record.options.get("ipc_mode") != "shareable":
            raise Conflict("the container '%s' does not share its IPC namespace" % record.shown,
                           "Give it 'ipc_mode: shareable'")
    for sysctl in full["sysctls"]:
        kind, option = ("net", "network_mode") if sysctl.startswith("net.") else ("ipc", "ipc_mode")
        if full[option] == "host" or str(full[option]).startswith(("container:", "ns:")):
            raise InvalidValue("sysctls", sysctl, "belongs to the %s namespace, which is not the container's own" % kind,
                               "Set it where the namespace is made, or change '%s'" % option)


def _process(instance: Instance, name: str, option: str) -> processes.Process:
    """The first process of a running container.

    Raises:
        NotFound, Conflict: There is none.
    """
    if records.read(instance, name) is None:
        raise NotFound("option '%s': there is no container '%s'" % (option, name), "Create it first")
    init = records.read_live(instance, name).init
    if init is None or not processes.alive(init):
        raise Conflict("option '%s': the container '%s' does not run" % (option, name), "Start it first")
    return init


def namespaces(instance: Instance, name: str, options: Mapping[str, Any], network: Optional[str],
               user: Optional[str]) -> List[Dict[str, str]]:
    """C(linux.namespaces).

    Args:
        network, user: Paths of those that were made before; C(None) for the host's.
    """
    kinds: List[Dict[str, str]] = [{"type": "mount"}]
    for option, kind in _MODES:
        joined = _joined(instance, options, option)
        if joined:
            kinds.append({"type": kind, "path": _kept(instance, name, kind, _process(instance, joined, option))})
        elif options.get(option) != "host":
            kinds.append({"type": kind})
    kinds += [{"type": kind} for option, kind in (("uts", "uts"), ("cgroupns_mode", "cgroup"))
              if options.get(option) != "host"]
    kinds += [{"type": kind, "path": path} for kind, path in (("network", network), ("user", user)) if path is not None]
    return kinds


def _kept(instance: Instance, name: str, kind: str, process: processes.Process) -> str:
    """A file that stands for a namespace of another container's, whatever becomes of the number of its process."""
    path = records.run_folder(instance, name, kind)
    mounts.unmount_if_mounted(path)
    files.write(path, b"", durable=False)
    mounts.mount("/proc/%d/ns/%s" % (process.pid, kind), path, None, mounts.MS_BIND)
    if not processes.alive(process):
        raise Conflict("the container whose %s namespace is joined has just ended" % kind, "Start it again")
    return path


def shm(instance: Instance, name: str, options: Mapping[str, Any]) -> Optional[str]:
    """The folder of the host that is the container's /dev/shm; C(None) for one of its own.

    A container that shares its IPC namespace has it on the host, since a mount cannot be fetched from elsewhere.
    """
    mode = str(options.get("ipc_mode"))
    if mode == "host":
        return "/dev/shm"
    if mode == "shareable":
        path = records.run_folder(instance, name, _SHM)
        if mounts.at(os.path.realpath(path)) is None:
            files.make_folder(path, 0o700)
            mounts.mount("shm", path, "tmpfs", mounts.MS_NOSUID | mounts.MS_NOEXEC | mounts.MS_NODEV,
                         "mode=1777,size=%d" % options["shm_size"])
        return path
    joined = _joined(instance, options, "ipc_mode")
    return records.run_folder(instance, joined, _SHM) if joined else None
