# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as the controller has it, with the option tables: its identity, and the archive that is sent to hosts without it."""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import lru_cache
from typing import Dict, Iterator, Tuple

from ..module_utils import shipment

SOURCE = os.path.dirname(os.path.abspath(shipment.__file__))
"""The folder of the source."""
FOLDERS = ("engine", "options")
FILES = ("installation.py", "keeping.py", "option.py", "values.py")
"""What of it is sent."""


def sources() -> Iterator[Tuple[str, bytes]]:
    """Name, relative to C(SOURCE), and content of each file, sorted by name."""
    found = list(FILES)
    for top in FOLDERS:
        for folder, folders, files in os.walk(os.path.join(SOURCE, top)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [os.path.relpath(os.path.join(folder, name), SOURCE) for name in files if name.endswith(".py")]
    for name in sorted(found):
        with open(os.path.join(SOURCE, name), "rb") as stream:
            content = stream.read()
        if content:
            yield name, content


@lru_cache(maxsize=1)
def identity() -> str:
    """That of the engine here; read once per process."""
    files: Dict[str, Tuple[int, int]] = {name: (zlib.crc32(content), len(content)) for name, content in sources()}
    return shipment.identity(files)


def archive(folder: str) -> str:
    """The path of a zip file with the engine in it, written to a folder unless it is there.

    Raises:
        OSError: It cannot be written.
    """
    path = os.path.join(folder, "coracle-engine-%s.zip" % identity())
    if not os.path.exists(path):
        part = "%s.%d" % (path, os.getpid())
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as bundle:
            packages = set()
            for name, content in sources():
                packages.add(os.path.dirname(name))
                bundle.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
            for package in sorted(packages - {""}):  # without these, Python 3.9 finds no package in a zip file
                bundle.writestr(zipfile.ZipInfo(package + "/__init__.py"), b"")
        os.rename(part, path)
    return path
