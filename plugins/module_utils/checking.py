# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that come inside of a document, checked by the rows of the table that they have as a module's own.

AnsibleModule checks what a task says and stops at the first fault. Here all faults of a document are collected, each with the
path of the value, and only what is said is looked at: a document may have hundreds of objects with a hundred options each.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
    check_type_path,
    check_type_str,
)

from .option import HIDDEN, Option

_TYPES = {"bool": check_type_bool, "dict": check_type_dict, "float": check_type_float, "int": check_type_int,
          "list": check_type_list, "path": check_type_path, "str": check_type_str,
          "raw": lambda value: value}  # type: Dict[str, Callable[[Any], Any]]


class Checker:
    """A table, prepared so that many objects can be checked by it.

    Args:
        table: The options.
        without: Names of options that cannot be said here.
    """

    def __init__(self, table: Sequence[Option], without: Sequence[str] = ()) -> None:
        self._rows = {}  # type: Dict[str, Option]
        for option in table:
            if option.name not in without:
                for name in (option.name, *option.aliases):
                    self._rows[name] = option
        self._nested = {option.name: Checker(option.options) for option in table if option.options}
        faults = []  # type: List[str]
        self._defaults = {option.name: None for option in table}  # type: Dict[str, Any]
        for option in table:
            if option.default is not None:
                self._defaults[option.name] = self._value(option, option.default, option.name, faults)
        self._required = [option for option in table if option.required and option.name not in without]

    def check(self, given: Any, path: str, faults: List[str]) -> Dict[str, Any]:
        """The typed values of an object, with the defaults of what it does not say.

        Args:
            given: As it was written.
            path: Where it stands.
            faults: Gets a sentence for each value that does not do.
        """
        if not isinstance(given, Mapping):
            faults.append("%s: is no mapping" % path)
            return dict(self._defaults)
        found = dict(self._defaults)
        said = set()
        for name, value in given.items():
            option = self._rows.get(name)
            where = "%s.%s" % (path, name)
            if option is None:
                faults.append("%s: is no option here%s" % (where, self._like(str(name))))
                continue
            if option.name in said:
                faults.append("%s: says '%s' again" % (where, option.name))
            said.add(option.name)
            if value is not None:
                found[option.name] = self._value(option, value, where, faults)
        faults.extend("%s: lacks '%s'" % (path, option.name) for option in self._required if found[option.name] is None)
        return found

    def _like(self, name: str) -> str:
        import difflib  # pylint: disable=import-outside-toplevel
        close = difflib.get_close_matches(name, self._rows, 1)
        return "; did you mean '%s'?" % close[0] if close else ""

    def _value(self, option: Option, value: Any, path: str, faults: List[str]) -> Any:
        before = len(faults)
        typed = self._typed(option.type, value, option, path, faults)
        if len(faults) > before:
            return None
        if option.options and option.type == "dict":
            typed = self._nested[option.name].check(typed, path, faults)
        elif option.options:
            typed = [self._nested[option.name].check(each, "%s[%d]" % (path, at), faults) for at, each in enumerate(typed)]
        elif option.type == "list":
            typed = [self._typed(option.elements or "raw", each, option, "%s[%d]" % (path, at), faults)
                     for at, each in enumerate(typed)]
        if option.choices:
            for each in typed if option.type == "list" else [typed]:
                if each not in option.choices:
                    faults.append("%s: value %r is none of %s" % (path, each, ", ".join(option.choices)))
        if option.parse is None or len(faults) > before:
            return typed
        return _parsed(option, typed, path, faults)

    @staticmethod
    def _typed(kind: str, value: Any, option: Option, path: str, faults: List[str]) -> Any:
        try:
            if kind == "str" and isinstance(value, (dict, list)):
                raise TypeError()
            return _TYPES[kind](value)
        except (TypeError, ValueError):
            faults.append("%s: value %r is no %s" % (path, _shown(option, value), kind))
            return None


def _parsed(option: Option, value: Any, path: str, faults: List[str]) -> Any:
    at_fault, where = value, path
    parse = option.parse
    if parse is None:
        return value
    try:
        if option.type == "list" and not option.options:
            typed = []
            for at, at_fault in enumerate(value):
                where = "%s[%d]" % (path, at)
                typed.append(parse(at_fault))
            at_fault, where = value, path
            return option.whole(typed) if option.whole else typed
        return parse(value)
    except ValueError as error:
        faults.append("%s: value %r %s. Write %s" % (where, _shown(option, at_fault), error, option.form or "a value as documented"))
        return None


def _shown(option: Option, value: Any) -> Any:
    if option.no_log:
        return HIDDEN
    try:
        return option.mask(value) if option.mask else value
    except (AttributeError, TypeError, ValueError):  # what is no value of this option at all
        return HIDDEN


def mapping(given: Any, path: str, faults: List[str]) -> List[Tuple[str, Any]]:
    """The entries of a part of a document that holds objects by name; none where it is missing."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        faults.append("%s: is no mapping of names" % path)
        return []
    return [(str(name), value) for name, value in given.items()]


def told(faults: Sequence[str], most: int = 40) -> str:
    """All faults in one text."""
    shown = list(faults[:most])
    if len(faults) > most:
        shown.append("and %d more" % (len(faults) - most))
    return "\n".join("- " + each for each in shown)
