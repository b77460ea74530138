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
from . import documents

_NAME = "all networks"  # no network can have this name
_WIDTH = 16
"""Bytes of the mark that whoever changes something leaves in the lock's file."""


@contextmanager
def changing(instance: Instance) -> Iterator[None]:
    """Be the only one who changes or reads."""
    with locks.held(instance, "network", _NAME) as handle:
        seen, mark = os.pread(handle, _WIDTH, 0), os.urandom(_WIDTH)
        os.pwrite(handle, mark, 0)  # before the first change: who dies half-way has told the others all the same
        with documents.trusted(instance.state_root, seen, mark):
            yield


@contextmanager
def reading(instance: Instance) -> Iterator[None]:
    """See no change half done. Makes no lock: where there is none, nobody has changed anything yet."""
    if os.path.exists(instance.run("locks", "network-" + _NAME)):
        with locks.held(instance, "network", _NAME, shared=True) as handle:
            seen = os.pread(handle, _WIDTH, 0)
            with documents.trusted(instance.state_root, seen, seen):
                yield
    else:
        yield
