# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hardening costs: one program that ends at once, bare and with everything on, beside crun and runc.

Bare is new PID, mount, UTS, IPC, network and cgroup namespaces over an overlay of two layers. Hardened adds Docker's
capabilities, system call filter, masked and read-only paths, no new privileges, and a user namespace of 65536 IDs
with the layers shown through its mapping. The peers get the same configuration; since they show no layers through
mappings by themselves, their root is a copy that belongs to the mapped root.
"""

from __future__ import annotations

import copy
import os
import time
from typing import Any, Callable, Dict, List, Tuple

from bundles import Bundle, config, root_file_system
from hosts import Host

FIRST = 100000
MAPPING = [{"containerID": 0, "hostID": FIRST, "size": 65536}]
STATE = "/run/bench-hardened"
"""In memory, as the peers' is."""


def measure(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds from nothing to nothing again, by runtime and kind, taken in turn in the host."""
    bundle = Bundle(host.folder / "hardened")
    for layer in ("base", "more"):
        root_file_system(host.folder / "layers" / layer)
    shifted = root_file_system(host.folder / "shifted")
    for place, folders, files in os.walk(shifted):
        for name in [".", *folders, *files]:
            path = os.path.join(place, name)
            status = os.lstat(path)
            os.lchown(path, status.st_uid + FIRST, status.st_gid + FIRST)
    times: Dict[str, List[float]] = host.call(_compare, host, bundle, str(shifted), rounds)
    return times


def documents(cgroup: str) -> Dict[str, Dict[str, Any]]:
    """The configurations, by kind."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.container import security
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import capabilities
    bare = config(args=["/bin/true"])
    bare["linux"]["cgroupsPath"] = cgroup
    hardened = copy.deepcopy(bare)
    for key in ("maskedPaths", "readonlyPaths"):
        bare["linux"].pop(key)
    have = capabilities.own()[1]  # crun refuses those that the creator has not
    every = [name for name, number in capabilities.NUMBERS.items() if have >> number & 1]
    bare["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), every)
    masked, read_only = security.paths({})
    seccomp = security.seccomp({}, None)
    hardened["linux"].update(maskedPaths=masked, readonlyPaths=read_only, seccomp=seccomp, uidMappings=MAPPING,
                             gidMappings=MAPPING)
    hardened["linux"]["namespaces"].append({"type": "user"})
    hardened["process"]["noNewPrivileges"] = True
    return {"bare": bare, "hardened": hardened}


def _compare(host: Host, bundle: Bundle, shifted: str, rounds: int) -> Dict[str, List[float]]:
    kinds = documents(host.cgroup_root + "/hardened")
    layers = [str(host.folder / "layers" / name) for name in ("more", "base")]
    runs: Dict[str, Tuple[Callable[..., float], Tuple[Any, ...]]] = {}
    for kind, document in kinds.items():
        runs["coracle " + kind] = (_ours, (bundle, layers, document, kind == "hardened"))
    for name in ("crun", "runc"):
        for kind, document in kinds.items():
            peer = copy.deepcopy(document)
            runs["%s %s" % (name, kind)] = (_peer, (name, bundle, peer, shifted if kind == "hardened" else ""))
    times: Dict[str, List[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, (run, arguments) in runs.items():
            seconds = run(*arguments)
            if number:  # the first round only warms up
                times[name].append(seconds)
    return times


def _overlay(folder: str, layers: List[str]) -> int:
    """A detached overlay over the layers, highest first, whose upper folder is new."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
    return mounts.new_file_system("overlay", [("source", "bench"), *(("lowerdir+", layer) for layer in layers),
                                              ("upperdir", folder + "/upper"), ("workdir", folder + "/work")])


def _ours(bundle: Bundle, layers: List[str], document: Dict[str, Any], hardened: bool) -> float:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, isolation
    folder = str(bundle.folder)
    for name in ("upper", "work"):
        os.makedirs("%s/%s" % (folder, name), exist_ok=True)
        os.chown("%s/%s" % (folder, name), *(FIRST, FIRST) if hardened else (0, 0))
    root = folder + "/rootfs"
    began = time.perf_counter()
    points = []
    if hardened:
        namespace = isolation.mapping_namespace({"uidMappings": MAPPING, "gidMappings": MAPPING})
        for number, layer in enumerate(layers):
            tree = mounts.open_tree(layer, clone=True)
            mounts.set_attributes("", mounts.MOUNT_ATTR_IDMAP, directory=tree, user_namespace=namespace)
            points.append("%s/mapped-%d" % (folder, number))
            os.makedirs(points[-1], exist_ok=True)
            mounts.move_mount(tree, points[-1])
            os.close(tree)
        os.close(namespace)
    tree = _overlay(folder, points or layers)
    mounts.move_mount(tree, root)
    os.close(tree)
    for point in points:
        mounts.unmount(point, mounts.MNT_DETACH)
    made = create.create(folder, STATE, document, wait=False)
    os.close(made.pidfd)
    _pid, status = os.waitpid(made.pid, 0)
    delete.delete(STATE)
    mounts.unmount(root, mounts.MNT_DETACH)
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError("the program ended with wait status %d" % status)
    return seconds


def _peer(name: str, bundle: Bundle, document: Dict[str, Any], root: str) -> float:
    program = "/usr/bin/crun" if name == "crun" else "/usr/sbin/runc"
    if root:
        document["root"] = {"path": root}
    bundle.write(document)
    began = time.perf_counter()
    pid = os.posix_spawn(program, [name, "--root", "/run/" + name, "run", "--bundle", str(bundle.folder), "bench"], os.environ)
    _pid, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError("%s ended with wait status %d" % (name, status))
    return seconds
