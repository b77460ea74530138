# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installed engines, and modules that hosts have kept, from one test host to the next.

A host is fresh for nearly every test, and to install the engine takes it two seconds. So the first lets the others have what it
has installed and kept, as the module left it on its disk; a host has that from its first module on, like one that was there the
day before. Playbooks, other state roots and other Pythons get nothing: there the installation itself is tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from payloads import CACHE, MODULES

SHARED = CACHE.parent / "engines"
MOST = 3


class Engines:
    """What one host has of it.

    Args:
        key: What hosts know modules by that they have kept; another one, another engine.
        own: The host's folder of engines, which the first module makes.
    """

    def __init__(self, key: str, own: Path) -> None:
        self._shared = SHARED / key
        self._name = "kept/%s%%s.%s" % (MODULES, key)
        self._own = own

    def lend(self, module: str) -> bool:
        """Give the host what others have left, if it has no engine at all; whether it has now kept the module.

        A module that only looks installs nothing, so it is given nothing.
        """
        if not self._own.exists() and self._shared.exists() and not module.endswith("_info"):
            subprocess.run(["cp", "-a", self._shared, self._own], check=True)
        return any(self._own.glob("*/" + self._name % module))

    def take(self, module: str) -> None:
        """Let others have the engine and the module, if no host has left them yet."""
        if any(self._shared.glob("*/" + self._name % module)):
            return
        for found in self._own.glob("*[0-9a-f]/" + self._name % module):
            engine = found.parent.parent
            if not self._shared.exists():
                self._put(engine, self._shared / engine.name)
            elif (self._shared / engine.name).exists():
                self._put(found, self._shared / engine.name / "kept" / found.name)

    def _put(self, source: Path, target: Path) -> None:
        """Copy a file or folder; it is there at once or not at all, since other processes may look and do the same."""
        SHARED.mkdir(parents=True, exist_ok=True)
        part = SHARED / (".part-%d" % os.getpid())
        subprocess.run(["cp", "-a", source, part], check=True)
        if source.is_dir():
            whole = SHARED / (".whole-%d" % os.getpid())
            whole.mkdir()
            part.rename(whole / target.name)
            part, target = whole, target.parent
        try:
            part.rename(target)
        except OSError:  # another was first
            shutil.rmtree(part)
        for old in sorted(SHARED.glob("[0-9a-f]*"), key=lambda each: each.stat().st_mtime)[:-MOST]:
            shutil.rmtree(old, ignore_errors=True)
