# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine itself instead of a test host, for what systemd does: in the virtual machine alone."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Union

from ansible_collections.coracle.containers.plugins.module_utils.engine.container import units
from ansible_collections.coracle.containers.plugins.module_utils.engine.host import reset
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

from containers import add_image
from hosts import Host
from payloads import Payloads
from waiting import until


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


@contextmanager
def one_of_its_own(folder: Path, payloads: Payloads, name: str, *slices: str) -> Iterator[System]:
    """The machine with the image; what is made on it goes at the end, the slices too."""
    made = System(folder, payloads, name)
    instance = Instance(made.state_root, made.run_root, made.cgroup_root)
    try:
        add_image(made)
        yield made
    finally:
        reset.reset(instance)
        if slices:
            subprocess.run(["systemctl", "stop", *slices], check=True)
        until(lambda: not list(Path("/sys/fs/cgroup/system.slice").glob(instance.name + "-*")))  # the keeper's service
    until(lambda: reset.remains(instance) == [])  # systemd may be calling the command of a unit that has ended
    assert not list(Path(units.FOLDER).glob(instance.name + "*"))


def show(unit: str, *names: str) -> List[str]:
    """Properties of a unit, as systemd says them."""
    text = subprocess.run(["systemctl", "show", unit, *("-p" + name for name in names)], check=True, capture_output=True,
                          text=True).stdout
    told = dict(line.split("=", 1) for line in text.splitlines())
    return [told[name] for name in names]
