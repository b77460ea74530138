# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Relative weights in the vocabularies of cgroup v1 and v2, and what one becomes in the other.

CPU: v2's C(cpu.weight) is 1 to 10000 with 100 as default, v1's C(cpu.shares) 2 to 262144 with 1024. The
conversion is the one that the OCI runtimes published in 2025 (runc 1.3.2, crun 1.23; Kubernetes
blog of 2025-10-25): weight = ceil(10 ** (L**2/612 + 125*L/612 - 7/34)) with L = log2(shares); it
takes minimum, default and maximum to minimum, default and maximum.

Block I/O: v2's C(io.weight) is 1 to 10000 with 100 as default. BFQ, on both versions, has 1 to 1000 with
100 as default, and systemd's conversion keeps both. CFQ's C(blkio.weight) of old kernels has 10 to 1000;
the OCI runtimes' linear conversion holds for it and for C(linux.resources.blockIO.weight).
"""

from __future__ import annotations

from math import ceil, log2, log10, sqrt

SHARES_MIN, SHARES_MAX = 2, 262144
WEIGHT_MIN, WEIGHT_MAX = 1, 10000


def cpu_weight(shares: int) -> int:
    """The v2 weight of v1 CPU shares."""
    if shares <= SHARES_MIN:
        return WEIGHT_MIN
    if shares >= SHARES_MAX:
        return WEIGHT_MAX
    level = log2(shares)
    exact = 10 ** ((level * level + 125 * level) / 612 - 7 / 34)
    return ceil(exact - 1e-9 * exact)  # 1024 is 100 to the last bit but one


def cpu_shares(weight: int) -> int:
    """The v1 shares of a v2 CPU weight: the most of those that C(cpu_weight) turns into this weight."""
    if weight <= WEIGHT_MIN:
        return SHARES_MIN
    if weight >= WEIGHT_MAX:
        return SHARES_MAX
    root = sqrt(125 * 125 + 4 * 612 * (log10(weight) + 7 / 34))
    shares = int(2 ** ((root - 125) / 2)) + 1
    while cpu_weight(shares) > weight:
        shares -= 1
    return shares


def bfq_weight(weight: int) -> int:
    """BFQ's weight (1 to 1000) of a v2 I/O weight."""
    return weight if weight <= 100 else 100 + (weight - 100) * 900 // 9900


def io_weight_of_bfq(weight: int) -> int:
    """The v2 I/O weight of BFQ's: the least of those that C(bfq_weight) turns into this one."""
    return weight if weight <= 100 else 100 - (100 - weight) * 9900 // 900


def io_weight(blkio: int) -> int:
    """The v2 I/O weight of an OCI C(blockIO.weight) (10 to 1000)."""
    return 1 + (max(blkio, 10) - 10) * 9999 // 990


def blkio_weight(weight: int) -> int:
    """The OCI C(blockIO.weight) of a v2 I/O weight: the least of those not below it, so that it returns to it."""
    return 10 - (1 - weight) * 990 // 9999
