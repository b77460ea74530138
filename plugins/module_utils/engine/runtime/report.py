# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a failure in a container's child process reaches the one who made it.

The child writes stage, errno and path, NUL between them, into a pipe that the
coming execve closes: bytes that need no import and no codec but UTF-8.
"""

from __future__ import annotations

import os
import sys
from typing import Tuple

from ..errors import EngineError, KernelError

LIMIT = 4000
"""Bytes of one report: below PIPE_BUF, so that it is written in one piece."""
FAILED = b"E"
READY = b"R"
HOOKS = b"H"
LISTENER = b"L"
"""Followed by the number of the descriptor that it will be, as C(struct)'s C(i)."""
MAP = b"M"
"""Followed by three such numbers: the descriptors of a detached mount and of a user namespace, and whether what lies below counts."""
GO = b"G"


class Failure(EngineError):
    """A process could not be set up or started.

    Args:
        doing: What cannot be done because of it, such as C(start the container).
        stage: What was being done, such as C(mounts[2] /proc).
        errno: Why, or 0 where it was no system call.
        path: What it was done to, or nothing.
        text: The cause in words.
    """

    def __init__(self, doing: str, stage: str, errno: int, path: str, text: str) -> None:
        super().__init__("cannot %s: %s: %s" % (doing, stage, text), None, stage=stage, errno=errno,
                         path=path)
        self.stage = stage
        self.errno = errno
        self.path = path
        self.text = text


def describe(error: BaseException) -> Tuple[int, str, str]:
    """Errno, path and text of an exception, without formatting a traceback."""
    if isinstance(error, KernelError):
        return error.errno, error.target, str(error)
    if isinstance(error, OSError):
        path = error.filename
        name = path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else str(path or "")
        said = error.strerror or str(error)
        return error.errno or 0, name, "%s: %s" % (name, said) if name else said
    if isinstance(error, EngineError):
        return int(error.facts.get("errno", 0)), str(error.facts.get("path", "")), str(error)
    return 0, "", "%s: %s" % (type(error).__name__, error)


def encode(stage: str, error: BaseException) -> bytes:
    """The report of a failure."""
    errno, path, text = describe(error)
    report = "%s\0%d\0%s\0%s" % (stage, errno, path, text)
    return (FAILED + report.encode("utf-8", "surrogateescape"))[:LIMIT]


def decode(content: bytes, doing: str = "start the container") -> Failure:
    """The failure that a report tells of; also of a report that makes no sense.

    Args:
        doing: What cannot be done because of it.
    """
    parts = content[1:].decode("utf-8", "replace").split("\0", 3)
    if content[:1] != FAILED or len(parts) != 4 or not parts[1].isdecimal():
        return Failure(doing, "set-up", 0, "", "the process ended without a word: it was killed")
    return Failure(doing, parts[0], int(parts[1]), parts[2], parts[3])


def read_all(handle: int) -> bytes:
    """All that comes from a pipe till its end, at most C(LIMIT) bytes."""
    content = b""
    while len(content) < LIMIT:
        part = os.read(handle, LIMIT - len(content))
        if not part:
            break
        content += part
    return content


def read_number(handle: int) -> int:
    """A number that follows C(LISTENER) or C(MAP)."""
    return int.from_bytes(os.read(handle, 4), sys.byteorder)
