# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one lock of an instance's networks: leases, ports, bridges and the table depend on one another."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

from ..instance import Instance
from ..store import locks

_NAME = "all networks"  # no network can have this name


@contextmanager
def changing(instance: Instance) -> Iterator[None]:
    """Be the only one who changes or reads."""
    with locks.held(instance, "network", _NAME):
        yield


@contextmanager
def reading(instance: Instance) -> Iterator[None]:
    """See no change half done. Makes no lock: where there is none, nobody has changed anything yet."""
    if os.path.exists(instance.run("locks", "network-" + _NAME)):
        with locks.held(instance, "network", _NAME, shared=True):
            yield
    else:
        yield
