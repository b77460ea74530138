# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests run beside others, which by themselves, and which are run again when they fail.

    scripts/test.sh calls pytest twice: with C(--turn together) in three processes at once, then with C(--turn alone).

    python turns.py REPORT...     counts what JUnit reports tell: passed, failed, skipped; then the names of what was run again
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as tree
from collections import Counter
from pathlib import Path
from typing import List, Tuple

import pytest

MARKS = ("alone", "measures")
"""Tests with one of these marks (pyproject.toml says what they mean) run by themselves."""
RERUNS = 2
"""How often a test that measures is run again at most."""
AGAIN = "run again"
"""The property of a test in a JUnit report that says how often it was."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that chooses a turn."""
    parser.addoption("--turn", choices=("all", "together", "alone"), default="all",
                     help="only the tests that run beside others, or only those that run by themselves")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Let tests that measure be run again, and leave out those of the other turn."""
    for item in items:
        if item.get_closest_marker("measures"):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
    turn = config.getoption("--turn")
    if turn == "all":
        return
    kept: List[pytest.Item] = []
    left: List[pytest.Item] = []
    for item in items:
        alone = any(item.get_closest_marker(mark) for mark in MARKS)
        (kept if alone == (turn == "alone") else left).append(item)
    # A file is one process's from its beginning on: the longest first, so that both processes end at about the same time.
    slow = Counter(item.path for item in kept if item.get_closest_marker("slow"))
    items[:] = sorted(kept, key=lambda item: -slow[item.path])
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note in the report that this is not the first run of a test."""
    runs = getattr(item, "execution_count", 1)
    if runs > 1:
        item.user_properties = [each for each in item.user_properties if each[0] != AGAIN] + [(AGAIN, runs - 1)]


def count(report: Path) -> Tuple[int, int, int, List[str]]:
    """How many tests of a JUnit report passed, failed and were skipped, and which were run again."""
    root = tree.parse(report).getroot()
    total = bad = skipped = 0
    for suite in root.iter("testsuite"):
        total += int(suite.get("tests", 0))
        bad += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    again = ["%s::%s" % (case.get("classname"), case.get("name")) for case in root.iter("testcase")
             if case.find("properties/property[@name='%s']" % AGAIN) is not None]
    return max(total - bad - skipped, 0), bad, skipped, again


def main(reports: List[str]) -> int:
    """The command line; returns the exit status."""
    counts = [count(Path(each)) for each in reports if Path(each).exists()]
    again = [name for each in counts for name in each[3]]
    sys.stdout.write("%d %d %d\n" % tuple(sum(each[part] for each in counts) for part in range(3)))  # type: ignore[misc]
    sys.stdout.write("".join(name + "\n" for name in again))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
