# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leftover check finds what it is there to find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import leftovers
from hosts import CGROUPS, MARK, Host

TOP = next(path for path in (CGROUPS / "pids", CGROUPS / "unified", CGROUPS) if (path / "cgroup.procs").exists())


def test_a_process_a_cgroup_and_a_file_are_found(tmp_path: Path) -> None:
    before = leftovers.snapshot()
    name = "coracle-test-%d-0" % os.getpid()
    file = Path("/dev/shm", name)
    process = subprocess.Popen(["sleep", "100"], env={MARK: name})
    (TOP / name).mkdir()
    file.write_text("", encoding="utf-8")
    try:
        found = leftovers.compare(before, leftovers.snapshot())
        assert leftovers.compare(before, leftovers.snapshot(), alive=[name]) == []
    finally:
        process.kill()
        process.wait()
        (TOP / name).rmdir()
        file.unlink()
    assert found == ["cgroup: %s" % (TOP / name), "process: %d %s sleep 100" % (process.pid, name), "file: %s" % file]
    assert leftovers.compare(before, leftovers.snapshot()) == []


def test_a_mount_a_link_and_a_table_are_found(host: Host) -> None:
    before = host.call(leftovers.snapshot)
    host.shell("mount -t tmpfs none /mnt; ip link add veth7 type veth peer name veth8; nft add table inet coracle")
    after = host.call(leftovers.snapshot)
    found = leftovers.compare(before, after)
    assert "mount: tmpfs none on /mnt" in found
    assert [line for line in found if line.startswith("link: veth7@veth8")]
    assert "nftables: table inet coracle" in found


def test_the_command_fails_with_the_list(tmp_path: Path) -> None:
    before = leftovers.snapshot()
    gone = before["mount"].pop()
    (tmp_path / "before").write_text(json.dumps(before), encoding="utf-8")
    done = subprocess.run([sys.executable, leftovers.__file__, "compare", str(tmp_path / "before")],
                          capture_output=True, text=True, check=False, env={**os.environ, "CORACLE_TEST_PATIENCE": "1"})
    assert done.returncode == 1
    assert "left over: mount: %s\n" % gone in done.stdout


def test_a_test_that_leaves_something_fails(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    here = Path(__file__).resolve().parent.parent
    (folder / "conftest.py").write_text((here / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    name = "coracle-test-left-%d" % os.getpid()
    (folder / "test_it.py").write_text(
        "from pathlib import Path\ndef test_it():\n    Path('/dev/shm/%s').touch()\n" % name, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
                           "--rootdir", str(folder), str(folder)], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(here.parent), "CORACLE_TEST_PATIENCE": "1"})
    Path("/dev/shm", name).unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "file: /dev/shm/%s" % name in done.stdout
