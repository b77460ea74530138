# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines as the callers of OCI runtimes write them: options first, in Go's manner, then the rest.

C(--name value), C(--name=value), C(-name value) and one-letter forms are all taken, since engines use each of them.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ..errors import EngineError


class Flag(NamedTuple):
    """One option.

    Attributes:
        names: Without dashes; the first is how it is asked for.
        kind: C(flag), C(value), C(list) or C(number).
        default: Where it is not given; C(None) by default, C(False) for a flag, nothing for a list.
    """

    names: Tuple[str, ...]
    kind: str = "value"
    default: Any = None


class Parsed(NamedTuple):
    """What a command line said: option values by their first names, and the words after them."""

    options: Dict[str, Any]
    words: List[str]


def parse(arguments: Sequence[str], flags: Sequence[Flag], verb: str, anywhere: bool = True) -> Parsed:
    """Split a command line.

    Args:
        anywhere: Whether options may come after words, too; not where the words are a command with options of its own.

    Raises:
        EngineError: An option is unknown, or lacks its value, or has a wrong one.
    """
    known = {name: flag for flag in flags for name in flag.names}
    found: Dict[str, Any] = {
        flag.names[0]: False if flag.kind == "flag" and flag.default is None else [] if flag.kind == "list" else flag.default
        for flag in flags}
    rest, words = list(arguments), []  # type: List[str], List[str]
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            if not anywhere:
                break
            continue
        name, equals, value = word.lstrip("-").partition("=")
        flag = known.get(name)
        if flag is None and not word.startswith("--") and all(each in known and known[each].kind == "flag" for each in name):
            found.update((known[each].names[0], True) for each in name)  # several in one word: -it
            continue
        if flag is None:
            raise EngineError("%s: there is no option %s" % (verb, word), "'coracle help' lists the verbs")
        if flag.kind == "flag":
            found[flag.names[0]] = value.lower() not in ("false", "0", "f") if equals else True
            continue
        if not equals:
            if not rest:
                raise EngineError("%s: flag needs an argument: %s" % (verb, word), "Give the option a value")
            value = rest.pop(0)
        if flag.kind == "list":
            found[flag.names[0]].append(value)
        elif flag.kind == "number":
            found[flag.names[0]] = number(value, word)
        else:
            found[flag.names[0]] = value
    return Parsed(found, words + rest)


def number(text: str, word: str) -> int:
    """A whole number.

    Raises:
        EngineError: It is none.
    """
    try:
        return int(text, 10)
    except ValueError as error:
        raise EngineError("option %s: %r is no whole number" % (word, text)) from error
