# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options that limit what a group of processes may use."""

    DOCUMENTATION = r"""
options:
  cpus:
    description:
      - How many CPUs may be used at the same time, such as V(0.5) or V(2); V(max) lifts the limit.
      - It is the quota of CPU time in each period divided by that period, exactly; the product with O(cpu_period) is rounded
        to whole microseconds, of which the kernel demands at least 1000.
      - Where the control group lives in cgroup v1, a group cannot have more than one above it; that is refused by name.
      - Read back from C(cpu.max), in cgroup v1 from C(cpu.cfs_quota_us) and C(cpu.cfs_period_us). Changed live.
      - Mutually exclusive with O(cpu_quota).
    type: str
  cpu_quota:
    description:
      - Microseconds of CPU time in each O(cpu_period), as the kernel has it; at least 1000. V(max) lifts the limit.
      - Read back from the same files as O(cpus). Changed live.
    type: str
  cpu_period:
    description:
      - The period in microseconds, 1000 to 1000000. Needs O(cpus) or O(cpu_quota).
      - Without it, whatever sets a limit sets a period of 100000, and the period is not compared.
      - Read back from the same files as O(cpus). Changed live.
    type: int
  cpu_burst:
    description:
      - Microseconds of unused quota that may be saved up for a later period; at most the quota.
      - Read back from C(cpu.max.burst) or C(cpu.cfs_burst_us) (Linux 5.14). Changed live.
    type: int
  cpu_weight:
    description:
      - The share of CPU time where more is wanted than there is, 1 to 10000; what nobody has set is 100.
      - In cgroup v1 it is written as C(cpu.shares), by the conversion of the OCI runtimes since 2025
        (C(weight = ceil(10 ** (L*L/612 + 125*L/612 - 7/34))) with C(L = log2(shares))), so that 1, 100 and 10000 are 2, 1024 and
        262144 shares, and read back by the same conversion. Docker's C(--cpu-shares 512) is V(59).
      - Read back from C(cpu.weight) or C(cpu.shares). Changed live.
    type: int
  cpu_idle:
    description:
      - Whether the group runs only when nobody else wants the CPU. Its O(cpu_weight) says nothing meanwhile.
      - Read back from C(cpu.idle) (Linux 5.15). Changed live.
    type: bool
  cpu_rt_runtime:
    description:
      - Microseconds in each O(cpu_rt_period) in which real-time processes (C(SCHED_FIFO), C(SCHED_RR)) of the group may run.
      - cgroup v1 alone, on a kernel with C(CONFIG_RT_GROUP_SCHED). All groups above must have at least as large a share first.
      - Read back from C(cpu.rt_runtime_us). Changed live.
    type: int
  cpu_rt_period:
    description:
      - The period of O(cpu_rt_runtime) in microseconds; the kernel's default is 1000000.
      - Read back from C(cpu.rt_period_us). Changed live.
    type: int
  cpuset_cpus:
    description:
      - The CPUs that may be used, such as V(0-2,4). They must be among those of the group above.
      - Read back from C(cpuset.cpus). Changed live.
    type: str
  cpuset_mems:
    description:
      - The memory nodes (NUMA) that may be used, such as V(0). They must be among those of the group above.
      - Read back from C(cpuset.mems). Changed live.
    type: str
  cpuset_partition:
    description:
      - V(root) makes the O(cpuset_cpus) a scheduling domain of the group alone, V(isolated) one without load balancing,
        V(member) neither.
      - cgroup v2 alone. The group above must be a partition too or the root, and no group beside it may have these CPUs.
        What the kernel takes but calls invalid is refused with the kernel's reason.
      - Read back from C(cpuset.cpus.partition). Changed live.
    type: str
    choices: [member, root, isolated]
  memory_max:
    description:
      - The most memory, with file pages, such as V(512M); V(max) lifts the limit. Bytes or a number with K, M, G, T (powers of 1024).
      - Past it the kernel takes file pages back, and where that is not enough, kills a process of the group.
      - At least V(6M), below which no process gets going; Docker draws the same line.
      - Rounded down to whole pages by the kernel, and compared so.
      - Read back from C(memory.max) or C(memory.limit_in_bytes). Changed live. A limit below what is used and cannot be given back
        at once is refused with both figures.
    type: str
    aliases: [memory]
  memory_high:
    description:
      - The memory past which processes are slowed down and made to give back, but not killed. V(max) lifts it.
      - cgroup v2 alone. On a host whose controller C(memory) is in cgroup v1 it is refused.
      - Read back from C(memory.high). Changed live.
    type: str
  memory_low:
    description:
      - The memory that is spared as long as others can give back; V(0) is no protection.
      - In cgroup v1 it is the soft limit, down to which groups are pushed when the host is short of memory. Docker calls it
        C(--memory-reservation).
      - Read back from C(memory.low) or C(memory.soft_limit_in_bytes). Changed live.
    type: str
    aliases: [memory_reservation]
  memory_min:
    description:
      - The memory that is never taken away, whatever the need of others; V(0) is no protection.
      - cgroup v2 alone; O(memory_low) is what comes nearest in v1.
      - Read back from C(memory.min). Changed live.
    type: str
  memory_swap_max:
    description:
      - The most swap, beside the memory and not together with it; V(0) is no swap, V(max) lifts the limit. This is what
        C(memory.swap.max) of cgroup v2 means.
      - Docker's C(--memory-swap) is memory and swap together, so that C(--memory 512m --memory-swap 768m) is
        O(memory_max=512M) with O(memory_swap_max=256M).
      - Without it nothing is said about swap. Docker then allows as much swap as memory.
      - In cgroup v1, which limits only both together, it needs O(memory_max), and a later change of O(memory_max) alone leaves
        the amount of swap as it is.
      - Read back from C(memory.swap.max), or as C(memory.memsw.limit_in_bytes) less C(memory.limit_in_bytes). Changed live.
    type: str
  memory_swappiness:
    description:
      - How readily memory of the group is swapped out rather than file pages given back, 0 to 100.
      - cgroup v1 alone. Read back from C(memory.swappiness). Changed live.
    type: int
  memory_oom_kill:
    description:
      - With V(false), processes that need more than O(memory_max) stand still until there is memory, and are not killed.
      - cgroup v1 alone; v2 always lets the kernel kill. Read back from C(memory.oom_control). Changed live.
    type: bool
  memory_oom_group:
    description:
      - Whether the kernel, where it has to kill, kills all processes of the group together.
      - cgroup v2 alone. Read back from C(memory.oom.group). Changed live.
    type: bool
  pids_max:
    description:
      - The most processes and threads together, at least 1; V(max) lifts the limit.
      - Read back from C(pids.max). Changed live.
    type: str
    aliases: [pids_limit]
  io_weight:
    description:
      - The share of disk time where more is wanted than there is, 1 to 10000; what nobody has set is 100.
      - It takes effect on disks whose scheduler is C(bfq), or with C(io.cost) enabled; where v2 has a file for each, both are written.
      - BFQ's own scale is 1 to 1000 with the same 100. Weights above 100 are mapped to it and compared as it rounds them.
      - Read back from C(io.weight), C(io.bfq.weight), C(blkio.bfq.weight) or C(blkio.weight). Changed live.
    type: int
  io_limits:
    description:
      - The most that may be transferred from and to disks, per second. The list is all there shall be; a disk that has a
        limit and is not in it is freed of it.
      - Read back from C(io.max) or C(blkio.throttle.*_device). Changed live.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - A whole disk, as a path such as V(/dev/sda) or its numbers such as V(8:0). Partitions are refused, since the kernel
            has no limits for them.
        type: str
        required: true
      read_bps:
        description:
          - Bytes read, such as V(10M).
        type: str
      write_bps:
        description:
          - Bytes written, such as V(10M).
        type: str
      read_iops:
        description:
          - Operations that read.
        type: str
      write_iops:
        description:
          - Operations that write.
        type: str
  io_device_weights:
    description:
      - The O(io_weight) for single disks. The list is all there shall be; a disk that is not in it has the group's weight.
      - Only disks whose scheduler weighs groups (C(bfq)) take one.
      - Read back from the same files as O(io_weight). Changed live.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - A whole disk, as a path such as V(/dev/sda) or its numbers such as V(8:0).
        type: str
        required: true
      weight:
        description:
          - 1 to 10000.
        type: int
        required: true
  hugetlb:
    description:
      - >-
        The most huge pages, for each of their sizes as the kernel names it, such as V({"2MB": "64M", "1GB": "0"}).
        Sizes that are not named stay as they are.
      - Rounded down to whole pages by the kernel, and compared so. A size that the host does not have is refused.
      - Read back from C(hugetlb.SIZE.max) or C(hugetlb.SIZE.limit_in_bytes). Changed live.
    type: dict
  rdma:
    description:
      - >-
        The most handles and objects of RDMA devices, such as V({"mlx5_0": {"hca_handle": 2, "hca_object": 2000}}).
      - A device that the host does not have (F(/sys/class/infiniband)) is refused.
      - Read back from C(rdma.max). Changed live.
    type: dict
  misc:
    description:
      - >-
        The most of scalar resources of the host, such as V({"sev": 10}); see C(misc.capacity) for what it has.
      - Kernels have some where the processor keeps the memory of virtual machines secret; most hosts have none. What is not there is refused.
      - Read back from C(misc.max). Changed live.
    type: dict
  unified:
    description:
      - >-
        Any further file of a controller in cgroup v2 and its content, as text as the kernel tells it, such as
        V({"io.latency": "8:0 target=10000"}). Of files with many lines only the lines given are compared.
      - Refused where the file's controller is in cgroup v1, and for what an option with a name of its own says already.
      - Read back from the file itself. Changed live.
    type: dict
    aliases: [cgroup_conf]
"""
