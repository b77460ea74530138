#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: container_info
short_description: Tells of containers, their state, network, mounts and what they use
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Returns all containers of an instance, or those with certain names, labels, image or state.
  - What is true comes from the kernel, such as processes, mounts, limits and what has been used; the rest from what was last asked
    for. Values of environment variables whose names sound secret are hidden.
  - Changes nothing.
options:
  name:
    description:
      - Names of containers. One that does not exist is returned as such, with RV(containers[].exists=false).
      - Without it, all containers.
    type: list
    elements: str
    aliases: [names]
  label:
    description:
      - Only containers that have these labels with these values. A label without a value (null) may have any.
    type: dict
    aliases: [labels]
  image:
    description:
      - Only containers made from this image, by its name, ID or beginning of an ID.
    type: str
  state:
    description:
      - Only containers in one of these states.
    type: list
    elements: str
    choices: [created, running, paused, restarting, exited]
  gather:
    description:
      - What to find out beside the state. An empty list is the fastest; V(drift) takes the longest.
    type: list
    elements: str
    choices: [network, mounts, usage, limits, processes, drift]
    default: [network, mounts, usage, limits]
  logs_tail:
    description:
      - How many of the last lines of its output RV(containers[].logs) shall have; none are read without it.
    type: int
  interval:
    description:
      - How long to look at what is used, for the per cent and rates in RV(containers[].usage); such as V(500ms) or V(2s).
      - With V(0s) they are the mean since the container was started, and the task does not wait.
    type: str
    default: 0s
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
attributes:
  diff_mode:
    support: N/A
    description: This module does not change anything.
seealso:
  - module: coracle.containers.container_run
  - module: coracle.containers.container_cgroup
"""

EXAMPLES = r"""
- name: Look at everything that runs here
  coracle.containers.container_info:
    state: [running]
  register: found

- name: Say who uses the most memory
  ansible.builtin.debug:
    msg: "{{ (found.containers | sort(attribute='usage.memory.working_set') | last).name }}"

- name: Measure the containers of one application for two seconds
  coracle.containers.container_info:
    label: {app: shop}
    gather: [usage, limits]
    interval: 2s
  register: shop

- name: Refuse to go on while one of them is held up by its CPU limit
  ansible.builtin.assert:
    that: shop.containers | map(attribute='usage.rates.throttled_percent') | max < 20

- name: See whether a container is there
  coracle.containers.container_info:
    name: web
    gather: []
  register: web
"""

RETURN = r"""
containers:
  description: The containers, by name, or in the order of O(name).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The container's name.
      type: str
      returned: always
      sample: web
    exists:
      description: Whether it is there.
      type: bool
      returned: always
      sample: true
    status:
      description: V(created), V(running), V(paused), V(restarting), V(exited), or V(absent).
      type: str
      returned: always
      sample: running
    id:
      description: 64 hexadecimal digits, new for each creation.
      type: str
      returned: when it exists
      sample: 5f3c9a1e0b7d4c2a8e6f1d0b9c8a7e6f5d4c3b2a190817263544536271809fae
    image:
      description: The image as it was asked for.
      type: str
      returned: when it exists
      sample: docker.io/library/nginx:1.27
    image_id:
      description: The digest of the image's config.
      type: str
      returned: when it exists
      sample: sha256:2b7d6430f78d432f89109b29d88d4c36c868cdbf15dc31d2132ceaa02b993763
    created:
      description: When it was created, RFC 3339 in UTC. C(started_at) and C(finished_at) likewise.
      type: str
      returned: when it exists
      sample: "2026-11-21T10:00:00.000000000Z"
    exit_code:
      description: Of the last run; null while it runs.
      type: int
      returned: when it exists
      sample: 0
    health:
      description: What its health check has found, as RV(coracle.containers.container_run#module:container.health); null without one.
      type: dict
      returned: when it exists
      sample: {"status": "healthy", "failing_streak": 0, "log": []}
    oom_killed:
      description: Whether the kernel killed a process of it for want of memory.
      type: bool
      returned: when it exists
      sample: false
    restarts:
      description: How often the restart policy has started it since it was last started by hand.
      type: int
      returned: when it exists
      sample: 0
    error:
      description: Why it could not be started, if so.
      type: str
      returned: when it exists
      sample: null
    pid:
      description: Its first process, as the host counts.
      type: int
      returned: when it runs
      sample: 4211
    cgroup:
      description: The path of its cgroup within each hierarchy.
      type: str
      returned: while it runs
      sample: /coracle/web
    log:
      description: The file with its output.
      type: str
      returned: when it exists
      sample: /var/lib/coracle/containers/web/container.log
    options:
      description: The options of M(coracle.containers.container_run) as they were applied, defaults and what the image says included.
      type: dict
      returned: when it exists
      sample: {"command": ["nginx"], "env": {"DB_PASSWORD": "********"}, "restart_policy": "always"}
    network:
      description: C(mode), the C(networks) that it is attached to with their addresses, and the C(published_ports).
      type: dict
      returned: when O(gather) has V(network)
      sample: {"mode": "bridge", "published_ports": ["8080:80/tcp"], "networks": [{"name": "coracle", "interface": "eth0",
               "ipv4_address": "10.209.0.2", "mac_address": "02:42:0a:d1:00:02", "gateway": "10.209.0.1",
               "subnet": "10.209.0.0/24"}]}
    mounts:
      description: The declared mounts. C(mounted), C(read_only), C(options) and C(file_system) are what the kernel tells while it runs.
      type: list
      elements: dict
      returned: when O(gather) has V(mounts)
      sample: [{"type": "volume", "name": "data", "source": "/var/lib/coracle/volumes/data/_data", "target": "/data",
                "mounted": true, "read_only": false, "options": ["rw", "relatime"], "file_system": "ext4"}]
    usage:
      description:
        - What it has used, as RV(coracle.containers.container_cgroup#module:cgroup.usage), and beside that C(network) (counters of each
          interface), C(memory_percent) (the working set in per cent of the least limit or of the host's memory), and C(rates).
        - C(rates) has C(cpu_percent) (100 is one CPU), C(throttled_percent) (of the periods of the CPU limit, those in which it was held
          up), C(read_bps), C(write_bps), C(rx_bps), C(tx_bps); see O(interval). Null where it does not run.
      type: dict
      returned: when O(gather) has V(usage)
      sample: {"cpu": {"usage_ns": 1500000000}, "memory": {"current": 41943040, "working_set": 33554432},
               "rates": {"cpu_percent": 12.5, "throttled_percent": 0.0, "read_bps": 0.0, "write_bps": 4096.0, "rx_bps": 120.5,
                         "tx_bps": 88.0}, "memory_percent": 6.25}
    limits:
      description: What it may use in the end, as RV(coracle.containers.container_cgroup#module:cgroup.effective). Null where it does not run.
      type: dict
      returned: when O(gather) has V(limits)
      sample: {"cpus": {"value": 0.5, "cgroup": "/coracle/web"}, "memory_max": {"value": 536870912, "cgroup": "/coracle"}}
    logs:
      description: The last lines of its output, with C(time), C(stream) and C(message); empty where its log driver keeps no file.
      type: list
      elements: dict
      returned: when O(logs_tail) is given
      sample: [{"time": "2026-11-21T10:00:00.000000000Z", "stream": "stdout", "message": "listening on 8080"}]
    drift:
      description: What is no longer as it was asked for, with C(option), C(before) (as it is) and C(after) (as it was asked for), as a task
        that repeats what was asked for would tell with C(--diff). Empty where it does not run.
      type: list
      elements: dict
      returned: when O(gather) has V(drift)
      sample: [{"option": "memory_max", "before": 134217728, "after": 67108864}]
    processes:
      description: All processes in it.
      type: list
      elements: dict
      returned: when O(gather) has V(processes)
      sample: [{"pid": 4211, "ppid": 4190, "uid": 0, "state": "S", "cpu_seconds": 1.5, "threads": 1, "rss": 5242880,
                "command": "nginx: master process"}]
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.info import OPTIONS


def main():
    run("containers", "container.info", OPTIONS)


if __name__ == "__main__":
    main()
