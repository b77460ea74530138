# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is compressed, told by its first bytes, in bounded memory.

gzip by zlib (or isal where the host has it), bzip2 and xz by the standard
library, zstd by the host's libzstd (RFC 1952, RFC 8878).
"""

from __future__ import annotations

import ctypes
import zlib
from typing import Any, BinaryIO, Callable, Iterator, Optional

from ..errors import Corrupt, Unsupported

CHUNK = 1 << 18
"""Bytes read, and at most about four times as many bytes produced, at once."""
OUTPUT = 1 << 20
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
