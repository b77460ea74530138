# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML documents whose every value knows where it stands, read as the Compose tools do.

These follow YAML 1.2 for words (C(no) and C(on) are texts, C(22:22) is no number in base 60) and YAML 1.1 for C(0755), which is octal.
What a value is is settled by its key; so its text is kept beside what it is by itself.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from .findings import ComposeError, Findings, Place, Source, Wrong
from .interpolation import substitute

try:
    from yaml.cyaml import CParser
except ImportError:  # PyYAML without libyaml: the same, in a hundred times as long
    CParser = None

MOST_NODES = 200000
"""Aliases can make of a small file more than there is memory; this many values are no project."""
RESET, OVERRIDE = "!reset", "!override"
_TEXT, _PLAIN, _MERGE = "text", "plain", "<<"
_YAML = "tag:yaml.org,2002:"
_NO_TAG = "has the tag '%s', which is none of !reset and !override"
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None,
          "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
          ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"), "+.inf": float("inf"),
          "-.inf": float("-inf"), "-.Inf": float("-inf"), "-.INF": float("-inf"),
          ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan")}  # type: Dict[str, Any]
_INTEGER = re.compile(r"^([-+]?)(?:(0[xX][0-9a-fA-F_]+)|(0[bB][01_]+)|0[oO]?([0-7_]+)|(0|[1-9][0-9_]*))\Z")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NUMBERS = frozenset("0123456789+-.")
_NO_NUMBERS = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


class Scalar:
    """A single value.

    Attributes:
        value: What it is by itself: C(None), a bool, int, float or str.
        text: As it was written, variables replaced.
        place: Where.
        tag: C(!reset), C(!override) or nothing.
    """

    __slots__ = ("place", "tag", "text", "value")
    word = "a single value"

    def __init__(self, value: Any, text: str, place: Place, tag: str = "") -> None:
        self.value, self.text, self.place, self.tag = value, text, place, tag


class Items:
    """A list."""

    __slots__ = ("nodes", "place", "tag")
    word = "a list"

    def __init__(self, nodes: List[Any], place: Place, tag: str = "") -> None:
        self.nodes, self.place, self.tag = nodes, place, tag


class Block:
    """A mapping; C(keys) has the place of each key."""

    __slots__ = ("entries", "keys", "place", "tag")
    word = "a mapping"

    def __init__(self, entries: Dict[str, Any], keys: Dict[str, Place], place: Place, tag: str = "") -> None:
        self.entries, self.keys, self.place, self.tag = entries, keys, place, tag


Node = Union[Scalar, Items, Block]


def is_null(node: Optional[Node]) -> bool:
    """Whether nothing is said."""
    return node is None or isinstance(node, Scalar) and node.value is None and not node.tag


class _Tags:
    """What each node is tagged with, where the document does not say it."""

    def descend_resolver(self, *_position: Any) -> None:
        """A path of the document is entered."""

    def ascend_resolver(self) -> None:
        """And left."""

    def resolve(self, kind: Any, _value: Any, implicit: Any) -> str:
        """C(plain) for a scalar without quotes, C(text) for one with, nothing for the others."""
        return "" if kind is not ScalarNode else _PLAIN if implicit[0] else _TEXT


if CParser is not None:
    class _Loader(CParser, _Tags):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
else:
    class _Loader(Reader, Scanner, Parser, Composer, _Tags):  # type: ignore[no-redef]
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)


def load(text: str, source: Source, findings: Findings) -> List[Block]:
    """The documents of a file, variables replaced.

    Raises:
        ComposeError: It is no YAML, or no mapping.
    """
    found = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = _Converter(source, findings).convert(loader.get_node(), "")
            if not is_null(node):
                found.append(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ComposeError("%s:%d: is no YAML: %s" % (source.name, mark.line + 1 if mark else 1, error.problem or error.context))
    except yaml.YAMLError as error:
        raise ComposeError("%s: is no YAML: %s" % (source.name, error))
    for node in found:
        if not isinstance(node, Block):
            raise ComposeError("%s: is %s, not a mapping with 'services'" % (node.place, node.word))
    return found  # type: ignore[return-value]


class _Converter:
    def __init__(self, source: Source, findings: Findings) -> None:
        self._source, self._findings = source, findings
        self._done: Dict[int, Tuple[Node, int]] = {}  # by identity of the node: what it became, and how many nodes that is
        self._open: Dict[int, bool] = {}
        self._size = 0

    def convert(self, node: Any, path: str) -> Node:
        """A node of the YAML library as one of ours; one that is used again, by an alias, is the same again."""
        known = self._done.get(id(node))
        if known is not None:
            self._grow(known[1], node)
            return known[0]
        before = self._size
        place = Place(self._source, node.start_mark.line + 1)
        if id(node) in self._open:
            raise ComposeError("%s: %s: contains itself" % (place, path))
        self._open[id(node)] = True
        self._grow(1, node)
        made: Node
        if isinstance(node, ScalarNode):
            made = self._scalar(node, place, path)
        elif isinstance(node, SequenceNode):
            made = Items([self.convert(each, "%s[%d]" % (path, at)) for at, each in enumerate(node.value)], place,
                         self._tag(node, place, path, "seq"))
        else:
            made = self._block(node, place, path)
        del self._open[id(node)]
        self._done[id(node)] = made, self._size - before
        return made

    def _grow(self, by: int, node: Any) -> None:
        self._size += by
        if self._size > MOST_NODES:
            raise ComposeError("%s:%d: has, its aliases written out, more than %d values" % (
                self._source.name, node.start_mark.line + 1, MOST_NODES))

    def _tag(self, node: Any, place: Place, path: str, kind: str) -> str:
        tag = node.tag or ""
        if tag in ("", RESET, OVERRIDE):
            return str(tag)
        if tag != _YAML + kind:
            self._findings.wrong(place, path, _NO_TAG % tag)
        return ""

    def _scalar(self, node: Any, place: Place, path: str) -> Scalar:
        text, tag, kept = node.value, node.tag, ""
        if tag in (RESET, OVERRIDE):
            kept, tag = tag, _TEXT if node.style else _PLAIN
        value: Any = text
        if "$" in text:
            try:
                text = value = substitute(text, self._source.variables, self._unset)
            except Wrong as error:
                self._findings.wrong(place, path, str(error))
        elif tag == _PLAIN:
            value = plain(text)
        elif tag != _TEXT:
            value = self._explicit(tag, text, place, path)
        return Scalar(value, text, place, kept)

    def _explicit(self, tag: str, text: str, place: Place, path: str) -> Any:
        """A value whose type the document says."""
        value = {"str": text, "null": None}.get(tag.rpartition(":")[2], plain(text))
        kinds: Mapping[str, Any] = {"str": str, "null": type(None), "bool": bool, "int": int, "float": (int, float)}
        kind = kinds.get(tag.rpartition(":")[2]) if tag.startswith(_YAML) else None
        if kind is None:
            self._findings.wrong(place, path, _NO_TAG % tag)
        elif not isinstance(value, kind):
            self._findings.wrong(place, path, "has the tag '%s', with which %r cannot be read" % (tag, text))
        return value

    def _unset(self, name: str) -> None:
        self._findings.remark("The variable '%s' is not set, and stands for nothing (%s)" % (name, self._source.name))

    def _block(self, node: MappingNode, place: Place, path: str) -> Block:
        entries: Dict[str, Any] = {}
        keys: Dict[str, Place] = {}
        merged: List[Block] = []
        seen: Dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._findings.wrong(Place(self._source, line), path, "has a key that is not a single value")
                continue
            name = key.value
            if name in seen:
                hint = "; write '<<: [*one, *two]'" if name == _MERGE else ""
                self._findings.wrong(Place(self._source, line), _joined(path, name),
                                     "is there twice, first in line %d%s" % (seen[name], hint))
            seen[name] = line
            if name == _MERGE and key.tag == _PLAIN:
                merged += self._merged(self.convert(value, path), path)
                continue
            entries[name] = self.convert(value, _joined(path, name))
            keys[name] = Place(self._source, line)
        for block in merged:
            for name, each in block.entries.items():
                if name not in entries:
                    entries[name], keys[name] = each, block.keys[name]
        return Block(entries, keys, place, self._tag(node, place, path, "map"))

    def _merged(self, node: Node, path: str) -> List[Block]:
        blocks = node.nodes if isinstance(node, Items) else [node]
        if not all(isinstance(each, Block) for each in blocks):
            self._findings.wrong(node.place, _joined(path, _MERGE), "is neither a mapping nor a list of mappings")
            return []
        return blocks


def _joined(path: str, name: str) -> str:
    return "%s.%s" % (path, name) if path else name


def plain(text: str) -> Any:
    """What a text without quotes is."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERS:
        return text
    match = _INTEGER.match(text)
    if match:
        sign, hexadecimal, binary, octal, decimal = match.groups()
        digits, base = ((hexadecimal or "")[2:], 16) if hexadecimal else ((binary or "")[2:], 2) if binary else \
            (octal, 8) if octal else (decimal, 10)
        digits = digits.replace("_", "")
        if digits:
            return int(sign + digits, base)
    return float(text) if _FLOAT.match(text) else text


def written(value: Any) -> str:
    """A value as the Compose tools write it where a text is wanted: C(true), C(8080), C(1.5)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    return "" if value is None else str(value)


def _float(value: float) -> str:
    """As Go's C(%v) writes it: the shortest that is the same number, with an exponent below 1e-4 and from 1e21 on."""
    if repr(value) in _NO_NUMBERS:
        return _NO_NUMBERS[repr(value)]
    mantissa, _e, exponent = ("%r" % value if "e" in "%r" % value else "%e" % value).partition("e")
    power = int(exponent or 0)
    if -4 <= power < 21:
        from decimal import Decimal  # pylint: disable=import-outside-toplevel
        text = format(Decimal("%r" % value), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return "%se%s%02d" % (mantissa, "-" if power < 0 else "+", abs(power))
