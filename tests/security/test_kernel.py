# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container with the defaults can ask of the kernel: the calls and files that published escapes began with."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import seccomp_default
from attacks import Ground
from bundles import DEFAULT_CAPABILITIES, fields
from containers import Runner

pytestmark = pytest.mark.slow
MASKED = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
          "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

CALLS = """
import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    result = libc.syscall(*words)
    return 'done' if result >= 0 else errno.errorcode.get(ctypes.get_errno(), '?')
def open_socket(family, kind=socket.SOCK_STREAM):
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        return errno.errorcode.get(error.errno, '?')
    return 'done'
new = {'user': 0x10000000, 'mount': 0x20000, 'net': 0x40000000, 'pid': 0x20000000, 'cgroup': 0x02000000, 'ipc': 0x08000000,
       'uts': 0x04000000}
found = {'unshare ' + name: call(NUMBERS['unshare'], flag) for name, flag in new.items()}
found.update({name: call(NUMBERS[name], 0, 0, 0, 0, 0) for name in NUMBERS if name not in ('unshare', 'clone3', 'keyctl', 'mount')})
found['mount'] = call(NUMBERS['mount'], b'x', b'/tmp', b'tmpfs', 0, 0)
found['keyctl'] = call(NUMBERS['keyctl'], 0, 0, 0)
found['clone3'] = call(NUMBERS['clone3'], 0, 0)
found['AF_ALG'] = open_socket(38, socket.SOCK_SEQPACKET)
found['AF_VSOCK'] = open_socket(40)
found['AF_INET'] = open_socket(socket.AF_INET)
json.dump(found, sys.stdout)
"""
NUMBERS = {"unshare": 272, "mount": 165, "fsopen": 430, "fsconfig": 431, "open_tree": 428, "move_mount": 429, "setns": 308,
           "pivot_root": 155, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250,
           "add_key": 248, "kexec_load": 246, "init_module": 175, "open_by_handle_at": 304, "clone3": 435}


@pytest.mark.quick
@pytest.mark.advisory("CVE-2022-0185", "CVE-2026-31431", "CVE-2022-0492")
@pytest.mark.skipif(__import__("os").uname().machine != "x86_64", reason="the calls are numbered for x86-64")
def test_calls_that_escapes_begin_with_are_refused_by_default(ground: Ground) -> None:
    """fsconfig of a new namespace, AF_ALG, BPF, userfaultfd, io_uring and the like, as root with the default capabilities."""
    document = ground.program("NUMBERS = %r\n%s" % (NUMBERS, CALLS))
    document["linux"]["seccomp"] = seccomp_default.section(DEFAULT_CAPABILITIES)
    done = ground.inside(lambda: ground.run(document))
    assert done.status == 0, done.errors
    found: Dict[str, str] = json.loads(done.output)
    assert found.pop("AF_INET") == "done"
    assert found.pop("clone3") == "ENOSYS"  # so that the C library falls back to clone, whose flags a filter can see
    assert {name: said for name, said in found.items() if said != "EPERM"} == {}


@pytest.mark.quick
def test_the_init_in_front_is_held_as_the_program_is(ground: Ground) -> None:
    """Who can trace it would else have a process without the filter."""
    document = ground.document(args=["cat", "/proc/1/status"], noNewPrivileges=True)
    document["linux"]["seccomp"] = seccomp_default.section(DEFAULT_CAPABILITIES)
    held = fields(ground.inside(lambda: ground.run(document, init=True)).output)
    assert (held["Name"], held["Seccomp"], held["NoNewPrivs"], held["CapBnd"]) == ("coracle-init", "2", "1", "00000000a80425fb")


@pytest.mark.advisory("CVE-2022-0492")
def test_no_release_agent_can_be_written(run: Runner) -> None:
    """Mounting a cgroup v1 hierarchy anew is how it becomes writable: in new namespaces, and in none."""
    script = ("for each in rdma memory misc pids; do unshare -UrmC mount -t cgroup -o $each x /tmp 2>/dev/null && echo mounted; "
              "mount -t cgroup -o $each x /tmp 2>/dev/null && echo mounted; done; "
              "for each in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do "
              "test -e $each && echo x 2>/dev/null > $each && echo written; done; :")
    assert run.output("one", script) == ""


@pytest.mark.advisory("CVE-2022-0492", "CVE-2023-25809")
def test_cgroups_are_read_only(run: Runner) -> None:
    script = ("for each in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $each/new 2>/dev/null && echo made; "
              "for file in $each/cgroup.procs $each/memory.max $each/memory.limit_in_bytes; do "
              "test -e $file && echo 1 2>/dev/null > $file && echo written; done; done; ls -d /sys/fs/cgroup")
    assert run.output("one", script) == "/sys/fs/cgroup\n"


@pytest.mark.quick
@pytest.mark.advisory("GHSA-6fw5-f8r9-fgfm", "GHSA-jq35-85cj-fj4p")
def test_masked_paths_say_nothing_and_read_only_ones_stay(run: Runner) -> None:
    script = "\n".join(
        ["for each in %s; do test -d $each && ls -A $each; test -f $each && cat $each; test -c $each && head -c 9 $each; done"
         % " ".join(MASKED),
         "for each in %s; do mount | grep -q \" $each .*[(,]ro[,)]\" || echo not read-only: $each; done"
         % " ".join("$(test -e %s && echo %s)" % (each, each) for each in READ_ONLY), "echo done"])
    assert run.output("one", script) == "done\n"


@pytest.mark.advisory("CVE-2022-0811")
@pytest.mark.parametrize("name, value", [
    ("net.ipv4.ip_default_ttl", "64\n%s"), ("kernel.printk_ratelimit", "%s"), ("kernel/printk_ratelimit", "%s"),
    ("net/../kernel/printk_ratelimit", "%s"), ("net.ipv4.ip_default_ttl+kernel.printk_ratelimit", "%s"), ("kernel.shm_rmid_forced+", "1"),
    ("net.ipv4.ip_default_ttl\nx", "1"), ("fs.mqueue/../../kernel/printk_ratelimit", "%s"),
    ("net/ipv4/../../kernel/printk_ratelimit", "%s")])
def test_a_sysctl_cannot_bring_another(run: Runner, name: str, value: str) -> None:
    """The other one is the host's, and gets the value that it has: what succeeds is an error, and does no harm."""
    now = run.host.shell("cat /proc/sys/kernel/printk_ratelimit").strip()
    failed = run("one", sysctls={name: value.replace("%s", now)}, fail=True)
    assert "sysctl" in failed["msg"], failed["msg"]


def test_a_value_with_a_plus_or_an_equals_sign_is_one_value(run: Runner) -> None:
    """What CVE-2022-0811 split at is no separator here."""
    failed = run("one", sysctls={"net.ipv4.ip_default_ttl": "64+kernel.core_pattern=x"}, fail=True)
    assert "net.ipv4.ip_default_ttl" in failed["msg"]


@pytest.mark.quick
def test_defaults_of_capabilities_and_filters(run: Runner) -> None:
    status: List[str] = run.output("one", "grep -E 'Cap|Seccomp:' /proc/self/status").split()
    said: Dict[str, Any] = dict(zip(status[::2], status[1::2]))
    assert said["CapBnd:"] == said["CapEff:"] == "00000000a80425fb" and said["Seccomp:"] == "2"
