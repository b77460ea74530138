# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runtime runs a container: the engine's own, or another that the host has."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ..cgroup import hierarchy
from ..instance import Instance
from ..runtime import external
from . import bundle, devices, userns

_CACHE = "runtimes"
_KINDS = ("pid", "network", "ipc", "uts", "mount", "cgroup")


def other(options: Mapping[str, Any]) -> Optional[str]:
    """The runtime that the options name, or C(None) for the engine's own."""
    name = options.get("runtime")
    return None if name in (None, external.BUILT_IN) else str(name)


def check(instance: Instance, name: str, full: Mapping[str, Any], profile: Optional[Mapping[str, Any]]) -> None:
    """Refuse a runtime that is not there, or cannot do what the options ask for. Changes nothing.

    Raises:
        NotFound, Unsupported: Says what is missing.
    """
    wanted = other(full)
    if wanted is None:
        return
    sample = {"containerID": 0, "hostID": 1, "size": 1}
    own = userns.wanted(full)
    places = bundle.Places(
        "/", "/" + name, [{"type": kind} for kind in _KINDS + (("user",) if own else ())], {},
        {row["source"]: "/" for row in full["mounts"] if row["type"] == "volume"}, None,
        {"uidMappings": [sample], "gidMappings": [sample]} if own else {}, devices.of(full), profile)
    _compare(instance, wanted, adapted(full, bundle.config(full, bundle.Identity(), places, {})), keep=False)


def adapted(options: Mapping[str, Any], config: Dict[str, Any]) -> Dict[str, Any]:
    """A container's configuration as another runtime gets it.

    Raises:
        Unsupported: C(init) is wanted, and the host has no program for it.
    """
    return external.with_init(config) if options.get("init") else config


def settle(instance: Instance, options: Mapping[str, Any], config: Dict[str, Any]) -> None:
    """Compare a container's very configuration with what its runtime can do, before it is started.

    Raises:
        NotFound, Unsupported: Says what is missing.
    """
    wanted = other(options)
    if wanted is not None:
        _compare(instance, wanted, config, keep=True)


def _compare(instance: Instance, wanted: str, config: Dict[str, Any], keep: bool) -> None:
    program = external.find(wanted)
    external.check(program, external.features(program, instance.run(_CACHE), keep), config, hierarchy.discover().kind)


def folder(instance: Instance) -> str:
    """Where answers of runtimes are kept."""
    return instance.run(_CACHE)
