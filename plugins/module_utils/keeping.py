# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a module of Ansible, compiled, beside the engine, so that a later task need not bring it again.

Ansible sends a module as a zip file with the source of all that it imports, most of which is Ansible's own, and each task compiles
that anew: more than half of a task's time. What came so is kept once; from then on the controller sends a program of a few
lines with the task's options (C(plugins/plugin_utils/kept.py)). Modules do not carry this: it comes with the archive.
"""

from __future__ import annotations

import os
import stat
import sys
import zipfile
from typing import Dict, Tuple

from .engine.pack import Pack
from .engine.store import files

FOLDER = "kept"
"""In the folder of an engine."""
MOST = 64
"""Files in it: the oldest, which other versions of Ansible have brought, go when there are more."""


def keep(folder: str, key: str) -> None:
    """Keep the module that this process is, if it came as a zip file, is not kept yet and can be written.

    Args:
        folder: Of the installed engine.
        key: What the controller knows the module by, besides its name.
    """
    main = vars(sys.modules["__main__"])
    brought = main.get("_modlib_path", "")
    path = os.path.join(folder, FOLDER, "%s.%s" % (main.get("_module_fqn"), key))
    if _intact(path) or not zipfile.is_zipfile(brought):
        return
    pack = Pack()
    index: Dict[str, Tuple[bool, str, int, int]] = {}
    with zipfile.ZipFile(brought) as bundle:
        for source in bundle.namelist():
            if source.endswith(".py") and "/" in source:
                package = source.endswith("/__init__.py")
                name = source[:-len("/__init__.py" if package else ".py")].replace("/", ".")
                code = compile(bundle.read(source), os.path.join(path, source), "exec", dont_inherit=True)
                index[name] = (package, source, *pack.add(code))
    try:
        files.make_folder(os.path.dirname(path), 0o755)
        _make_room(os.path.dirname(path))
        files.write(path, pack.bytes({"": (*pack.add((index, {})), False)}), 0o644)
    except OSError:
        pass  # a full disk, for one: the task itself may have nothing to write


def _intact(path: str) -> bool:
    """Whether there is such a file that the controller's program would run: nobody but root may have been able to write it."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _make_room(folder: str) -> None:
    found = sorted((os.path.join(folder, name) for name in os.listdir(folder)), key=os.path.getmtime)
    for path in found[:max(0, len(found) - MOST + 1)]:
        os.unlink(path)
