# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of the benchmarks of pulls and pushes: a test host with a docker-registry, arguments, figures as JSON."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import collection

collection.use()

import page  # noqa: E402
from hosts import MANAGED_PYTHON, Host  # noqa: E402
from payloads import Payloads  # noqa: E402
from registries import Registry  # noqa: E402

_ISAL = "1.9.1"
Measure = Callable[[Host, Registry, argparse.Namespace], Dict[str, Any]]


def arguments(description: str, rounds: int, seconds: float) -> argparse.ArgumentParser:
    """The arguments that both have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="after which no further round begins")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    return parser


class Rounds:
    """What each side took, round by round: seconds, and seconds of processor time, which are steadier on a loaded machine."""

    def __init__(self, sides: Sequence[str]) -> None:
        self._sides = list(sides)
        self.seconds: Dict[str, List[float]] = {side: [] for side in sides}
        self.processor: Dict[str, List[float]] = {side: [] for side in sides}

    def order(self) -> List[str]:
        """The sides for the next round; each is first in turn."""
        number = len(self.seconds[self._sides[0]]) % len(self._sides)
        return self._sides[number:] + self._sides[:number]

    def run(self, side: str, work: Callable[..., float], *arguments: Any) -> None:
        """Let one side work, which returns its seconds, once the disk has nothing else to write."""
        os.sync()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds[side].append(round(work(*arguments), 3))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.processor[side].append(round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3))

    def medians(self) -> Dict[str, Dict[str, float]]:
        """One figure for each side."""
        return {side: {"seconds": round(statistics.median(self.seconds[side]), 3), "least": min(self.seconds[side]),
                       "processor": round(statistics.median(self.processor[side]), 3)} for side in self._sides}

    def ratio(self, side: str, peers: Sequence[str]) -> Dict[str, float]:
        """A side's time to that of the faster peer: median of the rounds' ratios, and that of the least times."""
        def pairs(times: Dict[str, List[float]]) -> float:
            return statistics.median(own / min(others) for own, *others in zip(times[side], *(times[peer] for peer in peers)))
        return {"seconds": round(pairs(self.seconds), 3), "processor": round(pairs(self.processor), 3),
                "least": round(min(self.seconds[side]) / min(min(self.seconds[peer]) for peer in peers), 3)}


def with_isal() -> str:
    """A folder with isal for the managed host's Python: a line of our scripts for C(sys.path) then finds it."""
    folder = Path(__file__).resolve().parent.parent / ".cache" / ("isal-" + _ISAL)
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-input", "--no-deps", "--target", folder, "isal==" + _ISAL],
                       check=True, stdout=sys.stderr)
    return str(folder)


def main(choices: argparse.Namespace, name: str, measure: Measure) -> int:
    """Measure on a host of its own, below /var/tmp, and print, or put the figures under a name on the page."""
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-benchmark-", dir="/var/tmp") as folder:
            host = Host(Path(folder) / "host", payloads)
            registry = Registry(host)
            try:
                figures = {**_circumstances(host), **measure(host, registry, choices)}
                figures["load_after"] = os.getloadavg()[0]
            finally:
                registry.close()
                host.close()
    finally:
        payloads.close()
    page.tell(name, figures, choices.print)
    return 0


def _circumstances(host: Host) -> Dict[str, Any]:
    said = host.shell("podman --version; skopeo --version; %s --version; PYTHONPATH=%s %s -c 'import isal.isal_zlib' && echo isal has || :"
                      % (MANAGED_PYTHON, with_isal(), MANAGED_PYTHON))
    versions = {line.split()[0].lower(): line.split()[-1] for line in said.splitlines()}
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "kernel": platform.release(), "python": versions["python"],
            "podman": versions["podman"], "skopeo": versions["skopeo"], "isal": "isal" in versions,
            "load_before": os.getloadavg()[0]}
