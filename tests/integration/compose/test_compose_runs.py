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
from projects import MONITORING, SHOP, VARIABLES, write

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


SERVER = ["/bin/sh", "-c", 'trap "exit 0" TERM; echo "$0 $*"; mkdir -p /tmp/www/api/health; httpd -f -p $PORT -h $ROOT & wait']
"""The entry point of the stand-ins: it says what it was started with, and serves a folder."""
IMAGES = {"prom/prometheus:v3.0.0": ("prometheus", 9090, "/etc/prometheus"),
          "prom/alertmanager": ("alertmanager", 9093, "/etc/alertmanager"),
          "prom/node-exporter": ("node_exporter", 9100, "/host/etc"), "gcr.io/cadvisor/cadvisor": ("cadvisor", 8080, "/sys"),
          "grafana/grafana:latest": ("grafana", 3000, "/tmp/www")}
JOURNAL = """
import os, socket
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
print("ready", flush=True)
while True:
    print(journal.recv(65536).hex(), flush=True)
"""


def test_a_monitoring_stack(machine: Host, tmp_path: Path) -> None:
    """As one finds it in many repositories: with the host's own network, processes, devices and file system, and the journal."""
    for name, (program, port, root) in IMAGES.items():
        machine.module("container_image", name=name, source=str(machine.folder / "busybox.tar"), entrypoint=[*SERVER, program],
                       env={"PATH": "/bin", "PORT": str(port), "ROOT": root})
    journal = machine.start(["python3", "-c", JOURNAL], stdout=subprocess.PIPE)
    assert journal.stdout is not None and journal.stdout.readline() == b"ready\n"
    folder = write(tmp_path / "monitoring", dict(MONITORING, **{
        "prometheus/prometheus.yml": "global: {}\n", "alertmanager/alertmanager.yml": "route: {}\n"}))
    task = Task(machine)
    said: Dict[str, Any] = {"project_src": str(folder)}
    try:
        assert task(**said)["changed"]
        found = {each["name"]: each for each in machine.module("container_info")["containers"]}
        grafana = "monitoring-grafana-1"
        assert {name: each["status"] for name, each in found.items()} == dict.fromkeys(
            ("prometheus", "monitoring-alertmanager-1", "monitoring-node-exporter-1", "monitoring-cadvisor-1", grafana), "running")
        for address in ("127.0.0.1:9090", "127.0.0.1:9091"):
            assert machine.shell("curl -sS http://%s/prometheus.yml" % address) == "global: {}\n"
        assert machine.shell("curl -sS http://127.0.0.1:9093/alertmanager.yml") == "route: {}\n"
        assert machine.shell("curl -sS http://127.0.0.1:9100/hostname").strip() == machine.name, "the host's network and files"
        inside = machine.module("container_exec", name=grafana, argv=[
            "/bin/sh", "-c", "echo $GF_LOG_LEVEL $GF_USERS_ALLOW_SIGN_UP $GF_SECURITY_ADMIN_PASSWORD; ip addr show dev eth0; "
            "wget -qO- http://prometheus:9090/prometheus.yml; wget -q --spider http://localhost:3000/api/health/ || echo $?"])["stdout"]
        assert inside.startswith("debug true from file\n") and "10.210.7.10/24" in inside and "global: {}" in inside
        message = bytes.fromhex(journal.stdout.readline().decode())
        assert b"\nSYSLOG_IDENTIFIER\n" + (7).to_bytes(8, "little") + b"grafana\n" in message
        inside = machine.module("container_exec", name="prometheus", argv=["/bin/sh", "-c", (
            "id -u; grep host.docker.internal /etc/hosts; touch /etc/prometheus/x || echo read-only")])
        assert inside["stdout"].startswith("65534\n") and "\n10.210.7.1\t" in inside["stdout"]
        assert inside["stdout"].endswith("read-only")
        machine.module("container_exec", name="monitoring-cadvisor-1", argv=["/bin/sh", "-c", "test -c /dev/kmsg && ls /var/run/coracle"])
        command = "/var/lib/coracle/engine/current/coracle"
        words = [command, "--cgroup-root", machine.cgroup_root, "logs", "prometheus"]
        assert machine.run(words).stdout == "prometheus --config.file=/etc/prometheus/other.yml\n", "the later file's command"
        assert not task(**said)["changed"]

        (folder / "docker-compose.override.yml").unlink()
        changed = task(**said)
        assert {each["name"] for each in changed["operations"]} == {"prometheus", grafana}
        assert machine.run(["curl", "-sS", "http://127.0.0.1:9091/"], check=False).returncode
    finally:
        task(name="monitoring", state="absent", keep_volumes=False)
        journal.kill()
        journal.wait()
        machine.shell("rm -r /run/systemd/journal")
    assert machine.module("container_info")["containers"] == []
    assert machine.module("container_volume_info")["volumes"] == []


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
