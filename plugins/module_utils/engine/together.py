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
    """All modules below a folder, by name: those of the engine, the option tables, and what these need."""
    found: Dict[str, Module] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        for name in sorted(each for each in names if each.endswith(".py")):
            source = os.path.relpath(os.path.join(place, name), folder)
            package = name == "__init__.py"
            module = source[:-len("/__init__.py" if package else ".py")].replace(os.sep, ".")
            if not module:
                continue
            with open(os.path.join(folder, source), "rb") as stream:
                tree = ast.parse(stream.read())
            found[module] = Module(package, source, tuple(_imported(tree, module if package else module.rpartition(".")[0])))
    return found


def order(modules: Mapping[str, Module], roots: Sequence[str], first: Sequence[str] = _FIRST) -> Tuple[str, ...]:
    """Some modules of the engine with all that they import, each after what it imports and the packages that it is in."""
    found: List[str] = []

    def visit(name: str) -> None:
        if name in found or name not in modules:
            return
        visit(name.rpartition(".")[0])
        for each in modules[name].imports:
            visit(each)
        if name not in found:
            found.append(name)
    for root in (*first, *roots):
        visit("engine." + root)
    return tuple(found)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """What a module imports of its like whenever it is imported; names that are no modules among them."""
    above = package.split(".") if package else []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = above[:len(above) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield ".".join(base)
            for each in node.names:
                yield ".".join([*base, each.name])
