#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_run
short_description: Run an OCI container
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Creates, starts, changes, stops and removes a container, with nothing but Python on the managed host.
  - The container is an OCI bundle, executed by the engine's own runtime in new PID, mount, UTS, IPC, network and cgroup
    namespaces. A small monitor stays with it, keeps its output and applies the restart policy.
  - What is true is read from the kernel. A limit, address or port that was changed by hand is seen and mended.
  - Limits, published ports, attachments to networks, names, labels, the restart policy and log rotation are changed while
    the container runs. A change of any other option replaces the container; volumes stay.
  - Without O(image) the container must exist, and is only brought to the O(state); no other option is looked at.
    With V(stopped) and V(absent) no other option is looked at either, unless there is no container yet.
options:
  name:
    description:
      - The container's name; letters, digits, V(_), V(.) and V(-), at most 63.
    type: str
    required: true
  state:
    description:
      - V(started) runs it as described; starts it where it has ended.
      - V(stopped) ends it with O(stop_signal); creates it, without starting it, where there is none.
      - V(paused) freezes it, starting it first where it does not run.
      - V(restarted) ends its process and starts it again; what it wrote stays.
      - V(absent) stops and removes it with all it wrote outside of volumes.
    type: str
    default: started
    choices: [started, stopped, paused, restarted, absent]
  detach:
    description:
      - With V(false), a container that the task starts is waited for, and the task returns RV(rc), RV(stdout) and RV(stderr).
      - Only with a O(restart_policy) of V(no).
    type: bool
    default: true
  recreate:
    description:
      - Replace the container even where nothing differs.
    type: bool
    default: false
  keep_volumes:
    description:
      - With V(false) and O(state=absent), the named volumes of the container are removed with it, unless another
        container uses them.
    type: bool
    default: true
  image:
    description:
      - Reference or ID of an image that M(coracle.containers.container_image) has stored on the host.
      - Compared by digest.
    type: str
  command:
    description:
      - Arguments of the program. Replaces the image's.
    type: list
    elements: str
  entrypoint:
    description:
      - The program and its first arguments. Replaces the image's, and drops the image's command.
    type: list
    elements: str
  env:
    description:
      - Environment variables beside those of the image. Values must be strings, so quote numbers and booleans.
      - In diffs and results the values of variables whose names sound secret, such as V(DB_PASSWORD), are hidden.
    type: dict
  working_dir:
    description:
      - Working directory of the process. Made where it does not exist.
    type: str
  user:
    description:
      - User, and with a colon group, by name or number, as whom the process runs. Names are looked up in the image.
    type: str
  groups:
    description:
      - Further groups of the process, by name or number.
    type: list
    elements: str
  hostname:
    description:
      - Host name inside. By default the container's name.
    type: str
  init:
    description:
      - Whether a process of the engine is PID 1 inside, which forwards signals and reaps zombies.
    type: bool
    default: false
  labels:
    description:
      - Anything that you want to find the container by. Changed live.
    type: dict
  stop_signal:
    description:
      - Signal that asks the process to end, by name or number. By default the image's, else V(SIGTERM). Changed live.
    type: str
  stop_timeout:
    description:
      - How long the process may take to end before it is killed. A bare number is seconds. Changed live.
    type: str
    default: 10s
  restart_policy:
    description:
      - Whether a container that ended by itself is started again, V(no), V(on-failure), V(on-failure:N) with a limit of N
        restarts, V(always) or V(unless-stopped). Pauses of 0.1 seconds, doubled up to a minute, lie between restarts.
      - It also says what is started when the host is booted. Changed live.
    type: str
    default: 'no'
  log_max_size:
    description:
      - Size after which the log file is rotated; V(-1) for never. Changed live.
    type: str
    default: 10M
  log_max_files:
    description:
      - How many log files are kept, the current one included. Changed live.
    type: int
    default: 3
  mounts:
    description:
      - What is mounted inside beside the image.
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - V(bind) shows a file or folder of the host, V(volume) a named volume, V(tmpfs) an empty folder in memory.
        type: str
        default: bind
        choices: [bind, tmpfs, volume]
      source:
        description:
          - Absolute path on the host, which must exist, or the volume's name. A volume is made on first use.
        type: str
      target:
        description:
          - Absolute path inside. Made where it does not exist.
        type: str
        required: true
      read_only:
        description:
          - Whether it can only be read, including what is mounted below the source.
        type: bool
        default: false
      options:
        description:
          - Further options of the mount.
        type: list
        elements: str
      propagation:
        description:
          - Whether mounts made later on one side appear on the other. By default V(rprivate).
        type: str
        choices: [private, rprivate, slave, rslave, shared, rshared]
      size:
        description:
          - Of a tmpfs, such as V(64M).
        type: str
      mode:
        description:
          - Of a tmpfs, octal, in quotes. By default V('1777').
        type: str
  volumes:
    description:
      - Docker's short form of O(mounts), C(SOURCE:TARGET[:OPTIONS]). An absolute source is a bind mount, any other a volume's
        name. Options are V(ro), V(rw), a propagation, or options of the mount.
    type: list
    elements: str
  read_only:
    description:
      - Whether the container's root file system can only be read.
    type: bool
    default: false
  shm_size:
    description:
      - Size of F(/dev/shm).
    type: str
    default: 64M
  capabilities:
    description:
      - Capabilities beside Docker's default set, with or without C(CAP_). V(ALL) gives every one.
    type: list
    elements: str
    aliases: [cap_add]
  cap_drop:
    description:
      - Capabilities taken from the default set. V(ALL) takes all but those in O(capabilities).
    type: list
    elements: str
  security_opts:
    description:
      - V(seccomp=unconfined) lifts the default system call filter, which is equal in effect to Docker's.
    type: list
    elements: str
  no_new_privileges:
    description:
      - Whether set-user-ID programs and file capabilities give nothing.
    type: bool
    default: true
  userns_mode:
    description:
      - V(auto) gives the container a user namespace of its own. Root inside is an unprivileged user outside, from a range of
        65536 IDs that no other container has. The range is taken from those of the user V(coracle), else V(containers), in
        F(/etc/subuid) and F(/etc/subgid), else from 1879048192 on. Layers, volumes and bind mounts are mapped by the
        kernel, and nothing is copied or chowned.
      - V(host) shares the host's.
    type: str
    default: host
    choices: [host, auto]
  sysctls:
    description:
      - Kernel parameters of the container's own network and IPC namespaces.
    type: dict
  ulimits:
    description:
      - Limits of processes, C(NAME:SOFT[:HARD]), such as V(nofile:1024:4096).
    type: list
    elements: str
  oom_score_adj:
    description:
      - Who is killed first when the whole host is out of memory, from -1000 (never) to 1000.
    type: int
  network_mode:
    description:
      - V(bridge) attaches to the default network, or to O(networks) where given.
      - V(none) gives a namespace with a loopback only, V(host) the host's own, V(container:NAME) that of another container.
      - Anything else is the name of a network to attach to.
    type: str
    default: bridge
  networks:
    description:
      - The networks to attach to, the default route through the first.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The network's name. V(coracle) is the default network.
        type: str
        required: true
      ipv4_address:
        description:
          - A fixed address. By default the next free one.
        type: str
      mac_address:
        description:
          - A fixed MAC address. By default one made from the IPv4 address.
        type: str
      aliases:
        description:
          - Further names under which others on the network find the container.
        type: list
        elements: str
  published_ports:
    description:
      - Ports of the host that lead into the container, C([ADDRESS:]HOST:CONTAINER[/PROTOCOL]), as Docker writes them.
      - Changed live.
    type: list
    elements: str
    aliases: [ports]
  etc_hosts:
    description:
      - Further lines of the hosts file, name to address. V(host-gateway) stands for the host's address on the network.
      - Changed live.
    type: dict
  dns_servers:
    description:
      - Name servers. By default the host's, without those on the host's loopback, which a container cannot reach; no public
        one is put in their place. Changed live.
    type: list
    elements: str
  dns_search_domains:
    description:
      - Search domains of the resolver. Changed live.
    type: list
    elements: str
  dns_opts:
    description:
      - Options of the resolver (see C(man 5 resolv.conf)). Changed live.
    type: list
    elements: str
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.limits
seealso:
  - module: coracle.containers.container_image
  - module: coracle.containers.container_cgroup
  - module: coracle.containers.container_netns
"""

EXAMPLES = r"""
- name: Serve the shop on port 80 with at most half a CPU and 256 MiB
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
    published_ports: ["80:8080"]
    cpus: "0.5"
    memory_max: 256M
    restart_policy: unless-stopped
    env:
      DB_HOST: db
      DB_PASSWORD: "{{ vault_db_password }}"
    mounts:
      - type: volume
        source: shop-data
        target: /var/lib/shop

- name: See what has been changed by hand, and change nothing
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
  check_mode: true
  diff: true

- name: Migrate the database and wait for the end
  coracle.containers.container_run:
    name: migration
    image: shop:2.1
    command: ["./manage", "migrate"]
    detach: false
  register: migration

- name: Stop it for the night
  coracle.containers.container_run:
    name: shop
    state: stopped
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: Such as V(create), V(start), V(update), V(recreate), V(stop), V(remove), V(adopt).
      type: str
      returned: always
    target:
      description: The container's name.
      type: str
      returned: always
    disruption:
      description: V(live) where no process notices, V(restart) where it ends, V(recreate) where the container is replaced.
      type: str
      returned: always
    options:
      description: The options that the step brings to their new value.
      type: list
      elements: str
      returned: always
  sample: [{"action": "update", "target": "shop", "disruption": "live", "options": ["memory_max"]}]
diff:
  description: With C(--diff), per option what was and what will be. Secrets are masked.
  returned: success, with C(--diff)
  type: dict
  contains:
    before:
      description: What was, by option.
      type: dict
      returned: always
    after:
      description: What will be, by option. Steps that set no option are listed as C(actions).
      type: dict
      returned: always
  sample: {"before": {"memory_max": 67108864}, "after": {"memory_max": 134217728}}
container:
  description: The container as it is.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: always
    exists:
      description: Whether there is such a container.
      type: bool
      returned: always
    id:
      description: 64 hexadecimal digits, new whenever the container is created or replaced.
      type: str
      returned: when it exists
    status:
      description: V(created), V(running), V(paused), V(restarting), V(exited) or V(absent).
      type: str
      returned: always
    pid:
      description: Of its first process, on the host.
      type: int
      returned: while it runs
    image:
      description: The reference as it was given.
      type: str
      returned: when it exists
    image_id:
      description: The digest of the image's config.
      type: str
      returned: when it exists
    exit_code:
      description: Of its last run; 128 plus the signal's number where it was killed.
      type: int
      returned: when it has ended
    oom_killed:
      description: Whether the kernel killed a process of it for going past its memory limit, in this or the last run.
      type: bool
      returned: when it exists
    started_at:
      description: When its last run began, RFC 3339 in UTC.
      type: str
      returned: when it was ever started
    finished_at:
      description: When its last run ended.
      type: str
      returned: when it has ended
    restarts:
      description: How often the restart policy has started it.
      type: int
      returned: when it exists
    addresses:
      description: Its IPv4 addresses by network.
      type: dict
      returned: while it runs in a network
      sample: {"coracle": "10.209.0.2"}
    published_ports:
      description: As asked for.
      type: list
      elements: str
      returned: when it exists
    options:
      description: All options as they are, values that sound secret hidden.
      type: dict
      returned: when it exists
    usage:
      description: Of CPU, memory, processes and block devices, as M(coracle.containers.container_cgroup) returns it.
      type: dict
      returned: while it runs
    log:
      description: Path of its log file.
      type: str
      returned: when it exists
rc:
  description: The exit code.
  returned: when O(detach=false) and the task has started the container
  type: int
stdout:
  description: What it wrote to its standard output, at most the last MiB.
  returned: when O(detach=false) and the task has started the container
  type: str
stderr:
  description: What it wrote to its standard error, at most the last MiB.
  returned: when O(detach=false) and the task has started the container
  type: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.container import OPTIONS


def main() -> None:
    """Entry point of the module."""
    run("container", OPTIONS)


if __name__ == "__main__":
    main()
