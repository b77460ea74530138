# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the reports of several runs of the tests become one verdict for each test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

TURNS = Path(__file__).parents[2] / "turns.py"
TESTS = '''
import os, time, pytest

@pytest.fixture
def untidy():
    yield
    assert "AGAIN" in os.environ

def test_good(): pass
def test_bad(): assert False
def test_accident(): assert "AGAIN" in os.environ
def test_leaves_something(untidy): pass
def test_worse(untidy): assert False
def test_left_out(): pytest.skip("not here")
'''


def tell(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(TURNS), *map(str, arguments)], capture_output=True, text=True, check=False)


def run(folder: Path, report: str, *arguments: str, again: bool = False) -> int:
    """One run of pytest over the file in C(folder), with this project's plugin; its exit status."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(TURNS.parent), **({"AGAIN": "1"} if again else {})}
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "turns", "-c", "/dev/null", "--rootdir", str(folder),
                           "-o", "cache_dir=" + str(folder / "cache"), "--junit-xml", str(folder / report),
                           *arguments, str(folder / "test_it.py")],
                          cwd=folder, env=environment, capture_output=True, check=False).returncode


@pytest.fixture
def reports(tmp_path: Path) -> List[Path]:
    """Of a first run, and of one of what failed in it, in which less fails."""
    (tmp_path / "test_it.py").write_text(TESTS)
    assert run(tmp_path, "it-together.xml") == 1
    assert run(tmp_path, "it-once-more.xml", "--last-failed", again=True) == 1
    return [tmp_path / "it-once-more.xml", tmp_path / "it-together.xml"]


def test_the_last_run_is_right_and_what_was_run_again_is_named(reports: List[Path]) -> None:
    assert tell(reports[1]).stdout == "1 4 1\n"
    said = tell(*reports).stdout.splitlines()
    assert said[0] == "3 2 1"
    assert [each.rpartition("::")[2] for each in said[1:]] == ["test_bad", "test_accident", "test_leaves_something", "test_worse"]


def test_only_a_few_failures_may_be_an_accident(reports: List[Path], tmp_path: Path) -> None:
    assert tell("--few", *reports).returncode == 0
    (tmp_path / "test_it.py").write_text("def test_good(): pass\n")
    assert run(tmp_path, "good.xml") == 0
    assert tell("--few", tmp_path / "good.xml").returncode == 1, "nothing failed, and yet the run did"
    (tmp_path / "test_it.py").write_text("".join("def test_%d(): assert False\n" % each for each in range(21)))
    assert run(tmp_path, "bad.xml") == 1
    assert tell("--few", tmp_path / "bad.xml").returncode == 1


def test_a_run_whose_time_is_up_is_told_from_one_with_failures(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import time\ndef test_one(): time.sleep(0.2)\ndef test_two(): pass\n")
    assert run(tmp_path, "late.xml", "--session-timeout", "0.1") == int(pytest.ExitCode.INTERRUPTED)
