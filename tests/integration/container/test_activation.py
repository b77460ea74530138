# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that are started at the first connection, and stopped when nobody is connected."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from containers import PYTHON, SLEEP, Runner
from hosts import Host
from waiting import until

SERVER = """
import os, signal, socketserver, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
time.sleep(1)
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True
Server(("0.0.0.0", 80), Answer).serve_forever()
"""


def talk(port: int, count: int) -> List[str]:
    """What a server says to so many connections that are made at the same time, each in two messages."""
    import socket

    links = [socket.create_connection(("127.0.0.1", port), 120) for _each in range(count)]
    found = []
    for at, link in enumerate(links):
        with link, link.makefile("rwb") as stream:
            for text in ("hello %d\n" % at, "again\n"):
                stream.write(text.encode())
                stream.flush()
                found.append(stream.readline().decode())
    return found


def refused(port: int) -> bool:
    """Whether nobody listens."""
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), 120) as link:
            return link.recv(1) == b""
    except ConnectionError:
        return True


def status(machine: Host, name: str) -> str:
    (told,) = machine.module("container_info", name=name)["containers"]
    return str(told["status"])


def test_it_sleeps_is_woken_by_a_connection_and_sleeps_again(machine: Host, run: Runner) -> None:
    asked: Dict[str, Any] = {"activation": "socket", "published_ports": ["18071:80"], "mounts": PYTHON,
                             "command": ["/usr/bin/python3", "-c", SERVER], "restart_policy": "unless-stopped"}
    predicted = machine.module("container_run", {"name": "sleeper", "image": "busybox", "stop_timeout": "2s", **asked}, check_mode=True)
    made = run("sleeper", **asked)
    assert [each["action"] for each in made["actions"]] == ["create", "listen"] and made["actions"] == predicted["actions"]
    assert made["container"]["status"] == "listening" and "pid" not in made["container"]
    assert run("sleeper", **asked)["changed"] is False
    other = machine.module("container_run", name="other", image="busybox", command=SLEEP, published_ports=["18071:80"], fail=True)
    assert "port 18071/tcp of the host is taken: container 'sleeper' publishes it" in other["msg"]

    # The first connections are not lost, nor are those that come before it accepts; those after reach it directly.
    assert machine.python(talk, 18071, 5) == [line for at in range(5) for line in ("HELLO %d\n" % at, "AGAIN\n")]
    assert status(machine, "sleeper") == "running" and run("sleeper", **asked)["changed"] is False
    until(lambda: "18071" in machine.run(["nft", "list", "table", "inet", made_table(machine)], check=False).stdout)
    assert machine.python(talk, 18071, 1) == ["HELLO 0\n", "AGAIN\n"]

    # Idle, it sleeps, once it may; and is woken once more, without a restart policy having had anything to do.
    asked["idle_timeout"] = "1s"
    assert [each["action"] for each in run("sleeper", **asked)["actions"]] == ["update"]
    until(lambda: status(machine, "sleeper") == "listening")
    assert machine.python(talk, 18071, 1) == ["HELLO 0\n", "AGAIN\n"]
    (told,) = machine.module("container_info", name="sleeper")["containers"]
    assert told["restarts"] == 0

    # What was asked to be stopped stays so, whoever connects; and nobody listens.
    machine.module("container_run", name="sleeper", state="stopped")
    assert status(machine, "sleeper") == "exited" and machine.python(refused, 18071)
    assert machine.module("container_run", name="sleeper", state="started")["container"]["status"] == "listening"

    # Ports and the option itself change while it sleeps.
    del asked["idle_timeout"]
    changed = run("sleeper", **{**asked, "published_ports": ["18072:80"]})
    assert [(each["action"], each["disruption"]) for each in changed["actions"]] == [("update", "live")]
    assert machine.python(refused, 18071) and machine.python(talk, 18072, 1) == ["HELLO 0\n", "AGAIN\n"]
    awake = run("sleeper", **{**asked, "published_ports": ["18072:80"], "activation": "none"})
    assert awake["container"]["status"] == "running"


def made_table(machine: Host) -> str:
    return str(machine.python(table, machine.state_root, machine.run_root, machine.cgroup_root))


def table(*roots: str) -> str:
    """The name of an instance's table."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

    return Instance(*roots).name


def listener(machine: Host, name: str) -> int:
    """The number of the process that listens for a container."""
    return int(json.loads(machine.shell("cat %s/activation/%s.json" % (machine.run_root, name)))["pid"])


def test_it_listens_after_a_boot_and_what_cannot_start_refuses(machine: Host, run: Runner) -> None:
    run("early", activation="socket", published_ports=["18073:80", "18076:81/udp"], mounts=PYTHON,
        command=["/usr/bin/python3", "-c", SERVER], restart_policy="always")
    other = machine.module("container_run", name="other", image="busybox", command=SLEEP, published_ports=["18076:81/udp"], fail=True)
    assert "port 18076/udp of the host is taken: container 'early' publishes it" in other["msg"]
    words = [machine.state_root + "/engine/current/coracle", "--state-root", machine.state_root, "--run-root", machine.run_root,
             "--cgroup-root", machine.cgroup_root]
    machine.run([*words, "shutdown"])
    assert machine.python(refused, 18073)
    machine.run([*words, "boot"])
    shown = {each["name"]: each["status"] for each in json.loads(machine.run([*words, "ps", "--json"]).stdout)}
    assert shown["early"] == "listening"
    # Nobody but the keeper is there; another takes its place.
    keeper = listener(machine, "early")
    machine.run(["kill", "-9", str(keeper)])
    until(lambda: listener(machine, "early") != keeper)
    assert status(machine, "early") == "listening" and machine.python(talk, 18073, 1) == ["HELLO 0\n", "AGAIN\n"]
    until(lambda: "18076" in machine.run(["nft", "list", "table", "inet", made_table(machine)], check=False).stdout)

    run("broken", activation="socket", published_ports=["18074:80"], command=["/no/such/program"])
    assert machine.python(refused, 18074)
    assert "/no/such/program" in machine.module("container_info", name="broken")["containers"][0]["error"]

    for options, words_of_error in (({"published_ports": ["18075:80/udp"]}, "needs a published port of TCP to listen on"),
                                    ({}, "needs a published port of TCP"),
                                    ({"published_ports": ["18075:80"], "detach": False}, "does not go with 'detach: false'")):
        said = machine.module("container_run", {"name": "never", "image": "busybox", "activation": "socket", **options}, fail=True)
        assert words_of_error in said["msg"]
