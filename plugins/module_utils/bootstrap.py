# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine installs itself on first use.

Its source is written once to a folder named after its own digest, with bytecode
beside it; modules, monitors, the boot unit and the C(coracle) command all run
that. A later version gets a folder of its own, so what runs keeps the code that
it was started with.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from typing import TYPE_CHECKING

from . import engine
from .engine.errors import Conflict, Corrupt, NotFound
from .engine.instance import Instance
from .shipment import ARCHIVE, IDENTITY, MISSING, STATE_ROOT, identity

if TYPE_CHECKING:
    import zipfile

_PART = ".part"


def use_engine(instance: Instance, install: bool) -> None:
    """Let later imports of the engine find the one that this module is meant for.

    Args:
        instance: Below whose state root the engine is installed.
        install: Whether it may be installed; if not, as in check mode, nothing is written, and the archive serves.

    Raises:
        Conflict: What is there in its place could have been written by somebody else.
        Corrupt: The archive is not of that engine.
        NotFound: It is not installed, and there is no archive.
    """
    wanted = os.environ.get(IDENTITY, "")
    folder = instance.state("engine", folder_name(wanted))
    if not _trusted(folder):
        archive = os.environ.get(ARCHIVE, "")
        if not wanted or not archive:
            raise NotFound("the engine is not on this host", "Run the module as a task of Ansible, which brings the engine",
                           **{MISSING: True})
        _look_in(archive)
        if not install:
            return
        install_below(instance.state("engine"), archive, wanted)
    elif install:
        _make_current(folder)
    _look_in(folder)


def install_below(parent: str, archive: str, wanted: str) -> str:
    """Install an engine to a folder of its own below another, and let the link C(current) name it; that folder.

    Raises:
        Conflict: What is there in its place could have been written by somebody else.
        Corrupt: The archive is not of that engine.
    """
    folder = os.path.join(parent, folder_name(wanted))
    if not _trusted(folder):
        _install(folder, archive, wanted)
    _make_current(folder)
    return folder


def folder_name(wanted: str) -> str:
    """The name of the folder of an engine: it has the bytecode of one version of Python, and a launcher that names it."""
    runs = "%s %s" % (sys.implementation.cache_tag, sys.executable)
    return hashlib.sha256(("%s\n%s" % (runs, wanted)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def look_early() -> None:
    """Let what a module imports come from the installed engine, compiled, if the action plugin has said where that may be.

    Whether that is the right one is for C(use_engine) to say, once the options are known.
    """
    wanted, root = os.environ.get(IDENTITY), os.environ.get(STATE_ROOT)
    if wanted and root:
        folder = os.path.join(root, "engine", folder_name(wanted))
        try:
            if _trusted(folder):
                _look_in(folder)
        except Conflict:
            pass


def _look_in(place: str) -> None:
    """Let the packages that an installed engine, or an archive, has look there first."""
    own = str(__package__)
    for name, module in list(sys.modules.items()):
        # Packages that have been imported already.
        if module is not None and hasattr(module, "__path__") and (name == own or name.startswith((engine.__name__, own + ".options"))):
            path = os.path.join(place, *name[len(own) + 1:].split(".")).rstrip("/")
            if path not in module.__path__:
                module.__path__ = [path] + list(module.__path__)  # type: ignore[attr-defined]
    if os.path.isdir(place):
        from .engine import lean  # pylint: disable=import-outside-toplevel
        lean.take_records(own)


def _trusted(folder: str) -> bool:
    """Whether the folder is there; then nobody but root can have changed it.

    Raises:
        Conflict: Somebody else can have.
    """
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    if stat.S_ISDIR(status.st_mode) and status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022:
        return True
    raise Conflict("%s, where the engine is installed, may be written by others than user id %d" % (folder, os.geteuid()),
                   "Find out who changed it, then remove it; it is installed again by the next task")


def _install(folder: str, archive: str, wanted: str) -> None:
    """Write source and bytecode to a folder beside, flush them to the disk, rename it; one process at a time."""
    import fcntl  # pylint: disable=import-outside-toplevel
    import shutil  # pylint: disable=import-outside-toplevel
    import zipfile  # pylint: disable=import-outside-toplevel

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
        with zipfile.ZipFile(archive) as bundle:
            _write(bundle, folder, wanted)
        _flush(lock)
        os.rename(folder + _PART, folder)
        files.sync_folder(parent)
    finally:
        os.close(lock)


def _write(bundle: zipfile.ZipFile, folder: str, wanted: str) -> None:
    """Write the files of an archive, their bytecode and the launcher to the folder beside."""
    import py_compile  # pylint: disable=import-outside-toplevel

    from .engine import launcher  # pylint: disable=import-outside-toplevel
    from .engine.store import files  # pylint: disable=import-outside-toplevel

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


look_early()  # before the module imports its option table
