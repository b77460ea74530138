#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a thousand ports, and what a network of ours carries beside one of Podman's.

    benchmarks/network.py [--rounds 9] [--seconds 2] [--print]

The table of 1,000 published ports is replaced as a whole, in a warm process. Then iperf3 sends by TCP between two containers, and from
another host through a published port, on a bridge of ours and on one that netavark has made as Podman has it do; the two take turns in
each round, each at first as often as the other. Writes its part of results.json and results.md, or prints it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import collection
import hosts
import network_peers
import page
from hosts import Host
from payloads import Payloads

HOST, OUTSIDE, PORT = "192.0.2.1", "192.0.2.2", 10000
"""What the host is reached by, another host, and the port that the first member of each network publishes."""


def table(host: Host, rounds: int) -> List[float]:
    """Seconds of each replacement of a table of 1,000 published ports."""
    times: List[float] = host.call(_table, rounds)
    return times


def _table(rounds: int) -> List[float]:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import nftables
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, firewall, spec
    here, times = Instance(), []
    attach.apply(here, spec.settle(here, "many", published=["20000-20999:1000-1999/tcp"]))
    text = firewall.render(firewall.gather(here))
    for _round in range(rounds):
        began = time.perf_counter()
        nftables.run(text)
        times.append(time.perf_counter() - began)
    attach.remove(here, "many")
    return times


class Side:
    """A host with two members of one network, the first of which publishes a port; and another host.

    Attributes:
        inside: What to put before a command to run it in each of the two.
        address: The first member's.
    """

    def __init__(self, folder: Path, payloads: Payloads, ours: bool) -> None:
        self.host, self.outside = Host(folder / "host", payloads), Host(folder / "outside", payloads)
        try:
            hosts.link(self.host, self.outside, HOST + "/24", OUTSIDE + "/24")
            if ours:
                network_peers.ours(self.host, 2)
                self.inside, self.address = ["nsenter", "--net=/run/coracle/netns/n%d"], "10.209.0.2"
            else:
                self.host.shell("sysctl -qw net.ipv4.ip_forward=1")
                network_peers.netavark(self.host, 2)
                self.inside, self.address = ["nsenter", "--net=/run/netns/v%d"], "10.88.0.2"
            # It listens at the port that both others ask for: the published one leads to 80.
            self.server = self.host.start([*self.member(0), "iperf3", "--server", "--port", "80", "--forceflush"], stdout=subprocess.PIPE)
            assert self.server.stdout is not None
            while b"listening" not in self.server.stdout.readline():
                assert self.server.poll() is None, "iperf3 does not listen"
        except BaseException:
            self.close()
            raise

    def member(self, number: int) -> List[str]:
        """What to put before a command to run it in a member."""
        return [each % number if "%" in each else each for each in self.inside]

    def send(self, seconds: float) -> Tuple[float, float]:
        """Bits a second between the two members, and from the other host through the published port."""
        return (self._send(self.host, self.member(1), self.address, 80, seconds),
                self._send(self.outside, [], HOST, PORT, seconds))

    @staticmethod
    def _send(host: Host, before: List[str], address: str, port: int, seconds: float) -> float:
        told = json.loads(host.run([*before, "iperf3", "--client", address, "--port", str(port), "--time", str(seconds), "--json"],
                                   timeout=60 + 3 * seconds).stdout)
        return float(told["end"]["sum_received"]["bits_per_second"])

    def close(self) -> None:
        """Take both hosts away, and what runs there."""
        server = getattr(self, "server", None)
        if server is not None:
            server.kill()
            server.wait()
            server.stdout.close()
        self.host.close()
        self.outside.close()


def throughput(folder: Path, payloads: Payloads, rounds: int, seconds: float) -> Dict[str, Dict[str, List[float]]]:
    """Bits a second of each way on each side, in each round."""
    found: Dict[str, Dict[str, List[float]]] = {way: {"coracle": [], "netavark": []} for way in ("members", "port")}
    sides: Dict[str, Side] = {}
    try:
        for name in ("coracle", "netavark"):
            sides[name] = Side(folder / name, payloads, name == "coracle")
        for at in range(rounds):
            for name in sorted(sides, reverse=bool(at % 2)):
                for way, bits in zip(("members", "port"), sides[name].send(seconds)):
                    found[way][name].append(bits)
    finally:
        for side in sides.values():
            side.close()
    return found


def main() -> None:
    """Measure, in turn, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2, help="of each transfer")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing them to the page")
    choices = parser.parse_args()
    collection.use()
    figures: Dict[str, Any] = page.circumstances()
    payloads = Payloads()
    try:
        with tempfile.TemporaryDirectory(prefix="coracle-bench-") as folder:
            host = Host(Path(folder) / "table", payloads)
            try:
                figures["table"] = page.spread(table(host, 50))
            finally:
                host.close()
            bits = throughput(Path(folder), payloads, choices.rounds, choices.seconds)
    finally:
        payloads.close()
    figures["throughput"] = {way: {**{name: {"median": statistics.median(each), "best": max(each)} for name, each in of.items()},
                                   "ratio": statistics.median(mine / theirs for mine, theirs in zip(of["coracle"], of["netavark"])),
                                   "ratio of the best": max(of["coracle"]) / max(of["netavark"])} for way, of in bits.items()}
    page.tell("network", figures, choices.print)


if __name__ == "__main__":
    main()
