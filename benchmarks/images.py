#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling a layer of about 500 MB and 12,000 files from docker-registry on the loopback into a cold store, beside peers.

    benchmarks/images.py [--rounds 5] [--megabytes 500] [--seconds 300] [--print]

Ours ends when the layer can be mounted and is on the disk (fsync); the peers end when their command does. Each pull has a
store of its own on the same disk, which has nothing else to write when it begins. Nothing is deleted between the rounds, in
which the sides take turns. Then each pulls again, when there is nothing new. Unpacking alone is compared with
C(gzip -dc | tar x). Peak memory is that of our process.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import beside_registry
import collection
from hosts import MANAGED_PYTHON, Host
from registries import Registry

_SOURCES = ("/usr/lib", "/usr/share", "/usr/bin", "/usr/include")
_PACK = {"gzip": ["gzip", "-6"], "zstd": ["zstd", "-3", "-q"]}
_SIDES = ("ours", "ours, standard library", "podman", "skopeo")
_PEERS = ("podman", "skopeo")
_TAR = "gzip -dc | tar x"
_TYPE = "application/vnd.oci.image.layer.v1.tar+"
_OURS = """
import os, resource, sys, time
sys.path.insert(0, {path!r})
began = time.perf_counter()
if {isal!r}:
    sys.path.append({isal!r})
else:
    sys.modules["isal"] = None
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import pulling, remote
from ansible_collections.coracle.containers.plugins.module_utils.engine.registry.access import Access
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import blobs
instance = Instance({root!r} + "/state", {root!r} + "/run")
blobs.prepare(instance)
offer = remote.find(instance, {name!r}, "always", Access(plain_http=True)).offer
if offer:
    pulling.pull(instance, offer)
sys.stdout.write("%f %d" % (time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def main() -> int:
    """Measure and write."""
    parser = beside_registry.arguments(str(__doc__), 5, 300)
    parser.add_argument("--megabytes", type=int, default=500)
    return beside_registry.main(parser.parse_args(), "pull", measure)


def measure(host: Host, registry: Registry, choices: argparse.Namespace) -> Dict[str, Any]:
    """Seconds of each round, medians, and ratios to the faster peer."""
    work = host.folder / "images"
    work.mkdir()
    count, size = _tar(work / "layer.tar", choices.megabytes << 20)
    for kind, command in _PACK.items():
        with (work / ("layer." + kind)).open("wb") as out:
            subprocess.run([*command, "-c", str(work / "layer.tar")], stdout=out, check=True)
        _push(host, registry, work / ("layer." + kind), work / "layer.tar", kind)
    memory, isal = 0, beside_registry.with_isal()

    def pull(side: str, root: Path, name: str) -> float:
        nonlocal memory
        if side in _PEERS:
            return _peer(host, side, root, name)
        script = _OURS.format(path=str(collection.collections_path()), isal=isal if side == "ours" else "", root=str(root), name=name)
        seconds, peak = host.run([MANAGED_PYTHON, "-c", script]).stdout.split()
        memory = max(memory, int(peak))
        return float(seconds)
    pulls = {kind: beside_registry.Rounds(_SIDES) for kind in _PACK}
    again, unpacking = beside_registry.Rounds(_SIDES), beside_registry.Rounds([_TAR])
    deadline = time.monotonic() + choices.seconds
    for number in range(choices.rounds):
        if number and time.monotonic() > deadline:
            break
        for kind, rounds in pulls.items():
            name = "%s/bench/%s:1" % (registry.address, kind)
            roots = {side: work / ("%s-%s-%d" % (side.replace(", ", "-").replace(" ", "-"), kind, number)) for side in _SIDES}
            for side in rounds.order():
                roots[side].mkdir()
                rounds.run(side, pull, side, roots[side], name)
            if kind == "gzip":
                for side in again.order():
                    again.run(side, pull, side, roots[side], name)
        (work / ("tree-%d" % number)).mkdir()
        unpacking.run(_TAR, _seconds, host.shell, "gzip -dc '%s/layer.gzip' | tar -x -C '%s/tree-%d'" % (work, work, number))
    ours = [side for side in _SIDES if side not in _PEERS]
    return {"entries": count, "bytes": size, "packed": {kind: (work / ("layer." + kind)).stat().st_size for kind in _PACK},
            "rounds": {**{kind: rounds.seconds for kind, rounds in pulls.items()}, "again": again.seconds},
            "medians": {**{kind: rounds.medians() for kind, rounds in pulls.items()}, "again": again.medians(),
                        **unpacking.medians()},
            "ratios": {kind: {side: rounds.ratio(side, _PEERS) for side in ours}
                       for kind, rounds in (*pulls.items(), ("again", again))},
            "peak memory, KiB": memory}


def _seconds(work: Callable[..., object], *arguments: Any) -> float:
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def _peer(host: Host, side: str, root: Path, name: str) -> float:
    run = "/run/" + root.name  # Podman takes no longer one than 50 characters
    if side == "podman":
        return _seconds(host.run, ["podman", "--root", root / "root", "--runroot", run, "--storage-driver", "overlay",
                                   "pull", "-q", "--tls-verify=false", name])
    return _seconds(host.run, ["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + name,
                               "containers-storage:[overlay@%s/root+%s]%s" % (root, run, name)])


def _tar(target: Path, size: int) -> Tuple[int, int]:
    """A tar of files of this machine: as many small ones as real images have, and larger ones up to the size."""
    small: List[Tuple[str, int]] = []
    large: List[Tuple[str, int]] = []
    for top in _SOURCES:
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                length = os.lstat(path).st_size
                if length < (8 << 20):
                    (small if length <= 40000 else large).append((path, length + 1024))
    names: List[str] = []
    for path, length in small[:11000] + large:
        if size > 0:
            names.append(path)
            size -= length
    names.sort()
    subprocess.run(["tar", "-c", "--no-recursion", "-P", "--numeric-owner", "--verbatim-files-from", "-T", "-", "-f", str(target),
                    "--transform", "s,^/,,"], input="\n".join(names).encode("utf-8", "surrogateescape"), check=True)
    return len(names), target.stat().st_size


def _push(host: Host, registry: Registry, packed: Path, plain: Path, kind: str) -> None:
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                         "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                   "digest": "sha256:" + hashlib.sha256(config).hexdigest()},
        "layers": [{"mediaType": _TYPE + kind, "digest": _digest(packed), "size": packed.stat().st_size}]}).encode()
    registry.put_manifest("bench/" + kind, "1", manifest, "application/vnd.oci.image.manifest.v1+json", {
        "sha256:" + hashlib.sha256(config).hexdigest(): config, _digest(packed): packed.read_bytes()})


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            found.update(chunk)
    return "sha256:" + found.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
