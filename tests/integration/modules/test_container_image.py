# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_image) as Ansible runs it: imports from every source, verifies, shares, removes."""

from __future__ import annotations

import bz2
import gzip
import functools
import json
import lzma
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from hosts import Host
from imagery import Image, digest, docker, files, layout, member, tar, write_folder, write_tar

MODULE = "container_image"
STATE = "/var/lib/coracle"
PACK: Dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress,
    "zstd": lambda content: subprocess.run(["zstd", "-qc"], input=content, stdout=subprocess.PIPE, check=True).stdout}
A, B, C, D = (files({name: name.encode() * 100, "same": name.encode()}) for name in "abcd")


@pytest.fixture
def run(shared_host: Host) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on the host; its store is empty again afterwards."""
    yield functools.partial(shared_host.module, MODULE)
    shared_host.shell("cd %s; rm -rf blobs containers index.json ingest layers leases oci-layout refs sources" % STATE)


def content_of(host: Host) -> List[str]:
    """All files of the store that hold content or names."""
    return host.shell("cd %s && find blobs layers refs ingest -type f -printf '%%p %%s\n' 2>/dev/null | sort || true"
                      % STATE).splitlines()


def actions(result: Dict[str, Any]) -> List[str]:
    return ["%s %s" % (step["action"], step["target"]) for step in result["actions"]]


def predicted(run: Any, **arguments: Any) -> Dict[str, Any]:
    """Run in check mode, then really, then again: the prediction is what happens, and then nothing more."""
    before = run(check_mode=True, **arguments)
    made = run(**arguments)
    assert {key: before[key] for key in ("changed", "actions", "diff")} == {
        key: made[key] for key in ("changed", "actions", "diff")}
    again = run(**arguments)
    assert not again["changed"] and again["actions"] == []
    assert again["image"] == made["image"]
    return made


def sources(folder: Path, image: Image) -> Dict[str, Path]:
    """The same image in every form that it can be brought in."""
    found = {"oci": write_folder(folder / "layout", layout({"app": image})),
             "oci-archive": write_tar(folder / "oci.tar", layout({"app": image})),
             "docker-archive": write_tar(folder / "docker.tar", docker({"app:latest": image}))}
    for kind in ("oci-archive", "docker-archive"):
        for name, pack in PACK.items():
            if name != "none":
                found[kind + "." + name] = folder / (kind + "." + name)
                found[kind + "." + name].write_bytes(pack(found[kind].read_bytes()))
    return found


KINDS = ["oci", *("%s%s" % (kind, suffix) for kind in ("oci-archive", "docker-archive")
                  for suffix in ("", ".gzip", ".bzip2", ".xz", ".zstd"))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_source(run: Any, shared_host: Host, tmp_path: Path, kind: str) -> None:
    image = Image([A, B], packed=kind.startswith("oci"), config={"Cmd": ["/bin/app"], "Env": ["X=1"]})
    made = predicted(run, name="app", source=str(sources(tmp_path, image)[kind]))
    assert actions(made) == ["import docker.io/library/app:latest"]
    found = made["image"]
    assert (found["id"], found["config"]) == (image.id, {"Cmd": ["/bin/app"], "Env": ["X=1"]})
    if kind.startswith("oci"):
        assert found["digest"] == image.digest
        assert [layer["digest"] for layer in found["layers"]] == [digest(layer) for layer in image.stored]
    assert [layer["diff_id"] for layer in found["layers"]] == image.diff_ids
    assert found["references"] == ["docker.io/library/app:latest"]
    assert not any(layer["shared"] for layer in found["layers"])
    assert {layer["form"] for layer in found["layers"]} == {"erofs"}


@pytest.mark.parametrize("form", ["erofs", "directory"])
def test_layers_are_shared(run: Any, shared_host: Host, tmp_path: Path, form: str) -> None:
    """An image of a, b, c and one of a, b, d keep a and b once, and removing one keeps what the other needs."""
    both = {"one": Image([A, B, C]), "two": Image([A, B, D])}
    source = str(write_folder(tmp_path / "layout", layout(both)))
    for name in both:
        run(name=name, source=source, source_reference=name, layer_store=form)
    stored = [line for line in content_of(shared_host) if line.startswith("layers/") and ".json" in line]
    assert len(stored) == 4
    assert sum(line.startswith("blobs/") for line in content_of(shared_host)) == 4 + 2 * 2
    found = run(name="one")["image"]
    assert [layer["shared"] for layer in found["layers"]] == [True, True, False]
    assert {layer["form"] for layer in found["layers"]} == {form}

    gone = predicted_removal(run, "one")
    assert actions(gone) == ["remove docker.io/library/one:latest", "delete layer " + digest(C)]
    assert gone["image"] == {"exists": False} and gone["freed"] > len(C)
    two = run(name="two")["image"]
    assert [layer["diff_id"] for layer in two["layers"]] == both["two"].diff_ids
    assert not any(layer["shared"] for layer in two["layers"])
    predicted_removal(run, "two")
    assert content_of(shared_host) == []


def predicted_removal(run: Any, name: str) -> Dict[str, Any]:
    before = run(check_mode=True, name=name, state="absent")
    gone = run(name=name, state="absent")
    assert before["actions"] == gone["actions"] and gone["changed"]
    assert not run(name=name, state="absent")["changed"]
    return gone


def test_a_container_keeps_its_layers(run: Any, shared_host: Host, tmp_path: Path) -> None:
    image = Image([A])
    run(name="app", source=str(write_folder(tmp_path / "layout", layout({"app": image}))))
    folder = STATE + "/containers/web"
    shared_host.run(["mkdir", "-p", folder])
    shared_host.run(["sh", "-c", "cat >%s/container.json" % folder],
                    input=json.dumps({"name": "web", "image_id": image.id, "diff_ids": image.diff_ids}))
    assert run(name="app")["image"]["layers"][0]["shared"] is True
    assert actions(run(name="app", state="absent")) == ["remove docker.io/library/app:latest"]
    assert [line for line in content_of(shared_host) if line.startswith("layers/")]
    shared_host.run(["rm", "-r", folder])
    run(name="other", source=str(tmp_path / "layout"))
    run(name="other", state="absent")
    assert content_of(shared_host) == []


def broken(content: bytes) -> bytes:
    """The same length, other content."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(("kind", "part"), [
    *((kind, part) for kind in ("oci", "oci-archive") for part in ("manifest", "config", "layer", "diff ID")),
    ("docker-archive", "config"), ("docker-archive", "layer"), ("docker-archive", "diff ID")])
def test_wrong_digests(run: Any, shared_host: Host, tmp_path: Path, kind: str, part: str) -> None:
    """One clear error that names archive, expected and found; the store is as it was."""
    image = Image([A, B])
    content = docker({"app:latest": image}) if kind == "docker-archive" else layout({"app": image})
    if part == "diff ID":
        other = Image([A, B])
        other.config = image.config.replace(digest(B).encode(), digest(C).encode())
        other.id = digest(other.config)
        other.manifest = image.manifest.replace(image.id.encode(), other.id.encode())
        other.digest = digest(other.manifest)
        content = docker({"app:latest": other}) if kind == "docker-archive" else layout({"app": other})
        expected, found = digest(C), digest(B)
    else:
        if kind == "docker-archive":
            name = image.id[7:] + ".json" if part == "config" else [each for each in content if "layer.tar" in each][1]
        else:
            name = "blobs/" + {"manifest": image.digest, "config": image.id,
                               "layer": digest(image.stored[1])}[part].replace(":", "/")
        original = content[name]
        content[name] = broken(original)
        expected, found = digest(original), digest(content[name])
    source = write_folder(tmp_path / "app", content) if kind == "oci" else write_tar(tmp_path / "app.tar", content)
    run(name="before", source=str(write_folder(tmp_path / "good", layout({"x": Image([A, D])}))))
    before = content_of(shared_host)
    packed = tmp_path / "app.tar.gz"
    if kind != "oci":
        packed.write_bytes(gzip.compress(source.read_bytes(), 1))
    for path in (source, packed)[:1 if kind == "oci" else 2]:
        for check_mode in (True, False):
            failed = run(name="app", source=str(path), fail=True, check_mode=check_mode)
            assert str(path) in failed["msg"] and expected in failed["msg"] and found in failed["msg"], failed["msg"]
            assert "\n" not in failed["msg"] and "exception" not in failed
            assert content_of(shared_host) == before


def test_expected_digest(run: Any, shared_host: Host, tmp_path: Path) -> None:
    image = Image([A])
    source = str(write_folder(tmp_path / "layout", layout({"app": image})))
    wrong = "sha256:" + "0" * 64
    failed = run(name="app", source=source, digest=wrong, fail=True)
    assert wrong in failed["msg"] and image.digest in failed["msg"]
    assert content_of(shared_host) == []
    assert run(name="app", source=source, digest=image.digest)["changed"]
    assert not run(name="app", source=source, digest=image.id)["changed"]
    assert not run(name="app", digest=image.digest)["changed"]
    assert wrong in run(name="app", digest=wrong, pull="never", fail=True)["msg"]
    tarball = tmp_path / "root.tar"
    tarball.write_bytes(A)
    failed = run(name="root", source=str(tarball), digest=wrong, fail=True)
    assert wrong in failed["msg"] and digest(A) in failed["msg"] and str(tarball) in failed["msg"]
    assert run(name="root", source=str(tarball), digest=digest(A))["changed"]


@pytest.mark.parametrize(("arguments", "says"), [
    ({"name": "none", "pull": "never"}, "image 'docker.io/library/none:latest' is not in"),
    ({"name": "x", "source": "/nowhere/x.tar"}, "source /nowhere/x.tar: No such file"),
    ({"name": "Bad Name", "source": "/etc"}, "option 'name': value 'Bad Name'"),
    ({"name": "x", "source": "relative"}, "option 'source'"),
    ({"name": "x", "source": "/etc/hostname"}, "tar archive"),
    ({"name": "x", "state": "tagged", "tags": ["y"]}, "image 'docker.io/library/x:latest' is not in"),
    ({"name": "x", "source": "/etc/apt", "exposed_ports": ["http"]}, "option 'exposed_ports': value 'http' is no port"),
    ({"name": "x", "source": "/etc/apt", "env": {"A": 1}}, "quote numbers"),
    ({"name": "x", "source": "/etc/apt", "source_reference": "y"}, "option 'source_reference'"),
    ({"name": "sha256:" + "1" * 64, "source": "/etc/apt"}, "is an image ID"),
    ({"name": "x", "source": "/etc/apt", "digest": "sha256:12"}, "option 'digest'"),
])
def test_one_clear_error(run: Any, shared_host: Host, arguments: Dict[str, Any], says: str) -> None:
    for check_mode in (True, False):
        failed = run(fail=True, check_mode=check_mode, **arguments)
        assert says in failed["msg"], failed["msg"]
        assert "exception" not in failed
    assert content_of(shared_host) == []


def test_choosing_among_several(run: Any, tmp_path: Path) -> None:
    both = {"registry.example.com/app:1": Image([A]), "registry.example.com/app:2": Image([B])}
    for source in (write_folder(tmp_path / "layout", layout(both)), write_tar(tmp_path / "docker.tar", docker(both))):
        failed = run(name="app", source=str(source), fail=True)
        assert "registry.example.com/app:1, registry.example.com/app:2" in failed["msg"]
        failed = run(name="app", source=str(source), source_reference="registry.example.com/app:3", fail=True)
        assert "has no image 'registry.example.com/app:3'" in failed["msg"]
        for name, image in both.items():
            assert run(name=name, source=str(source))["image"]["id"] == image.id
            assert run(name="app", source=str(source), source_reference=name)["image"]["id"] == image.id


def test_an_index_of_several_platforms(run: Any, shared_host: Host, tmp_path: Path) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(shared_host.run(["uname", "-m"]).stdout.strip(), "amd64")
    own, other = Image([A]), Image([B])
    content = layout({"own": own, "other": other})
    index = json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest, "size": len(image.manifest),
         "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in ((other, "mips"), (own, machine))]}).encode()
    content["blobs/" + digest(index).replace(":", "/")] = index
    content["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(index),
         "size": len(index)}]}).encode()
    assert run(name="app", source=str(write_folder(tmp_path / "layout", content)))["image"]["id"] == own.id


def test_names(run: Any, shared_host: Host, tmp_path: Path) -> None:
    one, two = Image([A]), Image([B])
    source = str(write_folder(tmp_path / "layout", layout({"one": one, "two": two})))
    run(name="one", source=source, tags=["also:1"])
    made = predicted(run, name="one", state="tagged", tags=["also:1", "also:2"])
    assert actions(made) == ["tag docker.io/library/also:2"]
    assert made["image"]["references"] == ["docker.io/library/" + name for name in ("also:1", "also:2", "one:latest")]
    run(name="two", source=source)
    moved = predicted(run, name="two", state="tagged", tags=["also:2"])
    assert actions(moved) == ["tag docker.io/library/also:2"]
    assert run(name="also:2")["image"]["id"] == two.id
    assert run(name=one.id[:19])["image"]["references"] == ["docker.io/library/" + name for name in
                                                            ("also:1", "one:latest")]
    assert actions(run(name=one.id, state="absent")) == [
        "remove docker.io/library/also:1", "remove docker.io/library/one:latest", "delete layer " + digest(A)]
    assert actions(run(name="also:2", state="absent")) == ["remove docker.io/library/also:2"]
    assert run(name="two")["image"]["id"] == two.id
    replaced = run(name="two", source=source, source_reference="one")
    assert replaced["actions"][0]["disruption"] == "recreate" and replaced["image"]["id"] == one.id


def root_of(folder: Path) -> Path:
    """A small root file system."""
    content = tar(member("bin/"), member("bin/app", b"#!/bin/sh\n", mode=0o755), member("etc/", mode=0o750),
                  member("etc/secret", b"s", mode=0o600, uid=33), member("tmp/", mode=0o1777),
                  member("l", symlink="bin/app"))
    folder.mkdir()
    subprocess.run(["tar", "-C", str(folder), "-xp"], input=content, check=True)
    return folder


def test_a_root_file_system(run: Any, shared_host: Host, tmp_path: Path) -> None:
    root = root_of(tmp_path / "root")
    config = {"entrypoint": ["/bin/app"], "cmd": ["serve"], "env": {"B": "2", "A": "1"}, "working_dir": "/srv",
              "user": "33:33", "exposed_ports": ["8080", "53/udp"], "labels": {"x": "y"}, "volumes": ["/data"],
              "stop_signal": "INT", "created": "2026-01-31T12:00:00Z"}
    made = predicted(run, name="app", source=str(root), **config)
    assert made["image"]["config"] == {
        "Entrypoint": ["/bin/app"], "Cmd": ["serve"], "Env": ["A=1", "B=2"], "WorkingDir": "/srv", "User": "33:33",
        "ExposedPorts": {"53/udp": {}, "8080/tcp": {}}, "Labels": {"x": "y"}, "Volumes": {"/data": {}},
        "StopSignal": "SIGINT"}
    assert made["image"]["created"] == "2026-01-31T12:00:00Z"
    changed = predicted(run, name="app", source=str(root), **{**config, "cmd": ["other"]})
    assert changed["diff"] == {"before": {"cmd": ["serve"]}, "after": {"cmd": ["other"]}}
    assert changed["image"]["layers"] == made["image"]["layers"]


def test_changes_of_a_folder_are_seen(run: Any, shared_host: Host, tmp_path: Path) -> None:
    root = root_of(tmp_path / "root")
    first = run(name="app", source=str(root))["image"]
    for change in ("echo more >>etc/secret", "chmod 700 bin/app", "chown 5 bin/app", "rm l", "mkdir new",
                   "touch -d @1000 etc/secret", "touch -d @5 .", "ln bin/app new/hard",
                   "python3 -c 'import os; os.setxattr(\"bin/app\", \"user.a\", b\"b\")'"):
        shared_host.shell("cd %s; %s" % (root, change))
        made = predicted(run, name="app", source=str(root))
        assert made["changed"], change
        assert made["image"]["layers"][0]["diff_id"] != first["layers"][0]["diff_id"]
    shared_host.shell("sleep 2.1")  # old enough for the note of what it looked like
    run(name="noted", source=str(root))
    same = run(name="noted", source=str(root))
    assert not same["changed"]
    shared_host.shell("cd %s; m=$(stat -c %%y etc/secret); printf S >etc/secret; touch -d \"$m\" etc/secret" % root)
    assert run(name="noted", source=str(root))["changed"]


def test_the_same_files_give_the_same_image(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """On every host and at any time: as a folder, as a copy of it, and as GNU tar's tarball of the same."""
    root = root_of(tmp_path / "root")
    one = run(name="one", source=str(root))["image"]
    shared_host.shell("sleep 0.01; cp -a %s %s/copy" % (root, tmp_path))
    two = run(name="two", source=str(tmp_path / "copy"))["image"]
    assert (one["id"], one["digest"]) == (two["id"], two["digest"])


@pytest.mark.parametrize("kind", PACK)
def test_a_tarball_of_a_root(run: Any, shared_host: Host, tmp_path: Path, kind: str) -> None:
    plain = files({"bin/": None, "bin/app": b"1" * 100000, "oci": b"", "manifest": b""})
    tarball = tmp_path / "root.tar"
    tarball.write_bytes(PACK[kind](plain))
    made = predicted(run, name="app", source=str(tarball), cmd=["/bin/app"])
    assert made["image"]["layers"][0]["diff_id"] == digest(plain)
    assert made["image"]["layers"][0]["digest"] == digest(tarball.read_bytes())


def test_lost_layers_are_mended(run: Any, shared_host: Host, tmp_path: Path) -> None:
    image = Image([A, B])
    source = str(write_folder(tmp_path / "layout", layout({"app": image})))
    run(name="app", source=source)
    shared_host.shell("rm %s/layers/sha256/%s.erofs" % (STATE, digest(A)[7:]))
    mended = predicted(run, name="app")
    assert actions(mended) == ["mend layer " + digest(A)]
    shared_host.shell("rm %s/layers/sha256/* %s/blobs/sha256/%s" % (STATE, STATE, digest(B)[7:]))
    again = predicted(run, name="app", source=source)
    assert actions(again) == ["import docker.io/library/app:latest"]
    assert [layer["form"] for layer in again["image"]["layers"]] == ["erofs", "erofs"]


def test_two_imports_at_once(run: Any, shared_host: Host, tmp_path: Path) -> None:
    """They take turns, both succeed, and the content is there once."""
    image = Image([files({"f": b"x" * 20000000}), A])
    source = write_tar(tmp_path / "app.tar", layout({"app": image}))
    play = ("- hosts: localhost\n  gather_facts: false\n  tasks:\n"
            "    - coracle.containers.container_image: {name: 'app%%d', source: %s, state_root: %s}\n"
            % (source, STATE))
    started = []
    for number in range(3):
        (tmp_path / ("%d.yml" % number)).write_text(play % number, encoding="utf-8")
    import threading
    results: List[int] = []
    for number in range(3):
        started.append(threading.Thread(target=lambda number=number: results.append(
            shared_host.playbook(tmp_path / ("%d.yml" % number), check=False).returncode)))
        started[-1].start()
    for thread in started:
        thread.join()
    assert results == [0, 0, 0]
    assert run(name="app0")["image"]["references"] == ["docker.io/library/app%d:latest" % number for number in range(3)]
    assert len([line for line in content_of(shared_host) if line.startswith("blobs/")]) == 4
    assert not [line for line in content_of(shared_host) if line.startswith("ingest/")]


def test_check_mode_makes_nothing(run: Any, shared_host: Host, tmp_path: Path) -> None:
    root = root_of(tmp_path / "root")
    assert run(name="app", source=str(root), check_mode=True)["changed"]
    assert not run(name="app", state="absent", check_mode=True)["changed"]
    assert set(shared_host.shell("ls %s" % STATE).split()) <= {"engine"}


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_other_tools_read_the_store_and_we_read_what_they_write(run: Any, shared_host: Host, tmp_path: Path) -> None:
    image = Image([A, B], packed=True, config={"Cmd": ["x"]})
    run(name="app", source=str(write_folder(tmp_path / "layout", layout({"app": image}))))
    store = "oci:%s:docker.io/library/app:latest" % STATE
    seen = json.loads(shared_host.run(["skopeo", "inspect", store]).stdout)
    assert seen["Digest"] == image.digest
    for kind, target in (("oci", tmp_path / "copy"), ("oci-archive", tmp_path / "copy-oci.tar"),
                         ("docker-archive", tmp_path / "copy-docker.tar")):
        shared_host.run(["skopeo", "--insecure-policy", "copy", store, "%s:%s:other/app:2" % (kind, target)])
        copied = run(name="copy-" + kind, source=str(target))["image"]
        assert [layer["diff_id"] for layer in copied["layers"]] == image.diff_ids
        assert copied["config"]["Cmd"] == ["x"]
