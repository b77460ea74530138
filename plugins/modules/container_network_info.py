#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of networks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_network_info
short_description: Tells of networks of containers and of their members
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Returns all networks of an instance, or those with certain names or labels, as the kernel has them, with their members.
  - Changes nothing.
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
attributes:
  diff_mode:
    support: N/A
    description: This module does not change anything.
options:
  name:
    description:
      - Names of networks. One that does not exist is returned as such, with RV(networks[].exists=false).
      - Without it, all networks.
    type: list
    elements: str
    aliases: [names]
  label:
    description:
      - Only networks that have these labels with these values. A label without a value (null) may have any.
    type: dict
    aliases: [labels]
seealso:
  - module: coracle.containers.container_network
"""

EXAMPLES = r"""
- name: Which networks are there, and who is in them
  coracle.containers.container_network_info:
  register: found

- name: Show the members' addresses
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.members | map(attribute='ipv4_address') | join(', ') }}"
  loop: "{{ found.networks }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
networks:
  description:
    - The networks, by name, each as RV(coracle.containers.container_network#module:network).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
    exists:
      description: Whether it is there.
      returned: always
      type: bool
    members:
      description: Who has an address in it, with C(name), C(interface), addresses and C(aliases).
      returned: when it is there
      type: list
      elements: dict
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.network_info import OPTIONS


def main() -> None:
    """Run the module."""
    run("networks", "network.information", OPTIONS)


if __name__ == "__main__":
    main()
