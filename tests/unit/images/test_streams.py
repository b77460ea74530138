# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed streams: told by magic, in pieces of any size, in several members, damaged, and as bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import tracemalloc
from typing import Callable, Dict, Iterator

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import streams


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout


PACK: Dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}
CONTENT = os.urandom(300000) + b"a" * 3000000 + os.urandom(10)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at:at + size] for at in range(0, len(content), size))


def plain(content: bytes, size: int = 1 << 18) -> bytes:
    return b"".join(streams.decoded(cut(content, size), "test"))


@pytest.mark.parametrize("size", [7, 65536, 1 << 24])
@pytest.mark.parametrize("kind", PACK)
def test_round_trip(kind: str, size: int) -> None:
    content = CONTENT[:4000] if size == 7 else CONTENT
    packed = PACK[kind](content)
    assert streams.kind(packed[:streams.MAGIC]) == kind
    assert plain(packed, size) == content


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_several_members(kind: str) -> None:
    pack = PACK[kind]
    assert plain(pack(b"one") + pack(b"") + pack(CONTENT) + pack(b"three"), 50000) == b"one" + CONTENT + b"three"


def test_padding_and_skippable_frames() -> None:
    assert plain(gzip.compress(b"one") + bytes(1000), 100) == b"one"
    skippable = b"\x5a\x2a\x4d\x18" + (100).to_bytes(4, "little") + bytes(100)
    assert plain(skippable + zstd(b"one") + skippable + zstd(b"two"), 30) == b"onetwo"


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_damage_is_found(kind: str) -> None:
    packed = PACK[kind](CONTENT)
    with pytest.raises(Corrupt, match="too early"):
        plain(packed[:-20] if kind != "zstd" else packed[:-300])
    broken = bytearray(packed)
    broken[len(broken) // 2:len(broken) // 2 + 8] = b"\xff" * 8
    with pytest.raises(Corrupt, match="damaged|too early"):
        plain(bytes(broken))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_a_bomb_stays_small_in_memory(kind: str) -> None:
    packed = PACK[kind](bytes(48 << 20))
    tracemalloc.start()
    total = sum(len(chunk) for chunk in streams.decoded(cut(packed, 1 << 18), "bomb"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 48 << 20
    assert peak < 12 << 20


def test_nothing_is_nothing() -> None:
    assert plain(b"") == b""
