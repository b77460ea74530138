#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a container waits for a neighbour's name, and what the resolver costs in memory: python3 benchmarks/names.py [ROUNDS].

Beside it the same question to a socket that only echoes it, in Python on the same bridge: the way there and back, without the resolver.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import collection

collection.use()

from containers import Runner, add_image  # noqa: E402
from hosts import MANAGED_PYTHON, Host  # noqa: E402
from payloads import Payloads  # noqa: E402
from talk import inside  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "dnsask.py"
ECHO = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.50.0.1', 5300)); print('ready', flush=True)\n"
        "while True: s.sendto(*s.recvfrom(512))")


def main(rounds: int) -> None:
    """Measure in a test host."""
    with tempfile.TemporaryDirectory(prefix="coracle-names-") as folder:
        host = Host(Path(folder) / "host", Payloads())
        try:
            add_image(host)
            host.module("container_netns", name="first", network={"name": "front", "subnet": "10.50.0.0/24"})
            run = Runner(host)
            for name in ("a", "b"):
                run(name, networks=[{"name": "front"}])
            echo = host.start([MANAGED_PYTHON, "-c", ECHO], stdout=subprocess.PIPE)
            assert echo.stdout is not None and echo.stdout.readline() == b"ready\n"
            found: "dict[str, List[float]]" = {"53": [], "5300": []}
            for _turn in range(5):  # in turns, so that both meet the same load
                for port, times in found.items():
                    times += json.loads(host.run([*inside("a"), MANAGED_PYTHON, str(SCRIPT), "speed", "10.50.0.1", "b",
                                                  str(rounds // 5), port]).stdout)
            echo.kill()
            rollup = host.shell("cat /proc/$(pgrep -x coracle-names)/smaps_rollup")
            for what, times in (("a name, microseconds", found["53"]), ("an echo, microseconds", found["5300"])):
                sys.stdout.write("%-24s least %5.1f   median %5.1f   99 of 100 below %6.1f\n" % (
                    what, min(times), statistics.median(times), statistics.quantiles(times, n=100)[98]))
            sys.stdout.write("resolver, KiB            %s\n" % "   ".join("%s %s" % each for each in re.findall(
                r"^(Rss|Pss|Private_Dirty): +(\d+) kB", rollup, re.M)))
        finally:
            host.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
