# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: Docker's form, whole lines, any bytes, bounded files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import logs


def contents(path: Path) -> list[tuple[str, bytes]]:
    return [(stream, content) for stream, content, _time in logs.read(str(path))]


def test_lines_are_written_when_they_are_whole(tmp_path: Path) -> None:
    log = logs.Log(str(tmp_path / "log"))
    log.feed("stdout", b"one\ntw")
    assert contents(tmp_path / "log") == [("stdout", b"one\n")]
    log.feed("stderr", b"err\n")
    log.feed("stdout", b"o\n")
    log.feed("stdout", b"no end")
    log.close()
    assert contents(tmp_path / "log") == [("stdout", b"one\n"), ("stderr", b"err\n"), ("stdout", b"two\n"),
                                          ("stdout", b"no end")]


def test_each_line_is_what_docker_writes(tmp_path: Path) -> None:
    log = logs.Log(str(tmp_path / "log"))
    log.feed("stdout", b'a "b"\n')
    entry = json.loads((tmp_path / "log").read_text())
    assert entry["log"] == 'a "b"\n' and entry["stream"] == "stdout"
    assert entry["time"].endswith("Z") and len(entry["time"]) == len("2026-01-01T00:00:00.000000000Z")


def test_any_byte_survives(tmp_path: Path) -> None:
    log = logs.Log(str(tmp_path / "log"))
    every = bytes(range(256)).replace(b"\n", b"") + b"\n"
    log.feed("stdout", every)
    assert contents(tmp_path / "log") == [("stdout", every)]


def test_a_long_line_is_split_and_nothing_is_lost(tmp_path: Path) -> None:
    log = logs.Log(str(tmp_path / "log"))
    log.feed("stdout", b"x" * (logs.LONGEST * 2 + 5))
    log.feed("stdout", b"y\n")
    pieces = [content for _stream, content in contents(tmp_path / "log")]
    assert b"".join(pieces) == b"x" * (logs.LONGEST * 2 + 5) + b"y\n"
    assert max(map(len, pieces)) <= logs.LONGEST and pieces[-1].endswith(b"\n")


def test_files_are_rotated_and_only_so_many_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = logs.Log(str(path), max_size=300, max_files=3)
    for number in range(40):
        log.feed("stdout", b"line %03d\n" % number)
    found = logs.files_of(str(path))
    assert [Path(each).name for each in found if Path(each).exists()][:2] == ["log.2", "log.1"]
    assert not (tmp_path / "log.3").exists()
    assert all(Path(each).stat().st_size < 400 for each in found)
    kept = [content for each in found for _stream, content in contents(Path(each))]
    assert kept == [b"line %03d\n" % number for number in range(40 - len(kept), 40)]


@pytest.mark.parametrize("never", [0, -1])
def test_without_a_size_nothing_is_rotated(tmp_path: Path, never: int) -> None:
    log = logs.Log(str(tmp_path / "log"), max_size=never, max_files=3)
    for number in range(40):
        log.feed("stdout", b"line %03d\n" % number)
    assert len(contents(tmp_path / "log")) == 40 and logs.files_of(str(tmp_path / "log")) == [str(tmp_path / "log")]


def test_a_line_cut_by_a_crash_ends_the_reading(tmp_path: Path) -> None:
    log = logs.Log(str(tmp_path / "log"))
    log.feed("stdout", b"whole\n")
    with open(tmp_path / "log", "ab") as stream:
        stream.write(b'{"log":"half')
    assert contents(tmp_path / "log") == [("stdout", b"whole\n")]


def test_a_full_disk_is_counted_and_said(tmp_path: Path) -> None:
    log = logs.Log("/dev/full")
    log.feed("stdout", b"lost\n")
    assert log.dropped == 1
