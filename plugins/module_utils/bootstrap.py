# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine installs itself on first use.

A module arrives as source in a zip and would be compiled anew each time. So the
engine's source is written once to a folder named after its own digest, with
bytecode beside it; from then on modules, monitors, the boot unit and the
C(coracle) command all run that. A later version gets a folder of its own, so
what runs keeps the code that it was started with.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import zipfile
import zlib
from typing import Callable, Dict, Tuple

from . import engine, shipment  # noqa: F401  # pylint: disable=unused-import
from .engine.errors import Conflict
from .engine.instance import Instance

_PART = ".part"
LAUNCHER = """#!%s -IS
# Written by coracle.containers together with the engine beside it.
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from engine.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def use_engine(instance: Instance, install: bool) -> None:
    """Let later imports of the engine find the installed bytecode.

    Args:
        instance: Below whose state root the engine is installed.
        install: Whether it may be installed; in check mode nothing is written, and the shipped source serves.

    Raises:
        Conflict: What is there in its place could have been written by somebody else.
    """
    names, read = _shipped()
    folder = instance.state("engine", _digest(names))
    if not _trusted(folder):
        if not install:
            return
        _install(folder, names, read)
    if install:
        _make_current(folder)
    prefix = engine.__name__ + "."
    for name, module in list(sys.modules.items()):
        # Packages that an option table has imported already look there first, too.
        if module is not None and hasattr(module, "__path__") and (name + ".").startswith(prefix):
            inside = name[len(prefix):].split(".") if name != engine.__name__ else []
            module.__path__ = [os.path.join(folder, "engine", *inside)] + list(module.__path__)  # type: ignore[attr-defined]


def installed_engine(instance: Instance) -> str:
    """The folder that C(use_engine) installs to or has installed to."""
    return instance.state("engine", _digest(_shipped()[0]))


def _shipped() -> Tuple[Dict[str, Tuple[int, int]], Callable[[str], bytes]]:
    """The engine's files as they came: name to (CRC-32, size), and a reader by name."""
    base = list(engine.__path__)[-1]
    archive = base
    while archive != "/" and not os.path.exists(archive):
        archive = os.path.dirname(archive)
    names = {}  # type: Dict[str, Tuple[int, int]]
    if os.path.isfile(archive):
        prefix = os.path.relpath(base, archive) + "/"
        with zipfile.ZipFile(archive) as bundle:
            for entry in bundle.infolist():
                if entry.filename.startswith(prefix) and entry.file_size:
                    names[entry.filename[len(prefix):]] = (entry.CRC, entry.file_size)

        def read_zip(name: str) -> bytes:
            with zipfile.ZipFile(archive) as opened:
                return opened.read(prefix + name)
        return names, read_zip

    def read_file(name: str) -> bytes:
        with open(os.path.join(base, name), "rb") as stream:
            return stream.read()
    for folder, folders, files in os.walk(base):
        folders[:] = [each for each in folders if each != "__pycache__"]
        for name in files:
            relative = os.path.relpath(os.path.join(folder, name), base)
            content = read_file(relative) if name.endswith(".py") else b""
            if content:
                names[relative] = (zlib.crc32(content), len(content))
    return names, read_file


def _digest(names: Dict[str, Tuple[int, int]]) -> str:
    listing = "".join("%s %08x %d\n" % (name, crc, length) for name, (crc, length) in sorted(names.items()))
    return hashlib.sha256(("%s\n%s" % (sys.implementation.cache_tag, listing)).encode()).hexdigest()[:16]


def _trusted(folder: str) -> bool:
    """Whether the folder is there; then nobody but root can have changed it.

    Raises:
        Conflict: Somebody else can have.
    """
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        return True
    raise Conflict("%s, where the engine is installed, may be written by others than user id %d" % (folder, os.geteuid()),
                   "Find out who changed it, then remove it; it is installed again by the next task")


def _install(folder: str, names: Dict[str, Tuple[int, int]], read: Callable[[str], bytes]) -> None:
    """Write source and bytecode to a folder beside, flush them to the disk, rename it; one process at a time."""
    import fcntl  # pylint: disable=import-outside-toplevel
    import py_compile  # pylint: disable=import-outside-toplevel
    import shutil  # pylint: disable=import-outside-toplevel

    from .engine.store import files  # pylint: disable=import-outside-toplevel

    parent = os.path.dirname(folder)
    files.make_folder(os.path.dirname(parent))
    files.make_folder(parent, 0o755)
    lock = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _trusted(folder):  # another run was first
            return
        for name in os.listdir(parent):
            if name.endswith(_PART):  # of a run that was killed
                shutil.rmtree(os.path.join(parent, name))
        part = folder + _PART
        for name in sorted({os.path.dirname(name) for name in names} | {""}):
            files.make_folder(os.path.join(part, "engine", name).rstrip("/"), 0o755)
            files.write(os.path.join(part, "engine", name, "__init__.py"), b"", 0o644, durable=False)
        for name in names:
            path = os.path.join(part, "engine", name)
            files.write(path, read(name), 0o644, durable=False)
            py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                               dfile=os.path.join(folder, "engine", name))
        files.write(os.path.join(part, "coracle"), (LAUNCHER % sys.executable).encode(), 0o755, durable=False)
        os.chmod(part, 0o755)
        _flush(lock)
        os.rename(part, folder)
        files.sync_folder(parent)
    finally:
        os.close(lock)


def _flush(handle: int) -> None:
    """Flush the file system of an open file to the disk: one call instead of two for each file (syncfs(2))."""
    import ctypes  # pylint: disable=import-outside-toplevel

    if ctypes.CDLL(None).syncfs(handle):
        os.sync()


def _make_current(folder: str) -> None:
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
