# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network layer alone, in a warm process: namespace, veth, bridge port, address, route, published port and rules."""

from __future__ import annotations

import time
from typing import Dict, List

from hosts import Host


def measure(host: Host, rounds: int) -> Dict[str, List[float]]:
    """Seconds for each step of each of some containers, the first of which also makes bridge and table."""
    times: Dict[str, List[float]] = host.call(_steps, rounds)
    return times


def _steps(rounds: int) -> Dict[str, List[float]]:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    from ansible_collections.coracle.containers.plugins.module_utils.engine.network import attach, firewall, observe, spec
    from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import nftables
    here = Instance()
    times: Dict[str, List[float]] = {"attach": [], "observe": [], "remove": [], "replace a table of 1000 ports": []}

    def clocked(step: str, work: "object", *arguments: object) -> object:
        began = time.perf_counter()
        result = work(*arguments)  # type: ignore[operator]
        times[step].append(time.perf_counter() - began)
        return result

    def settle_and_apply(name: str, port: int) -> object:
        return attach.apply(here, spec.settle(here, name, published=["%d:80/tcp" % port]))
    names = ["bench%d" % number for number in range(rounds + 1)]
    for number, name in enumerate(names):
        wanted = clocked("attach", settle_and_apply, name, 10000 + number)
        clocked("observe", observe.observe, here, wanted)
    for name in names:
        clocked("remove", attach.remove, here, name)
    attach.apply(here, spec.settle(here, "many", published=["20000-20999:1000-1999/tcp"]))
    text = firewall.render(firewall.gather(here))
    for _round in range(rounds):
        clocked("replace a table of 1000 ports", nftables.run, text)
    attach.remove(here, "many")
    return times
