# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_prune) and M(coracle.containers.container_image_info) as Ansible runs them."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

import busybox
from hosts import Host
from imagery import Image, digest, files, layout, write_folder

STATE = "/var/lib/coracle"
A, B, C, D = (files({name: os.urandom(50000), "same": name.encode()}) for name in "abcd")
IMAGES = {"one": Image([A, B], config={"Labels": {"team": "shop", "keep": "1"}}), "two": Image([A, C]), "new": Image([D])}


@pytest.fixture(scope="module")
def source(shared_host: Host) -> str:
    """A layout with three images."""
    return str(write_folder(shared_host.folder / "source", layout(IMAGES)))


@pytest.fixture
def prune(shared_host: Host, source: str) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on a host that has images one and two; whatever is left goes afterwards."""
    for name in ("one", "two"):
        shared_host.module("container_image", name=name, source=source, source_reference=name)
    yield functools.partial(shared_host.module, "container_prune")
    shared_host.shell("cd %s; rm -rf blobs containers index.json ingest layers leases oci-layout refs sources" % STATE)


def predicted(prune: Any, host: Host, **arguments: Any) -> Dict[str, Any]:
    """Check mode says what then happens, to the byte, and then there is nothing more to do."""
    before = host.shell("find %s ! -path '*/engine*' | sort" % STATE)
    told = prune(check_mode=True, **arguments)
    assert host.shell("find %s ! -path '*/engine*' | sort" % STATE) == before
    used = int(host.shell("du -s -B1 --exclude=engine %s" % STATE).split()[0])
    made = prune(**arguments)
    assert {key: told.get(key) for key in ("changed", "actions", "diff", "freed")} == {
        key: made.get(key) for key in ("changed", "actions", "diff", "freed")}
    again = prune(**arguments)
    assert not again["changed"] and again["prune"]["size"] == 0
    freed = used - int(host.shell("du -s -B1 --exclude=engine %s" % STATE).split()[0])
    assert abs(freed - made.get("freed", 0)) <= 20480, "the disk has %d bytes more" % freed  # refs and folders
    return made


def targets(result: Dict[str, Any]) -> List[str]:
    return [step["target"] for step in result["actions"]]


def test_nothing_is_pruned_unasked(prune: Any, shared_host: Host) -> None:
    for arguments in ({}, {"images": True, "layers": True, "parts": True, "containers": True}):
        assert not predicted(prune, shared_host, **arguments)["changed"]


def test_images_without_a_name(prune: Any, shared_host: Host, source: str) -> None:
    """The name moves to another image; the former one goes, but not the layer that it shares."""
    shared_host.module("container_image", name="one", source=source, source_reference="new")
    made = predicted(prune, shared_host, images=True)
    assert "layer " + digest(B) in targets(made) and "layer " + digest(A) not in targets(made)
    assert "blob " + IMAGES["one"].digest in targets(made)
    assert made["diff"]["before"]["layer " + digest(B)] > 50000
    assert made["freed"] > 2 * len(B)
    assert [each["references"] for each in shared_host.module("container_image_info")["images"]] == [
        ["docker.io/library/one:latest"], ["docker.io/library/two:latest"]]


def test_images_that_no_container_uses(prune: Any, shared_host: Host) -> None:
    every = {"images": True, "images_filters": {"dangling": False}}
    for filters in ({"until": "1h"}, {"labels": ["team=other"]}, {"labels": ["nothing"]},
                    {"without_labels": ["keep"], "labels": ["team"]}):
        assert not prune(**{**every, "images_filters": {"dangling": False, **filters}})["changed"], filters
    found = prune(check_mode=True, images=True, images_filters={"dangling": False, "labels": ["team=shop", "keep"]})
    assert targets(found)[0] == "image docker.io/library/one:latest"
    assert found["prune"]["images"] == ["docker.io/library/one:latest"]
    shared_host.module("container_image", name="two", state="tagged", tags=["also"])
    made = predicted(prune, shared_host, **every)
    assert [name for name in targets(made) if name.startswith("image ")] == [
        "image docker.io/library/%s:latest" % name for name in ("also", "one", "two")]
    assert shared_host.shell("cd %s; find blobs layers refs -type f" % STATE) == ""


def test_broken_off_downloads(prune: Any, shared_host: Host) -> None:
    folder = STATE + "/ingest"
    shared_host.shell("cd %s; echo half >download-sha256-0; echo half >layer-9-9; mkdir layer-9-10; echo x >layer-9-10/x;"
                      "touch -d '2 hours ago' download-sha256-0" % folder)
    assert not prune(parts=True, parts_filters={"until": "3h"}, check_mode=True)["prune"]["blobs"]
    made = predicted(prune, shared_host, layers=True)
    assert targets(made) == ["part layer-9-10", "part layer-9-9"]
    made = predicted(prune, shared_host, parts=True, parts_filters={"until": "1h"})
    assert targets(made) == ["part download-sha256-0"] and made["freed"] == 4096


def test_layers_that_were_asked_for_stay(prune: Any, shared_host: Host, tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(D)
    shared_host.module("container_layer", source=str(tmp_path / "layer.tar"))
    every = {"images": True, "images_filters": {"dangling": False}, "layers": True, "parts": True, "containers": True}
    predicted(prune, shared_host, **every)
    assert shared_host.module("container_layer", source=str(tmp_path / "layer.tar"))["changed"] is False


def test_containers(prune: Any, shared_host: Host, tmp_path: Path) -> None:
    """Those that have ended go, with what they wrote, and then their image may."""
    (tmp_path / "busybox.tar").write_bytes(busybox.tar())
    shared_host.module("container_image", name="busybox", source=str(tmp_path / "busybox.tar"))
    for name, arguments in (("runs", {"command": ["sleep", "1000"]}), ("ended", {"command": ["true"], "detach": False}),
                            ("made", {"command": ["true"], "state": "stopped", "labels": {"keep": "yes"}})):
        shared_host.module("container_run", {"name": name, "image": "busybox", "network_mode": "none", **arguments})
    assert targets(prune(check_mode=True, containers=True)) == ["container ended", "container made"]
    for filters in ({"until": "1h"}, {"labels": ["x"]}):
        assert not prune(containers=True, containers_filters=filters)["changed"]
    made = predicted(prune, shared_host, containers=True, containers_filters={"without_labels": ["keep=yes"]})
    assert targets(made) == ["container ended"]
    image = shared_host.module("container_image_info", name=["busybox"])["images"][0]
    assert image["containers"] == ["made", "runs"]
    every = {"containers": True, "images": True, "images_filters": {"dangling": False}}
    made = predicted(prune, shared_host, **every)
    assert targets(made)[:3] == ["container made", "image docker.io/library/one:latest",
                                 "image docker.io/library/two:latest"]
    assert shared_host.module("container_run", name="runs", image="busybox", command=["sleep", "1000"], network_mode="none",
                              check_mode=True)["changed"] is False
    shared_host.module("container_run", name="runs", state="absent")
    assert "image docker.io/library/busybox:latest" in targets(predicted(prune, shared_host, **every))


def test_image_info(prune: Any, shared_host: Host) -> None:
    """Shared is what two images have, unique what removing one would free, to the byte."""
    found = shared_host.module("container_image_info")["images"]
    assert [each["id"] for each in found] == [IMAGES["one"].id, IMAGES["two"].id]
    one, two = found
    assert one["disk"]["shared"] == two["disk"]["shared"] > 100000
    assert one["document"]["config"]["Labels"] == one["config"]["Labels"] == {"team": "shop", "keep": "1"}
    assert [layer["shared"] for layer in one["layers"]] == [True, False]
    command = "/var/lib/coracle/engine/current/coracle"
    assert json.loads(shared_host.run([command, "images", "--json"]).stdout) == found
    listed = shared_host.run([command, "images"]).stdout.splitlines()
    assert len(listed) == 3 and listed[1].split()[:2] == ["docker.io/library/one:latest", one["id"][7:19]]
    assert shared_host.run([command, "images", "--help"]).stdout.startswith("coracle images [--json]: ")
    assert "takes nothing but --json" in shared_host.run([command, "images", "one"], check=False).stderr
    assert shared_host.module("container_image", name="two", state="absent")["freed"] == two["disk"]["unique"]
    one = shared_host.module("container_image_info", name=["one", "none", one["id"]])["images"]
    assert [each["disk"]["shared"] for each in one] == [0]
    assert shared_host.module("container_image_info", name=["none"])["images"] == []
    assert "option 'name'" in shared_host.module("container_image_info", name=["UPPER:/"], fail=True)["msg"]
