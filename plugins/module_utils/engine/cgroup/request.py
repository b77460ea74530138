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
_SAME = ("cpu_burst", "cpu_weight", "cpuset_cpus", "cpuset_mems", "memory_max", "memory_high", "memory_low",
         "memory_swap_max", "pids_max", "io_weight")
_RATES = ("read_bps", "write_bps", "read_iops", "write_iops")
NAMES = ("cpus", "cpu_quota", "cpu_period") + _SAME + ("io_limits",)
"""The options that all modules that limit something share."""


def from_options(params: Mapping[str, Any]) -> Limits:
    """The limits that a task asks for; options that it leaves out say nothing.

    Args:
        params: Option to parsed value.

    Raises:
        InvalidValue: Options contradict one another, or name a device that is none. Nothing was changed.
    """
    found: Dict[str, Any] = {field: params.get(field) for field in _SAME}
    found["cpu_quota"], found["cpu_period"] = _bandwidth(params)
    if params.get("io_limits") is not None:
        found["io_limits"] = tuple(sorted(_io_limit(row) for row in params["io_limits"]))
        devices = [limit.device for limit in found["io_limits"]]
        for device in devices:
            if devices.count(device) > 1:
                raise InvalidValue("io_limits", device, "is named twice", "Say all limits of a device in one row")
    if params.get("device_rules") is not None:
        found["devices"] = canonical([DeviceRule(row["allow"], row["type"], row["major"], row["minor"], row["access"])
                                      for row in params["device_rules"]])
    burst, quota = params.get("cpu_burst"), found["cpu_quota"]
    if burst and quota is not None and burst > quota >= 0:
        raise InvalidValue("cpu_burst", burst, "is more than the quota of %d" % quota,
                           "Give at most the quota, which is cpus times cpu_period")
    return Limits(**found)


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
    found["device_rules"] = None if limits.devices is None else [dict(rule._asdict()) for rule in limits.devices]
    return found


def said(params: Mapping[str, Any], limits: Limits) -> Dict[str, Any]:
    """Of C(to_options), those that the task says: what is compared with what the kernel tells.

    Args:
        params: Option to parsed value.
        limits: What the task asks for, as the kernel rounds it.
    """
    return {option: value for option, value in to_options(limits).items() if params.get(option) is not None}


def wholly(limits: Limits, current: Limits) -> Limits:
    """The same, and no limit where nothing is said: what a container is held to, whatever held before.

    Args:
        limits: What is asked for.
        current: What the kernel holds it to now; only what the host tells is lifted.
    """
    lifted = {field: value for field, value in given(FRESH).items()
              if getattr(limits, field) is None and getattr(current, field) not in (None, value)
              and field not in ("cpu_period", "cpu_idle", "io_device_weights")}
    return limits._replace(**lifted)


def fields_of(options: List[str], limits: Limits) -> Limits:
    """Of the limits, the fields that these options set."""
    wanted = {field for option in options for field in FIELDS.get(option, (option,))}
    return Limits(**{field: value for field, value in given(limits).items() if field in wanted})
