# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits do what they say, on the real kernel."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import devices, entry, freezer, group, support
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import discover, folder
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import DeviceRule, IoLimit, Limits
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import cgroupfs
from hosts import Host
from waiting import until

MIB = 1 << 20


@pytest.fixture(scope="module", params=["as mounted", "v1 alone"])
def mounted(request: pytest.FixtureRequest, new_host: Callable[[], Host]) -> Host:
    """A host with the hierarchies that this machine has, and one without that of v2."""
    host = new_host()
    if request.param == "v1 alone":
        if discover(fresh=True).kind != "hybrid":
            pytest.skip("only a machine with both versions can be made one with v1 alone")
        host.run(["umount", "/sys/fs/cgroup/unified"])
    return host


@pytest.fixture
def here(mounted: Host) -> Callable[..., Any]:
    """Call a function on the host, where the hierarchies are looked for anew."""
    def afresh(function: Callable[..., Any], *arguments: Any) -> Any:
        discover(fresh=True)
        return function(*arguments)
    return lambda function, *arguments: mounted.call(afresh, function, *arguments)


@pytest.fixture
def path(mounted: Host, request: pytest.FixtureRequest) -> str:
    """A group of the test's own."""
    return "%s/%s" % (mounted.cgroup_root, request.node.originalname)


@pytest.fixture
def inside(here: Callable[..., Any], path: str) -> Callable[..., Any]:
    """Make a group with limits on the host, run a function in a child in it, bring back (wait status, usage)."""
    def call(limits: Limits, work: Callable[[], int], during: Callable[[str, int], Any] = lambda path, pid: None) -> Any:
        group.create(path, limits)
        try:
            pid = in_group(path, work)
            seen = during(path, pid)
            status = os.waitpid(pid, 0)[1]
            return status, group.usage(path), seen
        finally:
            group.kill(path)
            group.remove(path)
    return lambda *arguments: here(call, *arguments)


def in_group(path: str, work: Callable[[], int]) -> int:
    """A child that begins to work once it is in the group."""
    gate, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(gate, 1)
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    os.close(gate)
    group.attach(path, pid)
    os.write(go, b"x")
    os.close(go)
    return pid


def spin() -> int:
    while True:
        pass


@pytest.mark.measures
def test_a_tenth_of_a_cpu_is_a_tenth_of_a_cpu(inside: Callable[..., Any]) -> None:
    """Little, so that a machine which has more to do gives it too."""
    def share(path: str, pid: int) -> float:
        began = time.monotonic_ns()
        until(lambda: time.monotonic_ns() - began > 3e9 and group.usage(path)["cpu"]["throttled_periods"] >= 3)
        used = group.usage(path)["cpu"]["usage_ns"] / (time.monotonic_ns() - began)
        os.kill(pid, signal.SIGKILL)
        return float(used)
    _status, used, share_of_all = inside(Limits(cpu_quota=5000, cpu_period=50000), spin, share)
    assert 0 < share_of_all <= 0.15
    cpu = used["cpu"]
    assert abs(cpu["user_ns"] + cpu["system_ns"] - cpu["usage_ns"]) <= 2000 and cpu["user_ns"] > 0  # v2 cuts to microseconds
    assert cpu["periods"] >= cpu["throttled_periods"] >= 3 and cpu["throttled_ns"] > 10_000_000


def test_memory_past_the_limit_is_the_end_of_one_process_alone(inside: Callable[..., Any]) -> None:
    def take() -> int:
        held = [bytearray(b"x" * MIB) for _each in range(128)]
        return len(held) and 1

    def others(path: str, pid: int) -> Any:
        modest, outside = in_group(path, signal.pause), os.fork()  # type: ignore[arg-type]
        if outside == 0:
            signal.pause()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        alive = [os.waitpid(each, os.WNOHANG)[0] == 0 for each in (modest, outside)]
        told = group.usage(path)["memory"]
        for each in (modest, outside):
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)
        return alive, told
    status, _used, (alive, memory) = inside(Limits(memory_max=24 * MIB), take, others)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert alive == [True, True]
    assert memory["events"]["oom_kill"] == 1 and memory["events"]["max"] > 0
    assert memory["peak"] is None or 16 * MIB < memory["peak"] <= 24 * MIB


def test_within_the_limit_nothing_happens(inside: Callable[..., Any]) -> None:
    def take() -> int:
        return 0 if bytearray(b"x" * 4 * MIB) else 1
    status, used, _seen = inside(Limits(memory_max=64 * MIB), take)
    assert status == 0 and used["memory"]["events"]["oom_kill"] == 0


def test_no_more_processes_than_the_limit(inside: Callable[..., Any]) -> None:
    def fork_on() -> int:
        made = []
        try:
            for _each in range(10):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                made.append(pid)
        except OSError as error:
            return 10 + len(made) if error.errno == errno.EAGAIN else 1
        finally:
            for pid in made:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return 2
    status, used, _seen = inside(Limits(pids_max=4), fork_on)
    assert os.waitstatus_to_exitcode(status) == 10 + 3
    assert used["pids"]["events"]["max"] >= 1
    assert used["pids"]["peak"] in (4, None)


def test_the_frozen_make_no_progress(inside: Callable[..., Any]) -> None:
    shared = mmap.mmap(-1, 8)

    def count() -> int:
        while True:
            shared[:8] = struct.pack("=q", struct.unpack("=q", shared[:8])[0] + 1)

    def during(path: str, pid: int) -> Dict[str, int]:
        def now() -> int:
            return int(struct.unpack("=q", shared[:8])[0])
        seen = {}
        until(lambda: now() > 0)
        group.freeze(path)
        seen["frozen"], seen["first"] = int(group.frozen(path)), now()
        time.sleep(0.1)
        seen["second"] = now()
        group.thaw(path)
        until(lambda: now() > seen["second"])
        os.kill(pid, signal.SIGKILL)
        return seen
    _status, _used, seen = inside(Limits(), count, during)
    assert seen["frozen"] == 1 and seen["first"] > 0
    assert seen["second"] == seen["first"]


def opens() -> int:
    """Bits: /dev/null opened, /dev/zero opened, /dev/full refused with EPERM."""
    found = 0
    for bit, (name, mode) in enumerate((("null", os.O_RDWR), ("zero", os.O_RDONLY), ("zero", os.O_RDWR))):
        try:
            os.close(os.open("/dev/" + name, mode))
            found |= 1 << bit
        except PermissionError:
            pass
    return found


@pytest.mark.parametrize("rules, expected", [
    ((), 0b000),
    ((DeviceRule(True),), 0b111),
    ((DeviceRule(True, "c", 1, 3),), 0b001),
    ((DeviceRule(True, "c", 1, 3), DeviceRule(True, "c", 1, 5, "r")), 0b011),
    ((DeviceRule(True, "b"),), 0b000),
    ((DeviceRule(True, "a", 1),), 0b111),
])
def test_device_rules(here: Callable[..., Any], path: str, rules: Tuple[DeviceRule, ...], expected: int) -> None:
    def scenario(path: str) -> Tuple[int, int, int]:
        group.create(path, Limits(devices=(DeviceRule(False), *rules)))
        try:
            first = os.waitpid(in_group(path, opens), 0)[1] >> 8
            group.update(path, Limits(devices=(DeviceRule(False), DeviceRule(True, "c", 1, 5))))
            second = os.waitpid(in_group(path, opens), 0)[1] >> 8
            group.update(path, Limits(devices=(DeviceRule(True),)))
            return first, second, os.waitpid(in_group(path, opens), 0)[1] >> 8
        finally:
            group.kill(path)
            group.remove(path)
    assert here(scenario, path) == (expected, 0b110, 0b111)


@pytest.mark.parametrize("rules, expected", [
    ((DeviceRule(True), DeviceRule(False, "c", 1, 5, "w")), 0b011),
    ((DeviceRule(True, "c", 1), DeviceRule(False, "c", 1, 3)), 0b110),
])
def test_device_rules_that_only_v2_can_hold(here: Callable[..., Any], path: str, rules: Tuple[DeviceRule, ...],
                                            expected: int) -> None:
    def scenario(path: str) -> Any:
        unified = discover().v2
        if unified is None:
            return None
        group.create(path)
        at = folder(unified, path)
        try:
            devices.to_v2(at, devices.canonical([DeviceRule(False)]))
            devices.to_v2(at, devices.canonical(rules))
            told = devices.from_v2(at)
            found = os.waitpid(in_group(path, opens), 0)[1] >> 8
            devices.to_v2(at, devices.canonical([DeviceRule(True)]))
            return found, told, devices.from_v2(at)
        finally:
            group.kill(path)
            group.remove(path)
    found = here(scenario, path)
    if found is None:
        pytest.skip("no v2 hierarchy is mounted")
    assert found == (expected, devices.canonical(rules), (DeviceRule(True),))


def test_a_cpuset_holds_to_its_cpu(inside: Callable[..., Any]) -> None:
    cpu = max(os.sched_getaffinity(0))
    status, _used, _seen = inside(Limits(cpuset_cpus=str(cpu)), lambda: int(os.sched_getaffinity(0) != {cpu}))
    assert status == 0


@pytest.fixture
def disk(mounted: Host) -> Iterator[Tuple[str, str]]:
    """A loop device of the test's own: its path and its numbers."""
    image = mounted.folder / "disk"
    with image.open("wb") as stream:
        stream.truncate(64 * MIB)
    device = mounted.run(["losetup", "--find", "--show", "--direct-io=on", image]).stdout.strip()
    at = os.stat(device).st_rdev
    yield device, "%d:%d" % (os.major(at), os.minor(at))
    mounted.run(["losetup", "--detach", device])


@pytest.mark.measures
def test_the_disk_limit_slows_down(inside: Callable[..., Any], disk: Tuple[str, str]) -> None:
    device, numbers = disk
    size, rate = 2 * MIB, 2 * MIB

    def write() -> int:
        block = mmap.mmap(-1, 256 * 1024)
        handle = os.open(device, os.O_WRONLY | os.O_DIRECT)
        begin = time.monotonic()
        for _each in range(size // len(block)):
            os.write(handle, block)
        return min(int((time.monotonic() - begin) * 100), 255)
    status, used, _seen = inside(Limits(io_limits=(IoLimit(numbers, write_bps=rate),)), write)
    hundredths = os.waitstatus_to_exitcode(status)
    # The kernel lets a slice of about 0.1 s through at once; a busy machine may take longer.
    assert hundredths >= 80 * size // rate, "%d bytes in %d hundredths of a second" % (size, hundredths)
    assert used["io"][numbers]["write_bytes"] >= size and used["io"][numbers]["write_operations"] >= 8
    status, _used, _seen = inside(Limits(), write)
    assert os.waitstatus_to_exitcode(status) < hundredths


def test_weights_of_single_disks(here: Callable[..., Any], path: str, disk: Tuple[str, str]) -> None:
    device, numbers = disk
    scheduler = "/sys/block/%s/queue/scheduler" % os.path.basename(device)

    def scenario() -> Any:
        with open(scheduler, encoding="ascii") as stream:
            before = stream.read()
        if "bfq" not in before:
            return None
        with open(scheduler, "w", encoding="ascii") as stream:
            stream.write("bfq")
        group.create(path)
        try:
            group.update(path, Limits(io_device_weights=((numbers, 300),)))
            first = group.read(path).io_device_weights
            group.update(path, Limits(io_device_weights=()))
            return first, group.read(path).io_device_weights
        finally:
            group.remove(path)
            with open(scheduler, "w", encoding="ascii") as stream:
                stream.write("none")
    found = here(scenario)
    if found is None:
        pytest.skip("this kernel has no bfq")
    rounded = {"io.weight": 300}.get(here(lambda: support.layout(discover(), path).io_weight), 298)
    assert found == (((numbers, rounded),), ())


def bomb() -> int:
    """Fork without end; all live on."""
    while True:
        try:
            os.fork()
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return 1


def test_a_fork_bomb_stops_at_the_limit_and_is_killed_whole(inside: Callable[..., Any]) -> None:
    def during(path: str, _pid: int) -> Tuple[int, int]:
        def bounced() -> bool:
            pids = group.usage(path)["pids"]
            return pids["current"] >= 60 and pids["events"]["max"] >= 1
        until(bounced, 240)  # half a CPU of an emulated machine is little
        most = group.usage(path)["pids"]["current"]
        group.kill(path)
        return most, len(entry.everyone(path))
    _status, used, (most, left) = inside(Limits(pids_max=60, cpu_quota=50000, cpu_period=100000), bomb, during)
    assert (most, left) == (60, 0)
    assert used["pids"]["events"]["max"] >= 1 and used["pids"]["peak"] in (60, None)


def forks() -> int:
    """Be replaced by a child again and again."""
    while True:
        if os.fork():
            os._exit(0)


def most(group_path: str) -> int:
    """The most processes of several looks: one look misses who is born behind it and whose parent is gone before it."""
    return max(len(entry.everyone(group_path)) for _look in range(50))


def test_who_forks_all_the_time_is_killed_and_moved_whole(here: Callable[..., Any], path: str) -> None:
    def scenario() -> Tuple[int, int, int]:
        group.create(path + "/from/inner", Limits(pids_max=200))
        group.create(path + "/to")
        try:
            first = in_group(path + "/from/inner", forks)
            os.waitpid(first, 0)
            before = most(path + "/from")
            freezer.move(path + "/from", path + "/to")
            moved = most(path + "/to")
            left = len(entry.everyone(path + "/from"))
            group.remove(path + "/from")
            group.kill(path + "/to")
            return min(before, moved, 1), left, len(entry.everyone(path))
        finally:
            group.kill(path)
            group.remove(path)
    assert here(scenario) == (1, 0, 0)


def on_one_cpu(path: str, first: Limits, second: Limits) -> Tuple[float, float]:
    """The CPU time, in seconds, that two groups get that both want all of one CPU, till they have had a second together."""
    cpu = str(max(os.sched_getaffinity(0)))
    inner = [path + "/first", path + "/second"]
    try:
        for each, limits in zip(inner, (first, second)):
            group.create(each, limits._replace(cpuset_cpus=cpu))
            in_group(each, spin)
        before = [group.usage(each)["cpu"]["usage_ns"] for each in inner]
        while True:
            time.sleep(0.2)
            used = [group.usage(each)["cpu"]["usage_ns"] - at for each, at in zip(inner, before)]
            if sum(used) > 1_000_000_000:
                return used[0] / 1e9, used[1] / 1e9
    finally:
        group.kill(path)
        group.remove(path)


@pytest.mark.measures
def test_twice_the_weight_is_twice_the_cpu(here: Callable[..., Any], path: str) -> None:
    light, heavy = here(on_one_cpu, path, Limits(cpu_weight=50), Limits(cpu_weight=200))
    assert 2 < heavy / light < 8, (light, heavy)


@pytest.mark.measures
def test_the_idle_get_what_nobody_wants(here: Callable[..., Any], path: str) -> None:
    idle, usual = here(on_one_cpu, path, Limits(cpu_idle=True), Limits())
    assert idle < usual / 10, (idle, usual)


@pytest.mark.measures
def test_what_was_not_used_may_be_used_later(inside: Callable[..., Any]) -> None:
    def now_and_then() -> int:
        while True:
            time.sleep(0.25)
            enough = time.thread_time() + 0.015
            while time.thread_time() < enough:
                pass

    def bursts(path: str, pid: int) -> Tuple[int, int]:
        until(lambda: group.usage(path)["cpu"]["bursts"])
        os.kill(pid, signal.SIGKILL)
        cpu = group.usage(path)["cpu"]
        return cpu["bursts"], cpu["burst_ns"]
    # Each time it needs more than the quota of one period, and has saved enough for that.
    _status, _used, found = inside(Limits(cpu_quota=10000, cpu_period=100000, cpu_burst=10000), now_and_then, bursts)
    assert min(found) > 0


def test_real_time_is_for_who_has_a_budget_and_no_longer_than_that(here: Callable[..., Any], path: str) -> None:
    top, own = "/" + path.strip("/").replace("/", "-"), {max(os.sched_getaffinity(0))}  # groups above have no budget to give

    def urgent() -> int:
        os.sched_setaffinity(0, own)  # each processor has the budget once
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return 7
        return spin()

    def scenario() -> Any:
        if discover().version("cpu") != 1 or not os.path.exists(folder(discover().v1["cpu"], "/cpu.rt_runtime_us")):
            return None
        group.create(top, Limits(cpu_rt_runtime=0))
        try:
            without = os.waitstatus_to_exitcode(os.waitpid(in_group(top, urgent), 0)[1])
            group.update(top, Limits(cpu_rt_runtime=10000, cpu_rt_period=100000))
            in_group(top, urgent)
            until(lambda: group.usage(top)["cpu"]["usage_ns"])
            began, before = time.monotonic_ns(), group.usage(top)["cpu"]["usage_ns"]
            time.sleep(1)
            return without, (group.usage(top)["cpu"]["usage_ns"] - before) / (time.monotonic_ns() - began)
        finally:
            group.kill(top)
            group.remove(top)
    found = here(scenario)
    if found is None:
        pytest.skip("budgets of real time are cgroup v1's, where the kernel was built with them")
    assert found[0] == 7
    assert 0 < found[1] < 0.2, found


@pytest.mark.alone
def test_a_partition_takes_its_cpu_from_all_others(here: Callable[..., Any], path: str) -> None:
    top = "/" + path.strip("/").replace("/", "-")

    def scenario() -> Any:
        hierarchies = discover()
        if hierarchies.version("cpuset") != 2 or len(os.sched_getaffinity(0)) < 2:
            return None
        cpu = max(os.sched_getaffinity(0))

        def granted() -> int:
            return int(os.sched_getaffinity(0) != {cpu})
        group.create(top, Limits(cpuset_cpus=str(cpu), cpuset_partition="isolated"))
        try:
            inside = os.waitstatus_to_exitcode(os.waitpid(in_group(top, granted), 0)[1])
            return inside, cpu in os.sched_getaffinity(0)
        finally:
            group.kill(top)
            group.remove(top)
    found = here(scenario)
    if found is None:
        pytest.skip("partitions are cgroup v2's, and take a CPU that can be spared")
    assert found == (0, False)


def test_above_memory_high_they_are_slowed_down_and_live(inside: Callable[..., Any]) -> None:
    def take() -> int:
        held = [bytearray(b"x" * MIB) for _each in range(17)]
        return int(len(held) != 17)
    if discover(fresh=True).version("memory") != 2:
        pytest.skip("memory_high is cgroup v2's")
    status, used, _seen = inside(Limits(memory_high=16 * MIB, memory_max=256 * MIB), take)
    assert status == 0 and used["memory"]["events"]["high"] > 0 and used["memory"]["events"]["oom_kill"] == 0


def allocate(size: int) -> int:
    """Take memory that nothing but swap can hold instead."""
    held = [bytearray(b"x" * MIB) for _each in range(size // MIB)]
    return len(held) and 0


def test_swap_is_limited_too(here: Callable[..., Any], path: str, mounted: Host) -> None:
    if not os.environ.get("CORACLE_VM"):
        pytest.skip("a machine's swap is not the tests' to turn on; the virtual machine's is")
    area = mounted.folder / "swap"
    with area.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, 64 * MIB)
    area.chmod(0o600)

    def scenario() -> Any:
        ends = []
        try:
            for most in (64 * MIB, 4 * MIB):
                group.create(path, Limits(memory_max=24 * MIB, memory_swap_max=most))
                ends.append(os.waitstatus_to_exitcode(os.waitpid(in_group(path, lambda: allocate(40 * MIB)), 0)[1]))
                group.remove(path)
            return ends
        finally:
            group.kill(path)
            group.remove(path)
    mounted.run(["mkswap", area])
    mounted.run(["swapon", area])
    try:
        assert here(scenario) == [0, -signal.SIGKILL]
    finally:
        mounted.run(["swapoff", area])


@pytest.mark.parametrize("protected, end", [({}, 0), ({"memory_low": 20 * MIB}, 0), ({"memory_min": 20 * MIB}, -signal.SIGKILL)],
                         ids=["nothing", "low", "min"])
def test_what_is_kept_for_one_is_not_taken_for_another(here: Callable[..., Any], path: str, mounted: Host, protected: Dict[str, int],
                                                       end: int) -> None:
    """Of what both share, one has filled a part with a file's content; the other needs that part."""
    if discover(fresh=True).version("memory") != 2:
        pytest.skip("memory_low and memory_min are cgroup v2's")
    file = mounted.folder / "kept"
    file.write_bytes(b"x" * (20 * MIB))
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def scenario() -> Any:
        def fill() -> int:
            return int(len(file.read_bytes()) != 20 * MIB)
        group.create(path, Limits(memory_max=48 * MIB, memory_swap_max=0))
        group.create(path + "/one", Limits(**protected))  # type: ignore[arg-type]
        group.create(path + "/other")
        try:
            filled = os.waitpid(in_group(path + "/one", fill), 0)[1]
            taken = os.waitstatus_to_exitcode(os.waitpid(in_group(path + "/other", lambda: allocate(36 * MIB)), 0)[1])
            return filled, taken, group.usage(path + "/one")["memory"]["current"] > 16 * MIB
        finally:
            group.kill(path)
            group.remove(path)
    assert here(scenario) == (0, end, end != 0)


def test_a_group_is_killed_as_one(inside: Callable[..., Any]) -> None:
    if discover(fresh=True).version("memory") != 2:
        pytest.skip("memory_oom_group is cgroup v2's")

    def take() -> int:
        return len([bytearray(b"x" * MIB) for _each in range(128)]) and 1

    def other(path: str, pid: int) -> int:
        modest = in_group(path, signal.pause)  # type: ignore[arg-type]
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return os.waitstatus_to_exitcode(os.waitpid(modest, 0)[1])
    status, used, other_status = inside(Limits(memory_max=24 * MIB, memory_swap_max=0, memory_oom_group=True), take, other)
    assert (os.WTERMSIG(status), other_status) == (signal.SIGKILL, -signal.SIGKILL)
    assert used["memory"]["events"]["oom_kill"] >= 2  # some kernels count the first of them twice


def test_who_may_not_be_killed_waits_for_memory(inside: Callable[..., Any]) -> None:
    if discover(fresh=True).version("memory") != 1:
        pytest.skip("memory_oom_kill is cgroup v1's")
    shared = mmap.mmap(-1, 8)

    def take() -> int:
        held = []
        for number in range(64):
            held.append(bytearray(b"x" * MIB))
            shared[:8] = struct.pack("=q", number)
        return 0

    def more(path: str, _pid: int) -> Tuple[int, int]:
        at = folder(discover().v1["memory"], path) + "/memory.oom_control"
        until(lambda: "under_oom 1" in cgroupfs.read(at))
        waiting = struct.unpack("=q", shared[:8])[0]
        group.update(path, Limits(memory_max=128 * MIB))
        return int(waiting), group.oom_kills(path)
    status, _used, (waiting, kills) = inside(Limits(memory_max=24 * MIB, memory_oom_kill=False), take, more)
    assert status == 0 and 0 < waiting < 24 and kills == 0


def test_less_memory_than_is_used(inside: Callable[..., Any]) -> None:
    ready = mmap.mmap(-1, 1)

    def hold() -> int:
        held = [bytearray(b"x" * MIB) for _each in range(32)]
        ready[0] = 1
        signal.pause()
        return len(held) and 0

    def lower(path: str, pid: int) -> Tuple[str, int]:
        until(lambda: ready[0])
        try:
            group.update(path, Limits(memory_max=16 * MIB))
        except EngineError as error:
            refused = str(error)
            os.kill(pid, signal.SIGKILL)
            return refused, group.read(path).memory_max or 0
        return "", group.read(path).memory_max or 0
    ready[0] = 0
    version = discover(fresh=True).version("memory")
    status, used, (refused, most) = inside(Limits(memory_max=64 * MIB, memory_swap_max=0), hold, lower)
    assert os.WTERMSIG(status) == signal.SIGKILL
    if version == 1:
        assert "uses" in refused and most == 64 * MIB and used["memory"]["events"]["oom_kill"] == 0
    else:
        assert (refused, most) == ("", 16 * MIB) and used["memory"]["events"]["oom_kill"] == 1


def test_huge_pages_are_limited_when_they_are_reserved_too(here: Callable[..., Any], path: str) -> None:
    def scenario() -> Any:
        version = discover().version("hugetlb")
        if version == 0 or not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").exists():
            return None
        group.create(path, Limits(hugetlb=(("2MB", 4 * MIB),)))
        try:
            at, file = Path(folder(discover().root("hugetlb") or "", path)), "max" if version == 2 else "limit_in_bytes"
            return [each.read_text(encoding="ascii") for each in at.glob("hugetlb.2MB*" + file) if "memsw" not in each.name]
        finally:
            group.remove(path)
    found = here(scenario)
    if found is None:
        pytest.skip("this kernel has no controller of huge pages")
    assert set(found) == {"%d\n" % (4 * MIB)}


def test_huge_pages_past_the_limit(here: Callable[..., Any], path: str) -> None:
    pages, size = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), 2 * MIB

    def take() -> int:
        try:
            held = mmap.mmap(-1, 2 * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)  # MAP_HUGETLB
        except OSError as error:
            return error.errno or 0
        held[0] = 1
        held[size] = 1  # SIGBUS, where the kernel does not refuse to reserve it (before 5.7)
        return 0

    def scenario() -> Any:
        if discover().version("hugetlb") == 0 or not pages.exists():
            return None
        ends = []
        try:
            for most in (size, 2 * size):
                group.create(path, Limits(hugetlb=(("2MB", most),)))
                ends.append(os.waitstatus_to_exitcode(os.waitpid(in_group(path, take), 0)[1]))
                group.remove(path)
            return ends
        finally:
            group.kill(path)
            group.remove(path)
    if not os.environ.get("CORACLE_VM"):
        pytest.skip("a machine's huge pages are not the tests' to take; the virtual machine's are")
    before = pages.read_text(encoding="ascii")
    pages.write_text("8", encoding="ascii")
    try:
        found = here(scenario)
    finally:
        pages.write_text(before, encoding="ascii")
    if found is None:
        pytest.skip("this kernel has no controller of huge pages")
    assert found in ([errno.ENOMEM, 0], [-signal.SIGBUS, 0])
