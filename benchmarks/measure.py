# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures all of it in one test host and writes the page; see README.md for how and what."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import collection  # noqa: E402

collection.use()

import engine  # noqa: E402
import hardened  # noqa: E402
import limits  # noqa: E402
import memory  # noqa: E402
import page  # noqa: E402
import peers  # noqa: E402
from hosts import MANAGED_PYTHON, Host  # noqa: E402
from payloads import Payloads  # noqa: E402
from tasks import Tasks, summary, table  # noqa: E402

LOOP = 20


def main() -> int:
    """Measure, write, say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="where the peers' collections are")
    parser.add_argument("--quick", action="store_true", help="one round of each, to see that it works")
    parser.add_argument("--runtimes", action="store_true", help="the runtime alone; the rest of the page stays as it is")
    parser.add_argument("--tasks", action="store_true", help="single tasks; the rest of the page stays as it is")
    choices = parser.parse_args()
    if os.geteuid():
        parser.error("containers need root")
    target = HERE.parent / ".cache" / "benchmarks" if choices.quick else HERE
    target.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that the host is closed then, too
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-benchmark-", dir="/var/tmp") as folder:
            os.chmod(folder, 0o711)  # the root of a user namespace, who is nobody here, has to pass
            host = Host(Path(folder) / "host", payloads)
            try:
                if choices.runtimes or choices.tasks:
                    figures = again(host, HERE / "results.json", choices)
                else:
                    figures = measure(host, choices.peers, choices.quick)
            finally:
                host.close()
    finally:
        payloads.close()
    before = HERE / "results.json"
    if before.exists():  # what other commands have measured stays
        kept = json.loads(before.read_text(encoding="utf-8"))
        figures.update({name: kept[name] for name in page.OTHERS if name in kept})
    (target / "results.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (target / "results.md").write_text(page.render(figures), encoding="utf-8")
    sys.stdout.write("%s\n" % (target / "results.md"))
    return 0


def again(host: Host, before: Path, choices: argparse.Namespace) -> Dict[str, Any]:
    """The figures of the last run, but for those of single tasks or of the runtime alone, which are measured anew."""
    figures: Dict[str, Any] = json.loads(before.read_text(encoding="utf-8"))
    peers.arrange(host)
    if choices.tasks:
        load = os.getloadavg()[0]
        figures["surprises"] = single(host, choices.peers, figures, choices.quick)
        figures["tasks"] = {**page.circumstances(), "load": load}
    if choices.runtimes:
        runtimes(host, figures, choices.quick)
    return figures


def single(host: Host, collections: Path, figures: Dict[str, Any], quick: bool) -> List[str]:
    """Tasks of one container each; what the peer's said otherwise than expected."""
    bridged, plain = (Tasks(host, collections, mode) for mode in ("bridge", "none"))
    for name, text, take in (("alone", "each alone in its playbook", lambda: bridged.alone(0 if quick else 45)),
                             ("following", "one after another in a playbook", lambda: bridged.following(0 if quick else 45)),
                             ("following, no network", "the same without network", lambda: plain.following(0 if quick else 25))):
        say("tasks, " + text)
        times = take()
        figures["seconds"][name] = times
        figures["summary"][name] = table(times)
    return bridged.surprises + plain.surprises


def runtimes(host: Host, figures: Dict[str, Any], quick: bool) -> None:
    """The runtime alone: containers, further processes in one, and what hardening costs."""
    say("runtimes")
    load = os.getloadavg()[0]
    for name, times in (("runtime", engine.measure(host, 5 if quick else 50)), ("exec", engine.measure_exec(host, 5 if quick else 60)),
                        ("hardened", hardened.measure(host, 5 if quick else 60))):
        figures["seconds"][name] = times
        figures["summary"][name] = {side: summary(seconds) for side, seconds in times.items()}
    figures["load beside the runtimes"] = [load, os.getloadavg()[0]]


def measure(host: Host, collections: Path, quick: bool) -> Dict[str, Any]:
    """All figures; seconds where nothing else is said."""
    say("arranging the peers")
    peers.arrange(host)
    figures: Dict[str, Any] = {"machine": machine(host, collections), "summary": {}, "seconds": {}}

    surprises = single(host, collections, figures, quick)
    bridged = Tasks(host, collections, "bridge")
    say("loops of %d" % LOOP)
    looks: Dict[str, List[float]] = {}

    def watch(what: str) -> None:
        if what == "create":
            figures["memory"] = memory.measure(host)
            if not looks:  # once is enough
                looks.update(limits.stats(host, 1 if quick else 10))
    times = bridged.alone(0 if quick else 100, LOOP, watch)
    figures["seconds"]["loop"] = times
    figures["summary"]["loop"] = table(times)
    figures["surprises"] = surprises + bridged.surprises
    runtimes(host, figures, quick)
    say("limits")
    times = {**limits.measure(host, 5 if quick else 100), **looks}
    figures["seconds"]["limits"] = times
    figures["summary"]["limits"] = {name: summary(seconds) for name, seconds in times.items()}
    figures["machine"]["load_after"] = os.getloadavg()[0]
    return figures


def machine(host: Host, collections: Path) -> Dict[str, Any]:
    """What was measured on, and with what."""
    model = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
             if line.startswith("model name")]
    manifest = json.loads((collections / "ansible_collections/containers/podman/MANIFEST.json").read_text(encoding="utf-8"))
    ansible = host.run([Path(sys.executable).with_name("ansible"), "--version"]).stdout.split("\n", 1)[0]
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "processor": model[0], "processors": len(model),
            "kernel": platform.release(), "python": host.run([MANAGED_PYTHON, "--version"]).stdout.split()[1],
            "controller_python": platform.python_version(), "ansible-core": ansible.split("core ")[1].rstrip("]"),
            "containers.podman": manifest["collection_info"]["version"], "load_before": os.getloadavg()[0],
            **peers.versions(host)}


def say(text: str) -> None:
    """Say what is under way."""
    sys.stderr.write("== %s\n" % text)


if __name__ == "__main__":
    sys.exit(main())
