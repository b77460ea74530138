# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile images, volumes and processes against the runtime: what was published as an escape, tried here.

Everything is aimed at private copies and folders of the test.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, exec as exec_verb
from bundles import Bundle, config
from hosts import Host

Lab = Callable[[Callable[[Bundle], Any]], Any]


@pytest.fixture
def lab(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Lab:
    """Call a scenario with a bundle inside a test host."""
    bundle = Bundle(tmp_path / "bundle", "%s/%s" % (shared_host.cgroup_root, request.node.name.replace("[", "-").rstrip("]")))
    return lambda scenario: shared_host.call(scenario, bundle)


def test_no_module_of_the_image_is_ever_imported(lab: Lab) -> None:
    """After the root has changed, sys.path leads into the image: what lies there must not run (as host root it would)."""
    def scenario(bundle: Bundle) -> Any:
        evil = "import os\nfor each in ('/tmp/owned', '%s'):\n    try: open(each, 'w').write('x')\n    except OSError: pass\n"
        evil %= bundle.folder / "owned"
        for folder in {*filter(None, sys.path), os.path.dirname(os.__file__)}:
            target = bundle.root / folder.lstrip("/")
            for name in ("warnings", "traceback", "linecache", "struct", "signal", "pwd", "grp", "tokenize", "encodings/idna",
                         "encodings/punycode", "encodings/__init__", "ctypes/util", "json/decoder", "posixpath"):
                path = target / (name + ".py")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(evil, encoding="ascii")
        for change in ({}, {"args": ["nothing"]}, {"cwd": "/missing/\udcff"}, {"user": {"uid": 12345, "gid": 5}}):
            for init in (False, True):
                document = config(**{"args": ["true"], **change})
                document["process"]["env"] = ["PATH=/bin", "LANG=xx_XX.EUC-JP", "LC_ALL=tr_TR.UTF-8"]
                try:
                    bundle.run(document, init=init)
                except EngineError:
                    pass
        return [str(path) for path in (bundle.folder / "owned", bundle.root / "tmp" / "owned") if path.exists()]
    assert lab(scenario) == []


def test_a_process_inside_learns_nothing_of_those_that_are_added(lab: Lab) -> None:
    """CVE-2016-9962: while a process is being added, it is neither looked into nor are its descriptors taken."""
    spy = """
    while :; do
        for each in /proc/[0-9]*; do
            case $each in /proc/$$|/proc/1) continue;; esac
            for link in $each/exe $each/cwd $each/root $each/fd/*; do
                seen=$(busybox readlink $link 2>/dev/null) || continue
                case $seen in /bin/busybox|/|/tmp|pipe:*|/dev/null|/proc/*|"") ;; *) echo "$link $seen";; esac
            done
            busybox tr '\\0' ' ' < $each/environ 2>/dev/null | grep -i secret
        done
    done"""

    def scenario(bundle: Bundle) -> str:
        os.environ["SECRET_OF_THE_HOST"] = "secret"

        def add(_pid: int) -> None:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                process = exec_verb.process_like_init(bundle.state(), ["true"])
                started = exec_verb.run(bundle.state(), process, stdin=null, stdout=null, stderr=null)
                os.waitpid(started.pid, 0)
                os.close(started.pidfd)
            os.close(null)
            from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import kill
            kill.kill(bundle.state(), 9)
        done = bundle.run(config(args=["sh", "-c", spy]), while_running=add)
        return done.output
    assert lab(scenario) == ""


def test_a_null_device_of_the_image_never_serves_as_a_mask(lab: Lab, tmp_path: Path) -> None:
    """CVE-2025-31133: /dev/null in the container is a link when paths are masked."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "null").symlink_to("/proc/sys/kernel/core_pattern")

    def changes(document: Dict[str, Any]) -> None:
        document["mounts"] = [each for each in document["mounts"] if not each["destination"].startswith("/dev")]
        document["mounts"].append({"destination": "/dev", "source": str(volume), "options": ["bind"]})
        document["linux"]["maskedPaths"] = ["/proc/keys", "/proc/timer_list"]
    done = lab(lambda bundle: bundle.shell("stat -c %t:%T /proc/keys /proc/timer_list; busybox readlink /dev/null", changes))
    assert done.output.split() == ["1:3", "1:3", "/proc/sys/kernel/core_pattern"]


@pytest.mark.slow
def test_places_that_are_swapped_while_mounts_are_made_stay_inside(lab: Lab, tmp_path: Path) -> None:
    """CVE-2021-30465: a part of a mount's destination turns into a link out of the root at any moment."""
    trap = tmp_path / "trap"
    trap.mkdir()

    def scenario(bundle: Bundle) -> Any:
        folder, link = bundle.root / "a", bundle.root / "b"
        folder.mkdir()
        link.symlink_to("/.." * 12 + str(trap))
        end = threading.Event()

        def swap() -> None:
            libc, exchange, here = ctypes.CDLL(None), 2, -100  # RENAME_EXCHANGE, AT_FDCWD
            while not end.is_set():
                libc.renameat2(here, bytes(folder), here, bytes(link), exchange)
        racer = threading.Thread(target=swap)
        racer.start()
        rounds = 0
        good: List[int] = []
        bad: List[str] = []
        try:
            until = time.monotonic() + 8
            while time.monotonic() < until:
                document = config(args=["true"], cwd="/a/work/%d" % rounds)
                document["mounts"] += [
                    {"destination": "/a/x%d" % rounds, "type": "tmpfs", "source": "t"},
                    {"destination": "/a/y%d/z" % rounds, "source": "/etc/hostname", "options": ["bind"]}]
                document["linux"]["devices"] = [{"path": "/a/device%d" % rounds, "type": "c", "major": 1, "minor": 3}]
                rounds += 1
                try:
                    bundle.run(document, wait=False)
                    good.append(rounds)
                except (EngineError, OSError) as error:
                    bad.append(str(error))
        finally:
            end.set()
            racer.join()
        return good, bad
    good, bad = lab(scenario)
    assert len(good) > 5 and len(bad) > 5, bad[:5]
    assert list(trap.iterdir()) == []


def test_nothing_of_the_host_is_passed_on(lab: Lab, tmp_path: Path) -> None:
    """Environment, descriptors, groups, working directory, signals, keys."""
    def scenario(bundle: Bundle) -> Any:
        os.environ["SECRET_OF_THE_HOST"] = "secret"
        os.chdir(str(tmp_path))
        os.setgroups([4242])
        leaked = [os.open("/", os.O_RDONLY), os.open(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY)]
        for handle in leaked:
            os.set_inheritable(handle, True)
        return bundle.shell("env; busybox tr '\\\\0' ' ' < /proc/1/environ; ls -l /proc/$$/fd /proc/1/fd; pwd; id -G;"
                            "cat /proc/net/unix; grep -c . /proc/keys; :", init=True)
    done = lab(scenario)
    assert done.status == 0 and "secret" not in done.output.lower()
    assert "4242" not in done.output.split() and str(tmp_path) not in done.output.replace(str(tmp_path / "bundle"), "")


def test_a_running_container_keeps_others_out_of_its_state(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        made = create.create(str(bundle.folder), bundle.state(), config(args=["sleep", "9"]), cgroup=bundle.cgroup)
        try:
            assert stat.S_IMODE(os.stat(bundle.state()).st_mode) == 0o700
            for name in os.listdir(bundle.state()):
                assert not stat.S_IMODE(os.stat(os.path.join(bundle.state(), name)).st_mode) & 0o077, name
        finally:
            delete.delete(bundle.state(), force=True)
            os.waitpid(made.pid, 0)
            os.close(made.pidfd)
    lab(scenario)
