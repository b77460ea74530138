# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of a container: from the kernel where it tells, else from what was last applied."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..cgroup import group, request
from ..errors import Corrupt, NotFound
from ..instance import Instance
from ..kernel import processes
from ..network import hosts
from ..network import observe as network
from ..network.spec import NetnsSpec
from ..plan import Difference
from . import cgroups, confinement, health, naming, records, secret_files, secrets, wiring
from . import status as state
from .desired import Desired
from .status import ABSENT, PAUSED, RUNNING

_ENDING = 1.0
"""Seconds that a process may take from giving up what it has to its end, before it is looked at again."""


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
        drift: What of its confinement is not as it was made, and can be mended while it runs.
        cgroup: Its group's path.
        beside: The folder of another container of this name, which an interrupted replacement has left; one that has failed and
            is kept to be looked at is none.
        stale: The secrets that have changed since it was given them, and what is to be done then.
        aside: Whether an interrupted replacement has left the old one out of the way.
        in_use: Bytes of memory in use, and of these what can be given back at once, where less is asked for than holds.
    """

    name: str
    status: str = ABSENT
    record: Optional[records.Record] = None
    live: records.Live = records.Live()
    monitored: bool = True
    remains: bool = False
    options: Mapping[str, Any] = {}
    network_drift: Tuple[Difference, ...] = ()
    drift: Tuple[Difference, ...] = ()
    cgroup: str = ""
    in_use: Optional[Tuple[int, int]] = None
    beside: str = ""
    stale: Tuple[Tuple[str, str], ...] = ()
    aside: bool = False


def observe(instance: Instance, desired: Desired) -> Observed:
    """What is true of the container that is asked for; reads only."""
    for _attempt in range(9):
        try:
            return _observe(instance, desired)
        except NotFound:  # it ended between two looks, and its cgroup with it; the next look sees that
            _await_end(instance, records.current(instance, desired.name))
    return _observe(instance, desired)


def _await_end(instance: Instance, name: str) -> None:
    """Let a first process that is about to end do so: it has given up its mounts before it counts as ended."""
    init = records.read_live(instance, name).init
    handle = None if init is None else processes.open_pidfd(init)
    if handle is not None:
        processes.wait(handle, _ENDING)
        os.close(handle)


def _observe(instance: Instance, desired: Desired) -> Observed:
    try:
        name = records.current(instance, desired.name)
        record = records.read(instance, name)
    except Corrupt:
        if desired.state != "absent":
            raise
        name, record = desired.name, None  # what is left of it can still be removed
    live = records.read_live(instance, name)
    watched, status = state.watched(live), state.status(instance, name, record, live)
    run_folder = os.path.isdir(records.run_folder(instance, name))
    if record is None:
        remains = run_folder or os.path.isdir(records.folder(instance, name)) or os.path.isdir(
            records.folder(instance, records.spare(name))) or records.is_doomed(instance, name)
        return Observed(name, ABSENT, None, live, True, remains, dict.fromkeys(desired.options),
                        aside=records.is_aside(instance, name))
    running = status in (RUNNING, PAUSED)
    seen = Observed(name, status, record, live, watched or not running, run_folder and not running and not watched,
                    beside=_beside(instance, records.spare(name)), aside=records.is_aside(instance, name))
    if not desired.options:
        return seen
    options = _recorded(desired, record)
    if not running:
        return seen._replace(options=options)
    options.update(_limits(instance, name, desired, record))
    confined = confinement.observe(record, live.init) if live.init is not None else confinement.Seen()
    options.update(confined.options)
    drift: Tuple[Difference, ...] = ()
    if desired.netns is not None and desired.netns.name == name and options["network_mode"] == desired.options["network_mode"]:
        drift = _network(instance, desired, desired.netns, record, options)
    path = cgroups.path(instance, name, record.options)
    less = options["memory_max"] != desired.options["memory_max"] and desired.limits.memory_max is not None
    return seen._replace(options=options, network_drift=drift, drift=confined.drift, cgroup=path,
                         in_use=group.memory_in_use(path) if less else None,
                         stale=tuple(secret_files.stale(instance, name, record.options.get("secrets") or ())))


def _beside(instance: Instance, name: str) -> str:
    if not os.path.isdir(records.folder(instance, name)):
        return ""
    record = records.read(instance, name)
    return "" if record is not None and record.candidate and records.read_live(instance, name).init is None else name


def _recorded(desired: Desired, record: records.Record) -> Dict[str, Any]:
    """The options as they were last applied; the image by its digest."""
    options = {key: record.options.get(key) for key in desired.options}
    options["image"] = record.image_id
    if desired.netns is not None and record.options.get("networks") == desired.full["networks"]:
        options["networks"] = desired.options["networks"]  # addresses are predictions as long as it does not run
    return options


def _limits(instance: Instance, key: str, desired: Desired, record: records.Record) -> Dict[str, Any]:
    """The limits that the kernel holds the container to; C(None) where neither a limit nor asked for."""
    files = request.files_of(desired.options, record.options)
    kernel = request.as_asked(desired.limits, group.read(cgroups.path(instance, key, record.options), files))
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
        drift += network.of_networks(netns, seen)
        drift += [each for each in (naming.drift(instance),) if each is not None]
    if all(record.options.get(key) == desired.options[key] for key in ("etc_hosts", "dns_servers",
                                                                       "dns_search_domains", "dns_opts")):
        # Otherwise the files change with the options anyway.
        declared = hosts.contents(instance, netns.name, wiring.names(desired.full), netns.mode)
        for file, text in sorted(declared.items()):
            path = hosts.path(instance, netns.name, file)
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

Attached = Mapping[str, List[Tuple[Any, Any]]]
"""By container, each network that it is in with its lease there."""


def report_of(instance: Instance, name: str, known: Optional[Attached] = None) -> Dict[str, Any]:
    """The full state of a container by name.

    Args:
        known: As for C(report).
    """
    return report(instance, observe(instance, Desired(name, "started")), known)


def report(instance: Instance, observed: Observed, known: Optional[Attached] = None) -> Dict[str, Any]:
    """The full state of a container; secrets masked.

    Args:
        known: Who is in which network, where many are told of, which are not measured one by one either; C(None) for one alone.
    """
    name, record = observed.name, observed.record
    if record is None:
        return {"name": records.called(name), "exists": False, "status": ABSENT}
    last = records.read_status(instance, name)
    state: Dict[str, Any] = {
        "name": record.shown, "exists": True, "id": record.id, "status": observed.status, "created": record.created,
        "image": record.image, "image_id": record.image_id, "restarts": last.restarts,
        "started_at": last.started_at, "finished_at": last.finished_at, "error": last.error,
        "oom_killed": last.oom_killed, "exit_code": last.exit_code, "health": None,
        "published_ports": record.options.get("published_ports"),
        "log": records.folder(instance, name, "container.log"),
        "options": dict(record.options, env=secrets.mask(record.options.get("env") or {})),
    }
    if record.options.get("healthcheck"):
        state["health"] = health.read(instance, name)._asdict()
    if observed.status in (RUNNING, PAUSED) and observed.live.init is not None:
        state["pid"] = observed.live.init.pid
        state["addresses"] = {network.name: lease.address
                              for network, lease in (attached(instance) if known is None else known).get(name, ())}
        state["cgroup"] = cgroups.path(instance, name, record.options)
        try:
            if known is None:
                state["usage"] = group.usage(state["cgroup"])
            state["oom_killed"] = group.oom_kills(state["cgroup"]) > 0
        except NotFound:  # it has ended since it was observed
            state["usage"] = None
    return state


def attached(instance: Instance) -> Attached:
    """Who is in which network, from the leases."""
    from ..network import leases, networks  # pylint: disable=import-outside-toplevel
    found: Dict[str, List[Tuple[Any, Any]]] = {}
    for each in networks.every(instance):
        for lease in leases.of(instance, each.name):
            found.setdefault(lease.netns, []).append((each, lease))
    return found
