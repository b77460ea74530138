# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock per object."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import locks


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(str(tmp_path / "state"), str(tmp_path / "run"))


@pytest.fixture
def forked() -> Iterator[Callable[[Callable[[], None]], int]]:
    """Runs a function in a child; children end with the test."""
    children: List[int] = []

    def fork(function: Callable[[], None]) -> int:
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(ready)
                function()
            finally:
                os._exit(0)
        os.close(tell)
        os.close(ready)
        children.append(child)
        return child
    yield fork
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def holder(instance: Instance, name: str, forked: Callable[[Callable[[], None]], int], shared: bool = False) -> int:
    """A child that holds a lock until it is killed."""
    got, tell = os.pipe()

    def hold() -> None:
        with locks.held(instance, "container", name, shared):
            os.write(tell, b"x")
            time.sleep(600)
    child = forked(hold)
    os.close(tell)
    assert os.read(got, 1) == b"x"
    os.close(got)
    return child


def comes(instance: Instance, name: str, kind: str = "container", shared: bool = False, seconds: float = 60) -> bool:
    """Whether one gets a lock within a time."""
    def alarm(*_arguments: object) -> None:
        raise TimeoutError
    old = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with locks.held(instance, kind, name, shared):
            return True
    except TimeoutError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_two_cannot_hold_one(instance: Instance, forked: Callable[[Callable[[], None]], int]) -> None:
    holder(instance, "web", forked)
    assert not comes(instance, "web", seconds=0.3)
    assert not comes(instance, "web", shared=True, seconds=0.3)
    assert comes(instance, "other")
    assert comes(instance, "web", kind="network")


def test_readers_share(instance: Instance, forked: Callable[[Callable[[], None]], int]) -> None:
    holder(instance, "web", forked, shared=True)
    assert comes(instance, "web", shared=True)
    assert not comes(instance, "web", seconds=0.3)


def test_the_death_of_the_holder_frees_it(instance: Instance, forked: Callable[[Callable[[], None]], int]) -> None:
    child = holder(instance, "web", forked)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert comes(instance, "web")


def test_a_child_of_the_holder_does_not_keep_it(instance: Instance, forked: Callable[[Callable[[], None]], int]) -> None:
    with locks.held(instance, "container", "web"):
        forked(lambda: time.sleep(600))
    assert comes(instance, "web")


def test_an_error_frees_it(instance: Instance) -> None:
    with pytest.raises(ZeroDivisionError), locks.held(instance, "container", "web"):
        raise ZeroDivisionError
    assert comes(instance, "web")


@pytest.mark.parametrize("names", [("a/b", "a%2Fb"), ("x" * 300, "x" * 301), ("", "."), ("ü" * 150, "ü" * 151),
                                   ("..", "../..")])
def test_any_text_is_a_name_and_different_names_are_different_locks(instance: Instance, names: "tuple[str, str]",
                                                                    forked: Callable[[Callable[[], None]], int]) -> None:
    holder(instance, names[0], forked)
    assert not comes(instance, names[0], seconds=0.3)
    assert comes(instance, names[1])
    assert [path.parent.name for path in Path(instance.run_root).rglob("*") if path.is_file()] == ["locks", "locks"]


def test_instances_do_not_wait_for_each_other(instance: Instance, forked: Callable[[Callable[[], None]], int]) -> None:
    holder(instance, "web", forked)
    assert comes(Instance(instance.state_root, instance.run_root + "2"), "web")


def test_nobody_else_can_take_locks(instance: Instance) -> None:
    with locks.held(instance, "container", "web"):
        folder = Path(instance.run("locks"))
        assert folder.stat().st_mode & 0o077 == 0
        assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0]
