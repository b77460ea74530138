# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either wholly written or not there.

A write goes to a temporary file in the same folder, is flushed to the disk and
renamed over the target, and the folder is flushed too, so that a power cut
leaves the old content or the new one.
"""

from __future__ import annotations

import json
import os
from typing import Any, Optional

from ..errors import Corrupt

TEMPORARY = ".tmp-"
"""Prefix of files that a crash may leave behind; nothing reads them."""


class _NoJson(Corrupt, ValueError):
    """So that a caller who knows better than the remedy can catch what C(json) would have raised."""


def make_folder(path: str, mode: int = 0o700) -> None:
    """Create a folder and its missing parents (0755) if it is not there."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_folder(parent, 0o755)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    os.chmod(path, mode)  # whatever the umask of the task was


def sync_folder(path: str) -> None:
    """Flush a folder's entries to the disk (fsync(2) on a directory)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: str, content: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Replace a file's content atomically.

    Args:
        path: The file; its folder must exist.
        content: All of the new content.
        mode: Permission bits of the new file.
        durable: Whether to wait for the disk; C(False) on a tmpfs.
    """
    folder, name = os.path.split(path)
    part = os.path.join(folder, "%s%s-%d" % (TEMPORARY, name, os.getpid()))
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view):]
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(part, path)
    except BaseException:
        try:
            os.unlink(part)
        except OSError:
            pass
        raise
    if durable:
        sync_folder(folder)


def write_json(path: str, value: Any, mode: int = 0o600, durable: bool = True) -> None:
    """Replace a file by a JSON document, keys sorted, so that equal values are equal bytes."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)
    write(path, text.encode("utf-8", "surrogateescape") + b"\n", mode, durable)


def read_json(path: str) -> Optional[Any]:
    """The JSON document in a file, or C(None) where there is no such file.

    Raises:
        Corrupt: The content is no JSON; this error is a C(ValueError) too.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return json.loads(content.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise _NoJson("file %s holds no JSON (%s)" % (path, error),
                      "It was not written by this collection, or the disk has damaged it; restore or remove it")


def remove(path: str) -> bool:
    """Unlink a file; say whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_empty(*folders: str) -> None:
    """Remove those of the folders that are there and empty, in this order."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            pass
