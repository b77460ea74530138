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
    aliases: [memory_swap]
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
"""
