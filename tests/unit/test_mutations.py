# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each defence that scripts/mutate.sh takes out is still where it says, and its tests are still there."""

from __future__ import annotations

import sys
from pathlib import Path

import collection
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "security"))

import advisories
import mutate
from mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.defence)
def test_it_applies_and_names_tests(mutation: Mutation) -> None:
    contents = mutate.changed(mutation, collection.ROOT)
    assert all(text != path.read_text(encoding="utf-8") for path, text in contents.items())
    there = {"%s::%s" % (file, name) for file, name, _advisories in mutate.guarded()}
    assert mutation.tests and {each.partition("[")[0] for each in mutation.tests} <= there


def test_the_page_tells_of_each() -> None:
    page = mutate.PAGE.read_text(encoding="utf-8")
    assert [each.defence for each in MUTATIONS if "| %s |" % each.defence not in page] == []
    assert "**survived**" not in page and "| not run |" not in page
    named = {name for _file, _name, names in mutate.guarded() for name in names}
    assert [name for name in named if "| %s |" % name not in page] == []
    assert not named & set(advisories.ELSEWHERE)
