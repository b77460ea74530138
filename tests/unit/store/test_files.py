# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files or none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import files

import collection


def mode(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_holds_the_content_and_nothing_is_beside_it(tmp_path: Path) -> None:
    for content in (b"first", b"", b"x" * 3000000):
        files.write(str(tmp_path / "file"), content)
        assert (tmp_path / "file").read_bytes() == content
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("bits", [0o600, 0o644, 0o755])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(tmp_path: Path, bits: int) -> None:
    old = os.umask(0o077)
    try:
        files.write(str(tmp_path / "file"), b"x", bits)
        files.make_folder(str(tmp_path / "a" / "b" / "c"), 0o711)
    finally:
        os.umask(old)
    assert mode(tmp_path / "file") == bits
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o711]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    files.make_folder(str(tmp_path / "folder"), 0o700)
    assert mode(tmp_path / "folder") == 0o750


def test_a_failure_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(str(tmp_path / "file"), b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(str(tmp_path / "file"), b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_kill_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import files
real = os.rename
def rename(*arguments):
    if sys.argv[3] == "before":
        os._exit(9)
    real(*arguments)
    os._exit(9)
os.rename = rename
files.write(sys.argv[2], b"new")
"""
    for when, content in (("before", b"old"), ("after", b"new")):
        target = tmp_path / when
        target.write_bytes(b"old")
        done = subprocess.run([sys.executable, "-c", code, str(collection.collections_path()), str(target), when],
                              check=False)
        assert done.returncode == 9
        assert target.read_bytes() == content


def test_what_a_killed_run_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    part = tmp_path / ("%sfile-%d" % (files.TEMPORARY, os.getpid()))
    part.write_bytes(b"long rubbish")
    files.write(str(tmp_path / "file"), b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not part.exists()


def test_a_link_planted_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ("%sfile-%d" % (files.TEMPORARY, os.getpid()))).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        files.write(str(tmp_path / "file"), b"new")
    assert victim.read_bytes() == b"precious"


def test_the_target_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    files.write(str(tmp_path / "file"), b"new")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    files.write_json(str(tmp_path / "one"), {"b": [1, "ü\udcff"], "a": None})
    files.write_json(str(tmp_path / "two"), {"a": None, "b": [1, "ü\udcff"]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert files.read_json(str(tmp_path / "one")) == {"a": None, "b": [1, "ü\udcff"]}


def test_no_file_is_no_value(tmp_path: Path) -> None:
    assert files.read_json(str(tmp_path / "nothing")) is None
    (tmp_path / "file").touch()
    assert files.read_json(str(tmp_path / "file" / "below")) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe"])
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=str(path)) as caught:
        files.read_json(str(path))
    assert isinstance(caught.value, ValueError)
    assert not isinstance(caught.value, json.JSONDecodeError)


def test_remove_says_whether_it_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.remove(str(tmp_path / "file")) is True
    assert files.remove(str(tmp_path / "file")) is False
