# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one row of a table: argument spec, parsing, comparison, masking."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils import values
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.plan import LIVE, RECREATE, Difference
from ansible_collections.coracle.containers.plugins.module_utils.option import (
    CONTAINED,
    HIDDEN,
    NOT_COMPARED,
    STRICT,
    UNORDERED,
    Option,
    argument_spec,
    differences,
    masked,
    parse,
    same,
)
from hypothesis import given
from hypothesis import strategies as st

TABLE = (
    Option("memory", parse=values.size, form="a size such as 512M"),
    Option("name", required=True, parse=values.name, aliases=("id",), disruption=RECREATE),
    Option("mode", choices=["a", "b"], default="a"),
    Option("ports", type="list", elements="dict", compare=UNORDERED, options=(
        Option("port", type="int", required=True, parse=values.integer(1, 65535)),
        Option("protocol", default="tcp", choices=("tcp", "udp")),
    )),
    Option("paths", type="list", elements="str", parse=values.absolute_path),
    Option("limits", type="dict", options=(Option("cpus", parse=values.cpus),)),
    Option("password", no_log=True),
    Option("timeout", type="int", default=5, compare=NOT_COMPARED),
)


def test_the_argument_spec_says_what_the_rows_say() -> None:
    assert argument_spec(TABLE) == {
        "memory": {"type": "str"},
        "name": {"type": "str", "required": True, "aliases": ["id"]},
        "mode": {"type": "str", "choices": ["a", "b"], "default": "a"},
        "ports": {"type": "list", "elements": "dict", "options": {
            "port": {"type": "int", "required": True},
            "protocol": {"type": "str", "default": "tcp", "choices": ["tcp", "udp"]}}},
        "paths": {"type": "list", "elements": "str"},
        "limits": {"type": "dict", "options": {"cpus": {"type": "str"}}},
        "password": {"type": "str", "no_log": True},
        "timeout": {"type": "int", "default": 5},
    }


def test_a_default_of_false_is_a_default() -> None:
    assert argument_spec((Option("x", type="bool", default=False),))["x"]["default"] is False


def test_values_are_typed_and_what_was_not_said_is_none() -> None:
    typed = parse(TABLE, {"memory": "1K", "name": "web", "ports": [{"port": "80", "protocol": "tcp"}],
                          "paths": ["/a//b/"], "limits": {"cpus": "0.5"}})
    assert typed == {"memory": 1024, "name": "web", "mode": None, "ports": [{"port": 80, "protocol": "tcp"}],
                     "paths": ["/a/b"], "limits": {"cpus": 0.5}, "password": None, "timeout": None}


@pytest.mark.parametrize(("given_values", "option", "value"), [
    ({"memory": "lots"}, "memory", "lots"),
    ({"ports": [{"port": 1}, {"port": 70000}]}, "ports[1].port", 70000),
    ({"paths": ["/a", "b"]}, "paths", "b"),
    ({"limits": {"cpus": "many"}}, "limits.cpus", "many"),
])
def test_an_error_names_the_option_the_value_and_what_is_right(
        given_values: Dict[str, Any], option: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(TABLE, given_values)
    assert caught.value.option == option
    assert repr(value) in str(caught.value)
    assert "Write" in (caught.value.remedy or "")
    assert caught.value.facts == {"option": option}


def test_an_error_does_not_tell_a_secret() -> None:
    secret = Option("token", no_log=True, parse=values.integer(1, 2))
    with pytest.raises(InvalidValue) as caught:
        parse((secret,), {"token": "hunter2"})
    assert "hunter2" not in str(caught.value)
    half = Option("env", parse=values.integer(1, 2), mask=lambda value: value[:1] + "...")
    with pytest.raises(InvalidValue) as caught:
        parse((half,), {"env": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "h..." in str(caught.value)


def test_differences_come_in_the_order_of_the_table_with_their_disruption() -> None:
    desired = {"memory": 2, "name": "b", "timeout": 9}
    current = {"name": "a", "memory": 1, "timeout": 5}
    assert differences(TABLE, desired, current) == (
        Difference("memory", 1, 2, LIVE), Difference("name", "a", "b", RECREATE))


def test_what_one_side_does_not_mention_is_not_compared() -> None:
    assert differences(TABLE, {"memory": 1}, {"name": "a"}) == ()
    assert differences(TABLE, {"memory": None}, {"memory": 1}) == (Difference("memory", 1, None),)


def test_differences_do_not_tell_secrets() -> None:
    assert differences(TABLE, {"password": "new"}, {"password": "old"}) == (Difference("password", HIDDEN, HIDDEN),)
    assert masked(Option("x", no_log=True), None) is None
    assert masked(Option("x", mask=str.upper), "a") == "A"


@pytest.mark.parametrize(("compare", "before", "after", "satisfied"), [
    (STRICT, 1, 1, True), (STRICT, 1, 1.0, True), (STRICT, 1, True, False), (STRICT, 0, False, False),
    (STRICT, "1", 1, False), (STRICT, None, "", False), (STRICT, [1, 2], [2, 1], False),
    (STRICT, "Web", "web", False), (STRICT, "a ", "a", False), (STRICT, {"a": 1}, {"a": 1}, True),
    (UNORDERED, [1, 2, 2], [2, 1, 2], True), (UNORDERED, [1, 2], [1, 2, 2], False), (UNORDERED, [1], (1,), True),
    (UNORDERED, [{"a": 1, "b": 2}], [{"b": 2, "a": 1}], True), (UNORDERED, None, [], False),
    (CONTAINED, {"a": 1, "b": 2}, {"a": 1}, True), (CONTAINED, {"a": 1}, {"a": 1, "b": 2}, False),
    (CONTAINED, {"a": None}, {"b": None}, False), (CONTAINED, {"a": 1}, {}, True),
])
def test_comparisons(compare: str, before: Any, after: Any, satisfied: bool) -> None:
    assert same(compare, before, after) is satisfied


@given(st.lists(st.one_of(st.integers(), st.text(), st.dictionaries(st.text(), st.integers()))), st.randoms())
def test_any_shuffled_list_holds_the_same_members(members: List[Any], random: Any) -> None:
    shuffled = list(members)
    random.shuffle(shuffled)
    assert same(UNORDERED, members, shuffled)
    assert not same(UNORDERED, members, [*shuffled, "one more"])
