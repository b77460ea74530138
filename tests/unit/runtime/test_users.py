# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users by the names that an image gives them; hostile images included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Sequence

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.paths import Root
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import users

PASSWD = """# comment
root:x:0:0:root:/root:/bin/sh
1000:x:0:0:trap:/root:/bin/sh
web:x:33:33::/var/www:/bin/false
web:x:0:0:second::
broken:x:abc:1::
huge:x:4294967296:1::/:
minus:x:-1:0::/:
+nis
nohome:x:40:40:::
"""
GROUP = """root:x:0:
web:x:33:
audio:x:29:web,other
1000:x:0:web
video:x:44:web
"""
Resolve = Callable[..., users.User]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text(PASSWD, encoding="ascii")
    (tmp_path / "etc" / "group").write_text(GROUP, encoding="ascii")
    return tmp_path


def resolve(image: Path, user: str, groups: Sequence[str] = ()) -> users.User:
    root = Root(str(image))
    try:
        return users.resolve(root, user, groups)
    finally:
        root.close()


@pytest.mark.parametrize(("user", "expected"), [
    ("", (0, 0, (), "/root", "root")),
    ("root", (0, 0, (), "/root", "root")),
    ("web", (33, 33, (0, 29, 44), "/var/www", "web")),
    ("33", (33, 33, (0, 29, 44), "/var/www", "web")),
    ("1000", (1000, 0, (), "/", "")),  # a number is a number, whatever a line calls itself
    ("web:audio", (33, 29, (), "/var/www", "web")),
    ("web:1000", (33, 1000, (), "/var/www", "web")),
    ("5:6", (5, 6, (), "/", "")),
    ("nohome", (40, 40, (), "/", "nohome")),
    ("2147483647", (2147483647, 0, (), "/", "")),
])
def test_who_a_user_is(image: Path, user: str, expected: Any) -> None:
    assert tuple(resolve(image, user)) == expected


def test_further_groups_by_name_and_number(image: Path) -> None:
    assert resolve(image, "web:web", ["audio", "7", "audio"]).groups == (7, 29)
    assert resolve(image, "web", ["7"]).groups == (0, 7, 29, 44)


@pytest.mark.parametrize("user", ["1:", ":5", ":", "1:2:3", "nobody", "web:nogroup", "4294967296", "4294967295", "2147483648",
                                  "-1", "+1", "1:-1", "1:4294967296", "broken", "huge", "minus", "9" * 400])
def test_what_is_no_user_is_refused(image: Path, user: str) -> None:
    with pytest.raises(EngineError):
        resolve(image, user)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "endless", "outside", "loop", "magic"])
def test_a_hostile_passwd_is_an_error_and_no_wait(image: Path, kind: str, tmp_path: Path) -> None:
    path = image / "etc" / "passwd"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/zero")
        if os.geteuid() != 0:
            pytest.skip("mknod needs root")
        os.mknod(image / "zero", 0o020666, os.makedev(1, 5))
    elif kind == "folder":
        path.mkdir()
    elif kind == "endless":
        with open(path, "wb") as stream:
            stream.truncate(1 << 30)
    elif kind == "outside":
        path.symlink_to("../../../../../../../../etc/passwd")
    elif kind == "loop":
        path.symlink_to("passwd")
    else:
        path.symlink_to("/proc/self/root/etc/passwd")
    with pytest.raises(EngineError):
        resolve(image, "web")


def test_an_image_without_files_knows_numbers_alone(tmp_path: Path) -> None:
    assert resolve(tmp_path, "12:34") == users.User(12, 34, (), "/")
    with pytest.raises(EngineError, match="not in the image's /etc/passwd"):
        resolve(tmp_path, "web")
