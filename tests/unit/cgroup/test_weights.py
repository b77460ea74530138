# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of v1 and v2: published points, and no value that changes when it is written and read."""

from __future__ import annotations

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import weights


@pytest.mark.parametrize("shares, weight", [(0, 1), (2, 1), (512, 59), (1024, 100), (2048, 174), (262144, 10000),
                                            (300000, 10000)])
def test_the_published_points(shares: int, weight: int) -> None:
    assert weights.cpu_weight(shares) == weight


@pytest.mark.parametrize("weight, shares", [(1, 2), (100, 1024), (10000, 262144)])
def test_least_default_and_most_are_kept(weight: int, shares: int) -> None:
    assert weights.cpu_shares(weight) == shares


def test_every_cpu_weight_returns_from_shares() -> None:
    assert [weight for weight in range(1, 10001) if weights.cpu_weight(weights.cpu_shares(weight)) != weight] == []


def test_more_shares_are_never_less_weight() -> None:
    found = [weights.cpu_weight(shares) for shares in range(2, 262145, 7)]
    assert found == sorted(found)


def test_every_weight_of_bfq_returns() -> None:
    assert [w for w in range(1, 1001) if weights.bfq_weight(weights.io_weight_of_bfq(w)) != w] == []
    assert (weights.bfq_weight(1), weights.bfq_weight(100), weights.bfq_weight(10000)) == (1, 100, 1000)


def test_every_blkio_weight_returns() -> None:
    assert [w for w in range(10, 1001) if weights.blkio_weight(weights.io_weight(w)) != w] == []
    assert (weights.io_weight(10), weights.io_weight(1000)) == (1, 10000)
