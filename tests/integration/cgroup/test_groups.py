# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups on the real kernel: made, read, changed, removed; the same tests on v1, v2 and hybrid hosts."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import checks, effective, group, support
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import discover, folder
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import (
    NOTHING,
    DeviceRule,
    IoLimit,
    Limits,
    given,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.render import rounded
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import (
    Conflict,
    EngineError,
    InvalidValue,
    NotFound,
    Unsupported,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import clone
from hosts import Host

MIB = 1 << 20


@pytest.fixture
def inside(shared_host: Host, request: pytest.FixtureRequest) -> Callable[[Callable[[str], Any]], Any]:
    """Call a scenario on the host with the path of a group of its own, and end what it leaves in the group."""
    path = "%s/%s" % (shared_host.cgroup_root, request.node.name.replace("[", "-").rstrip("]"))

    def guarded(scenario: Callable[[str], Any]) -> Any:
        try:
            return scenario(path)
        finally:
            if any(os.path.isdir(folder(root, path)) for root in discover().all_roots()):
                group.kill(path)
                group.remove(path)
    return lambda scenario: shared_host.call(guarded, scenario)


def sleeper() -> int:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def disk() -> str:
    """The numbers of a whole disk of this machine, or nothing."""
    for name in sorted(os.listdir("/sys/block")):
        with open("/sys/block/%s/size" % name, encoding="ascii") as stream:
            if int(stream.read()) and not name.startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
                with open("/sys/block/%s/dev" % name, encoding="ascii") as numbers:
                    return numbers.read().strip()
    return ""


def common() -> Limits:
    """Limits that every host with the usual controllers has."""
    return Limits(cpu_quota=30000, cpu_period=60000, cpu_weight=250, cpuset_cpus="0", cpuset_mems="0",
                  memory_max=64 * MIB, memory_low=8 * MIB, pids_max=33,
                  io_limits=tuple(IoLimit(each, read_bps=MIB, write_iops=100) for each in [disk()] if each),
                  devices=(DeviceRule(False), DeviceRule(True, "b", 7, None, "m"), DeviceRule(True, "c", 1, 3, "rw")))


def all_in(path: str) -> List[bool]:
    return [os.path.isdir(folder(root, path)) for root in discover().all_roots()]


def test_what_is_written_is_read_back(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, common())
        told = group.read(path)
        for field, value in given(common()).items():
            assert getattr(told, field) == value, field
        assert group.exists(path) and all(all_in(path))
    inside(scenario)


def test_a_new_group_limits_nothing(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        told = group.read(path)
        assert (told.cpu_quota, told.cpu_weight, told.memory_max, told.pids_max, told.io_limits) == (-1, 100, -1, -1, ())
        assert told.devices == (DeviceRule(True),)
        assert told.memory_swap_max in (-1, None)
    inside(scenario)


def test_a_limit_is_changed_alone_and_lifted(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, common())
        before = group.read(path)
        group.update(path, Limits(memory_max=128 * MIB))
        assert group.read(path) == before._replace(memory_max=128 * MIB)
        group.update(path, Limits(cpu_quota=-1, memory_max=-1, pids_max=-1, io_limits=(), devices=(DeviceRule(True),)))
        after = group.read(path)
        assert (after.cpu_quota, after.memory_max, after.pids_max, after.io_limits) == (-1, -1, -1, ())
        assert after.devices == (DeviceRule(True),)
    inside(scenario)


def test_memory_and_swap_in_both_directions(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        if group.read(path).memory_swap_max is None:
            with pytest.raises(Unsupported, match="option 'memory_swap_max': this kernel"):
                group.update(path, Limits(memory_swap_max=0))
            return
        for memory, swap in ((64, 0), (128, 64), (32, 8), (64, 0), (16, 128), (-1, -1), (8, 0)):
            wanted = Limits(memory_max=max(memory * MIB, -1), memory_swap_max=max(swap * MIB, -1))
            group.update(path, wanted)
            told = group.read(path)
            assert (told.memory_max, told.memory_swap_max) == (wanted.memory_max, wanted.memory_swap_max)
        group.update(path, Limits(memory_max=16 * MIB, memory_swap_max=4 * MIB))
        group.update(path, Limits(memory_max=32 * MIB))
        assert group.read(path).memory_swap_max == 4 * MIB
    inside(scenario)


def test_quota_and_period_in_both_directions(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(cpu_quota=100000, cpu_period=100000))
        for quota, period in ((1000, 1000), (1000000, 1000000), (5000, 10000), (-1, 100000), (2000, 4000)):
            group.update(path, Limits(cpu_quota=quota, cpu_period=period))
            told = group.read(path)
            assert (told.cpu_quota, told.cpu_period) == (quota, period)
    inside(scenario)


def test_a_rounded_value_is_told_as_rounded(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        asked = Limits(memory_max=10000001, memory_low=5000, cpu_weight=77, io_weight=None)
        group.create(path, asked)
        expected = rounded(support.layout(discover(), path), asked)
        told = group.read(path)
        assert expected.memory_max == 10000001 // 4096 * 4096
        assert (told.memory_max, told.memory_low, told.cpu_weight) == (
            expected.memory_max, expected.memory_low, expected.cpu_weight)
    inside(scenario)


def test_every_tenth_cpu_weight_returns_from_the_kernel(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        for weight in (1, 2, 3, 99, 100, 101, *range(10, 10001, 370), 10000):
            group.update(path, Limits(cpu_weight=weight))
            assert group.read(path).cpu_weight == weight
    inside(scenario)


def test_io_weight(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        layout = support.layout(discover(), path)
        if not layout.io_weight:
            with pytest.raises(Unsupported, match="option 'io_weight'.*bfq"):
                group.update(path, Limits(io_weight=50))
            return
        for weight in (1, 50, 100, 150, 10000):
            group.update(path, Limits(io_weight=weight))
            assert group.read(path).io_weight == rounded(layout, Limits(io_weight=weight)).io_weight
    inside(scenario)


def test_a_failure_restores_what_was(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(cpu_weight=50, pids_max=5))
        before = group.read(path)
        with pytest.raises(EngineError, match="burst"):
            group.update(path, Limits(cpu_weight=60, pids_max=7, cpu_quota=50000, cpu_period=100000, cpu_burst=99000000))
        assert group.read(path) == before
    inside(scenario)


def test_a_failed_creation_leaves_nothing(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        with pytest.raises(InvalidValue, match="cpuset_cpus"):
            group.create(path + "/a/b", Limits(cpuset_cpus="4000"))
        with pytest.raises(EngineError, match="burst"):
            group.create(path + "/a/b", Limits(cpu_quota=50000, cpu_burst=99000000))
        assert not any(all_in(path))
    inside(scenario)


def test_what_this_kernel_has_not_is_refused_before_anything_changes(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        first = Limits(memory_high=8 * MIB) if discover().version("memory") == 1 else Limits(memory_swappiness=5)
        with pytest.raises(Unsupported, match="option 'memory_(high|swappiness)': cgroup v[12] has no such limit") as caught:
            group.create(path, first._replace(pids_max=5))
        assert caught.value.remedy
        for controller, asked in (("net_cls", Limits(network_class=1)), ("rdma", Limits(rdma=(("mlx5_0", 1, 1),)))):
            if not discover().version(controller):
                with pytest.raises(Unsupported, match="this host has no cgroup controller '%s'" % controller):
                    group.create(path, asked)
        assert not any(all_in(path))
    inside(scenario)


def test_groups_above_are_made_and_not_limited(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(pids_max=50, memory_max=512 * MIB))
        group.create(path + "/a/b", common())
        assert group.read(path + "/a").pids_max == -1
        assert group.read(path)[:] == group.read(path)[:] and group.read(path).pids_max == 50
        pid = sleeper()
        group.attach(path + "/a/b", pid)
        assert group.processes(path + "/a/b") == [pid] and group.processes(path + "/a") == []
        group.kill(path)
        os.waitpid(pid, 0)
    inside(scenario)


def test_a_child_with_more_cpus_than_its_parent(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(cpu_quota=50000, cpu_period=100000))
        wanted = Limits(cpu_quota=80000, cpu_period=100000)
        if discover().version("cpu") == 2:
            group.create(path + "/a", wanted)
            assert group.read(path + "/a").cpu_quota == 80000
            return
        with pytest.raises(Conflict, match=r"0.8 CPUs for cgroup \S+ are more than the 0.5 of cgroup \S+ above it"):
            group.create(path + "/a", wanted)
        group.create(path + "/a", Limits(cpu_quota=40000, cpu_period=100000))
        with pytest.raises(Conflict, match=r"0.1 CPUs for cgroup \S+ are less than the 0.4 of cgroup \S+/a below it"):
            group.update(path, Limits(cpu_quota=10000, cpu_period=100000))
        assert group.read(path).cpu_quota == 50000
    inside(scenario)


def test_a_process_is_put_into_every_hierarchy(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        pid = sleeper()
        assert not group.holds(path, pid)
        group.attach(path, pid)
        assert group.holds(path, pid) and group.processes(path) == [pid]
        entry = group.open_entry(path)
        other = sleeper()
        group.enter(entry, other)
        group.close_entry(entry)
        assert group.processes(path) == sorted([pid, other])
        group.kill(path)
        for each in (pid, other):
            assert os.WTERMSIG(os.waitpid(each, 0)[1]) == signal.SIGKILL
        with pytest.raises(NotFound, match="no process"):
            group.attach(path, pid)
    inside(scenario)


def test_a_child_enters_by_itself(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        place = group.open_birthplace(path)
        back, out = os.pipe()
        made = clone.clone(0, place.v2)
        if made.pid == 0:
            group.enter_self(place)
            os.write(out, b"in")
            signal.pause()
        assert os.read(back, 100) == b"in"
        assert group.holds(path, made.pid) and group.processes(path) == [made.pid]
        group.close_birthplace(place)
        for handle in place.own:
            with pytest.raises(OSError):
                os.write(handle, b"0")
        assert not group.remove_vacant(path) and group.holds(path, made.pid)
        group.kill(path)
        os.waitpid(made.pid, 0)
        assert group.remove_vacant(path) and not group.exists(path) and group.remove_vacant(path)
    inside(scenario)


def test_groups_within_that_are_frozen_are_killed_too(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path + "/a")
        pid = sleeper()
        group.attach(path + "/a", pid)
        roots = discover()
        if "freezer" in roots.v1:
            with open(folder(roots.v1["freezer"], path) + "/a/freezer.state", "w", encoding="ascii") as stream:
                stream.write("FROZEN")
        else:
            group.freeze(path + "/a")
        group.kill(path)
        assert os.waitpid(pid, 0)[0] == pid
    inside(scenario)


def test_a_group_with_processes_is_not_removed(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path + "/a")
        pid = sleeper()
        group.attach(path + "/a", pid)
        with pytest.raises(Conflict, match="processes %d are in" % pid) as caught:
            group.remove(path, timeout=0.1)
        assert caught.value.facts["processes"] == [pid]
        assert group.processes(path + "/a") == [pid]
        group.kill(path)
        os.waitpid(pid, 0)
        group.remove(path)
        assert not any(all_in(path))
        group.remove(path)
        group.kill(path)
    inside(scenario)


def test_a_group_below_one_that_holds_processes(inside: Callable[..., Any]) -> None:
    """v2 gives it no controllers; in v1 they may have both."""
    def scenario(path: str) -> None:
        roots = discover()
        field = "pids_max" if roots.version("pids") == 2 else "hugetlb" if roots.version("hugetlb") == 2 else ""
        limited = Limits(**{field: 20 if field == "pids_max" else (("2MB", 1 << 22),)}) if field else NOTHING
        group.create(path + "/a")
        pid, inner = sleeper(), sleeper()
        try:
            group.attach(path + "/a", pid)
            if field:
                for each in (lambda: checks.check(roots, path + "/a/b", limited, NOTHING),  # as in check mode
                             lambda: group.create(path + "/a/b", limited)):
                    with pytest.raises(Conflict, match=r"holds processes itself \(%d\)" % pid):
                        each()
                assert not any(all_in(path + "/a/b"))
            group.create(path + "/a/b")
            group.attach(path + "/a/b", inner)  # it is no group for threads alone
            assert group.processes(path + "/a/b") == [inner]
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            group.update(path + "/a/b", limited)
            told = group.read(path + "/a/b")
            assert field != "pids_max" or told.pids_max == 20
            assert field != "hugetlb" or ("2MB", 1 << 22) in (told.hugetlb or ())
        finally:
            group.kill(path)
            os.waitpid(inner, 0)
            group.remove(path)
    inside(scenario)


def test_the_frozen_are_killed_too(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        pid = sleeper()
        group.attach(path, pid)
        group.freeze(path)
        assert group.frozen(path)
        group.kill(path)
        assert os.waitpid(pid, 0)[0] == pid
    inside(scenario)


def test_a_freezer_that_a_person_used_is_seen_and_thawed(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        roots = discover()
        if "freezer" in roots.v1:
            at, value = folder(roots.v1["freezer"], path) + "/freezer.state", "FROZEN"
        else:
            at, value = folder(roots.v2 or "", path) + "/cgroup.freeze", "1"
        with open(at, "w", encoding="ascii") as stream:
            stream.write(value)
        assert group.frozen(path)
        group.thaw(path)
        assert not group.frozen(path)
    inside(scenario)


def test_empty_groups_are_pruned_and_limited_ones_stay(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path + "/a")
        assert not group.prune(path)
        assert group.prune(path + "/a")
        group.update(path, Limits(pids_max=5))
        assert not group.prune(path)
        group.update(path, Limits(pids_max=-1))
        assert group.prune(path) and not any(all_in(path))
    inside(scenario)


def test_what_is_missing_in_some_hierarchies_is_completed(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(pids_max=5))
        os.rmdir(folder(discover().all_roots()[0], path))
        assert not group.exists(path)
        group.create(path, Limits(pids_max=6))
        assert group.exists(path) and group.read(path).pids_max == 6
    inside(scenario)


def test_no_group_is_no_group(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        assert not group.exists(path) and group.processes(path) == [] and group.paths(path) == {}
        for call in (group.read, group.usage, group.freeze, group.thaw, group.open_entry):
            with pytest.raises(NotFound, match=path):
                call(path)
        with pytest.raises(NotFound, match=path):
            group.update(path, Limits(pids_max=5))
    inside(scenario)


@pytest.mark.measures
def test_making_a_group_is_fast(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        limits = Limits(cpu_quota=50000, cpu_period=100000, cpu_weight=200, memory_max=64 * MIB, pids_max=50)
        group.create(path)
        times = []
        for _each in range(40):
            begin = time.perf_counter()
            group.create(path + "/a", limits)
            times.append(time.perf_counter() - begin)
            group.remove(path + "/a")
        assert min(times) < (0.5 if os.environ.get("CORACLE_VM") else 0.01), sorted(times)  # the benchmark has the figure
    inside(scenario)


def test_the_least_of_all_groups_above_holds(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path, Limits(memory_max=64 * MIB, pids_max=50, cpu_quota=50000, cpu_period=100000, cpuset_cpus="0"))
        group.create(path + "/a/b", Limits(memory_max=96 * MIB, pids_max=20, cpu_quota=-1, cpu_period=100000))
        told = effective.effective(path + "/a/b")
        assert told["memory_max"] == {"value": 64 * MIB, "cgroup": path}
        assert told["pids_max"] == {"value": 20, "cgroup": path + "/a/b"}
        assert told["cpus"] == {"value": 0.5, "cgroup": path}
        assert told["cpuset_cpus"]["value"] == "0"
        assert effective.effective(os.path.dirname(path))["pids_max"] == {"value": -1, "cgroup": None}
    inside(scenario)


def test_pressure_is_told_where_the_kernel_has_it(inside: Callable[..., Any]) -> None:
    def scenario(path: str) -> None:
        group.create(path)
        told = group.usage(path)["pressure"]
        unified = discover().v2
        if unified is None or not os.path.exists("/proc/pressure/cpu"):
            assert told == {"cpu": None, "memory": None, "io": None}
            return
        for what in ("cpu", "memory", "io"):
            assert set(told[what]["some"]) == {"avg10", "avg60", "avg300", "total_us"}
    inside(scenario)
