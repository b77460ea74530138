# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated stacks: changed at random, converged, and compared with a fresh start; and runs that are killed.

C(CORACLE_TEST_STACKS=20) goes through that many changes, other ones each time; without it there are two, always the same.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from typing import Any, Callable, Dict, List

from containers import SLEEP, add_image
from hosts import MANAGED_PYTHON, Host
from stacks import Stacks, service
from waiting import until

ROUNDS = int(os.environ.get("CORACLE_TEST_STACKS") or 0)


def generated(dice: random.Random) -> Dict[str, Any]:
    """A definition with a random graph of dependencies."""
    names = ["s%d" % at for at in range(dice.randint(3, 7))]
    services = {}
    for at, name in enumerate(names):
        options: Dict[str, Any] = {"command": SLEEP, "depends_on": dice.sample(names[:at], dice.randint(0, min(at, 2)))}
        if dice.random() < 0.3:
            options["replicas"] = 2
        if dice.random() < 0.3:
            options["memory"] = dice.choice(["32M", "48M"])
        if dice.random() < 0.4:
            options["env"] = {"COLOUR": dice.choice(["red", "blue"])}
        if dice.random() < 0.3:
            options["networks"] = dice.sample(["default", "back", "front"], dice.randint(1, 3))
        if dice.random() < 0.3:
            options["volumes"] = [dice.choice(["one", "two"]) + ":/data"]
        if dice.random() < 0.3 and "replicas" not in options:
            options["published_ports"] = ["%d:80" % (8000 + at)]
        services[name] = service(**options)
    return {"services": services, "networks": {"back": {}, "front": {"icc": False}}, "volumes": {"one": {}, "two": {}}}


def state(host: Host) -> List[Any]:
    """What runs and how, without what differs from one start to the next."""
    found = host.module("container_info")["containers"]
    return sorted([each["name"], each["status"], each["options"]["env"], each["options"]["mounts"], each["options"]["memory_max"],
                   each["published_ports"], [(row["name"], row["aliases"]) for row in each["options"]["networks"]]] for each in found)


def test_whatever_was_there_the_same_comes_of_a_definition(new_host: Callable[[], Host]) -> None:
    dice = random.Random(None if ROUNDS else 7)
    changed, fresh = new_host(), new_host()
    for host in (changed, fresh):
        add_image(host)
    one, other = Stacks(changed), Stacks(fresh)
    for _round in range(ROUNDS or 2):
        definition = generated(dice)
        parts = {part: definition[part] for part in ("networks", "volumes")}
        foreseen = one("any", definition["services"], prune=True, check_mode=True, **parts)
        done = one("any", definition["services"], prune=True, **parts)
        assert done.get("plan") == foreseen.get("plan"), definition
        assert not one("any", definition["services"], prune=True, **parts)["changed"], definition
        other("any", definition["services"], **parts)
        assert state(changed) == state(fresh), definition
        other.clear()
    one.clear()


def test_what_a_killed_run_has_begun_the_next_one_completes(stack: Stacks) -> None:
    services = {"s%d" % at: service(depends_on=["s%d" % each for each in range(at)][-2:]) for at in range(6)}
    host = stack.host
    stack.names.append("cut")
    for begun in (1, 4):
        payload = host.payload("container_stack", {"name": "cut", "definition": {"services": services}})
        with host.start([MANAGED_PYTHON, payload], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            until(lambda begun=begun: len(host.shell(  # type: ignore[misc]
                "ls -d /var/lib/coracle/containers/cut-* 2>/dev/null || true").split()) >= begun or run.poll() is not None)
            kill_tree(run.pid)
        payload.unlink()
    done = stack("cut", services)
    assert {name: row["running"] for name, row in done["stack"]["services"].items()} == dict.fromkeys(services, 1)
    assert not stack("cut", services)["changed"]
    assert stack("cut", state="absent")["changed"]
    assert host.shell("ls /var/lib/coracle/stacks 2>/dev/null || true") == ""


def kill_tree(pid: int) -> None:
    """Kill a process and all that it has started, but for what has become a child of somebody else."""
    found, queue = [], [pid]
    while queue:
        each = queue.pop()
        found.append(each)
        try:
            with open("/proc/%d/task/%d/children" % (each, each), encoding="ascii") as stream:
                queue.extend(map(int, stream.read().split()))
        except OSError:
            continue
    for each in found:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue
