# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be done is refused with one clear error, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hosts import MANAGED_PYTHON, Host

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def refused(host: Host, **options: Any) -> str:
    """The error of a run that fails; that it left nothing has been looked at."""
    before = state(host)
    failed = host.module("container_run", {"name": "one", "image": "busybox", "command": SLEEP, **options}, fail=True)
    predicted = host.module("container_run", {"name": "one", "image": "busybox", "command": SLEEP, **options},
                            check_mode=True, fail=True)
    assert predicted["msg"] == failed["msg"]
    assert state(host) == before
    return str(failed["msg"])


def state(host: Host) -> str:
    """Whatever a half-done run could leave."""
    return host.shell("find %s/containers %s/volumes %s/netns %s/networks %s/containers %s/netns 2>/dev/null; "
                      "ip -o link; nft list ruleset; cut -d' ' -f2 /proc/self/mounts; find /sys/fs/cgroup -path '*%s*'"
                      % (*[host.state_root] * 4, *[host.run_root] * 2, host.cgroup_root), check=False)


def test_a_missing_image(machine: Host) -> None:
    said = refused(machine, image="nothing:1", pull="never")
    assert said.startswith("the image 'nothing:1' is not in the store below /var/lib/coracle"), said
    said = refused(machine, image="registry.invalid/nothing:1")
    assert said.startswith("registry.invalid/nothing: manifest 1: ") and "name resolution" in said, said


def test_a_container_that_is_not_there_without_an_image(machine: Host) -> None:
    assert refused(machine, image=None, command=None) == "there is no container 'one'. Say 'image' to create it"


def test_a_port_that_another_container_has(run: Any, machine: Host) -> None:
    run("other", published_ports=["18050:80"])
    assert "port 18050/tcp of the host is taken: container 'other' publishes it" in refused(
        machine, published_ports=["18050:80"])


def test_a_port_that_a_process_listens_on(machine: Host) -> None:
    server = machine.start(["/bin/busybox", "nc", "-l", "-p", "18051"])
    try:
        machine.shell("until grep -q :4683 /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done")
        message = refused(machine, published_ports=["18051:80"])
        assert "port 18051/tcp of the host is taken" in message and "busybox" in message
    finally:
        machine.run(["pkill", "-x", "busybox"], check=False)
        server.wait()


def test_a_limit_that_this_kernel_has_not(machine: Host) -> None:
    if not Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        pytest.skip("this host has cgroup v2, which has them all")
    assert "memory_high" in refused(machine, memory_high="64M")


@pytest.mark.parametrize("options, words", [
    ({"mounts": [{"source": "/nowhere", "target": "/a"}]}, "/nowhere"),
    ({"network_mode": "none", "published_ports": ["80:80"]}, "published_ports"),
    ({"network_mode": "host", "networks": [{"name": "coracle"}]}, "networks"),
    ({"network_mode": "container:missing"}, "missing"),
    ({"network_mode": "container:one"}, "its own"),
    ({"detach": False, "restart_policy": "always"}, "restart_policy"),
    ({"networks": [{"name": "coracle", "ipv4_address": "192.0.2.1"}]}, "192.0.2.1"),
    ({"cpus": "0.5", "cpu_quota": 1000}, "cpu_quota"),
    ({"memory_max": "5M"}, "memory_max"),
    ({"cgroup_parent": "batch"}, "cgroup_parent"),
    ({"cgroup_parent": "batch.slice"}, "cgroup_manager: systemd"),
    ({"cgroup_manager": "systemd", "cgroup_parent": "/batch"}, "no slice"),
    ({"cgroup_manager": "systemd", "runtime": "crun"}, "engine's own runtime"),
    ({"cgroup_manager": "systemd", "cgroup_parent": "a--b.slice"}, "cgroup_parent"),
])
def test_what_does_not_go_together(machine: Host, options: dict[str, Any], words: str) -> None:
    assert words in refused(machine, **options)


def test_not_being_root(machine: Host) -> None:
    path = machine.payload("container_run", {"name": "one", "image": "busybox"})
    machine.shell("chmod 755 /run; chmod 644 %s; chmod -R a+rX %s" % (path, machine.folder), check=False)
    copy = machine.shell("cp %s /run/not-root.py && chmod 644 /run/not-root.py; echo done" % path)
    done = machine.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", MANAGED_PYTHON,
                        "/run/not-root.py"], check=False, env={"HOME": "/tmp"})
    machine.shell("rm -f /run/not-root.py")
    path.unlink()
    assert copy == "done\n"
    message = json.loads(done.stdout[done.stdout.index("{"):])["msg"]
    assert message == ("the engine must run as root, but this task runs as user id 65534. "
                       "Set 'become: true' on the task or the play; docs/rootless.md says what other users can run")
