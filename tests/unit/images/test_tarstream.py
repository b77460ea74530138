# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tar reader against archives made by tarfile and GNU tar, and against broken ones."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import tarstream

from imagery import member, tar

Entry = tarstream.Entry


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at:at + size] for at in range(0, len(content), size))


def read(content: bytes, size: int = 1 << 18) -> List[Tuple[Entry, bytes]]:
    reader = tarstream.Reader(cut(content, size), "test.tar")
    return [(entry, b"".join(reader.content(entry))) for entry in reader]


def expand(entry: Entry, stored: bytes) -> bytes:
    """A sparse file's content with its holes."""
    whole = bytearray(entry.size)
    at = 0
    for offset, length in entry.parts or ():
        whole[offset:offset + length] = stored[at:at + length]
        at += length
    return bytes(whole)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("size", [1, 511, 512, 10000])
def test_every_kind_in_every_format(form: int, size: int) -> None:
    content = tar(member("d/", mode=0o1777), member("d/f", b"x" * 1000, mode=0o4755, uid=1000, gid=50, mtime=1234567),
                  member("d/empty", b""), member("l", symlink="d/f"), member("h", link="d/f"),
                  member("c", device=(5, 1), mode=0o666), member("p", fifo=True), form=form)
    found = read(content, size)
    assert [(entry.name, entry.kind) for entry, _data in found] == [
        (b"d/", "folder") if form != tarfile.GNU_FORMAT else (b"d/", "folder"), (b"d/f", "file"), (b"d/empty", "file"),
        (b"l", "symlink"), (b"h", "link"), (b"c", "char"), (b"p", "fifo")]
    entry, data = found[1]
    assert (entry.mode, entry.uid, entry.gid, entry.mtime, entry.size) == (0o4755, 1000, 50, 1234567 * 10**9, 1000)
    assert data == b"x" * 1000
    assert (found[3][0].target, found[4][0].target) == (b"d/f", b"d/f")
    assert (found[5][0].major, found[5][0].minor) == (5, 1)
    assert found[0][0].mode == 0o1777


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_strange_names(form: int) -> None:
    names = ["x" * 99, "x" * 100, "x" * 101, "d/" * 100 + "y", "z" * 250, "with\nnewline", "caf\xe9", "raw\udcff"]
    content = tar(*(member(name, b"1") for name in names), member("s", symlink="t" * 300), form=form)
    found = read(content)
    assert [os.fsdecode(entry.name) for entry, _data in found[:-1]] == names
    assert found[-1][0].target == b"t" * 300


def test_numbers_beyond_octal() -> None:
    big = tar(member("a", b"1", uid=3000000000, gid=2097152, mtime=-5), form=tarfile.GNU_FORMAT)
    pax = tar(member("a", b"1", uid=3000000000, gid=2097152, mtime=-1.5), form=tarfile.PAX_FORMAT)
    assert (read(big)[0][0].uid, read(big)[0][0].gid, read(big)[0][0].mtime) == (3000000000, 2097152, -5 * 10**9)
    assert (read(pax)[0][0].uid, read(pax)[0][0].mtime) == (3000000000, -1500000000)


def test_fractions_of_seconds_and_global_headers() -> None:
    info, data = member("a", b"1")
    info.pax_headers["mtime"] = "1700000000.123456789"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}) as archive:
        archive.addfile(info, io.BytesIO(data))
    entry = read(out.getvalue())[0][0]
    assert entry.mtime == 1700000000123456789
    assert entry.uid == 77


def test_xattrs_are_bytes() -> None:
    value = b"\x01\x00\x00\x02\xff\x00=\n"
    content = tar(member("a", b"1", xattrs={"security.capability": value.decode("utf-8", "surrogateescape"),
                                            "user.x": "y"}))
    assert read(content)[0][0].xattrs == {b"security.capability": value, b"user.x": b"y"}


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=pax", "--sparse-version=0.0"],
                                     ["--format=pax", "--sparse-version=0.1"],
                                     ["--format=pax", "--sparse-version=1.0"]], ids=lambda given: given[-1])
@pytest.mark.parametrize("holes", [3, 60])
def test_sparse_files_of_gnu_tar(tmp_path: Path, options: List[str], holes: int) -> None:
    path = tmp_path / "sparse"
    with open(path, "wb") as stream:
        for at in range(holes):
            stream.seek(at * 200000 + 65536)
            stream.write(b"part %03d" % at + b"." * 5000)
        stream.truncate(holes * 200000 + 4096)
    (tmp_path / "after").write_bytes(b"next")
    made = subprocess.run(["tar", "-C", str(tmp_path), "--sparse", *options, "-cf", "-", "sparse", "after"],
                          check=True, capture_output=True).stdout
    (entry, stored), (after, data) = read(made, 7777)
    assert (entry.name, entry.size) == (b"sparse", path.stat().st_size)
    assert entry.parts is not None and len(stored) < entry.size // 2
    assert expand(entry, stored) == path.read_bytes()
    assert (after.name, data) == (b"after", b"next")


def test_leaping_over_content() -> None:
    content = tar(member("a", b"x" * 100000), member("b", b"y" * 5), member("c", b"z" * 70000), member("d", b"w"))
    stream = io.BytesIO(content)
    leaps: List[int] = []

    def leap(count: int) -> None:
        leaps.append(count)
        stream.seek(count, os.SEEK_CUR)
    reader = tarstream.Reader(iter(lambda: stream.read(1024), b""), "test.tar", leap)
    found = {}
    for entry in reader:
        found[entry.name] = reader.position
    assert list(found) == [b"a", b"b", b"c", b"d"] and leaps
    assert all(content[found[name]:found[name] + 1] == first for name, first in
               ((b"a", b"x"), (b"b", b"y"), (b"c", b"z"), (b"d", b"w")))


def damaged(change: Dict[int, bytes], content: bytes = tar(member("a", b"1" * 600))) -> bytes:
    broken = bytearray(content)
    for at, new in change.items():
        broken[at:at + len(new)] = new
    return bytes(broken)


@pytest.mark.parametrize(("content", "why"), [
    (damaged({0: b"b"}), "checksum"),
    (tar(member("a", b"1" * 600))[:700], "cut short"),
    (b"\x7fELF" + bytes(600), "checksum"),
    (tar(member("n" * 150, b""), form=tarfile.PAX_FORMAT)[:1024], "extended header"),
])
def test_broken_archives(content: bytes, why: str) -> None:
    with pytest.raises(Corrupt, match=why):
        read(content)


@pytest.mark.parametrize("length", [512 + 600, 512 + 700, 512 + 1024])
def test_an_archive_that_ends_with_its_last_file(length: int) -> None:
    """Without padding and without blocks of zeros, as umoci writes layers."""
    assert read(tar(member("a", b"1" * 600))[:length]) == read(tar(member("a", b"1" * 600)))
    with pytest.raises(Corrupt, match="cut short"):
        read(tar(member("a", b"1" * 600))[:512 + 599])


def header(**fields: Any) -> bytes:
    """One header with fields set as bytes, and a right checksum."""
    raw = bytearray(tar(member("a", b""))[:512])
    for name, (at, value) in fields.items():
        assert name
        raw[at:at + len(value)] = value
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize(("content", "why"), [
    (header(size=(124, b"\xff" * 12)), "negative size"),
    (header(size=(124, b"0000000000x\0")), "not octal"),
    (header(flag=(156, b"x"), size=(124, b"77777777777\0")), "extended header of"),
    (header(flag=(156, b"x"), size=(124, b"00000000012\0")) + b"99 path=x\n".ljust(512, b"\0"), "malformed extended"),
    (header(flag=(156, b"x"), size=(124, b"00000000012\0")) + b"xx path=x\n".ljust(512, b"\0"), "malformed extended"),
])
def test_malicious_headers(content: bytes, why: str) -> None:
    with pytest.raises(Corrupt, match=why):
        read(content + bytes(1024))


def test_prefixes_of_old_go() -> None:
    """A header that says GNU but has ustar's prefix, as Go wrote before 1.8, beside one that has GNU's times there."""
    gnu = (257, b"ustar  \0")
    assert read(header(magic=gnu, prefix=(345, b"folder")))[0][0].name == b"folder/a"
    assert read(header(magic=gnu, times=(345, b"14710000000\0" * 2)))[0][0].name == b"a"
    assert read(header(magic=gnu, times=(345, b"\x80" + bytes(11))))[0][0].name == b"a"


def test_a_long_name_ends_at_a_zero_byte() -> None:
    long = header(flag=(156, b"L"), size=(124, b"00000000012\0")) + b"name\0rest".ljust(512, b"\0")
    assert read(long + header())[0][0].name == b"name"


def test_empty_archives() -> None:
    assert read(b"") == read(bytes(1024)) == read(bytes(10240)) == []
