# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance's one nftables table: text from state, one transaction, and what became of it.

C(render) is a pure function. The table is declared, deleted and declared anew in one
transaction, so that no packet sees half of it and what was there before does not matter. Published ports are
elements of maps: their number does not change the cost of a packet.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..instance import Instance
from ..kernel import namespaces, nftables
from ..store import files
from . import chains, elements, leases, networks, overlay, policy, proxied, publish, records, vlans
from .ends import host_end
from .networks import Network
from .publish import Published

FAMILY = "inet"
BRIDGE_FAMILY = "bridge"
_CALLS = "/proc/sys/net/bridge/bridge-nf-call-iptables"


class State(NamedTuple):
    """All that the table follows from.

    Attributes:
        table: Its name.
        networks: By name.
        published: Each port with the address of the container that it leads to; one for each family that it serves.
        resolver: The addresses at which names are asked for, and the ports there, where these are not 53.
        members: Who is in the networks, where there are policies.
        calls: Whether the kernel can have this table judge what passes between the ports of a bridge (br_netfilter); else a
            table of the family bridge does.
        leftover: Whether a table of the family bridge may be there that is not needed any more.
        proxied: What is no matter of the table: the ports that somebody listens at.
    """

    table: str
    networks: Tuple[Network, ...]
    published: Tuple[Tuple[Published, str], ...]
    resolver: Tuple[Tuple[str, int], ...] = ()
    members: Tuple[policy.Member, ...] = ()
    calls: bool = False
    leftover: bool = False
    proxied: Tuple[proxied.Way, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether there are policies, and somebody whom they are about."""
        return any(member.policy for member in self.members) or any(member.end for member in self.members) and any(
            net.policy for net in self.networks)

    @property
    def dual(self) -> bool:
        """Whether a network has IPv6; the table of hosts that do without it does so too."""
        return any(":" in subnet for net in self.networks for subnet in net.subnets)


class Seen(NamedTuple):
    """The table as the kernel has it.

    Attributes:
        intact: Whether it is what was applied last, and that is what the state asks for now.
        listing: Its text where it had to be read: where something differs; C(None) where there is no table.
    """

    intact: bool
    listing: Optional[str]


def gather(instance: Instance) -> State:
    """The state on disk."""
    nets = [net for net in networks.every(instance) if net.bridged]
    addresses: Dict[Tuple[str, str], Tuple[str, ...]] = {}  # of those that the host meets
    for net in nets:
        for lease in leases.of(instance, net.name):
            if not net.vlan_filtering or lease.vlan.pvid == vlans.OF_HOST:
                addresses[(net.name, lease.netns)] = lease.addresses
    known = {record.name: record for record in records.every(instance)}
    members = []
    policies = any(net.policy for net in nets) or any(record.policy for record in known.values())
    for net in nets if policies else ():  # nobody else asks for them
        for lease in leases.of(instance, net.name):
            record = known.get(lease.netns)
            members.append(policy.Member((lease.names or (lease.netns,))[0], net.name,
                                         host_end(instance, lease.netns, lease.interface), lease.addresses,
                                         record.labels or {} if record else {}, record.policy if record else None))
        members += [policy.Member(each.name, net.name, "", each.addresses, dict(each.labels))
                    for peer in net.peers for each in peer.members]
    outer = {net.name for net in nets if net.publishes}
    ports: List[Tuple[Published, str]] = []
    ways: List[proxied.Way] = []
    for record in known.values():
        for network, _interface in record.attachments:
            if record.published and network in outer and (network, record.name) in addresses:
                wanted, targets = publish.expand(record.published), addresses[(network, record.name)]
                if record.names is not None:  # only where there are containers is there somebody to listen
                    ways += proxied.ways(wanted, targets, record.proxy)
                if not record.proxy:
                    ports.extend(publish.served(wanted, targets))
                break
    return State(instance.name, tuple(nets), tuple(sorted(ports)), tuple(sorted(resolver_ports(instance).items())),
                 tuple(members), os.path.exists(_CALLS), proxied=tuple(sorted(ways)))


def resolver_ports(instance: Instance) -> Dict[str, int]:
    """Where the resolver listens instead of port 53, by address."""
    return dict(files.read_json(_resolver_record(instance)) or {})


def note_resolver_ports(instance: Instance, ports: Dict[str, int]) -> None:
    """Record where the resolver listens instead of port 53."""
    if ports:
        files.make_folder(instance.run("network"))
        files.write_json(_resolver_record(instance), ports, durable=False)
    else:
        files.remove(_resolver_record(instance))


def render(state: State) -> str:
    """The table as nft(8) reads it; nothing but its removal where there is no network."""
    lines = ["table %s %s" % (FAMILY, state.table), "delete table %s %s" % (FAMILY, state.table)]
    beside = ["table %s %s" % (BRIDGE_FAMILY, state.table), "delete table %s %s" % (BRIDGE_FAMILY, state.table)]
    if not state.networks:
        return "\n".join(lines + (beside if state.leftover else [])) + "\n"
    judged = _judged(state) if state.judged else None
    lines.append("table %s %s {" % (FAMILY, state.table))
    lines += _maps(state)
    for net in state.networks:
        lines += chains.of_network(net, state.networks)
    lines += _judging_chains(state, judged) if judged else []
    lines += chains.base(state)
    lines.append("}")
    if judged or state.leftover:
        lines += beside
    if judged:
        lines += _bridge_table(state, judged)
    return "\n".join(lines) + "\n"


def apply(instance: Instance) -> State:
    """Bring the table to what the state on disk asks for, unless it is that already; that state.

    Raises:
        NftablesError: The kernel refused; the table is as before.
    """
    state = gather(instance)
    record = files.read_json(_record(instance)) or {}
    text = render(state)
    asked = _digest(text)
    if record.get("bridge"):
        text = render(state._replace(leftover=True))
    if record.get("rendered") == asked and _seen(instance, state, record).intact \
            or not state.networks and not record:
        return state
    if not record or state.judged and not record.get("bridge"):  # so that what a failure leaves is known to be ours
        _write(instance, {"rendered": "", "bridge": state.judged})
    frame = _digest(render(state._replace(published=())))
    difference = elements.difference(FAMILY, state.table, record.get("elements", ""), _maps_of(state)) \
        if record.get("frame") == frame and _untouched(record) else None
    try:
        nftables.run(text if difference is None else difference)
    except nftables.NftablesError:
        if difference is None:
            raise
        difference = None  # somebody has changed the table in this very moment
        nftables.run(text)
    if not state.networks:
        files.remove(_record(instance))
        return state
    found: Dict[str, Any] = {"rendered": asked, "bridge": state.judged, "frame": frame, "elements": elements.written(_maps_of(state)),
                             "netns": namespaces.identity("/proc/thread-self/ns/net")}
    generation = nftables.generation()
    if difference is not None and generation == record["generation"] + 1:  # nobody but us, so it need not be listed
        found.update(listing=record["listing"], generation=generation)
    else:
        listing = _listing(state) or ""
        calm = generation == nftables.generation()
        found.update(listing=_digest(elements.without(listing)), generation=generation if calm else None)
    _write(instance, found)
    return state


def _untouched(record: Dict[str, Any]) -> bool:
    """Whether no rule of this network namespace has changed since the record was written."""
    return bool(record.get("netns") == namespaces.identity("/proc/thread-self/ns/net")
                and record.get("generation") == nftables.generation())


def observe(instance: Instance) -> Seen:
    """Compare the kernel's table with what the state on disk asks for.

    Where no rule of the host has changed since, its generation says so and nothing is listed.
    """
    state = gather(instance)
    return _seen(instance, state, files.read_json(_record(instance)) or {})


def _seen(instance: Instance, state: State, record: Dict[str, Any]) -> Seen:
    if not state.networks and not record:
        return Seen(True, None)
    asked = record.get("rendered") == _digest(render(state))
    if asked and _untouched(record):
        return Seen(True, None)
    listing = _listing(state)
    intact = asked and listing is not None and record.get("listing") == _digest(elements.without(listing)) \
        and set(elements.parse(listing)) == set(state.published)
    return Seen(intact, listing)


def _listing(state: State) -> Optional[str]:
    """Our tables as the kernel has them; C(None) where one is missing."""
    listing = nftables.list_table(FAMILY, state.table)
    beside = nftables.list_table(BRIDGE_FAMILY, state.table) if state.judged and listing is not None else ""
    return None if listing is None or beside is None else listing + beside


def remove(instance: Instance) -> None:
    """Take our tables away, whatever the records say."""
    state = gather(instance)._replace(networks=())
    for family in (FAMILY, BRIDGE_FAMILY):
        try:
            if nftables.list_table(family, state.table) is not None:
                nftables.run("delete table %s %s\n" % (family, state.table))
        except nftables.NftablesError:
            if family == FAMILY:
                raise  # a kernel without the other has none to remove


def published_in(listing: Optional[str], addresses: Sequence[str]) -> Tuple[Published, ...]:
    """The ports that a listing leads to addresses of one container: each of them that serves the port."""
    found: Dict[Published, int] = {}
    for published, target in elements.parse(listing or ""):
        if target in addresses:
            found[published] = found.get(published, 0) + 1
    return tuple(sorted(port for port, times in found.items()
                        if times == sum(publish.serves(port, target) for target in addresses)))


def masquerades(listing: Optional[str], network: Network) -> bool:
    """Whether a listing gives packets of a network that leave the host the host's address."""
    rules = [line.strip() for line in (listing or "").splitlines() if line.endswith(" masquerade") and "dnat" not in line]
    return all(any(rule.startswith("%s saddr %s " % (chains.family_of(subnet), subnet)) for rule in rules)
               for subnet in network.subnets)


def _maps_of(state: State) -> Dict[str, Sequence[str]]:
    """The elements of the maps, by their names; those of IPv6 where a network has it."""
    return {name: found for name, found in elements.of(state.published).items() if "6" not in name or state.dual}


def _maps(state: State) -> List[str]:
    lines = []
    for name, found in _maps_of(state).items():
        address = "ipv6_addr" if "6" in name else "ipv4_addr"
        key = "%s . inet_proto . inet_service" % address if name.endswith("_at") else "inet_proto . inet_service"
        lines += ["\tmap %s {" % name, "\t\ttype %s : %s . inet_service" % (key, address)]
        if found:
            lines.append("\t\telements = { %s }" % (",\n\t\t\t     ".join(found)))
        lines += ["\t}", ""]
    return lines


def _judged(state: State) -> policy.Rendered:
    return policy.render(state.members, [policy.Net(net.name, overlay.cluster(net) or net.subnets, net.policy) for net in state.networks])


def _judging_chains(state: State, judged: policy.Rendered) -> List[str]:
    """What policies say of connections that begin: through the host, to it, and from it."""
    asked = sorted({gateway for net in state.networks for gateway in net.gateways})
    ports = ", ".join(map(str, sorted({53, *(port for _address, port in state.resolver)})))
    of_family = {family: [each for each in asked if chains.family_of(each) == family] for family in ("ip", "ip6")}
    resolver = ["%s daddr { %s } meta l4proto { tcp, udp } th dport { %s } return" % (family, ", ".join(own), ports)
                for family, own in of_family.items() if own]
    return judged.chains + chains.chain("judge", judged.judge) + chains.chain("judge_to_host", resolver + judged.to_host) \
        + chains.chain("judge_from_host", judged.from_host) \
        + chains.chain("input", ["type filter hook input priority filter; policy accept;", chains.NEW + " jump judge_to_host"]) \
        + chains.chain("from_host", ["type filter hook output priority filter; policy accept;", chains.NEW + " jump judge_from_host"])


def _bridge_table(state: State, judged: policy.Rendered) -> List[str]:
    """What only the bridge sees: who sends, and, where the other table is not asked, what passes between neighbours."""
    lines = ["table %s %s {" % (BRIDGE_FAMILY, state.table)]
    if not state.calls:
        lines += judged.chains + chains.chain("judge", judged.judge)
        lines += chains.chain("forward", ["type filter hook forward priority filter; policy accept;", chains.NEW + " jump judge"])
    return lines + policy.sources(state.members) + ["}"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _write(instance: Instance, record: Dict[str, Any]) -> None:
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("network"))
    files.write_json(_record(instance), record, durable=False)


def _resolver_record(instance: Instance) -> str:
    return os.path.join(instance.run("network"), "resolver.json")


def _record(instance: Instance) -> str:
    return os.path.join(instance.run("network"), "table.json")
