# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime below other engines, each driven by its own client: Podman, and containerd with its shim."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import busybox
import pytest
from bundles import Bundle
from hosts import Host
from waiting import PATIENCE, until

Client = Callable[..., "subprocess.CompletedProcess[str]"]
# An engine asks for more descriptors and processes than a host without CAP_SYS_RESOURCE may give.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=900:900", "--pids-limit", "100"]
STAYS = "trap 'exit 5' TERM; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle(folder / "bundle")


@pytest.fixture(scope="module")
def podman(shared_host: Host, program: Path, folder: Path) -> Client:
    if not (shutil.which("podman") and shutil.which("conmon")):
        pytest.skip("podman is not installed here")
    store = folder / "podman"

    def call(*words: Any, check: bool = True, input: str = "", terminal: bool = False) -> "subprocess.CompletedProcess[str]":
        command: List[str] = [*map(str, (
            "podman", "--root", store / "root", "--runroot", "/run/podman-run", "--tmpdir", "/run/podman-tmp",
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", program, *words))]
        if terminal:
            command = ["script", "-qec", shlex.join(command), "/dev/null"]
        return shared_host.run(command, check=check, input=input)
    return call


@pytest.fixture(scope="module")
def image(podman: Client, folder: Path) -> str:
    (folder / "image.tar").write_bytes(busybox.tar())
    podman("import", "-q", folder / "image.tar", "localhost/box")
    return "localhost/box"


@pytest.fixture
def shared(shared_host: Host, request: pytest.FixtureRequest) -> List[str]:
    """Options of every container of a test."""
    return ["--network", "none", "--cgroup-parent", "%s/%s" % (shared_host.cgroup_root, request.node.name), *LIMITS]


def test_podman_runs_and_looks_after_a_container(podman: Client, bundle: Bundle, shared: List[str]) -> None:
    rootfs = ["--rootfs", str(bundle.root)]
    done = podman("run", "--rm", *shared, *rootfs, "sh", "-c", "echo out; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, "out\n"), done.stderr
    assert podman("run", "--rm", *shared, *rootfs, "nothing", check=False).returncode == 127
    podman("run", "-d", "--name", "web", "--health-cmd", "test -e /tmp/well", "--health-interval", "disable", *shared, *rootfs,
           "sh", "-c", "echo said; " + STAYS)
    assert podman("exec", "web", "sh", "-c", "exit 9", check=False).returncode == 9
    assert "/dev/pts/" in podman("exec", "-t", "web", "sh", "-c", "ls -l /proc/self/fd/0").stdout
    assert podman("logs", "web").stdout == "said\n"
    assert podman("healthcheck", "run", "web", check=False).returncode == 1
    podman("exec", "web", "touch", "/tmp/well")
    assert podman("healthcheck", "run", "web").returncode == 0
    podman("pause", "web")
    assert podman("ps", "-a", "--format", "{{.Status}}").stdout.lower().startswith("paused")
    podman("unpause", "web")
    assert "web" in podman("stats", "--no-stream", "web").stdout
    podman("stop", "-t", "120", "web")
    assert podman("inspect", "web", "--format", "{{.State.ExitCode}}").stdout == "5\n"
    podman("rm", "-f", "web")


def test_podman_confines_a_container(podman: Client, bundle: Bundle, shared_host: Host, shared: List[str]) -> None:
    rootfs = ["--rootfs", str(bundle.root)]
    mapped = podman("run", "--rm", "--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", *shared, *rootfs,
                    "cat", "/proc/self/uid_map")
    assert mapped.stdout.split() == ["0", "100000", "1000"]
    strict = podman("run", "--rm", "--read-only", "--cap-drop", "all", "--user", "1000:1000", "--memory", "64m", *shared, *rootfs,
                    "sh", "-c", "id -u; touch /x; grep CapBnd /proc/self/status")
    assert strict.stdout.split() == ["1000", "CapBnd:", "0" * 16] and "Read-only" in strict.stderr


def test_podman_maps_users_of_its_own_choice(podman: Client, image: str, shared_host: Host, shared: List[str]) -> None:
    shared_host.shell("echo containers:200000:200000 | tee -a /etc/subuid >> /etc/subgid")
    done = podman("run", "--rm", "--userns", "auto", *shared, image, "sh", "-c", "cat /proc/self/uid_map; id -u")
    inside, outside, count, user = map(int, done.stdout.split())
    assert (inside, user) == (0, 0) and outside >= 200000 and count >= 1000


def test_podman_runs_a_pod(podman: Client, image: str, shared_host: Host, shared: List[str]) -> None:
    podman("pod", "create", "--name", "pod", "--infra-image", image, "--infra-command", "sleep 1000", *shared[:4])
    podman("run", "-d", "--pod", "pod", "--name", "first", *LIMITS, image, "sh", "-c", STAYS)
    names = podman("run", "--rm", "--pod", "pod", *LIMITS, image, "sh", "-c",
                   "hostname; for each in net ipc uts; do readlink /proc/self/ns/$each; done").stdout
    assert names == podman("exec", "first", "sh", "-c",
                           "hostname; for each in net ipc uts; do readlink /proc/self/ns/$each; done").stdout
    podman("pod", "pause", "pod")
    assert set(podman("ps", "-a", "--format", "{{.Status}}").stdout.lower().split()) == {"paused"}
    podman("pod", "unpause", "pod")
    assert len(podman("pod", "stats", "--no-stream", "pod").stdout.splitlines()) == 3
    podman("pod", "stop", "-t", "1", "pod")
    podman("pod", "rm", "pod")
    assert podman("ps", "-aq").stdout == ""


def test_podman_with_a_terminal(podman: Client, image: str, shared: List[str]) -> None:
    done = podman("run", "--rm", "-it", *shared, image, "sh", "-c", "tty; read x; echo got $x; exit 7", terminal=True,
                  input="word\n", check=False)
    assert done.returncode == 7 and "/dev/pts/0" in done.stdout and "got word" in done.stdout


@pytest.fixture
def ctr(shared_host: Host, program: Path, folder: Path) -> Iterator[Client]:
    """containerd's client, with a daemon of the test host's own."""
    if not (shutil.which("containerd") and shutil.which("ctr") and shutil.which("containerd-shim-runc-v2")):
        pytest.skip("containerd is not installed here")
    where = folder / "containerd"
    where.mkdir()
    sockets = "/run/containerd-test"
    (where / "config.toml").write_text("""\
version = 2
root = "%s/root"
state = "%s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
  address = "%s/socket"
[ttrpc]
  address = "%s/socket.ttrpc"
""" % (where, sockets, sockets, sockets), encoding="utf-8")
    shared_host.shell("mkdir -p " + sockets)
    with (where / "log").open("wb") as log:
        daemon = shared_host.start(["containerd", "--config", where / "config.toml"], stdout=log, stderr=log)
    base = ["ctr", "--address", sockets + "/socket"]

    def answers() -> bool:
        assert daemon.poll() is None, (where / "log").read_text(encoding="utf-8")
        return not shared_host.run([*base, "version"], check=False).returncode
    until(answers)

    def call(*words: Any, check: bool = True, terminal: bool = False) -> "subprocess.CompletedProcess[str]":
        command = [*base, *map(str, words)]
        if words[0] == "run":
            command[len(base) + 1:len(base) + 1] = ["--runc-binary", str(program)]
        if terminal:
            command = ["script", "-qec", shlex.join(command), "/dev/null"]
        return shared_host.run(command, check=check)
    yield call
    daemon.terminate()
    daemon.wait(PATIENCE)
    assert shared_host.run(["pgrep", "-f", "containerd-shim"], check=False).stdout == "", "shims left"


def test_containerd_drives_it(ctr: Client, bundle: Bundle, shared_host: Host) -> None:
    def options(name: str) -> List[str]:
        return ["--cgroup", "%s/containerd-%s" % (shared_host.cgroup_root, name), "--rootfs", str(bundle.root), name]

    def tasks() -> Dict[str, str]:
        rows = [line.split() for line in ctr("task", "ls").stdout.splitlines()[1:]]
        return {row[0]: row[2] for row in rows}
    done = ctr("run", "--rm", *options("one"), "sh", "-c", "echo out; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, "out\n"), done.stderr
    failed = ctr("run", "--rm", *options("none"), "nothing", check=False)
    assert 'exec: "nothing": executable file not found in $PATH' in failed.stderr
    terminal = ctr("run", "--rm", "--tty", *options("terminal"), "sh", "-c", "test -t 0 && tty; exit 4", terminal=True, check=False)
    assert terminal.returncode == 4 and "/dev/pts/0" in terminal.stdout

    ctr("run", "-d", "--memory-limit", 50 << 20, *options("stays"), "sh", "-c", STAYS)
    assert ctr("task", "exec", "--exec-id", "e", "stays", "sh", "-c", "echo inside; exit 9", check=False).stdout == "inside\n"
    ctr("task", "pause", "stays")
    assert tasks() == {"stays": "PAUSED"}
    ctr("task", "resume", "stays")
    metrics = dict(line.split(None, 1) for line in ctr("task", "metrics", "stays").stdout.splitlines() if "." in line.split(" ")[0])
    limit = metrics.get("memory.limit_in_bytes") or metrics["memory.usage_limit"]
    assert int(limit) == 50 << 20
    assert len(ctr("task", "ps", "stays").stdout.splitlines()) >= 2
    ctr("task", "kill", "--signal", "SIGTERM", "stays")
    until(lambda: tasks() == {"stays": "STOPPED"})
    assert ctr("task", "rm", "stays", check=False).stderr.endswith('exit code 5"\n')
    ctr("container", "rm", "stays")
    assert not [name for name in os.listdir(bundle.folder) if name not in ("rootfs", "states")]
