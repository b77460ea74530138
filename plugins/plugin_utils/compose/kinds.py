# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the values of keys are written: each kind reads nodes, and says how two files' nodes become one."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .document import OVERRIDE, RESET, Block, Items, Node, Scalar, is_null, written
from .findings import ComposeError, Findings, Unsupported, Wrong
from .leaves import ABSENT, TEXT, WORD, Kind, Row, Spec, read, shown, text_of


class Mapping(Kind):
    """Keys with rows of their own; C(short) makes a mapping of a single text."""

    def __init__(self, words: str = "a mapping", short: Optional[Callable[[Scalar], Dict[str, Any]]] = None, short_key: str = "") -> None:
        super().__init__(words)
        self._short, self._short_key = short, short_key

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """A dict of what its keys say."""
        if self._short_key:
            node = self._long(node)
        if self._short and isinstance(node, Scalar) and node.value is not None:
            return self._short(node)
        if is_null(node):
            return {}
        if not isinstance(node, Block):
            raise self.refuse(node)
        return read_entries(spec, node, path, findings)

    def merge(self, spec: Spec, base: Node, over: Node) -> Node:
        """Key by key."""
        base, over = self._long(base), self._long(over)
        return merge_blocks(spec, base, over) if isinstance(base, Block) and isinstance(over, Block) else over

    def _long(self, node: Node) -> Node:
        if not self._short_key or not isinstance(node, Scalar) or node.value is None:
            return node
        return Block({self._short_key: Scalar(node.value, node.text, node.place)}, {self._short_key: node.place}, node.place, node.tag)


def read_entries(spec: Spec, node: Block, path: str, findings: Findings) -> Dict[str, Any]:
    """The values of a mapping's keys; a key that there is not is a fault."""
    found = {}
    for name, child in node.entries.items():
        below = spec.children.get(name) or spec.any
        where = "%s.%s" % (path, name) if path else name
        if below is None:
            if not name.startswith("x-"):
                findings.wrong(node.keys[name], where, "is no key here%s" % _like(name, spec))
            continue
        findings.places[where] = node.keys[name]
        if is_null(child) and below is not spec.any:
            continue
        value = read(below, child, where, findings)
        if value is not ABSENT:
            found[name] = value
    return found


def _like(name: str, spec: Spec) -> str:
    close = difflib.get_close_matches(name, spec.children, 1)
    return "; did you mean '%s'?" % close[0] if close else ""


class Listed(Kind):
    """Entries of one form.

    Args:
        words: Its name.
        item: How an entry is written, where it is no mapping with rows of its own.
        short: Makes one or several values of an entry that is a single value.
        single: Whether a single entry may stand without a list.
        key: What two entries must not have in common: the later takes the earlier one's place.
    """

    def __init__(self, words: str, item: Optional[Kind] = None, short: Optional[Callable[[Scalar], List[Any]]] = None,
                 single: bool = False, key: Optional[Callable[[Any], Any]] = None) -> None:
        super().__init__(words)
        self._item, self._short, self._single, self._key = item, short, single, key

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """The list of what the entries say, entries at fault left out."""
        node = self._long(node)
        if not isinstance(node, Items):
            raise self.refuse(node)
        found: List[Any] = []
        for at, child in enumerate(node.nodes):
            where = "%s[%d]" % (path, at)
            if child.tag != RESET:
                try:
                    found += self._entry(spec, child, where, findings)
                except Wrong as error:
                    findings.wrong(child.place, where, str(error))
                except Unsupported as error:
                    findings.unsupported(child.place, where, str(error))
        return self._unique(found) if self._key else found

    def _entry(self, spec: Spec, node: Node, path: str, findings: Findings) -> Sequence[Any]:
        if self._item:
            return [self._item.read(spec, node, path, findings)]
        if isinstance(node, Scalar):
            if self._short is None:
                raise Wrong("is %s, but has to be a mapping" % shown(node))
            return self._short(node)
        if not isinstance(node, Block) or spec.item is None:
            raise Wrong("is %s, but has to be a mapping" % shown(node))
        value = read(spec.item, node, path, findings)
        if value is ABSENT:
            return []
        return value if isinstance(value, list) else [value]

    def _unique(self, entries: List[Any]) -> List[Any]:
        found: Dict[Any, Any] = {}
        for entry in entries:
            found[self._key(entry)] = entry  # type: ignore[misc]
        return list(found.values())

    def merge(self, _spec: Spec, base: Node, over: Node) -> Node:
        """The later file's entries behind the earlier one's."""
        base, over = self._long(base), self._long(over)
        return Items(base.nodes + over.nodes, over.place) if isinstance(base, Items) and isinstance(over, Items) else over

    def _long(self, node: Node) -> Node:
        return Items([node], node.place, node.tag) if self._single and isinstance(node, Scalar) and node.value is not None else node


def same(entry: Any) -> Any:
    """The key of lists that have no entry twice."""
    return entry


TEXTS = Listed("a list of texts", TEXT, key=same)
TEXT_OR_TEXTS = Listed("a text or a list of texts", TEXT, single=True, key=same)
WORDS = Listed("a list of texts or numbers", WORD, key=same)


class Pairs(Kind):
    """Names with values, as a mapping or as a list of C(NAME=VALUE).

    Args:
        lone: Whether a name without a value is told from one with an empty value.
        listed: Whether it may be a list.
        types: What a value may be.
    """

    def __init__(self, lone: bool = False, listed: bool = True, types: Tuple[type, ...] = (str, int, float, bool)) -> None:
        super().__init__("a mapping, or a list of NAME=VALUE" if listed else "a mapping")
        self._lone, self._listed, self._types = lone, listed, types
        self.separator = re.compile("=")

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """A dict of texts, or C(None) for a name without a value."""
        block = self._long(node)
        if not isinstance(block, Block):
            raise self.refuse(node)
        found: Dict[str, Any] = {}
        for name, child in block.entries.items():
            where = "%s.%s" % (path, name)
            findings.places[where] = block.keys[name]
            if child.tag == RESET:
                continue
            if not name:
                findings.wrong(child.place, path, "has a value without a name")
                continue
            try:
                found[name] = self.value(child)
            except Wrong as error:
                findings.wrong(child.place, where, str(error))
            except Unsupported as error:
                findings.unsupported(child.place, where, str(error))
        return found

    def value(self, node: Node) -> Any:
        """What stands behind a name.

        Raises:
            Wrong: It is nothing that may stand there.
        """
        if not isinstance(node, Scalar) or node.value is not None and type(node.value) not in self._types:
            raise Wrong("is %s, but has to be a text%s" % (shown(node), " or number" if int in self._types else ", in quotes"))
        return None if node.value is None and self._lone else written(node.value)

    def merge(self, spec: Spec, base: Node, over: Node) -> Node:
        """Name by name."""
        base, over = self._long(base), self._long(over)
        return merge_blocks(spec, base, over) if isinstance(base, Block) and isinstance(over, Block) else over

    def _long(self, node: Node) -> Node:
        if not isinstance(node, Items) or not self._listed:
            return node
        entries: Dict[str, Any] = {}
        keys = {}
        for child in node.nodes:
            if not isinstance(child, Scalar) or not isinstance(child.value, str):
                raise Wrong("has an entry that is %s, but has to be NAME=VALUE" % shown(child))
            parts = self.separator.split(child.value, maxsplit=1)
            value = parts[1] if len(parts) > 1 else None
            entries[parts[0]] = Scalar(value, value or "", child.place)
            keys[parts[0]] = child.place
        return Block(entries, keys, node.place, node.tag)


PAIRS = Pairs()
OPTIONS = Pairs(listed=False, types=(str, int, float))


class Names(Mapping):
    """Names with rows of their own, or a list of names alone."""

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """A dict of dicts."""
        return super().read(spec, self._long(node), path, findings)

    def _long(self, node: Node) -> Node:
        if not isinstance(node, Items):
            return node
        for child in node.nodes:
            if not isinstance(child, Scalar) or not isinstance(child.value, str):
                raise Wrong("has an entry that is %s, but has to be a name" % shown(child))
        return Block({child.text: Scalar(None, "", child.place) for child in node.nodes},
                     {child.text: child.place for child in node.nodes}, node.place, node.tag)


class Command(Kind):
    """A program and its arguments, as a list or as a shell would split them."""

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """A list of texts."""
        if isinstance(node, Scalar):
            try:
                return shlex.split(text_of(node))
            except ValueError as error:
                raise Wrong("%s cannot be split into words: %s" % (shown(node), error))
        return read(Spec(Row("", _ARGUMENTS)), node, path, findings)


_ARGUMENTS = Listed("a list of texts", TEXT)
COMMAND = Command("a text of shell words, or a list of texts")


class Test(Kind):
    """A health check's test."""

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """As C(healthcheck.test) of C(container_run) has it."""
        if isinstance(node, Scalar):
            return ["CMD-SHELL", text_of(node)]
        words = _ARGUMENTS.read(spec, node, path, findings)
        if not words or words[0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise Wrong("is a list that does not begin with CMD, CMD-SHELL or NONE")
        return words


TEST = Test("a shell command, or a list that begins with CMD, CMD-SHELL or NONE")


def merge_blocks(spec: Optional[Spec], base: Block, over: Block) -> Block:
    """One mapping of two: keys of both merged by their kinds, C(!reset) and C(!override) obeyed.

    Raises:
        ComposeError: One of the two is not written in a way that can be merged.
    """
    entries, keys = dict(base.entries), dict(base.keys)
    for name, child in over.entries.items():
        before = entries.get(name)
        below = spec.below(name) if spec else None
        if child.tag == RESET:
            entries.pop(name, None)
            keys.pop(name, None)
            continue
        if before is not None and child.tag != OVERRIDE and below is not None and not name.startswith("x-"):
            if is_null(child) and not isinstance(before, Scalar):
                continue
            if not is_null(before):
                try:
                    child = below.row.kind.merge(below, before, child)
                except Wrong as error:
                    raise ComposeError("%s: %s: cannot be merged with %s: %s" % (child.place, name, before.place, error))
        entries[name], keys[name] = child, over.keys[name]
    return Block(entries, keys, over.place, base.tag)
