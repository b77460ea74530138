# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the C(coracle) command runs first: it sees to it that the rest starts fast.

The launcher runs the bytecode of this file as a program. All other bytecode of
the engine comes out of one file (C(launcher.py) writes it), which saves the five
system calls by which the interpreter finds each of a hundred files; the two
heaviest modules of the standard library have stand-ins (C(lean.py)). Ansible's
modules take the engine out of the same file (C(bootstrap.py)).
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    _Index = Dict[str, Tuple[bool, str, int, int]]

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__).replace("/__pycache__/", "/")))
ARCHIVE = "engine.%s.bytecode" % sys.implementation.cache_tag
"""Beside the folder C(engine): the length of a head (4 bytes, little-endian), the head, and what it points at.

All is as C(marshal) writes it. The head says of some verbs where there is, in one piece, a list of what each needs, and whether it
is one for a sealed interpreter. The list has name, whether it is a package, path of the source relative to the folder and code of
each module, in an order in which they can be run. Under no name the head says where the index is: for each module
whether it is a package, that path, and where its code begins and how long it is; and, for each that a module of Ansible asks for,
the names of all that it needs, in such an order. All places are counted from the head's end.
"""
LEAN = "engine.lean"


class Finder:
    """Finds and loads the modules in an archive (C(importlib.abc.MetaPathFinder), C(importlib.abc.InspectLoader)).

    Args:
        path: The archive.
        folder: The one that their sources' paths are relative to.
        above: What stands before their names in this process: nothing, or the name of a package and a dot.
        begins: How the names begin that are looked for in it.

    Raises:
        OSError: It cannot be read.
        EOFError, TypeError, ValueError: It is none.
    """

    def __init__(self, path: str, folder: str, above: str, begins: str) -> None:
        self.folder = folder
        self.path = path
        self.above = above
        self.begins = begins
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            length = int.from_bytes(os.pread(handle, 4, 0), "little")
            self.base = 4 + length
            self.places: Dict[str, Tuple[int, int, bool]] = marshal.loads(os.pread(handle, length, 4))  # noqa: S302
        finally:
            os.close(handle)
        self.spec_type = type(sys.__spec__)
        self.found: Tuple[_Index, Dict[str, Tuple[str, ...]]] = ({}, {})

    def index(self) -> _Index:
        """What there is, read when it is first asked for."""
        if not self.found[0]:
            self.found = self.read(*self.places[""][:2])
        return self.found[0]

    def read(self, begin: int, length: int) -> Any:
        """A part of the archive."""
        handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return marshal.loads(os.pread(handle, length, self.base + begin))  # noqa: S302
        finally:
            os.close(handle)

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        """Where a module is, or C(None) for one that is not the engine's."""
        if not name.startswith(self.begins):
            return None
        found = self.index().get(name[len(self.above):])
        return found and self.spec(name, *found[:2])

    def spec(self, name: str, package: bool, source: str) -> Any:
        """What the interpreter wants to know of a module."""
        path = os.path.join(self.folder, source)
        spec = self.spec_type(name, self, origin=path, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(path)]
        return spec

    def run_together(self, verb: str) -> None:
        """Import all that a verb needs at once, which takes half of the time that one by one takes."""
        begin, length, sealed = self.places[verb]
        if sealed and not os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY:
            return  # the interpreter is to start once more, and needs little for that
        for name, package, source, code in self.read(begin, length):
            module = self.run(name, package, source, code)
            if name == LEAN:
                module.install()

    def run_in_order(self, wanted: str) -> None:
        """Import all that a module of the engine needs, and itself, likewise; what has been imported already stays."""
        index = self.index()
        for each in self.found[1].get(wanted, ()):
            name = self.above + each
            if name not in sys.modules:
                package, source, begin, length = index[each]
                self.run(name, package, source, self.read(begin, length))

    def run(self, name: str, package: bool, source: str, code: Any) -> Any:
        """Make a module and run its code."""
        module = type(sys)(name)
        above, _dot, last = name.rpartition(".")
        spec = self.spec(name, package, source)
        module.__dict__.update(__spec__=spec, __loader__=self, __file__=spec.origin, __package__=name if package else above)
        if package:
            module.__path__ = spec.submodule_search_locations
        sys.modules[name] = module
        exec(code, module.__dict__)  # noqa: S102  # pylint: disable=exec-used
        if above:
            setattr(sys.modules[above], last, module)
        return module

    def create_module(self, _spec: Any) -> None:
        """An ordinary module object will do."""

    def get_code(self, name: str) -> Any:
        """A module's code."""
        return self.read(*self.index()[name[len(self.above):]][2:])

    def exec_module(self, module: Any) -> None:
        """Run a module's code."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102  # pylint: disable=exec-used


def use_archive(above: str = "", folder: str = FOLDER) -> Optional[Finder]:
    """Let imports of the engine, below a package with a dot after its name or at the top, find the archive if this interpreter has one."""
    try:
        finder = Finder(os.path.join(folder, ARCHIVE), folder, above, above or "engine")
    except (OSError, EOFError, TypeError, ValueError):
        return None
    sys.meta_path.insert(0, finder)
    return finder


def run() -> None:
    """Be the command; the first argument is the name that it was called by. Never returns."""
    del sys.argv[0]
    gc.disable()  # what is made till the command ends is little, and most of it stays
    finder = use_archive()
    if finder is None:
        sys.path.insert(0, FOLDER)
    else:
        for word in sys.argv[1:]:
            if word in finder.places and word:  # or a value of an option before the verb, which costs time and nothing else
                finder.run_together(word)
                break
    __import__(LEAN, fromlist=["install"]).install()
    status = __import__("engine.cli.main", fromlist=["main"]).main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or 1
    os._exit(status)  # nothing is left that the interpreter could tidy up


if __name__ == "__main__":
    run()
