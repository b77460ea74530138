# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of keys, beside the schema that the Compose specification publishes."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.options import container
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import table
from ansible_collections.coracle.containers.plugins.plugin_utils.compose.leaves import Spec


def keys(whole: Dict[str, Any], part: Dict[str, Any], path: Tuple[str, ...], depth: int = 0) -> Iterator[Tuple[str, ...]]:
    """The paths of all keys of a part of the schema."""
    if "$ref" in part:
        part = whole["definitions"][part["$ref"].rpartition("/")[2]]
    for name, below in part.get("properties", {}).items():
        yield (*path, name)
        yield from keys(whole, below, (*path, name), depth + 1)
    for pattern, below in part.get("patternProperties", {}).items():
        if pattern != "^x-":
            yield from keys(whole, below, (*path, "*"), depth + 1)
    if isinstance(part.get("items"), dict):
        yield from keys(whole, part["items"], (*path, "[]"), depth + 1)
    for several in ("oneOf", "anyOf", "allOf"):
        for below in part.get(several, ()):
            yield from keys(whole, below, path, depth)


def known(spec: Spec, path: Tuple[str, ...]) -> bool:
    """Whether the table has a row for a path, or one above it that says of the whole that it has no effect."""
    for name in path:
        if spec.row.unsupported or spec.row.idle:
            return True
        below = spec.item if name == "[]" else spec.any if name == "*" else spec.children.get(name)
        if below is None:
            return spec.row.path.endswith(".extends")  # resolved before the table is looked at
        spec = below
    return True


def test_every_key_of_the_schema_is_in_the_table(schema: Dict[str, Any]) -> None:
    paths = set(keys(schema, schema, ()))
    assert len(paths) > 250
    assert sorted(".".join(path) for path in paths if not known(table.ROOT, path)) == []


def test_every_key_of_the_table_is_in_the_schema(schema: Dict[str, Any]) -> None:
    paths = {".".join(path).replace(".[]", "[]") for path in keys(schema, schema, ())}
    more = {row.path for row in table.ROWS if row.path and not row.path.endswith("*")} - paths
    # Secrets and configs are declared in one way here; the schema has some keys for one of the two alone.
    assert more == {"secrets.content", "secrets.*.content", "configs.*.driver", "configs.*.driver_opts"} - {"secrets.content"}


def test_a_row_says_one_thing() -> None:
    for row in table.ROWS:
        assert sum(map(bool, (row.sets, row.becomes, row.unsupported, row.idle))) == 1, row.path
    assert len({row.path for row in table.ROWS}) == len(table.ROWS)


def test_options_that_rows_name_are_there() -> None:
    stack = {"replicas"}
    names = {row.name for row in container.OPTIONS} | stack
    assert sorted(row.sets for row in table.ROWS if row.path.startswith("services.") and row.sets and row.sets not in names) == []


@pytest.mark.parametrize("row", [row for row in table.ROWS if row.unsupported and row.path.startswith("services.*.")],
                         ids=lambda row: row.path)
def test_what_is_not_supported_is_said(row: Any, reading: Any, faults: Any) -> None:
    """Each such key, with its file and line; with C(unsupported: warn) a warning, and the rest of the service is there."""
    lines = ["services:", "  web:", "    image: x"]
    indent = "    "
    for name in row.path.split(".")[2:]:
        key = name.replace("[]", "")
        if key == "*":
            key = "other"
        elif key in ("volumes", "secrets") and name.endswith("[]"):
            lines += [indent + key + ":", indent + ("- target: /a" if key == "volumes" else "- source: other")]
            indent += "  "
            continue
        lines.append("%s%s:" % (indent, key))
        indent += "  "
    lines[-1] += " [x]" if row.path.endswith(("constraints", "external_links")) else " {a: b}" if "PAIRS" in row.kind.words else " x"
    rest = "networks: {other: }\nsecrets: {other: {content: x}}\n"
    text = "\n".join(lines) + "\n" + rest
    path = row.path.replace("*", "web", 1).replace("*", "other").replace("[]", "[0]")
    assert "compose.yaml:%d: %s: is not supported: %s" % (len(lines), path, row.unsupported) in faults(text)
    found = reading(text, unsupported="warn")
    assert found.definition["services"]["web"]["image"] == "x"
    assert "compose.yaml:%d: %s: is not supported, and left out: %s" % (len(lines), path, row.unsupported) in found.warnings
