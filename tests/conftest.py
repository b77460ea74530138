# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the collection under test, and test hosts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Callable, Iterator

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import collection
from hosts import Host
from payloads import Payloads
from turns import pytest_addoption, pytest_collection_modifyitems, pytest_runtest_setup, pytest_sessionfinish  # noqa: F401

collection.use()
# What is tried is always the same (--hypothesis-profile=default: other things each time), however long it takes.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("steady")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(collection.ROOT / ".cache" / "hypothesis"))


@pytest.fixture(scope="session")
def payloads() -> Iterator[Payloads]:
    """The builder of module payloads."""
    builder = Payloads()
    yield builder
    builder.close()


@pytest.fixture(scope="module")
def new_host(payloads: Payloads, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Host]]:
    """A function that makes test hosts; they end with the test file."""
    made = []

    def make() -> Host:
        made.append(Host(tmp_path_factory.mktemp("host") / "h", payloads))
        return made[-1]
    yield make
    for host in reversed(made):
        host.close()


@pytest.fixture
def host(payloads: Payloads, tmp_path: Path) -> Iterator[Host]:
    """A fresh test host for one test."""
    made = Host(tmp_path / "host", payloads)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_host(new_host: Callable[[], Host]) -> Host:
    """One test host for all tests of a file."""
    return new_host()
