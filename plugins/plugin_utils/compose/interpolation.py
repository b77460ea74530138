# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(${NAME}) in values: the Compose specification's interpolation."""

from __future__ import annotations

import re
from typing import Callable, Mapping

from .findings import Wrong

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?)?")
_BRACES = re.compile(r"\$\$|\$\{|\}")


def substitute(text: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    """The text with all variables replaced, C($$) by a dollar sign.

    C($NAME) and C(${NAME}) are the value, or nothing where there is none. C(:-) and C(-) are followed by what stands for one that
    is missing, C(:?) and C(?) by the message of an error then, C(:+) and C(+) by what stands for one that is there. With the colon an
    empty one counts as missing. What follows is substituted too, if it is needed.

    Args:
        text: A value of a file.
        variables: Their values.
        unset: Is told of a variable that has no value, and for which nothing else is said.

    Raises:
        Wrong: The text is not of this form, or a variable that must be there is missing.
    """
    pieces = []
    at = 0
    while True:
        start = text.find("$", at)
        if start < 0:
            return "".join((*pieces, text[at:]))
        pieces.append(text[at:start])
        match = _VARIABLE.match(text, start)
        dollar, plain, braced, operator = match.groups() if match else (None, None, None, None)
        if match is None or not (dollar or plain or braced):
            raise Wrong("%r has a '$' that begins no variable; write '$$' for a dollar sign" % text)
        at = match.end()
        if dollar:
            pieces.append("$")
        elif plain:
            pieces.append(_value(plain, variables, unset))
        else:
            end = _closing(text, at)
            if operator is None and end != at:
                raise Wrong("%r has something else than :-, -, :?, ?, :+ or + behind the name '%s'; write '$$' for a dollar sign"
                            % (text, braced))
            pieces.append(_expression(braced, operator, text[at:end], variables, unset))
            at = end + 1


def _closing(text: str, at: int) -> int:
    """Where the brace is closed that was opened before a position."""
    depth = 1
    for match in _BRACES.finditer(text, at):
        if match.group() == "${":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if not depth:
                return match.start()
    raise Wrong("%r has a '${' that is not closed; write '$$' for a dollar sign" % text)


def _value(name: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    value = variables.get(name)
    if value is None:
        unset(name)
        return ""
    return value


def _expression(name: str, operator: str, argument: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    if not operator:
        return _value(name, variables, unset)
    value = variables.get(name)
    missing = not value if operator[0] == ":" else value is None
    if operator[-1] == "+":
        return "" if missing else substitute(argument, variables, unset)
    if not missing:
        return value or ""
    argument = substitute(argument, variables, unset)
    if operator[-1] == "?":
        raise Wrong("needs the variable '%s'%s" % (name, ": " + argument if argument else ", which is not set"))
    return argument
