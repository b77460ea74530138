# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of TOML that registries.conf is written in; Python has a reader of its own only since 3.11.

Tables, arrays of tables, bare, quoted and dotted keys, strings of one line, booleans, integers, arrays of these.
Source: toml.io, version 1.0.0.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List

from ..errors import Corrupt

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_WORD = re.compile(r"(true|false|[+-]?\d(?:_?\d)*)(?![\w.:-])")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def parse(text: str, where: str) -> Dict[str, Any]:
    """A document.

    Args:
        where: What an error names.

    Raises:
        Corrupt: It is no TOML, or uses more of it than is read here; names the line.
    """
    return _Reader(text, where).document()


class _Reader:

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0

    def document(self) -> Dict[str, Any]:
        top: Dict[str, Any] = {}
        here = top
        while True:
            self._match(_SPACE)
            if self._at >= len(self._text):
                return top
            if self._take("[["):
                here = self._table(top, self._keys(), True)
                self._need("]]")
            elif self._take("["):
                here = self._table(top, self._keys(), False)
                self._need("]")
            else:
                keys = self._keys()
                self._need("=")
                table = self._table(here, keys[:-1], False) if len(keys) > 1 else here
                if keys[-1] in table:
                    raise self._wrong("says '%s' twice" % keys[-1])
                table[keys[-1]] = self._value()
            if not self._match(_END):
                raise self._wrong("has more on a line than one statement")

    def _table(self, top: Dict[str, Any], keys: List[str], another: bool) -> Dict[str, Any]:
        """The table with this name; of an array of tables the last, or with C(another) a new one."""
        here: Any = top
        for at, key in enumerate(keys):
            last = at == len(keys) - 1
            if last and another:
                found = here.setdefault(key, [])
                if not isinstance(found, list):
                    raise self._wrong("uses '%s' both as a table and as an array of tables" % key)
                found.append({})
            else:
                found = here.setdefault(key, {})
            here = found[-1] if isinstance(found, list) and found else found
            if not isinstance(here, dict):
                raise self._wrong("uses '%s' both as a value and as a table" % key)
        return here  # type: ignore[no-any-return]

    def _keys(self) -> List[str]:
        keys = []
        while True:
            self._match(_BLANK)
            if self._peek() in "\"'":
                keys.append(self._string())
            else:
                found = self._match(_BARE)
                if not found:
                    raise self._wrong("has no key where one must be")
                keys.append(found)
            self._match(_BLANK)
            if not self._take("."):
                return keys

    def _value(self) -> Any:
        self._match(_BLANK)
        first = self._peek()
        if first and first in "\"'":
            return self._string()
        if first == "[":
            self._at += 1
            found: List[Any] = []
            while True:
                self._match(_SPACE)
                if self._take("]"):
                    return found
                found.append(self._value())
                self._match(_SPACE)
                if not self._take(",") and self._peek() != "]":
                    raise self._wrong("has an array without an end")
        word = self._match(_WORD)
        if not word:
            raise self._wrong("has a value that is no string, number, boolean or array of these")
        return word == "true" if word in ("true", "false") else int(word.replace("_", ""))

    def _string(self) -> str:
        if self._text[self._at:self._at + 3] in ('"""', "'''"):
            raise self._wrong("has a string of several lines")
        for pattern in (_BASIC, _LITERAL):
            match = pattern.match(self._text, self._at)
            if match:
                self._at = match.end()
                return _ESCAPE.sub(self._escape, match.group(1)) if pattern is _BASIC else match.group(1)
        raise self._wrong("has a string without an end")

    def _escape(self, match: "re.Match[str]") -> str:
        code = match.group(1)
        if code in _ESCAPES:
            return _ESCAPES[code]
        if len(code) == 1:
            raise self._wrong("has an unknown escape \\%s" % code)
        return chr(int(code[1:], 16))

    def _peek(self) -> str:
        return self._text[self._at:self._at + 1]

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _need(self, text: str) -> None:
        self._match(_BLANK)
        if not self._take(text):
            raise self._wrong("lacks '%s'" % text)

    def _match(self, pattern: "re.Pattern[str]") -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group() or " "  # an empty match is one

    def _wrong(self, what: str) -> Corrupt:
        return Corrupt("file %s, line %d: it %s" % (self._where, self._text.count("\n", 0, self._at) + 1, what),
                       "Correct it")
