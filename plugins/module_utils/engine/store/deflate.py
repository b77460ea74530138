# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing gzip without time or name (RFC 1952): always the same, or by the fastest that the host has.

That is isal where the host's Python has it, else the host's libdeflate, else zlib; the latter two by all processors.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import struct
import zlib
from typing import Any, Callable, Deque, Iterator, Optional

from . import streams

BLOCK = 4 * streams.CHUNK
"""Bytes that a thread compresses in one go, at least."""
_WINDOW = 1 << 15
_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no flags, no time, compressed fast, by no known system


def same(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip that depends on nothing but the content and the host's zlib."""
    return _one_after_another(chunks, zlib.compressobj(6, zlib.DEFLATED, 31))


def fast(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip by the fastest encoder of the host; the same bytes for the same content and encoder, however many processors."""
    try:
        from isal import isal_zlib  # type: ignore[import-not-found] # pylint: disable=import-outside-toplevel
    except ImportError:
        library = libdeflate()
        return _by_zlib(chunks) if library is None else _by_libdeflate(chunks, library)
    return _one_after_another(chunks, isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31))


def libdeflate() -> Optional[ctypes.CDLL]:
    """The host's libdeflate, which compresses twice as fast as zlib, and better."""
    from ..kernel.syscalls import library  # pylint: disable=import-outside-toplevel
    found = library("libdeflate.so.0")
    if found is not None:
        found.libdeflate_alloc_compressor.restype = ctypes.c_void_p
        found.libdeflate_free_compressor.argtypes = [ctypes.c_void_p]
        found.libdeflate_gzip_compress_bound.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        found.libdeflate_gzip_compress_bound.restype = ctypes.c_size_t
        found.libdeflate_gzip_compress.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
        found.libdeflate_gzip_compress.restype = ctypes.c_size_t
    return found


def _one_after_another(chunks: Iterator[bytes], worker: Any) -> Iterator[bytes]:
    for chunk in chunks:
        packed = worker.compress(chunk)
        if packed:
            yield packed
    yield worker.flush()


def _by_libdeflate(chunks: Iterator[bytes], library: ctypes.CDLL) -> Iterator[bytes]:
    """Each block a member of its own (RFC 1952, 2.2), as eStargz and bgzip do it: this library compresses nothing but wholes."""
    def pack(block: bytes) -> bytes:
        worker = library.libdeflate_alloc_compressor(1)  # no two threads may share one; it takes microseconds
        if not worker:
            raise MemoryError("libdeflate_alloc_compressor")
        try:
            room = library.libdeflate_gzip_compress_bound(worker, len(block))
            packed = ctypes.create_string_buffer(room)
            return ctypes.string_at(packed, library.libdeflate_gzip_compress(worker, block, len(block), packed, room))
        finally:
            library.libdeflate_free_compressor(worker)
    blocks = streams.joined(chunks, BLOCK)
    first = next(blocks, b"")  # nothing is one empty member
    return _beside_one_another(functools.partial(pack, block) for block in itertools.chain([first], blocks))


def _by_zlib(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """One member of blocks each of which knows the end of the one before."""
    check = size = 0

    def pack(block: bytes, before: bytes) -> bytes:
        worker = zlib.compressobj(1, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, before)
        return worker.compress(block) + worker.flush(zlib.Z_SYNC_FLUSH)

    def works() -> Iterator[Callable[[], bytes]]:
        nonlocal check, size
        before = b""
        for block in streams.joined(chunks, BLOCK):
            check, size = zlib.crc32(block, check), size + len(block)
            yield functools.partial(pack, block, before)
            before = block[-_WINDOW:]
    yield _HEAD
    yield from _beside_one_another(works())
    yield b"\x03\0" + struct.pack("<II", check, size & 0xFFFFFFFF)  # the last block, which is empty


def _beside_one_another(works: Iterator[Callable[[], bytes]]) -> Iterator[bytes]:
    """What each work gives, in their order; as many of them at once as there are processors."""
    from collections import deque  # pylint: disable=import-outside-toplevel
    from concurrent.futures import ThreadPoolExecutor  # pylint: disable=import-outside-toplevel
    waiting: Deque[Any] = deque()
    with ThreadPoolExecutor(streams.PROCESSORS) as pool:
        for work in works:
            waiting.append(pool.submit(work))
            if len(waiting) > 2 * streams.PROCESSORS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
