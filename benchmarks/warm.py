# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers one after the other, made by one warm process, beside the commands of other runtimes and the kernel's own part.

A script of its own, so that the process is what the keeper is: the managed host's Python, with the engine and nothing else.
It takes one JSON object as its argument: C(collections), a folder for C(sys.path); C(bundle), C(state); C(programs), paths by name;
C(rounds). It prints seconds by name.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any, Dict, List


def main(given: Dict[str, Any]) -> Dict[str, List[float]]:
    """Take all in turn, C(rounds) times."""
    sys.path.insert(0, given["collections"])
    times: Dict[str, List[float]] = {"coracle": [], **{name: [] for name in given["programs"]}, "floor": []}
    ours(given["bundle"], given["state"])
    gc.collect()
    gc.freeze()
    gc.disable()
    for number in range(given["rounds"] + 1):
        for name, seconds in times.items():
            began = time.perf_counter()
            if name == "coracle":
                ours(given["bundle"], given["state"])
            elif name == "floor":
                floor(os.path.join(given["bundle"], "rootfs"))
            else:
                command(given["programs"][name], given["bundle"])
            if number:  # the first round only warms up
                seconds.append(time.perf_counter() - began)
    return times


def ours(bundle: str, state: str) -> None:
    """Create, start, wait for and delete a container."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete
    made = create.create(bundle, state, wait=False)
    os.close(made.pidfd)
    _pid, status = os.waitpid(made.pid, 0)
    delete.delete(state)
    if status:
        raise RuntimeError("the program ended with wait status %d" % status)


def command(program: str, bundle: str) -> None:
    """The same by the command of a runtime."""
    name = os.path.basename(program)
    pid = os.posix_spawn(program, [name, "--root", "/run/bench-" + name, "run", "--bundle", bundle, "bench"], os.environ)
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("%s ended with wait status %d" % (name, status))


def floor(root: str) -> None:
    """The system calls without which there is no such container: its namespaces, its mounts, its root, its program."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import clone, mounts, namespaces
    flags = 0
    for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup"):
        flags |= namespaces.FLAGS[kind]
    made = clone.clone(flags)
    if made.pid == 0:
        try:
            mounts.make_private("/")
            mounts.bind(root, root)
            os.chdir(root)
            for kind, target in (("proc", "proc"), ("tmpfs", "dev"), ("sysfs", "sys")):
                mounts.mount(kind, target, kind)
            for kind in ("devpts", "mqueue"):
                os.mkdir("dev/" + kind)
                mounts.mount(kind, "dev/" + kind, kind)
            mounts.pivot_root(".", ".")
            mounts.unmount(".", mounts.MNT_DETACH)
            os.execve("/bin/true", ["true"], {})
        finally:
            os._exit(127)
    os.close(made.pidfd)
    _pid, status = os.waitpid(made.pid, 0)
    if status:
        raise RuntimeError("the bare container ended with wait status %d" % status)


if __name__ == "__main__":
    json.dump(main(json.loads(sys.argv[1])), sys.stdout)
