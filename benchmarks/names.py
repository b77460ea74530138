#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a container waits for a neighbour's name, and what the resolver costs in memory.

    benchmarks/names.py [--rounds 10000] [--print]

Beside it the same question to a socket that only echoes it, in Python on the same bridge: the way there and back, without the resolver.
Writes its part of results.json and results.md, or prints it.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import collection

collection.use()

import page  # noqa: E402
from containers import Runner, add_image  # noqa: E402
from hosts import MANAGED_PYTHON, Host  # noqa: E402
from payloads import Payloads  # noqa: E402
from talk import inside  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "tests" / "dnsask.py"
ECHO = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.50.0.1', 5300)); print('ready', flush=True)\n"
        "while True: s.sendto(*s.recvfrom(512))")


def measure(host: Host, rounds: int) -> Dict[str, Any]:
    """Microseconds of an answer and of an echo, and KiB of the resolver."""
    add_image(host)
    host.module("container_netns", name="first", network={"name": "front", "subnet": "10.50.0.0/24"})
    run = Runner(host)
    for name in ("a", "b"):
        run(name, networks=[{"name": "front"}])
    echo = host.start([MANAGED_PYTHON, "-c", ECHO], stdout=subprocess.PIPE)
    try:
        assert echo.stdout is not None and echo.stdout.readline() == b"ready\n"
        found: Dict[str, List[float]] = {"53": [], "5300": []}
        for _turn in range(5):  # in turns, so that both meet the same load
            for port, times in found.items():
                times += json.loads(host.run([*inside("a"), MANAGED_PYTHON, str(SCRIPT), "speed", "10.50.0.1", "b",
                                              str(rounds // 5), port]).stdout)
    finally:
        echo.kill()
        echo.wait()
    rollup = host.shell("cat /proc/$(pgrep -x coracle-names)/smaps_rollup")
    figures: Dict[str, Any] = {what: {"least": min(times), "median": statistics.median(times),
                                      "99 of 100": statistics.quantiles(times, n=100)[98]}
                               for what, times in (("name", found["53"]), ("echo", found["5300"]))}
    figures["resolver, KiB"] = {key: int(size) for key, size in re.findall(r"^(Rss|Pss|Private_Dirty): +(\d+) kB", rollup, re.M)}
    return figures


def main() -> None:
    """Measure in a test host, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10000, help="questions")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    choices = parser.parse_args()
    payloads = Payloads()
    figures: Dict[str, Any] = page.circumstances()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-names-") as folder:
            host = Host(Path(folder) / "host", payloads)
            try:
                figures.update(measure(host, choices.rounds))
            finally:
                host.close()
    finally:
        payloads.close()
    page.tell("names", figures, choices.print)


if __name__ == "__main__":
    main()
