# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime alone, beside crun and runc: one program that ends at once, from the same bundle."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Dict, List

from bundles import Bundle, config
from hosts import Host


def measure(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for create, start, wait and delete, by runtime, taken in turn in the host."""
    bundle = Bundle(host.folder / "bundle")
    document = config(args=["/bin/true"])
    document["linux"]["cgroupsPath"] = host.cgroup_root + "/runtime"
    bundle.write(document)
    times: Dict[str, List[float]] = host.call(_compare, bundle, rounds)
    return times


def _compare(bundle: Bundle, rounds: int) -> Dict[str, List[float]]:
    times: Dict[str, List[float]] = {"coracle": [], "crun": [], "runc": []}
    for number in range(rounds + 1):
        for name, seconds in times.items():
            began = time.perf_counter()
            if name == "coracle":
                _ours(bundle)
            else:
                _peer(name, bundle.folder)
            if number:  # the first round only warms up
                seconds.append(time.perf_counter() - began)
    return times


def _ours(bundle: Bundle) -> None:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, start
    made = create.create(str(bundle.folder), bundle.state())
    start.start(bundle.state())
    os.close(made.pidfd)
    _pid, status = os.waitpid(made.pid, 0)
    delete.delete(bundle.state())
    if status:
        raise RuntimeError("the program ended with wait status %d" % status)


def _peer(name: str, bundle: Path) -> None:
    program = "/usr/bin/crun" if name == "crun" else "/usr/sbin/runc"
    pid = os.posix_spawn(program, [name, "--root", "/run/" + name, "run", "--bundle", str(bundle), "bench"], os.environ)
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("%s ended with wait status %d" % (name, status))
