# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the table of keys, and how single values are written."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.coracle.containers.plugins.module_utils import values
from .document import RESET, Items, Node, Scalar, written
from .findings import Findings, Place, Unsupported, Wrong

ABSENT = object()
"""What a key is read as that says nothing, or is at fault."""
_TRUE, _FALSE = ("true", "y", "yes", "on", "1"), ("false", "n", "no", "off", "0")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


class Located(str):
    """A text that knows where it stands."""

    place: Place

    @classmethod
    def of(cls, text: str, place: Place) -> "Located":
        """The text at a place."""
        made = cls(text)
        made.place = place
        return made


class Row(NamedTuple):
    """A key of the Compose specification.

    Attributes:
        path: With C(*) for any name and C([]) for any entry of a list.
        kind: How its value is written.
        sets: The option that it is, if it is one.
        becomes: What becomes of it otherwise.
        unsupported: Why nothing does.
        idle: Why it has no effect, with the Compose tools on one host neither.
    """

    path: str
    kind: "Kind"
    sets: str = ""
    becomes: str = ""
    unsupported: str = ""
    idle: str = ""


class Spec:
    """A row, and the rows below it."""

    __slots__ = ("any", "children", "item", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.children: Dict[str, Spec] = {}
        self.any: Optional[Spec] = None
        self.item: Optional[Spec] = None

    def below(self, name: str) -> Optional["Spec"]:
        """The row of a key."""
        return self.children.get(name) or self.any


class Kind:
    """How a value is written; C(words) name it in messages and on the page of what is supported."""

    def __init__(self, words: str) -> None:
        self.words = words

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """The value.

        Raises:
            Wrong: It is not written so.
            Unsupported: It is, but not to be had here.
        """
        raise NotImplementedError(self.words)

    def merge(self, _spec: Spec, _base: Node, over: Node) -> Node:
        """The node that two files' nodes for one key become."""
        return over

    def refuse(self, node: Node) -> Wrong:
        """The error for a node of another form."""
        return Wrong("is %s, but has to be %s" % (shown(node), self.words))


def shown(node: Node) -> str:
    """A node in words."""
    if not isinstance(node, Scalar):
        return node.word
    if node.value is None:
        return "empty"
    kind = {bool: "the truth value ", int: "the number ", float: "the number "}.get(type(node.value), "")
    return kind + (node.text if kind else repr(node.text))


def read(spec: Spec, node: Node, path: str, findings: Findings) -> Any:
    """The value of a key, or C(ABSENT); what is wrong with it goes to the findings."""
    row = spec.row
    if node.tag == RESET:
        return ABSENT
    if row.unsupported:
        if not _says_nothing(node):
            findings.unsupported(node.place, path, row.unsupported)
        return ABSENT
    try:
        value = row.kind.read(spec, node, path, findings)
        return ABSENT if value is None else value
    except Wrong as error:
        findings.wrong(node.place, path, str(error))
    except Unsupported as error:
        findings.unsupported(node.place, path, str(error))
    return ABSENT


def _says_nothing(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.value in (None, False) or node.value == "false"
    return not (node.nodes if isinstance(node, Items) else node.entries)


class Leaf(Kind):
    """A single value, given to a function as its node."""

    def __init__(self, words: str, parse: Callable[[Scalar], Any]) -> None:
        super().__init__(words)
        self._parse = parse

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """The value that the function makes of it; its C(ValueError) tells what is wrong."""
        if not isinstance(node, Scalar):
            raise self.refuse(node)
        try:
            return self._parse(node)
        except (Wrong, Unsupported):
            raise
        except ValueError as error:
            raise Wrong("%s %s; write %s" % (shown(node), error, self.words))


def text_of(node: Scalar) -> str:
    """A value that has to be a text."""
    if not isinstance(node.value, str):
        raise Wrong("is %s, but has to be a text; write it in quotes" % shown(node))
    return node.value


def of_text(parse: Callable[[str], Any]) -> Callable[[Scalar], Any]:
    return lambda node: parse(text_of(node))


def of_any(parse: Callable[[str], Any]) -> Callable[[Scalar], Any]:
    """A parser of what may be a number or a text."""
    def apply(node: Scalar) -> Any:
        if node.value is None or isinstance(node.value, bool):
            raise ValueError("does not do")
        return parse(written(node.value).strip())
    return apply


def boolean(node: Scalar) -> bool:
    """A truth value, also as a text, which is what a variable is."""
    if isinstance(node.value, bool):
        return node.value
    text = node.text.strip().lower() if isinstance(node.value, str) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise Wrong("is %s, but has to be true or false" % shown(node))


def microseconds(text: str) -> int:
    """The length of a duration such as C(1m30s).

    Raises:
        ValueError: It is none.
    """
    parts = _DURATION.findall(text)
    if text != "0" and "".join(number + unit for number, unit in parts) != text or not text:
        raise ValueError("is no duration")
    return int(round(sum(float(number) * _SECONDS[unit] for number, unit in parts) * 1000000))


def duration_text(length: int) -> str:
    """Microseconds in the largest unit that holds them exactly."""
    for unit, size in (("s", 1000000), ("ms", 1000)):
        if length % size == 0:
            return "%d%s" % (length // size, unit)
    return "%dus" % length


def duration(text: str) -> str:
    """A duration in its one written form."""
    return duration_text(microseconds(text))


def number(text: str) -> float:
    """A number."""
    found = float(text)
    if not abs(found) < 1e18:
        raise ValueError("is no number")
    return found


def size(text: str) -> str:
    """Bytes, as a text; C(-1) for no limit."""
    if re.match(r"^[0-9]+\.[0-9]+\Z", text):
        raise ValueError("is no whole number of bytes")
    return "%d" % values.size(text)


def located(node: Scalar) -> Located:
    """A text with its place."""
    return Located.of(text_of(node), node.place)


def path_of(node: Scalar) -> Located:
    """A path on the controller, relative ones from the directory of the project that the file belongs to."""
    text = text_of(node)
    if not text or "\0" in text:
        raise Wrong("is no path")
    return Located.of(os.path.normpath(os.path.join(node.place.source.directory, os.path.expanduser(text))), node.place)


def one_of(*choices: str) -> Leaf:
    """One of some words."""
    def parse(node: Scalar) -> str:
        if node.text not in choices or not isinstance(node.value, str):
            raise Wrong("is %s, and none of %s" % (shown(node), ", ".join(choices)))
        return node.text
    return Leaf("one of " + ", ".join(choices), parse)


def whole(low: int = 0, high: int = (1 << 62) - 1) -> Leaf:
    """A whole number."""
    return Leaf("a whole number", of_any(values.integer(low, high)))


def text_as(words: str, parse: Callable[[str], Any]) -> Leaf:
    """A text that a function understands."""
    return Leaf(words, of_text(parse))


def any_as(words: str, parse: Callable[[str], Any]) -> Leaf:
    """A text or number that a function understands."""
    return Leaf(words, of_any(parse))


TEXT = Leaf("a text", text_of)
WORD = Leaf("a text or number", of_any(str))
BOOL = Leaf("true or false", boolean)
NUMBER = Leaf("a number", of_any(number))
SIZE = Leaf("a size such as 512m", of_any(size))
DURATION = Leaf("a duration such as 1m30s", of_text(duration))
PATH = Leaf("a path", path_of)
LOCATED = Leaf("a text", located)


class Anything(Kind):
    """What is not looked into."""

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """Nothing."""
        return ABSENT


ANY = Anything("anything")
