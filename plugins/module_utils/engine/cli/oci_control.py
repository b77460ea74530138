# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the OCI command line that act on a running container's cgroup: pause, resume, update, events."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from ..cgroup import group, limits, usage
from ..errors import Conflict, EngineError, NotFound, Unsupported
from ..runtime import record
from ..runtime.checks import parse as parse_json
from .arguments import Flag, number, parse
from .oci import Context, one

_UPDATE = (
    # option, member of linux.resources, key
    ("memory", "memory", "limit"), ("memory-reservation", "memory", "reservation"), ("memory-swap", "memory", "swap"),
    ("cpu-share", "cpu", "shares"), ("cpu-quota", "cpu", "quota"), ("cpu-period", "cpu", "period"),
    ("cpu-burst", "cpu", "burst"), ("cpu-idle", "cpu", "idle"), ("cpu-rt-period", "cpu", "realtimePeriod"),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime"), ("cpuset-cpus", "cpu", "cpus"), ("cpuset-mems", "cpu", "mems"),
    ("pids-limit", "pids", "limit"), ("blkio-weight", "blockIO", "weight"))
_LOOK = 0.1
"""Seconds between two looks whether a container has ended or its memory was short."""


def _running(context: Context, name: str, allowed: Tuple[str, ...]) -> record.Record:
    state_dir = context.state_dir(name)
    kept = record.load(state_dir)
    now = record.status(state_dir, kept)
    if now not in allowed:
        raise Conflict("container not %s: '%s' is %s" % (allowed[0], name, now))
    if not kept.cgroup:
        raise EngineError("container '%s' has no cgroup of its own" % name)
    return kept


def pause(context: Context, arguments: List[str]) -> int:
    """coracle pause."""
    group.freeze(_running(context, one(parse(arguments, (), "pause").words, "pause"), ("running", "created")).cgroup)
    return 0


def resume(context: Context, arguments: List[str]) -> int:
    """coracle resume."""
    group.thaw(_running(context, one(parse(arguments, (), "resume").words, "resume"), ("paused",)).cgroup)
    return 0


def update(context: Context, arguments: List[str]) -> int:
    """coracle update."""
    flags = [Flag((option,)) for option, _member, _key in _UPDATE]
    parsed = parse(arguments, [*flags, Flag(("resources", "r")), Flag(("kernel-memory",)), Flag(("kernel-memory-tcp",)),
                               Flag(("l3-cache-schema",)), Flag(("mem-bw-schema",))], "update")
    kept = _running(context, one(parsed.words, "update"), ("running", "created", "paused"))
    options = parsed.options
    for name in ("l3-cache-schema", "mem-bw-schema"):
        if options[name]:
            raise Unsupported("update: --%s needs Intel RDT, which is not supported" % name)
    if options["resources"]:
        if options["resources"] == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(options["resources"], "rb") as stream:
                content = stream.read()
        wanted = parse_json(content, "resources")
        if not isinstance(wanted, dict):
            raise EngineError("update: the resources are no object")
    else:
        wanted = _from_options(options)
    wanted.pop("devices", None)  # rules are not changed this way, and so not looked at
    from ..runtime.spec import validate_resources  # pylint: disable=import-outside-toplevel
    validate_resources(wanted)
    memory = wanted.get("memory") or {}
    if memory.get("swap") is not None and memory.get("limit") is None:  # it counts both, of which one stays as it is
        now = group.read(kept.cgroup).memory_max
        if now is not None and now >= 0:
            memory["limit"] = now
    try:
        group.update(kept.cgroup, limits.from_oci(wanted))
    except ValueError as error:
        raise EngineError("update: %s" % error) from error
    return 0


def _from_options(options: Dict[str, Any]) -> Dict[str, Any]:
    wanted: Dict[str, Any] = {}
    for option, member, key in _UPDATE:
        if options[option] not in (None, ""):
            text = options[option]
            wanted.setdefault(member, {})[key] = text if key in ("cpus", "mems") else \
                _bytes(text, "--" + option) if member == "memory" else number(text, "--" + option)
    return wanted


def _bytes(text: str, option: str) -> int:
    """An amount such as C(64M) or C(1073741824); units are powers of 1024."""
    unit = text.lower().rstrip("ib")[-1:]
    if unit and unit in "kmgtp":
        return number(text.lower().rstrip("ib")[:-1], option) << 10 * ("kmgtp".index(unit) + 1)
    return number(text, option)


def events(context: Context, arguments: List[str]) -> int:
    """coracle events: once with C(--stats), else till the container ends; and when the kernel killed for want of memory."""
    parsed = parse(arguments, (Flag(("stats",), "flag"), Flag(("interval",), default="5s")), "events")
    name = one(parsed.words, "events")
    state_dir = context.state_dir(name)
    interval, kept = _seconds(parsed.options["interval"]), record.load(state_dir)
    if record.status(state_dir, kept) == "stopped":
        raise Conflict("container not running: '%s' is stopped" % name)
    _tell("stats", name, statistics(kept.cgroup))
    if parsed.options["stats"]:
        return 0
    due, killed = time.monotonic() + interval, group.oom_kills(kept.cgroup)
    try:
        while record.status(state_dir, record.load(state_dir)) != "stopped":
            time.sleep(min(_LOOK, interval))
            more = group.oom_kills(kept.cgroup)
            if more > killed:
                _tell("oom", name)
            killed = more
            if time.monotonic() >= due:
                _tell("stats", name, statistics(kept.cgroup))
                due += interval
    except NotFound:
        pass  # deleted meanwhile
    return 0


def _tell(kind: str, name: str, data: Optional[Dict[str, Any]] = None) -> None:
    """Print one event."""
    event: Dict[str, Any] = {"type": kind, "id": name}
    if data is not None:
        event["data"] = data
    sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _seconds(text: str) -> float:
    for suffix, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(suffix) and text[:-len(suffix)].isdecimal() and int(text[:-len(suffix)]) > 0:
            return int(text[:-len(suffix)]) * factor
    raise EngineError("--interval: %r is no duration" % text, "Write it as 5s")


def statistics(cgroup: str) -> Dict[str, Any]:
    """What a cgroup has used, in the form in which runc prints it."""
    used, held = usage.usage(cgroup), group.read(cgroup)
    cpu, memory, pids = used["cpu"], used["memory"], used["pids"]
    told: Dict[str, Any] = {
        "cpu": {"usage": {"total": cpu["usage_ns"] or 0, "kernel": cpu["system_ns"] or 0, "user": cpu["user_ns"] or 0},
                "throttling": {"periods": cpu["periods"] or 0, "throttledPeriods": cpu["throttled_periods"] or 0,
                               "throttledTime": cpu["throttled_ns"] or 0}},
        "memory": {"usage": {"limit": _endless(held.memory_max), "usage": memory["current"] or 0, "max": memory["peak"] or 0,
                             "failcnt": memory["events"]["max"] or 0},
                   "kernel": {"usage": memory["kernel"] or 0}, "swap": {"usage": memory["swap_current"] or 0},
                   "cache": memory["file"] or 0, "raw": usage.memory_stat(cgroup)},
        "pids": {"current": pids["current"] or 0, "limit": max(0, held.pids_max or 0)},
        "blkio": _block(used["io"]), "hugetlb": {}, "intel_rdt": {}, "network_interfaces": None,
    }
    for member, kind in (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io")):
        if used["pressure"][kind]:
            told[member]["psi"] = {which: {"total" if key == "total_us" else key: value for key, value in row.items()}
                                   for which, row in used["pressure"][kind].items()}
    return told


def _endless(value: Any) -> int:
    return 2**64 - 1 if value is None or value < 0 else int(value)


def _block(devices: Dict[str, Any]) -> Dict[str, Any]:
    rows: Dict[str, List[Dict[str, Any]]] = {"ioServiceBytesRecursive": [], "ioServicedRecursive": []}
    for device, row in (devices or {}).items():
        major, _colon, minor = device.partition(":")
        for kind, target in (("bytes", "ioServiceBytesRecursive"), ("operations", "ioServicedRecursive")):
            for direction in ("read", "write"):
                value = row.get("%s_%s" % (direction, kind)) if isinstance(row, dict) else None
                if value is not None:
                    rows[target].append({"major": int(major), "minor": int(minor), "op": direction.capitalize(), "value": value})
    return rows
