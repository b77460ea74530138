# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of variables, as Docker and the Compose tools read them: C(.env) and C(env_file)."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional

from .findings import Wrong
from .interpolation import substitute

_KEY = re.compile(r"(?:export[ \t]+)?([A-Za-z0-9_.\-\[\]]+)[ \t]*(?:([=:])[ \t]*|(?=\r?\n|\Z|#))")
_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def parse(text: str, outer: Mapping[str, str]) -> Dict[str, Optional[str]]:
    """The variables of a file.

    C(KEY=VALUE) or C(KEY: VALUE), C(export) before it or not. Values in double quotes have escapes and variables, those without
    quotes variables, those in single quotes neither; quoted ones may have many lines. A comment begins a line, or follows a
    blank. A variable has its value from outside of the file, else from the lines before.

    Args:
        text: The file's.
        outer: The variables around it.

    Returns:
        The values; C(None) for a name that stands alone and has none outside.

    Raises:
        Wrong: A line is none of this; its number is in the text.
    """
    found: Dict[str, Optional[str]] = {}
    known = _Chained(outer, found)
    at = _BLANK.match(text, 1 if text.startswith("\ufeff") else 0).end()  # type: ignore[union-attr]
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        match = _KEY.match(text, at)
        if not match:
            raise Wrong("line %d is not of the form NAME=VALUE" % line)
        at = match.end()
        if match.group(2) is None:
            found[match.group(1)] = outer.get(match.group(1))
        else:
            try:
                value, at = _value(text, at, known)
            except Wrong as error:
                raise Wrong("line %d: %s" % (line, error))
            found[match.group(1)] = value
        at = _BLANK.match(text, at).end()  # type: ignore[union-attr]
    return found


def parse_raw(text: str, outer: Mapping[str, str]) -> Dict[str, Optional[str]]:
    """The variables of a file with C(format: raw): what stands behind the first C(=), to the end of the line, as it is.

    Raises:
        Wrong: A line has no name.
    """
    found: Dict[str, Optional[str]] = {}
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.lstrip().partition("=")
        if not name or re.search(r"\s", name):
            raise Wrong("line %d is not of the form NAME=VALUE" % number)
        found[name] = value if equals else outer.get(name)
    return found


class _Chained(Dict[str, str]):
    """The variables outside, then those of the file so far."""

    def __init__(self, outer: Mapping[str, str], inner: Mapping[str, Optional[str]]) -> None:
        super().__init__()
        self._both = outer, inner

    def get(self, key: str, default: Optional[str] = None) -> Optional[str]:  # type: ignore[override]
        """The value of a variable."""
        outer, inner = self._both
        value = outer.get(key)
        return inner.get(key) if value is None else value


def _value(text: str, at: int, known: Mapping[str, str]) -> "tuple[str, int]":
    quote = text[at:at + 1]
    if quote in _QUOTED:
        match = _QUOTED[quote].match(text, at)
        if not match:
            raise Wrong("has a quote that is not closed")
        rest = _REST.match(text, match.end())
        if not rest:
            raise Wrong("has something behind the closing quote")
        value = match.group(1)
        if quote == "'":
            return value.replace("\\'", "'"), rest.end()
        return _escaped(value, known), rest.end()
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    value = re.split(r"(?:^|\s)#", text[at:end], maxsplit=1)[0].strip()
    return substitute(value, known, _nothing), end


def _escaped(value: str, known: Mapping[str, str]) -> str:
    """Escapes and variables of a value in double quotes; a C(\\$) is a dollar sign."""
    pieces = re.split(r"(\\.)", value, flags=re.DOTALL)
    prepared = []
    for piece in pieces:
        if len(piece) == 2 and piece[0] == "\\":
            prepared.append("$$" if piece[1] == "$" else _ESCAPES.get(piece[1], piece))
        else:
            prepared.append(piece)
    return substitute("".join(prepared), known, _nothing)


def _nothing(_name: str) -> None:
    """A variable that is not set is empty; what the file says of it is its own affair."""
