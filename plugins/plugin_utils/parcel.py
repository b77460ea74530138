# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the controller, as they are sent to the module C(container_copy): a tar whose first member lists all.

The content comes with the list where it is little. Where it is much, the list comes alone, with a digest for each file,
and the content only if the module says that something differs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from typing import Any, Callable, Dict, List, Tuple

LITTLE = 4 << 20
"""Bytes up to which the content comes at once."""


def entries(top: str, real: Callable[[str], str]) -> Tuple[List[Dict[str, Any]], Dict[str, str], List[str]]:
    """The rows of a file or tree, where the content of each is by its digest, and what cannot be sent.

    Args:
        real: Gives the file that holds a file's content: itself, or what a vault had in it.
    """
    rows: List[Dict[str, Any]] = []
    contents: Dict[str, str] = {}
    skipped: List[str] = []
    queue = [""]
    while queue:
        path = queue.pop()
        full = os.path.join(top, path) if path else top
        status = os.stat(full) if not path else os.lstat(full)
        row: Dict[str, Any] = {"path": path, "mode": stat.S_IMODE(status.st_mode)}
        if stat.S_ISDIR(status.st_mode):
            row["kind"] = "directory"
            queue += [os.path.join(path, name) for name in os.listdir(full)]
        elif stat.S_ISLNK(status.st_mode):
            row.update(kind="link", target=os.readlink(full))
        elif stat.S_ISREG(status.st_mode):
            source = real(full)
            digest, size = _digest(source)
            row.update(kind="file", size=size, digest=digest)
            contents[digest] = source
        else:
            skipped.append(full)
            continue
        rows.append(row)
    return rows, contents, skipped


def _digest(path: str) -> Tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while True:
            part = stream.read(1 << 20)
            if not part:
                return digest.hexdigest(), size
            size += len(part)
            digest.update(part)


def write(target: str, name: str, rows: List[Dict[str, Any]], contents: Dict[str, str], skipped: List[str], complete: bool) -> None:
    """Write the tar.

    Args:
        target: Its path.
        name: Of what is sent, in its folder.
        complete: Whether the content is to be in it.
    """
    listed = json.dumps({"name": name, "entries": rows, "skipped": skipped, "complete": complete}).encode("utf-8", "surrogateescape")
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream, \
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("list")
        member.size = len(listed)
        archive.addfile(member, io.BytesIO(listed))
        for digest, path in contents.items() if complete else ():
            archive.add(path, digest, recursive=False)


def little(rows: List[Dict[str, Any]]) -> bool:
    """Whether the content is so little that it comes at once."""
    return sum(row.get("size", 0) for row in rows) <= LITTLE
