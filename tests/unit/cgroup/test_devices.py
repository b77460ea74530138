# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device rules: one form for what means the same, and the eBPF program that decides as the rules do."""

from __future__ import annotations

import itertools
import random
from typing import Dict, List, Sequence, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import devices
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup.limits import DeviceRule
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import bpf

NONE, ALL = DeviceRule(False), DeviceRule(True)
NULL = DeviceRule(True, "c", 1, 3)
Request = Tuple[str, int, int, str]


def verdict(rules: Sequence[DeviceRule], request: Request) -> bool:
    """What the rules say, letter by letter, read as plainly as can be."""
    kind, major, minor, access = request

    def one(letter: str) -> bool:
        for rule in reversed(rules):
            if rule.type in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor) \
                    and letter in rule.access:
                return rule.allow
        return False
    return all(one(letter) for letter in access)


def run(program: Sequence[bpf.Instruction], request: Request) -> bool:
    """Interpret the program as the kernel does."""
    kind, major, minor, access = request
    context = {0: sum(bpf.ACCESS[each] for each in access) << 16 | bpf.TYPES[kind], 4: major, 8: minor}
    registers: Dict[int, int] = {}
    at = 0
    while True:
        code, destination, source, offset, value = program[at]
        at += 1
        if code == 0x61:
            registers[destination] = context[offset]
        elif code == 0xBF:
            registers[destination] = registers[source]
        elif code == 0xB7:
            registers[destination] = value
        elif code == 0x57:
            registers[destination] &= value
        elif code == 0x77:
            registers[destination] >>= value
        elif code == 0x15:
            at += offset if registers[destination] == value else 0
        elif code == 0x55:
            at += offset if registers[destination] != value else 0
        elif code == 0x95:
            return registers[0] == 1
        else:
            raise AssertionError("unknown opcode %#x" % code)


def program_of(rules: Sequence[DeviceRule]) -> List[bpf.Instruction]:
    form = devices.canonical(rules)
    return bpf.assemble([bpf.Rule(*rule) for rule in form[1:]], form[0].allow)


REQUESTS = [(kind, major, minor, access) for kind in "bc" for major in (1, 5) for minor in (3, 7)
            for access in ("r", "w", "m")]


def some_rules(chance: random.Random) -> List[DeviceRule]:
    return [DeviceRule(chance.random() < 0.5, chance.choice("abc"), chance.choice((None, 1, 5)),
                       chance.choice((None, 3)), chance.choice(("r", "w", "rw", "rwm", "rwm", "m")))
            for _each in range(chance.randrange(6))]


@pytest.mark.parametrize("seed", range(200))
def test_form_and_program_decide_as_the_rules(seed: int) -> None:
    rules = some_rules(random.Random(seed))
    form, program = devices.canonical(rules), program_of(rules)
    for request in REQUESTS:
        assert verdict(form, request) == verdict(rules, request), (rules, form, request)
        assert run(program, request) == verdict(rules, request), (rules, request)
    assert devices.canonical(form) == form
    assert bpf.take_apart(program) == ([bpf.Rule(*rule) for rule in form[1:]], form[0].allow)


@pytest.mark.parametrize("rules, form", [
    ([], (NONE,)),
    ([ALL], (ALL,)),
    ([NULL], (NONE, NULL)),
    ([ALL, NONE, NULL], (NONE, NULL)),
    ([DeviceRule(True, "c", 5, 0), NULL], (NONE, NULL, DeviceRule(True, "c", 5, 0))),
    ([DeviceRule(True, "c", 1, 3, "r"), DeviceRule(True, "c", 1, 3, "wm")], (NONE, NULL)),
    ([NULL, DeviceRule(False, "c", 1, 3)], (NONE,)),
    ([NULL, DeviceRule(False, "c", 1, 3, "m")], (NONE, NULL._replace(access="rw"))),
    ([DeviceRule(True, "c", 1, None), NULL], (NONE, DeviceRule(True, "c", 1, None))),
    ([DeviceRule(True, "a", 1, 3)], (NONE, DeviceRule(True, "b", 1, 3), NULL)),
])
def test_the_one_form(rules: List[DeviceRule], form: Tuple[DeviceRule, ...]) -> None:
    assert devices.canonical(rules) == form


def test_a_part_out_of_a_wider_rule_is_not_plain() -> None:
    assert not devices.is_plain(devices.canonical([DeviceRule(True, "c", 1), DeviceRule(False, "c", 1, 3)]))
    assert devices.is_plain(devices.canonical([ALL, DeviceRule(False, "c", 1, 3)]))


def test_programs_of_others_are_not_ours() -> None:
    assert bpf.take_apart([(0xB7, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)]) is None
    ours = program_of([NULL])
    assert bpf.take_apart(ours[:-1]) is None
    assert bpf.take_apart(ours[:7] + [(0xB7, 1, 0, 0, 7)] + ours[7:]) is None


def test_v1_reads_its_list() -> None:
    assert devices.from_v1("a *:* rwm") == (ALL,)
    assert devices.from_v1("") == (NONE,)
    assert devices.from_v1("c 1:3 rwm\nb *:* m\nc 136:* rw") == (
        NONE, DeviceRule(True, "b", None, None, "m"), NULL, DeviceRule(True, "c", 136, None, "rw"))


def test_v1_writes_what_differs() -> None:
    other = DeviceRule(True, "c", 1, 5)
    assert devices.v1_writes(None, (NONE, NULL)) == [("devices.deny", "a"), ("devices.allow", "c 1:3 rwm")]
    assert devices.v1_writes((ALL,), (NONE,)) == [("devices.deny", "a")]
    assert devices.v1_writes((NONE, NULL), (NONE, other)) == [
        ("devices.allow", "c 1:5 rwm"), ("devices.deny", "c 1:3 rwm")]
    assert devices.v1_writes((NONE, NULL), (NONE, NULL._replace(access="r"))) == [
        ("devices.allow", "c 1:3 r"), ("devices.deny", "c 1:3 wm")]
    assert devices.v1_writes((NONE, NULL), (ALL,)) == [("devices.allow", "a")]


def test_of_two_rules_on_one_device_the_later_decides() -> None:
    for order in itertools.permutations([NULL, DeviceRule(False, "c", 1, 3)]):
        assert verdict(devices.canonical(order), ("c", 1, 3, "r")) == order[-1].allow
