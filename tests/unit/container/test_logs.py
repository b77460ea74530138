# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: Docker's form, whole lines, any bytes, bounded files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cli.logs import moment
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import log_reading, logs
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue


def contents(path: Path) -> list[tuple[str, bytes]]:
    return [(stream, content) for stream, content, _time in log_reading.Reader(str(path)).more()]


def test_lines_are_written_when_they_are_whole(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b"one\ntw")
    assert contents(tmp_path / "log") == [("stdout", b"one\n")]
    log.feed("stderr", b"err\n")
    log.feed("stdout", b"o\n")
    log.feed("stdout", b"no end")
    log.close()
    assert contents(tmp_path / "log") == [("stdout", b"one\n"), ("stderr", b"err\n"), ("stdout", b"two\n"),
                                          ("stdout", b"no end")]


def test_each_line_is_what_docker_writes(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b'a "b"\n')
    entry = json.loads((tmp_path / "log").read_text())
    assert entry["log"] == 'a "b"\n' and entry["stream"] == "stdout"
    assert entry["time"].endswith("Z") and len(entry["time"]) == len("2026-01-01T00:00:00.000000000Z")


def test_any_byte_survives(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    every = bytes(range(256)).replace(b"\n", b"") + b"\n"
    log.feed("stdout", every)
    assert contents(tmp_path / "log") == [("stdout", every)]


def test_a_long_line_is_split_and_nothing_is_lost(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b"x" * (logs.LONGEST * 2 + 5))
    log.feed("stdout", b"y\n")
    pieces = [content for _stream, content in contents(tmp_path / "log")]
    assert b"".join(pieces) == b"x" * (logs.LONGEST * 2 + 5) + b"y\n"
    assert max(map(len, pieces)) <= logs.LONGEST and pieces[-1].endswith(b"\n")


def test_files_are_rotated_and_only_so_many_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = logs.File(str(path), max_size=300, max_files=3)
    for number in range(40):
        log.feed("stdout", b"line %03d\n" % number)
    found = log_reading.files_of(str(path))
    assert [Path(each).name for each in found if Path(each).exists()][:2] == ["log.2", "log.1"]
    assert not (tmp_path / "log.3").exists()
    assert all(Path(each).stat().st_size < 400 for each in found)
    kept = [piece.content for piece in log_reading.Reader(str(path)).more()]
    assert kept == [b"line %03d\n" % number for number in range(40 - len(kept), 40)]


@pytest.mark.parametrize("never", [0, -1])
def test_without_a_size_nothing_is_rotated(tmp_path: Path, never: int) -> None:
    log = logs.File(str(tmp_path / "log"), max_size=never, max_files=3)
    for number in range(40):
        log.feed("stdout", b"line %03d\n" % number)
    assert len(contents(tmp_path / "log")) == 40 and log_reading.files_of(str(tmp_path / "log")) == [str(tmp_path / "log")]


def test_a_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b"whole\n")
    with open(tmp_path / "log", "ab") as stream:
        stream.write(b'{"log":"half')
    assert contents(tmp_path / "log") == [("stdout", b"whole\n")]


def test_a_full_disk_is_counted_and_said(tmp_path: Path) -> None:
    log = logs.File("/dev/full")
    log.feed("stdout", b"lost\n")
    assert log.dropped == 1
    log.path = "/dev/full"
    log.feed("stdout", b"lost\nlost too\n")
    assert log.dropped == 3


def test_what_was_dropped_is_said_once_there_is_room(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.dropped = 7
    log.feed("stderr", b"back\n")
    note, line = contents(tmp_path / "log")
    assert b"7 pieces of output were dropped" in note[1] and line == ("stderr", b"back\n") and log.dropped == 0


def test_writing_goes_on_behind_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"log":"half')
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b"whole\n")
    assert contents(tmp_path / "log") == [("stdout", b"whole\n")]


def test_the_form_of_kubernetes_marks_pieces(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"), kind="k8s-file")
    every = bytes(range(256)).replace(b"\n", b"")
    log.feed("stdout", every + b"\n" + b"x" * (logs.LONGEST + 1))
    log.close()
    marks = [line.split(b" ")[2] for line in (tmp_path / "log").read_bytes().split(b"\n20")]
    assert marks == [b"F", b"P", b"P"]
    assert contents(tmp_path / "log") == [("stdout", every + b"\n"), ("stdout", b"x" * logs.LONGEST), ("stdout", b"x")]


def test_whole_lines_and_the_last_of_them(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"))
    log.feed("stdout", b"one\n" + b"y" * (logs.LONGEST + 5) + b"\n")
    log.feed("stderr", b"err\n")
    pieces = log_reading.last(log_reading.Reader(str(tmp_path / "log")).more(), 2)
    assert [(line["stream"], len(line["message"])) for line in log_reading.lines(pieces)] == [
        ("stdout", logs.LONGEST + 5), ("stderr", 3)]


def test_reading_goes_on_where_it_has_come_to_through_rotations(tmp_path: Path) -> None:
    log = logs.File(str(tmp_path / "log"), max_size=300, max_files=20)
    reader, found = log_reading.Reader(str(tmp_path / "log")), []
    for number in range(60):
        log.feed("stdout", b"line %03d\n" % number)
        if number % 7 == 0:
            found += [piece.content for piece in reader.more()]
    found += [piece.content for piece in reader.more()]
    assert found == [b"line %03d\n" % number for number in range(60)]


def test_a_log_that_goes_nowhere_takes_everything() -> None:
    log = logs.open_log("/nowhere", "one", "id", {"log_driver": "none"})
    log.feed("stdout", b"gone\n" * 1000)
    log.close()
    assert log.dropped == 0 and log.length == 0


@pytest.mark.parametrize("text, expected", [
    ("2026-11-21T16:00:00Z", "2026-11-21T16:00:00.000000000Z"), ("2026-11-21T16:00:00.000000001Z", "2026-11-21T16:00:00.000000001Z"),
    ("2026-11-21T17:30:00.98765432+01:30", "2026-11-21T16:00:00.987654320Z"), ("1763740800", "2025-11-21T16:00:00.000000000Z"),
    ("1763740800.123456789", "2025-11-21T16:00:00.123456789Z")])
def test_a_moment_is_taken_to_the_nanosecond(text: str, expected: str) -> None:
    assert moment(text, "since") == expected


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(InvalidValue, match="--since"):
        moment("yesterday", "since")


def test_a_reader_loses_nothing_to_rotations_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logs.File(str(tmp_path / "log"), 1, 1000)  # each piece begins a file
    written = 0

    def write() -> None:
        nonlocal written
        log.feed("stdout", b"%d\n" % written)
        written += 1

    def rotated_before(path: str, mode: str) -> Any:
        if written < 100 and written % 3:
            write()
        return open(path, mode)
    monkeypatch.setattr(log_reading, "open", rotated_before, raising=False)
    reader = log_reading.Reader(str(tmp_path / "log"))
    read: List[bytes] = []
    while written < 100:
        write()
        read += [piece.content for piece in reader.more()]
    read += [piece.content for piece in reader.more()]
    assert read == [b"%d\n" % number for number in range(written)]
