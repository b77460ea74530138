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
from typing import Any, Callable, Dict, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import devices, group
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import discover, folder
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import DeviceRule, IoLimit, Limits
from hosts import Host

MIB = 1 << 20


@pytest.fixture
def inside(shared_host: Host, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make a group with limits on the host, run a function in a child in it, bring back (wait status, usage)."""
    path = "%s/%s" % (shared_host.cgroup_root, request.node.name)

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
    return lambda *arguments: shared_host.call(call, *arguments)


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


def test_the_cpu_limit_throttles(inside: Callable[..., Any]) -> None:
    def spin() -> int:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            pass
        return 0
    status, used, _seen = inside(Limits(cpu_quota=10000, cpu_period=50000), spin)
    cpu = used["cpu"]
    assert status == 0
    assert 20_000_000 < cpu["usage_ns"] < 350_000_000, cpu
    # v2 cuts each of the three to microseconds
    assert abs(cpu["user_ns"] + cpu["system_ns"] - cpu["usage_ns"]) <= 2000 and cpu["user_ns"] > 0
    assert cpu["throttled_periods"] >= 3 and cpu["periods"] >= cpu["throttled_periods"]
    assert cpu["throttled_ns"] > 10_000_000  # less on a busy machine, which throttles by itself


def test_memory_past_the_limit_is_the_end(inside: Callable[..., Any]) -> None:
    def take() -> int:
        held = [bytearray(b"x" * MIB) for _each in range(128)]
        return len(held) and 1
    limits = Limits(memory_max=24 * MIB)

    def with_swap_off(path: str, _pid: int) -> Tuple[int, int]:
        return group.oom_kills(path), os.getpid()
    status, used, (_before, survivor) = inside(limits, take, with_swap_off)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert survivor > 0
    memory = used["memory"]
    assert memory["events"]["oom_kill"] == 1
    assert memory["events"]["max"] > 0
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
        time.sleep(0.05)
        group.freeze(path)
        seen["frozen"], seen["first"] = int(group.frozen(path)), now()
        time.sleep(0.1)
        seen["second"] = now()
        group.thaw(path)
        time.sleep(0.1)
        seen["third"] = now()
        os.kill(pid, signal.SIGKILL)
        return seen
    _status, _used, seen = inside(Limits(), count, during)
    assert seen["frozen"] == 1 and seen["first"] > 0
    assert seen["second"] == seen["first"] and seen["third"] > seen["second"]


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
def test_device_rules(shared_host: Host, rules: Tuple[DeviceRule, ...], expected: int) -> None:
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
    assert shared_host.call(scenario, shared_host.cgroup_root + "/devices") == (expected, 0b110, 0b111)


@pytest.mark.parametrize("rules, expected", [
    ((DeviceRule(True), DeviceRule(False, "c", 1, 5, "w")), 0b011),
    ((DeviceRule(True, "c", 1), DeviceRule(False, "c", 1, 3)), 0b110),
])
def test_device_rules_that_only_v2_can_hold(shared_host: Host, rules: Tuple[DeviceRule, ...], expected: int) -> None:
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
    found = shared_host.call(scenario, shared_host.cgroup_root + "/devices2")
    if found is None:
        pytest.skip("no v2 hierarchy is mounted")
    assert found == (expected, devices.canonical(rules), (DeviceRule(True),))


def test_a_cpuset_holds_to_its_cpu(inside: Callable[..., Any]) -> None:
    cpu = max(os.sched_getaffinity(0))
    status, _used, _seen = inside(Limits(cpuset_cpus=str(cpu)), lambda: int(os.sched_getaffinity(0) != {cpu}))
    assert status == 0


def test_the_disk_limit_slows_down(inside: Callable[..., Any], shared_host: Host) -> None:
    at = os.stat(shared_host.folder).st_dev
    device = "/sys/dev/block/%d:%d" % (os.major(at), os.minor(at))
    if not os.path.exists(device):
        pytest.skip("the tests' folder is on no block device")
    if os.path.exists(device + "/partition"):
        device = os.path.dirname(os.path.realpath(device))
    with open(device + "/dev", encoding="ascii") as stream:
        numbers = stream.read().strip()
    name = str(shared_host.folder / "written")

    def write() -> int:
        block = mmap.mmap(-1, 256 * 1024)
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        begin = time.monotonic()
        for _each in range(8):
            os.write(handle, block)
        os.close(handle)
        os.unlink(name)
        return 0 if time.monotonic() - begin > 0.6 else 1
    status, used, _seen = inside(Limits(io_limits=(IoLimit(numbers, write_bps=2 * MIB),)), write)
    assert os.waitstatus_to_exitcode(status) == 0
    assert used["io"][numbers]["write_bytes"] >= 2 * MIB and used["io"][numbers]["write_operations"] >= 8
