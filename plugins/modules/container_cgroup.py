#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a control group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_cgroup
short_description: Limit what a group of processes may use
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Creates, changes, freezes and removes a control group of the kernel (cgroup), moves processes into it, and reports what
    it uses.
  - One vocabulary, that of cgroup v2, serves hosts with cgroup v1, v2 and both (hybrid), where for each controller it is
    looked up in which version it lives.
  - What holds is read from the kernel, so that a limit that was changed by hand is seen and mended. All options are
    changed live.
  - An option that is left out says nothing and changes nothing. V(max) or V(-1) lifts a limit.
  - A limit that the host's kernel does not have is refused with its name, the controller and what to do, before
    anything is changed. Limits of groups above are never touched.
options:
  name:
    description:
      - The group's name below O(cgroup_root); letters, digits, V(_), V(.) and V(-). A slash makes a group within a group.
      - One of O(name), O(path), O(pid) and O(unit) is required.
    type: str
  path:
    description:
      - The group as an absolute path within each hierarchy, such as V(/batch/night), wherever it is.
    type: str
  pid:
    description:
      - The group that this process is in, whatever made it. Refused where that is the root group, or where it is in different groups
        of different hierarchies; O(processes) gives it a group of its own.
    type: int
  unit:
    description:
      - The group of this unit of systemd, such as V(nginx.service). systemd is told of the limits that it knows too, until the next
        boot, so that it does not undo them; what shall outlast a boot belongs into the unit's file.
      - A V(*.slice) that does not run is started and may be empty. A V(*.scope) is started around O(processes), in O(slice).
        Both may have groups below them. O(state=absent) stops them, and is refused for other units.
      - Found and made over D-Bus, on the socket of systemd itself; nothing needs to be installed for it.
    type: str
  slice:
    description:
      - The slice in which a O(unit) that is a scope is started.
    type: str
    default: system.slice
  state:
    description:
      - V(present) is a group with these limits, frozen or not.
      - V(frozen) is a group whose processes all stand still, V(thawed) one whose processes go on.
      - V(absent) is no such group, nor groups below it. Groups above it, up to O(cgroup_root), go with it where they are
        empty and limit nothing.
    type: str
    default: present
    choices: [present, absent, frozen, thawed]
  force:
    description:
      - With O(state=absent), kill the processes of the group instead of refusing to remove it; as O(on_processes=kill).
      - Otherwise, set a O(memory_max) below what is used. In cgroup v2 the kernel then kills processes of the group; in
        v1 it refuses.
    type: bool
    default: false
  on_processes:
    description:
      - What becomes of the processes in the group and in groups below it with O(state=absent). With V(refuse) the group stays, unless
        O(force) says otherwise.
      - V(kill) and V(move) miss no process that is just being made. C(cgroup.kill) does the one where the kernel has it; else, and for the
        other, the processes stand still meanwhile.
    type: str
    choices: [refuse, kill, move]
  move_to:
    description:
      - Where O(on_processes=move) moves them, as a path like O(path); it must exist.
      - By default the nearest group above that may hold processes. In cgroup v2 a group that has given controllers to those below it
        must not, unless it is the root.
    type: str
  descendants:
    description:
      - Whether the descendants of O(processes) are put into the group too, those that are made meanwhile included.
    type: bool
    default: false
  device_rules:
    description:
      - Which device nodes may be used. The last rule that matches decides, and what none matches is denied, so that a list
        names what is allowed.
      - In cgroup v2 the rules are an eBPF program on the group, in v1 C(devices.allow) and C(devices.deny). Both are read
        back. Changed live; in v2 at one stroke, in v1 what stays allowed is allowed throughout.
      - In cgroup v1 rules that take something away from C(allow all), or from a wider rule, are refused, since it
        cannot hold or tell them.
    type: list
    elements: dict
    aliases: [devices]
    suboptions:
      allow:
        description:
          - Whether what matches is allowed.
        type: bool
        default: true
      type:
        description:
          - V(c) for character devices, V(b) for block devices, V(a) for both.
        type: str
        default: a
        choices: [a, b, c]
      major:
        description:
          - The major number; all where it is left out.
        type: int
      minor:
        description:
          - The minor number; all where it is left out.
        type: int
      access:
        description:
          - What is allowed or denied, as letters V(r) (read), V(w) (write) and V(m) (create the node).
        type: str
        default: rwm
  processes:
    description:
      - Numbers of processes that shall be in the group, with all their threads. Others may be in it too.
      - Read back from C(/proc/PID/cgroup) in every hierarchy. Changed live.
    type: list
    elements: int
    aliases: [pids]
  network_class:
    description:
      - The class of a queueing discipline that the packets of the group's processes belong to, as C(tc) writes it, such as V(10:1); V(0:0)
        is none.
      - In cgroup v1 it is written to C(net_cls), which a filter C(cgroup) of C(tc) reads. Without that controller a rule of nftables matches the
        group and sets the packets' priority, which C(htb) and the like take for the class without any filter.
      - It concerns sockets in the host's own network namespace. Changed live.
    type: str
  network_priorities:
    description:
      - >-
        For each link the priority of the group's packets that leave by it, such as V({"eth0": 5}); V(0) is none. Links not named stay as they
        are.
      - In cgroup v1 it is written to C(net_prio), without that controller it is a rule of nftables. Changed live.
      - It concerns the links of the host's own network namespace. A number can be a class, as C(0x10002a) is C(10:2a).
    type: dict
  freeze:
    description:
      - Whether the processes stand still; the same as O(state=frozen) and O(state=thawed).
      - The freezer of cgroup v2 is used wherever that is mounted, v1's otherwise.
      - Read back from C(cgroup.freeze) and C(freezer.self_freezing).
    type: bool
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.limits
seealso:
  - module: coracle.containers.container_run
  - name: Control Group v2
    description: The kernel's documentation.
    link: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

EXAMPLES = r"""
- name: Let a nightly batch have half a CPU, 512 MiB and 100 processes
  coracle.containers.container_cgroup:
    name: batch
    cpus: "0.5"
    memory_max: 512M
    memory_swap_max: 0
    pids_max: 100

- name: Put a running process under it
  coracle.containers.container_cgroup:
    name: batch
    processes: ["{{ backup_pid }}"]

- name: Give it less of the disk while people work
  coracle.containers.container_cgroup:
    name: batch
    io_weight: 20
    io_limits:
      - device: /dev/sda
        write_bps: 20M

- name: Let it use no devices but the harmless
  coracle.containers.container_cgroup:
    name: batch
    device_rules:
      - {type: c, major: 1, minor: 3}
      - {type: c, major: 1, minor: 5}
      - {type: c, major: 1, minor: 9, access: r}

- name: Show by --check --diff what somebody has changed by hand
  coracle.containers.container_cgroup:
    name: batch
    memory_max: 512M
  check_mode: true
  diff: true

- name: Hold everything in it
  coracle.containers.container_cgroup:
    name: batch
    state: frozen

- name: Let a daemon of the host have at most 1 GiB, in the words of a container
  coracle.containers.container_cgroup:
    unit: backup.service
    memory_max: 1G
    io_weight: 20

- name: Limit whatever group a process is in
  coracle.containers.container_cgroup:
    pid: "{{ ansible_local.batch.pid }}"
    cpus: 2

- name: Give up the group and let what runs in it go on without limits
  coracle.containers.container_cgroup:
    name: batch
    state: absent
    on_processes: move

- name: End it with all that runs in it
  coracle.containers.container_cgroup:
    name: batch
    state: absent
    force: true
"""

RETURN = r"""
actions:
  description: The steps that were carried out, or would be in check mode, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(update), V(attach), V(freeze), V(thaw), V(kill), V(move) or V(remove).
      type: str
      returned: always
      sample: update
    target:
      description: The group's path.
      type: str
      returned: always
      sample: /coracle/batch
    disruption:
      description: Always V(live), no process has to be started again.
      type: str
      returned: always
      sample: live
    options:
      description: The options that this step brings to what was asked for.
      type: list
      elements: str
      returned: always
      sample: [memory_max]
  sample: [{"action": "update", "target": "/coracle/batch", "disruption": "live", "options": ["memory_max"]}]
cgroup:
  description: The group as the kernel tells it after the task; in check mode, before.
  returned: success
  type: dict
  contains:
    path:
      description: The group's path within each hierarchy.
      type: str
      returned: always
      sample: /coracle/batch
    name:
      description: The O(name), where one was given.
      type: str
      returned: always
      sample: batch
    unit:
      description: The O(unit), where one was given.
      type: str
      returned: always
      sample: null
    exists:
      description: Whether it is there, in all hierarchies.
      type: bool
      returned: always
      sample: true
    hierarchy:
      description: V(v1), V(v2) or V(hybrid).
      type: str
      returned: always
      sample: v2
    folders:
      description: Controller to the folder in which the group's files are; C(unified) is the one of cgroup v2.
      type: dict
      returned: when it exists
      sample: {"memory": "/sys/fs/cgroup/coracle/batch", "unified": "/sys/fs/cgroup/coracle/batch"}
    limits:
      description:
        - All limits by the names of the options. V(-1) is no limit; null is what this host does not have.
      type: dict
      returned: when it exists
      sample: {"cpus": 0.5, "cpu_quota": 50000, "cpu_period": 100000, "memory_max": 536870912, "pids_max": 100}
    effective:
      description:
        - What it may use in the end, with the groups above it. Each option has C(value), the least (V(-1) is none), and C(cgroup),
          the group that sets it. Of C(cpuset_cpus) and C(cpuset_mems) it is what the kernel grants.
        - Swap is told in cgroup v2 alone.
      type: dict
      returned: when it exists
      sample: {"cpus": {"value": 0.5, "cgroup": "/coracle/batch"}, "memory_max": {"value": 268435456, "cgroup": "/coracle"},
               "pids_max": {"value": -1, "cgroup": null}, "cpuset_cpus": {"value": "0-3", "cgroup": "/coracle/batch"}}
    frozen:
      description: Whether it was told to stand still.
      type: bool
      returned: when it exists
      sample: false
    processes:
      description: The processes in the group itself, in ascending order.
      type: list
      elements: int
      returned: when it exists
      sample: [4211, 4212]
    usage:
      description: What it has used, with the groups below it. Null is what this kernel does not tell.
      type: dict
      returned: when it exists
      contains:
        cpu:
          description: CPU time in nanoseconds; C(user_ns) and C(system_ns) add up to C(usage_ns).
          type: dict
          returned: always
          sample: {"usage_ns": 1500000000, "user_ns": 1200000000, "system_ns": 300000000, "periods": 40,
                   "throttled_periods": 18, "throttled_ns": 900000000, "bursts": 0, "burst_ns": 0}
        memory:
          description:
            - Bytes. C(reclaimable) is the part of C(current) that can be given back at once, C(working_set) is C(current) without
              file pages that were not used lately, as the kubelet counts it. C(events) counts how often the
              limits were met and how many processes were killed (C(oom_kill)).
          type: dict
          returned: always
          sample: {"current": 41943040, "peak": 53477376, "swap_current": 0, "reclaimable": 8388608, "anon": 29360128,
                   "file": 8388608, "kernel": 2097152,
                   "events": {"low": 0, "high": 0, "max": 12, "oom": 1, "oom_kill": 1}}
        pids:
          description: Processes and threads now and at most (C(peak)), and how often the limit stopped a new one.
          type: dict
          returned: always
          sample: {"current": 3, "peak": 7, "events": {"max": 0}}
        pressure:
          description:
            - How long tasks waited for C(cpu), C(memory) and C(io). C(some) is at least one task, C(full) all of them; C(avg10), C(avg60) and
              C(avg300) are per cent of the last seconds, C(total_us) microseconds in all. Null without C(CONFIG_PSI) or cgroup v2.
          type: dict
          returned: always
          sample: {"cpu": {"some": {"avg10": 1.53, "avg60": 0.87, "avg300": 0.73, "total_us": 1088168194}}, "memory": null, "io": null}
        io:
          description: By device, bytes and operations read and written.
          type: dict
          returned: always
          sample: {"8:0": {"read_bytes": 1048576, "write_bytes": 0, "read_operations": 16, "write_operations": 0}}
diff:
  description: Per option what was and what is, or would be in check mode.
  returned: with C(--diff)
  type: dict
  sample: {"before": {"memory_max": 268435456}, "after": {"memory_max": 536870912}}
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.cgroup import OPTIONS


def main() -> None:
    """Entry point of the module."""
    run("cgroup", OPTIONS, required_one_of=[("name", "path", "pid", "unit")],
        mutually_exclusive=[("name", "path", "pid", "unit"), ("cpus", "cpu_quota")])


if __name__ == "__main__":
    main()
