# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests on the real kernel share: they run as root, inside test hosts, and leave nothing."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

import leftovers
from hosts import Host


def pytest_collection_modifyitems() -> None:
    """Refuse to pretend."""
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests must run as root")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that leaves something on the machine fails."""
    before = leftovers.snapshot()
    yield
    left = leftovers.patiently(before, Host.alive)
    if left:
        pytest.fail("left over:\n" + "\n".join(left), pytrace=False)
