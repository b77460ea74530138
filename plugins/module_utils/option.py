# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option of a module, declared once.

From one row come the argument spec, the parsing, the comparison, the diff, how
disruptive a change is, and the generated tests.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from .engine.errors import InvalidValue
from .engine.plan import LIVE, Difference

STRICT = "strict"
"""Equal values only; lists in order."""
UNORDERED = "unordered"
"""Lists that hold the same members in any order."""
CONTAINED = "contained"
"""A mapping that has all desired keys and may have more."""
NOT_COMPARED = "not_compared"
"""Says how to act (a timeout, a source), not how things shall be."""

HIDDEN = "********"
"""What is shown of a secret."""


class Option(NamedTuple):
    """One option.

    Attributes:
        name: As users write it.
        type: Ansible's type.
        default: What holds when the user says nothing.
        required, choices, elements, aliases, no_log: As in Ansible's argument spec.
        options: The suboptions of a C(dict) or of each C(dict) of a list.
        parse: Turns the value into the typed one that is compared; raises C(ValueError).
        whole: Turns a list whose members have been parsed; raises C(ValueError).
        form: What a right value looks like; becomes the remedy in the error.
        compare: One of the four above.
        disruption: What a change of it costs: C(live), C(restart), C(recreate).
        read_from: Where the kernel or the store tells its present value.
        mask: Hides the secret parts of a value in diffs and results.
    """

    name: str
    type: str = "str"
    default: Any = None
    required: bool = False
    choices: Optional[Sequence[str]] = None
    elements: Optional[str] = None
    aliases: Tuple[str, ...] = ()
    no_log: Optional[bool] = None
    options: Optional[Tuple[Any, ...]] = None  # of Option; a NamedTuple cannot name itself here
    parse: Optional[Callable[[Any], Any]] = None
    whole: Optional[Callable[[Any], Any]] = None
    form: str = ""
    compare: str = STRICT
    disruption: str = LIVE
    read_from: str = ""
    mask: Optional[Callable[[Any], Any]] = None


def argument_spec(table: Sequence[Option]) -> Dict[str, Dict[str, Any]]:
    """The table as AnsibleModule takes it."""
    return {option.name: _argument(option) for option in table}


def _argument(option: Option) -> Dict[str, Any]:
    entry = {"type": option.type}  # type: Dict[str, Any]
    if option.default is not None:
        entry["default"] = option.default
    if option.required:
        entry["required"] = True
    if option.choices:
        entry["choices"] = list(option.choices)
    if option.elements:
        entry["elements"] = option.elements
    if option.aliases:
        entry["aliases"] = list(option.aliases)
    if option.no_log is not None:
        entry["no_log"] = option.no_log
    if option.options:
        entry["options"] = argument_spec(option.options)
    return entry


def parse(table: Sequence[Option], given: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """The typed values of what was given.

    Raises:
        InvalidValue: For the first option whose value does not do.
    """
    return {option.name: _typed(option, given.get(option.name), prefix + option.name) for option in table}


def _typed(option: Option, value: Any, name: str) -> Any:
    if value is None:
        return None
    if option.options:
        if option.type == "dict":
            value = parse(option.options, value, name + ".")
        else:
            value = [parse(option.options, item, "%s[%d]." % (name, at)) for at, item in enumerate(value)]
    if option.parse is None:
        return value
    at_fault = value
    try:
        if option.type == "list" and not option.options:
            typed = []
            for at_fault in value:
                typed.append(option.parse(at_fault))
            at_fault = value
            return option.whole(typed) if option.whole else typed
        return option.parse(value)
    except ValueError as error:
        shown = HIDDEN if option.no_log else option.mask(at_fault) if option.mask else at_fault
        raise InvalidValue(name, shown, str(error), "Write %s" % (option.form or "a value as documented"))


def differences(table: Sequence[Option], desired: Mapping[str, Any],
                current: Mapping[str, Any]) -> Tuple[Difference, ...]:
    """The options whose desired value is not the current one, in the table's order, secrets masked.

    An option that either side does not mention (its key is missing) is not compared.
    """
    found = []
    for option in table:
        if option.compare == NOT_COMPARED or option.name not in desired or option.name not in current:
            continue
        before, after = current[option.name], desired[option.name]
        if not same(option.compare, before, after):
            found.append(Difference(option.name, masked(option, before), masked(option, after), option.disruption))
    return tuple(found)


def same(compare: str, before: Any, after: Any) -> bool:
    """Whether the present value satisfies the desired one."""
    if compare == UNORDERED and isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        return _same_members(before, after)
    if compare == CONTAINED and isinstance(before, dict) and isinstance(after, dict):
        return all(key in before and before[key] == value for key, value in after.items())
    return type(before) is type(after) and bool(before == after) or _equal_numbers(before, after)


def _same_members(before: Sequence[Any], after: Sequence[Any]) -> bool:
    left = list(before)
    for item in after:
        if item not in left:
            return False
        left.remove(item)
    return not left


def _equal_numbers(before: Any, after: Any) -> bool:
    numbers = (int, float)
    return (isinstance(before, numbers) and isinstance(after, numbers)
            and not isinstance(before, bool) and not isinstance(after, bool) and before == after)


def masked(option: Option, value: Any) -> Any:
    """The value as it may be shown."""
    if value is None:
        return None
    if option.mask is not None:
        return option.mask(value)
    return HIDDEN if option.no_log else value
