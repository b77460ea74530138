# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either wholly written or not there.

A write goes to a temporary file in the same folder, is flushed to the disk and
renamed over the target, and the folder is flushed too, so that a power cut
leaves the old content or the new one.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from ..errors import Corrupt
from . import documents

_CHUNK = 1 << 16
TEMPORARY = ".tmp-"
"""Prefix of files that a crash may leave behind; nothing reads them."""


class _NoJson(Corrupt, ValueError):
    """So that a caller who knows better than the remedy can catch what C(json) would have raised."""


def make_folder(path: str, mode: int = 0o700) -> None:
    """Create a folder and its missing parents (0755) if it is not there."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:  # as nearly always, so this is the first to be tried
        return
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if parent in ("", path):
            raise
        make_folder(parent, 0o755)
        make_folder(path, mode)
        return
    os.chmod(path, mode)  # whatever the umask of the task was


def sync_folder(path: str) -> None:
    """Flush a folder's entries to the disk (fsync(2) on a directory)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: str, content: bytes, mode: int = 0o600, durable: bool = True, owner: Optional[Tuple[int, int]] = None) -> None:
    """Replace a file's content atomically.

    Args:
        path: The file; its folder must exist.
        content: All of the new content.
        mode: Permission bits of the new file.
        durable: Whether to wait for the disk; C(False) on a tmpfs.
        owner: User and group of the new file; the caller's own unless given.
    """
    write_together({path: content}, mode, durable, owner)


def write_together(contents: Mapping[str, bytes], mode: int = 0o600, durable: bool = True,
                   owner: Optional[Tuple[int, int]] = None) -> None:
    """Replace several files' content, each atomically, once there is room on the disk for all of them."""
    parts: Dict[str, str] = {}
    try:
        for path, content in contents.items():
            folder, name = os.path.split(path)
            part = os.path.join(folder, "%s%s-%d" % (TEMPORARY, name, os.getpid()))
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
            parts[path] = part
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view):]
                if owner is not None:
                    os.fchown(handle, *owner)
                os.fchmod(handle, mode)
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
        for path, part in parts.items():
            os.rename(part, path)
    except BaseException:
        for part in parts.values():
            try:
                os.unlink(part)
            except OSError:
                pass
        raise
    if durable:
        for folder in {os.path.dirname(path) for path in contents}:
            sync_folder(folder)


def write_chunks(path: str, chunks: Iterable[bytes], mode: int = 0o644) -> None:
    """Replace a file's content atomically by what comes in pieces; a failure on the way leaves the old content."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, "%s%s-%d" % (TEMPORARY, name, os.getpid()))
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(part, path)
        sync_folder(folder)
    finally:
        remove(part)


def write_json(path: str, value: Any, mode: int = 0o600, durable: bool = True) -> None:
    """Replace a file by a JSON document."""
    write(path, encode_json(value), mode, durable)


def encode_json(value: Any) -> bytes:
    """A JSON document, keys sorted, so that equal values are equal bytes."""
    import json  # pylint: disable=import-outside-toplevel
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def read_json(path: str) -> Optional[Any]:
    """The JSON document in a file, or C(None) where there is no such file.

    Raises:
        Corrupt: The content is no JSON; this error is a C(ValueError) too.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = more = os.read(handle, _CHUNK)
        while more:
            more = os.read(handle, _CHUNK)
            content += more
    finally:
        os.close(handle)
    try:
        return documents.decode(content.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise _NoJson("file %s holds no JSON (%s)" % (path, error),
                      "It was not written by this collection, or the disk has damaged it; restore or remove it")


def remove(path: str) -> bool:
    """Unlink a file; say whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def length(path: str) -> int:
    """Bytes in a file; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def usage(path: str) -> int:
    """Bytes on the disk of a file, or of a folder with all that is below it; 0 where there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    total, counted = status.st_blocks * 512, {status.st_ino}
    queue = [path] if stat.S_ISDIR(status.st_mode) else []
    while queue:
        with os.scandir(queue.pop()) as listing:
            for entry in listing:
                status = entry.stat(follow_symlinks=False)
                if status.st_ino not in counted:
                    total += status.st_blocks * 512
                counted.add(status.st_ino)
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)
    return total


def remove_empty(*folders: str) -> None:
    """Remove those of the folders that are there and empty, in this order."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            pass
