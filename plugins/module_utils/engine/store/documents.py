# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON for those who are in a hurry: the two functions of C(json), without its import.

C(import json) compiles regular expressions, which take seven milliseconds in a
fresh interpreter; the work itself is done by the C module C(_json) behind it.
Where that is missing or has changed, or where more is asked for, C(json) does it.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

_BLANK = " \t\n\r"


class _Settings:
    """What the scanner of C(_json) takes from its decoder."""

    strict = True
    object_hook = None
    parse_float = float
    memo: Any = None

    def __init__(self, pairs: Optional[Callable[[Any], Any]], integer: Callable[[str], Any],
                 constant: Optional[Callable[[str], Any]]) -> None:
        self.object_pairs_hook = pairs
        self.parse_int = integer
        self.parse_constant = constant or _CONSTANTS.__getitem__


_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def decode(text: str, pairs: Optional[Callable[[Any], Any]] = None, integer: Callable[[str], Any] = int,
           constant: Optional[Callable[[str], Any]] = None) -> Any:
    """The value of a JSON document.

    Args:
        pairs, integer, constant: C(object_pairs_hook), C(parse_int) and C(parse_constant) of C(json.loads).

    Raises:
        ValueError: It is none; the text is that of C(json.JSONDecodeError).
        RecursionError: It is nested too deeply.
    """
    try:
        from _json import make_scanner  # pylint: disable=import-outside-toplevel
        settings: Any = _Settings(pairs, integer, constant)
        scan = make_scanner(settings)
    except (ImportError, AttributeError, TypeError):
        return _slowly(text, pairs, integer, constant)
    begin = len(text) - len(text.lstrip(_BLANK))
    try:
        value, end = scan(text, begin)
    except (StopIteration, SystemError):  # the latter where C(json), whose exception it would raise, is not imported
        return _slowly(text, pairs, integer, constant)
    if text[end:].strip(_BLANK):
        return _slowly(text, pairs, integer, constant)
    return value


def _slowly(text: str, pairs: Optional[Callable[[Any], Any]], integer: Callable[[str], Any],
            constant: Optional[Callable[[str], Any]]) -> Any:
    import json  # pylint: disable=import-outside-toplevel
    return json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_constant=constant)


def encode(value: Any) -> str:
    """A value as one line of JSON in ASCII, as C(json.dumps) writes it.

    Raises:
        TypeError: Something in it has no form in JSON.
    """
    try:
        from _json import encode_basestring_ascii, make_encoder  # pylint: disable=import-outside-toplevel
        write = make_encoder({}, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    except (ImportError, TypeError):
        import json  # pylint: disable=import-outside-toplevel
        return json.dumps(value)
    return "".join(write(value, 0))


def _refuse(value: Any) -> Any:
    raise TypeError("an object of type %s has no form in JSON" % type(value).__name__)
