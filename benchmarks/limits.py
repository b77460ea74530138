# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits and metrics: a group with a full set of limits, changing them beside crun, reading many beside Podman."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from bundles import Bundle, config
from hosts import Host

GROUPS = 100
MIB = 1 << 20


def measure(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for each of a few works, taken in turn in the host."""
    bundle = Bundle(host.folder / "limited")
    document = config(args=["/bin/sleep", "3600"])
    document["linux"]["cgroupsPath"] = host.cgroup_root + "/limited"
    bundle.write(document)
    times: Dict[str, List[float]] = host.call(_compare, host.cgroup_root, bundle.folder, rounds)
    return times


def stats(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for one look at all containers that run, by each side's command."""
    times: Dict[str, List[float]] = {"coracle stats": [], "podman stats": []}
    ours = [host.state_root + "/engine/current/coracle", "--cgroup-root", host.cgroup_root, "stats", "--no-stream", "--json"]
    theirs = ["podman", "stats", "--no-stream", "--format", "json"]
    for number in range(rounds + 1):
        for name, command in (("coracle stats", ours), ("podman stats", theirs)):
            began = time.perf_counter()
            told = host.run(command).stdout
            if number:  # the first round only warms up
                times[name].append(time.perf_counter() - began)
            if len(json.loads(told)) < 20:
                raise RuntimeError("%s does not tell of the 20 containers" % name)
    return times


def _full(most: int) -> Any:
    """Limits of every controller that both versions have."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import limits
    return limits.Limits(cpu_quota=50000, cpu_period=100000, cpu_weight=200, cpuset_cpus="0", cpuset_mems="0",
                         memory_max=most, memory_low=8 * MIB, pids_max=50,
                         devices=(limits.DeviceRule(False), limits.DeviceRule(True, "c", 1, 3)))


def _compare(root: str, bundle: Path, rounds: int) -> Dict[str, List[float]]:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import effective, group
    paths = ["%s/many/%d" % (root, number) for number in range(GROUPS)]
    subprocess.run(["crun", "--root", "/run/crun", "run", "--detach", "--bundle", str(bundle), "limited"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for path in paths:
        group.create(path, _full(64 * MIB))
    sleeper = os.fork()
    if not sleeper:
        signal.pause()
    group.attach(paths[0], sleeper)

    def made(_number: int) -> None:
        group.create(root + "/made", _full(64 * MIB))

    def ours(number: int) -> None:
        group.update(paths[1], _full((64 + number % 2) * MIB)._replace(devices=None))

    def theirs(number: int) -> None:
        subprocess.run(["crun", "--root", "/run/crun", "update", "--cpu-quota", "50000", "--cpu-period", "100000", "--cpu-share", "2048",
                        "--cpuset-cpus", "0", "--memory", str((64 + number % 2) * MIB), "--memory-reservation", str(8 * MIB),
                        "--pids-limit", "50", "limited"], check=True)

    def read(_number: int) -> None:
        known: effective.Known = {}
        for path in paths:
            group.usage(path)
            effective.effective(path, known)

    works: Dict[str, Callable[[int], None]] = {"create": made, "update": ours, "crun update": theirs, "metrics": read}
    times: Dict[str, List[float]] = {name: [] for name in works}
    try:
        for number in range(rounds + 1):
            for name, work in works.items():
                began = time.perf_counter()
                work(number)
                if number:  # the first round only warms up
                    times[name].append(time.perf_counter() - began)
            group.remove(root + "/made")
    finally:
        subprocess.run(["crun", "--root", "/run/crun", "delete", "--force", "limited"], check=True)
        group.kill(root + "/many")
        os.waitpid(sleeper, 0)
        group.remove(root + "/many")
    return times
