# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked for of a network, in the words of its record."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import InvalidValue
from . import overlay

_PLAIN = ("name", "bridge", "subnet", "gateway", "mtu", "masquerade", "internal", "persistent", "ipv6_subnet", "ipv6_gateway",
          "ip_range", "ipv6_range", "driver", "isolate", "icc", "policy", "vlan_filtering")
_MAPPINGS = {"aux_addresses": "aux_addresses", "labels": "labels"}
ELSEWHERE = {
    "com.docker.network.bridge.name": "bridge", "bridge_name": "bridge",
    "com.docker.network.driver.mtu": "mtu", "driver_mtu": "mtu", "mtu": "mtu",
    "com.docker.network.bridge.enable_ip_masquerade": "masquerade",
    "com.docker.network.bridge.enable_icc": "icc",
    "isolate": "isolate",
}
"""Names that Docker and Podman give, among the options of a driver, to what has an option of its own here."""
SAME = {"macvlan_mode": "mode", "ipvlan_mode": "mode"}
"""Other names of the drivers' options."""


def given(request: Mapping[str, Any]) -> Tuple[Dict[str, Any], Optional[bool]]:
    """The fields of C(Network) that somebody named, and whether IPv6 is asked for (C(None): nothing was said).

    Raises:
        InvalidValue: Two of them contradict each other.
    """
    from .networks import Pool  # pylint: disable=import-outside-toplevel,cyclic-import
    found = {key: request[key] for key in _PLAIN if request.get(key) is not None}
    for key, field in _MAPPINGS.items():
        if request.get(key) is not None:
            found[field] = tuple(sorted(request[key].items()))
    if request.get("masquerade_exclude") is not None:
        found["masquerade_exclude"] = tuple(sorted(request["masquerade_exclude"]))
    if request.get("cluster_ranges") is not None:
        found["cluster_ranges"] = tuple(sorted(request["cluster_ranges"]))
    if request.get("peers") is not None:
        found["peers"] = overlay.peers_of(request["peers"])
    if request.get("static_leases") is not None:
        found["static_leases"] = tuple(sorted((name, address) for name, several in request["static_leases"].items()
                                              for address in several))
    ipv6 = request.get("ipv6")
    if request.get("driver_options") is not None:
        found["options"] = {}
        for name, value in request["driver_options"].items():
            if name in ELSEWHERE:
                _once(found, ELSEWHERE[name], _typed(name, value), "driver_options." + name)
            else:
                found["options"][SAME.get(name, name)] = value
    if request.get("subnets") is not None:
        further: List[Any] = []
        families = set()
        for row in request["subnets"]:
            six = ":" in row["subnet"]
            if six in families:
                further.append(Pool(row["subnet"], row.get("gateway") or "", row.get("ip_range") or ""))
            else:
                families.add(six)
                for field, value in (("ipv6_subnet" if six else "subnet", row["subnet"]),
                                     ("ipv6_gateway" if six else "gateway", row.get("gateway")),
                                     ("ipv6_range" if six else "ip_range", row.get("ip_range"))):
                    if value:
                        _once(found, field, value, "subnets")
            if row.get("aux_addresses"):
                found["aux_addresses"] = tuple(sorted({**dict(found.get("aux_addresses") or ()),
                                                       **row["aux_addresses"]}.items()))
        found["more"] = tuple(further)
        if ipv6 is None and "ipv6_subnet" not in found:
            ipv6 = False
    return found, ipv6


def _once(found: Dict[str, Any], field: str, value: Any, option: str) -> None:
    if found.setdefault(field, value) != value:
        raise InvalidValue("network." + option, value, "contradicts %s, which is %s" % (field, found[field]),
                           "Say it in one place")


def _typed(name: str, value: str) -> Any:
    """The value of an option of Docker or Podman, which are all text."""
    field = ELSEWHERE[name]
    if field == "mtu":
        if not value.isdigit() or not 68 <= int(value) <= 65535:
            raise InvalidValue("network.driver_options." + name, value, "is no MTU", "Write bytes from 68 to 65535")
        return int(value)
    if field in ("masquerade", "icc"):
        if value.lower() not in ("true", "false", "1", "0"):
            raise InvalidValue("network.driver_options." + name, value, "is neither true nor false", "Write true or false")
        return value.lower() in ("true", "1")
    if field == "isolate":
        return {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(value.lower(), value)
    return value
