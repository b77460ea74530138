# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests run beside others, which by themselves, and which are run again when they fail.

    scripts/test.sh calls pytest twice: with C(--turn together) in three processes at once, then with C(--turn alone); and
    once more for those that failed.

    python turns.py REPORT...         counts what JUnit reports tell: passed, failed, skipped; then the names of what was run again.
                                      The last of them is right about a test that several have.
    python turns.py --few REPORT...   succeeds if so few tests failed that it may have been by accident
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as tree
from collections import Counter
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple

import pytest

MARKS = ("alone", "measures")
"""Tests with one of these marks (pyproject.toml says what they mean) run by themselves."""
RERUNS = 2
"""How often a test that measures is run again at most."""
AGAIN = "run again"
"""The property of a test in a JUnit report that says how often it was."""
LAST = "-once-more.xml"
"""How the name of a report ends that has what was run again."""
FEW = 20
"""How many tests may fail by accident, of a machine's load, and are run once more."""


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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell a run that was ended before its end, by the limit of its time, from one in which tests failed."""
    if session.shouldfail:
        session.exitstatus = pytest.ExitCode.INTERRUPTED


class Verdict(NamedTuple):
    """What a report says of a test: C(passed), C(failed) or C(skipped), and whether it was run again."""

    outcome: str
    again: bool


def verdicts(reports: Iterable[Path]) -> Dict[str, Verdict]:
    """What JUnit reports say of each test, by its name; of a test in several of them the last one's, which ran it again."""
    found: Dict[str, Verdict] = {}
    for report in reports:
        here: Dict[str, Verdict] = {}
        for case in tree.parse(report).getroot().iter("testcase"):
            name = "%s::%s" % (case.get("classname"), case.get("name"))
            failed = case.find("failure") is not None or case.find("error") is not None
            failed = failed or name in here and here[name].outcome == "failed"  # its end has an entry of its own
            outcome = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
            again = name in found or case.find("properties/property[@name='%s']" % AGAIN) is not None
            here[name] = Verdict(outcome, again)
        found.update(here)
    return found


def main(arguments: List[str]) -> int:
    """The command line; returns the exit status."""
    found = verdicts(Path(each) for each in sorted(arguments, key=lambda each: each.endswith(LAST)) if Path(each).exists())
    count = Counter(each.outcome for each in found.values())
    if arguments[:1] == ["--few"]:
        return int(not 0 < count["failed"] <= FEW)
    sys.stdout.write("%d %d %d\n" % (count["passed"], count["failed"], count["skipped"]))
    sys.stdout.write("".join(name + "\n" for name, each in found.items() if each.again))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
