# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the published schema refuses, the reader refuses, with the place; and what it refuses in more than one key, at once."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Tuple

import jsonschema
import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import table

VALUES: Tuple[Any, ...] = ("x", "1.5", "10s", "/a", "", 5, 1.5, True, ["x"], [5], ["a=b"], [{}], [{"a": "b"}], {}, {"a": "b"}, {"a": 5},
                           {"a": True}, {"a": {}}, {"a": ["b"]})


def subschemas(whole: Dict[str, Any], part: Dict[str, Any], path: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """The parts of the schema, by path; a path may have several."""
    if "$ref" in part:
        part = whole["definitions"][part["$ref"].rpartition("/")[2]]
    if path:
        yield path, part
    for name, below in part.get("properties", {}).items():
        yield from subschemas(whole, below, "%s.%s" % (path, name) if path else name)
    for pattern, below in part.get("patternProperties", {}).items():
        if pattern != "^x-":
            yield from subschemas(whole, below, path + ".*")
    if isinstance(part.get("items"), dict):
        yield from subschemas(whole, part["items"], path + "[]")
    for several in ("oneOf", "anyOf"):
        for below in part.get(several, ()):
            yield from subschemas(whole, below, path)


def wrapped(path: str, value: Any) -> Dict[str, Any]:
    """A project with a value at a path."""
    names: List[str] = []
    for name in path.split("."):
        names.append(name.replace("[]", ""))
        names += ["[]"] * name.count("[]")
    for name in reversed(names):
        value = [value] if name == "[]" else {"other" if name == "*" else name: value}
    if "services" not in value:
        value["services"] = {"other": {"image": "x"}}
    elif names[:2] == ["services", "*"] and len(names) > 2:
        value["services"]["other"].setdefault("image", "x")
    return dict(value)


def rows() -> List[Any]:
    """The keys whose values are looked at."""
    return [row for row in table.ROWS if row.path and not row.unsupported and row.path not in (
        "version", "models", "services.*.develop", "services.*.extends", "services.*.attach", "services.*", "services", "networks",
        "volumes", "secrets", "configs", "name")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.path)
def test_what_the_schema_refuses_is_refused(row: Any, schema: Dict[str, Any], reading: Any) -> None:
    validator = jsonschema.Draft7Validator(schema)
    parts = [part for path, part in subschemas(schema, schema, "") if path == row.path]
    if not parts:
        assert row.path in ("secrets.*.content", "configs.*.driver", "configs.*.driver_opts")
        return
    taken = []
    judges = [validator.evolve(schema=part) for part in parts]
    for value in VALUES:
        if any(judge.is_valid(value) for judge in judges):
            continue
        document = json.dumps(wrapped(row.path, value))
        try:
            reading(document, unsupported="warn")
            taken.append(value)
        except Exception as error:
            assert "compose.yaml:1: " in str(error), error
    assert taken == []
