# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: container_boot_script
short_description: What tells a host's process 1 of its containers
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - The unit or script that starts an instance's containers when the host comes up, and ends them before it goes down.
  - The same as C(coracle boot --print) writes on the host, without the host.
positional: _input
options:
  _input:
    description: Which kind of process 1 it is for.
    type: str
    choices: [systemd, openrc, runit, sysv]
    required: true
  state_root:
    description: The instance's folder for what survives a reboot.
    type: str
    default: /var/lib/coracle
  run_root:
    description: The instance's folder for what does not.
    type: str
    default: /run/coracle
  cgroup_root:
    description: The cgroup below which the instance makes its own.
    type: str
    default: /coracle
seealso:
  - plugin: coracle.containers.container_run
    plugin_type: module
"""

EXAMPLES = r"""
- name: Have OpenRC start the containers
  ansible.builtin.copy:
    content: "{{ 'openrc' | coracle.containers.container_boot_script }}"
    dest: /etc/init.d/coracle
    mode: "0755"
"""

RETURN = r"""
_value:
  description: The content of the file.
  type: str
"""

from typing import Any, Callable, Dict

from ansible.errors import AnsibleFilterError
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import boot_files
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import CGROUP_ROOT, RUN_ROOT, STATE_ROOT, Instance


def container_boot_script(kind: Any, state_root: str = STATE_ROOT, run_root: str = RUN_ROOT, cgroup_root: str = CGROUP_ROOT) -> str:
    """The text for one kind of process 1."""
    if kind not in boot_files.KINDS:
        raise AnsibleFilterError("container_boot_script: '%s' is none of %s" % (kind, ", ".join(boot_files.KINDS)))
    return boot_files.KINDS[kind](Instance(str(state_root), str(run_root), str(cgroup_root)))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """By its name."""
        return {"container_boot_script": container_boot_script}
