#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attaching a container beside netavark as Podman calls it and the CNI plugins bridge and portmap.

    benchmarks/network_peers.py [--rounds 12] [--print]

Each round attaches one network namespace by each of them, in turn, in hosts of their own: veth pair, bridge port, address, route, one
published TCP port and the rules. Ours does so in a warm process, as the keeper does; theirs are programs, whose start is part of what
each attachment costs. Then two hundred of ours, one after another. Writes its part of results.json and results.md, or prints it:
milliseconds of the clock and of the processor, and the ratio of ours to the faster of the others; on a machine that has other work too,
go by the processor's. Needs the Debian packages containernetworking-plugins, iptables and netavark.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

Times = List[Tuple[float, float]]
"""Seconds of the clock and of the processor, of each attachment."""

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import collection  # noqa: E402
import page  # noqa: E402
from hosts import Host  # noqa: E402
from payloads import Payloads  # noqa: E402

NETAVARK = "/usr/lib/podman/netavark"
CNI = "/usr/lib/cni"


def ours(host: Host, rounds: int) -> Times:
    """Seconds of each attachment in one warm process, the namespace made on the way."""
    times: Times = host.call(_ours, rounds)
    return times


def _ours(rounds: int) -> Times:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, spec
    here, times = Instance(), []
    gc.freeze()  # both as in the keeper
    gc.disable()
    for number in range(rounds):
        began = now()
        attach.apply(here, spec.settle(here, "n%d" % number, published=["%d:80/tcp" % (10000 + number)]))
        times.append(since(began))
    return times


def two_hundred(host: Host) -> Times:
    """Seconds that two hundred attachments take together."""
    times = ours(host, 200)
    return [(sum(each[0] for each in times), sum(each[1] for each in times))]


def now() -> Tuple[float, float]:
    """The clock, and what the processor has done for this process and those that it has waited for."""
    used = sum(each.ru_utime + each.ru_stime for each in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    return time.perf_counter(), used


def since(began: Tuple[float, float]) -> Tuple[float, float]:
    """What has passed of both."""
    here = now()
    return here[0] - began[0], here[1] - began[1]


def netavark(host: Host, rounds: int) -> Times:
    """The same by netavark."""
    def one(number: int) -> None:
        options = {
            "container_id": "%064d" % number, "container_name": "n%d" % number,
            "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 10000 + number, "protocol": "tcp", "range": 1}],
            "networks": {"podman": {"static_ips": ["10.88.0.%d" % (number + 2)], "interface_name": "eth0"}},
            "network_info": {"podman": {
                "name": "podman", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", "driver": "bridge",
                "network_interface": "podman0", "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
                "ipv6_enabled": False, "internal": False, "dns_enabled": False, "ipam_options": {"driver": "host-local"}}}}
        run_in(host, [NETAVARK, "--config", "/run/netavark", "setup", "/run/netns/v%d" % number], json.dumps(options))
    host.run(["mkdir", "-p", "/run/netavark"])
    return clocked(host, "v", rounds, one)


def cni(host: Host, rounds: int) -> Times:
    """The same by the plugins bridge and portmap, one after the other as a CNI runtime calls them."""
    def one(number: int) -> None:
        environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "n%d" % number, "CNI_NETNS": "/run/netns/c%d" % number,
                       "CNI_IFNAME": "eth0", "CNI_PATH": CNI}
        bridge = {"cniVersion": "0.4.0", "name": "bench", "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
                  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.89.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
        result = run_in(host, [CNI + "/bridge"], json.dumps(bridge), environment)
        portmap = {"cniVersion": "0.4.0", "name": "bench", "type": "portmap", "prevResult": json.loads(result), "runtimeConfig": {
            "portMappings": [{"hostPort": 10000 + number, "containerPort": 80, "protocol": "tcp"}]}}
        run_in(host, [CNI + "/portmap"], json.dumps(portmap), environment)
    return clocked(host, "c", rounds, one)


def run_in(host: Host, argv: List[str], given: str, environment: Any = None) -> str:
    """Run a program where the caller already is inside the host."""
    done = subprocess.run(argv, input=given, text=True, capture_output=True, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise RuntimeError("%s: %s %s" % (argv[0], done.stdout, done.stderr))
    return done.stdout


def clocked(host: Host, letter: str, rounds: int, one: Callable[[int], None]) -> Times:
    """Seconds of each call, from inside of the host; the namespaces are there before."""
    def inside() -> Times:
        times = []
        for number in range(rounds):
            subprocess.run(["ip", "netns", "add", "%s%d" % (letter, number)], check=True)
            began = now()
            one(number)
            times.append(since(began))
        return times
    found: Times = host.call(inside)
    return found


def main() -> None:
    """Measure, in turn, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="attachments of each in each of three hosts")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    choices = parser.parse_args()
    collection.use()
    figures: Dict[str, Any] = page.circumstances()
    works: Dict[str, Callable[[Host, int], Times]] = {
        "coracle": ours, "netavark": netavark, "cni": cni, "200": lambda host, _rounds: two_hundred(host)}
    times: Dict[str, Times] = {name: [] for name in works}
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-bench-") as folder:
            for at in range(3):
                for name, work in works.items():
                    host = Host(Path(folder) / ("%s-%d" % (name, at)), payloads)
                    try:
                        found = work(host, choices.rounds)
                    finally:
                        host.close()
                    times[name] += found if name == "200" else found[1:]  # the first one also makes the bridge
    finally:
        payloads.close()
    for at, what in enumerate(("clock", "processor")):
        spreads = {name: page.spread([each[at] for each in its]) for name, its in times.items()}
        figures[what] = {**spreads, "ratio": {key: spreads["coracle"][key] / min(spreads[peer][key] for peer in ("netavark", "cni"))
                                              for key in ("median", "least")}}
    page.tell("attach", figures, choices.print)


if __name__ == "__main__":
    main()
