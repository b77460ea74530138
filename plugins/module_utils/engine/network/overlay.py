# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks over several hosts: the driver C(vxlan), with what leads to the other hosts' members.

Each host has a bridge, and one of three things beside it:

- a VXLAN link that routes lead to, with a route, a neighbour and a forwarding entry for each other host (each has subnets of its own);
- a VXLAN link that is a port of the bridge, with one forwarding entry for each other host (all share the subnets);
- routes by way of the other hosts themselves (C(host-gw)).

Nobody is asked for anything and nobody announces anything: who the others are is written down. So one that comes or goes changes its
own entries alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..errors import Conflict, InvalidValue, NotFound, Unsupported
from ..kernel import rtnetlink, vxlan
from ..kernel.netlink import Message, NetlinkError, Socket
from . import addresses
from .ends import ALIAS

if TYPE_CHECKING:
    from .networks import Network

DRIVER = "vxlan"
PROTOCOL = 67
"""Our number among those who set routes (the kernel's uapi/linux/rtnetlink.h leaves those above 15 to programs)."""


class Resident(NamedTuple):
    """A member of the network on another host, for names and policies."""

    name: str
    addresses: Tuple[str, ...]
    aliases: Tuple[str, ...] = ()
    labels: Tuple[Tuple[str, str], ...] = ()


class Peer(NamedTuple):
    """Another host of the network.

    Attributes:
        name: The host's.
        address: By which the hosts reach one another.
        subnets: Where its members' addresses lie.
        members: As far as they are known.
    """

    name: str
    address: str
    subnets: Tuple[str, ...]
    members: Tuple[Resident, ...] = ()


class Others(NamedTuple):
    """What leads to the other hosts: forwarding entries, neighbours, and routes with their gateways."""

    entries: Set[vxlan.Entry]
    neighbours: Set[vxlan.Entry]
    routes: Dict[str, str]


def shared(network: Network) -> bool:
    """Whether all hosts share the subnets."""
    return dict(network.options).get("shared") == "true"


def tunnelled(network: Network) -> bool:
    """Whether frames are packed into VXLAN."""
    return dict(network.options).get("backend") == "vxlan"


def device(network: Network) -> str:
    """The name of the VXLAN link, which follows from the bridge's."""
    if network.bridge.startswith("co-"):
        return "vx-" + network.bridge[3:]
    return "vx-" + hashlib.sha256(network.bridge.encode()).hexdigest()[:10]


def way(network: Network) -> str:
    """The link by which routed packets for other hosts leave; empty where the bridge itself leads there."""
    if network.driver != DRIVER or shared(network):
        return ""
    return device(network) if tunnelled(network) else dict(network.options)["parent"]


def settle(name: str, given: Dict[str, Any], base: Dict[str, Any], recorded: Optional[Network], sock: Socket) -> None:
    """Complete what was asked for: VNI and parent, MTU, the gateway of a host that shares subnets.

    Args:
        given: Fields that were asked for; C(gateway) comes to it.
        base: Fields of the record, with C(options), which get complete here.
        recorded: The record.

    Raises:
        InvalidValue, NotFound: Something is missing that nobody but the user knows.
    """
    options = dict(base["options"])
    local = _address("driver_options.local", options.get("local"), "the address of this host that the others reach it by")
    options["local"] = local
    options["vni"] = str(_number("driver_options.vni", options.get("vni") or _vni(name), 1, (1 << 24) - 1))
    options["port"] = str(_number("driver_options.port", options.get("port") or "4789", 1, 65535))
    if options["shared"] == "true" and options["backend"] != "vxlan":
        raise InvalidValue("network.driver_options.shared", "true", "cannot be with the backend '%s', which needs a subnet for each "
                           "host" % options["backend"], "Leave it out, or use the backend vxlan")
    lower = _lower(name, local, sock)
    options["parent"] = lower.name
    base["options"] = tuple(sorted(options.items()))
    room = lower.mtu - (vxlan.OVERHEAD[6 if ":" in local else 4] if options["backend"] == "vxlan" else 0)
    same = recorded is not None and (recorded.driver, recorded.options) == (DRIVER, base["options"])
    if "mtu" not in given and (not same or base["mtu"] > room):
        base["mtu"] = room
    for field in ("subnet", "ipv6_subnet"):
        asked = field == "subnet" or given.get("ipv6_gateway") or given.get("ipv6_range")
        if asked and not (given.get(field) or base.get(field)):
            raise InvalidValue("network." + field, None, "is missing: which one a network of several hosts has here is nothing that one "
                               "host can choose", "Write it; the role 'overlay' does")
    if options["shared"] == "true":
        for part, gateway, subnet in (("ip_range", "gateway", "subnet"), ("ipv6_range", "ipv6_gateway", "ipv6_subnet")):
            if not (given.get(subnet) or base.get(subnet)):
                continue
            block = given.get(part) or base.get(part)
            if not block:
                raise InvalidValue("network." + part, None, "is missing: hosts that share a subnet give addresses out of different parts "
                                   "of it", "Write this host's part of the subnet; the role 'overlay' does")
            if not given.get(gateway) and not (base.get(gateway) and block == base.get(part)):
                first = addresses.subnet(block)
                given[gateway] = addresses.text(first.width, first.base + 1)


def check(network: Network, sock: Socket) -> None:
    """Whether the hosts fit together.

    Raises:
        InvalidValue, Conflict: They do not; it says who.
        Unsupported: The kernel has no VXLAN.
    """
    options = dict(network.options)
    lower = _lower(network.name, options["local"], sock)
    overhead = vxlan.OVERHEAD[6 if ":" in options["local"] else 4] if tunnelled(network) else 0
    if network.mtu > lower.mtu - overhead:
        raise InvalidValue("network.mtu", network.mtu, "is more than '%s' has room for: %d bytes%s" % (
            lower.name, lower.mtu - overhead, ", beside %d of VXLAN" % overhead if overhead else ""), "Write at most that")
    own = own_blocks(network)
    if not tunnelled(network):
        for block in (*own, *(block for peer in network.peers for block in peer.subnets)):
            if (":" in block) != (":" in options["local"]):
                raise InvalidValue("network.driver_options.backend", "host-gw", "cannot lead to %s, which is not of the family of the "
                                   "hosts' addresses, such as %s" % (block, options["local"]),
                                   "Leave that subnet out, or use the backend vxlan")
    if not shared(network):
        if not network.cluster_ranges:
            raise InvalidValue("cluster_ranges", [], "does not say where the subnets of all hosts lie",
                               "Write the blocks, such as 10.80.0.0/16")
        for block in own:
            _inside(network, "this host", block)
    seen: List[Tuple[str, str]] = [("this host", block) for block in own]
    held = {options["local"]: "this host"}
    names: Set[str] = set()
    for peer in network.peers:
        if peer.name in names:
            raise InvalidValue("peers", peer.name, "is named twice", "Name each host once")
        names.add(peer.name)
        if (":" in peer.address) != (":" in options["local"]):
            raise InvalidValue("peers", "%s: %s" % (peer.name, peer.address), "is not of the family of this host's address %s"
                               % options["local"], "Give all hosts addresses of one family")
        if peer.address in held:
            raise Conflict("network '%s': %s has the address %s, and so has %s" % (
                network.name, peer.name, peer.address, held[peer.address]), "Give each host an address of its own")
        held[peer.address] = peer.name
        for block in peer.subnets:
            _inside(network, peer.name, block)
            for who, other in seen:
                if addresses.overlap(addresses.subnet(block), addresses.subnet(other)):
                    raise Conflict("network '%s': the subnet %s of %s overlaps %s of %s" % (network.name, block, peer.name, other, who),
                                   "Give each host a block of its own")
        seen += [(peer.name, block) for block in peer.subnets]
    if tunnelled(network) and vxlan.observe(sock, device(network)) is None and not _supported(sock):
        raise Unsupported("this kernel has no links of the kind vxlan, which network '%s' needs" % network.name,
                          "Load the module vxlan, or use the backend host-gw")


def own_blocks(network: Network) -> Tuple[str, ...]:
    """Where this host's members have their addresses."""
    return tuple(pool.ip_range or pool.subnet for pool in network.pools) if shared(network) else network.subnets


def cluster(network: Network) -> Tuple[str, ...]:
    """The blocks whose addresses are members', on whichever host; none for other drivers."""
    if network.driver != DRIVER:
        return ()
    return network.subnets if shared(network) else network.cluster_ranges


def others(network: Network) -> Others:
    """What has to lead to the other hosts."""
    found = Others(set(), set(), {})
    for peer in network.peers:
        if shared(network):
            found.entries.add(vxlan.Entry(vxlan.EVERYBODY, peer.address))
            continue
        mac = _mac(peer.subnets)
        if tunnelled(network):
            found.entries.add(vxlan.Entry(mac, peer.address))
        for subnet in peer.subnets:
            gateway = _next_hop(peer, subnet) if tunnelled(network) else peer.address
            found.routes[subnet] = gateway
            if tunnelled(network):
                found.neighbours.add(vxlan.Entry(mac, gateway))
    return found


def seen(sock: Socket, network: Network) -> Others:
    """What leads to other hosts now; of routes by way of the hosts themselves those that are ours, by their number."""
    link = vxlan.observe(sock, device(network))
    blocks = [addresses.subnet(block) for block in network.cluster_ranges]
    ours = {}
    for route in rtnetlink.routes(sock):
        mine = route.ifindex == link.link.ifindex if tunnelled(network) and link else False
        if mine or not tunnelled(network) and route.protocol == PROTOCOL and any(
                addresses.overlap(block, addresses.subnet(route.destination)) for block in blocks):
            if not addresses.link_local(route.destination) and not route.destination.startswith("ff"):
                ours[route.destination] = route.gateway
    if link is None:
        return Others(set(), set(), ours)
    return Others(set(vxlan.entries(sock, link.link.ifindex)),
                  {each for each in vxlan.neighbours(sock, link.link.ifindex) if not each.destination.startswith("ff")}, ours)


def ensure(sock: Socket, network: Network, bridge: int) -> None:
    """Bring the VXLAN link and all that leads to other hosts to what the network wants; what is right is left alone."""
    options = dict(network.options)
    index = _lower(network.name, options["local"], sock).ifindex
    if tunnelled(network):
        index = _link(sock, network, bridge, index)
    else:
        sock.request(rtnetlink.delete_link(device(network)))
    wanted, there = others(network), seen(sock, network)
    changes: List[Message] = []
    changes += [rtnetlink.delete_route(each, there.routes[each], index) for each in sorted(set(there.routes) - set(wanted.routes))]
    keys = {_key(each) for each in wanted.entries}
    changes += [vxlan.delete_entry(index, each) for each in sorted(there.entries - wanted.entries) if _key(each) not in keys]
    if shared(network):  # what was learned of a host goes with it
        staying = {peer.address for peer in network.peers}
        changes += [vxlan.delete_entry(index, each) for each in vxlan.entries(sock, index, learned=True) if each.destination not in staying]
    gone = {each.destination for each in there.neighbours} - {each.destination for each in wanted.neighbours}
    changes += [rtnetlink.delete_neighbour(index, each) for each in sorted(gone)]
    changes += [vxlan.add_entry(index, each) for each in sorted(wanted.entries - there.entries)]
    changes += [rtnetlink.set_neighbour(index, each.destination, each.mac) for each in sorted(wanted.neighbours - there.neighbours)]
    for destination, gateway in sorted(wanted.routes.items()):
        if there.routes.get(destination) != gateway:
            own = [pool.gateway for pool in network.pools if (":" in pool.gateway) == (":" in destination)]
            changes.append(rtnetlink.put_route(destination, gateway, index, PROTOCOL, own[0] if own else "", tunnelled(network)))
    try:
        sock.request(*changes)
    except NetlinkError as error:
        if tunnelled(network) or error.errno not in (101, 22):  # ENETUNREACH, EINVAL
            raise
        raise Conflict("network '%s': %s; the backend host-gw needs all hosts in one layer-2 network" % (network.name, error.what),
                       "Use the backend vxlan, or check 'peers'")


def remove(sock: Socket, network: Network) -> None:
    """Take away what leads to other hosts."""
    if tunnelled(network):
        sock.request(rtnetlink.delete_link(device(network)))
        return
    there = seen(sock, network)
    sock.request(*[rtnetlink.delete_route(each, gateway) for each, gateway in sorted(there.routes.items())])


def observe(sock: Socket, network: Network, view: Dict[str, Any]) -> None:
    """Put into a view of the network what the kernel has: options of the link, and the hosts that something leads to."""
    options = dict(network.options)
    if tunnelled(network):
        link = vxlan.observe(sock, device(network))
        found: Dict[str, Optional[str]] = {"vni": None, "port": None, "local": None}
        if link is not None:
            found = {"vni": str(link.vni), "port": str(link.port), "local": link.local + ("" if link.link.up else " (down)")}
            if view["mtu"] is not None and link.link.mtu != network.mtu:
                view["mtu"] = link.link.mtu
        view["driver_options"] = {**options, **found}
    wanted, there = others(network), seen(sock, network)
    if (there.entries, there.neighbours, there.routes) == wanted:
        return
    known: List[Dict[str, Any]] = []
    extra = Others(set(there.entries), set(there.neighbours), dict(there.routes))
    for peer in network.peers:
        need = others(network._replace(peers=(peer,)))
        if need.entries <= there.entries and need.neighbours <= there.neighbours \
                and all(there.routes.get(to) == by for to, by in need.routes.items()):
            known.append(peer_view(peer))
        extra.entries.difference_update(need.entries)
        extra.neighbours.difference_update(need.neighbours)
        for to in need.routes:
            extra.routes.pop(to, None)
    strange = sorted({each.destination for each in extra.entries | extra.neighbours} | set(extra.routes))
    view["peers"] = known + [{"name": None, "address": each, "subnets": [], "members": []} for each in strange]


def peer_view(peer: Peer) -> Dict[str, Any]:
    """A peer as options show it."""
    return {"name": peer.name, "address": peer.address, "subnets": list(peer.subnets), "members": [
        {"name": each.name, "addresses": list(each.addresses), "aliases": list(each.aliases), "labels": dict(each.labels)}
        for each in peer.members]}


def peers_of(rows: Sequence[Any]) -> Tuple[Peer, ...]:
    """Peers from what an option or a record says, by name."""
    found = []
    for row in rows:
        if isinstance(row, (list, tuple)):
            found.append(Peer(row[0], row[1], tuple(row[2]), tuple(
                Resident(each[0], tuple(each[1]), tuple(each[2]), tuple((key, value) for key, value in each[3])) for each in row[3])))
        else:
            found.append(Peer(row["name"], row["address"], tuple(sorted(row["subnets"])), tuple(sorted(
                Resident(each["name"], tuple(each["addresses"]), tuple(each.get("aliases") or ()),
                         tuple(sorted((each.get("labels") or {}).items()))) for each in row.get("members") or ()))))
    return tuple(sorted(found))


def _link(sock: Socket, network: Network, bridge: int, lower: int) -> int:
    """The VXLAN link, made where there is none, anew where it is another one; its index."""
    options, name = dict(network.options), device(network)
    there = vxlan.observe(sock, name)
    if there is None and rtnetlink.link(sock, name) is not None:
        raise Conflict("the host has a link '%s' already, and it is no vxlan of ours" % name, "Delete that link, or name another bridge")
    if there is not None and (str(there.vni), there.local, str(there.port), there.lower, there.learning) != (
            options["vni"], options["local"], options["port"], lower, shared(network)):
        sock.request(rtnetlink.delete_link(name))
        there = None
    master = bridge if shared(network) else 0
    if there is None:
        sock.request(vxlan.new(name, int(options["vni"]), options["local"], int(options["port"]), lower,
                               _mac(own_blocks(network)), network.mtu, shared(network)),
                     rtnetlink.set_link(name, alias="%slink of %s to other hosts" % (ALIAS, network.name), no_link_local=True,
                                        master=master or None),
                     rtnetlink.set_link(name, up=True))
        there = vxlan.observe(sock, name)
        if there is None:
            raise Conflict("the link '%s' vanished while it was made" % name, "Run the task again")
    elif not there.link.up or there.link.mtu != network.mtu or there.link.master != master:
        sock.request(rtnetlink.set_link(name, up=True, mtu=network.mtu, master=master))
    return there.link.ifindex


def _mac(subnets: Sequence[str]) -> str:
    """The MAC of a host's VXLAN link: locally administered, and known from its subnets alone."""
    return "02:c1:" + ":".join("%02x" % part for part in hashlib.sha256(min(subnets).encode()).digest()[:4])


def _next_hop(peer: Peer, subnet: str) -> str:
    """Whom a route names: nobody has the first address of a subnet; with IPv6 the link-local address of the MAC."""
    if ":" in subnet:
        return addresses.link_local_of(_mac(peer.subnets)).partition("/")[0]
    return min(each for each in peer.subnets if ":" not in each).partition("/")[0]


def _key(entry: vxlan.Entry) -> Tuple[str, str]:
    """What an entry is found by: for everybody there may be several, else adding one replaces the other."""
    return entry.mac, entry.destination if entry.mac == vxlan.EVERYBODY else ""


def _inside(network: Network, who: str, block: str) -> None:
    blocks = [addresses.subnet(each) for each in cluster(network)]
    part = addresses.subnet(block)
    if not any(each.width == part.width and each.base <= part.base and part.last <= each.last for each in blocks):
        raise InvalidValue("subnet" if who == "this host" else "peers", "%s: %s" % (who, block), "is not in %s"
                           % " or ".join(map(str, blocks)), "Write a block of the network's")


def _lower(name: str, local: str, sock: Socket) -> rtnetlink.Link:
    """The link that has this host's address."""
    for each in rtnetlink.addresses(sock):
        if each.cidr.partition("/")[0] == local:
            for link in rtnetlink.links(sock):
                if link.ifindex == each.ifindex:
                    return link
    raise NotFound("no link of this host has the address %s, by which network '%s' is to reach the others" % (local, name),
                   "Write one of: " + ", ".join(sorted(each.cidr.partition("/")[0] for each in rtnetlink.addresses(sock)
                                                       if not each.cidr.startswith(("127.", "::1/", "fe80:")))))


def _supported(sock: Socket) -> bool:
    try:  # one that is there already is refused after the kind has been looked up
        sock.request(vxlan.new("lo", 1, "127.0.0.1", 4789, 0, "02:00:00:00:00:01", 1000, False))
    except NetlinkError as error:
        return error.errno != 95  # EOPNOTSUPP
    return True


def _vni(name: str) -> str:
    """The same on all hosts, and another for most other names."""
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big") or 1)


def _number(option: str, value: str, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        raise InvalidValue("network." + option, value, "is no number from %d to %d" % (least, most), "Write such a number")
    return int(value)


def _address(option: str, value: Optional[str], what: str) -> str:
    try:
        return addresses.text(*addresses.number(value or ""))
    except ValueError:
        raise InvalidValue("network." + option, value, "is not %s" % what, "Write an IP address of this host")
