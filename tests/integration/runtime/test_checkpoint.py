# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that CRIU writes to files and makes anew; and what is said where that cannot be done.

CORACLE_TEST_CRIU names another CRIU than the system's, for kernels that are newer than that.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group
from bundles import Bundle, config
from hosts import Host

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CRIU = os.environ.get("CORACLE_TEST_CRIU") or shutil.which("criu", path="/usr/sbin:/usr/bin:/sbin:/bin")
LIMIT = 120
"""Seconds that a counter may take to go on; it takes parts of one."""


@pytest.fixture
def bundle(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Bundle:
    return Bundle(tmp_path / "bundle", "%s/%s" % (shared_host.cgroup_root, request.node.name))


@pytest.fixture
def works(shared_host: Host) -> str:
    """The path of a CRIU that can work on this kernel."""
    reason = obstacle(shared_host)
    if reason:
        pytest.skip(reason)
    return str(CRIU)


def obstacle(host: Host) -> str:
    """Why CRIU cannot work here; nothing where it can."""
    if not CRIU:
        return "there is no CRIU here"
    done = host.run([CRIU, "check"], check=False)
    return "" if done.returncode == 0 else "CRIU cannot work on this kernel: %s" % (done.stderr.strip() or done.returncode)


@pytest.fixture
def coracle(shared_host: Host, bundle: Bundle, program: Path) -> Iterator[Run]:
    """Call the command with a root and a CRIU of its own, and without any stream of the test's; its errors are in the log."""
    root, log = bundle.folder / "oci", bundle.folder / "log"

    def call(*words: Any, check: bool = True, criu: Any = CRIU) -> "subprocess.CompletedProcess[str]":
        log.write_text("", encoding="utf-8")
        named = ["--criu", criu] if criu else []
        silent = ["sh", "-c", 'exec "$@" > "%s" 2> /dev/null < /dev/null' % (bundle.folder / "said"), "-"]
        done = shared_host.run([*silent, program, "--root", root, "--log", log, *named, *words], check=False)
        result = subprocess.CompletedProcess(done.args, done.returncode, (bundle.folder / "said").read_text(encoding="utf-8"),
                                             log.read_text(encoding="utf-8"))
        assert not check or done.returncode == 0, (result, _logs(bundle.folder))
        return result
    yield call
    for name in os.listdir(root) if root.exists() else []:
        call("delete", "--force", name)
    assert not root.exists() or os.listdir(root) == []


def _logs(folder: Path) -> List[str]:
    return [line for path in folder.rglob("*.log") for line in path.read_text(encoding="utf-8").splitlines()
            if "Error" in line or "Warn" in line]


def counting(bundle: Bundle, **members: Any) -> Dict[str, Any]:
    """A program that counts in its memory, and shows in a file how far it is."""
    document = config(args=["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /count.new; mv /count.new /count; sleep 0.05; done"],
                      **members)
    document["linux"]["cgroupsPath"] = bundle.cgroup
    (bundle.folder / "shared").mkdir()
    document["mounts"].append({"destination": "/shared/deep", "type": "bind", "source": "shared", "options": ["bind", "ro"]})
    return document


def count(bundle: Bundle, past: int) -> int:
    """How far the program is, once it is past a number."""
    until = time.monotonic() + LIMIT
    while True:
        path = bundle.root / "count"
        now = int(path.read_text(encoding="utf-8")) if path.exists() else 0
        if now > past:
            return now
        assert time.monotonic() < until, "the counter stands at %d" % now
        time.sleep(0.02)


def pid_of(coracle: Run, name: str) -> int:
    return int(json.loads(coracle("state", name).stdout)["pid"])


def test_a_container_goes_on_where_it_was(coracle: Run, bundle: Bundle, shared_host: Host, works: str) -> None:
    document = counting(bundle)
    document["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
    document["linux"]["resources"] = {"pids": {"limit": 77}}
    document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}
    bundle.write(document)
    images = bundle.folder / "images"
    coracle("run", "-d", "-b", bundle.folder, "c")
    count(bundle, 3)
    before = coracle("exec", "c", "cat", "/proc/mounts").stdout
    coracle("checkpoint", "--image-path", images, "c")
    reached = count(bundle, 0)
    assert coracle("state", "c", check=False).returncode == 1, "it is gone till it is restored"
    assert not shared_host.call(lambda: group.exists(bundle.cgroup))

    (bundle.root / "count").unlink()
    shutil.rmtree(bundle.root / "shared")  # places of mounts are made again
    mounted = shared_host.run(["cat", "/proc/self/mounts"]).stdout
    coracle("restore", "-d", "-b", bundle.folder, "--image-path", images, "--pid-file", bundle.folder / "pid", "c")
    assert reached <= count(bundle, 0), "it began anew"
    assert count(bundle, reached + 3) < reached + 10000
    assert pid_of(coracle, "c") == int((bundle.folder / "pid").read_text(encoding="utf-8"))
    assert shared_host.call(lambda: group.read(bundle.cgroup).pids_max) == 77
    assert shared_host.run(["cat", "/proc/self/mounts"]).stdout == mounted
    assert sorted(coracle("exec", "c", "cat", "/proc/mounts").stdout.split("\n")) == sorted(before.split("\n"))
    assert "Seccomp:\t2" in coracle("exec", "c", "cat", "/proc/1/status").stdout
    coracle("pause", "c")
    coracle("resume", "c")
    coracle("kill", "c", "KILL")


def test_a_container_is_left_running(coracle: Run, bundle: Bundle, works: str) -> None:
    bundle.write(counting(bundle))
    coracle("run", "-d", "-b", bundle.folder, "c")
    count(bundle, 0)
    first = pid_of(coracle, "c")
    done = coracle("checkpoint", "--pre-dump", "--image-path", bundle.folder / "before", "c", check=False)
    assert done.returncode == 0 or "lacks mem_track on this kernel" in done.stderr, (done, _logs(bundle.folder))
    parent = ["--parent-path", "../before"] if done.returncode == 0 else []
    coracle("checkpoint", "--leave-running", *parent, "--image-path", bundle.folder / "images", "--work-path",
            bundle.folder / "work", "c")
    assert (bundle.folder / "work" / "dump.log").exists()
    assert (bundle.folder / "images" / "parent").is_symlink() == bool(parent)
    assert pid_of(coracle, "c") == first
    count(bundle, count(bundle, 0))
    coracle("delete", "-f", "c")
    coracle("restore", "-d", "-b", bundle.folder, "--image-path", bundle.folder / "images", "c")
    count(bundle, count(bundle, 0))


def test_a_terminal_is_handed_out_again(coracle: Run, bundle: Bundle, works: str) -> None:
    document = config(args=["sh", "-c", "read a; echo first $a; read b; echo then $a $b"], terminal=True)
    document["linux"]["cgroupsPath"] = bundle.cgroup
    bundle.write(document)
    path = bundle.folder / "s"
    link = socket.socket(socket.AF_UNIX)
    link.bind(str(path))
    link.listen(2)
    link.settimeout(LIMIT)
    coracle("run", "-d", "-b", bundle.folder, "--console-socket", path, "c")
    with os.fdopen(received(link), "r+b", buffering=0) as master:
        master.write(b"one\n")
        assert b"first one" in until(master, b"first one")
        coracle("checkpoint", "--image-path", bundle.folder / "images", "c")
    coracle("restore", "-d", "-b", bundle.folder, "--image-path", bundle.folder / "images", "--console-socket", path, "c")
    with os.fdopen(received(link), "r+b", buffering=0) as master:
        master.write(b"two\n")
        assert b"then one two" in until(master, b"then one two")
    link.close()


def received(link: socket.socket) -> int:
    """The descriptor that the next caller sends."""
    with link.accept()[0] as caller:
        caller.settimeout(LIMIT)
        _data, ancillary, _flags, _address = caller.recvmsg(100, 100)
    return int(struct.unpack("i", ancillary[0][2])[0])


def until(master: Any, wanted: bytes) -> bytes:
    """What a terminal shows, till it has shown something."""
    said = b""
    while wanted not in said:
        try:
            said += master.read(1000)
        except OSError:  # the program has ended
            break
    return said


def test_what_cannot_be_written_or_restored_is_said(coracle: Run, bundle: Bundle) -> None:
    bundle.write(counting(bundle))
    coracle("run", "-d", "-b", bundle.folder, "c")
    count(bundle, 0)
    images = ["--image-path", bundle.folder / "images"]
    (bundle.folder / "images").mkdir()
    for words, said, criu in (
            (["checkpoint", *images, "c"], "need CRIU", "/nowhere/criu"),
            (["checkpoint", *images, "c"], "cannot work on this kernel: 'criu check' ends with status 1", "/bin/false"),
            (["checkpoint", *images, "nothing"], "does not exist", "/bin/false"),
            (["checkpoint", *images, "--parent-path", "/before", "c"], "--parent-path must be relative", "/bin/false"),
            (["checkpoint", *images, "--parent-path", "../nothing", "c"], "invalid --parent-path", "/bin/false"),
            (["checkpoint", *images, "--manage-cgroups-mode", "well", "c"], "--manage-cgroups-mode", "/bin/false"),
            (["checkpoint", *images, "--page-server", "here", "c"], "--page-server", "/bin/false"),
            (["checkpoint", *images, "--status-fd", "99", "c"], "--status-fd", "/bin/false"),
            (["checkpoint", *images, "--empty-ns", "mount", "c"], "--empty-ns", "/bin/false"),
            (["checkpoint", *images, "--nonsense", "c"], "--nonsense", "/bin/false"),
            (["restore", *images, "-b", bundle.folder, "c"], "container with id exists", "/bin/false"),
            (["restore", *images, "-b", bundle.folder, "d"], "no checkpoint of a container in this folder", "/bin/false"),
            (["restore", *images, "-b", bundle.folder / "images", "d"], "config.json", "/bin/false")):
        done = coracle(*words, check=False, criu=criu)
        assert done.returncode == 1 and said in done.stderr, (words, done)
    count(bundle, count(bundle, 0))  # it goes on all the while
    (bundle.folder / "images" / "descriptors.json").write_text('["", "", ""]', encoding="utf-8")
    coracle("delete", "-f", "c")
    done = coracle("restore", *images, "-b", bundle.folder, "c", check=False, criu="/bin/false")
    assert done.returncode == 1 and "cannot work on this kernel" in done.stderr
    assert coracle("list", "-q").stdout == ""
    assert os.listdir(bundle.folder / "oci") == []


def test_a_created_container_cannot_be_written(coracle: Run, bundle: Bundle) -> None:
    bundle.write(counting(bundle))
    coracle("create", "-b", bundle.folder, "c")
    done = coracle("checkpoint", "--image-path", bundle.folder / "images", "c", check=False, criu="/bin/false")
    assert done.returncode == 1 and "cannot be checkpointed in created state" in done.stderr


def test_where_criu_cannot_work_its_reason_is_said(coracle: Run, bundle: Bundle, shared_host: Host) -> None:
    reason = obstacle(shared_host)
    if not CRIU or not reason:
        pytest.skip("CRIU works here, or there is none")
    bundle.write(counting(bundle))
    coracle("run", "-d", "-b", bundle.folder, "c")
    done = coracle("checkpoint", "--image-path", bundle.folder / "images", "c", check=False)
    assert done.returncode == 1 and "cannot work on this kernel" in done.stderr
    count(bundle, count(bundle, 0))
