# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network namespace shall be, and what it is: the specification, settled and compared.

A specification comes from what a user asked for, the records and the host; it is complete, so that what check mode
predicts from it is what is then done.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue, NotFound, Unsupported
from ..instance import Instance
from ..kernel import nftables
from ..kernel.netlink import Socket
from . import addresses, leases, namespace, networks, publish, records, turns
from .networks import Network
from .publish import Published

Route = Tuple[str, str, int]
"""Destination as CIDR, gateway or nothing, metric."""


CONTAINER_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""In a container's own namespace all ports and ping are for every user, as with Docker: they are not the host's."""


class Attachment(NamedTuple):
    """One interface in one network.

    Attributes:
        network: Complete.
        interface: Its name inside.
        address: Without a prefix length.
        mac: Of the interface.
        names: What the neighbours call it; the first is the container's name.
        pinned: Whether the address was asked for; else another may be taken if this one is gone.
        request: What was asked for of the network.
    """

    network: Network
    interface: str
    address: str
    mac: str
    names: Tuple[str, ...]
    pinned: bool = False
    request: Optional[Mapping[str, Any]] = None


class NetnsSpec(NamedTuple):
    """A named network namespace as it shall be.

    Attributes:
        name: For a container its name.
        mode: C(bridge), C(none), C(host) or C(container:NAME).
        attachments: In order; the first that is not internal has the default route and the published ports.
        routes: Beyond the default route; C(None) leaves them alone.
        sysctls: C(net.*) and values.
        published: Single ports.
        names: For the container's hosts file (C(hosts.to_record)); C(None) where it has none.
    """

    name: str
    mode: str = "bridge"
    attachments: Tuple[Attachment, ...] = ()
    routes: Optional[Tuple[Route, ...]] = None
    sysctls: Tuple[Tuple[str, str], ...] = ()
    published: Tuple[Published, ...] = ()
    names: Optional[Dict[str, Any]] = None

    @property
    def gateway(self) -> str:
        """The address of the default route, or nothing."""
        if any(destination.endswith("/0") for destination, _gateway, _metric in self.routes or ()):
            return ""
        for each in self.attachments:
            if not each.network.internal:
                return each.network.gateway
        return ""


def settle(instance: Instance, name: str, mode: str = "bridge", wanted: Sequence[Mapping[str, Any]] = (),
           routes: Optional[Sequence[Route]] = None, sysctls: Optional[Mapping[str, str]] = None,
           published: Sequence[str] = (), names: Optional[Dict[str, Any]] = None) -> NetnsSpec:
    """The complete specification of what was asked for; reads only.

    Args:
        wanted: Each attachment: C(network) (a mapping with the fields of C(Network), C(None) where nothing is said),
            C(interface), C(ipv4_address), C(mac_address), C(aliases). For the mode C(bridge), none means the
            default network.
        published: In written form, as the option table yields it.

    Raises:
        InvalidValue, Conflict, NotFound, Unsupported: It cannot be had; nothing was changed.
    """
    with turns.reading(instance):
        check_owner(instance, name, names is not None)
        if names is not None and mode in ("bridge", "none"):
            sysctls = {**CONTAINER_SYSCTLS, **(sysctls or {})}
        ports = publish.expand(published)
        if mode != "bridge":
            _check_without(instance, name, mode, wanted, routes, sysctls, ports)
            return NetnsSpec(name, mode, (), None if routes is None else tuple(routes),
                             tuple(sorted((sysctls or {}).items())), (), names)
        if not nftables.available():
            raise Unsupported("this host has neither libnftables.so.1 nor the program nft, which the mode 'bridge' needs",
                              "Install the package nftables")
        settled: List[Attachment] = []
        with Socket() as sock:
            for at, request in enumerate(wanted or ({},)):
                attachment = _attachment(instance, name, at, request, settled, sock)
                settled.append(attachment)
        if ports and all(each.network.internal for each in settled):
            raise InvalidValue("published_ports", publish.contract(ports), "lead into an internal network",
                               "Publish no port, or attach a network that is not internal")
        publish.check(instance, name, ports)
        return NetnsSpec(name, mode, tuple(settled), None if routes is None else tuple(routes),
                         tuple(sorted((sysctls or {}).items())), ports, names)


def check_owner(instance: Instance, name: str, container: bool) -> None:
    """Containers and namespaces that are declared by themselves share one set of names.

    Raises:
        Conflict: The name is of the other kind.
    """
    record = records.load(instance, name)
    if record is not None and (record.names is not None) != container:
        raise Conflict("the network namespace '%s' belongs to %s" % (
            name, "a task of container_netns" if container else "the container '%s'" % name), "Choose another name")


def _attachment(instance: Instance, name: str, at: int, request: Mapping[str, Any], settled: Sequence[Attachment],
                sock: Socket) -> Attachment:
    network = networks.settle(instance, request.get("network") or {}, sock, [each.network for each in settled])
    interface = request.get("interface") or "eth%d" % at
    for each in settled:
        if each.network.name == network.name:
            raise InvalidValue("network", network.name, "is named twice", "Attach each network once")
        if each.interface == interface:
            raise InvalidValue("interface", interface, "is named twice", "Give each attachment an interface of its own")
    taken = leases.of(instance, network.name)
    _check_members(instance, name, network, taken)
    address = leases.choose(network, taken, name, interface, request.get("ipv4_address"))
    names = (name,) + tuple(alias for alias in request.get("aliases") or () if alias != name)
    return Attachment(network, interface, address, request.get("mac_address") or networks.mac_of(address), names,
                      bool(request.get("ipv4_address")), request.get("network"))


def _check_members(instance: Instance, name: str, network: Network, taken: Sequence[leases.Lease]) -> None:
    """Subnet and bridge of a network cannot change under the feet of others."""
    recorded = networks.load(instance, network.name)
    others = sorted({lease.netns for lease in taken if lease.netns != name})
    if recorded is None or not others:
        return
    for option in ("subnet", "gateway", "bridge"):
        if getattr(recorded, option) != getattr(network, option):
            raise Conflict("network '%s' has the %s %s and cannot get %s while it has other members: %s" % (
                network.name, option, getattr(recorded, option), getattr(network, option), ", ".join(others)),
                "Remove these first, or choose a network of another name")


def _check_without(instance: Instance, name: str, mode: str, wanted: Sequence[Mapping[str, Any]],
                   routes: Optional[Sequence[Route]], sysctls: Optional[Mapping[str, str]],
                   ports: Sequence[Published]) -> None:
    """Modes without an attachment of their own."""
    if ports:
        raise InvalidValue("published_ports", publish.contract(ports), "cannot be with the mode '%s'" % mode,
                           "Use the mode 'bridge'" if mode != "host" else "Its ports are the host's already")
    if wanted:
        raise InvalidValue("network", wanted[0].get("network"), "cannot be with the mode '%s'" % mode,
                           "Use the mode 'bridge'")
    if mode == "none":
        return
    if sysctls or routes:
        raise InvalidValue("sysctls" if sysctls else "routes", sysctls or list(routes or ()),
                           "would change a namespace that is not this one's own (mode '%s')" % mode,
                           "Set it where the namespace is declared")
    if mode.startswith("container:"):
        other = mode.partition(":")[2]
        if other == name:
            raise InvalidValue("mode", mode, "names itself", "Name another network namespace")
        handle = namespace.open_named(instance, other)
        if handle is None:
            raise NotFound("there is no network namespace '%s', which the mode '%s' joins" % (other, mode),
                           "Create it first")
        os.close(handle)


def network_view(network: Optional[Network]) -> Dict[str, Any]:
    """A network as options show it."""
    return dict(network._asdict()) if network else dict.fromkeys(Network._fields)


def attachment_view(attachment: Attachment) -> Dict[str, Any]:
    """An attachment as options show it; the same keys as what is observed."""
    return {"network": network_view(attachment.network), "interface": attachment.interface,
            "ipv4_address": attachment.address, "mac_address": attachment.mac,
            "aliases": list(attachment.names[1:])}


def cidr(attachment: Attachment) -> str:
    """An attachment's address with its subnet's prefix length."""
    return "%s/%d" % (attachment.address, addresses.subnet(attachment.network.subnet).prefix)
