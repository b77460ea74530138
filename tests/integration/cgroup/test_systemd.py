# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups that systemd manages. It lives outside of test hosts, so that these tests run in the virtual machine alone."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group, resource, systemd
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import Limits
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, EngineError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, start
from ansible_collections.coracle.containers.plugins.module_utils.option import differences, parse
from ansible_collections.coracle.containers.plugins.module_utils.options.cgroup import OPTIONS

from bundles import Bundle, config

pytestmark = pytest.mark.skipif(not os.environ.get("CORACLE_VM"), reason="systemd is process 1 in the virtual machine alone")
MIB = 1 << 20


def converge(**given: Any) -> Dict[str, Any]:
    """What the module does after its options are parsed."""
    options = {row.name: given.get(row.name, row.default) for row in OPTIONS}
    params = dict(parse(OPTIONS, options), cgroup_root="/coracle-units")
    instance = Instance(cgroup_root="/coracle-units")
    desired = resource.resolve(instance, params)
    observed = resource.observe(instance, desired)
    plan = resource.plan(desired, observed, differences(OPTIONS, desired.options, observed.options))
    resource.apply(instance, desired, observed, plan)
    return dict(resource.report(instance, desired, resource.observe(instance, desired)), steps=[step.action for step in plan])


def show(unit: str, *names: str) -> List[str]:
    """Properties of a unit, as systemd says them."""
    text = subprocess.run(["systemctl", "show", unit, *("-p" + name for name in names)], check=True, capture_output=True,
                          text=True).stdout
    told = dict(line.split("=", 1) for line in text.splitlines())
    return [told[name] for name in names]


def reload() -> None:
    subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.fixture
def service() -> Iterator[str]:
    unit = "coracle-test-daemon.service"
    subprocess.run(["systemd-run", "--quiet", "--collect", "--unit", unit, "sleep", "600"], check=True)
    yield unit
    subprocess.run(["systemctl", "stop", unit], check=True)


def test_a_service_is_limited_and_stays_so(service: str) -> None:
    asked: Dict[str, Any] = {"unit": service, "memory_max": "64M", "memory_high": "48M", "cpus": "0.5", "cpu_weight": 300,
                             "pids_max": 20, "cpuset_cpus": "1", "cpu_burst": 10000}
    first = converge(**asked)
    assert first["steps"] == ["update"] and first["path"] == "/system.slice/" + service
    assert show(service, "MemoryMax", "MemoryHigh", "CPUQuotaPerSecUSec", "CPUWeight", "TasksMax", "AllowedCPUs") == [
        str(64 * MIB), str(48 * MIB), "500ms", "300", "20", "1"]
    reload()  # systemd writes the files anew
    subprocess.run(["systemctl", "set-property", "--runtime", service, "CPUWeight=301"], check=True)
    assert converge(**dict(asked, cpu_weight=301))["steps"] == []
    told = group.read(first["path"])
    assert (told.memory_max, told.cpu_quota, told.pids_max, told.cpuset_cpus) == (64 * MIB, 50000, 20, "1")
    assert converge(unit=service, memory_max="max", pids_max="max")["limits"]["memory_max"] == -1
    with pytest.raises(Conflict, match=r"ansible\.builtin\.systemd_service"):
        converge(unit=service, state="absent", force=True)
    (pid,) = group.processes(first["path"])
    assert converge(pid=pid, pids_max=33)["path"] == first["path"] and group.read(first["path"]).pids_max == 33


def test_a_slice_is_made_empty_and_goes() -> None:
    unit = "coracletest-batch.slice"
    made = converge(unit=unit, memory_max="128M", cpus=1)
    assert made["steps"] == ["create"] and made["path"] == "/coracletest.slice/" + unit
    assert show(unit, "MemoryMax", "ActiveState") == [str(128 * MIB), "active"]
    assert converge(unit=unit, memory_max="128M", cpus=1)["steps"] == []
    try:
        run = ["systemd-run", "--quiet", "--scope", "--slice", unit, "--unit", "coracle-test-inner.scope", "sleep", "600"]
        inner = subprocess.Popen(run)
        while not systemd.control_group("coracle-test-inner.scope"):
            assert inner.poll() is None
        with pytest.raises(Conflict, match="still holds processes"):
            converge(unit=unit, state="absent")
        held = group.paths(made["path"])
    finally:
        gone = converge(unit=unit, state="absent", on_processes="kill")
    assert gone["steps"] == ["kill", "remove"] and inner.wait(20) != 0 and held
    assert show(unit, "ActiveState") == ["inactive"] and not group.paths(made["path"])
    assert converge(unit=unit, state="absent")["steps"] == []
    subprocess.run(["systemctl", "stop", "coracletest.slice"], check=True)


def test_a_scope_is_started_around_processes() -> None:
    job = subprocess.Popen(["sleep", "600"])
    with pytest.raises(Conflict, match="no scope without processes"):
        converge(unit="coracle-test-job.scope")
    made = converge(unit="coracle-test-job.scope", processes=[job.pid], pids_max=9, slice="coracletest.slice")
    assert made["path"] == "/coracletest.slice/coracle-test-job.scope" and made["processes"] == [job.pid]
    reload()
    assert group.read(made["path"]).pids_max == 9
    asked: Dict[str, Any] = {"unit": "coracle-test-job.scope", "pids_max": 9, "slice": "coracletest.slice"}
    assert converge(processes=[job.pid], **asked)["steps"] == []
    assert converge(unit="coracle-test-job.scope", state="absent", force=True)["steps"] == ["kill", "remove"]
    assert job.wait(20) == -signal.SIGKILL
    subprocess.run(["systemctl", "stop", "coracletest.slice"], check=True)
    with pytest.raises(NotFound, match="does not run"):
        converge(unit="coracle-no-such.service", pids_max=9)


def test_a_group_of_our_own_is_left_alone() -> None:
    path = "/coracle-plain/inner"
    wanted = Limits(memory_max=64 * MIB, pids_max=30, cpu_quota=50000, cpu_period=100000, cpu_weight=300, cpuset_cpus="1",
                    unified=(("memory.high", "33554432"),))
    group.create(path, wanted)
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        group.attach(path, sleeper.pid)
        before = group.read(path, ["memory.high"])
        reload()
        subprocess.run(["systemctl", "daemon-reexec"], check=True)
        # Units that come and go let systemd decide anew which controllers the groups below the root have.
        subprocess.run(["systemd-run", "--quiet", "--wait", "--collect", "-p", "CPUWeight=50", "-p", "IOWeight=50", "-p", "AllowedCPUs=0",
                        "true"], check=True)
        assert group.read(path, ["memory.high"]) == before and group.processes(path) == [sleeper.pid]
        assert (before.memory_max, before.pids_max, before.cpu_quota) == (64 * MIB, 30, 50000)
    finally:
        group.kill("/coracle-plain")
        sleeper.wait(60)
        group.remove("/coracle-plain")


def test_a_container_in_a_scope(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "bundle")
    document = config(args=["/bin/sleep", "600"])
    document["linux"]["resources"] = {"memory": {"limit": 64 * MIB}, "pids": {"limit": 30}}
    bundle.write(document)
    path = systemd.place("coracle-test-box.scope", "coracletest.slice")
    made = create.create(str(bundle.folder), bundle.state(), document, cgroup=path, systemd=True)
    try:
        os.close(made.pidfd)
        start.start(bundle.state())
        assert group.processes(path) == [made.pid]  # and nobody who kept the place
        assert show("coracle-test-box.scope", "MemoryMax", "TasksMax", "Delegate", "ActiveState", "Slice") == [
            str(64 * MIB), "30", "yes", "active", "coracletest.slice"]
        group.update(path, Limits(pids_max=40))
        reload()
        assert group.read(path).pids_max == 40 and show("coracle-test-box.scope", "TasksMax") == ["40"]
        with pytest.raises(EngineError):
            create.create(str(bundle.folder), str(tmp_path / "other"), document, cgroup=path, systemd=True)
    finally:
        delete.delete(bundle.state(), force=True)
        os.waitpid(made.pid, 0)
    assert show("coracle-test-box.scope", "ActiveState") == ["inactive"] and not group.paths(path)
    subprocess.run(["systemctl", "stop", "coracletest.slice"], check=True)
