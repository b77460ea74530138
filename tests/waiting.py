# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting in tests: until something holds, with a limit that a loaded or emulated machine keeps."""

from __future__ import annotations

import os
import time
from typing import Callable

PATIENCE = float(os.environ.get("CORACLE_TEST_PATIENCE") or 120)
"""Seconds after which what should happen is said not to; nothing that passes takes as long."""


def until(holds: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not within the time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen within %g s" % seconds
        time.sleep(pause)
