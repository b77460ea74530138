# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies into a container and out of it while a process in there moves folders about: nothing comes from or goes to the host."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.transfer import entries, sources, writing
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import paths
from attacks import SECONDS, Ground, attempt, outward, swapped
from waiting import PATIENCE

ROUNDS = 500
MANNER = entries.Manner(None, None, (0, 0), None, None, True, 0o7777, None)


class Tree(sources.Text):
    """A folder with a folder with a file."""

    def __init__(self, name: str) -> None:
        super().__init__(b"mine")
        self.entries = [entries.Entry("", entries.FOLDER, 0o755), entries.Entry("sub", entries.FOLDER, 0o755),
                        entries.Entry("sub/" + name, entries.FILE, 0o644, size=4)]


def rounds(folder: Path, link: Path, step: Callable[[str], Any]) -> Tuple[List[Any], int]:
    """Take a step again and again while a folder and a link are exchanged; what it returned, and how often it was refused."""
    good: List[Any] = []
    bad, until = 0, time.monotonic() + SECONDS
    with swapped(folder, link):
        while len(good) + bad < ROUNDS or time.monotonic() < until or len(good) <= 10 and time.monotonic() < until + PATIENCE:
            done = attempt(lambda: step(str(len(good) + bad)))  # noqa: B023
            if done == "done" or isinstance(done, list):
                good.append(done)
            else:
                bad += 1
    return good, bad


def prepared(plain: Ground, trap: Path) -> Tuple[Path, Path]:
    """A tree in the attacker's root, and a link beside it that takes the place of a folder in it."""
    folder, link = plain.root / "tree" / "sub", plain.root / "link"
    folder.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outward(trap))
    return folder, link


@pytest.mark.advisory("CVE-2018-15664")
def test_what_is_copied_in_stays_inside(plain: Ground) -> None:
    trap = plain.volume("trap")
    os.chmod(trap, 0o755)

    def scenario() -> Tuple[int, int]:
        folder, link = prepared(plain, trap)
        root = paths.Seen(str(plain.root))

        def step(name: str) -> str:
            source, place = Tree("f" + name), entries.Place(root, "/tree", True)
            writing.Writer(source, place, (0, 0)).run(entries.compare(source, place, MANNER))
            return "done"
        good, bad = rounds(folder, link, step)
        return len(good), bad
    good, bad = plain.inside(scenario)
    assert good > 10 and bad > 10, (good, bad)
    assert list(trap.iterdir()) == [] and trap.stat().st_mode & 0o777 == 0o755
    left = [each for each in (plain.root / "tree").rglob("*") if each.name.startswith(".coracle")]
    assert len(left) <= bad  # what was begun in a folder that was moved away then is the attacker's to keep


@pytest.mark.advisory("CVE-2018-15664")
def test_what_is_copied_out_comes_from_inside(plain: Ground) -> None:
    trap = plain.volume("trap")
    (trap / "file").write_text("the host's", encoding="utf-8")

    def scenario() -> Tuple[int, int, List[str]]:
        folder, link = prepared(plain, trap)
        (folder / "file").write_text("mine", encoding="utf-8")
        root = paths.Seen(str(plain.root))

        def step(_name: str) -> List[str]:
            source = sources.Files(entries.Place(root, "/tree", True))
            found = []
            for each in source.entries:
                if each.kind == entries.FILE:
                    with source.open(each) as stream:
                        found.append(stream.read().decode())
            return found
        good, bad = rounds(folder, link, step)
        return len(good), bad, sorted({text for each in good for text in each})
    good, bad, texts = plain.inside(scenario)
    assert good > 10 and good + bad >= ROUNDS
    assert set(texts) <= {"mine"}


def test_devices_are_not_opened(plain: Ground) -> None:
    """A device in the place of a file: the host would act on it with the host's rights."""
    def scenario() -> List[str]:
        os.mknod(plain.root / "device", 0o020666, os.makedev(1, 5))
        os.mkfifo(plain.root / "fifo")
        root = paths.Seen(str(plain.root))
        said = [str(attempt(partial(sources.Files, entries.Place(root, "/" + name, True)))) for name in ("device", "fifo")]
        tree = sources.Files(entries.Place(root, "/", True))
        return said + [each for each in tree.skipped if each in ("/device", "/fifo")]
    said = plain.inside(scenario)
    assert "neither a file" in said[0] and "neither a file" in said[1] and said[2:] == ["/device", "/fifo"]
