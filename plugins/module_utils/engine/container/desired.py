# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container that is asked for, with all that it inherits from its image filled in."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..cgroup import checks, request, support
from ..cgroup.hierarchy import discover
from ..cgroup.limits import NOTHING, Limits
from ..cgroup.render import rounded
from ..errors import Conflict, InvalidValue, NotFound
from ..image import images
from ..instance import Instance
from ..network import publish
from ..network.spec import NetnsSpec
from . import wiring

NOT_OPTIONS = ("name", "state", "detach", "recreate", "keep_volumes", "volumes", "state_root", "run_root",
               "cgroup_root")
"""Options that say what to do, not how the container shall be."""


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        name, state: As in the options.
        full: The container's options, values inherited from the image resolved; empty where no image was named.
        options: Those of them that are compared with the container as it is.
        image: The image, if one was named.
        limits: What it shall be held to, as the kernel rounds it.
        netns: Its network, settled; where it shall run.
    """

    name: str
    state: str
    full: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    image: Optional[images.Image] = None
    limits: Limits = NOTHING
    netns: Optional[NetnsSpec] = None
    recreate: bool = False
    detach: bool = True
    keep_volumes: bool = True


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Look up the image and fill in what follows from it and from the name. Reads only.

    Raises:
        NotFound: There is no such image, or a bind mount's source is missing.
        InvalidValue: Options contradict each other.
    """
    name, state = params["name"], params["state"]
    plain = Desired(name, state, recreate=params["recreate"], detach=params["detach"],
                    keep_volumes=params["keep_volumes"])
    if state == "absent" or params["image"] is None:
        return plain
    image = images.find(instance, params["image"])
    if image is None:
        raise NotFound("the image '%s' is not in the store below %s" % (params["image"], instance.state_root),
                       "Bring it there first with coracle.containers.container_image")
    full = _full(params, image)
    _check(full, params)
    limits = _limits(instance, full)
    plain = plain._replace(full=full, image=image, limits=limits)
    if state == "stopped":
        return plain._replace(options=dict(full, image=image.id))
    netns = wiring.settle(instance, name, full)
    return plain._replace(netns=netns, options=dict(full, image=image.id, networks=wiring.view(netns)))


def _limits(instance: Instance, full: Dict[str, Any]) -> Limits:
    """The limits, checked against what this host has and rounded as its kernel does; the options likewise."""
    path = instance.cgroup("any")  # what a new group below the root can have
    limits = request.from_options(full)
    hierarchies = discover()
    checks.check(hierarchies, path, limits, NOTHING,
                 {"cpu_quota": "cpus" if full["cpus"] is not None else "cpu_quota"})
    limits = rounded(support.layout(hierarchies, path), limits)
    full.update(dict.fromkeys(request.NAMES), **request.said(full, limits))
    return limits


def _full(params: Mapping[str, Any], image: images.Image) -> Dict[str, Any]:
    full = {key: value for key, value in params.items() if key not in NOT_OPTIONS}
    config: Mapping[str, Any] = image.config.get("config") or {}
    if full["entrypoint"] is None:
        full["entrypoint"] = list(config.get("Entrypoint") or [])
        if full["command"] is None:
            full["command"] = list(config.get("Cmd") or [])
    full["command"] = full["command"] or []
    inherited = dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)
    full["env"] = dict(inherited, **(full["env"] or {}))
    full["user"] = full["user"] or config.get("User") or "0"
    full["working_dir"] = full["working_dir"] or config.get("WorkingDir") or "/"
    full["labels"] = dict(config.get("Labels") or {}, **(full["labels"] or {}))
    full["stop_signal"] = full["stop_signal"] or _signal_of(config.get("StopSignal"))
    full["hostname"] = full["hostname"] or default_hostname(params["name"])
    full["mounts"] = _mounts(params)
    full["published_ports"] = publish.contract(publish.expand(full["published_ports"] or []))
    for key in ("groups", "capabilities", "cap_drop", "security_opts", "ulimits", "networks",
                "dns_servers", "dns_search_domains", "dns_opts"):
        full[key] = full[key] or []
    for key in ("sysctls", "etc_hosts"):
        full[key] = full[key] or {}
    return full


def default_hostname(name: str) -> str:
    """The name as a host name: C(_) becomes C(-), and no hyphen or dot ends it."""
    return re.sub(r"[^a-zA-Z0-9.-]+", "-", name).strip("-.") or "container"


def _signal_of(text: Optional[str]) -> int:
    import signal  # pylint: disable=import-outside-toplevel
    word = str(text or "SIGTERM").upper()
    if word.isdigit():
        return int(word)
    match = re.match(r"^(?:SIG)?RTMIN\+(\d+)$", word)
    if match:
        return int(signal.SIGRTMIN) + int(match.group(1))
    return int(getattr(signal, word if word.startswith("SIG") else "SIG" + word, signal.SIGTERM))


def _mounts(params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    mounts = [dict(row) for row in params["mounts"] or ()] + [dict(row) for row in params["volumes"] or ()]
    targets = set()
    for row in mounts:
        if row["target"] in targets:
            raise InvalidValue("mounts", row["target"], "is the target of two mounts", "Give each a target of its own")
        targets.add(row["target"])
        if row["type"] == "bind" and not os.path.lexists(row["source"]):
            raise NotFound("option 'mounts': the source '%s' does not exist on the host" % row["source"],
                           "Create it first, or use a mount of type volume")
    return mounts


def _check(full: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    if not full["entrypoint"] and not full["command"]:
        raise InvalidValue("command", None, "is empty, and the image '%s' has none either" % params["image"],
                           "Say what shall run with 'command' or 'entrypoint'")
    if not params["detach"] and full["restart_policy"] != "no":
        raise InvalidValue("restart_policy", full["restart_policy"], "does not go with 'detach: false'",
                           "Use 'no' for a container that is waited for")
    mode = full["network_mode"]
    if full["networks"] and mode in ("none", "host") or full["networks"] and mode.startswith("container:"):
        raise InvalidValue("networks", [each["name"] for each in full["networks"]],
                           "does not go with 'network_mode: %s'" % mode, "Leave one of the two out")
    if full["published_ports"] and (mode in ("none", "host") or mode.startswith("container:")):
        raise InvalidValue("published_ports", full["published_ports"], "does not go with 'network_mode: %s'" % mode,
                           "Publish ports only with a bridge network")
    if mode == "container:" + params["name"]:
        raise Conflict("the container '%s' cannot join its own network namespace" % params["name"],
                       "Name another container")
