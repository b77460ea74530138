# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container that is asked for, with all that it inherits from its image filled in."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from ..cgroup import checks, request, support
from ..cgroup.hierarchy import discover
from ..cgroup.limits import NOTHING, Limits
from ..cgroup.render import rounded
from ..errors import Conflict, InvalidValue, NotFound
from ..image import images, platforms, references, remote
from ..instance import Instance
from ..network import foreign, publish
from ..network.spec import NetnsSpec, unknown_peers
from ..registry.access import access_of
from . import (activation, cgroups, comparisons, dependencies, devices, health, records, runtimes, secret_files, security, sharing,
               userns, volumes, wiring)

NOT_OPTIONS = ("name", "state", "healthy_wait_timeout", "comparisons", "update_order", "drain_timeout", "detach", "recreate",
               "force", "keep_volumes", "volumes", "pull", "platform", "registry", "state_root", "run_root", "cgroup_root")
"""Options that say what to do, not how the container shall be."""


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        name, state: As in the options.
        full: The container's options, values inherited from the image resolved; empty where no image was named.
        options: Those of them that are compared with the container as it is.
        image: The image, if one was named; with an offer, what it will be once that is pulled.
        offer: What has to be pulled first, or C(None).
        warnings: What a person should know.
        limits: What it shall be held to, as the kernel rounds it.
        netns: Its network, settled; where it shall run.
        profile: The custom system call profile, if one was named.
        order: C(stop_first) or C(start_first) where a replacement waits for the health of the new one; C(auto) where that is to
            be found out.
        drain: Seconds that the connections to a replaced one may last.
        depended_on: Whether another container lives in namespaces of this one.
        patience: Seconds that it may take to become healthy.
    """

    name: str
    state: str
    full: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    image: Optional[images.Image] = None
    limits: Limits = NOTHING
    netns: Optional[NetnsSpec] = None
    profile: Optional[Mapping[str, Any]] = None
    recreate: bool = False
    force: bool = False
    detach: bool = True
    keep_volumes: bool = True
    offer: Optional[remote.Offer] = None
    warnings: Tuple[str, ...] = ()
    patience: float = 0.0
    order: Optional[str] = None
    drain: float = 0.0
    depended_on: bool = False


def resolve(instance: Instance, params: Mapping[str, Any], known: Optional[remote.Finding] = None,
            promised: FrozenSet[str] = frozenset()) -> Desired:
    """Look up the image and fill in what follows from it and from the name. Reads only.

    Args:
        known: What the image's name means, where the caller has looked already.
        promised: Sources of mounts that are not there yet, and will be; names of such containers; and C(promise) of such secrets.

    Raises:
        NotFound: There is no such image, or a bind mount's source is missing.
        InvalidValue: Options contradict each other.
    """
    name, state = params["name"], params["state"]
    key = records.current(instance, name)
    plain = Desired(name, state, recreate=params["recreate"], force=params["force"], detach=params["detach"],
                    keep_volumes=params["keep_volumes"],
                    patience=params["healthy_wait_timeout"] / 1000000, order=params["update_order"],
                    drain=params["drain_timeout"] / 1000000)
    if state == "absent" or params["image"] is None:
        return plain
    kept = comparisons.kept(instance, params)
    try:
        platform = platforms.parse(params["platform"]) if params["platform"] else None
        finding = known if known is not None and not kept.image else remote.find(
            instance, kept.image or params["image"], params["pull"], access_of(params["registry"] or {}), platform)
    except ValueError as error:
        raise InvalidValue("image", params["image"], str(error), "Write " + references.FORM)
    image = finding.image
    if image is None:
        raise NotFound("the image '%s' is not in the store below %s" % (params["image"], instance.state_root),
                       "Bring it there first with coracle.containers.container_image, or let it be pulled")
    plain = plain._replace(offer=finding.offer, warnings=finding.warnings)
    full = comparisons.apply(_full(params, image, promised), kept)
    _check(full, params)
    profile = security.settle(full)
    userns.check(full)
    devices.of(full)
    cgroups.check(full)
    runtimes.check(instance, key, full, profile)
    limits = _limits(instance, full)
    plain = plain._replace(full=full, image=image, limits=limits, profile=profile,
                           warnings=(*plain.warnings, *dependencies.check(instance, name, full, promised)))
    if state in ("stopped", "killed"):
        return plain._replace(options=dict(full, image=image.id))
    secret_files.need(instance, [row for row in full["secrets"] or () if secret_files.promise(row["source"]) not in promised])
    netns = wiring.settle(instance, key, full)
    sharing.check(instance, key, full, userns.wanted(full))
    depended_on = params["update_order"] == "auto" and sharing.depended_on(instance, name)
    return plain._replace(netns=netns, depended_on=depended_on, options=dict(full, image=image.id, networks=wiring.view(netns)),
                          warnings=(*plain.warnings, *foreign.warnings(instance.name, netns),
                                    *unknown_peers(instance, name, netns.policy)))


def _limits(instance: Instance, full: Dict[str, Any]) -> Limits:
    """The limits, checked against what this host has and rounded as its kernel does; the options likewise."""
    path = cgroups.path(instance, "any", full)  # what a new group there can have
    limits = request.from_options(full)
    hierarchies = discover()
    checks.check(hierarchies, path, limits, NOTHING,
                 {"cpu_quota": "cpus" if full["cpus"] is not None else "cpu_quota"})
    limits = rounded(support.layout(hierarchies, path), limits)
    full.update(dict.fromkeys(request.NAMES), **request.said(full, limits))
    return limits


def _full(params: Mapping[str, Any], image: images.Image, promised: FrozenSet[str]) -> Dict[str, Any]:
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
    if full["hostname"] and full["uts"] == "host":
        raise InvalidValue("hostname", full["hostname"], "does not go with 'uts: host'", "Leave one of the two out")
    full["hostname"] = full["hostname"] or (os.uname().nodename if full["uts"] == "host" else
                                            default_hostname(params["name"]))
    full["mounts"] = _mounts(params, promised, config.get("Volumes"))
    full["healthcheck"] = health.settle(full["healthcheck"], config.get("Healthcheck"))
    full["published_ports"] = publish.contract(publish.expand(full["published_ports"] or []))
    for key in ("groups", "capabilities", "cap_drop", "security_opts", "ulimits", "networks", "uidmap", "gidmap",
                "devices", "device_cgroup_rules",
                "dns_servers", "dns_search_domains", "dns_opts", "depends_on"):
        full[key] = full[key] or []
    for key in ("sysctls", "etc_hosts"):
        full[key] = full[key] or {}
    for key in ("policy", "secrets"):
        full[key] = full[key] or None
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


def _mounts(params: Mapping[str, Any], promised: FrozenSet[str], declared: Optional[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    mounts = [dict(row) for row in params["mounts"] or ()] + [dict(row) for row in params["volumes"] or ()]
    targets = set()
    for row in mounts:
        if row["target"] in targets:
            raise InvalidValue("mounts", row["target"], "is the target of two mounts", "Give each a target of its own")
        targets.add(row["target"])
        if row["type"] == "volume" and not row["source"]:
            row["source"] = volumes.anonymous(params["name"], row["target"])
        if row["type"] == "bind" and row["source"] not in promised and not row.get("create_host_path") \
                and not os.path.lexists(row["source"]):
            raise NotFound("option 'mounts': the source '%s' does not exist on the host" % row["source"],
                           "Create it first, set 'create_host_path', or use a mount of type volume")
    return mounts + volumes.of_image(declared, params["name"], targets)


def _check(full: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    if not full["entrypoint"] and not full["command"]:
        raise InvalidValue("command", None, "is empty, and the image '%s' has none either" % params["image"],
                           "Say what shall run with 'command' or 'entrypoint'")
    if params["state"] == "healthy" and full["healthcheck"] is None:
        raise InvalidValue("state", "healthy", "needs a health check, and neither the options nor the image '%s' have one"
                           % params["image"], "Say one with 'healthcheck'")
    if full["sdnotify"] == "healthy" and full["healthcheck"] is None:
        raise InvalidValue("sdnotify", "healthy", "needs a health check, and neither the options nor the image '%s' have one"
                           % params["image"], "Say one with 'healthcheck'")
    if activation.wanted(full):
        _check_activation(full, params)
    if params["update_order"] in ("start_first", "stop_first") and full["healthcheck"] is None:
        raise InvalidValue("update_order", params["update_order"], "needs a health check that tells when the new container is at "
                           "work, and neither the options nor the image '%s' have one" % params["image"],
                           "Say one with 'healthcheck'")
    if not params["detach"] and params["state"] == "healthy":
        raise InvalidValue("state", "healthy", "does not go with 'detach: false'", "Leave one of the two out")
    if not params["detach"] and full["log_driver"] not in ("json-file", "k8s-file"):
        raise InvalidValue("log_driver", full["log_driver"], "does not go with 'detach: false', which returns the output",
                           "Use json-file or k8s-file")
    if full["log_options"] and full["log_driver"] not in ("journald", "syslog"):
        raise InvalidValue("log_options", full["log_options"], "do not go with 'log_driver: %s'" % full["log_driver"],
                           "Use journald or syslog, or leave them out")
    if not params["detach"] and full["restart_policy"] != "no":
        raise InvalidValue("restart_policy", full["restart_policy"], "does not go with 'detach: false'",
                           "Use 'no' for a container that is waited for")
    mode = full["network_mode"]
    joined = mode in ("none", "host") or mode.startswith(("container:", "ns:"))
    if full["networks"] and joined:
        raise InvalidValue("networks", [each["name"] for each in full["networks"]],
                           "does not go with 'network_mode: %s'" % mode, "Leave one of the two out")
    if full["published_ports"] and joined:
        raise InvalidValue("published_ports", full["published_ports"], "does not go with 'network_mode: %s'" % mode,
                           "Publish ports only with a bridge network")
    if mode == "container:" + params["name"]:
        raise Conflict("the container '%s' cannot join its own network namespace" % params["name"],
                       "Name another container")


def _check_activation(full: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    if not any(each.endswith("/" + activation.PROTOCOL) for each in full["published_ports"] or ()):
        raise InvalidValue("activation", "socket", "needs a published port of TCP to listen on",
                           "Publish one, such as 8080:80/tcp; those of UDP and SCTP lead to the container while it runs, and start none")
    if params["state"] in ("healthy", "paused") or not params["detach"]:
        what = "state: " + params["state"] if params["detach"] else "detach: false"
        raise InvalidValue("activation", "socket", "does not go with '%s', for which it would have to run" % what,
                           "Leave one of the two out")
