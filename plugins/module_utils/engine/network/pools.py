# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subnets a network has: what was asked for, else a free one; and whether they can be had."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..errors import Conflict, InvalidValue
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from . import addresses

if TYPE_CHECKING:
    from .networks import Network, Pool

POOL = tuple("10.209.%d.0/24" % third for third in range(256))
"""Where a network gets its subnet when none is asked for: the first that overlaps no route of the host and no other
network."""
_MACHINE = "/etc/machine-id"


def settle(name: str, given: Mapping[str, Any], base: Mapping[str, Any], ipv6: Optional[bool],
           known: Sequence[Network], sock: Socket, own: bool = True) -> Dict[str, Any]:
    """The fields of C(Network) about subnets that follow from what was asked for; what was given comes on top of them.

    Args:
        given: Fields that were asked for.
        base: Those of the record.
        ipv6: Whether a subnet of that family is asked for; C(None) where nothing was said.
        known: The other networks.
        own: Whether the subnets are of this host alone, so that a free one will do.

    Raises:
        InvalidValue, Conflict: There is none.
    """
    found: Dict[str, Any] = {}
    taken: List[str] = []
    for subnet, gateway, pool in (("subnet", "gateway", POOL), ("ipv6_subnet", "ipv6_gateway", None)):
        value = given.get(subnet) or base.get(subnet) or ""
        if pool is None and ipv6 is False:
            if given.get(subnet):
                raise InvalidValue("network.ipv6", ipv6, "contradicts the IPv6 subnet %s" % given[subnet],
                                   "Leave one of the two out")
            value = ""
        elif not value and (pool is not None or ipv6):
            taken = taken or _taken(known, sock)
            if not own:
                raise InvalidValue("network." + subnet, None, "is missing, and no free one will do where the network is not of this "
                                   "host alone", "Write the subnet, with a parent link the one that this is in")
            value = _free(name, pool or _local_pool(), taken)
        found[subnet] = value
        old = base.get(gateway) if value == base.get(subnet) else ""
        found[gateway] = old or (_first_host(subnet, value) if value and not given.get(gateway) else "")
    for subnet, part in (("subnet", "ip_range"), ("ipv6_subnet", "ipv6_range")):
        if found[subnet] != base.get(subnet):
            found[part] = ""
    if "more" in given:
        found["more"] = tuple(pool._replace(gateway=pool.gateway or _first_host("subnets", pool.subnet))
                              for pool in given["more"])
    return found


def check(network: Network) -> None:
    """Whether subnets, gateways, range and reserved addresses fit together.

    Raises:
        InvalidValue: They do not.
    """
    if network.ipv6_gateway and not network.ipv6_subnet:
        raise InvalidValue("network.ipv6_gateway", network.ipv6_gateway, "is no host address of the subnet (none)",
                           "Say ipv6_subnet too")
    for pool in network.pools:
        further = pool in network.more
        before = "subnets." if further else "ipv6_" if ":" in pool.subnet else ""
        _check_pool(before, pool, "subnets.ip_range" if further else "ipv6_range" if before else "ip_range")
    blocks = [addresses.subnet(subnet) for subnet in network.subnets]
    for at, block in enumerate(blocks):
        for other in blocks[:at]:
            if addresses.overlap(block, other):
                raise InvalidValue("network.subnets", str(block), "overlaps %s of the same network" % str(other),
                                   "Leave one of the two out")
    for option, pairs in (("aux_addresses", network.aux_addresses), ("static_leases", network.static_leases)):
        for name, address in pairs:
            block_of = [block for block in blocks if addresses.contains(block, address)]
            if not block_of or option == "static_leases" and not is_host(block_of[0], address):
                raise InvalidValue("network." + option, "%s: %s" % (name, address),
                                   "is not in %s" % " or ".join(network.subnets), "Write an address of the network")
    _check_static(network)


def _check_static(network: Network) -> None:
    """Whether each address is kept for one only."""
    kept: Dict[str, str] = dict.fromkeys(network.gateways, "the gateway")
    for name, address in network.static_leases:
        if address in kept:
            raise InvalidValue("network.static_leases", "%s: %s" % (name, address), "is kept for %s already" % kept[address],
                               "Give each an address of its own")
        kept[address] = "'%s'" % name


def _check_pool(before: str, pool: Pool, range_option: str) -> None:
    """Whether one subnet has room, and gateway and range lie in it."""
    option = before + "subnet"
    block = _block(option, pool.subnet)
    room = 30 if block.width == 32 else 126
    if block.prefix > room or (before == "") != (block.width == 32) and before != "subnets.":
        raise InvalidValue("network." + option, pool.subnet, "has no room for a gateway and a container",
                           "Write an IPv%d subnet of /%d or larger" % (6 if before == "ipv6_" else 4, room))
    if str(block) != pool.subnet:
        raise InvalidValue("network." + option, pool.subnet, "has bits set behind its prefix", "Write " + str(block))
    if pool.gateway and not is_host(block, pool.gateway):
        raise InvalidValue("network.%sgateway" % before, pool.gateway, "is no host address of the subnet %s" % pool.subnet,
                           "Write an address between the first and the last of the subnet")
    if pool.ip_range:
        part = _block(range_option, pool.ip_range)
        if part.width != block.width or not (block.base <= part.base and part.last <= block.last):
            raise InvalidValue("network." + range_option, pool.ip_range, "is no part of the subnet %s" % pool.subnet,
                               "Write a block inside of it")


def check_others(network: Network, known: Sequence[Network]) -> None:
    """Whether another network has a part of its subnets.

    Raises:
        Conflict: It has; it says which.
    """
    for other in known:
        for subnet in network.subnets:
            for theirs in other.subnets:
                if addresses.overlap(addresses.subnet(subnet), addresses.subnet(theirs)):
                    raise Conflict("the subnet %s of network '%s' overlaps %s of network '%s'"
                                   % (subnet, network.name, theirs, other.name),
                                   "Choose another in network.%s" % _option(subnet))


def check_routes(network: Network, routes: Mapping[str, str], mine: Sequence[str]) -> None:
    """Whether the host reaches a part of its subnets by another way.

    Args:
        routes: Destination, and the link or gateway of each.
        mine: Links that are the network's own.

    Raises:
        Conflict: It does; it says by which.
    """
    for subnet in network.subnets:
        for destination, by in routes.items():
            if by not in mine and not destination.endswith("/0") and not addresses.link_local(destination) \
                    and addresses.overlap(addresses.subnet(subnet), addresses.subnet(destination)):
                raise Conflict("the subnet %s of network '%s' overlaps the host's route to %s by '%s'"
                               % (subnet, network.name, destination, by),
                               "Choose another in network.%s" % _option(subnet))


def is_host(block: addresses.Subnet, address: str) -> bool:
    """Whether an address can be a host's: neither the first of a subnet nor, with IPv4, the last (RFC 4291 2.6.1)."""
    value = addresses.number(address)[1]
    return addresses.contains(block, address) and value != block.base and (block.width == 128 or value != block.last)


def _option(subnet: str) -> str:
    return "ipv6_subnet" if ":" in subnet else "subnet"


def _block(option: str, cidr: str) -> addresses.Subnet:
    try:
        return addresses.subnet(cidr)
    except ValueError as error:
        raise InvalidValue("network." + option, cidr, str(error), "Write a subnet such as %s"
                           % ("fd00:20::/64" if option == "ipv6_subnet" else "10.20.0.0/24"))


def _first_host(option: str, cidr: str) -> str:
    block = _block(option, cidr)
    return addresses.text(block.width, block.base + 1)


def _taken(known: Sequence[Network], sock: Socket) -> List[str]:
    return [subnet for each in known for subnet in each.subnets] + [
        route.destination for route in rtnetlink.routes(sock) if not route.destination.endswith("/0")]


def _free(name: str, pool: Sequence[str], taken: Sequence[str]) -> str:
    blocks = [addresses.subnet(each) for each in taken]
    for candidate in pool:
        block = addresses.subnet(candidate)
        if not any(addresses.overlap(block, other) for other in blocks):
            return candidate
    raise Conflict("no subnet of the pool %s to %s is free for the network '%s'" % (pool[0], pool[-1], name),
                   "Name one in network.%s" % _option(pool[0]))


def _local_pool() -> Sequence[str]:
    """256 subnets of a unique local prefix (RFC 4193) that follows from the machine's identity."""
    try:
        with open(_MACHINE, "rb") as stream:
            seed = stream.read()
    except OSError:
        seed = b""
    digest = hashlib.sha256(b"coracle " + seed).hexdigest()
    prefix = "fd%s:%s:%s" % (digest[:2], digest[2:6], digest[6:10])
    return [str(addresses.subnet("%s:%x::/64" % (prefix, number))) for number in range(1, 257)]
