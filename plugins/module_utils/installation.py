# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installation of the engine on a managed host.

Its source is written once to a folder named after its own digest, with bytecode
beside it; modules, monitors, the boot unit and the C(coracle) command all run
that. A later version gets a folder of its own, so what runs keeps the code that
it was started with. Modules do not carry this: it comes with the archive.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import py_compile
import shutil
import zipfile

from .bootstrap import folder_name, trusted
from .engine import launcher
from .engine.errors import Corrupt
from .engine.store import files
from .shipment import identity

_PART = ".part"


def install_below(parent: str, archive: str, wanted: str) -> str:
    """Install an engine to a folder of its own below another, and let the link C(current) name it; that folder.

    Raises:
        Conflict: What is there in its place could have been written by somebody else.
        Corrupt: The archive is not of that engine.
    """
    folder = os.path.join(parent, folder_name(wanted))
    if not trusted(folder):
        _install(folder, archive, wanted)
    make_current(folder)
    return folder


def _install(folder: str, archive: str, wanted: str) -> None:
    """Write source and bytecode to a folder beside, flush them to the disk, rename it; one process at a time."""
    parent = os.path.dirname(folder)
    files.make_folder(os.path.dirname(parent))
    files.make_folder(parent, 0o755)
    lock = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if trusted(folder):  # another run was first
            return
        for name in os.listdir(parent):
            if name.endswith(_PART):  # of a run that was killed
                shutil.rmtree(os.path.join(parent, name))
        with zipfile.ZipFile(archive) as bundle:
            _write(bundle, folder, wanted)
        _flush(lock)
        os.rename(folder + _PART, folder)
        files.sync_folder(parent)
    finally:
        os.close(lock)


def _write(bundle: zipfile.ZipFile, folder: str, wanted: str) -> None:
    """Write the files of an archive, their bytecode and the launcher to the folder beside."""
    entries = {each.filename: (each.CRC, each.file_size) for each in bundle.infolist() if each.file_size}
    if identity(entries) != wanted:
        raise Corrupt("the archive %s is not that of the engine %s" % (bundle.filename, wanted), "Run the task again")
    part = folder + _PART
    folders = sorted({os.path.dirname(name) for name in entries} - {""})
    for name in ["", *folders]:
        files.make_folder(os.path.join(part, name).rstrip("/"), 0o755)
    for name in [os.path.join(each, "__init__.py") for each in folders] + list(entries):
        path = os.path.join(part, name)
        files.write(path, bundle.read(name) if name in entries else b"", 0o644, durable=False)
        py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                           dfile=os.path.join(folder, name))
    launcher.write(part, folder)
    os.chmod(part, 0o755)


def _flush(handle: int) -> None:
    """Flush the file system of an open file to the disk: one call instead of two for each file (syncfs(2))."""
    if ctypes.CDLL(None).syncfs(handle):
        os.sync()


def make_current(folder: str) -> None:
    """Let the link C(current), which the boot unit and the C(coracle) command go through, name this version."""
    parent, name = os.path.split(folder)
    current = os.path.join(parent, "current")
    try:
        if os.readlink(current) == name:
            return
    except OSError:
        pass
    link = os.path.join(parent, ".current-%d" % os.getpid())
    try:
        os.unlink(link)
    except OSError:
        pass
    os.symlink(name, link)
    os.rename(link, current)
