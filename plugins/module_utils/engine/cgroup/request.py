# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits as the options of a task say them, and back."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import InvalidValue
from .checks import block_device
from .devices import canonical
from .limits import UNLIMITED, DeviceRule, IoLimit, Limits, given
from .render import FRESH
from .support import FILES

PERIOD = 100000
"""Microseconds; the kernel's default and everybody's."""
LEAST_QUOTA = 1000

FIELDS: Dict[str, Tuple[str, ...]] = {
    "cpus": ("cpu_quota", "cpu_period"),
    "cpu_quota": ("cpu_quota", "cpu_period"),
    "cpu_period": ("cpu_quota", "cpu_period"),
    "device_rules": ("devices",),
}
"""Option to the fields of the limits that it sets, where these differ from the option itself."""
_SAME = ("cpu_burst", "cpu_weight", "cpu_idle", "cpu_rt_runtime", "cpu_rt_period", "cpuset_cpus", "cpuset_mems",
         "cpuset_partition", "memory_max", "memory_high", "memory_low", "memory_min", "memory_swap_max",
         "memory_swappiness", "memory_oom_kill", "memory_oom_group", "pids_max", "io_weight")
_RATES = ("read_bps", "write_bps", "read_iops", "write_iops")
_TABLES = ("hugetlb", "misc", "unified")
"""Options that are mappings, and whose fields are the same as pairs."""
NAMES = ("cpus", "cpu_quota", "cpu_period") + _SAME + ("io_limits", "io_device_weights", "rdma") + _TABLES
"""The options that all modules that limit something share."""

BY_FILE = {file: "cpus" if file == "cpu.max" else field for field, (_controller, _v1, file) in FILES.items() if file}
"""File of v2 to the option that says it."""


def from_options(params: Mapping[str, Any]) -> Limits:
    """The limits that a task asks for; options that it leaves out say nothing.

    Args:
        params: Option to parsed value.

    Raises:
        InvalidValue: Options contradict one another, or name a device that is none. Nothing was changed.
    """
    found: Dict[str, Any] = {field: params.get(field) for field in _SAME}
    found["cpu_quota"], found["cpu_period"] = _bandwidth(params)
    for field in _TABLES:
        found[field] = None if params.get(field) is None else tuple(sorted(params[field].items()))
    if params.get("rdma") is not None:
        found["rdma"] = tuple((device, row["hca_handle"], row["hca_object"]) for device, row in sorted(params["rdma"].items()))
    if params.get("io_limits") is not None:
        found["io_limits"] = tuple(sorted(_io_limit(row) for row in params["io_limits"]))
        _once("io_limits", [limit.device for limit in found["io_limits"]])
    if params.get("io_device_weights") is not None:
        found["io_device_weights"] = tuple(sorted((block_device("io_device_weights.device", row["device"]), row["weight"])
                                                  for row in params["io_device_weights"]))
        _once("io_device_weights", [device for device, _weight in found["io_device_weights"]])
    _twice_said(params)
    if params.get("device_rules") is not None:
        found["devices"] = canonical([DeviceRule(row["allow"], row["type"], row["major"], row["minor"], row["access"])
                                      for row in params["device_rules"]])
    if params.get("network_class") is not None:
        major, minor = params["network_class"].split(":")
        found["network_class"] = int(major, 16) << 16 | int(minor, 16)
    if params.get("network_priorities") is not None:
        found["network_priorities"] = tuple(sorted(params["network_priorities"].items()))
    burst, quota = params.get("cpu_burst"), found["cpu_quota"]
    if burst and quota is not None and burst > quota >= 0:
        raise InvalidValue("cpu_burst", burst, "is more than the quota of %d" % quota,
                           "Give at most the quota, which is cpus times cpu_period")
    return Limits(**found)


def _once(option: str, devices: List[str]) -> None:
    for device in devices:
        if devices.count(device) > 1:
            raise InvalidValue(option, device, "is named twice", "Say all of a device in one row")


def _twice_said(params: Mapping[str, Any]) -> None:
    """Refuse a file of C(unified) that an option with a name of its own says, too."""
    for file in params.get("unified") or ():
        option = BY_FILE.get(file)
        if option and params.get(option) is not None:
            raise InvalidValue("unified", file, "is what '%s' says too" % option, "Give one of them")


def _bandwidth(params: Mapping[str, Any]) -> Tuple[Optional[int], Optional[int]]:
    cpus: Optional[float] = params.get("cpus")
    quota: Optional[int] = params.get("cpu_quota")
    period: Optional[int] = params.get("cpu_period")
    if cpus is None and quota is None:
        if period is not None:
            raise InvalidValue("cpu_period", period, "says nothing by itself", "Give cpus or cpu_quota too")
        return None, None
    if cpus is not None and quota is not None:
        raise InvalidValue("cpu_quota", quota, "says what cpus says too", "Give one of them")
    if period is None:
        period = PERIOD
    if cpus is not None:
        quota = UNLIMITED if cpus < 0 else round(cpus * period)
        if 0 <= quota < LEAST_QUOTA:
            raise InvalidValue("cpus", cpus, "of a period of %d microseconds is less than the kernel's least, %d"
                               % (period, LEAST_QUOTA),
                               "Give at least %g, or a longer cpu_period (at most 1000000)" % (LEAST_QUOTA / period))
    return quota, period


def _io_limit(row: Mapping[str, Any]) -> IoLimit:
    return IoLimit(block_device("io_limits.device", row["device"]),
                   *(UNLIMITED if row.get(rate) is None or row[rate] <= 0 else row[rate] for rate in _RATES))


def to_options(limits: Limits) -> Dict[str, Any]:
    """Limits as the options that say the same; C(None) where the host does not tell."""
    found: Dict[str, Any] = {field: getattr(limits, field) for field in _SAME}
    quota, period = limits.cpu_quota, limits.cpu_period
    found["cpu_quota"], found["cpu_period"] = quota, period
    found["cpus"] = None if quota is None else UNLIMITED if quota < 0 else quota / (period or PERIOD)
    found["io_limits"] = None if limits.io_limits is None else [dict(limit._asdict()) for limit in limits.io_limits]
    found["io_device_weights"] = None if limits.io_device_weights is None else [
        {"device": device, "weight": weight} for device, weight in limits.io_device_weights]
    found["rdma"] = None if limits.rdma is None else {
        device: {"hca_handle": handles, "hca_object": objects} for device, handles, objects in limits.rdma}
    for field in _TABLES + ("network_priorities",):
        pairs = getattr(limits, field)
        found[field] = None if pairs is None else dict(pairs)
    number = limits.network_class
    found["network_class"] = None if number is None else "%x:%x" % (number >> 16, number & 0xffff)
    found["device_rules"] = None if limits.devices is None else [dict(rule._asdict()) for rule in limits.devices]
    return found


def said(params: Mapping[str, Any], limits: Limits) -> Dict[str, Any]:
    """Of C(to_options), those that the task says: what is compared with what the kernel tells.

    Args:
        params: Option to parsed value.
        limits: What the task asks for, as the kernel rounds it.
    """
    return {option: value for option, value in to_options(limits).items()
            if params.get(option) is not None and not (option == "cpu_weight" and limits.cpu_idle)}


def wholly(limits: Limits, current: Limits) -> Limits:
    """The same, and no limit where nothing is said: what a container is held to, whatever held before.

    Args:
        limits: What is asked for.
        current: What the kernel holds it to now; only what the host tells is lifted.
    """
    lifted = {field: value for field, value in given(FRESH).items()
              if getattr(limits, field) is None and getattr(current, field) not in (None, value)
              and field != "cpu_period"}
    for field in ("hugetlb", "misc", "rdma"):
        wanted = getattr(limits, field) or ()
        named = {row[0] for row in wanted}
        others = tuple((row[0],) + (UNLIMITED,) * (len(row) - 1) for row in getattr(current, field) or ()
                       if row[0] not in named and any(each >= 0 for each in row[1:]))
        if others:
            lifted[field] = tuple(sorted(wanted + others))
    asked = dict(limits.unified or ())
    dropped = tuple((file, _DEFAULTS[file.rpartition(".")[2]]) for file, told in current.unified or ()
                    if file not in asked and told != _DEFAULTS.get(file.rpartition(".")[2], told))
    if dropped:
        lifted["unified"] = tuple(sorted(tuple(asked.items()) + dropped))
    return limits._replace(**lifted)


_DEFAULTS = {"max": "max", "high": "max", "low": "0", "min": "0", "weight": "100"}
"""How a file of C(unified) that is no longer named is set back, by the end of its name; others stay as they are."""


def files_of(*params: Mapping[str, Any]) -> List[str]:
    """The files that the option C(unified) names, in whichever of these."""
    return sorted({file for each in params for file in each.get("unified") or ()})


def satisfied(asked: str, told: str) -> bool:
    """Whether what a file tells is what was asked for: each line of it, but for blanks."""
    lines = [" ".join(line.split()) for line in told.splitlines()]
    return all(" ".join(line.split()) in lines for line in asked.splitlines())


def as_asked(limits: Limits, current: Limits) -> Limits:
    """What holds, but the files of C(unified) in the words of what is asked for, where they say the same."""
    asked = dict(limits.unified or ())
    return current if current.unified is None else current._replace(unified=tuple(
        (file, asked[file] if file in asked and satisfied(asked[file], told) else told) for file, told in current.unified))


def fields_of(options: List[str], limits: Limits) -> Limits:
    """Of the limits, the fields that these options set."""
    wanted = {field for option in options for field in FIELDS.get(option, (option,))}
    return Limits(**{field: value for field, value in given(limits).items() if field in wanted})
