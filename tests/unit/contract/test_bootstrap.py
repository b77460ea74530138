# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's installation of itself: from a real payload, once, whole, beside other versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import List, Tuple

import pytest

import collection

PLUGINS = collection.collections_path() / "ansible_collections/coracle/containers/plugins"
PACKAGE = "ansible_collections.coracle.containers.plugins.module_utils"
USE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from %(package)s import bootstrap
from %(package)s.engine.instance import Instance
%%s
bootstrap.use_engine(Instance(sys.argv[2]), install=sys.argv[3] == "install")
from %(package)s.engine.kernel import syscalls
from %(package)s.engine import errors
print(syscalls.__file__)
print(syscalls.__cached__ or "")
""" % {"package": PACKAGE}


def payload(target: Path, extra: str = "") -> Path:
    """A zip as Ansible makes it, with all of module_utils; C(extra) is added to one file."""
    with zipfile.ZipFile(target, "w") as bundle:
        packages = set()
        for path in sorted((PLUGINS / "module_utils").rglob("*.py")):
            name = "ansible_collections/coracle/containers/plugins/" + path.relative_to(PLUGINS).as_posix()
            text = path.read_text(encoding="utf-8") + (extra if path.name == "plan.py" else "")
            bundle.writestr(name, text)
            packages.update(str(parent) for parent in Path(name).parents if str(parent) != ".")
        for package in sorted(packages):
            bundle.writestr(package + "/__init__.py", "")
        for name in ("ansible", "ansible/module_utils"):
            bundle.writestr(name + "/__init__.py", "")
    return target


def use(bundle: Path, state: Path, how: str = "install", before: str = "") -> Tuple[str, str]:
    """Where the kernel layer is loaded from in a fresh process, and its bytecode."""
    done = subprocess.run([sys.executable, "-IS", "-c", USE % before, str(bundle), str(state), how],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    source, cached = done.stdout.split("\n")[:2]
    return source, cached


def versions(state: Path) -> List[str]:
    """The installed ones."""
    return sorted(name for name in os.listdir(state / "engine") if name != "current")


def test_the_engine_is_installed_once_and_then_used(tmp_path: Path) -> None:
    bundle = payload(tmp_path / "payload.zip")
    source, cached = use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    assert source == str(folder / "engine/kernel/syscalls.py")
    assert os.path.getsize(cached) > 0
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert use(bundle, tmp_path / "state") == (source, cached)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written


def test_all_of_the_engine_is_installed_as_it_was_shipped(tmp_path: Path) -> None:
    use(payload(tmp_path / "payload.zip"), tmp_path / "state")
    [version] = versions(tmp_path / "state")
    installed = tmp_path / "state" / "engine" / version / "engine"
    shipped = PLUGINS / "module_utils" / "engine"
    names = sorted(path.relative_to(shipped).as_posix() for path in shipped.rglob("*.py"))
    assert names == sorted(path.relative_to(installed).as_posix() for path in installed.rglob("*.py")
                           if path.name != "__init__.py")
    for name in names:
        assert (installed / name).read_bytes() == (shipped / name).read_bytes()
    compiled = [path for path in installed.rglob("*.pyc") if not path.name.startswith("__init__")]
    assert len(compiled) == len(names)


def test_the_checkout_and_the_payload_are_the_same_version(tmp_path: Path) -> None:
    use(payload(tmp_path / "payload.zip"), tmp_path / "state")
    use(collection.collections_path(), tmp_path / "state")
    assert len(versions(tmp_path / "state")) == 1


def test_check_mode_installs_nothing(tmp_path: Path) -> None:
    source, _cached = use(payload(tmp_path / "payload.zip"), tmp_path / "state", "check")
    assert "payload.zip" in source
    assert not (tmp_path / "state").exists()


def test_versions_stand_beside_each_other_and_the_last_used_is_current(tmp_path: Path) -> None:
    state = tmp_path / "state"
    old, new = payload(tmp_path / "old.zip"), payload(tmp_path / "new.zip", "\nNEWER = True\n")
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
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    bundle = payload(tmp_path / "payload.zip")
    use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    (tmp_path / "state" / "engine" / version).chmod(mode)
    done = subprocess.run([sys.executable, "-IS", "-c", USE % "", str(bundle), str(tmp_path / "state"), "install"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Conflict" in done.stderr
    assert "may be written by others" in done.stderr


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    bundle = payload(tmp_path / "payload.zip")
    use(bundle, tmp_path / "state")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    done = subprocess.run([sys.executable, "-IS", "-c", USE % "", str(bundle), str(tmp_path / "state"), "install"],
                          capture_output=True, text=True, check=False)
    assert "may be written by others" in done.stderr


@pytest.mark.parametrize("after", [0, 3, 10])
def test_an_installation_that_is_killed_is_done_again(tmp_path: Path, after: int) -> None:
    bundle = payload(tmp_path / "payload.zip")
    state = tmp_path / "state"
    kill = """
from %s.engine.store import files
left = [%d]
def write(*arguments, **options):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return real(*arguments, **options)
real, files.write = files.write, write
""" % (PACKAGE, after)
    done = subprocess.run([sys.executable, "-IS", "-c", USE % kill, str(bundle), str(state), "install"], check=False)
    assert done.returncode == 9
    assert [name for name in versions(state) if not name.endswith(".part")] == []
    source, _cached = use(bundle, state)
    [version] = versions(state)
    assert version in source


def test_two_runs_at_once_install_one_version(tmp_path: Path) -> None:
    bundle = payload(tmp_path / "payload.zip")
    command = [sys.executable, "-IS", "-c", USE % "", str(bundle), str(tmp_path / "state"), "install"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _each in range(4)]
    said = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    assert len(said) == 1
    assert len(versions(tmp_path / "state")) == 1


def test_the_umask_of_the_task_does_not_matter(tmp_path: Path) -> None:
    use(payload(tmp_path / "payload.zip"), tmp_path / "state", before="os.umask(0o077)")
    [version] = versions(tmp_path / "state")
    folder = tmp_path / "state" / "engine" / version
    assert oct(folder.stat().st_mode & 0o777) == "0o755"
    assert oct((folder / "engine" / "kernel").stat().st_mode & 0o777) == "0o755"


def test_bytecode_names_the_final_place_in_tracebacks(tmp_path: Path) -> None:
    import marshal
    bundle = payload(tmp_path / "payload.zip")
    source, cached = use(bundle, tmp_path / "state")
    code = marshal.loads(Path(cached).read_bytes()[16:])
    assert code.co_filename == source
    shutil.rmtree(tmp_path / "state")
