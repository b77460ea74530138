# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing a container while others use it: what they notice, and what is left when it fails or is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from containers import Runner
from hosts import MANAGED_PYTHON, Host

SERVER = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthy" and os.path.exists("/sick"):
            self.send_error(503, "sick")
            return
        body = os.environ["VERSION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if self.path == "/long":
            time.sleep(2)
        self.wfile.write(body)

    def log_message(self, *_words):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 256

if "SICK" in os.environ:
    open("/sick", "w").close()
    print("no good", flush=True)
time.sleep(0.5)
Server(("", 8080), Answers).serve_forever()
"""
CLIENT = """
import http.client, json, os, sys, threading, time
target, stop = sys.argv[1], sys.argv[2]
answers, failures = {}, []

def one(path):
    while not os.path.exists(stop):
        try:
            link = http.client.HTTPConnection(target, timeout=60)
            link.request("GET", path)
            said = link.getresponse().read().decode()
            link.close()
            half = said[:len(said) // 2]
            if said != half * 2 or not said:
                raise ValueError("half an answer: %r" % said)
            answers[half] = answers.get(half, 0) + 1
        except Exception as error:
            failures.append("%s %s: %r" % (target, path, error))
        time.sleep(0.01)

threads = [threading.Thread(target=one, args=(path,)) for path in ["/"] * 4 + ["/long"] * 4]
[thread.start() for thread in threads]
print("ready", flush=True)
[thread.join() for thread in threads]
print(json.dumps({"answers": answers, "failures": failures}))
"""
PYTHON = [{"source": "/usr", "target": "/usr", "read_only": True}, {"source": "/usr/lib", "target": "/lib", "read_only": True},
          {"source": "/usr/lib64", "target": "/lib64", "read_only": True}]
CHECK = {"http": "http://localhost:8080/healthy", "interval": "200ms", "retries": 300}


@pytest.fixture
def web(run: Runner, machine: Host) -> Iterator[Any]:
    """Runs version after version of a server on a port of the host."""
    (machine.folder / "server.py").write_text(SERVER, encoding="utf-8")
    (machine.folder / "client.py").write_text(CLIENT, encoding="utf-8")
    code = [{"source": str(machine.folder), "target": "/code", "read_only": True}]

    def converge(version: str, fail: bool = False, **options: Any) -> Dict[str, Any]:
        env = {"VERSION": version, **options.pop("env", {})}
        if "web" not in run.names:
            run.names.append("web")
        return machine.module("container_run", fail=fail, **{
            "name": "web", "image": "busybox", "command": ["/usr/bin/python3", "/code/server.py"], "env": env, "init": True,
            "mounts": PYTHON + code, "published_ports": ["18180:8080"], "healthcheck": CHECK, "stop_timeout": "0s",
            "update_order": "start_first", "drain_timeout": "120s", "state": "healthy", **options})
    yield converge


class Load:
    """Clients that ask without end, until the end of the context.

    Attributes:
        results: What each client was answered, and what failed.
    """

    def __init__(self, host: Host, targets: List[str]) -> None:
        self.host = host
        self.stop = host.folder / "stop"
        self.stop.unlink(missing_ok=True)
        self.clients = [host.start([MANAGED_PYTHON, host.folder / "client.py", target, self.stop], stdout=subprocess.PIPE)
                        for target in targets]
        self.results: List[Dict[str, Any]] = []

    def __enter__(self) -> "Load":
        for client in self.clients:
            assert client.stdout is not None and client.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_error: Any) -> None:
        self.stop.touch()
        self.results = [json.loads(client.communicate(timeout=200)[0]) for client in self.clients]


def version(host: Host, address: str = "127.0.0.1:18180") -> str:
    """What the server answers, once."""
    return host.run(["wget", "-qO-", "http://%s/" % address]).stdout


def folders(host: Host) -> List[str]:
    """The containers' folders."""
    return host.shell("ls %s/containers" % host.state_root).split()


def test_no_request_fails_while_versions_change(web: Any, machine: Host) -> None:
    first = web("one")["container"]
    address = first["addresses"]["coracle"]
    gateway = address.rpartition(".")[0] + ".1"
    with Load(machine, ["127.0.0.1:18180", gateway + ":18180"]) as load:
        for number in ("two", "three"):
            predicted = web(number, check_mode=True)
            done = web(number)
            assert [(step["action"], step["disruption"]) for step in done["actions"]] == [("swap", "recreate")]
            assert predicted["actions"] == done["actions"] and predicted["diff"] == done["diff"]
            assert web(number)["changed"] is False
    for result in load.results:
        assert result["failures"] == [], result
        assert set(result["answers"]) == {"one", "two", "three"}, result
    assert done["container"]["name"] == "web" and done["container"]["id"] != first["id"]
    assert folders(machine) == ["web"] and done["container"]["health"]["status"] == "healthy"
    found = machine.module("container_info", name=["web"])["containers"][0]
    assert found["status"] == "running" and found["network"]["published_ports"] == ["18180:8080/tcp"]


def test_one_that_does_not_become_healthy_takes_no_place(web: Any, machine: Host) -> None:
    before = web("one")["container"]
    with Load(machine, ["127.0.0.1:18180"]) as load:
        failed = web("two", env={"SICK": "1"}, healthcheck={**CHECK, "retries": 2}, fail=True)
    assert load.results[0]["failures"] == [] and set(load.results[0]["answers"]) == {"one"}
    assert "is unhealthy" in failed["msg"] and "has never stopped serving" in failed["msg"]
    assert failed["failed_container"] == "web~" and failed["health"]["failing_streak"] >= 2
    assert machine.shell(failed["log_command"]) == "no good\n"
    listed = machine.run([machine.state_root + "/engine/current/coracle", "--cgroup-root", machine.cgroup_root, "ps"]).stdout
    assert "web~ " in listed and "exited" in listed
    again = web("one")
    assert again["changed"] is False and again["container"]["pid"] == before["pid"]
    assert web("two")["changed"] is True and folders(machine) == ["web~"]
    assert version(machine) == "twotwo"
    gone = web("two", state="absent")
    assert gone["container"]["exists"] is False


def test_one_that_cannot_be_started_takes_no_place(web: Any, machine: Host) -> None:
    web("one")
    failed = web("two", command=["/bin/missing"], fail=True)
    assert "/bin/missing" in failed["msg"] and "has never stopped serving" in failed["msg"]
    assert version(machine) == "oneone" and web("one")["changed"] is False


def test_stop_first_brings_the_old_one_back(web: Any, machine: Host) -> None:
    web("one")
    predicted = web("two", update_order="stop_first", check_mode=True)
    done = web("two", update_order="stop_first")
    assert [step["action"] for step in done["actions"]] == ["recreate", "start", "judge"]
    assert predicted["actions"] == done["actions"] and version(machine) == "twotwo"
    failed = web("three", env={"SICK": "1"}, update_order="stop_first", healthcheck={**CHECK, "retries": 2}, fail=True)
    assert "the old one runs again" in failed["msg"] and machine.shell(failed["log_command"]) == "no good\n"
    same = web("two", update_order="stop_first")
    assert same["changed"] is False and version(machine) == "twotwo"


@pytest.mark.parametrize("options, actions", [
    ({}, ["swap"]),
    ({"more": [{"type": "volume", "source": "data", "target": "/data"}]}, ["recreate", "start", "judge"]),
    ({"more": [{"type": "volume", "source": "data", "target": "/data", "read_only": True}]}, ["swap"]),
    ({"networks": [{"name": "coracle", "ipv4_address": "10.209.0.77"}]}, ["recreate", "start", "judge"]),
    ({"network_mode": "host", "published_ports": []}, ["recreate", "start", "judge"]),
    ({"healthcheck": None, "state": "started"}, ["recreate", "start"]),
])
def test_auto_starts_first_where_the_two_are_not_in_each_other_s_way(web: Any, machine: Host, options: Any, actions: Any) -> None:
    options = {"update_order": "auto", **options}
    more = options.pop("more", [])
    if more:
        options["mounts"] = PYTHON + [{"source": str(machine.folder), "target": "/code", "read_only": True}] + more
    web("one", **options)
    assert [step["action"] for step in web("two", check_mode=True, **options)["actions"]] == actions
    if "networks" in options:
        refused = web("two", fail=True, check_mode=True, **{**options, "update_order": "start_first"})
        assert "10.209.0.77" in refused["msg"]


def test_start_first_needs_a_health_check(web: Any, machine: Host) -> None:
    assert "needs a health check" in web("one", healthcheck=None, state="started", fail=True)["msg"]


def test_a_replacement_that_is_killed_at_any_moment_is_completed_by_the_next(web: Any, run: Runner, machine: Host) -> None:
    began = time.monotonic()
    web("0")
    whole = time.monotonic() - began
    for number in range(1, 6):
        path: Path = machine.payload("container_run", {
            "name": "web", "image": "busybox", "command": ["/usr/bin/python3", "/code/server.py"], "env": {"VERSION": str(number)},
            "init": True, "mounts": [*PYTHON, {"source": str(machine.folder), "target": "/code", "read_only": True}],
            "published_ports": ["18180:8080"], "healthcheck": CHECK, "stop_timeout": "0s", "update_order": "start_first",
            "state": "healthy"})
        process = machine.start([MANAGED_PYTHON, path])
        time.sleep(whole * (0.1 + 0.2 * number))
        machine.run(["pkill", "-%d" % signal.SIGKILL, "-f", str(path)], check=False)
        process.wait()
        assert version(machine) in (2 * str(number - 1), 2 * str(number)), "it serves in between"
        assert web(str(number))["container"]["status"] == "running"
        assert version(machine) == 2 * str(number) and web(str(number))["changed"] is False
        assert len(folders(machine)) == 1, folders(machine)
