# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration's builder: which apt sources it takes, and what the embedded root filesystem holds."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Dict, List

import pytest

FILES = Path(__file__).resolve().parents[3] / "roles" / "demonstration" / "files"


@pytest.fixture(scope="module")
def rootfs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rootfs", FILES / "rootfs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entries(found: List[Dict[str, str]]) -> List[str]:
    return ["%s|%s|%s|%s" % (each["options"], each["uri"], each["suite"], each["components"].strip()) for each in found]


def test_one_line_style(rootfs: ModuleType) -> None:
    text = ("# deb http://off.example bookworm main\n"
            "deb http://deb.example/debian bookworm main contrib  # the archive\n"
            "deb [arch=amd64 signed-by=/k.gpg]  http://sec.example trixie-security main\n"
            "deb-src http://deb.example/debian bookworm main\n")
    assert entries(list(rootfs.one_line(text))) == [
        "|http://deb.example/debian|bookworm|main contrib",
        "[arch=amd64 signed-by=/k.gpg] |http://sec.example|trixie-security|main"]


def test_deb822_style(rootfs: ModuleType) -> None:
    text = ("Types: deb deb-src\n# a comment\nURIs: http://a.example http://b.example\nSuites: bookworm\n bookworm-updates\n"
            "Components: main\nSigned-By: /usr/share/keyrings/k.gpg\n"
            "\n"
            "Types: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\nEnabled: no\n"
            "\n"
            "Types: deb-src\nURIs: http://source.example\nSuites: bookworm\nComponents: main\n")
    signed = "[signed-by=/usr/share/keyrings/k.gpg] "
    assert entries(list(rootfs.stanzas(text))) == [
        signed + "|http://a.example|bookworm|main", signed + "|http://a.example|bookworm-updates|main",
        signed + "|http://b.example|bookworm|main", signed + "|http://b.example|bookworm-updates|main"]


def test_suite_and_uri(rootfs: ModuleType) -> None:
    assert rootfs.suite_and_uri("deb [signed-by=/k.gpg trusted=yes] http://a.example trixie main") == ["trixie", "http://a.example"]
    assert rootfs.suite_and_uri("deb http://a.example trixie main") == ["trixie", "http://a.example"]


def test_embedded_is_the_same_each_time_and_whole(tmp_path: Path) -> None:
    for name in ("one", "two"):
        subprocess.run([sys.executable, str(FILES / "rootfs.py"), str(FILES / "app.py"), str(tmp_path / name), "embedded"],
                       check=True, capture_output=True)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as tar:
        members = {member.name: member for member in tar}
        program = tar.extractfile("srv/app.py")
        assert program is not None and program.read() == (FILES / "app.py").read_bytes()
    assert {"usr/bin/python3", "data", "proc", "tmp"} <= set(members)
    assert members["tmp"].mode == 0o1777
    assert not [member for member in members.values() if member.uid or member.gid or member.isdev()]
    assert [name for name in members if name.endswith("/urllib/request.py")]


def test_a_source_of_another_release_is_an_error_that_says_so(rootfs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs.os, "listdir", lambda _path: [])
    monkeypatch.setattr(rootfs.os.path, "isfile", lambda _path: False)
    with pytest.raises(rootfs.Failed, match="has no source for the release"):
        rootfs.sources()
