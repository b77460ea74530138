# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes each defence of the engine out in turn and shows that the tests that guard it then fail.

    scripts/mutate.sh [--page] [WORD...]

With words, only those defences that have one of them in their name. All of it
happens in a private copy of the tree. With --page the report is written to
docs/security-mutations.md, in which what was not run keeps its last verdict.
Ends with 1 if a defence could be taken out unseen.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as tree
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import advisories
from mutations import ENGINE, MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security-mutations.md"
LIMIT = 600
"""Seconds for the tests of one defence."""


class Verdict(NamedTuple):
    """How the tests of a defence ended without it.

    Attributes:
        failed, passed: Names of tests.
        seconds: For all of them.
    """

    failed: Tuple[str, ...]
    passed: Tuple[str, ...]
    seconds: float


def copy(folder: Path) -> None:
    """Copy what git knows of the tree, with changes that are not committed."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        source, target = ROOT / name, folder / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def changed(mutation: Mutation, folder: Path) -> Dict[Path, str]:
    """The files of a tree with the defence taken out.

    Raises:
        LookupError: The text of an edit is not there, or more than once.
        SyntaxError: What comes out is no Python.
    """
    contents: Dict[Path, str] = {}
    for edit in mutation.edits:
        path = folder / ENGINE / edit.file
        text = contents.get(path) or path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise LookupError("%s: this is there %d times, not once: %s" % (edit.file, text.count(edit.old), edit.old))
        contents[path] = text.replace(edit.old, edit.new)
        ast.parse(contents[path])
    return contents


def run(folder: Path, tests: Tuple[str, ...], limit: float = LIMIT) -> Verdict:
    """Run tests in a tree; a test that ends by an error of its fixtures counts as passed: its guard has not spoken.

    Raises:
        RuntimeError: A test was not run.
    """
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    begin = time.monotonic()
    environment = {**os.environ, "CORACLE_TEST_CHECKOUT": "1", "CORACLE_ATTACK_SECONDS": "2"}
    environment.pop("CORACLE_TEST_INSTALLED", None)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--junit-xml", str(report), "--timeout=120",
                           *("tests/security/" + each for each in tests)], cwd=folder, env=environment, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
    if not report.exists():
        raise RuntimeError(done.stdout[-3000:])
    failed, passed = [], []
    for case in tree.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            raise RuntimeError("%s was skipped" % case.get("name"))
        (failed if case.find("failure") is not None else passed).append("%s.py::%s" % (
            str(case.get("classname")).rpartition(".")[2], case.get("name")))
    if len(set(failed + passed)) != len(set(tests)):
        raise RuntimeError("not all tests were run:\n%s" % done.stdout[-3000:])
    return Verdict(tuple(failed), tuple(dict.fromkeys(each for each in passed if each not in failed)), time.monotonic() - begin)


def guarded() -> Iterator[Tuple[str, str, Tuple[str, ...]]]:
    """File, name and advisories of each test, as its decorator names them."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names = [argument.value for mark in node.decorator_list if isinstance(mark, ast.Call)
                         and ast.unparse(mark.func) == "pytest.mark.advisory" for argument in mark.args
                         if isinstance(argument, ast.Constant)]
                yield path.name, node.name, tuple(str(each) for each in names)


def told(text: str) -> Dict[str, str]:
    """What a page says of each defence."""
    rows = [line.strip("|\n ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[-1] for row in rows if len(row) == 4}


def page(verdicts: Dict[str, str]) -> str:
    """The report as a page.

    Args:
        verdicts: By defence.
    """
    by_advisory: Dict[str, List[str]] = {}
    of_test: Dict[str, Tuple[str, ...]] = {}
    for file, name, names in guarded():
        of_test["%s::%s" % (file, name)] = names
        for each in names:
            by_advisory.setdefault(each, []).append("%s::%s" % (file, name))
    lines = [
        "# Escapes, defences, and what guards them", "",
        "Made by `scripts/mutate.sh --page`. All names of tests are of `tests/security`.", "",
        "## Defences taken out", "",
        "Each defence was taken out of a private copy of the engine, and the tests that guard it were run there. *caught* means that each",
        "of them failed. With all defences in place all of them pass.", "",
        "| defence | advisories | tests | verdict |", "|---|---|---|---|"]
    for mutation in MUTATIONS:
        bare = dict.fromkeys(each.partition("[")[0] for each in mutation.tests)
        names = dict.fromkeys(name for each in bare for name in of_test[each])
        lines.append("| %s | %s | %s | %s |" % (mutation.defence, ", ".join(names) or "–", "<br>".join("`%s`" % each for each in bare),
                                                verdicts.get(mutation.defence, "not run")))
    lines += ["", "## Published escapes and their tests", "", "| advisory | tests |", "|---|---|"]
    lines += ["| %s | %s |" % (name, "<br>".join("`%s`" % each for each in tests)) for name, tests in sorted(by_advisory.items())]
    lines += ["", "## Published escapes that have no test here", "", "| advisory | why |", "|---|---|"]
    lines += ["| %s | %s |" % (name, why) for name, why in advisories.ELSEWHERE.items()]
    return "\n".join(lines) + "\n"


def main(arguments: List[str]) -> int:
    """Run all, or those whose names hold one of the words."""
    words = [each for each in arguments if not each.startswith("-")]
    chosen = [each for each in MUTATIONS if not words or any(word.lower() in each.defence.lower() for word in words)]
    folder = Path(tempfile.mkdtemp(prefix="mutation-"))
    folder.chmod(0o755)
    survivors = 0
    verdicts = told(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    try:
        copy(folder)
        every = tuple(dict.fromkeys(test for each in chosen for test in each.tests))
        whole = run(folder, every, LIMIT * 3)
        sys.stdout.write("with all defences: %d tests pass, %d fail (%d s)\n" % (len(whole.passed), len(whole.failed), whole.seconds))
        if whole.failed:
            sys.stdout.write("".join("  FAILED %s\n" % each for each in whole.failed))
            return 1
        for mutation in chosen:
            contents = changed(mutation, folder)
            before = {path: path.read_bytes() for path in contents}
            try:
                for path, text in contents.items():
                    path.write_text(text, encoding="utf-8")
                verdict = run(folder, mutation.tests)
                verdicts[mutation.defence] = "**survived**" if verdict.passed else "caught"
            finally:
                for path, content in before.items():
                    path.write_bytes(content)
            survivors += bool(verdict.passed)
            sys.stdout.write("%-8s %s (%d s)\n" % ("SURVIVED" if verdict.passed else "caught", mutation.defence, verdict.seconds))
            sys.stdout.write("".join("         passes without it: %s\n" % each for each in verdict.passed))
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if "--page" in arguments:
        PAGE.write_text(page(verdicts), encoding="utf-8")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
