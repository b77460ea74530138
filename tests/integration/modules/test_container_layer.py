# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_layer) as Ansible runs it: unpack, mount, change, take the changes as a layer."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from hosts import Host
from imagery import Image, digest, files, layout, member, tar, write_folder

MODULE = "container_layer"
STATE = "/var/lib/coracle"
BASE = tar(member("etc/"), member("etc/kept", b"kept"), member("etc/changed", b"old"), member("etc/removed", b"x"))
TOP = tar(member("etc/"), member("etc/changed", b"new"), member("etc/.wh.removed", b""))


@pytest.fixture
def run(shared_host: Host) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on the host; its store is empty and nothing is mounted afterwards."""
    shared_host.shell("mkdir %s/w; mount --bind %s/w /opt" % (STATE, STATE))  # elsewhere a host is an overlay itself
    yield functools.partial(shared_host.module, MODULE)
    shared_host.shell("""grep -q ' /opt/mnt' /proc/self/mountinfo && exit 1
        grep -q ' - erofs ' /proc/self/mountinfo && exit 1
        umount /opt; cd %s; rm -rf blobs containers index.json ingest layers leases oci-layout refs sources w""" % STATE)


@pytest.fixture
def stored(run: Any, tmp_path: Path) -> List[str]:
    """Two layers in the store."""
    found = []
    for name, content in (("base", BASE), ("top", TOP)):
        (tmp_path / name).write_bytes(content)
        found.append(run(source=str(tmp_path / name))["layer"]["diff_id"])
    return found


def predicted(run: Any, **arguments: Any) -> Dict[str, Any]:
    """Run in check mode, then really, then again: the prediction is what happens, and then nothing more."""
    before = run(check_mode=True, **arguments)
    made = run(**arguments)
    assert made["changed"]
    assert {key: before[key] for key in ("changed", "actions", "diff")} == {
        key: made[key] for key in ("changed", "actions", "diff")}
    again = run(**arguments)
    assert not again["changed"] and again["actions"] == []
    assert again["layer"] == made["layer"]
    return made


def actions(result: Dict[str, Any]) -> List[str]:
    return ["%s %s %s" % (step["action"], step["target"], step["disruption"]) for step in result["actions"]]


@pytest.mark.parametrize("form", ["erofs", "directory"])
def test_a_layer_comes_and_goes(run: Any, shared_host: Host, tmp_path: Path, form: str) -> None:
    (tmp_path / "layer.tar.gz").write_bytes(gzip.compress(BASE))
    source = str(tmp_path / "layer.tar.gz")
    made = predicted(run, source=source, layer_store=form, diff_id=digest(BASE),
                     digest=digest((tmp_path / "layer.tar.gz").read_bytes()))
    layer = made["layer"]
    assert actions(made) == ["unpack layer %s live" % digest(BASE)]
    assert (layer["diff_id"], layer["form"], layer["entries"], layer["used_by"]) == (digest(BASE), form, 4, [])
    assert layer["media_type"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    (tmp_path / "layer.tar").write_bytes(BASE)
    assert not run(source=str(tmp_path / "layer.tar"))["changed"]  # the same layer, stored in another way
    assert not run(diff_id=digest(BASE))["changed"]
    gone = predicted(run, state="absent", diff_id=digest(BASE))
    assert actions(gone) == ["delete layer %s live" % digest(BASE)]
    assert shared_host.shell("find %s/blobs %s/layers -type f" % (STATE, STATE)) == ""


@pytest.mark.parametrize(("arguments", "says"), [
    ({"source": "/nowhere"}, "source /nowhere is no file"),
    ({"diff_id": "sha256:" + "1" * 64}, "layer sha256:1111"),
    ({"diff_id": "sha256:1"}, "option 'diff_id': value 'sha256:1' is no digest"),
    ({"state": "mounted", "path": "/opt/mnt", "layers": ["sha256:" + "1" * 64]}, "layer sha256:1111"),
    ({"state": "mounted", "path": "/opt/mnt", "image": "none"}, "image 'docker.io/library/none:latest' is not in"),
    ({"state": "mounted", "path": "/opt/mnt", "layers": [], "work": "/opt/w"}, "without upper"),
    ({"state": "mounted", "path": "/proc", "layers": []}, "at /proc a file system of type proc is mounted"),
    ({"state": "unmounted", "path": "/proc"}, "at /proc a file system of type proc is mounted"),
    ({"state": "unmounted", "path": "/etc"}, "was mounted by another program"),
    ({"state": "diff", "upper": "/nowhere", "dest": "/opt/x.tar"}, "upper folder /nowhere does not exist"),
    ({"state": "diff", "upper": "/opt", "dest": "/nowhere/x.tar"}, "folder /nowhere does not exist"),
    ({"state": "committed", "upper": "/opt", "commit_as": "x"}, "option 'commit_as'"),
])
def test_one_clear_error(run: Any, shared_host: Host, arguments: Dict[str, Any], says: str) -> None:
    for check_mode in (True, False):
        failed = run(fail=True, check_mode=check_mode, **arguments)
        assert says in failed["msg"], failed["msg"]
        assert "exception" not in failed
    assert shared_host.shell("ls /opt") == ""


def test_an_upper_folder_where_none_can_be(run: Any, shared_host: Host, stored: List[str]) -> None:
    failed = run(state="mounted", layers=stored, path="/opt/mnt", upper="/usr/local/upper", fail=True)
    assert "upper folder /usr/local/upper is on a file system that overlayfs cannot write to" in failed["msg"]
    assert " - erofs " not in shared_host.shell("cat /proc/self/mountinfo")


def test_wrong_digests(run: Any, shared_host: Host, tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(BASE)
    wrong = "sha256:" + "0" * 64
    for option in ("digest", "diff_id"):
        failed = run(source=str(tmp_path / "layer.tar"), fail=True, **{option: wrong})
        assert wrong in failed["msg"] and digest(BASE) in failed["msg"] and "layer.tar" in failed["msg"]
    assert shared_host.run(["ls", STATE + "/layers"], check=False).stdout == ""


def test_mounted_read_only(run: Any, shared_host: Host, stored: List[str]) -> None:
    made = predicted(run, state="mounted", layers=stored, path="/opt/mnt")
    assert actions(made) == ["mount /opt/mnt live"]
    assert made["layer"]["layers"] == stored and made["layer"]["read_only"] is True
    assert shared_host.shell("cd /opt/mnt/etc; cat kept changed; ls").split() == ["keptnewchanged", "kept"]
    assert shared_host.run(["touch", "/opt/mnt/x"], check=False).returncode
    fewer = predicted(run, state="mounted", layers=stored[:1], path="/opt/mnt")
    assert actions(fewer) == ["unmount /opt/mnt restart", "mount /opt/mnt restart"]
    assert fewer["diff"]["before"] == {"layers": stored} and fewer["diff"]["after"]["layers"] == stored[:1]
    assert shared_host.shell("ls /opt/mnt/etc").split() == ["changed", "kept", "removed"]
    gone = predicted(run, state="unmounted", path="/opt/mnt")
    assert actions(gone) == ["unmount /opt/mnt restart"] and gone["layer"] == {"mounted": False, "path": "/opt/mnt"}


@pytest.mark.parametrize("form", ["erofs", "directory"])
def test_mounted_by_other_ids(run: Any, shared_host: Host, tmp_path: Path, form: str) -> None:
    """The layer's owners are mapped; what is written belongs to the host's IDs; the layer itself stays as it is."""
    owned = tar(member("root", b"r"), member("mine", b"m", uid=7, gid=8))
    (tmp_path / "owned.tar").write_bytes(owned)
    run(source=str(tmp_path / "owned.tar"), layer_store=form)
    arguments = {"state": "mounted", "layers": [digest(owned)], "path": "/opt/mnt", "upper": "/opt/upper",
                 "uidmap": ["0:100000:1000"], "gidmap": ["0:200000:5", "5:300000:10"]}
    made = predicted(run, **arguments)
    assert made["layer"]["uidmap"] == [[0, 100000, 1000]] and made["layer"]["gidmap"] == [[0, 200000, 5], [5, 300000, 10]]
    assert shared_host.shell("cd /opt/mnt; chmod 600 mine; stat -c %u:%g root mine . /opt/upper /opt/upper/mine").split() == [
        "100000:200000", "100007:300003", "100000:200000", "100000:200000", "100007:300003"]
    moved = predicted(run, **dict(arguments, upper=None, gidmap=None))
    assert actions(moved) == ["unmount /opt/mnt restart", "mount /opt/mnt restart"]
    assert shared_host.shell("stat -c %u:%g /opt/mnt/mine").split() == ["100007:100008"]
    predicted(run, **dict(arguments, upper=None, uidmap=None, gidmap=None))
    assert shared_host.shell("stat -c %u:%g /opt/mnt/mine").split() == ["7:8"]
    for wrong, says in [(["1:1"], "does not map ID 0"), (["0:1:2", "1:5"], "twice"), (["x"], "CONTAINER:HOST"),
                        (["%d:%d:2" % (each * 2, 100000 + each * 2) for each in range(40)], "can tell")]:
        assert says in run(**dict(arguments, uidmap=wrong, fail=True))["msg"]
    run(state="unmounted", path="/opt/mnt")


def test_a_mount_that_somebody_undid_is_mended(run: Any, shared_host: Host, stored: List[str]) -> None:
    arguments = {"state": "mounted", "layers": stored, "path": "/opt/mnt", "upper": "/opt/upper"}
    run(**arguments)
    shared_host.shell("umount /opt/mnt")
    predicted(run, **arguments)
    shared_host.shell("mount -o remount,ro /opt/mnt")
    mended = predicted(run, **arguments)
    assert mended["diff"]["before"] == {"read_only": True}
    run(state="unmounted", path="/opt/mnt")


def test_two_overlays_of_one_image(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """Neither sees the other's writes, and the image sees none."""
    source = write_folder(tmp_path / "layout", layout({"app": Image([BASE, TOP])}))
    shared_host.module("container_image", name="app", source=str(source))
    for name in ("one", "two"):
        made = predicted(run, state="mounted", image="app", path="/opt/mnt-" + name, upper="/opt/upper-" + name)
        assert made["layer"]["work"] == "/opt/upper-%s.work" % name
        shared_host.shell("cd /opt/mnt-%s; echo %s >mine; rm etc/kept; mkdir %s" % (name, name, name))
    assert shared_host.shell("cd /opt; cat mnt-*/mine; ls mnt-one mnt-two").split() == [
        "one", "two", "mnt-one:", "etc", "mine", "one", "mnt-two:", "etc", "mine", "two"]
    run(state="mounted", image="app", path="/opt/mnt-three")
    assert shared_host.shell("cd /opt; ls mnt-three mnt-three/etc").split() == [
        "mnt-three:", "etc", "mnt-three/etc:", "changed", "kept"]
    failed = run(state="absent", diff_id=digest(BASE), fail=True)
    assert "is used by docker.io/library/app:latest" in failed["msg"]
    for name in ("one", "two", "three"):
        run(state="unmounted", path="/opt/mnt-" + name)


CHANGES = "cd /opt/mnt; echo more >added; printf x >>etc/changed; rm etc/kept; mkdir d; chmod 700 d; ln -s ../added d/l"


def test_changes_as_a_tarball(run: Any, shared_host: Host, stored: List[str]) -> None:
    run(state="mounted", layers=stored, path="/opt/mnt", upper="/opt/upper")
    shared_host.shell(CHANGES)
    run(state="unmounted", path="/opt/mnt")
    made = predicted(run, state="diff", upper="/opt/upper", dest="/opt/diff.tar")
    assert actions(made) == ["write /opt/diff.tar live"] and made["layer"]["dest"] == "/opt/diff.tar"
    names = shared_host.shell("tar -tf /opt/diff.tar").split()
    assert names == ["./", "added", "d/", "d/l", "etc/", "etc/changed", "etc/.wh.kept"]
    packed = predicted(run, state="diff", upper="/opt/upper", dest="/opt/diff.tar", compression="gzip")
    assert packed["diff"]["before"] == {"compression": "none"}
    assert shared_host.shell("gzip -dc /opt/diff.tar | tar -t").split() == names
    shared_host.shell("echo again >>/opt/upper/added")
    assert predicted(run, state="diff", upper="/opt/upper", dest="/opt/diff.tar", compression="gzip")["changed"]

    back = run(source="/opt/diff.tar")["layer"]["diff_id"]
    run(state="mounted", layers=[*stored, back], path="/opt/mnt")
    shown = shared_host.shell("cd /opt/mnt; cat added; ls . etc; cat etc/changed; stat -c %a d; readlink d/l")
    assert shown.split() == [
        "more", "again", ".:", "added", "d", "etc", "etc:", "changed", "newx700", "../added"]
    run(state="unmounted", path="/opt/mnt")


def test_the_same_changes_at_another_time(run: Any, shared_host: Host, stored: List[str]) -> None:
    found = []
    for name in ("one", "two"):
        run(state="mounted", layers=stored, path="/opt/mnt", upper="/opt/" + name)
        shared_host.shell(CHANGES + "; sleep 1.1")
        run(state="unmounted", path="/opt/mnt")
        found.append(run(state="committed", upper="/opt/" + name, source_date_epoch=1000000000)["layer"]["diff_id"])
        found.append(run(state="diff", upper="/opt/" + name, dest="/opt/diff.tar", check_mode=True)["layer"]["diff_id"])
    assert found[0] == found[2] and found[1] != found[3]
    run(state="absent", diff_id=found[0])


@pytest.mark.parametrize("form", ["erofs", "directory"])
def test_changes_as_an_image(run: Any, shared_host: Host, tmp_path: Path, form: str) -> None:
    base = Image([BASE, TOP], config={"Cmd": ["/bin/app"]})
    source = write_folder(tmp_path / "layout", layout({"app": base}))
    shared_host.module("container_image", name="app", source=str(source), layer_store=form)
    run(state="mounted", image="app", path="/opt/mnt", upper="/opt/upper")
    shared_host.shell(CHANGES)
    run(state="unmounted", path="/opt/mnt")
    made = predicted(run, state="committed", upper="/opt/upper", image="app", commit_as="app:2", layer_store=form,
                     compression="gzip")
    assert actions(made) == ["commit docker.io/library/app:2 live"]
    image = shared_host.module("container_image", name="app:2")["image"]
    assert image["id"] == made["layer"]["image"]["id"]
    assert [layer["diff_id"] for layer in image["layers"]] == [*base.diff_ids, made["layer"]["diff_id"]]
    assert [layer["shared"] for layer in image["layers"]] == [True, True, False]
    assert {layer["form"] for layer in image["layers"]} == {form}
    assert image["config"] == {"Cmd": ["/bin/app"]}
    run(state="mounted", image="app:2", path="/opt/mnt")
    assert shared_host.shell("cd /opt/mnt; cat added; ls . etc; cat etc/changed").split() == [
        "more", ".:", "added", "d", "etc", "etc:", "changed", "newx"]
    run(state="unmounted", path="/opt/mnt")
    assert shared_host.module("container_image", name="app:2", state="absent")["changed"]
    assert shared_host.module("container_image", name="app")["image"]["id"] == base.id


def test_unused_layers_of_ones_own_stay(run: Any, shared_host: Host, stored: List[str], tmp_path: Path) -> None:
    source = write_folder(tmp_path / "layout", layout({"app": Image([BASE, files({"x": b"1"})])}))
    shared_host.module("container_image", name="app", source=str(source))
    gone = shared_host.module("container_image", name="app", state="absent")
    assert [step["target"] for step in gone["actions"]] == [
        "docker.io/library/app:latest", "layer " + digest(files({"x": b"1"}))]
    assert run(diff_id=stored[0])["layer"]["exists"] and run(diff_id=stored[1])["layer"]["exists"]
