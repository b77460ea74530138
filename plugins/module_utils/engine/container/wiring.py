# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's network in the words of the network layer."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..instance import Instance
from ..network import hosts, namespace, publish, spec
from ..network.spec import NetnsSpec
from . import records


def settle(instance: Instance, name: str, options: Mapping[str, Any]) -> NetnsSpec:
    """The network namespace that a container's options ask for; reads only.

    Raises:
        InvalidValue, Conflict, NotFound, Unsupported: It cannot be had: a port is taken, a subnet overlaps.
    """
    mode, wanted = options["network_mode"], []  # type: str, List[Dict[str, Any]]
    if mode.startswith("container:"):
        mode = "container:" + records.current(instance, mode.partition(":")[2])
    if mode not in ("bridge", "none", "host") and not mode.startswith(("container:", "ns:")):
        mode, wanted = "bridge", [{"network": {"name": mode}}]
    for row in options["networks"]:
        attachment = spec.of_row(row)
        wanted = [each for each in wanted if each["network"] != attachment["network"]] + [attachment]
    netns = spec.settle(instance, name, mode, wanted, published=options["published_ports"],
                        names=hosts.to_record(names(options)), labels=options.get("labels"), policy=options.get("policy"),
                        proxy=options.get("publish_mode") == "proxy")
    if name == records.called(name):
        return netns
    return netns._replace(attachments=tuple(each._replace(names=(records.called(name), *each.names[1:]))
                                            for each in netns.attachments))


def hidden(netns: NetnsSpec) -> NetnsSpec:
    """The same for a container that nobody is to find yet: without published ports, under no name but its folder's."""
    return netns._replace(published=(), attachments=tuple(each._replace(names=(netns.name,)) for each in netns.attachments))


def names(options: Mapping[str, Any]) -> hosts.Names:
    """What the container's hosts and resolver files are made from."""
    return hosts.Names(options["hostname"], tuple(sorted(options["etc_hosts"].items())),
                       tuple(options["dns_servers"]) or None, tuple(options["dns_search_domains"]) or None,
                       tuple(options["dns_opts"]) or None)


def view(netns: NetnsSpec) -> List[Dict[str, Any]]:
    """The attachments as C(networks) shows them."""
    return [spec.row_view(spec.attachment_view(each)) for each in netns.attachments]


def observed_view(attachments: Any) -> List[Dict[str, Any]]:
    """The same of what was observed."""
    return [spec.row_view(row) for row in attachments]


def ports(netns: NetnsSpec) -> List[str]:
    """The published ports in their one written form."""
    return publish.contract(netns.published)


def path(instance: Instance, name: str, mode: str) -> Optional[str]:
    """The namespace that the container's processes live in; C(None) for the host's."""
    return None if mode == "host" else namespace.path(instance, name)
