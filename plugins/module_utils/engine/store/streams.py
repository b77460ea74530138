# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is compressed, told by its first bytes, in bounded memory.

gzip by zlib (or isal where the host has it), bzip2 and xz by the standard
library, zstd by the host's libzstd (RFC 1952, RFC 8878).
"""

from __future__ import annotations

import ctypes
import os
import zlib
from typing import Any, BinaryIO, Callable, Iterator, List, Optional

from ..errors import Corrupt, Unsupported

CHUNK = 1 << 18
"""Bytes read at once."""
OUTPUT = 1 << 18
"""Bytes produced at once: what a processor's cache holds beside the dictionary, so that who hashes them need not fetch them again."""
PROCESSORS = min(4, os.cpu_count() or 1)
"""How many threads compress at once."""
MAGIC = 16
"""How many bytes C(kind) needs to see."""


def kind(head: bytes) -> str:
    """C(gzip), C(bzip2), C(xz), C(zstd), or C(none) for all else, from the first bytes of a stream."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh" and head[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\0":
        return "xz"
    # A zstd frame, or a skippable frame before it (RFC 8878, 3.1.2)
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    return "none"


def decoded(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The plain content of a stream that may be compressed.

    Args:
        chunks: The stream as stored.
        name: What an error names.

    Raises:
        Corrupt: The compressed stream is damaged or cut short.
        Unsupported: The host has no library for this compression.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= MAGIC:
            break
    decoder = {"none": _plain, "gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "zstd": _zstd}[kind(head)]

    def whole() -> Iterator[bytes]:
        if head:
            yield head
        yield from chunks
    return decoder(whole(), name)


def encoded(chunks: Iterator[bytes], algorithm: str, fast: bool = False) -> Iterator[bytes]:
    """A stream through gzip, zstd or (C(none)) as it is; a compressed one holds neither time nor name.

    Args:
        fast: Whether any encoder of the host will do for gzip. Else the same content gives the same bytes on every host
            that has the same zlib.

    Raises:
        Unsupported: The host has no library for this compression.
    """
    if algorithm == "none":
        return chunks
    if algorithm == "zstd":
        return _to_zstd(chunks)
    from . import deflate  # pylint: disable=import-outside-toplevel
    return deflate.fast(chunks) if fast else deflate.same(chunks)


def best() -> str:
    """The fastest compression for layers that this host has: zstd, else gzip."""
    return "gzip" if _libzstd() is None else "zstd"


def read_chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """A file's content from where it stands, in pieces."""
    while True:
        chunk = stream.read(size)
        if not chunk:
            return
        yield chunk


def _plain(chunks: Iterator[bytes], _name: str) -> Iterator[bytes]:
    return chunks


def _gzip(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    factory = zlib.decompressobj  # type: Callable[..., Any]
    failures = (zlib.error,)  # type: Any
    try:
        from isal import isal_zlib  # type: ignore[import-not-found] # pylint: disable=import-outside-toplevel
        factory, failures = isal_zlib.decompressobj, (zlib.error, isal_zlib.error)
    except ImportError:
        pass
    return _members(chunks, lambda: factory(31), failures, name, "gzip")


def _bzip2(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    import bz2  # pylint: disable=import-outside-toplevel
    return _members(chunks, bz2.BZ2Decompressor, (OSError,), name, "bzip2")


def _xz(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    import lzma  # pylint: disable=import-outside-toplevel
    return _members(chunks, lzma.LZMADecompressor, (lzma.LZMAError,), name, "xz")


def _members(chunks: Iterator[bytes], factory: Callable[[], Any], failures: Any, name: str,
             algorithm: str) -> Iterator[bytes]:
    """A sequence of compressed members; zero padding after the last is allowed, as gzip(1) does."""
    worker = factory()
    begun = False  # whether the present member has had any input
    any_member = False
    try:
        for chunk in chunks:
            while chunk:
                if not begun:
                    chunk = chunk.lstrip(b"\0") if any_member else chunk
                    if not chunk:
                        break
                    begun = True
                plain = worker.decompress(chunk, OUTPUT)
                if plain:
                    yield plain
                if worker.eof:
                    chunk = worker.unused_data
                    worker, begun, any_member = factory(), False, True
                    continue
                # zlib hands back what it did not take; bz2 and lzma keep it and say whether they want more
                chunk = getattr(worker, "unconsumed_tail", b"")
                while not getattr(worker, "needs_input", True):
                    plain = worker.decompress(b"", OUTPUT)
                    if plain:
                        yield plain
                    if worker.eof:
                        chunk = worker.unused_data
                        worker, begun, any_member = factory(), False, True
                        break
        while begun and getattr(worker, "needs_input", True):  # output that filled the room exactly
            plain = worker.decompress(b"", OUTPUT)
            if worker.eof:
                begun = False
            if not plain:
                break
            yield plain
    except failures as error:
        raise Corrupt("%s: the %s stream is damaged: %s" % (name, algorithm, error), "Fetch or make it again")
    if begun:
        raise Corrupt("%s: the %s stream ends too early" % (name, algorithm), "Fetch or make it again")


def joined(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same stream in pieces of at least so many bytes, but for the last."""
    return map(b"".join, gathered(chunks, size))


def gathered(chunks: Iterator[bytes], size: int) -> Iterator[List[bytes]]:
    """The same stream, as many chunks at a time as have at least so many bytes together, but for the last."""
    parts: List[bytes] = []
    there = 0
    for chunk in chunks:
        parts.append(chunk)
        there += len(chunk)
        if there >= size:
            yield parts
            parts, there = [], 0
    if there:
        yield parts


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer of zstd.h."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t)]


def _libzstd() -> Optional[ctypes.CDLL]:
    from ..kernel.syscalls import library  # pylint: disable=import-outside-toplevel
    found = library("libzstd.so.1")
    if found is not None:
        found.ZSTD_createDStream.restype = ctypes.c_void_p
        found.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
        found.ZSTD_decompressStream.restype = ctypes.c_size_t
        found.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer)]
        found.ZSTD_isError.argtypes = [ctypes.c_size_t]
        found.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
        found.ZSTD_getErrorName.restype = ctypes.c_char_p
        found.ZSTD_createCCtx.restype = ctypes.c_void_p
        found.ZSTD_freeCCtx.argtypes = [ctypes.c_void_p]
        found.ZSTD_CCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        found.ZSTD_compressStream2.restype = ctypes.c_size_t
        found.ZSTD_compressStream2.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer),
                                               ctypes.c_int]
    return found


def _zstd(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    zstd = _libzstd()
    if zstd is None:
        raise Unsupported("%s is compressed with zstd, but the host has no libzstd.so.1" % name,
                          "Install the package libzstd1 (Debian) or libzstd (Fedora), or compress with gzip")
    context = zstd.ZSTD_createDStream()
    room = ctypes.create_string_buffer(OUTPUT)
    expected = 0  # what the last call still wants; 0 at the end of a frame
    try:
        for chunk in chunks:
            source = _Buffer(ctypes.cast(ctypes.c_char_p(chunk), ctypes.c_void_p), len(chunk), 0)
            while True:
                target = _Buffer(ctypes.addressof(room), OUTPUT, 0)
                expected = zstd.ZSTD_decompressStream(context, ctypes.byref(target), ctypes.byref(source))
                if zstd.ZSTD_isError(expected):
                    raise Corrupt("%s: the zstd stream is damaged: %s"
                                  % (name, zstd.ZSTD_getErrorName(expected).decode()), "Fetch or make it again")
                if target.position:
                    yield ctypes.string_at(target.data, target.position)
                if source.position == source.size and (target.position < OUTPUT or not expected):
                    break
    finally:
        zstd.ZSTD_freeDStream(context)
    if expected:
        raise Corrupt("%s: the zstd stream ends too early" % name, "Fetch or make it again")


_LEVEL, _WORKERS, _JOB = 100, 400, 401  # ZSTD_c_compressionLevel, ZSTD_c_nbWorkers and ZSTD_c_jobSize of zstd.h
_GO_ON, _END = 0, 2  # ZSTD_e_continue, ZSTD_e_end


def _to_zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    zstd = _libzstd()
    if zstd is None:
        raise Unsupported("the host has no libzstd.so.1 to compress with",
                          "Install the package libzstd1 (Debian) or libzstd (Fedora), or choose gzip")
    context = zstd.ZSTD_createCCtx()
    room = ctypes.create_string_buffer(OUTPUT)

    def step(chunk: bytes, mode: int) -> Iterator[bytes]:
        source = _Buffer(ctypes.cast(ctypes.c_char_p(chunk), ctypes.c_void_p), len(chunk), 0)
        while True:
            target = _Buffer(ctypes.addressof(room), OUTPUT, 0)
            left = zstd.ZSTD_compressStream2(context, ctypes.byref(target), ctypes.byref(source), mode)
            if zstd.ZSTD_isError(left):
                raise Unsupported("libzstd cannot compress: %s" % zstd.ZSTD_getErrorName(left).decode(), "Choose gzip")
            if target.position:
                yield ctypes.string_at(target.data, target.position)
            if source.position == source.size and (mode == _GO_ON or not left):
                return
    try:
        zstd.ZSTD_CCtx_setParameter(context, _LEVEL, 3)
        zstd.ZSTD_CCtx_setParameter(context, _WORKERS, PROCESSORS)  # a library without threads refuses, and does
        zstd.ZSTD_CCtx_setParameter(context, _JOB, 4 << 20)  # 8 MB by itself, of which each worker holds some
        for chunk in chunks:
            yield from step(chunk, _GO_ON)
        yield from step(b"", _END)
    finally:
        zstd.ZSTD_freeCCtx(context)
