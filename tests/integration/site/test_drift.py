# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that tells what is not as it was declared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict

import collection
from containers import SLEEP, add_image
from hosts import MANAGED_PYTHON, Host
from sites import Run, result_of

ENVIRONMENT = {"ANSIBLE_COLLECTIONS_PATH": str(collection.collections_path()), "ANSIBLE_HOME": "/run/ansible",
               "ANSIBLE_REMOTE_TMP": "/run/ansible-tmp", "LC_ALL": "C.UTF-8"}
WEB: Dict[str, Any] = {"name": "web", "image": "busybox", "command": SLEEP, "memory_max": "64M", "published_ports": ["18190:80"],
                       "env": {"DB_PASSWORD": "hunter2"}, "stop_timeout": "0s"}
DB: Dict[str, Any] = {"name": "db", "image": "busybox", "command": SLEEP, "stop_timeout": "0s", "network_mode": "none"}


def look(host: Host, *containers: Dict[str, Any]) -> Run:
    """Run the playbook for one application with these containers."""
    given = {"coracle_cgroup_root": host.cgroup_root, "ansible_python_interpreter": MANAGED_PYTHON,
             "coracle_drift_file": "/run/drift.json", "coracle_apps": [{"name": "shop", "containers": list(containers)}]}
    return result_of(host.run([str(Path(sys.executable).with_name("ansible-playbook")), "coracle.containers.drift", "-i", "localhost,",
                               "-c", "local", "-e", json.dumps(given)], env=ENVIRONMENT, check=False, timeout=550))


def test_what_differs_is_told_and_ends_with_a_failure(host: Host) -> None:
    add_image(host)
    for options in (WEB, DB):
        host.module("container_run", options)
    same = look(host, WEB, DB)
    assert same.status == 0, same.text
    assert json.loads(host.shell("cat /run/drift.json")) == []

    host.module("container_cgroup", path="%s/web" % host.cgroup_root, memory_max="100M")
    host.module("container_run", name="db", state="stopped")
    before = host.module("container_info", gather=[])["containers"]
    drifted = look(host, {**WEB, "env": {"DB_PASSWORD": "other"}}, DB)
    assert drifted.status == 2, drifted.text
    rows = json.loads(host.shell("cat /run/drift.json"))
    assert {(row["host"], row["object"], row["option"]) for row in rows} == {
        ("localhost", "web", "memory_max"), ("localhost", "web", "env"), ("localhost", "web", "start"), ("localhost", "db", "start")}
    limit = next(row for row in rows if row["option"] == "memory_max")
    assert (limit["before"], limit["after"]) == (100 << 20, 64 << 20)
    assert "hunter2" not in drifted.text and "OBJECT" in drifted.text and "differences on 1 of 1 hosts" in drifted.text
    after = host.module("container_info", gather=[])["containers"]
    assert [each["id"] for each in before] == [each["id"] for each in after], "it changes nothing"
