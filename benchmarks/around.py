# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""container_exec and container_copy beside containers.podman's modules and ansible.builtin.ping, for the page.

    .venv/test/bin/python benchmarks/around.py --peers FOLDER [--rounds N] [--print]

benchmarks/run fetches the peer's collection to .cache/peers-VERSION. Each task is a further one of a playbook; the first round,
which packs the modules, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import collection  # noqa: E402

collection.use()

import page  # noqa: E402
import peers  # noqa: E402
from hosts import Host  # noqa: E402
from payloads import Payloads  # noqa: E402
from tasks import summary  # noqa: E402

FILES = 1000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="where the peers' collections are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    choices = parser.parse_args()
    figures: Dict[str, Any] = page.circumstances()
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-benchmark-", dir="/var/tmp") as folder:
            os.chmod(folder, 0o711)
            host = Host(Path(folder) / "host", payloads)
            try:
                figures.update(measure(host, choices.peers.resolve(), choices.rounds))
            finally:
                host.close()
    finally:
        payloads.close()
    page.tell("around", figures, choices.print)
    return 0


def measure(host: Host, collections: Path, rounds: int) -> Dict[str, Any]:
    """Milliseconds of each kind of task, and the ratios of ours to theirs."""
    peers.arrange(host)
    tree = host.folder / "tree"
    for number in range(FILES):
        path = tree / ("d%d" % (number // 50)) / ("f%d" % number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\n" % number * 100)
    stamps = host.folder / "stamps"
    stamps.write_text("", encoding="utf-8")
    variables = {"cgroup_root": host.cgroup_root, "tree": str(tree), "rounds": rounds + 1}
    host.playbook(HERE / "playbook" / "around.yml", "-c", "local", "-e", json.dumps(variables), env={
        "ANSIBLE_COLLECTIONS_PATH": "%s:%s" % (collection.collections_path(), collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callbacks"), "ANSIBLE_CALLBACKS_ENABLED": "stamps",
        "CORACLE_BENCHMARK_STAMPS": str(stamps)})
    times: Dict[str, List[float]] = {}
    for line in stamps.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        times.setdefault(row["task"], []).append(row["seconds"])
    kinds = {name.lower(): summary(seconds[1:]) for name, seconds in times.items() if len(seconds) > rounds}
    return {"milliseconds": kinds, "ratios": {what: round(kinds["coracle " + what]["median"] / kinds["podman " + what]["median"], 3)
                                              for what in ("exec", "copy", "copy again")}}


if __name__ == "__main__":
    sys.exit(main())
