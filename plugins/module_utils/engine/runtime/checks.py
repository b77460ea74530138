# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of JSON values, composed into a description of a whole document.

A check is a function of (value, where) that raises C(Invalid); C(where) is the
JSON path that the error names. C(null) stands for an absent member, as in the
Go programs that write these documents.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from ..errors import EngineError
from ..store import documents, strict

Check = Callable[[Any, str], None]


class Invalid(EngineError):
    """A document breaks its specification.

    Args:
        where: JSON path of the member, such as C(process.user.uid).
        why: What is wrong, continuing the path.
    """

    def __init__(self, where: str, why: str, remedy: Optional[str] = None) -> None:
        super().__init__("%s: %s" % (where, why) if where else why, remedy, path=where)
        self.where = where


def parse(content: bytes, name: str, limit: int = strict.LIMIT) -> Any:
    """Decode JSON strictly: no duplicate keys, no NaN, no content after the end, not over C(limit) bytes.

    Args:
        name: What to call the document in errors.
    """
    try:
        return strict.loads(content, limit)
    except strict.Unclear as error:
        raise Invalid(error.key, "%s %s" % (name, error.why)) from error


def kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    if isinstance(value, bool):
        return "a boolean"
    return {dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number",
            type(None): "null"}.get(type(value), type(value).__name__)


def text(value: Any, where: str) -> None:
    """A string without NUL."""
    if not isinstance(value, str):
        raise Invalid(where, "must be a string, not %s" % kind(value))
    if "\0" in value:
        raise Invalid(where, "holds a NUL character")


def line(value: Any, where: str) -> None:
    """A string without NUL and line breaks."""
    text(value, where)
    if "\n" in value or "\r" in value:
        raise Invalid(where, "holds a line break")


def filled(value: Any, where: str) -> None:
    """A string that is not empty."""
    text(value, where)
    if not value:
        raise Invalid(where, "is empty")


def pattern(expression: str, otherwise: str) -> Check:
    """A string that a regular expression matches as a whole.

    Args:
        otherwise: What is wrong with one that it does not match.
    """
    whole: List[Any] = []

    def check(value: Any, where: str) -> None:
        text(value, where)
        if not whole:  # compiled when first needed
            import re  # pylint: disable=import-outside-toplevel
            whole.append(re.compile(expression))
        if not whole[0].fullmatch(value):
            raise Invalid(where, "%r %s" % (value[:80], otherwise))
    return check


def numbers(value: str, where: str, most: int = 8192) -> List[int]:
    """The members of a list such as C(0-3,7) (cpuset(7), List format).

    Args:
        most: One more than the highest that there can be.
    """
    found: List[int] = []
    for part in value.split(",") if value else ():
        first, dash, last = (each.strip() for each in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(last or first) > 9:
            raise Invalid(where, "%r is no list of numbers" % value[:80], "Write it as 0-3,7")
        if int(last or first) >= most or int(first) > int(last or first):
            raise Invalid(where, "%r goes beyond %d" % (value[:80], most - 1), "Write it as 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def number_list(most: int) -> Check:
    """A string that C(numbers) understands."""
    def check(value: Any, where: str) -> None:
        text(value, where)
        numbers(value, where, most)
    return check


def absolute(value: Any, where: str) -> None:
    """An absolute path."""
    filled(value, where)
    if not value.startswith("/"):
        raise Invalid(where, "%r is no absolute path" % value)


def boolean(value: Any, where: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise Invalid(where, "must be true or false, not %s" % kind(value))


def integer(low: int, high: int) -> Check:
    """A whole number in a range."""
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(where, "must be a whole number, not %s" % (value if isinstance(value, float) else kind(value)))
        if not low <= value <= high:
            raise Invalid(where, "%d is not within %d and %d" % (value, low, high))
    return check


U8 = integer(0, 2**8 - 1)
U16 = integer(0, 2**16 - 1)
U32 = integer(0, 2**32 - 1)
U64 = integer(0, 2**64 - 1)
I32 = integer(-2**31, 2**31 - 1)
I64 = integer(-2**63, 2**63 - 1)
ID = integer(0, 2**32 - 2)
"""A user or group ID; 2**32 - 1 means "no change" to the kernel, so it is none."""


def choice(*values: Any) -> Check:
    """One of some values."""
    allowed = frozenset(values)

    def check(value: Any, where: str) -> None:
        if type(value) not in (str, int) or value not in allowed:
            raise Invalid(where, "%s is none of %s" % (documents.encode(value)[:80], ", ".join(str(each) for each in values)))
    return check


def array(each: Check, least: int = 0, most: int = 65536) -> Check:
    """An array whose members all pass a check."""
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise Invalid(where, "must be an array, not %s" % kind(value))
        if not least <= len(value) <= most:
            raise Invalid(where, "has %d members, not %d to %d" % (len(value), least, most))
        try:
            for member in value:
                each(member, where)
        except Invalid:  # only now it is worth the time to say which
            for number, member in enumerate(value):
                each(member, "%s[%d]" % (where, number))
    return check


def mapping(each: Check, key: Optional[Check] = None) -> Check:
    """An object with free keys whose values all pass a check."""
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise Invalid(where, "must be an object, not %s" % kind(value))
        for name, member in value.items():
            if key is not None:
                key(name, "%s[%r]" % (where, name))
            each(member, "%s.%s" % (where, name))
    return check


def record(members: Dict[str, Check], required: Sequence[str] = (), also: Optional[Check] = None) -> Check:
    """An object with known members; unknown ones are ignored, as the specification says of extensions.

    Args:
        also: A check of the whole, once its members have passed.
    """
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise Invalid(where, "must be an object, not %s" % kind(value))
        prefix = where + "." if where else ""
        for name in required:
            if value.get(name) is None:
                raise Invalid(prefix + name, "is missing")
        for name, member in value.items():
            if member is not None:
                wanted = members.get(name)
                if wanted is not None:
                    wanted(member, prefix + name)
        if also is not None:
            also(value, where)
    return check
