# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives that Go's archive/tar and CPython's tarfile are tested with, read in place where they are installed."""

from __future__ import annotations

import bz2
import glob
import io
import os
import stat
import sysconfig
import tarfile
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import tarstream, unpack

GO = sorted(glob.glob("/usr/share/go-*/src/archive/tar/testdata/*.tar*"))
PYTHON = [path for folder in (sysconfig.get_path("stdlib"), *glob.glob("/usr/lib/python3*"))
          for path in glob.glob(folder + "/test/testtar.tar") + glob.glob(folder + "/test/archivetestdata/*.tar")]
REFUSED = {  # as Go refuses them too; the last three are headers without the data that they announce
    "issue10968": "negative size", "issue11169": "not octal", "issue12435": "extended header", "neg-size": "negative size",
    "pax-bad-hdr-file": "malformed extended", "pax-bad-hdr-large": "extended header of", "pax-bad-mtime-file": "no number",
    "pax-nul-path": "no file system takes", "pax-nul-xattrs": "xattr", "recursion": "malformed extended",
    "writer-big": "cut short", "writer-big-long": "cut short", "pax-path-hdr": "ends after"}
KNOWN = {  # where Go reads more than tarfile does: the names and sizes that Go's own test expects
    "gnu-incremental": [(b"test2", 0), (b"test2/foo", 64), (b"test2/sparse", 536870912)],
    "gnu-multi-hdrs": [(b"GNU2/GNU2/long-path-name", 0)], "pax-multi-hdrs": [(b"PAX2/PAX2/long-path-name", 0)],
    "pax-global-records": [(b"global1", 0), (b"file2", 0), (b"file3", 0), (b"file4", 0)],
    "pax-nil-sparse-data": [(b"sparse.db", 1000)], "pax-nil-sparse-hole": [(b"sparse.db", 1000)],
    "pax-sparse-big": [(b"pax-sparse", 60000000000)]}
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"S": "file", b"1": "link", b"2": "symlink", b"3": "char", b"4": "block",
          b"5": "folder", b"6": "fifo"}
needs_go = pytest.mark.skipif(not GO, reason="Go's sources are not installed (golang-src)")


class Nowhere:
    """A form that reads files' data, but for holes."""

    def file(self, _entry: Any, pieces: Any) -> int:
        for _piece in pieces:
            pass
        return 1

    def drop(self, _place: int) -> None:
        """There is nothing to drop."""


def content_of(path: str) -> bytes:
    content = Path(path).read_bytes()
    return bz2.decompress(content) if path.endswith(".bz2") else content


def ours(content: bytes) -> List[Tuple[Any, ...]]:
    return [(entry.name.rstrip(b"/"), entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime // 10 ** 9,
             entry.target) for entry in tarstream.Reader(iter([content]), "vector")]


def theirs(content: bytes) -> List[Tuple[Any, ...]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(each.name.encode("utf-8", "surrogateescape").rstrip(b"/"), _KINDS.get(each.type, "file"),
                 stat.S_IMODE(each.mode), each.uid, each.gid, each.size if each.isreg() else 0, int(each.mtime // 1),
                 each.linkname.encode("utf-8", "surrogateescape")) for each in archive]


@pytest.mark.parametrize("path", [*GO, *PYTHON], ids=os.path.basename)
def test_vector(path: str) -> None:
    """Read as tarfile reads it, or as Go does, or refused as Go refuses it; and what is read makes a tree, or an error."""
    content, name = content_of(path), os.path.basename(path).split(".")[0]
    if name in REFUSED:
        with pytest.raises(Corrupt, match=REFUSED[name]):
            unpack.read_tree(iter([content]), "vector", Nowhere())
        return
    found = ours(content)
    if name in KNOWN:
        assert [(entry[0], entry[5]) for entry in found] == KNOWN[name]
    else:
        assert found == theirs(content)
    made, entries = unpack.read_tree(iter([content]), "vector", Nowhere())
    assert entries == len(found) and (made.root.children or not found)


@needs_go
def test_all_vectors_are_there() -> None:
    names = {os.path.basename(path).split(".")[0] for path in GO}
    assert len(names) > 40 and {*REFUSED, *KNOWN} - {"recursion"} <= names
