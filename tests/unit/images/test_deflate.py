# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing gzip by several processors, with each of the encoders that a host may have."""

from __future__ import annotations

import ctypes
import gzip
import os
import subprocess
import sys
import threading
from typing import Iterator

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import deflate, streams

CONTENT = os.urandom(300000) + b"a" * 5000000 + os.urandom(10)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at:at + size] for at in range(0, len(content), size))


def gzipped(content: bytes, size: int = 70000) -> bytes:
    return b"".join(streams.encoded(cut(content, size), "gzip", fast=True))


@pytest.fixture(params=["zlib", "libdeflate"], autouse=True)
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host without isal, and with libdeflate or without."""
    name = str(request.param)
    monkeypatch.setitem(sys.modules, "isal", None)
    if name == "zlib":
        monkeypatch.setattr(deflate, "libdeflate", lambda: None)
    elif deflate.libdeflate() is None:
        pytest.skip("this host has no libdeflate")
    return name


@pytest.mark.parametrize("length", [0, 1, 32768, deflate.BLOCK, (5 << 20) + 7])
def test_gzip_by_several_processors(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are compressed beside one another make one stream, which others take, and is the same however many work at it."""
    content = CONTENT[:length]
    assert len(content) == length
    packed = gzipped(content)
    assert len(packed) < min(length, 400000) + 400
    assert subprocess.run(["gzip", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout == content
    assert gzip.decompress(packed) == content
    assert b"".join(streams.decoded(cut(packed, 1 << 18), "test")) == content
    monkeypatch.setattr(streams, "PROCESSORS", 1)
    assert gzipped(content) == packed


def test_gzip_blocks_of_zlib_know_what_came_before(encoder: str) -> None:
    """What a block has in common with the end of the one before is not stored again; libdeflate's blocks stand alone."""
    once = os.urandom(30000)
    block = os.urandom(deflate.BLOCK - len(once)) + once
    alone = len(gzipped(block, len(block))) + len(gzipped(once))
    assert (len(gzipped(block + once, len(block))) < alone - 25000) == (encoder == "zlib")


def test_what_ends_early_leaves_no_thread() -> None:
    """Whoever stops reading, or cannot write on, is not waited for by those who compress."""
    before = threading.active_count()
    packed = streams.encoded(cut(os.urandom(12 << 20), 1 << 20), "gzip", fast=True)
    assert next(packed)
    assert next(packed)
    packed.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("encoder", ["libdeflate"], indirect=True)
def test_each_compressor_of_libdeflate_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many are freed as were made: a long push needs no more memory than a short one."""
    library = deflate.libdeflate()
    assert library is not None
    freed = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(library, name)

        def libdeflate_free_compressor(self, worker: int) -> None:
            freed.append(worker)
            library.libdeflate_free_compressor(ctypes.c_void_p(worker))
    monkeypatch.setattr(deflate, "libdeflate", Counting)
    gzipped(CONTENT[:deflate.BLOCK * 3])
    assert len(freed) == 3 and all(freed)
