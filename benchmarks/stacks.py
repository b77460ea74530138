#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of many services beside podman_container in a loop, podman kube play and podman-compose.

    benchmarks/stacks.py --peers FOLDER [--count 50] [--many 200] [--rounds 3] [--only ours] [--print]

Each service has a network, a named volume, limits and a published port. Steps: from nothing to all running, unchanged, one
changed, removal; each as the only task of a playbook, and from the moment that the task is handed out to its result. The loop, which
takes minutes, is run once, the others in each round. FOLDER holds the peers' collections; benchmarks/run fetches them to
.cache/peers-VERSION. podman-compose is taken from the PATH or from a virtual environment beside this Python, where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import collection  # noqa: E402

collection.use()

import page  # noqa: E402
import peers  # noqa: E402
from hosts import Host  # noqa: E402
from payloads import Payloads  # noqa: E402

PORT = 20000
STEPS = ("create", "unchanged", "one changed", "remove")
COMMAND = ["/bin/sleep", "1000"]


class Sides:
    """What is done with each, in one test host."""

    def __init__(self, host: Host, collections: Optional[Path]) -> None:
        self.host = host
        self.stamps = host.folder / "stamps"
        paths = [str(collection.collections_path())] + ([str(collections.resolve())] if collections else [])
        self.environment = {"ANSIBLE_COLLECTIONS_PATH": ":".join(paths), "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callbacks"),
                            "ANSIBLE_CALLBACKS_ENABLED": "stamps", "CORACLE_BENCHMARK_STAMPS": str(self.stamps)}

    def task(self, task: Dict[str, Any], changes: Optional[bool]) -> float:
        """Run a task as the only one of a playbook; seconds.

        Raises:
            RuntimeError: It did not change what it had to, or did.
        """
        self.stamps.write_text("", encoding="utf-8")
        play = [{"name": "Benchmark", "hosts": "localhost", "gather_facts": False, "tasks": [dict(name="Measured", **task)]}]
        self.host.playbook(json.dumps(play) + "\n", "-c", "local", env=self.environment)
        (row,) = [json.loads(line) for line in self.stamps.read_text(encoding="utf-8").splitlines()]
        if changes is not None and row["changed"].count(not changes):
            raise RuntimeError("%s: changed is %s" % (task, row["changed"]))
        return float(row["seconds"])

    def ping(self) -> float:
        """What any task costs."""
        return self.task({"ansible.builtin.ping": {}}, False)

    def ours(self, step: str, count: int) -> float:
        """A step by container_stack."""
        services = {"s%d" % at: {
            "image": "bench", "command": COMMAND, "env": {"COLOUR": "red" if step == "one changed" and at == 0 else "blue"},
            "memory": "64M", "pids_limit": 100, "cpus": 0.5, "stop_signal": "SIGKILL", "pull": "never", "networks": ["front"],
            "volumes": ["data%d:/data" % at], "published_ports": ["%d:80" % (PORT + at)]} for at in range(count)}
        args = {"name": "bench", "cgroup_root": self.host.cgroup_root, "definition": {
            "services": services, "networks": {"front": {}}, "volumes": {"data%d" % at: {} for at in range(count)}}}
        if step == "remove":
            args = {"name": "bench", "cgroup_root": self.host.cgroup_root, "state": "absent", "keep_volumes": False}
        return self.task({"coracle.containers.container_stack": args}, step != "unchanged")

    def loop(self, step: str, count: int) -> float:
        """A step by podman_container in a loop; the network is there before."""
        if step == "create":
            self.host.shell("podman network exists front || podman network create front")
        args: Dict[str, Any] = {
            "name": "c{{ item }}", "state": "started", "image": "localhost/bench:latest", "command": COMMAND,
            "env": {"COLOUR": "{{ 'red' if item == 0 else 'blue' }}" if step == "one changed" else "blue"}, "memory": "64m",
            "pids_limit": "100", "cpus": "0.5", "stop_signal": 9, "network": "front", "volumes": ["data{{ item }}:/data"],
            "ports": ["{{ %d + item }}:80" % PORT], "cgroup_parent": self.host.cgroup_root + "/podman"}
        if step == "remove":
            args = {"name": "c{{ item }}", "state": "absent"}
        return self.task({"containers.podman.podman_container": args, "loop": "{{ range(%d) | list }}" % count}, None)

    def kube(self, step: str, count: int) -> float:
        """A step by podman kube play with --replace, which has no other way to change one; a pod for each service."""
        path = self.host.folder / "pods.yml"
        pods = []
        for at in range(count):
            container = {"name": "c", "image": "localhost/bench:latest", "command": COMMAND, "imagePullPolicy": "Never",
                         "env": [{"name": "COLOUR", "value": "red" if step == "one changed" and at == 0 else "blue"}],
                         "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
                         "ports": [{"containerPort": 80, "hostPort": PORT + at}], "volumeMounts": [{"mountPath": "/data", "name": "data"}]}
            pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "k%d" % at}, "spec": {
                "terminationGracePeriodSeconds": 0, "containers": [container],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "kube%d" % at}}]}})
        path.write_text("\n---\n".join(map(json.dumps, pods)) + "\n", encoding="utf-8")
        more = ["--down"] if step == "remove" else ["--network", "kubed"] + ["--replace"] * (step != "create")
        if step == "create":
            self.host.shell("podman network exists kubed || podman network create kubed")
        return self.task({"ansible.builtin.command": {"argv": ["podman", "kube", "play", *more, str(path)]}}, None)

    def compose(self, step: str, count: int) -> float:
        """A step by podman-compose."""
        folder = self.host.folder / "compose"
        folder.mkdir(exist_ok=True)
        services = {"s%d" % at: {
            "image": "localhost/bench:latest", "command": COMMAND, "mem_limit": "64m", "pids_limit": 100, "cpus": 0.5,
            "stop_signal": "SIGKILL", "environment": {"COLOUR": "red" if step == "one changed" and at == 0 else "blue"},
            "networks": ["front"],
            "volumes": ["data%d:/data" % at], "ports": ["%d:80" % (PORT + at)]} for at in range(count)}
        (folder / "compose.yaml").write_text(json.dumps({"services": services, "networks": {"front": {}}, "volumes": {
            "data%d" % at: {} for at in range(count)}}), encoding="utf-8")
        program = compose_program()
        words = ["down", "--volumes", "--timeout", "0"] if step == "remove" else ["up", "--detach"]
        return self.task({"ansible.builtin.command": {"argv": [program, *words], "chdir": str(folder)}}, None)


def compose_program() -> str:
    """Where podman-compose is, or nothing."""
    beside = Path(sys.executable).with_name("podman-compose")
    return str(beside) if beside.exists() else shutil.which("podman-compose") or ""


def measure(host: Host, choices: argparse.Namespace) -> Dict[str, Any]:
    """Seconds of all rounds."""
    sides = Sides(host, choices.peers)
    found: Dict[str, Any] = {"count": choices.count, "many": choices.many, "seconds": {}}

    def note(side: str, step: str, seconds: float) -> None:
        found["seconds"].setdefault(side, {}).setdefault(step, []).append(seconds)
        sys.stderr.write("%-8s %-12s %8.3f s  (load %.1f)\n" % (side, step, seconds, os.getloadavg()[0]))

    peers.arrange(host)
    names = ["ours"] if choices.only else ["ours", "kube"] + ["compose"] * bool(compose_program())
    for step in ("create", "remove"):  # brings the engine to the host
        sides.ours(step, 1)
    for _round in range(choices.rounds):
        note("ping", "ping", sides.ping())
        for name in names:
            for step in STEPS:
                note(name, step, getattr(sides, name)(step, choices.count))
    if not choices.only:
        for step in STEPS:
            note("loop", step, sides.loop(step, choices.count))
    if choices.many:
        note("many", "create", sides.ours("create", choices.many))
        for _round in range(2 * choices.rounds):
            note("ping", "ping", sides.ping())
            note("many", "unchanged", sides.ours("unchanged", choices.many))
        note("many", "remove", sides.ours("remove", choices.many))
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="where the peers' collections are")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--many", type=int, default=200, help="services of the unchanged run; 0 for none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("ours",), help="leave the peers out")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    choices = parser.parse_args()
    if os.geteuid():
        parser.error("containers need root")
    if not choices.peers and not choices.only:
        parser.error("--peers is missing")
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that the host is closed then, too
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-benchmark-", dir="/var/tmp") as folder:
            host = Host(Path(folder) / "host", payloads)
            try:
                found = {**page.circumstances(), **measure(host, choices)}
            finally:
                host.close()
    finally:
        payloads.close()
    page.tell("stacks", found, choices.print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
