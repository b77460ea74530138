# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many containers at once, killed at random with whoever watches them, and brought back.

As many as C(CORACLE_TEST_CONTAINERS) says; a few without it.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any, Dict, List

import pytest
from containers import Runner
from hosts import Host

COUNT = int(os.environ.get("CORACLE_TEST_CONTAINERS", "6"))


def seen(host: Host) -> List[Dict[str, Any]]:
    """All containers."""
    return list(host.module("container_info", gather=[])["containers"])


@pytest.mark.timeout(600 + 15 * COUNT)
def test_those_that_are_killed_come_back_and_nothing_is_left(run: Runner, machine: Host) -> None:
    names = ["many-%d" % number for number in range(COUNT)]
    for name in names:
        run(name, restart_policy="always", network_mode="none", stop_timeout="0s")
    chance = random.Random(COUNT)
    for _round in range(3):
        for each in chance.sample(seen(machine), COUNT // 2):
            victims = [str(each["pid"])] if each.get("pid") else []
            if chance.random() < 0.5:
                watched = machine.shell("cat %s/containers/%s/monitor.json 2>/dev/null || echo '{}'" % (machine.run_root, each["name"]))
                victims += [str(json.loads(watched)["pid"])] if "pid" in watched else []
            if victims:
                machine.run(["kill", "-9", *victims], check=False)
        for name in names:
            run(name, restart_policy="always", network_mode="none", stop_timeout="0s")
    deadline = time.monotonic() + 120
    while [each for each in seen(machine) if each["status"] != "running"]:
        assert time.monotonic() < deadline, [each for each in seen(machine) if each["status"] != "running"]
        time.sleep(0.5)
    assert sorted(each["name"] for each in seen(machine)) == sorted(names)
    for name in names:
        run(name, state="absent")
    assert machine.shell("ls %s/containers 2>/dev/null || true" % machine.state_root) == ""
    assert machine.shell("mount | grep %s/containers || true" % machine.run_root) == ""
