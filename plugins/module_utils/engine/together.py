# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules of the engine import which, read from their source: what a verb needs, and in which order."""

from __future__ import annotations

import ast
import os
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

_FIRST = ("lean_ctypes", "lean", "cli.main", "cli.oci")
"""What every verb of the runtime needs; the first two before all else, since the others import what they stand in for."""


class Module(NamedTuple):
    """A module: whether it is a package, its source relative to the folder with C(engine/), and what it imports at once."""

    package: bool
    source: str
    imports: Tuple[str, ...]


def read(folder: str) -> Dict[str, Module]:
    """All modules in C(engine/) below a folder, by name."""
    found: Dict[str, Module] = {}
    for place, folders, names in os.walk(os.path.join(folder, "engine")):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        for name in sorted(each for each in names if each.endswith(".py")):
            source = os.path.relpath(os.path.join(place, name), folder)
            module = source[:-len(".py")].replace(os.sep, ".")
            package = name == "__init__.py"
            module = module[:-len(".__init__")] if package else module
            with open(os.path.join(folder, source), "rb") as stream:
                tree = ast.parse(stream.read())
            found[module] = Module(package, source, tuple(_imported(tree, module if package else module.rpartition(".")[0])))
    return found


def order(modules: Mapping[str, Module], roots: Sequence[str]) -> Tuple[str, ...]:
    """Some modules with all that they import, each after what it imports and the packages that it is in."""
    found: List[str] = []

    def visit(name: str) -> None:
        if name in found or name not in modules:
            return
        visit(name.rpartition(".")[0])
        for each in modules[name].imports:
            visit(each)
        if name not in found:
            found.append(name)
    for root in (*_FIRST, *roots):
        visit("engine." + root)
    return tuple(found)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """What a module imports of the engine whenever it is imported; names that are no modules among them."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package.rsplit(".", node.level - 1)[0] + ("." + node.module if node.module else "")
            yield base
            for each in node.names:
                yield "%s.%s" % (base, each.name)
