# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes to a managed host runs there: on Python 3.9 and newer, with the standard library alone."""

from __future__ import annotations

import ast
import glob
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import ansible
import pytest

import collection

PLUGINS = collection.collections_path() / "ansible_collections/coracle/containers/plugins"
PACKAGE = "ansible_collections.coracle.containers.plugins."
OPTIONAL = {"isal", "backports", "zstandard"}
"""Used where a host has them, inside C(try)."""
FORBIDDEN = {"subprocess", "pty", "asyncio", "multiprocessing", "dataclasses"}
"""Too slow to import, or a way around the engine's own C(exec)."""


def shipped() -> List[Path]:
    """All that a module can carry."""
    return sorted([*(PLUGINS / "modules").glob("*.py"), *(PLUGINS / "module_utils").rglob("*.py")])


def imports(tree: ast.AST) -> Iterator[Tuple[str, int]]:
    """What is imported absolutely, and in which line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or "", node.lineno


def tried(tree: ast.AST) -> "set[int]":
    """The lines that stand in a C(try)."""
    return {line for node in ast.walk(tree) if isinstance(node, ast.Try)
            for each in node.body for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.relative_to(PLUGINS).as_posix())
def test_only_the_standard_library_is_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    wrong = []
    for name, line in imports(tree):
        top = name.split(".")[0]
        good = (name.startswith((PACKAGE + "module_utils", "ansible.module_utils"))
                or top in sys.stdlib_module_names and top not in FORBIDDEN
                or top in OPTIONAL and line in tried(tree))
        if not good:
            wrong.append("line %d: %s" % (line, name))
    assert wrong == []


@pytest.mark.parametrize("path", sorted((PLUGINS / "module_utils" / "engine").rglob("*.py")),
                         ids=lambda path: path.relative_to(PLUGINS / "module_utils").as_posix())
def test_the_engine_imports_itself_relatively_and_knows_no_ansible(path: Path) -> None:
    names = [name for name, _line in imports(ast.parse(path.read_text(encoding="utf-8")))]
    assert [name for name in names if name.startswith("ansible")] == []


HOUSE = {"kernel": 0, "store": 1, "image": 2, "layer": 2, "cgroup": 3, "network": 4, "netns": 4, "runtime": 5,
         "container": 6, "prune": 7, "cli": 7}
"""The floors of the engine. An image is made of layers and a commit makes an image: these two share one."""


def relative_imports(path: Path, engine: Path) -> Iterator[Tuple[int, Tuple[str, ...], bool]]:
    """What a file of the engine imports of it: line, path of the file or folder, whether on being loaded."""
    parts = path.relative_to(engine).parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = (*parts[:len(parts) - node.level], *(part for part in (node.module or "").split(".") if part))
        for name in node.names:
            target = (*base, name.name)
            if not engine.joinpath(*target).with_suffix(".py").exists():
                target = base
            yield node.lineno, target, node in tree.body


def test_imports_point_down_the_house() -> None:
    engine = PLUGINS / "module_utils" / "engine"
    up = []
    for path in sorted(engine.rglob("*.py")):
        own = path.relative_to(engine).parts[0]
        for line, target, _loaded in relative_imports(path, engine):
            if own in HOUSE and target and HOUSE.get(target[0], -1) > HOUSE[own]:
                up.append("%s line %d imports %s" % (path.relative_to(engine), line, ".".join(target)))
    assert up == []


def test_no_two_files_need_each_other_to_be_loaded() -> None:
    engine = PLUGINS / "module_utils" / "engine"
    needs = {path.relative_to(engine).with_suffix("").parts: {
        target for _line, target, loaded in relative_imports(path, engine) if loaded}
        for path in engine.rglob("*.py")}
    done: Set[Tuple[str, ...]] = set()

    def visit(name: Tuple[str, ...], trail: Tuple[Tuple[str, ...], ...]) -> None:
        assert name not in trail, " -> ".join("/".join(each) for each in (*trail[trail.index(name):], name))
        if name in done:
            return
        for target in sorted(needs.get(name, ())):
            visit(target, (*trail, name))
        done.add(name)
    for name in sorted(needs):
        visit(name, ())
    assert len(done) >= len(needs)


IMPORT_ALL = """
import importlib, sys
sys.path[:0] = sys.argv[1:3]
for name in sys.argv[3:]:
    try:
        importlib.import_module(name)
        print("imported")
    except BaseException as error:
        print("%s: %r" % (name, error))
"""


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_everything_compiles_and_imports(version: str, tmp_path: Path) -> None:
    found = [*glob.glob(os.path.expanduser("~/.pyenv/versions/%s.*/bin/python3" % version)),
             *glob.glob("/usr/bin/python" + version)]
    if not found:
        pytest.skip("there is no Python %s here" % version)
    os.symlink(os.path.dirname(ansible.__file__), tmp_path / "ansible")  # and nothing else of its site-packages
    names = [PACKAGE + ".".join(path.relative_to(PLUGINS).with_suffix("").parts) for path in shipped()]
    done = subprocess.run([found[0], "-IS", "-W", "error::SyntaxWarning", "-X", "pycache_prefix=%s/cache" % tmp_path, "-c",
                           IMPORT_ALL, str(collection.collections_path()), str(tmp_path), *names],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if line != "imported"] == []
    assert len(said) == len(names)
