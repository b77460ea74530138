# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is booted three times: its containers are made, a reboot ends them, and the power goes. Run it by C(tests/vm/reboot/run)."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import records
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

from containers import PYTHON, SLEEP, add_image
from payloads import Payloads
from systems import System, show
from waiting import until

pytestmark = pytest.mark.skipif("systemd.wants=coracle-test.service" not in Path("/proc/cmdline").read_text(encoding="utf-8"),
                                reason="one of three boots of tests/vm/reboot/run")
KEPT = Path("/root/before.json")
INSTANCE = Instance()
SERVER = """
import os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
with socket.create_server(("0.0.0.0", 80)) as door:
    while True:
        link, _peer = door.accept()
        with link:
            link.sendall(("%s %s" % (socket.gethostbyname("db"), open("/data/word").read())).encode())
"""


def coracle(*words: str) -> str:
    return subprocess.run([INSTANCE.state("engine/current/coracle"), *words], check=True, capture_output=True, text=True).stdout


def shown() -> Dict[str, Dict[str, Any]]:
    return {each["name"]: each for each in json.loads(coracle("ps", "--json"))}


def statuses() -> Dict[str, str]:
    return {name: each["status"] for name, each in shown().items()}


def answer(port: int) -> str:
    """What a server says; asked again until it has something to say."""
    found = []

    def asked() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as link:
                found.append(link.makefile("r").read())
        except OSError:
            return False
        return bool(found[-1])
    until(asked, pause=0.5)
    return found[-1]


def check(expected: Dict[str, str]) -> None:
    """All that was there before is there again: states, addresses, ports, names, volumes, units."""
    until(lambda: show("coracle.service", "ActiveState") == ["active"])
    assert show("coracle.service", "Result") == ["success"]
    now, before = shown(), json.loads(KEPT.read_text(encoding="utf-8"))
    assert {name: each["status"] for name, each in now.items()} == expected
    assert {name: now[name]["addresses"] for name in ("db", "web")} == before["addresses"]
    assert answer(18080) == before["answer"] == "10.209.0.77 in the volume"
    assert coracle("exec", "db", "cat", "/in-the-layer").strip() == "in the layer"
    for name in ("db", "web"):
        until(lambda name=name: show("coracle@%s.service" % name, "ActiveState", "MainPID") == ["active", str(now[name]["pid"])])
    assert answer(18081) == before["answer"]  # and the one that sleeps is woken
    begun = [each["name"] for each in map(json.loads, coracle("events", "--json").splitlines()) if each["action"] == "start"]
    assert begun.index("db") < begun.index("web")


def test_before(payloads: Payloads, tmp_path: Path) -> None:
    system = System(tmp_path, payloads, "")
    system.state_root, system.run_root, system.cgroup_root = INSTANCE
    add_image(system)
    server: Dict[str, Any] = {"command": ["/usr/bin/python3", "-c", SERVER],
                              "mounts": [*PYTHON, {"type": "volume", "source": "data", "target": "/data", "read_only": True}]}
    for name, options in {
        "db": {"restart_policy": "always", "networks": [{"name": "coracle", "ipv4_address": "10.209.0.77"}],
               "mounts": [{"type": "volume", "source": "data", "target": "/data"}],
               "command": ["/bin/sh", "-c", "echo -n in the volume > /data/word; echo in the layer > /in-the-layer; " + SLEEP[2]]},
        "web": {"restart_policy": "unless-stopped", "depends_on": ["db"], "published_ports": ["18080:80"], **server},
        "sleeper": {"restart_policy": "unless-stopped", "activation": "socket", "published_ports": ["18081:80"], **server},
        "extra": {"restart_policy": "on-failure", "network_mode": "none"},
        "stopped": {"restart_policy": "unless-stopped", "network_mode": "none", "state": "stopped"},
        "once": {"network_mode": "none"},
    }.items():
        system.module("container_run", {"name": name, "image": "busybox", "command": SLEEP, "stop_timeout": "5s", **options})
    Path("/etc/systemd/system/coracle.service").write_text(coracle("boot", "--print", "systemd"), encoding="utf-8")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "enable", "--now", "coracle.service"], check=True)
    KEPT.write_text(json.dumps({"addresses": {name: shown()[name]["addresses"] for name in ("db", "web")}, "answer": answer(18080)}),
                    encoding="utf-8")
    coracle("exec", "db", "sync")
    assert statuses() == {"db": "running", "web": "running", "sleeper": "listening", "extra": "running", "stopped": "created",
                          "once": "running"}


def test_after_a_reboot() -> None:
    for name in ("db", "web", "extra", "once"):  # they had time to end by themselves
        assert records.read_status(INSTANCE, name).ended_for in ("shutdown", ""), name
    check({"db": "running", "web": "running", "sleeper": "listening", "extra": "running", "stopped": "created", "once": "exited"})
    assert records.read_status(INSTANCE, "once").exit_code == 0 and records.read_status(INSTANCE, "once").ended_for == "shutdown"

    # What is said now holds for what comes now.
    subprocess.run(["systemctl", "stop", "coracle@extra.service"], check=True)
    subprocess.run(["systemctl", "start", "coracle@stopped.service"], check=True)
    assert statuses()["extra"] == "exited" and statuses()["stopped"] == "running"


def test_after_the_power_was_cut() -> None:
    check({"db": "running", "web": "running", "sleeper": "listening", "extra": "exited", "stopped": "running", "once": "exited"})
