#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of volumes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_volume_info
short_description: Tells of volumes of containers, what is in them and who uses them
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Returns all volumes of an instance, or those with certain names or labels, as the kernel has them.
  - Changes nothing, and mounts nothing.
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
      - Names of volumes. One that does not exist is returned as such, with RV(volumes[].exists=false).
      - Without it, all volumes.
    type: list
    elements: str
    aliases: [names]
  label:
    description:
      - Only volumes that have these labels with these values. A label without a value (null) may have any.
    type: dict
    aliases: [labels]
  usage:
    description:
      - Whether to count what is in volumes that are folders, file by file. Of all others it is known at once.
    type: bool
    default: true
seealso:
  - module: coracle.containers.container_volume
"""

EXAMPLES = r"""
- name: Which volumes are there
  coracle.containers.container_volume_info:
  register: found

- name: Name those that no container mentions
  ansible.builtin.debug:
    msg: "{{ found.volumes | rejectattr('used_by') | map(attribute='name') | join(', ') }}"
"""

RETURN = r"""
volumes:
  description:
    - The volumes, by name, each as RV(coracle.containers.container_volume#module:volume).
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
    used:
      description: Bytes in it.
      returned: when it is there
      type: int
    used_by:
      description: The containers that mention it, those that do not run included.
      returned: when it is there
      type: list
      elements: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.volume_info import OPTIONS


def main() -> None:
    """Run the module."""
    run("volumes", "volume.information", OPTIONS)


if __name__ == "__main__":
    main()
