# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime installed from a checkout by its one command, and taken away again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest
from bundles import Bundle, config
from hosts import MANAGED_PYTHON, Host

INSTALLER = Path(__file__).resolve().parents[3] / "scripts" / "install_runtime.py"


def install(*options: Any, python: str = sys.executable) -> "subprocess.CompletedProcess[str]":
    """Run the installer as a user would."""
    return subprocess.run([python, str(INSTALLER), "--no-seal", *map(str, options)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


def below(folder: Path) -> List[str]:
    """All that is below a folder, folders aside."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def test_it_runs_from_any_prefix_with_bytecode_and_leaves_nothing(shared_host: Host, tmp_path: Path) -> None:
    prefix, bundle = tmp_path / "a prefix", Bundle(tmp_path / "bundle")
    done = install("--prefix", prefix, "--python", MANAGED_PYTHON)
    command = prefix / "bin" / "coracle"
    assert (done.returncode, done.stdout) == (0, "%s\n" % command), done.stderr
    assert len(list(prefix.rglob("*.pyc"))) == len(list(prefix.rglob("*.py"))) > 100
    written = {path: path.stat().st_mtime_ns for path in prefix.rglob("*")}
    assert install("--prefix", prefix, "--python", MANAGED_PYTHON).returncode == 0

    document = config(args=["echo", "from a prefix"])
    document["linux"]["cgroupsPath"] = shared_host.cgroup_root + "/installed"
    bundle.write(document)
    ran = shared_host.run([command, "--root", tmp_path / "states", "run", "-b", bundle.folder, "c"])
    assert ran.stdout == "from a prefix\n"
    assert {path: path.stat().st_mtime_ns for path in prefix.rglob("*")} == written  # nothing more was compiled

    assert install("--prefix", prefix, "--uninstall").returncode == 0
    assert below(prefix) == []
    assert install("--prefix", prefix, "--uninstall").returncode == 0


def test_it_takes_no_python_that_is_too_old_and_no_place_of_another(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    old.chmod(0o755)
    refused = install("--prefix", tmp_path / "p", "--python", old)
    assert refused.returncode == 2 and "3.9 or newer" in refused.stderr
    (tmp_path / "p" / "bin").mkdir(parents=True)
    (tmp_path / "p" / "bin" / "coracle").write_text("somebody's own", encoding="ascii")
    refused = install("--prefix", tmp_path / "p")
    assert refused.returncode == 1 and "was not installed by this" in refused.stderr
    install("--prefix", tmp_path / "p", "--uninstall")
    assert below(tmp_path / "p") == ["bin/coracle"]


def test_another_python_gets_a_version_of_its_own(tmp_path: Path) -> None:
    if os.path.samefile(sys.executable, MANAGED_PYTHON):
        pytest.skip("there is one Python here")
    for python in (MANAGED_PYTHON, sys.executable):
        assert install("--prefix", tmp_path, "--python", python).returncode == 0
        said = subprocess.run([tmp_path / "bin" / "coracle", "features"], capture_output=True, text=True, check=True).stdout
        assert json.loads(said)["ociVersionMin"] == "1.0.0"
        launcher = (tmp_path / "bin" / "coracle").read_text(encoding="ascii")
        assert "python='%s'\n" % os.path.realpath(python) in launcher


def test_it_keeps_a_sealed_interpreter_until_it_is_taken_away(shared_host: Host, tmp_path: Path) -> None:
    place = "/run/coracle/interpreter/bin/" + os.path.basename(os.path.realpath(MANAGED_PYTHON))
    shared_host.run([MANAGED_PYTHON, INSTALLER, "--prefix", tmp_path])
    assert shared_host.call(lambda: os.statvfs(place).f_flag) & os.ST_RDONLY
    shared_host.run([MANAGED_PYTHON, INSTALLER, "--prefix", tmp_path, "--uninstall"])
    assert not shared_host.call(os.path.exists, "/run/coracle/interpreter")


def test_what_a_verb_needs_is_imported_in_one_piece(shared_host: Host, tmp_path: Path) -> None:
    """Modules that are found one by one cost a fifth of a cold start, so that the list of them has to stay complete."""
    prefix, bundle = tmp_path / "prefix", Bundle(tmp_path / "bundle")
    shared_host.run([MANAGED_PYTHON, INSTALLER, "--prefix", prefix])  # sealed there, as the verbs that make containers want it
    document = config(args=["sleep", "1000"])
    document["linux"]["cgroupsPath"] = shared_host.cgroup_root + "/together"
    bundle.write(document)
    command = (prefix / "bin" / "coracle").resolve()
    told = command.read_text(encoding="utf-8").replace(" -IS ", " -X importtime -IS ")
    assert told.count("importtime") == 1
    command.with_name("told").write_text(told, encoding="utf-8")
    for words in (["create", "-b", bundle.folder, "c"], ["start", "c"], ["state", "c"], ["exec", "c", "true"], ["kill", "c", "KILL"],
                  ["delete", "--force", "c"]):
        done = shared_host.run(["sh", "-c", 'exec "$@" > /dev/null 2> %s' % (tmp_path / "told"), "-", "sh", command.with_name("told"),
                                "--root", tmp_path / "states", *words])
        lines = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
        one_by_one = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        assert one_by_one, done
        assert not {each for each in one_by_one if each.startswith("engine")}, words
        if words[0] in ("create", "start", "exec"):
            assert not one_by_one & {"typing", "re", "enum", "functools", "collections", "contextlib"}, words
