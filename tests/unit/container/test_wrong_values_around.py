# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong value in each option of the modules around a container: one error that names the option, the value and the remedy."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.option import Option, parse
from ansible_collections.coracle.containers.plugins.module_utils.options import copy as copy_options
from ansible_collections.coracle.containers.plugins.module_utils.options import exec as exec_options
from ansible_collections.coracle.containers.plugins.module_utils.options import secret as secret_options

WRONG: Dict[str, Tuple[Sequence[Option], List[Tuple[str, Any]]]] = {
    "exec": (exec_options.OPTIONS, [
        ("container", "a/b"), ("container", ""), ("argv", []), ("argv", ["a\0b"]), ("command", ""), ("command", "echo 'x"),
        ("command", "a\0b"),
        ("chdir", "tmp"), ("chdir", "/a/../b"), ("user", "a b"), ("user", ":5"), ("env", {"A": 1}), ("env", {"A=B": "1"}),
        ("creates", "made"), ("removes", "../made"), ("timeout", "0"), ("timeout", "soon"), ("max_output", "0"), ("max_output", "much"),
        ("max_output", "2G"), ("max_output", "-1")]),
    "copy": (copy_options.OPTIONS, [
        ("container", "a/b"), ("container_path", "tmp"), ("container_path", "/a/../b"), ("path", "x"), ("owner", "a b"), ("owner", ""),
        ("group", "a:b"), ("mode", 420), ("mode", "999"), ("mode", "u=rw"), ("directory_mode", 493), ("directory_mode", "7")]),
    "secret": (secret_options.OPTIONS, [("name", "a/b"), ("name", ""), ("path", "x"), ("path", "/a/../b")]),
}


@pytest.mark.parametrize("module, option, value", [(name, *each) for name, (_table, cases) in WRONG.items() for each in cases])
def test_a_wrong_value_is_named_with_its_option_and_a_remedy(module: str, option: str, value: Any) -> None:
    row = next(row for row in WRONG[module][0] if row.name == option)
    with pytest.raises(InvalidValue) as caught:
        parse((row,), {option: value})
    text = str(caught.value)
    assert text.startswith("option '%s" % option) and "value " in text and ". Write " in text


@pytest.mark.parametrize("module", WRONG)
def test_every_option_that_has_a_parser_is_tried(module: str) -> None:
    table, cases = WRONG[module]
    assert {row.name for row in table if row.parse or row.options} == {option for option, _value in cases}
