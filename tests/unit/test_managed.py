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
from typing import Iterator, List, Tuple

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


HOUSE = ("kernel", "store", "image", "layer", "cgroup", "network", "runtime", "container", "cli")


def test_imports_point_down_the_house() -> None:
    engine = PLUGINS / "module_utils" / "engine"
    up = []
    for path in sorted(engine.rglob("*.py")):
        parts = path.relative_to(engine).parts
        if parts[0] not in HOUSE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = parts[:len(parts) - node.level]
            named = [(*base, *(node.module or "").split("."))] if node.module else \
                [(*base, name.name) for name in node.names]
            for target in named:
                target = tuple(part for part in target if part)
                if target and target[0] in HOUSE and HOUSE.index(target[0]) > HOUSE.index(parts[0]):
                    up.append("%s line %d imports %s" % (path.relative_to(engine), node.lineno, ".".join(target)))
    assert up == []


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
