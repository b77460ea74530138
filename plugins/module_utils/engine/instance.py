# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation of the engine on a host: its two roots and its names.

Two instances with different roots share nothing: no file, cgroup, link or rule.
"""

from __future__ import annotations

import os
import zlib
from typing import NamedTuple

STATE_ROOT = "/var/lib/coracle"
RUN_ROOT = "/run/coracle"
CGROUP_ROOT = "/coracle"


class Instance(NamedTuple):
    """Where an instance keeps things.

    Attributes:
        state_root: Absolute folder for what survives a reboot.
        run_root: Absolute folder, on a tmpfs, for what must not.
        cgroup_root: Absolute path below which this instance makes cgroups, in each hierarchy.
    """

    state_root: str = STATE_ROOT
    run_root: str = RUN_ROOT
    cgroup_root: str = CGROUP_ROOT

    @property
    def name(self) -> str:
        """C(coracle) for the default roots, else with a suffix that is the same for the same roots."""
        if (self.state_root, self.run_root) == (STATE_ROOT, RUN_ROOT):
            return "coracle"
        return "coracle-%08x" % zlib.crc32(os.fsencode(self.state_root + "\n" + self.run_root))

    def state(self, *parts: str) -> str:
        """A path below the state root."""
        return os.path.join(self.state_root, *parts)

    def run(self, *parts: str) -> str:
        """A path below the run root."""
        return os.path.join(self.run_root, *parts)

    def cgroup(self, *parts: str) -> str:
        """A cgroup path (absolute, relative to each hierarchy's mount)."""
        return os.path.join(self.cgroup_root, *parts)
