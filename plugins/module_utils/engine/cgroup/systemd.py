# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups that systemd manages: slices, scopes and services, asked for and limited through it.

What systemd is not told it may undo: it writes a unit's limits again when the unit changes or the manager reloads. So
limits of a unit go to both, systemd's properties and the kernel's files.
Sources: org.freedesktop.systemd1(5), systemd.resource-control(5), "Control Group APIs and Delegation".
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ..errors import Conflict, EngineError, InvalidValue, NotFound, Unsupported
from ..kernel.dbus import Connection, DBusError, Variant
from .checks import members
from .limits import Limits

PRIVATE = "/run/systemd/private"
"""systemd's own socket, for root alone; it needs no bus."""
BUS = "/run/dbus/system_bus_socket"
KINDS = {"service": "Service", "scope": "Scope", "slice": "Slice", "socket": "Socket", "mount": "Mount", "swap": "Swap"}
"""The units that have a group, by the end of their names."""
_NAME, _MANAGER = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager"
_ROOT = "/org/freedesktop/systemd1"
_ENDLESS = 2 ** 64 - 1
Property = Tuple[str, Variant]


def running() -> bool:
    """Whether systemd is process 1 (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def connect() -> Connection:
    """A connection to the manager.

    Raises:
        Unsupported: It does not answer.
    """
    return Connection(PRIVATE, False) if os.path.exists(PRIVATE) else Connection(BUS, True)


def _ask(link: Connection, member: str, signature: str, *values: Any) -> List[Any]:
    return link.call(_NAME, _ROOT, _MANAGER, member, signature, *values)


def _get(link: Connection, unit: str, interface: str, name: str) -> Any:
    (path,) = _ask(link, "LoadUnit", "s", unit)
    return link.call(_NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss", "%s.%s" % (_NAME, interface), name)[0]


def system_state() -> str:
    """How the whole system is: C(running), C(stopping) and so on (systemctl(1), is-system-running)."""
    with connect() as link:
        return str(link.call(_NAME, _ROOT, "org.freedesktop.DBus.Properties", "Get", "ss", _MANAGER, "SystemState")[0])


def active_state(unit: str) -> str:
    """Whether a unit is C(active), C(inactive) and so on."""
    with connect() as link:
        return str(_get(link, unit, "Unit", "ActiveState"))


def job(unit: str) -> str:
    """What systemd has been asked to do with a unit and has not done yet: C(start), C(stop), C(restart) and so on; empty for nothing."""
    with connect() as link:
        number, path = _get(link, unit, "Unit", "Job")
        if not number:
            return ""
        try:
            return str(link.call(_NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss", _NAME + ".Job", "JobType")[0])
        except DBusError:  # it is done
            return ""


def start_unit(unit: str) -> None:
    """Ask for a unit to be started, without waiting for it."""
    with connect() as link:
        _ask(link, "StartUnit", "ss", unit, "replace")


def attach(unit: str, pids: Sequence[int]) -> None:
    """Move processes into a unit's group."""
    with connect() as link:
        _ask(link, "AttachProcessesToUnit", "ssau", unit, "", list(pids))


def kind_of(unit: str) -> str:
    """The end of a unit's name.

    Raises:
        InvalidValue: It is no unit that has a group.
    """
    kind = unit.rpartition(".")[2]
    if kind not in KINDS or "/" in unit or unit == "." + kind:
        raise InvalidValue("unit", unit, "is no unit that has a cgroup", "Give a name that ends with ." + ", .".join(sorted(KINDS)))
    return kind


def control_group(unit: str) -> Optional[str]:
    """The path of a unit's group; C(None) where it does not run."""
    with connect() as link:
        return _get(link, unit, KINDS[kind_of(unit)], "ControlGroup") or None


def unit_of(path: str) -> Optional[str]:
    """The unit whose group this is, or C(None)."""
    name = os.path.basename(path)
    if name.rpartition(".")[2] not in KINDS or not running():
        return None
    try:
        return name if control_group(name) == path else None
    except EngineError:
        return None


def place(unit: str, slice_name: str = "system.slice") -> str:
    """Where systemd puts a slice, or a scope of a slice."""
    if unit.endswith(".slice"):
        parts = unit[:-len(".slice")].split("-")
        if unit == "-.slice":
            return ""
        return "".join("/%s.slice" % "-".join(parts[:count]) for count in range(1, len(parts) + 1))
    return "%s/%s" % (place(slice_name), unit)


def start_slice(unit: str, limits: Limits) -> str:
    """Start a transient slice, which may be empty; its path."""
    return _start(unit, [("Description", Variant("s", "Limits by coracle.containers"))] + properties(limits))


def start_scope(unit: str, pids: Sequence[int], limits: Limits, slice_name: str = "system.slice", description: str = "") -> str:
    """Start a transient scope around processes, which has a cgroup tree of its own below it; its path.

    Args:
        unit: C(NAME.scope).
        pids: Who is in it; at least one.
        limits: What systemd shall hold it to.
        slice_name: Where it lies.
        description: For people.
    """
    return _start(unit, [("Description", Variant("s", description or unit)), ("Slice", Variant("s", slice_name)),
                         ("PIDs", Variant("au", list(pids))), ("Delegate", Variant("b", True)),
                         ("DefaultDependencies", Variant("b", False))] + properties(limits))


def hold(path: str, limits: Limits) -> Callable[[], Any]:
    """Start the scope or slice whose group this shall be, and keep a scope there while nobody is in it.

    Args:
        path: Where C(place) says that it is.
        limits: What systemd shall hold it to.

    Returns: What to call once somebody else is in it.

    Raises:
        Unsupported: systemd is not process 1.
        Conflict: It cannot be started there.
    """
    unit, above = os.path.split(path)[1], os.path.basename(os.path.dirname(path))
    if not running():
        raise Unsupported("systemd is not process 1, and cannot start the unit '%s'" % unit, "Leave out --systemd-cgroup")
    if kind_of(unit) == "slice":
        _at(unit, start_slice(unit, limits), path)
        return int  # a slice may be empty
    waiting, go = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        os.close(go)
        os.read(waiting, 1)  # until the other end is closed, by whatever
        os._exit(0)
    os.close(waiting)
    ended: List[int] = []

    def leave() -> None:
        if not ended:
            ended.append(pid)
            os.close(go)
            os.waitpid(pid, 0)
    try:
        _at(unit, start_scope(unit, [pid], limits, above or "-.slice", "container " + unit.rpartition(".")[0]), path)
    except BaseException:
        leave()
        raise
    return leave


def _at(unit: str, started: str, path: str) -> None:
    if started != path:
        raise Conflict("systemd has started the unit '%s' in %s, not in %s" % (unit, started, path))


def _start(unit: str, wanted: List[Property], timeout: float = 25.0) -> str:
    with connect() as link:
        try:
            _ask(link, "ResetFailedUnit", "s", unit)  # of an earlier run
        except DBusError:
            pass
        try:
            _ask(link, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", wanted, [])
        except DBusError as error:
            raise Conflict("systemd does not start the unit '%s': %s" % (unit, error.what.partition(": ")[2]),
                           "Look at 'systemctl status %s'" % unit) from error
        if _wait(link, unit, ("active", "failed"), timeout) == "failed":
            raise Conflict("the unit '%s' has failed" % unit, "Look at 'systemctl status %s'" % unit)
        return str(_get(link, unit, KINDS[kind_of(unit)], "ControlGroup"))


def _wait(link: Connection, unit: str, states: Sequence[str], timeout: float) -> str:
    until, pause = time.monotonic() + timeout, 0.001
    while True:
        state = str(_get(link, unit, "Unit", "ActiveState"))
        if state in states:
            return state
        if time.monotonic() > until:
            raise Conflict("the unit '%s' is still '%s' after %g s" % (unit, state, timeout),
                           "Look at 'systemctl list-jobs'")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def stop(unit: str, timeout: float = 25.0) -> None:
    """Stop a unit with all that is in it; no error where it does not run."""
    with connect() as link:
        try:
            _ask(link, "StopUnit", "ss", unit, "replace")
            _wait(link, unit, ("inactive", "failed"), timeout)
            _ask(link, "ResetFailedUnit", "s", unit)
        except DBusError as error:
            if not str(error.facts.get("name")).endswith("NoSuchUnit"):
                raise


def stop_at(path: str) -> None:
    """Stop the unit whose group this is, with all that is in it; nothing where it is none's."""
    unit = unit_of(path)
    if unit is not None:
        stop(unit)


def tell(unit: str, limits: Limits) -> None:
    """Let systemd know the limits of a running unit, until the next boot.

    Raises:
        NotFound: There is no such unit.
    """
    wanted = properties(limits)
    if not wanted:
        return
    with connect() as link:
        try:
            _ask(link, "SetUnitProperties", "sba(sv)", unit, True, wanted)
        except DBusError as error:
            raise NotFound("systemd does not take the limits of the unit '%s': %s" % (unit, error.what.partition(": ")[2]),
                           "Look at 'systemctl status %s'" % unit) from error


_PLAIN = (("cpu_weight", "CPUWeight"), ("memory_max", "MemoryMax"), ("memory_high", "MemoryHigh"),
          ("memory_low", "MemoryLow"), ("memory_min", "MemoryMin"), ("memory_swap_max", "MemorySwapMax"),
          ("pids_max", "TasksMax"), ("io_weight", "IOWeight"))
_RATES = (("read_bps", "IOReadBandwidthMax"), ("write_bps", "IOWriteBandwidthMax"), ("read_iops", "IOReadIOPSMax"),
          ("write_iops", "IOWriteIOPSMax"))


def properties(limits: Limits) -> List[Property]:
    """The limits that systemd knows, as properties of a unit; pure. The kernel alone is told the others."""
    found: List[Property] = []
    for field, name in _PLAIN:
        value = getattr(limits, field)
        if value is not None:
            found.append((name, Variant("t", value if value >= 0 else _ENDLESS)))
    if limits.cpu_quota is not None:
        period = limits.cpu_period or 100000
        found.append(("CPUQuotaPerSecUSec", Variant("t", _ENDLESS if limits.cpu_quota < 0 else limits.cpu_quota * 1000000 // period)))
        found.append(("CPUQuotaPeriodUSec", Variant("t", period)))
    for field, name in (("cpuset_cpus", "AllowedCPUs"), ("cpuset_mems", "AllowedMemoryNodes")):
        value = getattr(limits, field)
        if value is not None:
            found.append((name, Variant("ay", _bits(value))))
    if limits.io_limits is not None:
        for field, name in _RATES:
            rows = [("/dev/block/" + each.device, getattr(each, field)) for each in limits.io_limits if getattr(each, field) >= 0]
            found.append((name, Variant("a(st)", [])))  # rows are added to what is there, unless there are none
            if rows:
                found.append((name, Variant("a(st)", rows)))
    return found


def _bits(numbers: str) -> List[int]:
    wanted = members(numbers)
    return [sum(1 << bit for bit in range(8) if byte * 8 + bit in wanted) for byte in range(max(wanted, default=-1) // 8 + 1)]
