#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: container_host_info
short_description: Says what a host offers to containers, and what each missing feature costs
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Reports the features of a host's kernel and libraries that the modules of this collection use, by name, and for each
    what does not work without it and how the host gets it.
  - Changes nothing. What only trying tells, such as whether the kernel makes bridges, is tried in a network namespace
    that ends with the task. The kernel may load its own modules for file systems and links meanwhile.
  - Without root it answers too, but some features are then neither known to be there nor to be missing.
options:
  disk:
    description:
      - Whether to count what images, layers, containers and volumes take on the disk, file by file.
    type: bool
    aliases: [disk_usage]
    default: true
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
attributes:
  diff_mode:
    support: N/A
    description: This module does not change anything.
seealso:
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: Look at the host
  coracle.containers.container_host_info:
  register: found

- name: Say what is missing and what that costs
  ansible.builtin.debug:
    msg: "{{ item }} is missing: {{ found.host.features[item].cost }}"
  loop: "{{ found.host.missing.required + found.host.missing.recommended }}"
"""

RETURN = r"""
host:
  description: The host.
  returned: success
  type: dict
  contains:
    kernel:
      description: The kernel's release.
      type: str
      returned: success
      sample: 6.12.48+deb13-amd64
    machine:
      description: The kernel's name of the architecture.
      type: str
      returned: success
      sample: x86_64
    cgroup_version:
      description: V(v1), V(v2), V(hybrid) where both are mounted, or V(none).
      type: str
      returned: success
      sample: v2
    cgroup_controllers:
      description: The cgroup controllers that are mounted, each with the version that it is in.
      type: dict
      returned: success
      sample: {"cpu": "v2", "memory": "v2", "pids": "v2"}
    systemd:
      description: Whether systemd is process 1.
      type: bool
      returned: success
    storage:
      description: The file system that O(state_root) is on, or would be; sizes in bytes.
      type: dict
      returned: success
      sample: {"file_system": "ext4", "free": 85899345920, "total": 270582939648}
    versions:
      description:
        - What runs what. C(engine) is the identity of the installed engine, null where there is none; C(runtimes) are the external OCI
          runtimes that are there, with what they say of themselves.
      type: dict
      returned: success
      sample: {"engine": "93f2fd7a1f6f0c9e", "python": "3.11.2", "libc": "glibc 2.36", "runtimes": {"crun": "crun version 1.8.1"}}
    disk:
      description:
        - Bytes on the disk by what they are for; C(ingest) are parts of downloads. What is mounted into a volume from elsewhere does not
          count. Null with O(disk=false), and without root.
      type: dict
      returned: success
      sample: {"blobs": 52428800, "layers": 157286400, "containers": 4194304, "ingest": 0, "engine": 5242880, "volumes": 1073741824,
               "total": 1292894208}
    networks:
      description:
        - The networks, each with its C(subnets), and for each of these how many addresses are C(used) and C(free). Null without root.
      type: list
      elements: dict
      returned: success
      sample: [{"name": "coracle", "subnets": [{"subnet": "10.209.0.0/24", "used": 3, "free": 250}]}]
    features:
      description: >-
        All features by name. Each has C(present) (null where it cannot be told without root), C(level) (V(required):
        without it no container runs; V(recommended); V(optional)), C(cost) (what does not work without it), and C(remedy).
      type: dict
      returned: success
      sample:
        overlay:
          present: true
          level: required
          cost: containers cannot share an image's layers
          remedy: Build or load the kernel with CONFIG_OVERLAY_FS
    missing:
      description: The names of the features that are surely not there, by level.
      type: dict
      returned: success
      sample: {"required": [], "recommended": ["libnftables"], "optional": []}
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.host_info import OPTIONS


def main():
    run("host", "host.information", OPTIONS)


if __name__ == "__main__":
    main()
