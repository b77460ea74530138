#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: container_netns
short_description: Manages named network namespaces, their networks and their published ports
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Creates a network namespace that lives without a process in it, connects it to a bridge of the host, gives it an
    address, routes and sysctls, lets its packets out under the host's address, and publishes its ports on the host.
  - What is true is read from the kernel each time, over netlink inside and outside of the namespace and from nftables.
    So what a person changed by hand, such as a deleted address, a link that is down or a flushed table, shows in check
    mode with C(--diff) and is mended by the next run.
  - All changes are live but that of O(mode). Processes in the namespace and their connections go on.
  - Addresses come from leases on the host's disk. NAT and published ports are one nftables table, which is named after
    the instance and replaced as a whole in one transaction. Tables of others are never touched.
  - When the last member of a network goes, so do its bridge and its rules, and C(net.ipv4.ip_forward) gets back the value
    that it had, unless somebody else has set it since.
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.policy
requirements:
  - On the host C(libnftables.so.1) or the program C(nft) for O(mode=bridge).
options:
  name:
    description:
      - Name of the namespace.
      - A container's own network namespace has the container's name, so that both kinds share one set of names.
    type: str
    required: true
  state:
    description:
      - With V(absent) the namespace's links, address, published ports and name are taken away. The namespace itself ends
        when the last process in it does.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(bridge) is a namespace of its own that is connected to the bridge of O(network).
      - V(none) is one of its own that has nothing but loopback.
      - V(host) gives the host's own namespace a name.
      - V(container:NAME), with the name of another network namespace or of a container, gives that one a further name.
      - V(ns:PATH) does so with a namespace that somebody else has bound to a file, such as V(ns:/run/netns/vpn).
      - A change of it replaces the namespace, which the processes in the old one do not follow.
      - Read back from the inode of the namespace.
    type: str
    default: bridge
  network:
    description:
      - The network to be connected to. What is not said here is as it was said when the network was made.
      - Subnet, gateway and bridge of a network cannot change while it has other members. The rest is live.
    type: dict
    suboptions:
      name:
        description:
          - Name of the network. Where none is said it is V(coracle), which all containers that name no network share.
        type: str
      driver:
        description:
          - As O(coracle.containers.container_network#module:driver).
        type: str
        choices: [bridge, macvlan, ipvlan]
      driver_options:
        description:
          - As O(coracle.containers.container_network#module:driver_options).
        type: dict
        aliases: [opt]
      bridge:
        description:
          - Name of the bridge in the kernel.
          - Where none is said it is V(coracle0) for the network V(coracle), else V(co-NAME); other instances than the one
            with the default roots use V(co-) and a digest.
        type: str
      subnet:
        description:
          - IPv4 subnet in CIDR form.
          - Where none is said it is the first of V(10.209.0.0/24), V(10.209.1.0/24) and so on to V(10.209.255.0/24) that
            overlaps neither a route of the host nor another network.
          - Read back from the address of the bridge.
        type: str
      gateway:
        description:
          - The bridge's own address. Where none is said it is the first of the subnet.
          - Read back from the bridge.
        type: str
      ip_range:
        description:
          - The part of the subnet that addresses are given out of. An address of O(ipv4_address) may lie outside of it.
          - Where nothing is said it is the whole subnet.
        type: str
        aliases: [iprange]
      aux_addresses:
        description:
          - Addresses that are never given out, because something else has them, by a name for each.
        type: dict
      ipv6:
        description:
          - Whether the network has IPv6 too. With V(true) and no O(network.ipv6_subnet) it gets a C(/64) out of a unique local prefix
            (RFC 4193) that follows from the host's C(/etc/machine-id).
          - Where nothing is said it has IPv6 if O(network.ipv6_subnet) is said, or was when the network was made.
          - The host then passes IPv6 packets on (C(net.ipv6.conf.all.forwarding)). Links that had taken their addresses from a
            router's advertisements go on doing so (C(accept_ra=2)).
          - A network that is in use may get IPv6; a member gets its address with its next run.
          - Read back from the addresses of the bridge.
        type: bool
        aliases: [enable_ipv6]
      ipv6_subnet:
        description:
          - IPv6 subnet in CIDR form.
          - Read back from the address of the bridge.
        type: str
      ipv6_gateway:
        description:
          - The bridge's own IPv6 address. Where none is said it is the first of the subnet.
          - Read back from the bridge.
        type: str
      ipv6_range:
        description:
          - The part of the IPv6 subnet that addresses are given out of.
        type: str
      subnets:
        description:
          - All subnets of both families, as O(coracle.containers.container_network#module:subnets).
        type: list
        elements: dict
        aliases: [ipam_config, net_config]
        suboptions:
          subnet:
            description: The block in CIDR form.
            type: str
            required: true
          gateway:
            description: As O(network.gateway).
            type: str
          ip_range:
            description: As O(network.ip_range).
            type: str
            aliases: [iprange]
          aux_addresses:
            description: As O(network.aux_addresses).
            type: dict
      static_leases:
        description:
          - As O(coracle.containers.container_network#module:static_leases).
        type: dict
      mtu:
        description:
          - MTU in bytes of the bridge and of all links of the network. Where none is said it is that of the link which the
            host's default route leaves by, else V(1500).
          - Read back from the links.
        type: int
      masquerade:
        description:
          - Whether packets that leave the host get the host's address. Where nothing is said they do.
          - Read back from the nftables table.
        type: bool
      masquerade_exclude:
        description:
          - As O(coracle.containers.container_network#module:masquerade_exclude).
        type: list
        elements: str
      internal:
        description:
          - Whether the network has no way out and none in, but for the host itself. Where nothing is said it has both.
        type: bool
      isolate:
        description:
          - As O(coracle.containers.container_network#module:isolate).
        type: str
      icc:
        description:
          - As O(coracle.containers.container_network#module:icc).
        type: bool
      vlan_filtering:
        description:
          - As O(coracle.containers.container_network#module:vlan_filtering).
        type: bool
      persistent:
        description:
          - Whether the network stays when its last member goes. Where nothing is said it does not.
        type: bool
  interface:
    description:
      - Name of the interface inside the namespace. Where none is said it is V(eth0), or the V(eth) with a number that it has.
      - Read back over netlink inside the namespace, with its link state and the state of its other end.
    type: str
  ipv4_address:
    description:
      - The address inside the subnet of O(network).
      - Where none is said it is the one that the namespace has, else the lowest free one.
      - Read back over netlink inside the namespace.
    type: str
  ipv6_address:
    description:
      - The address inside the IPv6 subnet of O(network).
      - Where none is said it is the one that the namespace has, else the lowest free one; none where the network has no IPv6.
      - Read back over netlink inside the namespace.
    type: str
  mac_address:
    description:
      - MAC of the interface. Where none is said it follows from the address, so that no neighbour keeps a stale entry when
        another gets the address.
      - Read back over netlink inside the namespace.
    type: str
  aliases:
    description:
      - Further names by which containers of the same network find this namespace.
      - Read back from the lease.
    type: list
    elements: str
  bandwidth:
    description:
      - How much the container may receive and send by this interface. Excess packets wait for up to 25 ms, then are dropped.
      - Set at the host's end of the link, where no process of the container reaches it. Needs the kernel's C(sch_tbf), and for what is
        sent C(ifb), C(cls_u32) and C(act_mirred).
    type: dict
    suboptions:
      ingress_rate:
        description: Bits a second that it may receive, such as V(100M); units are powers of 1000.
        type: str
      ingress_burst:
        description: Bytes that may come at once. By default V(32K), or a tenth of a second's worth where that is more.
        type: str
      egress_rate:
        description: Bits a second that it may send.
        type: str
      egress_burst:
        description: Bytes that may go at once. By default as O(bandwidth.ingress_burst).
        type: str
  vlan:
    description:
      - The VLANs that the namespace is in, on a network with O(network.vlan_filtering).
      - The host, with the gateway, published ports and the resolver of names, is in VLAN 1, as are those of whom nothing is said.
      - Read back from the bridge's port.
    type: dict
    suboptions:
      pvid:
        description: Id of the VLAN whose frames come and go without a tag. By default V(1); V(0) for none.
        type: int
      tagged:
        description: Ids, or ranges such as V(30-39), of the VLANs whose frames come and go with a tag.
        type: list
        elements: str
  networks:
    description:
      - All networks that the namespace is connected to, with one interface each; the default route and published ports lead through the first
        that is not internal.
      - In place of O(network), O(interface), O(ipv4_address), O(ipv6_address), O(mac_address), O(aliases), O(bandwidth) and O(vlan), which
        are about a single one.
      - Connected and disconnected live; who stays keeps its interface, its addresses and its connections. A network that nobody has
        declared is made; see M(coracle.containers.container_network).
      - Read back over netlink inside the namespace and at the host's ends of its links.
    type: list
    elements: dict
    suboptions:
      name:
        description: The network's name. V(coracle) is the default network.
        type: str
        required: true
      ipv4_address:
        description: As O(ipv4_address).
        type: str
      ipv6_address:
        description: As O(ipv6_address).
        type: str
      mac_address:
        description: As O(mac_address).
        type: str
      aliases:
        description: As O(aliases).
        type: list
        elements: str
      interface:
        description: As O(interface).
        type: str
        aliases: [interface_name]
      bandwidth:
        description: As O(bandwidth).
        type: dict
        suboptions:
          ingress_rate:
            description: As O(bandwidth.ingress_rate).
            type: str
          ingress_burst:
            description: As O(bandwidth.ingress_burst).
            type: str
          egress_rate:
            description: As O(bandwidth.egress_rate).
            type: str
          egress_burst:
            description: As O(bandwidth.egress_burst).
            type: str
      vlan:
        description: As O(vlan).
        type: dict
        suboptions:
          pvid:
            description: As O(vlan.pvid).
            type: int
          tagged:
            description: As O(vlan.tagged).
            type: list
            elements: str
  routes:
    description:
      - Routes beyond the default one, as the whole list. Others that are found in the main table are removed.
      - Where nothing is said, routes other than the default one are left alone.
      - A default route in this list takes the place of the one by the network's gateway.
      - Read back over netlink inside the namespace.
    type: list
    elements: dict
    suboptions:
      destination:
        description: Block of addresses in CIDR form, of either family, or V(default), which is V(0.0.0.0/0).
        type: str
        required: true
      gateway:
        description: Address of the next hop.
        type: str
        required: true
      metric:
        description: Priority of the route; the lower wins.
        type: int
        default: 0
  sysctls:
    description:
      - Sysctls below C(net.) and their values, set inside the namespace. Those that are not named are left alone.
      - Read back from C(/proc/sys/net) inside the namespace.
    type: dict
  labels:
    description:
      - Names and values by which policies mean it. Not given, it keeps those that it has.
    type: dict
  published_ports:
    description:
      - Ports of the host that lead to ports of the namespace, as V([ADDRESS:]HOST[-HOST]:CONTAINER[-CONTAINER][/PROTOCOL]),
        which is how Docker writes them. The protocol is V(tcp), V(udp) or V(sctp). An IPv6 address stands in brackets.
      - A port without an address serves both families, as far as the network has them; one with an address serves that one.
      - They are reached from outside, where the source address is kept, from the host by each of its own addresses and by
        V(127.0.0.1), from neighbours and from the namespace itself. A port that is published on a V(127.0.0.0/8) address is
        reached from the host alone.
      - A port that a process of the host listens on, or that another container publishes, fails the task before anything
        changes; the message says who has it.
      - Read back from the nftables table.
    type: list
    elements: str
    aliases: [ports]
seealso:
  - module: coracle.containers.container_network
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: A namespace with IPv4 and IPv6, its port published on one address of the host and for both families elsewhere
  coracle.containers.container_netns:
    name: mail
    network:
      name: public
      subnet: 10.30.0.0/24
      ipv6_subnet: fd00:30::/64
    published_ports:
      - "[2001:db8::25]:25:25"
      - 8025:8025

- name: A namespace on the default network, with a web server's port published
  coracle.containers.container_netns:
    name: web
    published_ports:
      - 8080:80
      - 127.0.0.1:9090:9090/tcp
  register: web

- name: Start a server in it without any container
  ansible.builtin.command:
    cmd: nsenter --net={{ web.netns.path }} /usr/local/bin/server

- name: A namespace with a fixed address on a network of its own
  coracle.containers.container_netns:
    name: database
    network:
      name: backend
      subnet: 10.20.0.0/24
      gateway: 10.20.0.254
      mtu: 1400
      internal: true
    ipv4_address: 10.20.0.10
    aliases: [db]

- name: A namespace on two networks, which goes on while it is taken from one or put on a third
  coracle.containers.container_netns:
    name: proxy
    networks:
      - name: front
      - name: backend
        interface: back0
        ipv4_address: 10.20.0.11
        aliases: [proxy-inside]
    published_ports: ["443:443"]

- name: A router between the VLANs 10 and 20 of a network
  coracle.containers.container_netns:
    name: router
    networks:
      - name: segments
        vlan:
          tagged: [10, 20]

- name: Routes and sysctls inside
  coracle.containers.container_netns:
    name: gateway
    routes:
      - destination: 10.30.0.0/16
        gateway: 10.209.0.20
    sysctls:
      net.ipv4.ip_forward: 1
      net.core.somaxconn: 4096

- name: A second name for the first one's namespace
  coracle.containers.container_netns:
    name: sidecar
    mode: container:web

- name: Take it away
  coracle.containers.container_netns:
    name: web
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description:
        - One of V(create), V(recreate), V(update_network), V(connect), V(route), V(set_sysctls), V(publish),
          V(disconnect), V(remove).
      returned: always
      type: str
    target:
      description: The namespace or network that it acts on.
      returned: always
      type: str
    disruption:
      description: V(live) where no process notices, V(recreate) where the namespace is replaced.
      returned: always
      type: str
    options:
      description:
        - The options that it brings to their desired value, and what beside the options was found changed, such as
          V(default_route), V(net.ipv4.ip_forward) and V(nftables).
      returned: always
      type: list
      elements: str
  sample: [{"action": "publish", "target": "web", "disruption": "live", "options": ["published_ports"]}]
diff:
  description: Per option what was and what is now.
  returned: when diff mode is on
  type: dict
  contains:
    before:
      description: The values that were found.
      returned: always
      type: dict
    after:
      description: The values that were asked for.
      returned: always
      type: dict
netns:
  description: The namespace as it is now.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: web
    exists:
      description: Whether it is there.
      returned: always
      type: bool
    path:
      description: The file that it is bound to, for C(nsenter --net=PATH) and the like.
      returned: when it is there
      type: str
      sample: /run/coracle/netns/web
    mode:
      description: As the option O(mode).
      returned: when it is there
      type: str
      sample: bridge
    interfaces:
      description: Its interfaces as the kernel tells them; empty for V(host).
      returned: when it is there
      type: list
      elements: dict
      contains:
        name:
          description: Name inside the namespace.
          returned: always
          type: str
        up:
          description: Whether it is switched on.
          returned: always
          type: bool
        mtu:
          description: MTU in bytes.
          returned: always
          type: int
        mac_address:
          description: MAC.
          returned: always
          type: str
        network:
          description: Name of the network that it belongs to.
          returned: always
          type: str
        addresses:
          description: Addresses in CIDR form.
          returned: always
          type: list
          elements: str
    routes:
      description: IPv4 routes of the main table; empty for V(host).
      returned: when it is there
      type: list
      elements: dict
      contains:
        destination:
          description: Block in CIDR form.
          returned: always
          type: str
        gateway:
          description: Next hop.
          returned: always
          type: str
        metric:
          description: Priority.
          returned: always
          type: int
    published_ports:
      description: Published ports in their written form, neighbours joined to ranges.
      returned: when it is there
      type: list
      elements: str
      sample: ["127.0.0.1:9090:9090/tcp", "8080:80/tcp"]
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.netns import OPTIONS


def main() -> None:
    """Run the module."""
    run("netns", OPTIONS)


if __name__ == "__main__":
    main()
