# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's installation of itself: from the archive that the controller makes, once, whole, beside other versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import pytest

import collection
from ansible_collections.coracle.containers.plugins.plugin_utils import engine_archive

PLUGINS = collection.collections_path() / "ansible_collections/coracle/containers/plugins"
PACKAGE = "ansible_collections.coracle.containers.plugins.module_utils"
USE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from %(package)s import bootstrap
from %(package)s.engine import errors
from %(package)s.engine.instance import Instance
bootstrap.engine.__path__ = []  # what else a module carries of it is not to serve
%%s
bootstrap.use_engine(Instance(sys.argv[2]), install=sys.argv[3] == "install", keep=False)
from %(package)s.engine.kernel import syscalls
print(syscalls.__file__)
print(syscalls.__cached__ or "")
""" % {"package": PACKAGE}


class Shipped(NamedTuple):
    """An engine as a module is told of it."""

    identity: str
    archive: str

    def environment(self) -> Dict[str, str]:
        """Of the module."""
        return {**os.environ, "CORACLE_ENGINE": self.identity, "CORACLE_ENGINE_ARCHIVE": self.archive}


@pytest.fixture
def bundle(tmp_path: Path) -> Shipped:
    """The engine of this checkout."""
    return Shipped(engine_archive.identity(), engine_archive.archive(str(tmp_path)))


def newer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    """Another one."""
    shutil.copytree(engine_archive.SOURCE, folder / "newer", ignore=shutil.ignore_patterns("__pycache__"))
    with open(folder / "newer" / "engine" / "plan.py", "a", encoding="utf-8") as stream:
        stream.write("\nNEWER = True\n")
    monkeypatch.setattr(engine_archive, "SOURCE", str(folder / "newer"))
    monkeypatch.setattr(engine_archive, "identity", engine_archive.identity.__wrapped__)
    return Shipped(engine_archive.identity(), engine_archive.archive(str(folder)))


def run(bundle: Shipped, state: Path, how: str = "install", before: str = "") -> subprocess.CompletedProcess[str]:
    """Use the engine in a fresh process."""
    return subprocess.run([sys.executable, "-IS", "-c", USE % before, str(collection.collections_path()), str(state), how],
                          env=bundle.environment(), capture_output=True, text=True, check=False)


def use(bundle: Shipped, state: Path, how: str = "install", before: str = "") -> Tuple[str, str]:
    """Where the kernel layer is loaded from in a fresh process, and its bytecode."""
    done = run(bundle, state, how, before)
    assert done.returncode == 0, done.stderr
    source, cached = done.stdout.split("\n")[:2]
    return source, cached


def versions(state: Path) -> List[str]:
    """The installed ones."""
    return sorted(name for name in os.listdir(state / "engine") if name != "current")


def test_the_engine_is_installed_once_and_then_used(bundle: Shipped, tmp_path: Path) -> None:
    source, cached = use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    assert source == str(folder / "engine/kernel/syscalls.py")
    assert os.path.getsize(cached) > 0
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert use(bundle, tmp_path / "state") == (source, cached)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written


def test_all_of_the_engine_is_installed_as_it_was_shipped(bundle: Shipped, tmp_path: Path) -> None:
    use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    installed = tmp_path / "state" / "engine" / version
    shipped = PLUGINS / "module_utils"
    names = sorted(name for name in (path.relative_to(shipped).as_posix() for path in shipped.rglob("*.py"))
                   if name.startswith(("engine/", "options/")) or name in engine_archive.FILES)
    assert names == sorted(path.relative_to(installed).as_posix() for path in installed.rglob("*.py")
                           if path.name != "__init__.py")
    for name in names:
        assert (installed / name).read_bytes() == (shipped / name).read_bytes()
    compiled = [path for path in installed.rglob("*.pyc") if not path.name.startswith("__init__")]
    assert len(compiled) == len(names)


def test_a_task_takes_all_that_it_needs_out_of_one_file(bundle: Shipped, tmp_path: Path) -> None:
    use(bundle, tmp_path / "state")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from %s import bootstrap
finder = bootstrap._finder
searched = []
finder.find_spec = lambda name, *_more: searched.append(name)
resource = bootstrap.bring("container.resource")
print(sorted(name for name in searched if name.startswith(bootstrap.__package__)), resource.plan.__code__.co_filename)
print(bootstrap.__package__ + ".engine.container.steps" in sys.modules)
""" % PACKAGE
    done = subprocess.run([sys.executable, "-IS", "-c", script, str(collection.collections_path())], capture_output=True, text=True,
                          check=True, env={**bundle.environment(), "CORACLE_STATE_ROOT": str(tmp_path / "state")})
    [version] = versions(tmp_path / "state")
    assert done.stdout == "[] %s\nFalse\n" % (tmp_path / "state/engine" / version / "engine/container/resource.py")


def test_without_an_archive_it_says_that_the_engine_is_missing(bundle: Shipped, tmp_path: Path) -> None:
    done = run(bundle._replace(archive=""), tmp_path / "state")
    assert done.returncode == 1
    assert "the engine is not on this host" in done.stderr
    assert not (tmp_path / "state").exists()
    use(bundle, tmp_path / "state")
    source, _cached = use(bundle._replace(archive=""), tmp_path / "state")
    assert source.startswith(str(tmp_path / "state"))


def test_the_archive_of_another_engine_is_refused(bundle: Shipped, tmp_path: Path) -> None:
    done = run(bundle._replace(identity="0" * 32), tmp_path / "state")
    assert done.returncode == 1
    assert "is not that of the engine " + "0" * 32 in done.stderr
    assert [name for name in versions(tmp_path / "state") if not name.endswith(".part")] == []


def test_check_mode_installs_nothing(bundle: Shipped, tmp_path: Path) -> None:
    source, _cached = use(bundle, tmp_path / "state", "check")
    assert source.startswith(bundle.archive)
    assert not (tmp_path / "state").exists()


def test_versions_stand_beside_each_other_and_the_last_used_is_current(
        bundle: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    old, new = bundle, newer(tmp_path, monkeypatch)
    first, _cached = use(old, state)
    second, _cached = use(new, state)
    assert len(versions(state)) == 2
    assert first != second
    assert Path(first).exists()
    current = state / "engine" / "current"
    assert str(current.resolve()) + "/" in second
    use(old, state)
    assert str(current.resolve()) + "/" in first


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_that_others_may_write_is_refused(bundle: Shipped, tmp_path: Path, mode: int) -> None:
    use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    (tmp_path / "state" / "engine" / version).chmod(mode)
    done = run(bundle, tmp_path / "state")
    assert done.returncode == 1
    assert "Conflict" in done.stderr
    assert "may be written by others" in done.stderr


def test_a_link_in_place_of_the_folder_is_refused(bundle: Shipped, tmp_path: Path) -> None:
    use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    done = run(bundle, tmp_path / "state")
    assert "may be written by others" in done.stderr


@pytest.mark.parametrize("after", [0, 3, 10])
def test_an_installation_that_is_killed_is_done_again(bundle: Shipped, tmp_path: Path, after: int) -> None:
    state = tmp_path / "state"
    kill = """
bootstrap._look_in(os.environ["CORACLE_ENGINE_ARCHIVE"])
from %s.engine.store import files
left = [%d]
def write(*arguments, **options):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return real(*arguments, **options)
real, files.write = files.write, write
""" % (PACKAGE, after)
    done = run(bundle, state, before=kill)
    assert done.returncode == 9
    assert [name for name in versions(state) if not name.endswith(".part")] == []
    source, _cached = use(bundle, state)
    [version] = versions(state)
    assert version in source


def test_two_runs_at_once_install_one_version(bundle: Shipped, tmp_path: Path) -> None:
    command = [sys.executable, "-IS", "-c", USE % "", str(collection.collections_path()), str(tmp_path / "state"), "install"]
    runs = [subprocess.Popen(command, env=bundle.environment(), stdout=subprocess.PIPE, text=True) for _each in range(4)]
    said = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    assert len(said) == 1
    assert len(versions(tmp_path / "state")) == 1


def test_the_umask_of_the_task_does_not_matter(bundle: Shipped, tmp_path: Path) -> None:
    use(bundle, tmp_path / "state", before="os.umask(0o077)")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    assert oct(folder.stat().st_mode & 0o777) == "0o755"
    assert oct((folder / "engine" / "kernel").stat().st_mode & 0o777) == "0o755"


def test_bytecode_names_the_final_place_in_tracebacks(bundle: Shipped, tmp_path: Path) -> None:
    import marshal
    source, cached = use(bundle, tmp_path / "state")
    code = marshal.loads(Path(cached).read_bytes()[16:])
    assert code.co_filename == source
    shutil.rmtree(tmp_path / "state")
