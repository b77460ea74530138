#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that container_info tells of many containers that run, in one warm process.

    benchmarks/information.py [--containers 100] [--rounds 10] [--peers .cache/peers-VERSION] [--print]

Milliseconds of the clock and of the processor for each part alone and for all of them together; on a machine that has other
work too, go by the processor's. With C(--peers), which benchmarks/run has brought, also the seconds of a task that asks for everything,
beside that of containers.podman about as many containers of Podman.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import collection
import page
import peers
from containers import SLEEP, add_image
from hosts import Host
from payloads import Payloads

PARTS = ("network", "mounts", "usage", "limits", "processes", "drift")
EVERYTHING = ["network", "mounts", "usage", "limits", "processes"]


def start(cgroup_root: str, count: int, image: str) -> None:
    """Run so many containers, by the contract's own functions in one process."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.container import client, resource
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.option import differences, parse
    from ansible_collections.coracle.containers.plugins.module_utils.options.container import OPTIONS
    instance = Instance(cgroup_root=cgroup_root)
    client.ENGINE = os.path.realpath(instance.state("engine", "current"))  # the keeper is that of the host
    for number in range(count):
        given = {row.name: row.default for row in OPTIONS}
        given.update(name="web-%03d" % number, image=image, command=SLEEP, env={"A": "b"}, memory_max="64M",
                     volumes=["data-%d:/data" % number], labels={"app": "shop"})
        desired = resource.resolve(instance, parse(OPTIONS, given))
        observed = resource.observe(instance, desired)
        resource.apply(instance, desired, observed, resource.plan(
            desired, observed, differences(OPTIONS, desired.options, observed.options)))


def read(cgroup_root: str, rounds: int) -> Dict[str, List[Tuple[float, float]]]:
    """Seconds of the clock and of the processor of each look, by what was looked at."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.container import info
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    instance = Instance(cgroup_root=cgroup_root)
    times: Dict[str, List[Tuple[float, float]]] = {}
    for _round in range(rounds + 1):
        for what, parts in [("state alone", []), *((part, [part]) for part in PARTS), ("everything but drift", EVERYTHING)]:
            began = time.perf_counter(), time.process_time()
            found = info.describe(instance, {"name": None, "label": None, "image": None, "state": None, "gather": parts, "logs_tail": None,
                                             "interval": 0})
            times.setdefault(what, []).append((time.perf_counter() - began[0], time.process_time() - began[1]))
            if [each["status"] for each in found] != ["running"] * len(found):
                raise RuntimeError("not all of them run")
    return {what: seconds[1:] for what, seconds in times.items()}


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
    - coracle.containers.container_info:
        gather: [network, mounts, usage, limits, processes]
        cgroup_root: %s
    - containers.podman.podman_container_info:
"""

BRING = """
- hosts: localhost
  gather_facts: false
  tasks:
    - coracle.containers.container_volume:
        name: none
        state: absent
        cgroup_root: %s
"""
"""What only looks installs nothing: as on any host, a task that may change something has been there before."""


def tasks(host: Host, collections: str, rounds: int) -> Dict[str, List[float]]:
    """Seconds of each task of playbooks that ask for everything, the sides in turn."""
    stamps = host.folder / "stamps"
    environment = {"ANSIBLE_COLLECTIONS_PATH": "%s:%s" % (collection.collections_path(), collections),
                   "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).resolve().parent / "callbacks"), "ANSIBLE_CALLBACKS_ENABLED": "stamps",
                   "CORACLE_BENCHMARK_STAMPS": str(stamps)}
    times: Dict[str, List[float]] = {}
    host.playbook(BRING % host.cgroup_root, "-c", "local", env=environment)
    for _round in range(rounds):
        stamps.write_text("", encoding="utf-8")
        host.playbook(PLAYBOOK % host.cgroup_root, "-c", "local", env=environment)
        for line in stamps.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            times.setdefault(row["task"], []).append(row["seconds"])
    return times


def main(arguments: List[str]) -> int:
    """Start them, look, say how long it took."""
    parser = argparse.ArgumentParser(description="Reading everything about many containers.")
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peers", help="where the collection containers.podman is: tasks are compared with its own")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    chosen = parser.parse_args(arguments)
    figures: Dict[str, Any] = page.circumstances()
    compared: Dict[str, List[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder) / "host", Payloads())
        try:
            if chosen.peers:
                peers.arrange(host)
            else:
                add_image(host)
            host.call(start, host.cgroup_root, chosen.containers, "bench" if chosen.peers else "busybox")
            times: Dict[str, Any] = host.call(read, host.cgroup_root, chosen.rounds)
            if chosen.peers:
                host.shell("for at in $(seq %d); do podman run -d --network none --cgroup-parent %s/podman bench /bin/sleep 100000; done"
                           % (chosen.containers, host.cgroup_root))
                compared = tasks(host, os.path.abspath(chosen.peers), chosen.rounds)
                host.shell("podman rm -f -t 0 -a")
        finally:
            host.close()
    figures.update({
        "containers": chosen.containers,
        "milliseconds": {what: {"clock": round(1000 * statistics.median(each[0] for each in seconds), 1),
                                "processor": round(1000 * statistics.median(each[1] for each in seconds), 1)}
                         for what, seconds in times.items()},
        "seconds of a task": {what: {"median": round(statistics.median(seconds), 2), "least": round(min(seconds), 2)}
                              for what, seconds in compared.items()}})
    page.tell("information", figures, chosen.print)
    return 0


if __name__ == "__main__":
    collection.use()
    sys.exit(main(sys.argv[1:]))
