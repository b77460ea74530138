# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a pull is, for whoever started it: one small file that is rewritten while it goes on.

The controller's side of the modules names the file in the environment, and reads it: see plugin_utils/pull_progress.py.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Dict, Sequence

from ..store import files
from . import remote

VARIABLE = "CORACLE_PROGRESS"
"""Environment variable: where to write; unset where nobody watches."""
PREFIX = "progress-"
_INTERVAL = 0.25
_OLD = 86400.0
"""Seconds after which a file that was not written belongs to a process that was killed."""


class Reporter:
    """Writes C({"name": ..., "layers": [[digest, bytes there, bytes], ...]}).

    Args:
        path: A file that is not there yet.
    """

    def __init__(self, path: str, name: str, lacking: Sequence[remote.Missing]) -> None:
        self._name = name
        self._sizes = {each.blob.digest: each.blob.size for each in lacking}
        self._there: Dict[str, int] = {each.blob.digest: each.there for each in lacking}
        self._path = path
        _make_room(os.path.dirname(path))
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._next = 0.0
        self._lock = threading.Lock()

    def watch(self, digest: str, size: int) -> None:
        """Note how much of a layer is there."""
        with self._lock:
            self._there[digest] = size
            now = time.monotonic()
            if now >= self._next or size == self._sizes.get(digest):
                self._next = now + _INTERVAL
                self._write()

    def _write(self) -> None:
        content = json.dumps({"name": self._name, "layers": [[digest, self._there[digest], size]
                                                             for digest, size in self._sizes.items()]}).encode()
        try:
            os.ftruncate(self._handle, os.pwrite(self._handle, content, 0))
        except OSError:
            pass  # a full disk is the pull's own business

    def close(self) -> None:
        """Remove the file."""
        os.close(self._handle)
        files.remove(self._path)


def _make_room(folder: str) -> None:
    files.make_folder(folder)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if name.startswith(PREFIX) and time.time() - os.stat(path).st_mtime > _OLD:
                os.unlink(path)
        except FileNotFoundError:
            pass  # its own process was faster
