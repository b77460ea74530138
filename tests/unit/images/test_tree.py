# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where entries of a layer end up: whiteouts, replacements, links, and names that try to get out."""

from __future__ import annotations

import stat
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.erofs import Inode
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import unpack, whiteouts

from imagery import member, tar

OPAQUE = {whiteouts.OPAQUE_XATTR: b"y"}


class Memory:
    """A form that keeps files' data in a list."""

    def __init__(self) -> None:
        self.data: List[Optional[bytes]] = [None]

    def file(self, _entry: Any, pieces: Iterator[bytes]) -> int:
        self.data.append(b"".join(pieces))
        return len(self.data) - 1

    def drop(self, place: int) -> None:
        assert self.data[place] is not None
        self.data[place] = None


def tree(*members: Tuple[Any, bytes]) -> Dict[str, Any]:
    """The resulting tree: path to (kind, content or target, mode, xattrs)."""
    form = Memory()
    made, _entries = unpack.read_tree(iter([tar(*members)]), "test", form)
    assert not made.missing_links
    found: Dict[str, Any] = {}
    used = set()

    def walk(inode: Inode, path: str) -> None:
        for name, child in sorted((inode.children or {}).items()):
            inner = path + name.decode("utf-8", "surrogateescape")
            kind = stat.S_IFMT(child.mode)
            if kind == stat.S_IFDIR:
                found[inner + "/"] = child.xattrs
                walk(child, inner + "/")
            elif kind == stat.S_IFREG:
                found[inner] = form.data[child.place] if child.size else b""
                used.add(child.place)
            elif kind == stat.S_IFLNK:
                found[inner] = "-> " + child.target.decode()
            else:
                found[inner] = "whiteout" if whiteouts.is_whiteout(child.mode, child.device) else "device"
    walk(made.root, "")
    kept = {at for at, data in enumerate(form.data) if data is not None}
    assert kept == used - {0}, "data of a file that is gone was not dropped"
    return found


def test_whiteouts() -> None:
    assert tree(member("d/"), member("d/.wh.gone", b""), member(".wh.top", b""), member("o/"),
                member("o/.wh..wh..opq", b""), member("o/new", b"1"), member("x/.wh..wh.plnk", b"")) == {
        "d/": None, "d/gone": "whiteout", "top": "whiteout", "o/": OPAQUE, "o/new": b"1", "x/": None}


def test_a_whiteout_concerns_only_what_is_below_whatever_its_place() -> None:
    for first, second in ((0, 1), (1, 0)):
        pair = [member("f", b"new"), member(".wh.f", b"")]
        assert tree(pair[first], pair[second]) == {"f": b"new"}
        folder = [member("d/f", b"new"), member(".wh.d", b"")]
        assert tree(folder[first], folder[second]) == {"d/": OPAQUE, "d/f": b"new"}
    assert tree(member("d/a", b"1"), member("d/.wh..wh..opq", b""), member("d/b", b"2")) == {
        "d/": OPAQUE, "d/a": b"1", "d/b": b"2"}


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", ".wh..", ".wh..."])
def test_whiteouts_of_nothing(name: str) -> None:
    with pytest.raises(Corrupt, match="whiteout"):
        tree(member(name, b""))


def test_a_device_that_overlayfs_takes_for_a_whiteout() -> None:
    with pytest.raises(Corrupt, match="0:0"):
        tree(member("f", device=(0, 0)))


def test_an_image_does_not_steer_the_overlay() -> None:
    assert tree(member("d/", xattrs={"trusted.overlay.opaque": "y", "trusted.overlay.redirect": "/etc",
                                     "security.selinux": "x", "user.ok": "1"})) == {"d/": {b"user.ok": b"1"}}


def test_replacing() -> None:
    assert tree(member("a", b"old"), member("a", b"new")) == {"a": b"new"}
    assert tree(member("a/b", b"1"), member("a/c/d", b"2"), member("a", b"file")) == {"a": b"file"}
    assert tree(member("a", b"file"), member("a/b", b"1")) == {"a/": None, "a/b": b"1"}
    assert tree(member("a/"), member("a/b", b"1"), member("a/", mode=0o700)) == {"a/": None, "a/b": b"1"}
    assert tree(member("a", b"1"), member("h", link="a"), member("a", b"2")) == {"a": b"2", "h": b"1"}
    assert tree(member("a", b"1"), member("h", link="a"), member("h", link="a")) == {"a": b"1", "h": b"1"}
    assert tree(member("a", symlink="b"), member("a", b"1")) == {"a": b"1"}
    assert tree(member("a", symlink="/etc"), member("a/")) == {"a/": None}


def test_names_are_cleaned() -> None:
    assert tree(member("./a", b"1"), member("/b", b"2"), member("c//d/../e", b"3"), member("./")) == {
        "a": b"1", "b": b"2", "c/": None, "c/e": b"3"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/../x", "a/b/../../../x", "./../x", ".."])
def test_names_that_lead_out(name: str) -> None:
    with pytest.raises(Corrupt, match="leads out"):
        tree(member(name, b"1"))


def test_links_lead_within_the_layer() -> None:
    assert tree(member("x", symlink="/etc"), member("x/passwd", b"1")) == {
        "x": "-> /etc", "etc/": None, "etc/passwd": b"1"}
    assert tree(member("x", symlink="../../../../tmp"), member("x/f", b"1")) == {
        "x": "-> ../../../../tmp", "tmp/": None, "tmp/f": b"1"}
    assert tree(member("usr/lib/"), member("lib", symlink="usr/lib"), member("lib/f", b"1")) == {
        "lib": "-> usr/lib", "usr/": None, "usr/lib/": None, "usr/lib/f": b"1"}
    assert tree(member("d/l", symlink="../e"), member("d/l/f", b"1")) == {
        "d/": None, "d/l": "-> ../e", "e/": None, "e/f": b"1"}
    with pytest.raises(Corrupt, match="too many symbolic links"):
        tree(member("a", symlink="b"), member("b", symlink="a"), member("a/f", b"1"))


def test_hard_links() -> None:
    assert tree(member("a", symlink="/etc/passwd"), member("h", link="a")) == {
        "a": "-> /etc/passwd", "h": "-> /etc/passwd"}
    with pytest.raises(Corrupt, match="hard link to a folder"):
        tree(member("d/"), member("h", link="d"))
    with pytest.raises(Corrupt, match="leads out"):
        tree(member("h", link="../../etc/passwd"))


@pytest.mark.parametrize("name", ["x" * 256, "d/" * 1001 + "f"])
def test_names_that_no_file_system_takes(name: str) -> None:
    with pytest.raises(Corrupt):
        tree(member(name, b""))
