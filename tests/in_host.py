# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a fresh test host, and end with its status: python in_host.py COMMAND [ARGUMENT...]."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

import collection
from hosts import MARK, Host
from payloads import Payloads


def main(command: List[str]) -> int:
    """Make the host, run, end the host."""
    collection.use()
    with tempfile.TemporaryDirectory(prefix="coracle-host-") as folder:
        host = Host(Path(folder) / "host", Payloads())
        try:
            return subprocess.run(host.command("env", "--chdir", os.getcwd(), *command), check=False, stdin=subprocess.DEVNULL,
                                  env={**os.environ, MARK: host.name, "CORACLE_CGROUP_ROOT": host.cgroup_root}
                                  ).returncode
        finally:
            host.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
