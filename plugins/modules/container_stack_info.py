#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of stacks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_stack_info
short_description: Tells of stacks, their containers and their history
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Returns all stacks of an instance, or those with certain names, with what runs of them and the revisions that can be gone back to.
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
      - Names of stacks. One that does not exist is returned as such, with RV(stacks[].exists=false).
      - Without it, all stacks.
    type: list
    elements: str
    aliases: [names]
seealso:
  - module: coracle.containers.container_stack
"""

EXAMPLES = r"""
- name: What can be gone back to?
  coracle.containers.container_stack_info:
    name: shop
  register: found

- name: Show the revisions
  ansible.builtin.debug:
    msg: "{{ item.revision }} of {{ item.at }}: {{ item.services | join(', ') }}"
  loop: "{{ found.stacks[0].history }}"
  loop_control:
    label: "{{ item.revision }}"
"""

RETURN = r"""
stacks:
  description:
    - The stacks, by name.
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
    declared_at:
      description: When it was last asked for (RFC 3339).
      returned: when it is there
      type: str
    digest:
      description: Of the definition that was last asked for.
      returned: when it is there
      type: str
    revision:
      description: The number of the revision that it is at; null where what was last asked for was not reached.
      returned: when it is there
      type: int
    rolled_back:
      description: Whether it was brought back to that revision.
      returned: when it is there
      type: bool
    history:
      description: The definitions that were reached, the latest last, each with C(revision), C(at), C(digest), C(services) and by
        service the digest of the image's config, C(images).
      returned: when it is there
      type: list
      elements: dict
    services:
      description: As RV(coracle.containers.container_stack#module:stack.services).
      returned: when it is there
      type: dict
    networks:
      description: The names of its networks.
      returned: when it is there
      type: list
      elements: str
    volumes:
      description: The names of its volumes.
      returned: when it is there
      type: list
      elements: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.stack_info import OPTIONS


def main() -> None:
    """Run the module."""
    run("stacks", "stack.information", OPTIONS)


if __name__ == "__main__":
    main()
