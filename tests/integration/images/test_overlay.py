# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays of layers: the rules of copy on write, on the real kernel, over every form of layer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, KernelError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts, namespaces
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import diff, layers, overlay

from hosts import loops
from imagery import XATTRS, files, member, tar

Store = Any


@pytest.fixture
def stack(store: Store) -> Tuple[str, str]:
    """Two layers; the upper one changes what the lower one has."""
    lower = store.ingest(tar(
        member("etc/"), member("etc/kept", b"from below"), member("etc/changed", b"old"), member("etc/removed", b"x"),
        member("opaque/"), member("opaque/below", b"hidden"), member("gone/"), member("gone/f", b"x"),
        member("big", b"b" * 300000, mode=0o640, uid=7)))
    upper = store.ingest(tar(
        member("etc/"), member("etc/changed", b"new"), member("etc/.wh.removed", b""),
        member("opaque/"), member("opaque/.wh..wh..opq", b""), member("opaque/above", b"seen"),
        member(".wh.gone", b"")), [lower])
    return lower, upper


def test_layers_show_through(store: Store, stack: Tuple[str, str]) -> None:
    root = store.mount(*stack)
    try:
        assert store.shell("cd %s; find . -mindepth 1 | sort; cat etc/*" % root).split() == [
            "./big", "./etc", "./etc/changed", "./etc/kept", "./opaque", "./opaque/above", "newfrom", "below"]
        for attempt in ("touch %s/new", "rm %s/big", "chmod 700 %s/etc"):
            assert "Read-only file system" in store.host.run(["sh", "-c", attempt % root], check=False).stderr
    finally:
        assert store.unmount(root)
    assert store.unmount(root) is False


def test_copy_on_write(store: Store, stack: Tuple[str, str]) -> None:
    root = store.mount(*stack, upper="upper")
    try:
        store.shell("""cd root
            cat big >/dev/null
            test -z "$(ls -A ../upper)"                     # reading copies nothing
            echo fresh >etc/added
            test "$(cat ../upper/etc/added)" = fresh         # adding: in the upper folder alone
            printf more >>big
            test "$(stat -c '%a %u %s' ../upper/big)" = '640 7 300004'   # changing: a whole copy, attributes kept
            rm etc/kept
            test "$(stat -c '%F %t %T' ../upper/etc/kept)" = 'character special file 0 0'  # deleting: a whiteout
            ! test -e etc/kept
            rm -r opaque
            mkdir opaque
            test -z "$(ls -A opaque)"
            python3 -c 'import os; assert os.getxattr("../upper/opaque", "trusted.overlay.opaque") == b"y"'  # made anew
            chmod 600 etc/changed
            test "$(cat ../upper/etc/changed)" = new
        """)
    finally:
        store.unmount(root)
    again = store.mount(*stack)
    try:
        assert store.shell("cd %s; ls etc; stat -c %%s big" % again).split() == ["changed", "kept", "300000"]
    finally:
        store.unmount(again)


def test_two_overlays_do_not_see_each_other(store: Store, stack: Tuple[str, str]) -> None:
    one = store.mount(*stack, upper="upper1", name="one")
    two = store.mount(*stack, upper="upper2", name="two")
    try:
        store.shell("echo 1 >one/etc/mine; rm one/big; echo 2 >two/etc/changed")
        assert store.shell("ls one two; cat one/etc/changed; echo; ls one/etc two/etc").split() == [
            "one:", "etc", "opaque", "two:", "big", "etc", "opaque", "new", "one/etc:", "changed", "kept", "mine",
            "two/etc:", "changed", "kept"]
        if store.wanted == "erofs":  # each layer is mounted once for both
            assert store.shell("grep -c ' - erofs ' /proc/self/mountinfo").strip() == "2"
        store.unmount(one)
        assert store.shell("cat two/etc/kept; cat two/big | wc -c").split() == ["from", "below300000"]
    finally:
        store.unmount(one)
        store.unmount(two)
    assert store.host.run(["grep", " - erofs ", "/proc/self/mountinfo"], check=False).stdout == ""
    assert loops(store.host) == []


def test_what_is_mounted_comes_from_the_kernel(store: Store, stack: Tuple[str, str]) -> None:
    root = store.mount(*stack, upper="upper")
    try:
        seen = store.call(lambda: overlay.observe(str(root)))
        assert seen.chain_id == overlay.chain_id(stack)
        assert seen.diff_ids == stack
        assert (seen.upper, seen.work) == (str(store.folder / "upper"), str(store.folder / "upper.work"))
        assert not seen.read_only
        with pytest.raises(Conflict, match="something is mounted at"):
            store.mount(*stack)
    finally:
        store.unmount(root)
    assert store.call(lambda: overlay.observe(str(root))) is None


def test_chain_id() -> None:
    """The example of image-spec, config.md: one layer is its own chain; each further one is hashed onto it."""
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert overlay.chain_id([one]) == one
    import hashlib
    assert overlay.chain_id([one, two]) == "sha256:" + hashlib.sha256(("%s %s" % (one, two)).encode()).hexdigest()
    assert overlay.chain_id([]) == ""


def test_layers_through_a_user_namespace(store: Store, stack: Tuple[str, str]) -> None:
    """What root owns on the disk belongs to the namespace's root; the layers are not copied or changed for it."""
    target = store.folder / "root"
    for name in ("root", "upper", "work"):
        (store.folder / name).mkdir()

    def mount() -> Any:
        handle = user_namespace(100000)
        os.chown(store.folder / "upper", 100000, 100000)
        overlay.mount(store.instance, stack, str(target), str(store.folder / "upper"), str(store.folder / "work"),
                      user_namespace=handle)
        return overlay.observe(str(target))
    try:
        seen = store.call(mount)
        assert seen.diff_ids == stack
        assert store.shell("cd root; stat -c %u etc big; ls -A ../run | sort; chmod 600 etc/kept; "
                           "stat -c %u ../upper/etc/kept").split() == [
            "100000", "100007", *(["layers"] if store.wanted == "erofs" else []), "locks",
            "100000"]
        plain = store.mount(*stack, name="plain")
        assert store.shell("cd plain; stat -c %u etc big").split() == ["0", "7"]
        store.unmount(plain)
        if store.wanted == "erofs":  # still mounted for the overlay that remains
            assert store.shell("grep -c ' - erofs ' /proc/self/mountinfo").strip() == "2"
    finally:
        store.unmount(target)


def user_namespace(base: int) -> int:
    """A descriptor of a user namespace whose IDs begin at C(base) of the host."""
    down, up = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(up)
        namespaces.unshare(namespaces.NEWUSER)
        os.kill(os.getpid(), 19)
        os._exit(0)
    os.close(down)
    os.waitpid(child, os.WUNTRACED)
    for name in ("uid_map", "gid_map"):
        with open("/proc/%d/%s" % (child, name), "w", encoding="ascii") as stream:
            stream.write("0 %d 65536" % base)
    handle = os.open("/proc/%d/ns/user" % child, os.O_RDONLY)
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(up)
    return handle


def test_failures_leave_nothing(store: Store, stack: Tuple[str, str]) -> None:
    with pytest.raises(NotFound, match="layer sha256:000"):
        store.mount(stack[0], "sha256:" + "0" * 64)
    target = store.folder / "root"

    def attempt() -> str:
        with pytest.raises(KernelError) as refused:
            overlay.mount(store.instance, stack, str(target), str(store.folder / "none"),
                          str(store.folder / "none.work"))
        return str(refused.value)
    assert "none: No such file or directory" in store.call(attempt)
    assert store.host.run(["grep", str(store.folder), "/proc/self/mountinfo"], check=False).stdout == ""


def test_one_layer_none_and_very_many(store: Store) -> None:
    made = store.call(lambda: [layers.ingest(
        store.instance, iter([files({"f%d" % at: b"%d" % at, "same": b"%d" % at})]), "test",
        wanted=store.wanted).diff_id for at in range(40)])
    for count in (0, 1, 40):
        root = store.mount(*made[:count])
        try:
            found = store.shell("ls %s" % root).split()
            assert found == sorted(["f%d" % at for at in range(count)] + (["same"] if count else []))
            if count:
                assert store.shell("cat %s/same" % root) == str(count - 1)
        finally:
            store.unmount(root)


def test_the_same_layer_twice(store: Store) -> None:
    """As in images of Docker's early years; what is applied last holds."""
    empty, one = store.ingest(bytes(1024)), store.ingest(files({"f": b"1", "g": b"1"}))
    two = store.ingest(files({"f": b"2", "h": b"2", ".wh.g": b""}), [one])
    root = store.mount(empty, one, empty, two, empty, one)
    try:
        assert store.shell("cd root; cat f g h") == "112"
        assert store.call(lambda: overlay.observe(str(root)).chain_id) == overlay.chain_id(
            [empty, one, empty, two, empty, one])
    finally:
        store.unmount(root)


def test_an_opaque_root_hides_all_below(store: Store) -> None:
    lower = store.ingest(files({"below": b"1"}))
    upper = store.ingest(files({".wh..wh..opq": b"", "above": b"2"}), [lower])
    root = store.mount(lower, upper)
    try:
        assert store.shell("ls %s" % root).split() == ["above"]
        assert store.call(lambda: overlay.observe(str(root)).chain_id) == overlay.chain_id([lower, upper])
    finally:
        store.unmount(root)


@pytest.mark.parametrize("old", [False, True], ids=["fsconfig", "mount(2)"])
def test_long_paths_and_old_kernels(store: Store, stack: Tuple[str, str], old: bool) -> None:
    folder = store.folder / ("n" * 120) / ("m, :" * 30)
    for name in ("root", "upper", "work"):
        (folder / name).mkdir(parents=True)

    def mount(upper: str, work: str) -> Any:
        if old:
            _forget_lowerdir_plus()
        overlay.mount(store.instance, stack, str(folder / "root"), upper, work)
        return overlay.observe(str(folder / "root"))
    try:
        seen = store.call(mount, str(folder / "upper"), str(folder / "work"))
        assert seen.chain_id == overlay.chain_id(stack)
        (store.folder / "script").write_text("cd '%s/root'; echo 1 >new; cat ../upper/new etc/changed" % folder)
        assert store.shell("sh script").split() == ["1", "new"]
    finally:
        store.unmount(folder / "root")


def _forget_lowerdir_plus() -> None:
    """Be a kernel before 6.5, whose overlayfs has no C(lowerdir+); in this process only."""
    real = mounts.new_file_system

    def old(fstype: str, options: Any, attributes: int = 0) -> int:
        if any(key == "lowerdir+" for key, _value in options):
            raise KernelError("fsconfig", 22, fstype)
        return real(fstype, options, attributes)
    mounts.new_file_system = old


CHANGES = """cd root
    echo fresh >added; mkdir -p new/deep; ln -s ../added new/deep/link; ln added new/hard; mknod device c 1 3
    printf more >>big; chmod 4755 etc/changed; rm etc/kept; rm -r opaque; mkdir opaque; echo x >opaque/only
    mkfifo pipe; python3 -c 'import os; os.setxattr("added", "user.note", b"hello")'
    touch -d @1234567890 added; chown 5:6 new"""


def test_changes_become_a_layer_that_equals_them(store: Store, stack: Tuple[str, str],
                                                 equal: Callable[[Store, Path, Path], None]) -> None:
    """Upper folder, to tar, to layer: an overlay with the layer shows what the one with the folder shows."""
    changed = store.mount(*stack, upper="upper")
    try:
        store.shell(CHANGES)
        content = store.call(lambda: b"".join(diff.chunks(str(store.folder / "upper"))))
        (store.folder / "diff.tar").write_bytes(content)
        names = store.shell("tar -tf diff.tar").split()
        assert names == sorted(names, key=os.fsencode) or names[0] == "./"
        assert {"etc/.wh.kept", "opaque/.wh..wh..opq", "added", "new/hard"} <= set(names)
        assert not any("overlay" in key for key in store.shell("tar --xattrs -tvvf diff.tar").split())
        third = store.ingest(content, stack)
        again = store.mount(*stack, third, name="again")
        try:
            equal(store, changed, again)
        finally:
            store.unmount(again)
    finally:
        store.unmount(changed)
    assert store.call(lambda: b"".join(diff.chunks(str(store.folder / "upper")))) == content
    assert layers.need(store.instance, third).diff_id == store.call(
        lambda: diff.diff_id(str(store.folder / "upper")))


@pytest.fixture
def equal() -> Callable[[Store, Path, Path], None]:
    """Compare two trees by everything but inode numbers and the root's own times."""
    def compare(store: Store, one: Path, two: Path) -> None:
        script = (r"find . -mindepth 1 -type d -printf '%%P %%y %%m %%U %%G %%Ts\n' -o -mindepth 1 "
                  r"-printf '%%P %%y %%m %%U %%G %%s %%Ts %%l %%n\n' | sort; find . -type f | sort | xargs sha256sum; "
                  + XATTRS + r"; find . -type c -exec stat -c '%%n %%t %%T' {} +")
        first, second = (store.shell("cd %s; %s" % (each, script.replace("%%", "%"))).splitlines()
                         for each in (one, two))
        assert first == second
        assert len(first) > 10
    return compare
