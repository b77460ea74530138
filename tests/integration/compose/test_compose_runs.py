# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose projects run by playbooks: the shop comes up, stays, changes and goes; what cannot be is told before anything is done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from containers import add_image
from hosts import Host
from projects import SHOP, VARIABLES, write

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - coracle.containers.container_stack:
%s
      register: found
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: %s
        mode: "0600"
      check_mode: false
"""


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """A test host with the image."""
    host = new_host()
    add_image(host)
    return host


class Task:
    """Runs the module as users do: by a playbook, from files on the controller."""

    def __init__(self, host: Host, *options: str) -> None:
        self.host = host
        self.options = options
        self.said = ""

    def __call__(self, *options: str, check: bool = True, **said: Any) -> Dict[str, Any]:
        out = self.host.folder / "found.json"
        out.unlink(missing_ok=True)
        lines = "".join("        %s: %s\n" % (key, json.dumps(value)) for key, value in said.items())
        done = self.host.playbook(PLAY % (lines.rstrip("\n"), out), *self.options, *options, check=check)
        self.said = done.stdout + done.stderr
        return dict(json.loads(out.read_text(encoding="utf-8"))) if out.exists() else {}


def test_a_shop(machine: Host, tmp_path: Path) -> None:
    folder = write(tmp_path / "shop", SHOP)
    key = tmp_path / "key"
    key.write_text("key\n", encoding="utf-8")
    subprocess.run([Path(sys.executable).with_name("ansible-vault"), "encrypt", "--vault-password-file", key, folder / "data" / "db.env"],
                   check=True, capture_output=True)
    task = Task(machine, "--vault-password-file", str(key))
    said: Dict[str, Any] = {"project_src": str(folder), "environment": VARIABLES["shop"], "wait": "healthy"}
    foreseen = task("--check", "--diff", **said)
    assert foreseen["changed"] and machine.module("container_info")["containers"] == []
    try:
        made = task("-vvv", **said)
        assert VARIABLES["shop"]["DB_PASSWORD"] not in task.said
        assert made["changed"]
        found = {each["name"]: each for each in machine.module("container_info")["containers"]}
        assert {name for name, each in found.items() if each["status"] == "running"} == {
            "shop-proxy-1", "shop-web-1", "shop-web-2", "shop-worker-1", "shop-db-1", "shop-cache-1"}
        assert found["shop-migrate-1"]["status"] == "exited" and found["shop-migrate-1"]["exit_code"] == 0
        assert machine.shell("curl -sS http://127.0.0.1:18080/") == "<h1>shop</h1>\n"
        inside = machine.module("container_exec", name="shop-web-1", argv=[
            "/bin/sh", "-c", "echo $GREETING $WORKERS $DEBUG $TOKEN $GREETED; id -u; wget -qO- http://proxy/"])["stdout"]
        assert inside == "hello from Aachen 4 false t0ken Aachen\n1000\n<h1>shop</h1>"
        database = machine.module("container_exec", name="shop-db-1", argv=[
            "/bin/sh", "-c", "cd /run/secrets; cat password; echo; stat -c %a password; cat /var/lib/db/name /var/lib/db/place"])["stdout"]
        assert database == "very-secret-word\n400\nshop\nAachen"
        again = task(**said)
        assert not again["changed"], again

        (folder / "page.html").write_text("<h1>sale</h1>\n", encoding="utf-8")
        foreseen = task("--check", **said)
        changed = task(**said)
        assert [each["name"] for each in changed["operations"]] == [each["name"] for each in foreseen["operations"]] == ["shop-proxy-1"]
        assert machine.shell("curl -sS http://127.0.0.1:18080/") == "<h1>sale</h1>\n"
    finally:
        task(name="shop", state="absent", keep_volumes=False)
    assert machine.module("container_info")["containers"] == []


def test_faults_come_before_anything_is_done(machine: Host, tmp_path: Path) -> None:
    wrong = "services:\n  web:\n    memlimit: 5\n    use_api_socket: true\n"
    folder = write(tmp_path / "bad", dict(SHOP, **{"compose.override.yaml": wrong}))
    task = Task(machine)
    assert task(check=False, project_src=str(folder), environment=VARIABLES["shop"]) == {}
    assert "compose.override.yaml:3: services.web.memlimit: is no key here; did you mean 'mem_limit'?" in task.said
    assert "compose.override.yaml:4: services.web.use_api_socket: is not supported: " in task.said
    assert machine.module("container_info")["containers"] == []
    assert task(check=False, project_src=str(folder), definition={"services": {}}) == {}
    assert "does not go with" in task.said
    assert task(check=False, project_src=str(folder), unsupported="perhaps", environment=[5]) == {}
    assert "value of unsupported must be one of: fail, warn, got: perhaps" in task.said and "environment" in task.said
    assert task(check=False, project_src=str(folder), project_dest="srv") == {}
    assert "option 'project_dest': value 'srv'" in task.said
    assert task(check=False, project_src=str(tmp_path / "none")) == {}
    assert "there is none of compose.yaml" in task.said
