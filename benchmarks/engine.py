# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime alone, beside crun and runc: one program that ends at once, from the same bundle; and the kernel's own part of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Dict, List

import collection
from bundles import Bundle, config
from hosts import MANAGED_PYTHON, Host

WARM = Path(__file__).resolve().parent / "warm.py"
INSTALLER = Path(__file__).resolve().parent.parent / "scripts" / "install_runtime.py"


def measure(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for create, start, wait and delete, by runtime, taken in turn in the host: see C(warm.py)."""
    bundle = Bundle(host.folder / "bundle")
    document = config(args=["/bin/true"])
    document["linux"]["cgroupsPath"] = host.cgroup_root + "/runtime"
    bundle.write(document)
    given = _programs(host)
    programs = {"coracle run": given["coracle"], "crun": given["crun"], "runc": given["runc"]}
    done = host.run([MANAGED_PYTHON, "-IS", WARM, json.dumps({
        "collections": str(collection.collections_path()), "bundle": str(bundle.folder), "rounds": rounds,
        "state": "/run/bench-warm",  # in memory, as the peers' is
        "programs": {name: str(path) for name, path in programs.items()}})])
    times: Dict[str, List[float]] = json.loads(done.stdout)
    return times


def measure_exec(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for one more process in a container that runs, by runtime, taken in turn in the host."""
    bundle = Bundle(host.folder / "exec")
    programs = _programs(host)
    for name in programs:
        document = config(args=["sleep", "100000"])
        document["linux"]["cgroupsPath"] = "%s/exec-%s" % (host.cgroup_root, name)
        bundle.write(document)
        host.run(["sh", "-c", 'exec "$@" > /dev/null 2>&1 < /dev/null', "-", programs[name], "--root", _root(programs[name]), "run",
                  "--detach", "--bundle", bundle.folder, "exec"])
    try:
        times: Dict[str, List[float]] = host.call(_compare_exec, programs, rounds)
    finally:
        for program in programs.values():
            host.run([program, "--root", _root(program), "delete", "--force", "exec"])
    return times


def _programs(host: Host) -> Dict[str, Path]:
    prefix = host.folder / "prefix"
    if not prefix.exists():
        host.run([MANAGED_PYTHON, INSTALLER, "--prefix", prefix])  # in the host, so that it is sealed there
    return {"coracle": prefix / "bin" / "coracle", "crun": Path("/usr/bin/crun"), "runc": Path("/usr/sbin/runc")}


def _root(program: Path) -> str:
    return "/run/bench-" + program.name


def _compare_exec(programs: Dict[str, Path], rounds: int) -> Dict[str, List[float]]:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import exec as exec_verb
    state_dir = _root(programs["coracle"]) + "/exec"
    times: Dict[str, List[float]] = {"coracle": [], "coracle exec": [], "crun": [], "runc": []}
    for number in range(rounds + 1):
        for name, seconds in times.items():
            began = time.perf_counter()
            if name == "coracle":
                made = exec_verb.run(state_dir, exec_verb.process_like_init(state_dir, ["/bin/true"]))
                os.close(made.pidfd)
                _pid, status = os.waitpid(made.pid, 0)
            else:
                program = programs[name.split(" ", 1)[0]]
                pid = os.posix_spawn(program, [program.name, "--root", _root(program), "exec", "exec", "/bin/true"], os.environ)
                _pid, status = os.waitpid(pid, 0)
            if status:
                raise RuntimeError("%s ended with wait status %d" % (name, status))
            if number:
                seconds.append(time.perf_counter() - began)
    return times
