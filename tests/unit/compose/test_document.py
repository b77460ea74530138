# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as the Compose tools read it."""

from __future__ import annotations

from typing import Any, List

import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import document
from ansible_collections.coracle.containers.plugins.plugin_utils.compose.findings import ComposeError, Findings, Source


def values(node: Any) -> Any:
    """A node as plain values."""
    if isinstance(node, document.Block):
        return {name: values(each) for name, each in node.entries.items()}
    return [values(each) for each in node.nodes] if isinstance(node, document.Items) else node.value


def load(text: str) -> Any:
    """The plain values of a document without faults."""
    findings = Findings()
    found = document.load(text, Source("f.yaml", "/", {"V": "var"}), findings)
    findings.settle("fail")
    assert len(found) == 1
    return values(found[0])


def faults(text: str) -> List[str]:
    """The faults of a document."""
    findings = Findings()
    with pytest.raises(ComposeError) as caught:
        document.load(text, Source("f.yaml", "/", {}), findings)
        findings.settle("fail")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("text, value, written", [
    ("22:22", "22:22", "22:22"), ("3306:3306", "3306:3306", "3306:3306"), ("1:30:00", "1:30:00", "1:30:00"),
    ("no", "no", "no"), ("yes", "yes", "yes"), ("on", "on", "on"), ("Off", "Off", "Off"), ("y", "y", "y"),
    ("true", True, "true"), ("False", False, "false"), ("TRUE", True, "true"), ("tRue", "tRue", "tRue"),
    ("null", None, ""), ("~", None, ""), ("", None, ""), ("Null", None, ""),
    ("0755", 493, "493"), ("0o755", 493, "493"), ("0x1F", 31, "31"), ("0b11", 3, "3"), ("1_000", 1000, "1000"), ("0", 0, "0"),
    ("-5", -5, "-5"), ("+5", 5, "5"), ("08", 8.0, "8"), ("1.10", 1.1, "1.1"), ("1.0", 1.0, "1"),
    ("1e3", 1000.0, "1000"), (".5", 0.5, "0.5"),
    ("1e21", 1e21, "1e+21"), ("123456789.125", 123456789.125, "123456789.125"), ("0.00001", 1e-05, "1e-05"), ("0.0001", 0.0001, "0.0001"),
    ("1.2.3", "1.2.3", "1.2.3"), ("2026-01-31", "2026-01-31", "2026-01-31"),
    ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
    ('"8080"', "8080", "8080"), ("'true'", "true", "true"), (".inf", float("inf"), "+Inf"), ("1__", 1, "1"), ("0x", "0x", "0x"),
    ("=", "=", "="), ("$V", "var", "var"), ("'$V'", "var", "var"), ("!!str 5", "5", "5"), ("!!int '5'", 5, "5"),
])
def test_scalars(text: str, value: Any, written: str) -> None:
    found = load("a: %s" % text)["a"]
    assert (found, type(found)) == (value, type(value))
    assert document.written(found) == written


def test_aliases_and_merge_keys() -> None:
    found = load("""
x-a: &a {image: one, labels: [l], restart: always}
x-b: &b {image: two, user: u}
one: {<<: *a, restart: "no"}
two: {<<: [*b, *a]}
three: {<<: *a, labels: *a}
""")
    assert found["one"] == {"image": "one", "labels": ["l"], "restart": "no"}
    assert found["two"] == {"image": "two", "user": "u", "labels": ["l"], "restart": "always"}
    assert found["three"]["labels"] == found["x-a"]


def test_places_are_those_of_the_text() -> None:
    node = document.load("\n\na:\n  - b: 1\n    c:\n      d\n", Source("f.yaml", "/", {}), Findings())[0]
    assert (node.place.line, node.keys["a"].line) == (3, 3)
    entry = node.entries["a"].nodes[0]
    assert (entry.place.line, entry.keys["c"].line, entry.entries["c"].place.line) == (4, 5, 6)


@pytest.mark.parametrize("text, fault", [
    ("a: 1\nb: 2\na: 3", "f.yaml:3: a: is there twice, first in line 1"),
    ("a:\n  b: 1\n  b: 2", "f.yaml:3: a.b: is there twice, first in line 2"),
    ("x: &x {}\na:\n  <<: *x\n  <<: *x", "f.yaml:4: a.<<: is there twice, first in line 3; write '<<: [*one, *two]'"),
    ("a:\n  <<: 5", "f.yaml:2: a.<<: is neither a mapping nor a list of mappings"),
    ("a: !vault x", "f.yaml:1: a: has the tag '!vault', which is none of !reset and !override"),
    ("a: !vault [x]", "f.yaml:1: a: has the tag '!vault', which is none of !reset and !override"),
    ("a: !!int x", "f.yaml:1: a: has the tag 'tag:yaml.org,2002:int', with which 'x' cannot be read"),
    ("a: $", "f.yaml:1: a: '$' has a '$' that begins no variable; write '$$' for a dollar sign"),
    ("? [a]\n: b", "f.yaml:1: has a key that is not a single value"),
    ("a: [1, &x {b: *x}]", "f.yaml:1: a[1].b: contains itself"),
    ("- a", "f.yaml:1: is a list, not a mapping with 'services'"),
    ("a: [1", "f.yaml:2: is no YAML: "),
    ("a: *nobody", "f.yaml:1: is no YAML: "),
    ("a:\n\t- b", "f.yaml:2: is no YAML: "),
])
def test_faults(text: str, fault: str) -> None:
    found = faults(text)[-1]
    assert found.startswith(fault) if fault.endswith(": ") else found == fault


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += ["a%d: &a%d [%s]" % (at, at, ", ".join(["*a%d" % (at - 1)] * 9)) for at in range(1, 12)]
    assert "more than 200000 values" in faults("\n".join(lines))[-1]


def test_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other parser of PyYAML, which has no C in it."""
    import importlib.util
    import sys
    import yaml.cyaml
    monkeypatch.delattr(yaml.cyaml, "CParser")
    spec = importlib.util.spec_from_file_location(document.__name__, document.__file__)
    assert spec and spec.loader
    slow = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, document.__name__, slow)
    spec.loader.exec_module(slow)
    assert slow.CParser is None
    text = "x: &x {a: 0755, b: 'no', c: no}\ny: {<<: *x, d: !reset null, e: [1, 22:22]}\n"
    findings = Findings()
    node = slow.load(text, Source("f.yaml", "/", {}), findings)[0]
    findings.settle("fail")
    y = node.entries["y"].entries
    assert (y["a"].value, y["b"].value, y["c"].value, y["d"].tag) == (493, "no", "no", "!reset")
    assert [each.value for each in y["e"].nodes] == [1, "22:22"]
    assert node.keys["y"].line == 2
