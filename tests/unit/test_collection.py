# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a whole: its files and what they promise together."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
import yaml
from ansible_collections.coracle.containers.plugins.module_utils import contract
from ansible_collections.coracle.containers.plugins.module_utils.engine import plan
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.option import (
    CONTAINED,
    NOT_COMPARED,
    STRICT,
    UNORDERED,
    Option,
)

import collection

BASE = collection.collections_path() / "ansible_collections/coracle/containers"
PLUGINS = BASE / "plugins"
PACKAGE = "ansible_collections.coracle.containers.plugins."
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
RESOURCES = [name for name in MODULES if not name.endswith("_info")]
HEADER = """\
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""


class Captured(BaseException):
    """Ends a module at the point where it would begin to act."""


def table_of(module: str, monkeypatch: pytest.MonkeyPatch) -> Tuple[Sequence[Option], Dict[str, Any]]:
    """The option table of a module, and what else it tells AnsibleModule."""
    caught: Dict[str, Any] = {}

    def spec(table: Sequence[Option]) -> Any:
        caught["table"] = table
        return contract_spec(table)

    def ansible_module(_module: Any, **rules: Any) -> None:
        caught["rules"] = rules
        raise Captured
    contract_spec = contract.argument_spec
    monkeypatch.setattr(contract, "argument_spec", spec)
    monkeypatch.setattr(contract.AnsibleModule, "__init__", ansible_module)
    with pytest.raises(Captured):
        importlib.import_module(PACKAGE + "modules." + module).main()
    return caught["table"], caught["rules"]


def block(path: Path, name: str) -> Any:
    """A YAML block of a module or a documentation fragment; C(None) where it has none."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return yaml.safe_load(ast.literal_eval(node.value))
    return None


def documentation(module: str) -> Dict[str, Any]:
    """A module's documentation with its fragments."""
    doc: Dict[str, Any] = block(PLUGINS / "modules" / (module + ".py"), "DOCUMENTATION")
    for fragment in doc.get("extends_documentation_fragment", []):
        assert fragment.startswith("coracle.containers."), fragment
        part = block(PLUGINS / "doc_fragments" / (fragment.rsplit(".", 1)[1] + ".py"), "DOCUMENTATION")
        both = set(doc.get("options", {})) & set(part.get("options") or {})
        assert not both, "%s says %s again" % (module, both)
        for key in ("options", "attributes"):
            doc[key] = {**(part.get(key) or {}), **doc.get(key, {})}
    return doc


def compared(documented: Dict[str, Any], table: Sequence[Option], where: str) -> Iterator[str]:
    """What the documentation and the table say differently."""
    rows = {option.name: option for option in table}
    for name in sorted(set(documented) ^ set(rows)):
        yield "%s%s is %s" % (where, name, "not documented" if name in rows else "documented and does not exist")
    for name in sorted(set(documented) & set(rows)):
        doc, row = documented[name], rows[name]
        said = {"type": doc.get("type", "str"), "default": doc.get("default"), "required": doc.get("required", False),
                "choices": doc.get("choices"), "elements": doc.get("elements"), "aliases": doc.get("aliases", [])}
        if isinstance(said["choices"], dict):
            said["choices"] = list(said["choices"])
        real = {"type": row.type, "default": row.default, "required": row.required,
                "choices": list(row.choices) if row.choices else None, "elements": row.elements,
                "aliases": list(row.aliases)}
        for key, value in real.items():
            if said[key] != value or type(said[key]) is not type(value):
                yield "%s%s: %s is %r, documented is %r" % (where, name, key, value, said[key])
        if not doc.get("description"):
            yield "%s%s has no description" % (where, name)
        yield from compared(doc.get("suboptions", {}), row.options or (), "%s%s." % (where, name))


def rows(table: Sequence[Option], where: str = "") -> Iterator[Tuple[str, Option]]:
    """All rows, those of suboptions too."""
    for row in table:
        yield where + row.name, row
        yield from rows(row.options or (), where + row.name + ".")


def test_tests_run_the_collection_that_they_name() -> None:
    module = Path(__import__(Instance.__module__, fromlist=["x"]).__file__ or "")
    assert collection.collections_path() in module.parents


def test_only_what_runs_is_shipped() -> None:
    if not (BASE / "MANIFEST.json").exists():
        pytest.skip("this is the checkout, not an installed collection")
    names = [entry["name"] for entry in json.loads((BASE / "FILES.json").read_text(encoding="utf-8"))["files"]]
    assert {name.split("/")[0] for name in names} <= {
        ".", "CHANGELOG.rst", "CONTRIBUTING.md", "COPYING", "LICENSES", "README.md", "REUSE.toml",
        "changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
    assert [name for name in names if name.endswith(".pyc") or "/." in name] == []


def test_every_file_has_the_licence_header() -> None:
    files = list(PLUGINS.rglob("*.py"))
    assert files
    wrong = [str(path) for path in files
             if HEADER not in path.read_text(encoding="utf-8")[:len(HEADER) + 60]]
    assert wrong == []


def test_there_are_no_package_files() -> None:
    assert [str(path) for path in PLUGINS.rglob("__init__.py")] == []


def test_the_readme_names_every_module() -> None:
    text = (BASE / "README.md").read_text(encoding="utf-8")
    assert [name for name in MODULES if "| `%s` |" % name not in text] == []


def test_every_module_has_the_action_plugin_that_brings_the_engine() -> None:
    plugins = {path.stem: path.read_text(encoding="utf-8") for path in (PLUGINS / "action").glob("*.py")}
    assert sorted(plugins) == MODULES, "plugins/action/ has a file for each module: copy one of them"
    for name, text in plugins.items():
        assert "C(%s)" % name in text
        assert "class ActionModule(" in text


def test_modules_import_no_more_of_the_engine_than_their_options_need() -> None:
    wrong = ["%s imports %s" % (path.name, node.module) for path in sorted((PLUGINS / "modules").glob("*.py"))
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.ImportFrom) and ".module_utils.engine" in (node.module or "")]
    assert wrong == [], "name the engine's file to contract.run or information.run instead, which load the installed one"


def test_all_modules_are_in_the_action_group() -> None:
    groups = yaml.safe_load((BASE / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    assert sorted(groups["containers"]) == MODULES
    assert {"container_cgroup", "container_image", "container_layer", "container_netns", "container_run"} <= set(MODULES)


def test_files_are_small() -> None:
    long = ["%s: %d lines" % (path.relative_to(PLUGINS), count) for path in sorted((PLUGINS / "module_utils").rglob("*.py"))
            for count in [len(path.read_text(encoding="utf-8").splitlines())] if count > 420]
    assert long == []


def test_no_file_speaks_of_where_it_was_written() -> None:
    words = re.compile(r"/work/|pypi\.org|files\.pythonhosted|issue [0-9]+\b|this session", re.IGNORECASE)
    found = ["%s: %s" % (path.relative_to(BASE), match.group(0))
             for path in sorted(BASE.rglob("*")) if path.is_file() and path.suffix in (".py", ".yml", ".md", ".j2", ".sh")
             for match in [words.search(path.read_text(encoding="utf-8"))] if match]
    assert found == []


@pytest.mark.parametrize("module", RESOURCES)
def test_documentation_and_table_say_the_same(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, rules = table_of(module, monkeypatch)
    assert list(compared(documentation(module)["options"], table, "")) == []
    assert rules["supports_check_mode"] is True


@pytest.mark.parametrize("module", RESOURCES)
def test_rows_are_complete(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, _rules = table_of(module, monkeypatch)
    wrong: List[str] = []
    for row in table:
        if row.compare != NOT_COMPARED and not row.read_from:
            wrong.append("%s does not say where it is read back from" % row.name)
    for name, row in rows(table):
        if row.compare not in (STRICT, UNORDERED, CONTAINED, NOT_COMPARED):
            wrong.append("%s: compare is %s" % (name, row.compare))
        if row.disruption not in (plan.LIVE, plan.RESTART, plan.RECREATE):
            wrong.append("%s: disruption is %s" % (name, row.disruption))
        if row.required and row.default is not None:
            wrong.append("%s is required and has a default" % name)
        if row.type == "list" and not row.elements:
            wrong.append("%s does not say what its elements are" % name)
        if row.parse is not None and not row.form and row.compare != NOT_COMPARED and row.type == "str":
            wrong.append("%s does not say what a right value looks like" % name)
    assert wrong == []


@pytest.mark.parametrize("module", RESOURCES)
def test_defaults_are_right_values(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, _rules = table_of(module, monkeypatch)
    from ansible_collections.coracle.containers.plugins.module_utils.option import parse
    with_default = [row for row in table if row.default is not None]
    typed = parse(with_default, {row.name: row.default for row in with_default})
    assert sorted(typed) == sorted(row.name for row in with_default)


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_documented_in_full(module: str) -> None:
    path = PLUGINS / "modules" / (module + ".py")
    doc = documentation(module)
    assert doc["module"] == module
    assert doc["version_added"] == "1.0.0"
    assert doc["author"] in ("Coracle contributors (@coracle-containers)", ["Coracle contributors (@coracle-containers)"])
    assert {"check_mode", "diff_mode", "idempotent", "platform"} <= set(doc["attributes"])
    if "action_group" in doc["attributes"]:
        assert doc["attributes"]["action_group"]["membership"] == ["coracle.containers.containers"]
    examples = block(path, "EXAMPLES")
    used = {key for task in examples for key in task}
    assert any(key == "coracle.containers." + module for key in used), "no example uses it by its full name"
    returned = block(path, "RETURN")
    if module in RESOURCES:
        assert {"actions", "diff"} <= set(returned)
    for key, entry in returned.items():
        assert {"description", "returned", "type"} <= set(entry), key


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documentation_and_one_call(module: str) -> None:
    tree = ast.parse((PLUGINS / "modules" / (module + ".py")).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [node.name for node in functions] == ["main"]
    lines = (functions[0].end_lineno or 0) - functions[0].lineno
    assert lines <= 60
