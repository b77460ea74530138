#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare a network of containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_network
short_description: Manages networks of containers
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Makes a network that containers and network namespaces are attached to, changes it while they run, and takes it away.
  - A network that a container names and that nobody has declared is made with the container and goes with its last member. One
    that is declared here stays, unless O(persistent=false).
  - What is true is read from the kernel each time. What a person changed by hand, such as a deleted bridge or a flushed table, shows
    in check mode with C(--diff) and is mended.
  - All changes are live. Driver, driver options, bridge, and a subnet or gateway that is there cannot change while the network has
    members; the message names them. A further subnet, an address range, the MTU, the isolation and the rest can.
  - The names that Docker and Podman give to the same things are accepted too.
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.network_policy
requirements:
  - On the host C(libnftables.so.1) or the program C(nft) for O(driver=bridge).
options:
  name:
    description:
      - Name of the network. V(coracle) is the one of all containers that name none.
    type: str
    required: true
    aliases: [network_name]
  state:
    description:
      - With V(absent) the network goes with its bridge and its rules.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), detach the members first, while they run. Without it a network that is in use is refused.
    type: bool
    default: false
  driver:
    description:
      - What connects the members. Where nothing is said it is V(bridge).
      - V(bridge) is a bridge of the host, which routes, translates and filters for them.
      - V(macvlan) makes each a child of one of the host's own links, with a MAC of its own in the network that this link is in. The host
        itself does not reach it by that link, and publishes no ports for it.
      - V(ipvlan) likewise, with the link's own MAC. Kernels without it are refused.
      - V(vxlan) is a bridge whose members reach those of the same network on other hosts, which O(peers) names. The role
        P(coracle.containers.overlay#role) writes them from the inventory.
    type: str
    choices: [bridge, macvlan, ipvlan, vxlan]
  driver_options:
    description:
      - For V(macvlan) and V(ipvlan) C(parent), the host's link, and C(mode), which is C(bridge), C(private), C(vepa) or C(passthru)
        for V(macvlan), else C(l2), C(l3) or C(l3s), the first being the default.
      - For V(vxlan) C(local), this host's address, by which the others reach it (needed); C(backend), which is C(vxlan) or C(host-gw), routes
        by way of the other hosts, which have to be in one layer-2 network; C(shared), whether all hosts share the subnets; C(vni), which
        follows from the name where it is not said; and C(port), of UDP, C(4789). All of them can change under members.
      - What has an option of its own here may also be written as Docker or Podman do, such as C(com.docker.network.bridge.name),
        C(com.docker.network.driver.mtu), C(com.docker.network.bridge.enable_icc), C(isolate) and C(mtu).
    type: dict
    aliases: [opt]
  bridge:
    description:
      - Name of the bridge in the kernel, with O(driver=bridge).
      - Where none is said it is V(coracle0) for the network V(coracle), else V(co-NAME); other instances than the one with the default
        roots use V(co-) and a digest.
    type: str
  subnet:
    description:
      - IPv4 subnet in CIDR form.
      - Where none is said it is the first of V(10.209.0.0/24), V(10.209.1.0/24) and so on to V(10.209.255.0/24) that overlaps neither a
        route of the host nor another network. V(macvlan) and V(ipvlan) need one.
    type: str
  gateway:
    description:
      - The address by which the members leave the subnet. Where none is said it is the first of the subnet.
      - With O(driver=bridge) it is the bridge's own, else that of somebody in the parent's network.
    type: str
  ip_range:
    description:
      - The part of the subnet that addresses are given out of. A fixed address may lie outside of it.
      - Where nothing is said it is the whole subnet.
    type: str
    aliases: [iprange]
  aux_addresses:
    description:
      - Addresses that are never given out, because something else has them, by a name for each.
    type: dict
  ipv6:
    description:
      - Whether the network has IPv6 too. With V(true) and no O(ipv6_subnet) it gets a C(/64) out of a unique local prefix (RFC 4193) that
        follows from the host's C(/etc/machine-id).
    type: bool
    aliases: [enable_ipv6]
  ipv6_subnet:
    description:
      - IPv6 subnet in CIDR form.
    type: str
  ipv6_gateway:
    description:
      - As O(gateway), of O(ipv6_subnet).
    type: str
  ipv6_range:
    description:
      - As O(ip_range), of O(ipv6_subnet).
    type: str
  subnets:
    description:
      - All subnets, of both families, as the whole list; the first of each family is O(subnet) and O(ipv6_subnet).
      - A member has one address of each family, out of the first subnet that has one free. So a network that has run full gets a
        further subnet while its members go on; they reach one another by the bridge.
      - A subnet that a member has an address of cannot be taken away.
    type: list
    elements: dict
    aliases: [ipam_config, net_config]
    suboptions:
      subnet:
        description: The block in CIDR form.
        type: str
        required: true
      gateway:
        description: As O(gateway).
        type: str
      ip_range:
        description: As O(ip_range).
        type: str
        aliases: [iprange]
      aux_addresses:
        description: As O(aux_addresses).
        type: dict
  static_leases:
    description:
      - Addresses that are kept for containers and namespaces, by their names; one address, or a list with one of each family.
      - Who is named here gets that address without asking for it, and nobody else does.
    type: dict
  mtu:
    description:
      - MTU in bytes of the bridge and of all links of the network. A change reaches the links of running containers.
      - Where none is said it is that of the parent, or of the link which the host's default route leaves by, else V(1500).
    type: int
  masquerade:
    description:
      - Whether packets that leave the host get the host's address. Where nothing is said they do.
    type: bool
  masquerade_exclude:
    description:
      - Blocks whose hosts see the members' own addresses all the same, because they have a route back.
    type: list
    elements: str
  cluster_ranges:
    description:
      - With O(driver=vxlan), the blocks that the subnets of all hosts lie in. What goes there keeps the member's own address.
      - Where the hosts share the subnets, it is these, and need not be said.
    type: list
    elements: str
  peers:
    description:
      - With O(driver=vxlan), the other hosts of the network, as the whole list. A change adds and removes the entries of those hosts that come
        and go, and touches nothing else.
    type: list
    elements: dict
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      address:
        description: Its C(local).
        type: str
        required: true
      subnets:
        description: Its subnets, or with C(shared) its O(ip_range) and O(ipv6_range).
        type: list
        elements: str
        required: true
      members:
        description: Its containers in this network, as far as their names shall be answered here, and policies here name them.
        type: list
        elements: dict
        suboptions:
          name:
            description: The container's name.
            type: str
            required: true
          addresses:
            description: Its addresses in this network.
            type: list
            elements: str
            required: true
          aliases:
            description: Its further names.
            type: list
            elements: str
          labels:
            description: Its labels.
            type: dict
  internal:
    description:
      - Whether the network has no way out and none in, but for the host itself. Where nothing is said it has both.
    type: bool
  isolate:
    description:
      - With V(yes), which is the default, other networks of the host reach the members by published ports only.
      - With V(no), the members of all networks that say so reach one another by their own addresses.
      - With V(strict), nothing passes between its members and other networks, not even by a published port.
    type: str
  icc:
    description:
      - Whether the members reach one another. Where nothing is said they do. With V(false) they do not do so by published ports either;
        others reach these as ever.
    type: bool
  vlan_filtering:
    description:
      - Whether the bridge keeps VLANs (IEEE 802.1Q) apart. Where nothing is said it passes over tags, as a switch without VLANs does.
      - The host and its gateways are in VLAN 1, and so is each member but those that C(vlan) of their attachment puts into others. Members of
        another VLAN reach one another and who has that VLAN tagged; not the host, and so nothing beyond it, nor does it reach them.
      - Cannot become V(false) as long as such members are there. Only with O(driver=bridge).
      - Read back from the bridge.
    type: bool
  persistent:
    description:
      - Whether the network stays when its last member goes, or while it has none. With V(false) a network without a member goes with the
        next change of any other.
    type: bool
    default: true
  labels:
    description:
      - Names and values of your own.
    type: dict
seealso:
  - module: coracle.containers.container_network_info
  - module: coracle.containers.container_run
  - module: coracle.containers.container_netns
"""

EXAMPLES = r"""
- name: A network with both families for an application
  coracle.containers.container_network:
    name: shop
    subnet: 10.30.0.0/24
    ipv6_subnet: fd00:30::/64

- name: The same, written for other engines
  coracle.containers.container_network:
    name: shop
    enable_ipv6: true
    ipam_config:
      - subnet: 10.30.0.0/24
        iprange: 10.30.0.128/25
      - subnet: fd00:30::/64
    driver_options:
      com.docker.network.driver.mtu: "1400"

- name: It has run full, and gets more addresses while its containers go on
  coracle.containers.container_network:
    name: shop
    subnets:
      - subnet: 10.30.0.0/24
      - subnet: 10.31.0.0/24
      - subnet: fd00:30::/64

- name: A network that nobody else's containers reach, with a fixed address for the database
  coracle.containers.container_network:
    name: backend
    isolate: strict
    static_leases:
      db: 10.40.0.10
    subnet: 10.40.0.0/24

- name: Containers with addresses of the office's own network
  coracle.containers.container_network:
    name: office
    driver: macvlan
    driver_options:
      parent: eth0
    subnet: 192.0.2.0/24
    gateway: 192.0.2.254
    ip_range: 192.0.2.192/27

- name: The part of this host in a network over two hosts; the role overlay writes such from the inventory
  coracle.containers.container_network:
    name: mesh
    driver: vxlan
    driver_options:
      local: 192.0.2.11
    subnet: 10.80.1.0/24
    cluster_ranges: [10.80.0.0/16]
    peers:
      - name: web2
        address: 192.0.2.12
        subnets: [10.80.2.0/24]

- name: Take it away, whoever is in it
  coracle.containers.container_network:
    name: shop
    state: absent
    force: true
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of V(create), V(update), V(detach), V(remove).
      returned: always
      type: str
    target:
      description: The network, or the member that is detached.
      returned: always
      type: str
    disruption:
      description: V(live).
      returned: always
      type: str
    options:
      description: The options that it brings to their desired value, and V(nftables) where the table was found changed.
      returned: always
      type: list
      elements: str
  sample: [{"action": "update", "target": "shop", "disruption": "live", "options": ["mtu"]}]
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
network:
  description: The network as it is now, with all options above, and what follows.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: shop
    exists:
      description: Whether it is there.
      returned: always
      type: bool
    members:
      description: Who has an address in it.
      returned: when it is there
      type: list
      elements: dict
      contains:
        name:
          description: The container or namespace.
          returned: always
          type: str
        interface:
          description: Its interface.
          returned: always
          type: str
        ipv4_address:
          description: Its address.
          returned: always
          type: str
        ipv6_address:
          description: Its IPv6 address, if any.
          returned: always
          type: str
        mac_address:
          description: Its MAC.
          returned: always
          type: str
        aliases:
          description: Its further names on the network.
          returned: always
          type: list
          elements: str
        labels:
          description: Its labels.
          returned: always
          type: dict
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.network import OPTIONS


def main() -> None:
    """Run the module."""
    run("network", OPTIONS)


if __name__ == "__main__":
    main()
