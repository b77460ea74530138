# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts themselves: separate, complete, and gone afterwards."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from hosts import CGROUPS, Host, HostError, link, remove_cgroups, switch
from waiting import PATIENCE, until


def test_a_host_is_separate_from_the_machine(host: Host) -> None:
    for kind in ("net", "mnt", "uts", "ipc", "pid"):
        assert os.readlink("/proc/%d/ns/%s" % (host.pid, kind)) != os.readlink("/proc/self/ns/%s" % kind)
    assert host.shell("hostname").strip() == host.name
    assert socket.gethostname() != host.name
    assert host.call(os.getpid) < 1000
    assert host.shell("readlink /proc/self/ns/pid") == host.shell("readlink /proc/1/ns/pid")
    assert host.shell("ls /sys/class/net").split() == ["lo"]
    assert "state UNKNOWN" in host.shell("ip -o link show lo")


def test_what_a_host_writes_stays_in_it(host: Host) -> None:
    name = "coracle-test-mark-%d" % os.getpid()
    for folder in ("/etc", "/run", "/var/lib", "/var/lib/coracle", "/usr/local", "/dev/shm", "/opt"):
        host.shell("echo hello >%s/%s" % (folder, name))
        assert host.shell("cat %s/%s" % (folder, name)) == "hello\n"
        assert not Path(folder, name).exists()


def test_the_state_root_is_on_the_real_disk(host: Host) -> None:
    kind = host.shell("stat -f -c %T /var/lib/coracle").strip()
    assert kind not in ("overlayfs", "tmpfs")


def test_process_one_reaps(host: Host) -> None:
    host.shell("(sleep 0.05 &) ; true")
    until(lambda: "sleep" not in host.shell("ps -e -o comm="))


def test_a_failing_command_says_what_it_printed(host: Host) -> None:
    with pytest.raises(HostError, match="no such thing"):
        host.shell("echo no such thing; exit 3")
    assert host.run(["false"], check=False).returncode == 1


def test_a_command_that_hangs_ends_with_what_it_started(host: Host) -> None:
    with pytest.raises(HostError, match=r"(?s)did not end within 1 s.* sleep 4321.*begun") as caught:
        host.run(["sh", "-c", "echo begun; sleep 4321; true"], timeout=1)
    assert "sh -c echo begun" in str(caught.value)
    assert "sleep" not in host.shell("ps -e -o comm=")


def test_calls_bring_back_results_and_errors(host: Host) -> None:
    assert host.call(lambda a, b: (a + b, socket.gethostname()), 1, 2) == (3, host.name)
    with pytest.raises(FileNotFoundError):
        host.call(os.stat, "/nothing")


def test_python_runs_the_collection_in_the_managed_interpreter(host: Host) -> None:
    def name_of(root: str) -> Dict[str, Any]:
        import sys

        from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
        return {"name": Instance(root).name, "python": sys.executable}
    answer = host.python(name_of, "/var/lib/coracle")
    assert answer == {"name": "coracle", "python": "/usr/bin/python3"}
    assert host.python("print(6 * 7)") == "42\n"


def test_modules_run_as_ansible_sends_them(host: Host) -> None:
    assert host.module("ansible.builtin.ping", {"data": "here"})["ping"] == "here"
    failed = host.module("ansible.builtin.stat", {"path": "/", "nonsense": 1}, fail=True)
    assert "nonsense" in failed["msg"]
    written = host.module("ansible.builtin.copy", {"content": "x"}, fail=True)
    assert written["failed"]


def test_hosts_reach_one_another_over_a_link(new_host: Callable[[], Host]) -> None:
    one, two = new_host(), new_host()
    link(one, two, "192.0.2.1/24", "192.0.2.2/24")
    one.run(["ping", "-c1", "-W5", "192.0.2.2"])
    assert "192.0.2.2/24" in two.shell("ip -o address show eth0")


def test_hosts_reach_one_another_over_a_switch_and_ssh(new_host: Callable[[], Host]) -> None:
    hub, one, two = new_host(), new_host(), new_host()
    switch(hub, {one: "198.51.100.1/24", two: "198.51.100.2/24"})
    access = two.sshd()
    said = one.run(["ssh", "-i", access["key"], *access["options"].split(), "root@198.51.100.2", "hostname"])
    assert said.stdout.strip() == two.name


def test_closing_ends_everything(new_host: Callable[[], Host], payloads: Any, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", payloads)
    tops = [CGROUPS / "freezer" / host.name, CGROUPS / "pids" / host.name]
    tops = [top for top in tops if top.parent.is_dir()] or [CGROUPS / host.name]
    for top in tops:
        (top / "inner").mkdir(parents=True)
    sleeper = host.start(["sleep", "1000"])
    children = Path("/proc/%d/task/%d/children" % (sleeper.pid, sleeper.pid))
    until(lambda: children.read_text(encoding="ascii"))
    inside = int(children.read_text(encoding="ascii"))
    for top in tops:
        (top / "inner" / "cgroup.procs").write_text(str(inside), encoding="ascii")
    if (tops[0] / "inner" / "freezer.state").exists():
        (tops[0] / "inner" / "freezer.state").write_text("FROZEN", encoding="ascii")
    host.shell("mount -t tmpfs tmpfs /mnt && ip link add veth7 type veth peer name veth8")
    host.close()
    sleeper.wait(PATIENCE)
    assert not Path("/proc/%d" % inside).exists()
    assert not Path("/proc/%d" % host.pid).exists()
    assert not any(top.exists() for top in tops)
    assert not (tmp_path / "host").exists()


def test_a_cgroup_that_stays_is_named(tmp_path: Path) -> None:
    name = "coracle-test-%d-stays" % os.getpid()
    top = next(path for path in (CGROUPS / "pids", CGROUPS / "unified", CGROUPS) if (path / "cgroup.procs").exists())
    (top / name).mkdir()
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    try:
        (top / name / "cgroup.procs").write_text(str(child), encoding="ascii")
        with pytest.raises(HostError, match=name):
            remove_cgroups(name, patience=0.1)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        remove_cgroups(name)
    assert not (top / name).exists()
