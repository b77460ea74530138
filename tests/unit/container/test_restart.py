# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart policies: who is started again, and when."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import restart


@pytest.mark.parametrize("text, code, so_far, expected", [
    ("no", 1, 0, False),
    ("always", 0, 100, True),
    ("unless-stopped", 0, 0, True),
    ("on-failure", 0, 0, False),
    ("on-failure", 1, 1000, True),
    ("on-failure", None, 0, True),
    ("on-failure:2", 1, 1, True),
    ("on-failure:2", 1, 2, False),
])
def test_restarts(text: str, code: Optional[int], so_far: int, expected: bool) -> None:
    assert restart.restarts(restart.parse(text), code, so_far) is expected


def test_the_pause_doubles_to_a_minute_and_begins_again_after_a_healthy_while() -> None:
    pauses, last = [], 0.0
    for _attempt in range(12):
        last = restart.pause(last, 0.01)
        pauses.append(last)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == restart.LONGEST_PAUSE
    assert restart.pause(last, restart.HEALTHY_AFTER) == restart.FIRST_PAUSE


@pytest.mark.parametrize("text, stopped, interrupted, expected", [
    ("no", False, True, False),
    ("always", True, False, True),
    ("unless-stopped", True, False, False),
    ("unless-stopped", False, False, True),
    ("on-failure", False, True, True),
    ("on-failure", False, False, False),
    ("on-failure", True, True, False),
])
def test_what_a_boot_starts(text: str, stopped: bool, interrupted: bool, expected: bool) -> None:
    assert restart.starts_at_boot(restart.parse(text), stopped, interrupted) is expected
