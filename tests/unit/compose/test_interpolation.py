# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpolation, beside what a POSIX shell makes of the same texts."""

from __future__ import annotations

import subprocess
from typing import Any, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils.compose.findings import Wrong
from ansible_collections.coracle.containers.plugins.plugin_utils.compose.interpolation import substitute
from hypothesis import given, settings, strategies as st

VARIABLES = {"FULL": "value", "EMPTY": "", "_u1": "under", "low": "lower case"}
PLAIN = st.text("abz019 .,:/-_=+?@%", max_size=6)
NAMES = st.sampled_from([*VARIABLES, "MISSING", "NOT_THERE"])


def expression(inner: Any) -> Any:
    """C(${NAME...}) with any of the operators that cannot fail."""
    return st.builds(lambda name, operator, text: "${%s%s%s}" % (name, operator, text if operator else ""),
                     NAMES, st.sampled_from(["", ":-", "-", ":+", "+"]), inner)


TEMPLATES = st.recursive(
    st.one_of(PLAIN, st.builds("${}".replace("{}", "{{{}}}").format, NAMES), st.builds(lambda name: "$%s " % name, NAMES)),
    lambda inner: st.one_of(expression(inner), st.lists(inner, max_size=3).map("".join)), max_leaves=8)


def ours(text: str) -> Tuple[str, List[str]]:
    """What the reader makes of a text, and the variables that it misses."""
    missed: List[str] = []
    return substitute(text, VARIABLES, missed.append), missed


@given(st.lists(TEMPLATES, min_size=20, max_size=40))
@settings(max_examples=25)
def test_as_a_shell_does(templates: List[str]) -> None:
    script = "".join("printf '%%s\\0' \"%s\"\n" % text for text in templates)
    done = subprocess.run(["/bin/sh", "-c", script], env=VARIABLES, stdout=subprocess.PIPE, check=True, text=True)
    assert [ours(text)[0] for text in templates] == done.stdout.split("\0")[:-1]


@given(st.text())
def test_a_text_with_doubled_dollars_is_itself(text: str) -> None:
    assert ours(text.replace("$", "$$")) == (text, [])


@given(st.text(), st.sampled_from(["", ":-", "-", ":?", "?", ":+", "+"]), st.text())
def test_no_text_does_anything_but_be_refused(before: str, operator: str, after: str) -> None:
    try:
        ours("%s${A%s%s" % (before, operator, after))
    except Wrong:
        pass


@pytest.mark.parametrize("text, result", [
    ("$FULL", "value"), ("${FULL}", "value"), ("${FULL}s", "values"), ("$FULL.x", "value.x"), ("$$FULL", "$FULL"), ("$$", "$"),
    ("${MISSING:-d}", "d"), ("${EMPTY:-d}", "d"), ("${EMPTY-d}", ""), ("${MISSING-d}", "d"), ("${FULL:-d}", "value"),
    ("${MISSING:+d}", ""), ("${EMPTY:+d}", ""), ("${EMPTY+d}", "d"), ("${FULL:+d}", "d"), ("${MISSING+d}", ""),
    ("${FULL:?no}", "value"), ("${EMPTY?no}", ""), ("${MISSING:-${FULL}}", "value"), ("${MISSING:-${EMPTY:-$FULL}}", "value"),
    ("${MISSING-a b:c}", "a b:c"), ("${MISSING:-$$x}", "$x"), ("${MISSING:-}", ""), ("${MISSING:-a-b}", "a-b"),
    ("${MISSING:-{}}", "{}"), ("${FULL:-${MISSING:?not looked at}}", "value"), ("http://${MISSING:-h}:${MISSING:-80}/", "http://h:80/"),
])
def test_forms(text: str, result: str) -> None:
    assert ours(text)[0] == result


@pytest.mark.parametrize("text, words", [
    ("a $ b", "'$' that begins no variable"), ("cost: $5", "'$' that begins no variable"), ("${", "begins no variable"),
    ("${FULL", "not closed"), ("${FULL:-a", "not closed"), ("${1A}", "begins no variable"), ("${FULL!x}", "behind the name 'FULL'"),
    ("${MISSING?}", "needs the variable 'MISSING', which is not set"), ("${MISSING:?say it}", "needs the variable 'MISSING': say it"),
    ("${EMPTY:?say $FULL}", "needs the variable 'EMPTY': say value"), ("$", "begins no variable"),
])
def test_errors(text: str, words: str) -> None:
    with pytest.raises(Wrong) as caught:
        ours(text)
    assert words in str(caught.value)


def test_missing_variables_are_told() -> None:
    assert ours("$A ${B} ${C:-} ${D-} ${E:+x} ${F:-$G}") == ("     ", ["A", "B", "G"])
