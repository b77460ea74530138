# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders as tar streams: read by tarfile and by our reader, the same bytes for the same tree."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import pack, tarstream

LONG = "n" * 200


def make(folder: Path) -> Path:
    """A tree with what is hard to write."""
    folder.mkdir()
    (folder / "z").mkdir(mode=0o700)
    (folder / "z" / "file").write_bytes(b"x" * 1000)
    os.link(folder / "z" / "file", folder / "a-hard-link")
    (folder / LONG).write_bytes(b"")
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"deep")
    os.symlink("t" * 150, folder / "link")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"raw\xff")).write_bytes(b"raw")
    os.setxattr(folder / "z", "user.note", b"\0\xff\n=")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, ns=(5, 1600000000999999999), follow_symlinks=False)
    return folder


def packed(folder: Path, **options: int) -> bytes:
    return b"".join(pack.pack(str(folder), **options))  # type: ignore[arg-type]


def test_read_by_tarfile(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(make(tmp_path / "a"))), errors="surrogateescape") as archive:
        found = {info.name: info for info in archive}
    assert list(found) == [".", "a-hard-link", "d" * 60, "d" * 60 + "/" + "e" * 60,
                           "d" * 60 + "/" + "e" * 60 + "/f", "link", LONG, "pipe", "raw\udcff", "z", "z/file"]
    assert (found["z"].mode, found["z"].type, found["z"].mtime) == (0o700, tarfile.DIRTYPE, 1600000000)
    assert found["z/file"].islnk() and found["z/file"].linkname == "a-hard-link"
    assert found["link"].linkname == "t" * 150
    assert found["pipe"].isfifo()


def test_read_by_our_reader(tmp_path: Path) -> None:
    content = packed(make(tmp_path / "a"))
    assert len(content) % 10240 == 0
    reader = tarstream.Reader(iter([content]), "test")
    found = {entry.name: (entry, b"".join(reader.content(entry))) for entry in reader}
    assert found[b"a-hard-link"][1] == b"x" * 1000
    assert found[b"z/"][0].xattrs == {b"user.note": b"\0\xff\n="}
    assert found[b"raw\xff"][1] == b"raw"
    assert found[b"./"][0].kind == "folder"


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = packed(make(tmp_path / "one")), packed(make(tmp_path / "two"))
    assert one == two
    assert packed(tmp_path / "one", epoch=1500000000) != one
    os.utime(tmp_path / "two" / "z" / "file", (9, 1700000000))
    assert packed(tmp_path / "two") != one
    assert packed(tmp_path / "two", epoch=1500000000) == packed(tmp_path / "one", epoch=1500000000)


def test_records_count_their_own_length() -> None:
    for size in range(1, 1200):
        record = pack._record(b"key", b"v" * size)
        assert int(record.split(b" ", 1)[0]) == len(record)


def test_numbers_that_ustar_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"1")
    os.utime(tmp_path / "a" / "f", (-5, -5))
    entries = list(tarstream.Reader(iter([packed(tmp_path / "a")]), "test"))
    assert entries[1].mtime == -5 * 10**9
    header = pack._header(b"x", b"0", 0o644, 4000000000, 3000000000, 1 << 40, 1 << 40)
    reader = iter(tarstream.Reader(iter([header]), "test"))
    entry = next(reader)
    assert (entry.uid, entry.gid, entry.size, entry.mtime) == (4000000000, 3000000000, 1 << 40, (1 << 40) * 10**9)
