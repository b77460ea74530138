# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device rules in one form, so that two lists that mean the same are the same.

The form is: first a rule for everything, then exceptions, sorted. v1 can hold just that
(Documentation/admin-guide/cgroup-v1/devices.rst); v2 holds any order, as a program.
"""

from __future__ import annotations

import errno
import os
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ..errors import KernelError
from .limits import DeviceRule

EVERYTHING = DeviceRule(True)
NOTHING = DeviceRule(False)
_MANY = 32
_found: Dict[Tuple[DeviceRule, ...], Tuple[DeviceRule, ...]] = {}
"""What C(canonical) has said so far: most containers have the same rules."""
_Key = Tuple[str, Optional[int], Optional[int]]


def is_catch_all(rule: DeviceRule) -> bool:
    """Whether the rule leaves nothing to those before it."""
    return rule.type == "a" and rule.major is None and rule.minor is None and set(rule.access) == set("rwm")


def canonical(rules: Sequence[DeviceRule]) -> Tuple[DeviceRule, ...]:
    """The same rules in their one form; the last that matches decides, and what none matches is denied.

    Rules that take a part out of a wider exception keep their order, since no sorted list says the same.
    """
    key = tuple(rules)
    found = _found.get(key)
    if found is None:
        if len(_found) >= _MANY:
            _found.clear()
        found = _found[key] = _canonical(key)
    return found


def _canonical(rules: Tuple[DeviceRule, ...]) -> Tuple[DeviceRule, ...]:
    base = NOTHING
    rest: List[DeviceRule] = []
    for rule in rules:
        if is_catch_all(rule):
            base, rest = rule._replace(access="rwm"), []
        elif rule.type == "a":
            rest += [rule._replace(type="b"), rule._replace(type="c")]
        else:
            rest.append(rule)
    exceptions: Dict[_Key, Set[str]] = {}
    for rule in rest:
        key = (rule.type, rule.major, rule.minor)
        if rule.allow != base.allow:
            exceptions.setdefault(key, set()).update(rule.access)
            continue
        for other in list(exceptions):
            if _covers(key, other):
                exceptions[other] -= set(rule.access)
                if not exceptions[other]:
                    del exceptions[other]
            elif _overlaps(key, other) and exceptions[other] & set(rule.access):
                return (base,) + tuple(rest)
    found = [DeviceRule(not base.allow, key[0], key[1], key[2], "".join(a for a in "rwm" if a in access))
             for key, access in exceptions.items()
             if not any(other != key and _covers(other, key) and access <= exceptions[other] for other in exceptions)]
    return (base,) + tuple(sorted(found, key=_order))


def _order(rule: DeviceRule) -> Tuple[str, int, int]:
    return (rule.type, -1 if rule.major is None else rule.major, -1 if rule.minor is None else rule.minor)


def _covers(wide: _Key, narrow: _Key) -> bool:
    return wide[0] == narrow[0] and all(a is None or a == b for a, b in zip(wide[1:], narrow[1:]))


def _overlaps(one: _Key, other: _Key) -> bool:
    return one[0] == other[0] and all(a is None or b is None or a == b for a, b in zip(one[1:], other[1:]))


def is_plain(rules: Sequence[DeviceRule]) -> bool:
    """Whether rules in their one form are a base and exceptions from it, which is all that v1 can hold."""
    return all(rule.allow != rules[0].allow for rule in rules[1:])


def line(rule: DeviceRule) -> str:
    """The rule as C(devices.allow) and C(devices.deny) take it."""
    if is_catch_all(rule):
        return "a"
    return "%s %s:%s %s" % (rule.type, "*" if rule.major is None else rule.major,
                            "*" if rule.minor is None else rule.minor, rule.access)


def v1_writes(current: Optional[Sequence[DeviceRule]], wanted: Sequence[DeviceRule]) -> List[Tuple[str, str]]:
    """The (file, value) that turn one canonical list into another; what stays allowed is allowed throughout."""
    base, exceptions = wanted[0], list(wanted[1:])
    same_base = current is not None and current[0].allow == base.allow and not base.allow
    if not same_base:
        grant, reset = ("devices.deny", "devices.allow") if base.allow else ("devices.allow", "devices.deny")
        return [(reset, "a")] + [(grant, line(rule)) for rule in exceptions]
    before = list(current or ())[1:]
    writes = [("devices.allow", line(rule)) for rule in exceptions if rule not in before]
    for rule in before:
        kept = "".join(each.access for each in exceptions if each[1:4] == rule[1:4])
        lost = "".join(each for each in rule.access if each not in kept)
        if lost:
            writes.append(("devices.deny", line(rule._replace(access=lost))))
    return writes


def from_v1(text: str) -> Tuple[DeviceRule, ...]:
    """The canonical list that C(devices.list) tells; it does not tell exceptions from "everything"."""
    rules = [NOTHING]
    for row in text.splitlines():
        kind, numbers, access = row.split(" ")
        if kind == "a":
            return (EVERYTHING,)
        major, minor = (None if each == "*" else int(each) for each in numbers.split(":"))
        rules.append(DeviceRule(True, kind, major, minor, "".join(each for each in "rwm" if each in access)))
    return canonical(rules)


def from_v2(folder: str) -> Tuple[DeviceRule, ...]:
    """The canonical list that the program on a group holds; without one of ours everything is allowed."""
    from ..kernel import bpf  # pylint: disable=import-outside-toplevel
    try:
        found = bpf.attached(folder)
    except KernelError as error:
        if error.errno != errno.EPERM:
            raise
        return (EVERYTHING,)  # who may not ask has put none there
    for identity, name in reversed(found):
        if name.encode() == bpf.NAME:
            taken = bpf.take_apart(bpf.instructions_of(identity))
            if taken is not None:
                return canonical([DeviceRule(taken[1])] + [DeviceRule(*rule) for rule in taken[0]])
    return (EVERYTHING,)


def to_v2(folder: str, wanted: Sequence[DeviceRule]) -> None:
    """Put canonical rules in force as a program, in the place of the one that was."""
    from ..kernel import bpf  # pylint: disable=import-outside-toplevel
    ours = [identity for identity, name in bpf.attached(folder) if name.encode() == bpf.NAME]
    if len(wanted) == 1 and wanted[0].allow:
        for identity in ours:
            bpf.detach(folder, identity)
        return
    program = bpf.load(bpf.assemble([bpf.Rule(*rule) for rule in wanted[1:]], wanted[0].allow))
    try:
        bpf.attach(folder, program, ours[-1] if ours else None)
    finally:
        os.close(program)
    for identity in ours[:-1]:
        bpf.detach(folder, identity)
