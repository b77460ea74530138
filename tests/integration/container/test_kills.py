# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that is killed at each step of what it does: the next one completes it, and nothing is lost or left.

A profile function in the module's process counts the calls of the engine's functions that change something, and kills the
process at one of them. Three of them are tried for each kind of change; C(CORACLE_TEST_KILLS=50) tries so many.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List

import pytest
from containers import Runner
from hosts import MANAGED_PYTHON, Host

POINTS = int(os.environ.get("CORACLE_TEST_KILLS", "3"))
HOOK = r"""
import os, runpy, signal, sys
at, note, payload = int(sys.argv[1]), sys.argv[2], sys.argv[3]
places = tuple("/engine/" + each for each in (
    "container/steps.py", "container/lifecycle.py", "container/records.py", "container/swap.py", "container/client.py",
    "network/attach.py", "network/leases.py", "network/firewall.py", "store/files.py", "layer/overlay.py", "cgroup/group.py"))
count, me = [-1], os.getpid()
def look(frame, event, _argument):
    if event != "call" or not frame.f_code.co_filename.endswith(places):
        return
    if count[0] < 0 and frame.f_code.co_name != "apply":
        return
    count[0] += 1
    if count[0] == at and os.getpid() == me:
        os.kill(me, signal.SIGKILL)
sys.setprofile(look)
sys.argv = [payload]
try:
    runpy.run_path(payload, run_name="__main__")
finally:
    sys.setprofile(None)
    with open(note, "w") as stream:
        stream.write(str(count[0]))
"""
BEGIN: Dict[str, Any] = {"env": {"A": "1"}, "published_ports": ["18061:80"], "memory_max": "64M", "stop_timeout": "0s"}
CHANGES: Dict[str, Dict[str, Any]] = {
    "create": BEGIN,
    "update": {**BEGIN, "memory_max": "48M", "published_ports": ["18062:80"]},
    "recreate": {**BEGIN, "env": {"A": "2"}},
    "stop": {"state": "stopped"},
    "remove": {"state": "absent"},
}


def killed(machine: Host, at: int, options: Dict[str, Any]) -> int:
    """Run a task that is killed at so many calls; how many there were, or -1 where it was killed."""
    note = machine.folder / "calls"
    note.unlink(missing_ok=True)
    path: Path = machine.payload("container_run", {"name": "one", **options})
    done = machine.run([MANAGED_PYTHON, "-c", HOOK, str(at), str(note), str(path)], check=False)
    path.unlink()
    if note.exists():
        assert done.returncode == 0, done.stdout + done.stderr
        return int(note.read_text(encoding="ascii"))
    return -1


def asked(name: str, options: Dict[str, Any]) -> Dict[str, Any]:
    """The options as the runner of the tests adds them."""
    if "state" in options:
        return options
    return {"image": "busybox", "command": ["/bin/sleep", "1000"], **options}


@pytest.mark.timeout(600 + 20 * POINTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_task_that_is_killed_at_any_step_is_completed_by_the_next(run: Runner, machine: Host, change: str) -> None:
    options = asked("one", CHANGES[change])
    prepared = change != "create"
    run("one", **asked("one", BEGIN))
    if not prepared:
        run("one", state="absent")  # the first container of a host takes some more calls, which no later one does
    calls = killed(machine, 1 << 30, options)
    assert calls > 3
    points: List[int] = sorted({max(1, calls * number // POINTS - number % 2) for number in range(1, POINTS + 1)})
    hit = 0
    for at in points:
        run("one", state="absent")
        if prepared:
            run("one", **asked("one", BEGIN))
        hit += killed(machine, at, options) < 0
        after = run("one", **options)["container"]
        assert after["exists"] is (change != "remove")
        if change not in ("stop", "remove"):
            assert after["status"] == "running" and after["options"]["env"]["A"] == CHANGES[change]["env"]["A"]
        again = run("one", **options)
        assert again["changed"] is False, (at, again["actions"], again["diff"])
        kept = machine.shell("ls -A %s/containers 2>/dev/null || true" % machine.state_root).split()
        assert kept == ([] if change == "remove" else ["one"]), at
    assert hit >= len(points) - 1  # the last call may come or not, as the monitor is faster or slower
    run("one", state="absent")
    assert machine.shell("mount | grep %s/containers || true; ip -o link show type veth" % machine.run_root) == ""
