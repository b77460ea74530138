# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a user whose own systemd has a part of cgroup v2: limits hold there. In the virtual machine alone."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from bundles import root_file_system
from hosts import MANAGED_PYTHON
from waiting import until

pytestmark = pytest.mark.skipif(not os.environ.get("CORACLE_VM"), reason="systemd is process 1 in the virtual machine alone")
NAME, UID = "coracle-guest", 4343
INSTALLER = Path(__file__).resolve().parents[3] / "scripts" / "install_runtime.py"
DROP_IN = Path("/run/systemd/system/user@%d.service.d/coracle-test.conf" % UID)
MANAGER = Path("/sys/fs/cgroup/user.slice/user-%d.slice/user@%d.service" % (UID, UID))
SECONDS = 240
"""For whatever is waited for: the machine is emulated."""


def root(*words: Any) -> str:
    done = subprocess.run([str(each) for each in words], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done
    return done.stdout


class Session:
    """A user who has a systemd of their own, as a login gives one."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.numbers = itertools.count()
        self.runtime = Path("/run/user/%d" % UID)
        root("useradd", "--uid", UID, "--home-dir", folder, "--shell", "/bin/sh", NAME)
        root("chown", "%d:%d" % (UID, UID), folder)
        root(MANAGED_PYTHON, INSTALLER, "--no-seal", "--prefix", folder / "prefix")
        self.command = folder / "prefix/bin/coracle"
        DROP_IN.parent.mkdir(parents=True)
        # What pam_systemd says where it is installed.
        DROP_IN.write_text("[Service]\nEnvironment=XDG_RUNTIME_DIR=%s\n" % self.runtime, encoding="ascii")
        root("systemctl", "daemon-reload")
        root("systemctl", "start", "user@%d.service" % UID)

    def close(self) -> None:
        subprocess.run(["systemctl", "stop", "user@%d.service" % UID, "user-runtime-dir@%d.service" % UID], check=False)
        shutil.rmtree(DROP_IN.parent, ignore_errors=True)
        root("systemctl", "daemon-reload")
        subprocess.run(["userdel", NAME], check=False, capture_output=True)
        shutil.rmtree(self.home)

    def run(self, *words: Any, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command as the user, by the user's own systemd, which gives it a group of its own.

        Without a bus for the user systemd tells nobody how it ended, so that the command itself writes that down.
        """
        place = self.home / ("run-%d" % next(self.numbers))
        place.mkdir()
        root("chown", "%d:%d" % (UID, UID), place)
        script = 'place=$1; shift; "$@" > $place/out 2> $place/err < /dev/null; echo $? > $place/part; mv $place/part $place/status'
        argv = ["sh", "-c", script, "sh", str(place), *map(str, words)]
        root("setpriv", "--reuid=%d" % UID, "--regid=%d" % UID, "--clear-groups", "env", "-C", self.home,
             "XDG_RUNTIME_DIR=%s" % self.runtime, "systemd-run", "--user", "--quiet", "--collect", "--property=Delegate=yes", "--", *argv)
        until((place / "status").exists, SECONDS, 0.1)
        done = subprocess.CompletedProcess(argv, int((place / "status").read_text(encoding="ascii")),
                                           *((place / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err")))
        assert not check or done.returncode == 0, done
        return done

    def coracle(self, *words: Any, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("env", "XDG_RUNTIME_DIR=%s" % self.runtime, self.command, *words, check=check)

    def bundle(self, name: str, resources: Dict[str, Any], args: List[str]) -> Path:
        folder = self.home / name
        shutil.rmtree(folder, ignore_errors=True)  # of a first attempt
        root_file_system(folder / "rootfs")
        root("chown", "-R", "%d:%d" % (UID, UID), folder)
        self.coracle("spec", "--rootless", "--bundle", folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["process"].update(terminal=False, args=args, env=["PATH=/bin"])
        config["linux"]["resources"] = resources
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    folder = Path(tempfile.mkdtemp(prefix="coracle-session-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Session(folder)
    try:
        yield made
    finally:
        made.close()


def group_of(pid: int) -> Path:
    line = Path("/proc/%d/cgroup" % pid).read_text(encoding="ascii")
    return Path("/sys/fs/cgroup") / line.strip().partition("::/")[2]


def test_limits_hold_in_what_was_delegated(session: Session) -> None:
    folder = session.bundle("life", {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"quota": 50000, "period": 100000},
                                     "devices": [{"allow": False, "access": "rwm"}]}, ["sleep", "10000"])
    session.coracle("run", "--detach", "--pid-file", folder / "pid", "--bundle", folder, "life")
    pid = int((folder / "pid").read_text(encoding="ascii"))
    group = group_of(pid)
    try:
        assert MANAGER in group.parents and group.name == "coracle-life", group
        assert [(group / name).read_text(encoding="ascii") for name in ("memory.max", "pids.max", "cpu.max")] == [
            "%d\n" % (64 << 20), "20\n", "50000 100000\n"]
    finally:
        session.coracle("delete", "--force", "life")
    until(lambda: not group.exists(), SECONDS, 0.1)


def test_who_passes_a_limit_is_stopped_by_it(session: Session) -> None:
    folder = session.bundle("bomb", {"memory": {"limit": 24 << 20, "swap": 24 << 20}}, [
        "sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"])
    done = session.coracle("run", "--bundle", folder, "bomb", check=False)
    assert done.returncode == 137, done
    assert not list(MANAGER.rglob("coracle-bomb"))


def test_a_controller_that_was_not_delegated_is_named(session: Session) -> None:
    """systemd gives a user some; without the others a container starts, unless it has limits of theirs."""
    given = (MANAGER / "cgroup.controllers").read_text(encoding="ascii").split()
    missing = next(name for name in ("cpuset", "io") if name not in given)
    resources = {"io": {"blockIO": {"weight": 100}}, "cpuset": {"cpu": {"cpus": "0"}}}[missing]
    folder = session.bundle("refused", resources, ["true"])
    done = session.coracle("run", "--bundle", folder, "refused", check=False)
    assert done.returncode != 0 and "'%s'" % missing in done.stderr and "Traceback" not in done.stderr, done
    assert os.listdir(session.runtime / "coracle/oci") == [] and not list(MANAGER.rglob("coracle-refused"))
