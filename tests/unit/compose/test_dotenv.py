# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of variables in Docker's grammar."""

from __future__ import annotations

from typing import Dict, Optional

import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import dotenv
from ansible_collections.coracle.containers.plugins.plugin_utils.compose.findings import Wrong
from hypothesis import given, strategies as st

OUTER = {"OUT": "outside", "BOTH": "from outside"}


@pytest.mark.parametrize("text, found", [
    ("A=1", {"A": "1"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("\ufeffA=1", {"A": "1"}),
    ("# c\n\n  # d\nexport A=1\nexport\tB=2", {"A": "1", "B": "2"}),
    ("A = 1 \nB:2\nC: 3", {"A": "1", "B": "2", "C": "3"}),
    ("A=VAL # c\nB=VAL# no comment\nC=#c\nD= # c", {"A": "VAL", "B": "VAL# no comment", "C": "", "D": ""}),
    ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
    ("A='$OUT ${OUT}' # c", {"A": "$OUT ${OUT}"}),
    ("A='Let\\'s go'", {"A": "Let's go"}),
    ('A="{\\"a\\": \\"b\\"}"', {"A": '{"a": "b"}'}),
    ('A="a\\tb\\nc\\\\d\\re"', {"A": "a\tb\nc\\d\re"}),
    ('A="x # no comment" # c', {"A": "x # no comment"}),
    ("A='one\ntwo\n# three'\nB=1", {"A": "one\ntwo\n# three", "B": "1"}),
    ('A="one\ntwo $OUT"', {"A": "one\ntwo outside"}),
    ("A=$OUT-${NONE:-d}-${NONE}", {"A": "outside-d-"}),
    ("A=1\nB=${A}2\nC=\"${B}3\"", {"A": "1", "B": "12", "C": "123"}),
    ("BOTH=mine\nA=$BOTH", {"BOTH": "mine", "A": "from outside"}),
    ('A="\\$OUT $$OUT"', {"A": "$OUT $OUT"}),
    ("OUT\nNONE\nA=1", {"OUT": "outside", "NONE": None, "A": "1"}),
    ("a.b-c=1\nA_1=2", {"a.b-c": "1", "A_1": "2"}),
    ("A=a=b=c\nB=http://x/?a=b#c", {"A": "a=b=c", "B": "http://x/?a=b#c"}),
    ("A=it's", {"A": "it's"}),
    ("A=1\nA=2", {"A": "2"}),
    ("", {}),
])
def test_grammar(text: str, found: Dict[str, Optional[str]]) -> None:
    assert dotenv.parse(text, OUTER) == found


@pytest.mark.parametrize("text, words", [
    ("A=1\nno way\n", "line 2 is not of the form NAME=VALUE"), ("=1", "line 1 is not"),
    ("A='open\nB=1", "line 1: has a quote that is not closed"),
    ('A="x" y', "line 1: has something behind the closing quote"), ("A=1\nB=${", "line 2: "), ("A=a$", "line 1: "),
    ("B=1\nA=${NONE:?said}", "line 2: needs the variable 'NONE': said"),
])
def test_errors(text: str, words: str) -> None:
    with pytest.raises(Wrong) as caught:
        dotenv.parse(text, OUTER)
    assert words in str(caught.value)


def test_raw_files_are_taken_as_they_are() -> None:
    text = "# c\nA='$OUT' # x\n B=\"1\"\r\nOUT\n\nC=\nNONE\n"
    assert dotenv.parse_raw(text, OUTER) == {"A": "'$OUT' # x", "B": '"1"', "OUT": "outside", "C": "", "NONE": None}
    with pytest.raises(Wrong) as caught:
        dotenv.parse_raw("A=1\na b=2", {})
    assert "line 2" in str(caught.value)


WORD = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)


@given(st.dictionaries(WORD, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\'\r"))))
def test_what_single_quotes_hold_is_itself(variables: Dict[str, str]) -> None:
    text = "\n".join("%s='%s'" % item for item in variables.items())
    assert dotenv.parse(text, {}) == variables


@given(st.dictionaries(WORD, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\\r"))))
def test_what_double_quotes_hold_can_be_anything(variables: Dict[str, str]) -> None:
    text = "\n".join('%s="%s"' % (name, value.replace('"', '\\"').replace("$", "\\$")) for name, value in variables.items())
    assert dotenv.parse(text, {}) == variables


@given(st.text())
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    try:
        dotenv.parse(text, OUTER)
        dotenv.parse_raw(text, OUTER)
    except Wrong:
        pass
