# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks in tests."""

from __future__ import annotations

from typing import Any, Dict, List

from containers import SLEEP
from hosts import Host

HEALTHY = {"test": ["CMD", "true"], "interval": "1s"}


def service(**options: Any) -> Dict[str, Any]:
    """A service that runs until it is told to end."""
    return {"image": "busybox", "command": SLEEP, "stop_timeout": "2s", "pull": "never", **options}


class Stacks:
    """Runs stacks on one host, and removes them.

    Attributes:
        host: The host.
        names: Those that it has run.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.names: List[str] = []

    def __call__(self, name: str, declared: Any = None, **options: Any) -> Dict[str, Any]:
        if name not in self.names:
            self.names.append(name)
        parts = {part: options.pop(part) for part in ("networks", "volumes", "secrets", "configs") if part in options}
        if declared is not None:
            options["definition"] = {"services": declared, **parts}
        return self.host.module("container_stack", name=name, **options)

    def names_running(self) -> List[str]:
        """The containers that run."""
        found = self.host.module("container_info")
        return sorted(each["name"] for each in found["containers"] if each["status"] == "running")

    def clear(self) -> None:
        """Take all of it away."""
        for name in self.names:
            self.host.module("container_stack", name=name, state="absent", keep_volumes=False)
