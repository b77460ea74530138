# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and clients at places of a test host: itself, or one of its network namespaces."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Dict, Iterable, List

from hosts import MANAGED_PYTHON, Host

SCRIPT = Path(__file__).parent / "integration" / "network" / "conversation.py"


def inside(where: str) -> List[str]:
    """What to put before a command to run it at a place."""
    return [] if where in ("host", "outside") else ["nsenter", "--net=/run/coracle/netns/" + where]


def serve(host: Host, where: str, *ports: int) -> "subprocess.Popen[bytes]":
    """Start a server and wait until it listens."""
    server = host.start([*inside(where), MANAGED_PYTHON, str(SCRIPT), "serve", where, *map(str, ports)], stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    return server


def ask(host: Host, where: str, *targets: str, hoped: Iterable[str] = ()) -> Dict[str, str]:
    """What targets answer to somebody at a place.

    Args:
        hoped: Those that are expected to answer: a machine that is busy gets more time for them.
    """
    def once(seconds: float, asked: Iterable[str]) -> Dict[str, str]:
        return dict(json.loads(host.run([*inside(where), MANAGED_PYTHON, str(SCRIPT), "ask", "%g" % seconds, *asked]).stdout))
    answers = once(1, targets)
    missing = [target for target in hoped if answers[target] == "nothing"]
    return {**answers, **once(60, missing)} if missing else answers


def end(servers: Iterable["subprocess.Popen[bytes]"]) -> None:
    """End servers; what they have started ends with the host, and may hold their output open till then."""
    for server in servers:
        server.kill()
        server.wait()
        if server.stdout:
            server.stdout.close()
