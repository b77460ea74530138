# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images as files: what we write, skopeo, Podman, Buildah and umoci read with the same digests, and we what they write."""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import jsonschema
import pytest
import referencing

import collection
from hosts import Host
from imagery import Image, digest, docker, files, layout, member, tar, write_folder, write_tar

MODULE = "container_image"
STATE = "/var/lib/coracle"
SCHEMAS = collection.ROOT.parent / "shared/data/image-spec"
A, B, C = (tar(member("./"), member("etc/"), *(member("etc/%s%d" % (name, at), name.encode() * at) for at in range(1, 5)))
           for name in "abc")
ONE = Image([A, B], packed=True, config={"Cmd": ["/bin/one"], "Env": ["X=1"], "Labels": {"a": "b"}})
TWO = Image([A, C], packed=True, config={"Cmd": ["/bin/two"]})
NAMES = {"one": "docker.io/library/one:1", "two": "registry.example.com:5000/team/two:latest"}


@pytest.fixture(scope="module")
def source(shared_host: Host) -> str:
    """A layout with two images that share a layer."""
    return str(write_folder(shared_host.folder / "source", layout({"one": ONE, "two": TWO})))


@pytest.fixture
def run(shared_host: Host, source: str) -> Callable[..., Dict[str, Any]]:
    """Run the module on a host whose store has both."""
    call = functools.partial(shared_host.module, MODULE)
    index = Path("/proc/%d/root%s/index.json" % (shared_host.pid, STATE))
    there = {each["annotations"]["org.opencontainers.image.ref.name"]: each["digest"]
             for each in json.loads(index.read_text())["manifests"]} if index.exists() else {}
    for name, image in (("one", ONE), ("two", TWO)):
        if there.get(NAMES[name]) != image.digest:
            call(name=NAMES[name], source=source, source_reference=name)
    return call


def saved(run: Any, **arguments: Any) -> Dict[str, Any]:
    """Save, as check mode predicts it, once."""
    predicted = run(state="saved", check_mode=True, **arguments)
    made = run(state="saved", **arguments)
    assert made["changed"] and predicted["actions"] == made["actions"] and predicted["diff"] == made["diff"]
    again = run(state="saved", **arguments)
    assert not again["changed"] and again["image"] == made["image"]
    return made["image"]


def emptied(run: Any) -> None:
    for name in NAMES.values():
        run(name=name, state="absent")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_round_trip(run: Any, shared_host: Host, tmp_path: Path, kind: str, compression: str) -> None:
    """Saved, removed, loaded: the same images under the same names."""
    if kind == "oci" and compression != "none":
        assert "cannot be used for a folder" in run(name=NAMES["one"], state="saved", dest=str(tmp_path / "x"),
                                                    dest_type=kind, compression=compression, fail=True)["msg"]
        return
    dest = tmp_path / "saved"
    made = saved(run, name=NAMES["one"], images=[NAMES["two"]], dest=str(dest), dest_type=kind, compression=compression)
    assert made["saved"]["images"] == {NAMES["one"]: ONE.digest, NAMES["two"]: TWO.digest}
    assert (made["saved"]["kind"], made["saved"]["compression"]) == (kind, compression)
    emptied(run)
    predicted = run(source=str(dest), state="loaded", check_mode=True)
    loaded = run(source=str(dest), state="loaded")
    assert predicted["actions"] == loaded["actions"]
    assert [step["target"] for step in loaded["actions"]] == list(NAMES.values())
    assert not run(source=str(dest), state="loaded")["changed"]
    for name, image in zip(NAMES.values(), (ONE, TWO)):
        assert run(name=name)["image"]["digest"] == image.digest
    assert [each["digest"] for each in loaded["image"]["images"]] == [ONE.digest, TWO.digest]


def test_the_same_images_give_the_same_bytes_and_a_damaged_file_is_written_anew(run: Any, tmp_path: Path) -> None:
    dest = tmp_path / "saved.tar"
    arguments = {"name": NAMES["one"], "dest": str(dest)}
    saved(run, **arguments)
    content = dest.read_bytes()
    for damage in (content[:-12000], b"", content.replace(ONE.digest.encode(), TWO.digest.encode())):
        dest.write_bytes(damage)
        assert run(state="saved", **arguments)["changed"]
        assert dest.read_bytes() == content
    assert run(state="saved", **dict(arguments, name=NAMES["two"]))["changed"]
    assert run(state="saved", **dict(arguments, dest_type="oci-archive"))["changed"]


def test_a_layout_keeps_what_else_it_holds(run: Any, source: str, tmp_path: Path) -> None:
    dest = str(tmp_path / "layout")
    for name in NAMES.values():
        saved(run, name=name, dest=dest, dest_type="oci")
    assert not run(name=NAMES["one"], state="saved", dest=dest, dest_type="oci")["changed"]
    index = json.loads((tmp_path / "layout/index.json").read_text())
    assert [each["digest"] for each in index["manifests"]] == [ONE.digest, TWO.digest]
    run(name=NAMES["one"], source=source, source_reference="two")
    assert run(name=NAMES["one"], state="saved", dest=dest, dest_type="oci")["changed"]
    assert [each["digest"] for each in json.loads((tmp_path / "layout/index.json").read_text())["manifests"]] == [
        TWO.digest, TWO.digest]


def test_a_damaged_blob_is_not_handed_on(run: Any, shared_host: Host, tmp_path: Path) -> None:
    blob = "%s/blobs/sha256/%s" % (STATE, digest(ONE.stored[1])[7:])
    shared_host.shell("mv %s /run/blob; cp /run/blob %s; printf x | dd of=%s bs=1 seek=20 conv=notrunc 2>/dev/null"
                      % (blob, blob, blob))
    for kind in ("oci", "oci-archive", "docker-archive"):
        result = run(name=NAMES["one"], state="saved", dest=str(tmp_path / "out"), dest_type=kind, fail=True)
        assert blob in result["msg"] and "expected digest" in result["msg"]
    shared_host.shell("rm " + blob)
    assert "is not in" in run(name=NAMES["one"], state="saved", dest=str(tmp_path / "out"), fail=True)["msg"]
    assert list(tmp_path.iterdir()) == []
    shared_host.shell("mv /run/blob " + blob)


# Root file systems

def test_a_root_file_system(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """The merged files of all layers, as GNU tar reads them; and back as an image with the same files."""
    for compression in ("none", "zstd"):
        dest = tmp_path / ("root-" + compression)
        made = saved(run, name=NAMES["two"], dest=str(dest), dest_type="rootfs", compression=compression)
        assert made["saved"]["images"] == {"": TWO.digest}
        listed = subprocess.run(["tar", "-tf", str(dest)], capture_output=True, text=True, check=True)
        assert listed.stderr == ""
        assert listed.stdout.split() == ["./", "etc/"] + ["etc/%s%d" % (name, at) for name in "ac" for at in range(1, 5)]
        assert run(name="again", source=str(dest), source_type="rootfs")["changed"]
        assert run(name=NAMES["one"], state="saved", dest=str(dest), dest_type="rootfs", compression=compression)["changed"]
    assert shared_host.shell("ls /run/coracle/layers; grep /run/coracle /proc/self/mountinfo || true").strip() == ""


def test_a_folder_of_files(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """The merged files with all that they have; what somebody changed is written anew, and somebody else's folder is left alone."""
    special = Image([tar(member("d", mode=0o1777, mtime=5), member("d/f", b"f", uid=70000, mode=0o4755, xattrs={"user.x": "1"}),
                         member("d/l", link="d/f"), member("s", symlink="nowhere"), member("n", device=(1, 3)))])
    run(name="special", source=str(write_folder(tmp_path / "special", layout({"special": special}))))
    dest = tmp_path / "files"
    made = saved(run, name="special", dest=str(dest), dest_type="rootfs-folder")
    assert made["saved"]["images"] == {"": special.digest} and made["saved"]["path"] == str(dest)
    assert shared_host.shell("cd %s; stat -c '%%n %%a %%u %%h %%F' d/f d n; readlink s" % dest).splitlines() == [
        "d/f 4755 70000 2 regular file", "d 1777 0 2 directory", "n 755 0 1 character special file", "nowhere"]
    assert os.getxattr(dest / "d/f", "user.x") == b"1"
    for change in ("echo x >>%s/d/f", "chmod 700 %s/d", "touch %s/new", "rm -r %s/d"):
        shared_host.shell(change % dest)
        assert saved(run, name="special", dest=str(dest), dest_type="rootfs-folder")["saved"]["images"] == {"": special.digest}
        assert sorted(path.name for path in dest.iterdir()) == ["d", "n", "s"] and (dest / "d/f").read_bytes() == b"f"
    moved = run(name=NAMES["two"], state="saved", dest=str(dest), dest_type="rootfs-folder")
    assert moved["diff"]["before"]["dest"]["images"] == {"": special.digest}
    assert sorted(path.name for path in (dest / "etc").iterdir()) == [name + str(at) for name in "ac" for at in range(1, 5)]
    again = run(name="again", source=str(dest))["image"]
    assert len(again["layers"]) == 1 and not run(name="again", source=str(dest))["changed"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/precious").write_text("x")
    for place in ("other", "other/precious"):
        failed = run(name="special", state="saved", dest=str(tmp_path / place), dest_type="rootfs-folder", fail=True)
        assert "was not written from an image" in failed["msg"]
    assert (tmp_path / "other/precious").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# Other tools

def host_tool(host: Host, *command: str) -> str:
    return host.run(command, env={"HOME": "/run", "XDG_RUNTIME_DIR": "/run"}).stdout


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_skopeo_reads_what_we_write(run: Any, shared_host: Host, tmp_path: Path, kind: str) -> None:
    dest = tmp_path / "saved"
    saved(run, name=NAMES["one"], images=[NAMES["two"]], dest=str(dest), dest_type=kind)
    for name, image in zip(NAMES.values(), (ONE, TWO)):
        source = "%s:%s:%s" % (kind, dest, name)
        copy = tmp_path / ("copy-" + name.replace("/", "-"))
        host_tool(shared_host, "skopeo", "--insecure-policy", "copy", source, "dir:%s" % copy)
        found = json.loads((copy / "manifest.json").read_text())
        assert found["config"]["digest"] == image.id
        if kind != "docker-archive":
            assert digest((copy / "manifest.json").read_bytes()) == image.digest


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_podman_loads_what_we_write_and_we_what_it_writes(run: Any, shared_host: Host, tmp_path: Path, kind: str) -> None:
    dest = tmp_path / "saved.tar"
    both = {"images": [NAMES["two"]]} if kind == "docker-archive" else {}  # Podman takes one from an archive of a layout
    saved(run, name=NAMES["one"], dest=str(dest), dest_type=kind, **both)
    podman = ["podman", "--root", "/run/podman", "--runroot", "/run/podman-run", "--storage-driver", "vfs"]
    try:
        host_tool(shared_host, *podman, "load", "-i", str(dest))
        listed = json.loads(host_tool(shared_host, *podman, "images", "--format", "json"))
        images = {name: "sha256:" + each["Id"] for each in listed for name in each["Names"]}
        assert images == {NAMES["one"]: ONE.id, **({NAMES["two"]: TWO.id} if both else {})}
        back = tmp_path / "back.tar"
        command = ["save", "--format", kind, "-o", str(back), *images]
        host_tool(shared_host, *podman, *command[:1], *(["-m"] if len(images) > 1 else []), *command[1:])
    finally:
        host_tool(shared_host, *podman, "rmi", "--all", "--force")
        shared_host.shell("rm -rf /run/podman /run/podman-run")
    emptied(run)
    loaded = run(source=str(back), state="loaded")["image"]["images"]
    assert {each["references"][0]: each["id"] for each in loaded} == images


def test_buildah_reads_what_we_write(run: Any, shared_host: Host, tmp_path: Path) -> None:
    dest = tmp_path / "saved.tar"
    saved(run, name=NAMES["one"], dest=str(dest), dest_type="oci-archive")
    buildah = ["buildah", "--root", "/run/buildah", "--runroot", "/run/buildah-run", "--storage-driver", "vfs"]
    try:
        host_tool(shared_host, *buildah, "pull", "oci-archive:" + str(dest))
        found = json.loads(host_tool(shared_host, *buildah, "images", "--json", "--no-trunc"))
        assert [each["id"].rpartition(":")[2] for each in found] == [ONE.id[7:]]
    finally:
        host_tool(shared_host, *buildah, "rmi", "--all", "--force")
        shared_host.shell("rm -rf /run/buildah /run/buildah-run")


def test_umoci_unpacks_what_we_write(run: Any, shared_host: Host, tmp_path: Path) -> None:
    saved(run, name=NAMES["two"], dest=str(tmp_path / "layout"), dest_type="oci")
    index = tmp_path / "layout/index.json"
    host_tool(shared_host, "umoci", "unpack", "--image", "%s:%s" % (tmp_path / "layout", NAMES["two"]),
              str(tmp_path / "bundle"))
    assert sorted(path.name for path in (tmp_path / "bundle/rootfs/etc").iterdir()) == [
        name + str(at) for name in "ac" for at in range(1, 5)]
    host_tool(shared_host, "umoci", "config", "--image", "%s:%s" % (tmp_path / "layout", NAMES["two"]), "--tag", "changed",
              "--config.cmd", "/bin/umoci")
    entries = {each["annotations"]["org.opencontainers.image.ref.name"]: each for each in json.loads(index.read_text())["manifests"]}
    assert len(entries) == 2
    theirs = run(name="changed", source=str(tmp_path / "layout"), source_reference="changed")["image"]
    assert theirs["config"]["Cmd"] == ["/bin/umoci"] and theirs["digest"] == entries["changed"]["digest"]
    host_tool(shared_host, "umoci", "init", "--layout", str(tmp_path / "new"))
    host_tool(shared_host, "umoci", "new", "--image", str(tmp_path / "new:fresh"))
    host_tool(shared_host, "umoci", "insert", "--image", str(tmp_path / "new:fresh"), str(tmp_path / "bundle/rootfs/etc"), "/etc")
    fresh = json.loads((tmp_path / "new/index.json").read_text())["manifests"]
    ours = run(name="fresh", source=str(tmp_path / "new"), source_reference="fresh")["image"]
    assert [ours["digest"]] == [each["digest"] for each in fresh]
    back = saved(run, name="fresh", dest=str(tmp_path / "back"), dest_type="oci")
    assert list(back["saved"]["images"].values()) == [ours["digest"]]
    listed = json.loads(host_tool(shared_host, "umoci", "stat", "--image", "%s:%s" % (tmp_path / "back", "docker.io/library/fresh:latest"),
                                  "--json"))
    assert [each["layer"]["digest"] for each in listed["history"] if each.get("layer")] == [
        each["digest"] for each in ours["layers"]]


# What the schemas say

def validator(name: str) -> Any:
    """The published schema of a document."""
    def retrieve(uri: str) -> Any:
        return referencing.Resource.from_contents(json.loads((SCHEMAS / uri.rpartition("/")[2]).read_text()),
                                                  referencing.jsonschema.DRAFT4)
    schema = json.loads((SCHEMAS / name).read_text())
    return jsonschema.Draft4Validator(schema, registry=referencing.Registry(retrieve=retrieve))


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="the published schemas are not beside the checkout")
def test_all_that_we_emit_is_valid(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """Images made here (of a root, of a Docker archive, by a commit), saved, and the store itself."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/app").write_bytes(b"app")
    run(name="made", source=str(root), entrypoint=["/bin/app"], env={"A": "1"}, exposed_ports=["80", "1-3/udp"],
        labels={"a": "b"}, volumes=["/data"], stop_signal="TERM", user="1:1", working_dir="/", created="2026-01-31T12:00:00Z")
    run(name="bare", source=str(root))
    run(name="docker", source=str(write_tar(tmp_path / "docker.tar", docker({"docker:latest": Image([A])}))))
    shared_host.shell("mkdir -p /opt/upper/etc; echo x >/opt/upper/etc/x")
    shared_host.module("container_layer", state="committed", upper="/opt/upper", image="made", commit_as="committed",
                       compression="gzip", source_date_epoch=1700000000)
    dest = tmp_path / "layout"
    names: List[str] = ["made", "bare", "docker", "committed", NAMES["two"]]
    saved(run, name=NAMES["one"], images=names, dest=str(dest), dest_type="oci")
    archive = tmp_path / "saved.tar"
    saved(run, name=NAMES["one"], images=names, dest=str(archive))
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    for folder in (dest, Path("/proc/%d/root%s" % (shared_host.pid, STATE)), tmp_path / "unpacked"):
        checked = 0
        validator("image-layout-schema.json").validate(json.loads((folder / "oci-layout").read_text()))
        index = json.loads((folder / "index.json").read_text())
        validator("image-index-schema.json").validate(index)
        for each in index["manifests"]:
            manifest = json.loads((folder / "blobs" / each["digest"].replace(":", "/")).read_text())
            validator("image-manifest-schema.json").validate(manifest)
            config = folder / "blobs" / manifest["config"]["digest"].replace(":", "/")
            validator("config-schema.json").validate(json.loads(config.read_text()))
            checked += 1
        assert checked >= len(names) + 1
    with pytest.raises(jsonschema.ValidationError):
        validator("image-manifest-schema.json").validate({"schemaVersion": 2})


# What cannot be done

@pytest.mark.parametrize(("arguments", "says"), [
    ({"name": "nothing:1", "state": "saved", "dest": "/srv/scratch/x"}, "image 'docker.io/library/nothing:1' is not in"),
    ({"name": NAMES["one"], "state": "saved", "dest": "/nowhere/x"}, "folder /nowhere does not exist"),
    ({"name": NAMES["one"], "state": "saved", "dest": "/srv"}, "dest /srv is a folder"),
    ({"name": NAMES["one"], "state": "saved", "dest": "/etc", "dest_type": "oci"}, "is no OCI image layout"),
    ({"name": NAMES["one"], "state": "saved", "dest": "/srv/scratch/x", "dest_type": "rootfs", "images": [NAMES["two"]]},
     "of one image"),
    ({"name": NAMES["one"], "state": "saved"}, "missing: dest"),
    ({"state": "loaded"}, "missing: source"),
    ({"state": "loaded", "source": "/etc"}, "is a root file system"),
])
def test_one_clear_error(run: Any, shared_host: Host, arguments: Dict[str, Any], says: str) -> None:
    shared_host.shell("mkdir -p /srv/scratch")
    assert says in run(fail=True, **arguments)["msg"]
    assert shared_host.shell("ls /srv/scratch") == ""


def test_images_without_a_name_are_not_loaded(run: Any, tmp_path: Path) -> None:
    source = write_tar(tmp_path / "x.tar", layout({"1.0": Image([files({"x": b"1"})])}))  # no more than a tag
    result = run(state="loaded", source=str(source), fail=True)
    assert "has no name there" in result["msg"] and "state=present" in result["msg"]
