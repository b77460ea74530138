# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the hierarchies of a host."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import checks, usage
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.hierarchy import (
    ancestors,
    folder,
    from_mountinfo,
)


def hierarchy(at: Path, **files: str) -> Path:
    at.mkdir(parents=True)
    (at / "cgroup.procs").touch()
    for name, content in files.items():
        (at / name.replace("_", ".")).write_text(content, encoding="ascii")
    return at


def test_v2_alone(tmp_path: Path) -> None:
    at = hierarchy(tmp_path / "cg", cgroup_controllers="cpuset cpu io memory pids\n")
    found = from_mountinfo("25 1 0:22 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n" % at)
    assert (found.kind, found.v2, found.folders, found.version("memory")) == ("v2", str(at), [], 2)
    assert found.version("freezer") == 0 and found.all_roots() == [str(at)]


def test_hybrid_as_systemd_mounts_it(tmp_path: Path) -> None:
    unified = hierarchy(tmp_path / "unified", cgroup_controllers="")
    cpu = hierarchy(tmp_path / "cpu,cpuacct")
    named = hierarchy(tmp_path / "systemd")
    hidden = tmp_path / "hidden"
    found = from_mountinfo(
        "1 0 0:9 / / rw - ext4 /dev/sda rw\n"
        "30 1 0:30 / %s rw - cgroup2 cgroup2 rw\n" % unified
        + "31 1 0:31 / %s rw - cgroup cgroup rw,cpu,cpuacct\n" % cpu
        + "32 1 0:32 / %s rw - cgroup cgroup rw,xattr,name=systemd\n" % named
        + "33 1 0:33 / %s rw - cgroup cgroup rw,memory\n" % hidden
        + "34 1 0:31 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n")
    assert found.kind == "hybrid"
    assert found.v1 == {"cpu": str(cpu), "cpuacct": str(cpu)}
    assert found.all_roots() == [str(cpu), str(named), str(unified)]
    assert found.version("memory") == 0


def test_block_io_has_one_name(tmp_path: Path) -> None:
    at = hierarchy(tmp_path / "blkio")
    found = from_mountinfo("1 0 0:3 / %s rw - cgroup cgroup rw,blkio\n" % at)
    assert (found.kind, found.version("io"), found.root("io")) == ("v1", 1, str(at))


def test_nothing_mounted() -> None:
    assert from_mountinfo("1 0 0:9 / / rw - ext4 /dev/sda rw\n").all_roots() == []


def test_paths() -> None:
    assert ancestors("/a/b/c") == ["/a", "/a/b"]
    assert ancestors("/a") == []
    assert folder("/sys/fs/cgroup", "/a/b") == "/sys/fs/cgroup/a/b"


def test_lists_of_numbers() -> None:
    assert checks.members("0-2,5\n") == {0, 1, 2, 5}
    assert checks.members("") == set()


def test_the_split_adds_up() -> None:
    assert usage.split(1000, 3, 1) == (750, 250)
    assert usage.split(7, 0, 0) == (7, 0)
    assert sum(usage.split(10 ** 15 + 1, 12345, 6789)) == 10 ** 15 + 1
