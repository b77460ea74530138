# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_cgroup) as Ansible runs it: predicts, does, repeats, mends, refuses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group, support
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import discover
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import Limits
from hosts import Host

Module = Callable[..., Dict[str, Any]]


@pytest.fixture
def cgroup(shared_host: Host) -> Iterator[Module]:
    """Run the module on the host; the group C(web) is gone afterwards."""
    def run(**arguments: Any) -> Dict[str, Any]:
        if "path" not in arguments:
            arguments.setdefault("name", "web")
        arguments = {name: value for name, value in arguments.items() if value is not None}
        return shared_host.module("container_cgroup", **arguments)
    yield run
    run(state="absent", force=True)


def disk() -> str:
    """A whole disk of this machine, as C(MAJ:MIN)."""
    for name in sorted(os.listdir("/sys/block")):
        at = Path("/sys/block", name)
        if int((at / "size").read_text("ascii")) and not name.startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
            return (at / "dev").read_text("ascii").strip()
    pytest.skip("this machine has no disk")


def common() -> Dict[str, Any]:
    """One right value for every option that every host can serve."""
    return {"cpus": "0.5", "cpu_period": 50000, "cpu_burst": 5000, "cpu_weight": 250, "cpuset_cpus": "0",
            "cpuset_mems": "0", "memory_max": "64M", "memory_low": "8M", "pids_max": 33,
            "io_limits": [{"device": disk(), "write_bps": "10M"}],
            "device_rules": [{"type": "c", "major": 1, "minor": 3}], "freeze": False}


def names(result: Dict[str, Any]) -> List[str]:
    return [step["action"] for step in result["actions"]]


def test_made_predicted_and_repeated(cgroup: Module, shared_host: Host) -> None:
    path = shared_host.cgroup_root + "/web"
    predicted = cgroup(check_mode=True, **common())
    assert predicted["changed"] and not predicted["cgroup"]["exists"]
    assert not group.exists(path) and not shared_host.run(["ls", "/run/coracle"], check=False).stdout
    made = cgroup(**common())
    assert made["changed"] and names(made) == ["create"]
    assert (made["actions"], made["diff"]) == (predicted["actions"], predicted["diff"])
    assert made["cgroup"]["exists"] and made["cgroup"]["path"] == path
    told = made["cgroup"]["limits"]
    assert (told["cpus"], told["cpu_quota"], told["cpu_period"], told["memory_max"], told["pids_max"]) == (
        0.5, 25000, 50000, 64 << 20, 33)
    for check_mode in (False, True):
        again = cgroup(check_mode=check_mode, **common())
        assert not again["changed"] and again["actions"] == [] and again["diff"] == {"before": {}, "after": {}}
    assert cgroup()["changed"] is False  # what is left out says nothing


def test_drift_is_shown_and_mended(cgroup: Module, shared_host: Host) -> None:
    path = shared_host.cgroup_root + "/web"
    cgroup(**common())
    group.update(path, Limits(memory_max=32 << 20, pids_max=7))
    seen = cgroup(check_mode=True, **common())
    assert seen["diff"] == {"before": {"memory_max": 32 << 20, "pids_max": 7},
                            "after": {"memory_max": 64 << 20, "pids_max": 33}}
    assert group.read(path).pids_max == 7
    mended = cgroup(**common())
    assert mended["diff"] == seen["diff"] and names(mended) == ["update"]
    assert group.read(path).pids_max == 33


def test_what_the_kernel_rounds_is_compared_as_rounded(cgroup: Module) -> None:
    cgroup(memory_max=10000001, cpus="0.333333")
    again = cgroup(memory_max=10000001, cpus="0.333333")
    assert not again["changed"]
    assert again["cgroup"]["limits"]["memory_max"] == 9998336 and again["cgroup"]["limits"]["cpus"] == 0.33333


def test_limits_are_lifted_by_max(cgroup: Module) -> None:
    cgroup(cpus=1, memory="64M", pids_limit=5)
    lifted = cgroup(cpus="max", memory_max="max", pids_max=-1)
    assert lifted["changed"] and {lifted["cgroup"]["limits"][name] for name in ("cpus", "memory_max", "pids_max")} == {-1}
    assert not cgroup(cpus="max", memory_max="max", pids_max=-1)["changed"]


def test_a_process_moves_in(cgroup: Module, shared_host: Host) -> None:
    cgroup()
    worker = shared_host.start(["sh", "-c", "echo $$; exec sleep 3600"], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    predicted = cgroup(processes=[pid], check_mode=True)
    moved = cgroup(processes=[pid])
    assert names(moved) == ["attach"] and moved["diff"] == predicted["diff"] == {
        "before": {"processes": []}, "after": {"processes": [pid]}}
    assert moved["cgroup"]["processes"] == [pid] and moved["cgroup"]["usage"]["pids"]["current"] == 1
    assert not cgroup(pids=[pid])["changed"]
    assert cgroup(state="frozen")["cgroup"]["frozen"] and not cgroup(state="frozen")["changed"]
    assert not cgroup(state="thawed")["cgroup"]["frozen"] and not cgroup(state="thawed")["changed"]
    refused = cgroup(state="absent", fail=True)
    assert "still holds processes: %d" % pid in refused["msg"] and refused["processes"] == [pid]
    assert cgroup(state="absent", fail=True, check_mode=True)["msg"] == refused["msg"]
    assert worker.poll() is None
    assert names(cgroup(state="absent", force=True)) == ["kill", "remove"]
    assert worker.wait(10) != 0
    worker.stdout.close()


def test_a_family_moves_in_and_out_again(cgroup: Module, shared_host: Host) -> None:
    worker = shared_host.start(["sh", "-c", "sleep 3600 & sleep 3600 & echo $$ $!; wait"], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    parent, child = map(int, worker.stdout.readline().split())
    assert "the root group" in cgroup(pid=parent, name=None, pids_max=5, fail=True)["msg"] or \
        "several groups" in cgroup(pid=parent, name=None, pids_max=5, fail=True)["msg"]
    moved = cgroup(processes=[parent], descendants=True, pids_max=9)
    assert len(moved["cgroup"]["processes"]) == 3 and child in moved["cgroup"]["processes"]
    assert not cgroup(processes=[parent], descendants=True, pids_max=9)["changed"]
    path = shared_host.cgroup_root + "/web"
    by_pid = cgroup(pid=child, name=None, pids_max=11)
    assert by_pid["cgroup"]["path"] == path and by_pid["diff"]["before"] == {"pids_max": 9}
    assert by_pid["cgroup"]["effective"]["pids_max"] == {"value": 11, "cgroup": path}

    assert "on_processes" in cgroup(state="absent", fail=True)["msg"]
    cgroup(name="other")
    predicted = cgroup(state="absent", on_processes="move", move_to=shared_host.cgroup_root + "/other", check_mode=True)
    gone = cgroup(state="absent", on_processes="move", move_to=shared_host.cgroup_root + "/other")
    assert names(gone) == names(predicted) == ["move", "remove"] and not gone["cgroup"]["exists"]
    assert cgroup(name="other")["cgroup"]["processes"] == moved["cgroup"]["processes"] and worker.poll() is None
    assert names(cgroup(name="other", state="absent", on_processes="move")) == ["move", "remove"]  # to a group above
    assert worker.poll() is None
    cgroup(processes=[parent], descendants=True)
    assert names(cgroup(state="absent", on_processes="kill")) == ["kill", "remove"]
    assert worker.wait(10) != 0
    worker.stdout.close()


def test_a_unit_needs_systemd(cgroup: Module) -> None:
    if not Path("/run/systemd/system").exists():
        assert "option 'unit': systemd is not process 1" in cgroup(unit="nginx.service", name=None, fail=True)["msg"]
    assert "option 'unit'" in cgroup(unit="nginx", name=None, fail=True)["msg"]
    assert "option 'slice'" in cgroup(unit="a.scope", slice="a.scope", name=None, fail=True)["msg"]


def test_memory_below_what_is_used_is_refused_with_the_figures(cgroup: Module, shared_host: Host) -> None:
    cgroup(memory_max="128M")
    script = "import os, sys, signal; print(os.getpid(), flush=True); sys.stdin.read(1); " \
             "held = bytearray(b'y' * (32 << 20)); print('full', flush=True); signal.pause()"
    worker = shared_host.start(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.stdin is not None and worker.stdout is not None
    pid = int(worker.stdout.readline())
    cgroup(processes=[pid])
    worker.stdin.write(b"x")
    worker.stdin.close()
    assert worker.stdout.readline() == b"full\n"
    for check_mode in (True, False):
        refused = cgroup(memory_max="16M", fail=True, check_mode=check_mode)
        assert refused["current"] > 32 << 20 and str(refused["current"]) in refused["msg"]
        assert "force: true" in refused["msg"]
    assert cgroup()["cgroup"]["limits"]["memory_max"] == 128 << 20
    if discover().version("memory") == 1:  # v1 swaps out what it can, else refuses
        forced = cgroup(memory_max="16M", memory_swap_max=0, force=True, fail=True)
        assert "uses" in forced["msg"] and cgroup()["cgroup"]["limits"]["memory_max"] == 128 << 20
    else:
        forced = cgroup(memory_max="16M", memory_swap_max=0, force=True)
        assert forced["cgroup"]["limits"]["memory_max"] == 16 << 20
        assert worker.wait(30) != 0 and cgroup()["cgroup"]["usage"]["memory"]["events"]["oom_kill"] == 1
    worker.kill()
    worker.wait()
    worker.stdout.close()


def test_absent_leaves_nothing_and_repeats(cgroup: Module, shared_host: Host) -> None:
    cgroup(name="web/inner/most", pids_max=5)
    assert cgroup(state="absent", check_mode=True)["changed"]
    gone = cgroup(state="absent")
    assert names(gone) == ["remove"] and not gone["cgroup"]["exists"]
    assert not cgroup(state="absent")["changed"]
    assert not group.paths(shared_host.cgroup_root)  # it was empty and limited nothing
    cgroup(name="web/inner/most")
    cgroup(name="web/inner", pids_max=9)
    cgroup(name="web/inner/most", state="absent")
    assert group.exists(shared_host.cgroup_root + "/web/inner")  # limits something


def test_a_path_of_ones_own(cgroup: Module, shared_host: Host) -> None:
    path = shared_host.cgroup_root + "/elsewhere/x"
    made = cgroup(path=path, pids_max=5)
    assert made["cgroup"]["path"] == path and made["cgroup"]["name"] is None
    assert cgroup(path=path, state="absent")["changed"]


@pytest.mark.parametrize("given, text", [
    ({"name": "../etc"}, "option 'name': value '../etc' has characters that a name must not have"),
    ({"path": "/"}, "option 'path'"),
    ({"path": "relative"}, "option 'path': value 'relative' is no absolute path"),
    ({"cpus": "0.005"}, "option 'cpus': value 0.005 of a period of 100000 microseconds"),
    ({"cpus": "many"}, "option 'cpus': value 'many' is no number of CPUs above zero"),
    ({"cpu_quota": 5}, "option 'cpu_quota'"),
    ({"cpu_period": 5000}, "option 'cpu_period': value 5000 says nothing by itself"),
    ({"cpu_weight": 0}, "option 'cpu_weight': value 0 is not between 1 and 10000"),
    ({"cpuset_cpus": "4000"}, "option 'cpuset_cpus': value '4000' names CPUs that this host does not have"),
    ({"cpuset_mems": "77"}, "option 'cpuset_mems': value '77' names memory nodes that this host does not have"),
    ({"memory_max": "1M"}, "option 'memory_max': value '1M' is below 6 MiB, with which no process gets going"),
    ({"memory_max": "plenty"}, "option 'memory_max': value 'plenty' is no size"),
    ({"pids_max": 0}, "option 'pids_max': value '0' is not between 1"),
    ({"io_weight": 0}, "option 'io_weight'"),
    ({"io_limits": [{"device": "/dev/null", "read_bps": 1}]}, "value '/dev/null' is no block device"),
    ({"io_limits": [{"device": "8:0"}]}, "option 'io_limits'"),
    ({"device_rules": [{"access": "x"}]}, "option 'device_rules'"),
    ({"processes": [4194304]}, "there is no process 4194304"),
    ({"state": "frozen", "freeze": False}, "option 'freeze' (false) contradicts the state 'frozen'"),
])
def test_a_wrong_value_is_one_clear_error(cgroup: Module, shared_host: Host, given: Dict[str, Any], text: str) -> None:
    for check_mode in (True, False):
        refused = cgroup(fail=True, check_mode=check_mode, **given)
        assert text in refused["msg"] and "Traceback" not in refused["msg"] and "exception" not in refused
    assert not group.paths(shared_host.cgroup_root + "/web")


def test_what_this_kernel_has_not_is_named_with_its_remedy(cgroup: Module, shared_host: Host) -> None:
    hierarchies = discover()
    layout = support.layout(hierarchies, shared_host.cgroup_root)
    cases = {"memory_high": ("8M", hierarchies.version("memory") == 2), "io_weight": (50, bool(layout.io_weight))}
    for option, (value, there) in cases.items():
        if there:
            assert cgroup(**{option: value})["cgroup"]["limits"][option] == (8 << 20 if option == "memory_high" else 50)
            continue
        refused = cgroup(fail=True, **{option: value, "pids_max": 5})
        assert refused["option"] == option and refused["controller"] in refused["msg"]
        assert not group.paths(shared_host.cgroup_root + "/web") or cgroup()["cgroup"]["limits"]["pids_max"] == -1
    if hierarchies.version("devices") == 1:
        refused = cgroup(fail=True, device_rules=[{"allow": True}, {"allow": False, "type": "c", "major": 1}])
        assert "cgroup v1 does not tell exceptions" in refused["msg"]
