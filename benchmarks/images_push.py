#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushing an image to docker-registry on the loopback, and removing it, beside podman push and podman rmi.

    benchmarks/images_push.py [--rounds 3] [--seconds 240] [--print] [FOLDER...]

The image is one layer of the folders (by default some 100 MB of /usr), imported plain, so that both sides compress it. Each
round pushes to a repository of its own, so that nothing is there yet; the sides take turns. Then each side removes it.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict

import beside_registry
import collection
from hosts import MANAGED_PYTHON, Host
from registries import Registry

_PEER = "podman push"
_OUR_WAYS = {"zstd": ("zstd", "zlib"), "gzip, isal": ("gzip", "isal"), "gzip, libdeflate": ("gzip", "libdeflate"),
             "gzip, zlib": ("gzip", "zlib")}
"""How each compresses, and what a host has for gzip."""
_OURS = """
import resource, sys, time
sys.path.insert(0, {path!r})
began = time.perf_counter()
if {encoder!r} == "isal":
    sys.path.append({isal!r})
else:
    sys.modules["isal"] = None
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import pushed as work
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import deflate
if {encoder!r} == "zlib":
    deflate.libdeflate = lambda: None
instance = Instance({root!r} + "/state", {root!r} + "/run")
params = dict({params!r})
desired = work.resolve(instance, params)
observed = work.observe(instance, desired)
work.apply(instance, desired, observed, work.plan(desired, observed, ()))
sys.stdout.write("%f %d" % (time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def main() -> int:
    """Measure and write."""
    parser = beside_registry.arguments(str(__doc__), 3, 240)
    parser.add_argument("folders", nargs="*", default=["/usr/lib/python3", "/usr/share/perl", "/usr/include"])
    return beside_registry.main(parser.parse_args(), "push", measure)


def measure(host: Host, registry: Registry, choices: argparse.Namespace) -> Dict[str, Any]:
    """Seconds of each round, medians, and ours divided by the peer's."""
    work = host.folder / "push"
    work.mkdir()
    subprocess.run(["tar", "-C", "/", "-cf", str(work / "root.tar"), *(each.lstrip("/") for each in choices.folders)], check=True)
    archive, root = work / "docker.tar", work / "ours"
    host.module("container_image", name="bench", source=str(work / "root.tar"), state_root=str(root / "state"),
                run_root=str(root / "run"))
    host.module("container_image", name="bench", state="saved", dest=str(archive), state_root=str(root / "state"),
                run_root=str(root / "run"))
    podman = ["podman", "--root", str(work / "podman"), "--runroot", "/run/podman", "--storage-driver", "overlay"]
    host.run([*podman, "load", "-i", str(archive)], env={"HOME": "/run"}, timeout=600)
    defaults = {"username": None, "password": None, "auth_file": None, "ca_path": None, "client_cert": None,
                "client_key": None, "validate_certs": True, "plain_http": True, "timeout": 60}

    memory, isal = 0, beside_registry.with_isal()

    def ours(compression: str, encoder: str, number: int) -> float:
        nonlocal memory
        script = _OURS.format(path=str(collection.collections_path()), root=str(root), encoder=encoder, isal=isal,
                              params={**defaults, "name": "docker.io/library/bench:latest", "state": "pushed", "compression": compression,
                                      "destination": "%s/ours-%s-%s/%d:1" % (registry.address, compression, encoder, number)})
        seconds, peak = host.run([MANAGED_PYTHON, "-c", script], timeout=600).stdout.split()
        memory = max(memory, int(peak))
        return float(seconds)

    def theirs(*arguments: str) -> float:
        host.shell("rm -f /var/lib/containers/cache/blob-info-cache*")  # where it keeps what it has compressed before
        began = time.perf_counter()
        host.run([*podman, *arguments], env={"HOME": "/run"}, timeout=600)
        return time.perf_counter() - began
    sides: Dict[str, Callable[[int], float]] = {
        _PEER: lambda number: theirs("push", "--tls-verify=false", "bench", "%s/podman/%d:1" % (registry.address, number)),
        **{side: functools.partial(ours, *encoders) for side, encoders in _OUR_WAYS.items()}}
    rounds = beside_registry.Rounds(list(sides))
    end = time.monotonic() + choices.seconds
    for number in range(choices.rounds):
        if number and time.monotonic() > end:
            break
        for name in rounds.order():
            rounds.run(name, sides[name], number)
    removal = {"ours": host_remove(host, root), "podman rmi": theirs("rmi", "--force", "bench")}
    return {"bytes": (work / "root.tar").stat().st_size, "rounds": rounds.seconds, "medians": rounds.medians(),
            "ratios": {name: rounds.ratio(name, [_PEER]) for name in sides if name != _PEER},
            "peak memory, KiB": memory, "removal": {name: round(value, 3) for name, value in removal.items()}}


def host_remove(host: Host, root: Path) -> float:
    """Seconds of the whole module, as Ansible runs it on the host."""
    began = time.perf_counter()
    host.module("container_image", name="bench", state="absent", state_root=str(root / "state"), run_root=str(root / "run"))
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
