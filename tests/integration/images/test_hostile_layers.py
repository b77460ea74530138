# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers made to do harm, and layers made of noise: in no form do they reach beyond their root, or break what unpacks them.

C(CORACLE_FUZZ_SECONDS) lets the fuzzers run longer than in CI.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt, EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import forms, layers, unpack
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import blobs

from imagery import member, tar

SECONDS = float(os.environ.get("CORACLE_FUZZ_SECONDS", "2"))
V = "VICTIM"
ATTACKS = {
    "absolute name": [member(V + "/file", b"bad")],
    "dots": [member("../" * 30 + V + "/file", b"bad")],
    "dots inside": [member("a/b/../../../" + V + "/file", b"bad")],
    "through an absolute link": [member("x", symlink=V), member("x/file", b"bad")],
    "through a relative link": [member("x", symlink="../" * 40 + V), member("x/file", b"bad")],
    "through links to links": [member("a", symlink="b"), member("b", symlink="c"), member("c", symlink=V), member("a/file", b"bad")],
    "through a link in a link": [member("d", symlink=V), member("e", symlink="d/.."), member("e/victim/file", b"bad")],
    "a link and then a file of its name": [member("x", symlink=V + "/file"), member("x", b"bad")],
    "a hard link out": [member("x", link="../" * 30 + V + "/file"), member("x", b"bad")],
    "an absolute hard link": [member("x", link=V + "/file"), member("x", b"bad")],
    "a hard link to a link out": [member("x", symlink=V + "/file"), member("y", link="x"), member("y", b"bad")],
    "a hard link through a link": [member("x", symlink=V), member("y", link="x/file"), member("y", b"bad")],
    "a folder becomes a link": [member("x/"), member("x/y", b"1"), member("x", symlink=V), member("x/file", b"bad")],
    "a link becomes a folder": [member("x", symlink=V), member("x/"), member("x/file", b"bad")],
    "a device in the way": [member("x", device=(1, 3)), member("x/file", b"bad")],
    "a fifo in the way": [member("x", fifo=True), member("x", b"bad"), member("x/file", b"bad")],
    "a file in the way": [member("x", b"1"), member("x/file", b"bad")],
    "a disk": [member("sda", device=(8, 0)), member("sda", b"bad")],
    "a loop of links": [member("x", symlink="y"), member("y", symlink="x"), member("x/file", b"bad")],
    "a link to itself": [member("x", symlink="x"), member("x/file", b"bad")],
    "duplicates": [member("x", b"1"), member("x", b"22"), member("x/"), member("x", symlink="y"), member("x", b"333")],
    "the root as a file": [member(".", b"bad")], "the root as a link": [member("./", symlink=V), member("file", b"bad")],
    "a whiteout of the root": [member(".wh..", b""), member("x", b"1")],
    "a whiteout of the parent": [member(".wh...", b"")],
    "a whiteout through a link": [member("x", symlink=V), member("x/.wh.file", b"")],
    "an opaque mark through a link": [member("x", symlink=V), member("x/.wh..wh..opq", b"")],
    "a whiteout as a device": [member("x", device=(0, 0))],
    "steering the overlay": [member("x/", xattrs={"trusted.overlay.opaque": "y", "trusted.overlay.redirect": V})],
    "an xattr that has no name": [member("x", b"1", xattrs={"": "y"})],
    "very deep": [member("d/" * 5000 + "file", b"bad")], "a very long part": [member("n" * 300, b"bad")],
    "a very long link": [member("x", symlink="n" * 5000)],
    "newlines and escapes": [member("a\nb\x1b[31m", b"1"), member("c\\d", b"2")],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(store: Any, attack: str) -> None:
    """Whatever becomes of it, the world around stays as it is, and the layer is whole or not there."""
    victim = store.folder / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"untouched")
    members = []
    for info, content in ATTACKS[attack]:
        info.name, info.linkname = (text.replace(V, str(victim)) for text in (info.name, info.linkname))
        members.append((info, content))
    try:
        diff_id = store.ingest(tar(*members))
    except Corrupt:
        assert list(layers.every(store.instance)) == []
    else:
        root = store.mount(diff_id)
        try:
            for line in store.shell("find root -xdev -printf '%y %p\\0' | tr '\\0\\n' '\\n_'").splitlines():
                assert line.partition(" ")[2].startswith("root"), line
        finally:
            store.unmount(root)
    assert [path.name for path in victim.iterdir()] == ["file"] and (victim / "file").read_bytes() == b"untouched"
    assert store.shell("ls state/ingest") == ""


# Noise

def archives(seed: int) -> Iterator[bytes]:
    """Archives for ever: of entries that collide with one another in every way, every other one with damaged bytes."""
    source = random.Random(seed)
    names = ["a", "b", "a/b", "b/a", "a/b/c", "./a", "a/", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "../a", "/a", "a/../b", "x" * 120,
             "a/" + "y" * 200, "\udcff", ".", "a//b", ".wh..wh.plnk"]
    while True:
        members: List[Tuple[Any, bytes]] = []
        for _number in range(source.randrange(1, 12)):
            name = source.choice(names)
            made = source.randrange(7)
            common = {"uid": source.choice([0, 1000, 70000, 2 ** 31]), "mode": source.randrange(0o10000),
                      "mtime": source.choice([0, 1.5, -1, 2 ** 34])}
            if made < 2:
                members.append(member(name, source.randbytes(source.choice([0, 1, 4096, 5000])), **common))
            elif made == 2:
                members.append(member(name, symlink=source.choice(names + ["/", "..", "a/../.."]), **common))
            elif made == 3:
                members.append(member(name, link=source.choice(names), **common))
            elif made == 4:
                members.append(member(name, device=(source.choice([0, 1, 300, 5000]), source.choice([0, 3, 1 << 19])), **common))
            else:
                members.append(member(name, **common, xattrs={"user.x": "y" * source.choice([0, 10, 4000])}))
        content = bytearray(tar(*members))
        if source.random() < 0.5:
            for _number in range(source.randrange(1, 6)):
                content[source.randrange(len(content))] = source.randrange(256)
        yield bytes(content[:source.randrange(len(content))] if source.random() < 0.1 else content)


def enough(seed: int, least: int) -> Iterator[bytes]:
    """At least so many archives, and as many as the time allows."""
    end = time.monotonic() + SECONDS
    for number, content in enumerate(archives(seed)):
        if number >= least and time.monotonic() > end:
            return
        yield content


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(str(tmp_path / "state"), str(tmp_path / "run"), "/none")
    blobs.prepare(made)
    return made


@pytest.mark.parametrize("form", forms.FORMS)
def test_noise(instance: Instance, tmp_path: Path, form: str) -> None:
    """An error that says what is wrong, or a layer: an image without a fault, or a folder with just what the tree says."""
    outcomes = {"refused": 0, "made": 0}
    for content in enough(20261121, 60):
        part = instance.state("ingest", "fuzz")
        made = forms.new_form(instance, form, part)
        try:
            tree, _entries = unpack.read_tree(iter([content]), "noise", made)
            if tree.missing_links:
                continue
            made.finish(tree.root, b"")
            if form == forms.EROFS:
                done = subprocess.run(["fsck.erofs", part], check=False, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
            else:
                assert sorted(os.fsencode(path) for path in os.listdir(part + "/tree")) == sorted(tree.root.children or ())
            outcomes["made"] += 1
        except EngineError as error:
            assert str(error).startswith("noise: ")
            outcomes["refused"] += 1
        finally:
            made.abort()
        assert os.listdir(instance.state("ingest")) == [] and sorted(os.listdir(tmp_path)) == ["run", "state"]
    assert min(outcomes.values()) > 5, outcomes
