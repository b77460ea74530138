# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers whose cgroups systemd makes. It lives outside of test hosts, so that this runs in the virtual machine alone."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import records
from ansible_collections.coracle.containers.plugins.module_utils.engine.host import reset
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

from containers import SLEEP
from payloads import Payloads
from systems import System, one_of_its_own, show
from waiting import until

pytestmark = pytest.mark.skipif(not os.environ.get("CORACLE_VM"), reason="systemd is process 1 in the virtual machine alone")
MIB = 1 << 20
SLICE = "coraclescopes.slice"


@pytest.fixture
def system(payloads: Payloads, tmp_path: Path) -> Iterator[System]:
    with one_of_its_own(tmp_path, payloads, "scopes", SLICE) as made:
        yield made


def test_a_container_in_a_slice(system: System) -> None:
    instance = Instance(system.state_root, system.run_root, system.cgroup_root)
    scope = "%s-web.scope" % instance.name
    path = "/%s/%s" % (SLICE, scope)
    asked: Dict[str, Any] = {
        "name": "web", "image": "busybox", "command": SLEEP, "network_mode": "none", "cgroup_manager": "systemd",
        "cgroup_parent": SLICE, "memory_max": "64M", "pids_max": 30, "cpus": "0.5", "restart_policy": "always", "stop_timeout": "2s"}

    def pid() -> int:
        init = records.read_live(instance, "web").init
        return init.pid if init is not None and init.pid in group.processes(path) else 0

    made = system.module("container_run", asked)
    first = pid()
    assert made["container"]["cgroup"] == path and first == made["container"]["pid"]
    assert show(scope, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "Slice", "ActiveState", "Delegate") == [
        str(64 * MIB), "30", "500ms", SLICE, "active", "yes"]
    assert made["container"]["options"]["cgroup_manager"] == "systemd" and not os.path.exists("/sys/fs/cgroup/coracle-scopes")

    # By hand, and back; changed live; and none of it is undone when systemd writes its files anew.
    subprocess.run(["systemctl", "set-property", "--runtime", scope, "TasksMax=11"], check=True)
    changed = system.module("container_run", dict(asked, memory_max="96M"))
    assert [(step["action"], step["disruption"]) for step in changed["actions"]] == [("update", "live")]
    assert changed["diff"]["before"] == {"memory_max": 64 * MIB, "pids_max": 11} and pid() == first
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    told = group.read(path)
    assert (told.memory_max, told.pids_max, told.cpu_quota) == (96 * MIB, 30, 50000)
    assert show(scope, "MemoryMax", "TasksMax") == [str(96 * MIB), "30"]

    # The restart policy starts it in a scope of the same name.
    os.kill(first, signal.SIGKILL)
    until(lambda: pid() not in (0, first))
    assert group.read(path).pids_max == 30 and show(scope, "ActiveState", "MemoryMax") == ["active", str(96 * MIB)]

    # Of what a reboot leaves, it is started again, in a scope again.
    reset.end_keepers(instance)
    subprocess.run(["systemctl", "stop", scope], check=True)
    reset.unmount_below(instance.run_root)
    reset.remove_folder(instance.run_root)
    assert not group.paths(path)
    system.run([system.state_root + "/engine/current/coracle", "--state-root", system.state_root, "--run-root", system.run_root,
                "--cgroup-root", system.cgroup_root, "boot"])
    until(pid)
    assert show(scope, "TasksMax", "Slice") == ["30", SLICE]
    assert system.module("container_run", dict(asked, memory_max="96M"))["changed"] is False

    system.module("container_run", name="web", state="absent")
    assert not group.paths(path) and show(scope, "ActiveState", "LoadState") == ["inactive", "not-found"]

    # What cannot be started leaves no scope.
    failed = system.module("container_run", dict(asked, command=["/no/such/program"]), fail=True)
    assert "/no/such/program" in failed["msg"]
    assert not group.paths(path) and show(scope, "ActiveState", "LoadState") == ["inactive", "not-found"]
