# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of a container: from the kernel where it tells, else from what was last applied."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ..cgroup import group, request
from ..errors import NotFound
from ..instance import Instance
from ..kernel import processes
from ..network import hosts
from ..network import observe as network
from ..network.spec import NetnsSpec
from ..plan import Difference
from . import records, secrets, wiring
from .desired import Desired

ABSENT = "absent"
CREATED = "created"
RUNNING = "running"
PAUSED = "paused"
RESTARTING = "restarting"
EXITED = "exited"


class Observed(NamedTuple):
    """A container as it is.

    Attributes:
        name: Its name.
        status: One of the six above.
        record: What was last asked for.
        live: Its processes.
        monitored: Whether its monitor lives, if it needs one.
        remains: Whether there are parts of it that its status does not account for.
        options: For the comparison.
        network_drift: What of its network is not as declared and is no option's value.
    """

    name: str
    status: str = ABSENT
    record: Optional[records.Record] = None
    live: records.Live = records.Live()
    monitored: bool = True
    remains: bool = False
    options: Mapping[str, Any] = {}
    network_drift: Tuple[Difference, ...] = ()


def observe(instance: Instance, desired: Desired) -> Observed:
    """What is true of the container that is asked for; reads only."""
    for _attempt in range(4):
        try:
            return _observe(instance, desired)
        except NotFound:  # it ended between two looks, and its cgroup with it; the next look sees that
            continue
    return _observe(instance, desired)


def _observe(instance: Instance, desired: Desired) -> Observed:
    name = desired.name
    record = records.read(instance, name)
    live = records.read_live(instance, name)
    watched = live.monitor is not None and processes.alive(live.monitor)
    status = _status(instance, name, record, live, watched)
    run_folder = os.path.isdir(records.run_folder(instance, name))
    if record is None:
        remains = run_folder or os.path.isdir(records.folder(instance, name))
        return Observed(name, ABSENT, None, live, True, remains, dict.fromkeys(desired.options))
    running = status in (RUNNING, PAUSED)
    seen = Observed(name, status, record, live, watched or not running, run_folder and not running and not watched)
    if not desired.options:
        return seen
    options = _recorded(desired, record)
    if not running:
        return seen._replace(options=options)
    options.update(_limits(instance, desired))
    drift: Tuple[Difference, ...] = ()
    if desired.netns is not None and options["network_mode"] == desired.options["network_mode"]:
        drift = _network(instance, desired, desired.netns, record, options)
    return seen._replace(options=options, network_drift=drift)


def _status(instance: Instance, name: str, record: Optional[records.Record], live: records.Live,
            watched: bool) -> str:
    if record is None:
        return ABSENT
    if live.init is not None and processes.alive(live.init):
        return PAUSED if group.frozen(instance.cgroup(name)) else RUNNING
    last = records.read_status(instance, name)
    if watched and last.status in ("restarting", "running"):
        return RESTARTING
    return CREATED if last.started_at is None else EXITED


def _recorded(desired: Desired, record: records.Record) -> Dict[str, Any]:
    """The options as they were last applied; the image by its digest."""
    options = {key: record.options.get(key) for key in desired.options}
    options["image"] = record.image_id
    if desired.netns is not None and record.options.get("networks") == desired.full["networks"]:
        options["networks"] = desired.options["networks"]  # addresses are predictions as long as it does not run
    return options


def _limits(instance: Instance, desired: Desired) -> Dict[str, Any]:
    """The limits that the kernel holds the container to; C(None) where neither a limit nor asked for."""
    kernel = group.read(instance.cgroup(desired.name))
    current = request.to_options(kernel)
    lifted = request.to_options(request.wholly(desired.limits, kernel))
    found = {}
    for name in request.NAMES:
        strays = lifted[name] is not None and lifted[name] != current[name] and name not in ("cpu_quota", "cpu_period")
        found[name] = current[name] if desired.options[name] is not None or strays else None
    return found


def _network(instance: Instance, desired: Desired, netns: NetnsSpec, record: records.Record,
             options: Dict[str, Any]) -> Tuple[Difference, ...]:
    """Fill in what the kernel tells of the network; return what is no option's value."""
    seen = network.observe(instance, netns)
    if not seen.exists:
        return (Difference("network_namespace", None, desired.name),)
    drift = list(seen.drift)
    if netns.mode in ("bridge", "none"):
        options["networks"] = wiring.observed_view(seen.attachments)
        options["published_ports"] = wiring.ports(netns._replace(published=seen.published))
        drift += [Difference("networks", list(each), None) for each in seen.surplus]
    if all(record.options.get(key) == desired.options[key] for key in ("etc_hosts", "dns_servers",
                                                                       "dns_search_domains", "dns_opts")):
        # Otherwise the files change with the options anyway.
        declared = hosts.contents(instance, desired.name, wiring.names(desired.full), netns.mode)
        for file, text in sorted(declared.items()):
            path = hosts.path(instance, desired.name, file)
            if _content(path) != text:
                drift.append(Difference("/etc/" + file, "changed", "as declared"))
    return tuple(drift)


def _content(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


# The state as users see it

def report_of(instance: Instance, name: str) -> Dict[str, Any]:
    """The full state of a container by name."""
    return report(instance, observe(instance, Desired(name, "started")))


def report(instance: Instance, observed: Observed) -> Dict[str, Any]:
    """The full state of a container; secrets masked."""
    name, record = observed.name, observed.record
    if record is None:
        return {"name": name, "exists": False, "status": ABSENT}
    last = records.read_status(instance, name)
    state: Dict[str, Any] = {
        "name": name, "exists": True, "id": record.id, "status": observed.status, "created": record.created,
        "image": record.image, "image_id": record.image_id, "restarts": last.restarts,
        "started_at": last.started_at, "finished_at": last.finished_at, "error": last.error,
        "oom_killed": last.oom_killed, "exit_code": last.exit_code,
        "published_ports": record.options.get("published_ports"),
        "log": records.folder(instance, name, "container.log"),
        "options": dict(record.options, env=secrets.mask(record.options.get("env") or {})),
    }
    if observed.status in (RUNNING, PAUSED) and observed.live.init is not None:
        state["pid"] = observed.live.init.pid
        state["addresses"] = addresses(instance, name)
        try:
            state["usage"] = group.usage(instance.cgroup(name))
            state["oom_killed"] = group.oom_kills(instance.cgroup(name)) > 0
        except NotFound:  # it has ended since it was observed
            state["usage"] = None
    return state


def addresses(instance: Instance, name: str) -> Dict[str, str]:
    """The container's IPv4 addresses by network, from its leases."""
    from ..network import leases, networks  # pylint: disable=import-outside-toplevel
    return {each.name: lease.address for each in networks.every(instance)
            for lease in leases.of(instance, each.name) if lease.netns == name}
