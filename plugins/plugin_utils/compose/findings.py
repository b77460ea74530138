# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where something stands in a project's files, and what is wrong there."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple


class ComposeError(Exception):
    """What keeps a project from being read: one sentence, or one for each fault."""


class Wrong(ValueError):
    """A value that does not do; the text continues the sentence "FILE:LINE: PATH: "."""


class Unsupported(ValueError):
    """A value that does, but not here; the text says why."""


class Source:
    """A file of a project, and what its values are understood by.

    Attributes:
        name: As messages show it.
        directory: Absolute path on the controller that relative paths in it begin at.
        variables: What C(${NAME}) in it stands for.
    """

    __slots__ = ("directory", "name", "variables")

    def __init__(self, name: str, directory: str, variables: Mapping[str, str]) -> None:
        self.name = name
        self.directory = directory
        self.variables = variables


class Place:
    """A line of a file, counted from 1."""

    __slots__ = ("line", "source")

    def __init__(self, source: Source, line: int) -> None:
        self.source = source
        self.line = line

    def __str__(self) -> str:
        return "%s:%d" % (self.source.name, self.line)


class Findings:
    """What is found wrong, unsupported or remarkable in a project; all of it, in the order of files and lines.

    Attributes:
        places: Where each path has been read, for what is found wrong later.
    """

    def __init__(self) -> None:
        self.places: Dict[str, Place] = {}
        self._wrong: List[Tuple[str, int, str, str]] = []
        self._unsupported: List[Tuple[str, int, str, str]] = []
        self._remarks: List[str] = []

    def wrong(self, place: Optional[Place], path: str, text: str) -> None:
        """A fault."""
        self._wrong.append(_entry(place, path, text))

    def unsupported(self, place: Optional[Place], path: str, text: str) -> None:
        """Something that no container here can have."""
        self._unsupported.append(_entry(place, path, text))

    def take_wrong(self, look: Callable[["Findings"], Any]) -> None:
        """The faults, and nothing else, of what a function finds."""
        aside = Findings()
        look(aside)
        self._wrong += aside._wrong

    def remark(self, text: str) -> None:
        """Something that a person should know; said once."""
        if text not in self._remarks:
            self._remarks.append(text)

    def at(self, path: str) -> Optional[Place]:
        """The place of a path, or of what it is in."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:max(path.rfind("."), path.rfind("["), 0)]
        return None

    def settle(self, unsupported: str) -> List[str]:
        """End the reading; returns warnings.

        Args:
            unsupported: C(fail), or C(warn) to make warnings of what is not supported.

        Raises:
            ComposeError: There are faults; all of them are in it.
        """
        lines = _lines(self._wrong)
        if unsupported == "fail" and self._unsupported:
            lines += _lines(self._unsupported, "is not supported: ")
        if lines:
            count = "1 fault" if len(lines) == 1 else "%d faults" % len(lines)
            hint = "" if unsupported == "warn" or not self._unsupported else \
                "\nWith 'unsupported: warn' what is not supported is left out, with a warning."
            raise ComposeError("The project has %s:\n%s%s" % (count, "\n".join(lines), hint))
        return self._remarks + _lines(self._unsupported, "is not supported, and left out: ")


def _entry(place: Optional[Place], path: str, text: str) -> Tuple[str, int, str, str]:
    return (place.source.name if place else "", place.line if place else 0, path, text)


def _lines(entries: List[Tuple[str, int, str, str]], before: str = "") -> List[str]:
    found = []
    for name, line, path, text in sorted(set(entries)):
        where = [part for part in ("%s:%d" % (name, line) if name else "", path) if part]
        found.append(": ".join([*where, before + text]))
    return found
