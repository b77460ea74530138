# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a module gets the engine from: what is installed on the host, or what was sent to be installed there.

It runs before the module's other imports, and is compiled anew by each task, so it is short: whatever else a module
imports of this collection comes compiled, out of one file, from the installed engine (C(engine/start.py)).
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, Optional

from . import engine
from .shipment import ARCHIVE, IDENTITY, KEY, MISSING, STATE_ROOT

if TYPE_CHECKING:
    from .engine.instance import Instance
    from .engine.start import Finder

_finder: Optional[Finder] = None


def use_engine(instance: Instance, install: bool, keep: bool) -> None:
    """Let later imports of the engine find the one that this module is meant for.

    Args:
        instance: Below whose state root the engine is installed.
        install: Whether it may be installed; if not, as in check mode, nothing is written, and the archive serves.
        keep: Whether this module may be kept beside it.

    Raises:
        Conflict: What is there in its place could have been written by somebody else.
        Corrupt: The archive is not of that engine.
        NotFound: It is not installed, and there is no archive.
    """
    wanted = os.environ.get(IDENTITY, "")
    parent = instance.state("engine")
    name = folder_name(wanted)
    folder = os.path.join(parent, name)
    if not trusted(folder):
        archive = os.environ.get(ARCHIVE, "")
        if not wanted or not archive:
            from .engine.errors import NotFound  # pylint: disable=import-outside-toplevel
            raise NotFound("the engine is not on this host", "Run the module as a task of Ansible, which brings the engine",
                           **{MISSING: True})
        _look_in(archive)
        if not install:
            return
        _own(".installation").install_below(parent, archive, wanted)
    elif install and _current(parent) != name:
        _look_in(folder)
        _own(".installation").make_current(folder)
    _look_in(folder)
    key = os.environ.pop(KEY, "")
    if keep and key and os.geteuid() == 0:
        _own(".keeping").keep(folder, key)


def bring(place: str) -> Any:
    """A module of the engine, by its name there, with all that it imports.

    What is imported stays to the end, so the search for garbage, which would look at it again and again, passes it over.
    """
    if _finder is not None:
        _finder.run_in_order("engine." + place)
    found = _own(".engine." + place)
    gc.freeze()
    gc.enable()
    return found


def folder_name(wanted: str) -> str:
    """The name of the folder of an engine: it has the bytecode of one version of Python, and a launcher that names it."""
    runs = "%s %s" % (sys.implementation.cache_tag, sys.executable)
    return hashlib.sha256(("%s\n%s" % (runs, wanted)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def trusted(folder: str) -> bool:
    """Whether the folder is there; then nobody but root can have changed it.

    Raises:
        Conflict: Somebody else can have.
    """
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    if _safe(status):
        return True
    from .engine.errors import Conflict  # pylint: disable=import-outside-toplevel
    raise Conflict("%s, where the engine is installed, may be written by others than user id %d" % (folder, os.geteuid()),
                   "Find out who changed it, then remove it; it is installed again by the next task")


def _safe(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _look_early() -> None:
    """Let what a module imports come from the installed engine, compiled, if the action plugin has said where that may be.

    Whether that is the right one is for C(use_engine) to say, once the options are known.
    """
    wanted, root = os.environ.get(IDENTITY), os.environ.get(STATE_ROOT)
    if wanted and root:
        folder = os.path.join(root, "engine", folder_name(wanted))
        try:
            if _safe(os.lstat(folder)):
                gc.disable()  # until the imports are done: see bring()
                _look_in(folder)
        except OSError:
            pass


def _look_in(place: str) -> None:
    """Let the packages that an installed engine, or an archive, has look there first."""
    global _finder  # pylint: disable=global-statement
    own = str(__package__)
    for name, module in list(sys.modules.items()):
        # Packages that have been imported already.
        if module is not None and hasattr(module, "__path__") and (name == own or name.startswith((engine.__name__, own + ".options"))):
            path = os.path.join(place, *name[len(own) + 1:].split(".")).rstrip("/")
            if path not in module.__path__:
                module.__path__ = [path] + list(module.__path__)  # type: ignore[attr-defined]
    if os.path.isdir(place) and (_finder is None or _finder.folder != place):
        if _finder is not None:  # that of another instance, until the options said which one is meant
            sys.meta_path.remove(_finder)
        _finder = _own(".engine.start").use_archive(own + ".", place)
        _own(".engine.lean").take_records(own)


def _own(name: str) -> Any:
    """A part of this collection that a module does not carry: Ansible packs what an import names."""
    return importlib.import_module(name, __package__)


def _current(parent: str) -> str:
    """The version that the boot unit and the C(coracle) command use."""
    try:
        return os.readlink(os.path.join(parent, "current"))
    except OSError:
        return ""


_look_early()  # before the module imports its option table
