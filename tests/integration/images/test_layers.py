# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers in the store, in every form: what is unpacked equals what GNU tar unpacks, and wrong ones leave nothing."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path
from typing import Any, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import layers
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import blobs

from imagery import XATTRS, digest, files, member, tar

Store = Any
LIST = (r"find . -type d -printf '%P %y %m %U %G %T@\n' -o -printf '%P %y %m %U %G %s %T@ %l %n\n' | LC_ALL=C sort;"
        r"find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum; " + XATTRS + ";"
        r"find . \( -type c -o -type b \) -exec stat -c '%n %t %T' {} + | LC_ALL=C sort")


def everything() -> bytes:
    """One of everything that a file system has."""
    return tar(
        member("./", mode=0o755, mtime=1500000000), member("bin/", mtime=1000000000),
        member("bin/su", b"setuid", mode=0o4755, mtime=1111111111), member("bin/s", b"g" * 70000, mode=0o2711, gid=8),
        member("tmp/", mode=0o1777), member("empty", b"", uid=1000, gid=1000), member("link", symlink="bin/su"),
        member("abs", symlink="/etc/passwd", uid=5), member("dangling", symlink="x" * 1000),
        member("hard", link="bin/s"), member("bin/hard2", link="bin/s"),
        member("null", device=(1, 3), mode=0o666, gid=7), member("big-device", device=(300, 70000)),
        member("fifo", fifo=True),
        member("cap", b"1", xattrs={"security.capability": "\x01\0\0\x02\0\x04\0\0" + "\0" * 12}),
        member("user", b"2", mode=0o600, xattrs={"user.name": "value", "user.empty": "", "user.long": "v" * 3000}),
        member("folder-with-xattr/", xattrs={"user.a": "b"}), member("d\xe9\udcff", b"name"),
        member("old", b"old", mtime=-86400.5), member("fine", b"fine", mtime=1700000000.123456789),
        member("block", b"x" * 4096), member("block+1", b"x" * 4097), member("two", b"y" * 8192),
        member("many/", mtime=5), *(member("many/%0200d" % at, b"%d" % at) for at in range(150)),
        *(member("/".join("deep%d" % level for level in range(at + 1)) + "/") for at in range(30)))


def test_equals_what_gnu_tar_unpacks(store: Store) -> None:
    content = everything()
    (store.folder / "all.tar").write_bytes(content)
    store.shell("mkdir want; tar -C want --xattrs --xattrs-include='*' --numeric-owner --delay-directory-restore"
                " -xpf all.tar")
    root = store.mount(store.ingest(content))
    try:
        want, got = (store.shell("cd %s; %s" % (name, LIST)).splitlines() for name in ("want", root))
        assert [line for line in got if line not in want] == [line for line in want if line not in got] == []
        assert len(got) > 200
        assert store.shell("cd %s; stat -c %%i bin/s hard bin/hard2 | sort -u | wc -l" % root).strip() == "1"
    finally:
        store.unmount(root)


def test_image_passes_fsck(store: Store) -> None:
    """The checker of erofs-utils, where it is installed, finds nothing wrong."""
    layer = layers.find(store.instance, store.ingest(everything()))
    assert layer is not None
    assert layer.form == ("directory" if store.form == "directory" else "erofs")
    if layer.form == "erofs":
        assert layer.path.endswith(".erofs") and os.path.getsize(layer.path) % 4096 == 0
        for checker in ("/usr/bin/fsck.erofs", "/sbin/fsck.erofs"):
            if os.path.exists(checker):
                assert subprocess.run([checker, layer.path], check=False).returncode == 0
    else:
        assert os.path.isdir(layer.path)


def test_sparse_files(store: Store) -> None:
    with open(store.folder / "hole", "wb") as stream:
        stream.seek(3 << 20)
        stream.write(b"end")
        stream.truncate(9000001)
    content = subprocess.run(["tar", "-C", str(store.folder), "--sparse", "-cf", "-", "hole"], check=True,
                             capture_output=True).stdout
    assert len(content) < 100000
    root = store.mount(store.ingest(content))
    try:
        store.shell("cmp hole %s/hole" % root)
    finally:
        store.unmount(root)


def test_digests_are_verified(store: Store) -> None:
    content = gzip.compress(files({"a": b"1"}))
    before = store.shell("find . | sort")

    def wrong(**expected: str) -> None:
        layers.ingest(store.instance, iter([content]), "layer.tar.gz", wanted=store.wanted, **expected)
    for key, found in (("blob", digest(content)), ("diff_id", digest(gzip.decompress(content)))):
        with pytest.raises(Corrupt, match="layer.tar.gz: expected .* %s, found %s" % ("sha256:" + "0" * 64, found)):
            store.call(lambda key=key: wrong(**{key: "sha256:" + "0" * 64}))
    with pytest.raises(Corrupt, match="too early"):
        store.call(lambda: layers.ingest(store.instance, iter([content[:-9]]), "cut", wanted=store.wanted))
    assert store.shell("find . -type f ! -name 'layer-*' ! -name 'store-*' ! -name oci-layout") == "", before
    assert store.shell("ls state/ingest state/layers/sha256 state/blobs/sha256").split() == [
        "state/blobs/sha256:", "state/ingest:", "state/layers/sha256:"]


def test_a_layer_is_stored_once(store: Store) -> None:
    content = files({"a": b"1"})
    one = store.ingest(content)
    before = os.stat(layers.need(store.instance, one).path)
    assert store.ingest(gzip.compress(content)) == one
    after = os.stat(layers.need(store.instance, one).path)
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    assert store.shell("ls state/layers/sha256").split() == sorted(
        [one[7:] + ".json", os.path.basename(layers.need(store.instance, one).path)])
    assert list(blobs.every(store.instance)) == [digest(content)]


def test_what_a_tar_leaves_open_comes_from_below(store: Store) -> None:
    base = store.ingest(tar(member("./", mode=0o750), member("private/", mode=0o700, uid=33, mtime=1234567890),
                            member("private/file", b"content", mode=0o640, uid=33),
                            member("gone/", mode=0o711), member("opaque/", mode=0o777)))
    middle = store.ingest(tar(member(".wh.gone", b""), member("opaque/", mode=0o711),
                              member("opaque/.wh..wh..opq", b"")), [base])
    top = store.ingest(tar(member("private/new", b"1"), member("copy", link="private/file"), member("gone/x", b"2"),
                           member("opaque/y", b"3")), [base, middle])
    root = store.mount(base, middle, top)
    try:
        assert store.shell("cd %s; stat -c '%%a %%u %%Y' private; stat -c '%%a %%u' copy; cat copy; stat -c %%a gone "
                           "opaque ." % root).split() == ["700", "33", "1234567890", "640", "33", "content755", "711",
                                                         "750"]
    finally:
        store.unmount(root)
    with pytest.raises(Corrupt, match="hard link to 'nowhere'"):
        store.ingest(tar(member("copy", link="nowhere")), [base])


def test_nothing_leaves_the_layer(store: Store) -> None:
    """Archives that try to write outside write nothing outside, and what is left of them is inside."""
    victim = store.folder / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"untouched")
    inside: List[Any] = [
        (member("x", symlink=str(victim)), member("x/file", b"bad")),
        (member("x", symlink="../" * 20 + str(victim)), member("x/file", b"bad")),
        (member("x", symlink=str(victim / "file")), member("x", b"bad")),
        (member("x/y", symlink=str(victim)), member("x/y/z/file", b"bad")),
        (member(str(victim / "file"), b"bad"),),
    ]
    for members in inside:
        store.ingest(tar(*members))
    for name in ("../" * 30 + str(victim) + "/file", "a/../../victim/file"):
        with pytest.raises(Corrupt, match="leads out"):
            store.ingest(tar(member(name, b"bad")))
    with pytest.raises(Corrupt, match="leads out"):
        store.ingest(tar(member("h", link="../../victim/file"), member("h", b"bad")))
    assert [path.name for path in victim.iterdir()] == ["file"]
    assert (victim / "file").read_bytes() == b"untouched"


def test_interrupted_imports_leave_no_layer(store: Store) -> None:
    """Killed in the middle: no layer; the next import works and removes the leftovers with the next collection."""
    content = files({"a": b"1" * 5000000})

    def killed() -> None:
        def chunks() -> Any:
            yield content[:3000000]
            os.kill(os.getpid(), 9)
        layers.ingest(store.instance, chunks(), "test", wanted=store.wanted)
    with pytest.raises(AssertionError, match="without an answer"):
        store.call(killed)
    assert list(layers.every(store.instance)) == list(blobs.every(store.instance)) == []
    assert store.shell("ls state/ingest") != ""
    diff_id = store.ingest(content)
    from ansible_collections.coracle.containers.plugins.module_utils.engine.image import garbage
    assert store.call(lambda: garbage.collect(store.instance).layers) == (diff_id,)
    assert store.shell("ls state/ingest state/layers/sha256 state/blobs/sha256").split() == [
        "state/blobs/sha256:", "state/ingest:", "state/layers/sha256:"]


def test_a_layer_that_cannot_be_mounted_any_more_is_made_anew(store: Store) -> None:
    diff_id = store.ingest(files({"a": b"1"}))
    path = Path(layers.need(store.instance, diff_id).path)
    if path.is_dir():
        store.shell("rm -r %s" % path)
    else:
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    store.call(lambda: layers.ensure(store.instance, diff_id, store.wanted))
    root = store.mount(diff_id)
    try:
        assert (store.shell("cat %s/a" % root)) == "1"
    finally:
        store.unmount(root)
