# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: a fork of a keeper that listens for containers that sleep, and has another keeper started when that one ends.

Nothing else might be there that does so: a container that sleeps has no monitor, and maybe no network with a resolver.
"""

from __future__ import annotations

import os
import select
import signal

from ..instance import Instance
from ..kernel import processes
from ..network import publish
from . import client


def main(instance: Instance, keeper: int) -> int:
    """Wait for the end of a keeper; the exit status of the process.

    Raises:
        EngineError: No other could be started.
    """
    processes.set_name("coracle-guard")
    os.setsid()
    try:
        handle = os.pidfd_open(keeper)
    except ProcessLookupError:
        handle = -1
    if handle >= 0 and os.getppid() == keeper:  # else it has ended before it could be watched
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.poll()
    if os.path.isdir(publish.listening_folder(instance)):
        client.ask(instance, {"do": "mind"}).close()
    return 0


def end(guard: int) -> None:
    """End one that is needed no longer: a child of this process."""
    os.kill(guard, signal.SIGKILL)
