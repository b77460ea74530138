# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot unit, where systemd is process 1: only in the virtual machine, whose own system it acts on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group
from ansible_collections.coracle.containers.plugins.module_utils.engine.host import reset
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

import collection
from hosts import MANAGED_PYTHON

pytestmark = pytest.mark.skipif(os.environ.get("CORACLE_VM") != "1" or not os.path.isdir("/run/systemd/system"),
                                reason="acts on the system itself, and needs systemd as process 1")


METRICS = "/run/textfile/coracle.prom"


def play(name: str) -> Dict[str, int]:
    """Run a playbook of the collection on this very machine; its recap."""
    given = {"ansible_python_interpreter": MANAGED_PYTHON, "demonstration_tool": "embedded",
             "host_metrics_file": METRICS}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "coracle.containers." + name, "-i", "localhost,",
         "-c", "local", "-e", json.dumps(given)], capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collection.collections_path()), "ANSIBLE_HOME": "/run/ansible"})
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("localhost  "))
    return {key: int(value) for key, value in (pair.split("=") for pair in line.partition(":")[2].split())}


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def page(patience: float = 60) -> str:
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:18080/", timeout=20) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def forget_like_a_reboot(instance: Instance) -> None:
    """Take away what no reboot leaves: processes, cgroups, mounts, namespaces, links, rules, sysctls and /run."""
    reset.end_keepers(instance)
    group.kill(instance.cgroup_root)
    group.remove(instance.cgroup_root)
    reset.unmount_below(instance.run_root)
    reset.unmount_below(instance.state_root)
    reset.remove_folder(instance.run_root)
    subprocess.run(["ip", "link", "delete", "coracle0"], check=True)
    subprocess.run(["nft", "delete", "table", "inet", "coracle"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0", encoding="ascii")


def test_what_ran_runs_again_after_boot() -> None:
    instance = Instance()
    before = set(Path("/etc/systemd/system").glob("coracle*"))  # the machine's own
    assert play("site")["changed"] > 0
    assert systemctl("is-enabled", "coracle.service") == "enabled"
    assert systemctl("is-active", "coracle-metrics.timer") == "active"
    assert systemctl("start", "coracle-metrics.service") == "", systemctl("status", "coracle-metrics.service")
    assert "container_memory_working_set_bytes{" in Path(METRICS).read_text(encoding="utf-8")
    assert "Hello from web" in page()

    if systemctl("show", "--property=LoadState", "nftables.service") == "LoadState=loaded":
        assert systemctl("restart", "nftables.service") == "", systemctl("status", "nftables.service")  # flushes all rules
        assert "Hello from web" in page()
        assert "Result=success" in systemctl("show", "--property=Result", "coracle-firewall.service")

    forget_like_a_reboot(instance)
    assert systemctl("start", "coracle.service") == "", systemctl("status", "coracle.service")
    assert "Hello from web" in page()
    shown = json.loads(subprocess.run(["coracle", "ps", "--json"], check=True, capture_output=True, text=True).stdout)
    assert {each["name"]: each["status"] for each in shown} == {"web": "running", "client": "running"}

    # The unit's end does not take the containers with it.
    pids = {each["name"]: each["pid"] for each in shown}
    assert systemctl("stop", "coracle.service") == ""
    assert all(os.path.exists("/proc/%d" % pid) for pid in pids.values())

    assert play("teardown")["changed"] > 0
    assert reset.remains(instance) == []
    assert set(Path("/etc/systemd/system").glob("coracle*")) == before
    assert "could not be found" in systemctl("status", "coracle.service")
    systemctl("stop", "nftables.service")  # it has brought a table of its own
