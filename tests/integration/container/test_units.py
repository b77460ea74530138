# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of systemd that each container has. It lives outside of test hosts, so that this runs in the virtual machine alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import records
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

from containers import PYTHON, READY, SLEEP
from payloads import Payloads
from systems import System, one_of_its_own, show
from waiting import until

pytestmark = pytest.mark.skipif(not os.environ.get("CORACLE_VM"), reason="systemd is process 1 in the virtual machine alone")


@pytest.fixture
def system(payloads: Payloads, tmp_path: Path) -> Iterator[System]:
    with one_of_its_own(tmp_path, payloads, "units") as made:
        yield made


def systemctl(*words: str, check: bool = True) -> str:
    done = subprocess.run(["systemctl", "--no-pager", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_a_container_is_a_unit(system: System) -> None:
    instance = Instance(system.state_root, system.run_root, system.cgroup_root)
    unit = "%s@web.service" % instance.name
    asked = {"name": "web", "image": "busybox", "network_mode": "none", "restart_policy": "unless-stopped", "stop_timeout": "60s",
             "log_driver": "journald",
             "command": ["/bin/sh", "-c", "echo begun; trap 'echo asked to end; exit 0' TERM; " + SLEEP[2].partition(";")[2]]}

    def main() -> List[str]:
        return show(unit, "ActiveState", "MainPID")

    def runs() -> bool:
        init = records.read_live(instance, "web").init
        return init is not None and main() == ["active", str(init.pid)]

    def monitor() -> int:
        return getattr(records.read_live(instance, "web").monitor, "pid", 0)

    begun = "@%d" % time.time()
    first = system.module("container_run", asked)["container"]["pid"]
    until(runs)
    assert show(unit, "StatusText") == ["running"] and main()[1] == str(first)
    assert Path("/sys/fs/cgroup%s/cgroup.procs" % show(unit, "ControlGroup")[0]).read_text(encoding="ascii").split() == [str(monitor())]
    assert "Container web" in systemctl("status", unit)

    # The restart policy goes on as ever, and the unit stays; so it does when the monitor is killed.
    os.kill(first, signal.SIGKILL)
    until(lambda: runs() and main()[1] != str(first))
    was = monitor()
    os.kill(was, signal.SIGKILL)
    until(lambda: monitor() not in (0, was) and Path("/proc/%d/cgroup" % monitor()).read_text(encoding="ascii").endswith(unit + "\n"))
    assert runs()

    # Stopped by systemctl it has ended in its own way, and counts as stopped; so it can be started.
    systemctl("stop", unit)
    last = records.read_status(instance, "web")
    assert (last.status, last.exit_code, last.stopped) == ("exited", 0, True)
    system.run([system.state_root + "/engine/current/coracle", "--state-root", system.state_root, "--run-root", system.run_root,
                "--cgroup-root", system.cgroup_root, "boot"])
    assert records.read_status(instance, "web").status == "exited" and main()[0] == "inactive"
    systemctl("start", unit)
    assert runs() and system.module("container_run", asked)["changed"] is False

    # Ended and started again by a task, it is not taken for one that systemd was asked to stop.
    system.module("container_run", name="web", state="restarted")
    until(runs)
    assert not records.read_status(instance, "web").stopped and systemctl("restart", unit) == "" and runs()

    # Stopped by anybody else the unit is inactive. The journal has the output under the unit's name.
    system.module("container_run", name="web", state="stopped")
    until(lambda: main()[0] == "inactive")
    subprocess.run(["journalctl", "--sync"], check=True)
    said = subprocess.run(["journalctl", "--no-pager", "-o", "cat", "--since", begun, "-u", unit], check=True,
                          capture_output=True, text=True).stdout
    assert said.count("begun") == 5 and "asked to end" in said
    system.module("container_run", name="web", state="absent")


def test_ready_when_the_program_says_so_and_unseen_where_asked(system: System) -> None:
    instance = Instance(system.state_root, system.run_root, system.cgroup_root)
    system.module("container_run", name="tells", image="busybox", network_mode="none", sdnotify="container", mounts=PYTHON,
                  command=["/usr/bin/python3", "-c", READY])
    unit = "%s@tells.service" % instance.name
    until(lambda: show(unit, "ActiveState") == ["active"])
    init = records.read_live(instance, "tells").init
    assert init is not None and show(unit, "MainPID") == [str(init.pid)]
    system.module("container_run", name="unseen", image="busybox", network_mode="none", sdnotify="ignore", command=SLEEP)
    assert show("%s@unseen.service" % instance.name, "ActiveState", "MainPID") == ["inactive", "0"]
