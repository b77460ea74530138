# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine itself instead of a test host, for what systemd does: in the virtual machine alone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Union

from hosts import Host
from payloads import Payloads


class System(Host):
    """The machine itself, as far as modules are run on it, with an instance of its own."""

    def __init__(self, folder: Path, payloads: Payloads, name: str) -> None:  # pylint: disable=super-init-not-called
        self.folder = folder
        self.name = name
        self.state_root, self.run_root, self.cgroup_root = "/var/lib/coracle-" + name, "/run/coracle-" + name, "/coracle-" + name
        self._payloads = payloads
        self._payload_numbers = iter(range(1, 1000))  # type: ignore[assignment]

    def command(self, *argv: Union[str, Path]) -> List[str]:
        return [str(word) for word in argv]


def show(unit: str, *names: str) -> List[str]:
    """Properties of a unit, as systemd says them."""
    text = subprocess.run(["systemctl", "show", unit, *("-p" + name for name in names)], check=True, capture_output=True,
                          text=True).stdout
    told = dict(line.split("=", 1) for line in text.splitlines())
    return [told[name] for name in names]
