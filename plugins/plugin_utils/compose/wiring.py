# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service has to do with others: networks, ports, and what it depends on."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

from ansible_collections.coracle.containers.plugins.module_utils import option
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.options import container
from .services import Service

DEFAULT = "default"
"""The network of services that name none."""
_CONDITIONS = {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "completed_successfully"}
_NETWORKS = tuple(row for row in container.OPTIONS if row.name == "networks")
_IFNAME = "com.docker.network.endpoint.ifname"


def networks_of(said: Mapping[str, Any]) -> List[str]:
    """The keys of the networks that a service is attached to, in order."""
    if said.get("network_mode") not in (None, "", "default"):
        return []
    rows = said.get("networks") or {DEFAULT: {}}
    return sorted(rows, key=lambda key: (-rows[key].get("gw_priority", 0), -rows[key].get("priority", 0), key))


def _networks(service: Service) -> None:
    said = service.said
    mode = said.get("network_mode")
    if mode not in (None, "", "default"):
        if said.get("networks"):
            service.wrong("network_mode", "does not go with 'networks'")
        service.put("network_mode", mode, "network_mode")
        if said.get("mac_address"):
            service.unsupported("mac_address", "needs a network of the project")
        return
    found = []
    for key in networks_of(said):
        row = (said.get("networks") or {}).get(key) or {}
        entry: Dict[str, Any] = {"name": key}
        for name, ours in (("ipv4_address", "ipv4_address"), ("ipv6_address", "ipv6_address"), ("mac_address", "mac_address"),
                           ("aliases", "aliases"), ("interface_name", "interface")):
            if row.get(name):
                entry[ours] = row[name]
        for name, value in row.get("driver_opts", {}).items():
            if name == _IFNAME:
                entry.setdefault("interface", value)
            else:
                service.unsupported("networks.%s.driver_opts.%s" % (key, name), "is no option of an attachment here")
        found.append(entry)
    if said.get("mac_address") and found:
        found[0].setdefault("mac_address", said["mac_address"])
    _aliases_of_links(service, found)
    service.put("networks", found, "networks" if said.get("networks") else "")
    for entry in found:
        filled = {each.name: entry.get(each.name) for each in _NETWORKS[0].options or ()}
        try:
            option.parse(_NETWORKS, {"networks": [filled]})
        except InvalidValue as error:
            service.wrong("networks.%s" % entry["name"], str(error).replace("networks[0].", ""))


def _aliases_of_links(service: Service, attachments: List[Dict[str, Any]]) -> None:
    """The names that other services link this one by."""
    names = set()
    for other in service.setting.services.values():
        for text in other.get("links", ()):
            name, _colon, alias = text.partition(":")
            if name == service.name and alias:
                names.add(alias)
    for entry in attachments:
        more = sorted(names - set(entry.get("aliases", ())))
        if more:
            entry["aliases"] = [*entry.get("aliases", ()), *more]


def _ports(service: Service) -> None:
    found = []
    replicas = service.found.get("replicas", 1)
    for row in service.said.get("ports", ()):
        host, target = row.get("published"), row.get("target")
        if target is None:
            service.wrong("ports", "has an entry without a target")
            continue
        if host is None:
            service.unsupported("ports", "%s is published at no port of the host; say which one: HOST:%s" % (target, target))
            continue
        host = _for_replicas(service, host, replicas)
        address = row.get("host_ip") or ""
        front = "[%s]:" % address if ":" in address else address + ":" if address else ""
        found.append("%s%s:%s/%s" % (front, host, target, row.get("protocol", "tcp")))
    service.put("published_ports", found, "ports")
    if found and service.said.get("network_mode") in ("host", "none"):
        service.wrong("ports", "does not go with 'network_mode: %s'" % service.said["network_mode"])


def _for_replicas(service: Service, host: str, replicas: int) -> str:
    """The host's port; of a range the first."""
    first, dash, last = host.partition("-")
    if replicas > 1:
        service.unsupported("ports", "%s cannot be published by %d replicas: a port of the host leads to one container" % (host, replicas))
    return first if dash and int(last) >= int(first) else host


def _depends(service: Service) -> None:
    found: Dict[str, Dict[str, Any]] = {}
    for name, row in service.said.get("depends_on", {}).items():
        found[name] = {"condition": _CONDITIONS[row["condition"]], "restart": row.get("restart", False),
                       "required": row.get("required", True)}
    for path, name in implied(service.said):
        if name not in found:
            found[name] = {"condition": "started", "restart": path != "links", "required": True}
    for name, row in list(found.items()):
        if name not in service.setting.services:
            if row["required"]:
                service.wrong("depends_on", "names the service '%s', which there is not" % name)
            del found[name]
        elif name == service.name:
            service.wrong("depends_on", "names the service itself")
    service.put("depends_on", dict(sorted(found.items())), "depends_on")


def implied(said: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """The services that a service cannot be without, beside those of C(depends_on), each with the key that says so."""
    found = [("links", text.partition(":")[0]) for text in said.get("links", ())]
    found += [("volumes_from", text.partition(":")[0]) for text in said.get("volumes_from", ()) if not text.startswith("container:")]
    for key in ("network_mode", "ipc", "pid"):
        text = said.get(key) or ""
        if text.startswith("service:"):
            found.append((key, text.partition(":")[2]))
    return found


STEPS: Tuple[Callable[[Service], None], ...] = (_networks, _ports, _depends)
"""What is done to a service, in order."""
