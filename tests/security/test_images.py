# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile images: their layers write nowhere else, and what their configs say never acts on the host."""

from __future__ import annotations

import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import busybox
import pytest
from containers import Runner
from hosts import Host
from imagery import Image, digest, layout, member, tar, write_folder

pytestmark = pytest.mark.slow
Members = List[Tuple[tarfile.TarInfo, bytes]]


def add(host: Host, folder: Path, name: str, image: Image, **options: Any) -> Dict[str, Any]:
    """Import an image from a layout."""
    source = write_folder(folder / name, layout({name: image}))
    return host.module("container_image", name=name, source=str(source), source_reference=name, **options)


def hostile(victim: str) -> Dict[str, Members]:
    """Layers by what they try."""
    out = "../" * 12 + victim.lstrip("/")
    return {
        "a name that leads out": [member(out + "/new", b"x")],
        "an absolute name": [member(victim + "/new", b"x")],
        "a file through an absolute link": [member("link", symlink=victim), member("link/new", b"x")],
        "a file through a link that leads out": [member("link", symlink=out), member("link/new", b"x")],
        "a link in place of a folder that is there": [member("folder"), member("folder", symlink=victim), member("folder/new", b"x")],
        "a file through two links": [member("one", symlink="two"), member("two", symlink=victim), member("one/new", b"x")],
        "the mode of a file behind a link": [member("link", symlink=victim + "/file"), member("link", b"x", mode=0o4777)],
        "the mode of a folder behind a link": [member("link", symlink=victim), member("link", mode=0o777), member("link/file", b"x")],
        "a hard link to a file of the host": [member("hard", link=victim + "/file"), member("hard", b"changed")],
        "a hard link through a link": [member("link", symlink=victim), member("hard", link="link/file"), member("hard", b"changed")],
        "a whiteout of what is outside": [member("../.wh.victim", b"")],
        "a whiteout of the parent": [member("folder/.wh...", b"")],
        "a whiteout through a link": [member("link", symlink=victim), member("link/.wh.file", b"")],
        "an opaque folder behind a link": [member("link", symlink=victim), member("link/.wh..wh..opq", b"")],
        "attributes of the overlay": [member("folder", xattrs={"trusted.overlay.redirect": victim, "trusted.overlay.opaque": "y"})],
        "a device": [member("disk", device=(8, 0), mode=0o666)],
    }


@pytest.mark.advisory("CVE-2021-32760", "CVE-2021-41089", "CVE-2018-15664", "CVE-2025-62725", "CVE-2024-9675")
@pytest.mark.parametrize("form", ["erofs", "tree"])
@pytest.mark.parametrize("kind", sorted(hostile("/x")))
def test_a_layer_writes_nowhere_else(machine: Host, tmp_path: Path, kind: str, form: str) -> None:
    """Whether it is refused or taken in as something harmless: no file of the host is made or changed."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "file").write_text("untouched", encoding="ascii")
    (victim / "file").chmod(0o640)

    def look() -> Any:
        return sorted((path.name, path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_nlink)
                      for path in [victim, *victim.iterdir()])
    before = look()
    content = tar(*hostile(str(victim))[kind])
    source = tmp_path / "layer.tar"
    source.write_bytes(content)
    result = machine.run(["/usr/bin/python3", machine.payload("container_layer", {
        "state": "present", "source": str(source), "format": form})], check=False)
    said = json.loads(result.stdout[result.stdout.index("{"):])
    assert "msg" in said if said.get("failed") else said["changed"], said
    assert look() == before
    if not said.get("failed"):
        machine.module("container_layer", state="absent", diff_id=said.get("diff_id") or said["layer"]["diff_id"])


@pytest.mark.quick
@pytest.mark.advisory("CVE-2026-53488", "CVE-2026-53492", "CVE-2026-53489", "CVE-2026-50195")
def test_labels_and_annotations_of_an_image_act_on_nothing(machine: Host, tmp_path: Path) -> None:
    """No hook, device, logger, restart policy or namespace follows from what an image says about itself."""
    evil = {"io.coracle.restart_policy": "always", "containerd.io/restart.loguri": "binary:///bin/sh",
            "io.podman.annotations.privileged": "TRUE",
            "cdi.k8s.io/x": "vendor.com/device=all", "org.opencontainers.image.ref.name": "other", "run.oci.handler": "krun",
            "run.oci.hooks.stderr": "/etc/x", "io.kubernetes.cri-o.userns-mode": "auto", "module.wasm.image/variant": "compat"}
    settings = {"Labels": evil, "Cmd": ["/bin/sleep", "60"], "Env": ["PATH=/bin"], "Hooks": {"prestart": [{"path": "/bin/sh"}]},
                "HostConfig": {"Privileged": True, "Binds": ["/:/host"]}, "Privileged": True, "Annotations": evil,
                "Volumes": {"/within": {}}, "OnBuild": ["RUN x"], "Shell": ["/bin/sh"]}
    image = Image([busybox.tar()], config=settings)
    add(machine, tmp_path, "labelled", image)
    try:
        machine.module("container_run", name="one", image="labelled", stop_timeout="1s")
        config = json.loads(machine.shell("cat %s/containers/one/config.json" % machine.state_root))
        assert "hooks" not in config and not set(config.get("annotations") or ()) & set(evil)
        text = json.dumps(config)
        assert not [word for word in (*evil, "binary:", "krun", '"/host"', "outside") if word in text]
        assert config["process"]["capabilities"]["bounding"] and "CAP_SYS_ADMIN" not in config["process"]["capabilities"]["bounding"]
    finally:
        machine.module("container_run", name="one", state="absent")
        machine.module("container_image", name="labelled", state="absent")


@pytest.mark.parametrize("place", [pytest.param("/../../run/outside", marks=pytest.mark.quick), "/tmp/../../x",
                                   pytest.param("relative", marks=pytest.mark.quick), "/"])
def test_a_volume_of_an_image_lies_inside_its_containers(machine: Host, tmp_path: Path, place: str) -> None:
    add(machine, tmp_path, "placed", Image([busybox.tar()], config={"Cmd": ["/bin/sleep", "60"], "Volumes": {place: {}}}))
    try:
        failed = machine.module("container_run", name="one", image="placed", fail=True)
        assert "declares a volume at %r" % place in failed["msg"]
        assert machine.shell("ls -d /run/outside /x %s/containers/one 2>/dev/null || :" % machine.state_root) == ""
    finally:
        machine.module("container_image", name="placed", state="absent")


@pytest.mark.quick
@pytest.mark.advisory("CVE-2020-14370", "CVE-2021-3602", "CVE-2026-57231")
def test_an_entry_of_the_environment_without_a_value_takes_none_of_the_hosts(machine: Host, tmp_path: Path) -> None:
    image = Image([busybox.tar()], config={"Env": ["PATH=/bin", "SECRET", "*", "SEC*", "LD_PRELOAD"], "Cmd": ["/bin/env"]})
    add(machine, tmp_path, "wanting", image)
    payload = machine.payload("container_run", {"name": "one", "image": "wanting", "detach": False})
    try:
        done = machine.run(["/usr/bin/python3", payload], env={"SECRET": "of-the-host", "LD_PRELOAD": ""})
        result = json.loads(done.stdout[done.stdout.index("{"):])
        names = sorted(line.partition("=")[0] for line in result["stdout"].splitlines())
        assert result["rc"] == 0 and names == ["HOME", "HOSTNAME", "PATH"]
    finally:
        payload.unlink()
        machine.module("container_run", name="one", state="absent")
        machine.module("container_image", name="wanting", state="absent")


@pytest.mark.quick
@pytest.mark.advisory("CVE-2021-41190")
@pytest.mark.parametrize("also", ["config", "layers"])
@pytest.mark.parametrize("kind", ["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json", None])
def test_a_document_that_is_an_index_and_a_manifest_is_refused(machine: Host, tmp_path: Path, also: str, kind: Any) -> None:
    """One tool would run one image, the next another, under the same digest."""
    good, other = Image([busybox.tar()]), Image([busybox.tar()], config={"Cmd": ["other"]})
    document = json.loads(good.manifest)
    document["manifests"] = [{"mediaType": document["mediaType"], "digest": other.digest, "size": len(other.manifest)}]
    document.pop("layers" if also == "config" else "config")
    document.pop("mediaType")
    if kind:
        document["mediaType"] = kind
    content = json.dumps(document).encode()
    files = layout({"both": good})
    files.update({"blobs/" + name.replace(":", "/"): blob for name, blob in other.blobs().items()})
    files["blobs/" + digest(content).replace(":", "/")] = content
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        {"digest": digest(content), "size": len(content), "annotations": {"org.opencontainers.image.ref.name": "both"},
         "mediaType": "application/vnd.oci.image.manifest.v1+json"}]}).encode()
    failed = machine.module("container_image", name="both", source=str(write_folder(tmp_path / "both", files)), fail=True)
    assert "index" in failed["msg"] and "manifest" in failed["msg"]


@pytest.mark.advisory("JSON (Python)")
@pytest.mark.parametrize("change", [
    {"Env": "PATH=/bin"}, {"Env": [1]}, {"Env": {"a": "b"}}, {"Cmd": "sh"}, {"Cmd": [None]}, {"Entrypoint": [["sh"]]}, {"User": 0},
    {"User": ["root"]}, {"WorkingDir": {}}, {"Labels": ["a"]}, {"Labels": {"a": 1}}, {"StopSignal": 9}, {"Env": ["A=\0"]},
    {"Volumes": ["/x"]}])
def test_a_config_whose_members_are_of_other_types_is_refused(machine: Host, tmp_path: Path, change: Dict[str, Any]) -> None:
    image = Image([busybox.tar()], config=change)
    failed = add(machine, tmp_path, "odd", image, fail=True)
    assert next(iter(change)) in failed["msg"] and "Traceback" not in json.dumps(failed)


@pytest.mark.advisory("JSON (Python)")
@pytest.mark.parametrize("config", [b"[" * 200000, b'{"rootfs": {}, "rootfs": {"diff_ids": []}}', b'{"rootfs": {"diff_ids": [], "x": NaN}}',
                                    b'{"x": %s}' % (b"9" * 100000), b"\xff\xfe", b"null", b"[]", b'"x"', b""])
def test_a_config_that_is_no_clear_json_is_refused_at_once(machine: Host, tmp_path: Path, config: bytes) -> None:
    image = Image([busybox.tar()])
    image.config, image.id = config, digest(config)
    manifest = json.loads(image.manifest)
    manifest["config"].update(digest=image.id, size=len(config))
    image.manifest = json.dumps(manifest).encode()
    image.digest = digest(image.manifest)
    begin = time.monotonic()
    failed = add(machine, tmp_path, "odd", image, fail=True)
    assert "config" in failed["msg"] and "Traceback" not in json.dumps(failed) and time.monotonic() - begin < 100


@pytest.mark.advisory("CVE-2024-9341", "CVE-2025-9566", "CVE-2023-0778", "CVE-2024-9676")
def test_files_of_an_image_that_are_links_and_pipes_lead_nowhere(run: Runner, tmp_path: Path) -> None:
    """/etc/hosts, hostname and resolv.conf lead out of the image; /etc/passwd is a pipe, to which nobody writes."""
    host = run.host
    victims = {name: tmp_path / ("victim-" + name) for name in ("hosts", "hostname", "resolv.conf")}
    links = []
    for name, path in victims.items():
        path.write_text("untouched", encoding="ascii")
        links.append(member("etc/" + name, symlink="../" * 12 + str(path).lstrip("/")))
    link = member("tmp/x", symlink=os.fspath(tmp_path))
    add(host, tmp_path, "linked", Image([busybox.tar(), tar(*links, link)]))
    add(host, tmp_path, "piped", Image([busybox.tar(), tar(*links, link, member("etc/passwd", fifo=True))]))
    try:
        run("one", image="linked", user="1000", detach=False, command=["/bin/sh", "-c", "echo more >> /etc/hosts; echo x > /tmp/x/new; :"])
        begin = time.monotonic()
        failed = run("two", image="piped", user="web", fail=True)
        assert "/etc/passwd" in failed["msg"] and time.monotonic() - begin < 100
        assert {path.read_text(encoding="ascii") for path in victims.values()} == {"untouched"}
        assert not (tmp_path / "new").exists()
    finally:
        for name in run.names:
            host.module("container_run", name=name, state="absent")
        for name in ("linked", "piped"):
            host.module("container_image", name=name, state="absent")


@pytest.mark.advisory("CVE-2022-31030", "CVE-2022-1708", "CVE-2022-23471")
def test_a_container_that_writes_without_end_fills_no_memory(run: Runner) -> None:
    """Its log is bounded, and so is what a task brings back."""
    result = run("one", command=["/bin/sh", "-c", "busybox yes 0123456789abcdef | head -c 60000000"], detach=False, log_max_size="1M")
    assert result["rc"] == 0 and len(result["stdout"]) <= 1 << 20
    size = int(run.host.shell("cat %s/containers/one/container.log* | wc -c" % run.host.state_root))
    assert size < 16 << 20
    peak = int(run.host.shell("grep -h VmHWM /proc/[0-9]*/status | sort -k2 -n | tail -1 | tr -dc 0-9"))
    assert peak < 300000  # kB, of whatever runs on the host now: keeper and monitors among it
