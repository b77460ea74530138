# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_image) pushes: as it is stored, compressed on the way, mounted, through faults."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from hosts import Host
from imagery import Image, digest, files, layout, write_folder
from registries import PASSWORD, USER, Registry, noise

STATE = "/var/lib/coracle"
BASE, MIDDLE, TOP = (files({name: name.encode() * 100, "%s/big" % name: noise(600_000, ord(name))}) for name in "abc")
ONE = Image([BASE, MIDDLE], packed=True, config={"Cmd": ["/bin/one"]})
TWO = Image([BASE, TOP], packed=True, config={"Cmd": ["/bin/two"]})
PLAIN = Image([BASE, files({"x": b"text " * 5_000_000})])
IMAGES = {"one": ONE, "two": TWO, "plain": PLAIN}


@pytest.fixture(scope="module")
def registry(shared_host: Host) -> Iterator[Registry]:
    """A registry behind a proxy, in the host itself."""
    made = Registry(shared_host)
    made.proxy()
    yield made
    made.close()


@pytest.fixture(scope="module")
def run(shared_host: Host) -> Callable[..., Dict[str, Any]]:
    """Run the module on a host whose store has the images."""
    call = functools.partial(shared_host.module, "container_image", plain_http=True)
    source = str(write_folder(shared_host.folder / "source", layout(IMAGES)))
    for name in IMAGES:
        call(name=name, source=source, source_reference=name)
    return call


@pytest.fixture
def name(registry: Registry, request: pytest.FixtureRequest) -> str:
    """A name at the registry of this test's own, by the proxy."""
    registry.fault()
    return "%s/push/%s:1" % (registry.proxy(), re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-"))


def pushed(run: Any, image: str, name: str, **more: Any) -> Dict[str, Any]:
    """Push, as check mode predicts it, once."""
    told = run(name=image, state="pushed", destination=name, check_mode=True, **more)
    made = run(name=image, state="pushed", destination=name, **more)
    assert made["changed"] and {key: told[key] for key in ("changed", "actions", "diff")} == {
        key: made[key] for key in ("changed", "actions", "diff")}
    assert not run(name=image, state="pushed", destination=name, **more)["changed"]
    return dict(made, told=told["push"])


def direct(registry: Registry, name: str) -> str:
    """A name without the proxy, which passes on one of several Accept headers only."""
    return registry.address + "/" + name.partition("/")[2]


def test_the_digest_stays(run: Any, registry: Registry, shared_host: Host, name: str) -> None:
    """What is stored compressed is sent as it is; nothing new costs one request; another image moves the tag."""
    made = pushed(run, "one", name)
    assert made["push"]["digest"] == made["image"]["pushed"]["digest"] == ONE.digest
    assert made["push"]["size"] == sum(map(len, [*ONE.stored, ONE.config]))
    assert made["told"]["size"] == sum(map(len, ONE.stored))
    registry.fault()
    assert not run(name="one", state="pushed", destination=name)["changed"]
    assert [line.partition(" ")[0] for line in registry.lines()] == ["HEAD"]
    seen = json.loads(shared_host.run(["skopeo", "inspect", "--tls-verify=false", "docker://" + direct(registry, name)]).stdout)
    assert seen["Digest"] == ONE.digest and seen["RepoTags"] == ["1"]
    registry.fault()
    moved = pushed(run, "two", name)
    assert moved["actions"][0]["disruption"] == "recreate"
    assert moved["diff"] == {"before": {"digest": ONE.digest}, "after": {"digest": TWO.digest}}
    assert moved["push"]["size"] == len(TWO.stored[1]) + len(TWO.config), "the layer that is there is not sent again"


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_plain_layers(run: Any, registry: Registry, shared_host: Host, name: str, compression: str, tmp_path: Path) -> None:
    """Compressed on the way, in chunks; other tools unpack the same files."""
    made = pushed(run, "plain", name, compression=compression)

    def copied(*how: str) -> Any:
        shared_host.run(["skopeo", "--insecure-policy", "copy", *how, "--src-tls-verify=false", "docker://" + direct(registry, name),
                         "dir:%s" % (tmp_path / "copy")])
        return json.loads((tmp_path / "copy/manifest.json").read_text())
    assert [each["digest"] for each in copied("--dest-decompress")["layers"]] == PLAIN.diff_ids
    manifest = copied()
    assert manifest["config"]["digest"] == PLAIN.id
    suffix = "" if compression == "none" else "+" + compression
    assert [each["mediaType"] for each in manifest["layers"]] == ["application/vnd.oci.image.layer.v1.tar" + suffix] * 2
    assert (made["push"]["digest"] == PLAIN.digest) == (compression == "none")
    if compression != "none":
        assert made["push"]["size"] < 1_000_000 < made["told"]["size"]
        assert any(line.startswith("PATCH") for line in registry.lines())
    again = shared_host.module("container_image", plain_http=True, name=name, pull="always")
    assert [layer["diff_id"] for layer in again["image"]["layers"]] == PLAIN.diff_ids
    run(name=name, state="absent")


def test_mounted_from_a_neighbour(run: Any, registry: Registry, name: str) -> None:
    """A layer that an image pulled from another repository has is not sent either."""
    registry.put("push/neighbour", "1", TWO)
    neighbour = "%s/push/neighbour:1" % registry.proxy()
    run(name=neighbour)
    registry.fault()
    made = pushed(run, "one", name)
    assert made["push"]["size"] == len(ONE.stored[1]) + len(ONE.config)
    assert [line for line in registry.lines() if "mount=" + digest(ONE.stored[0]) in line]
    run(name=neighbour, state="absent")


@pytest.mark.parametrize("fault", [
    {"match": "^PUT .*/blobs/", "status": 500, "times": 1}, {"match": "^PATCH", "status": 503, "times": 1},
    {"match": "^POST", "status": 429, "times": 2}, {"match": "^PUT .*/manifests/", "status": 502, "times": 1},
    {"match": "^HEAD .*/blobs/", "status": 500, "times": 2}, {"match": "^(PUT|PATCH)", "drop": True, "times": 2},
], ids=lambda fault: fault["match"].strip("^") + str(fault.get("status", "drop")))
def test_faults_that_pass(run: Any, registry: Registry, name: str, fault: Dict[str, Any]) -> None:
    registry.fault(fault)
    assert run(name="plain", state="pushed", destination=name)["changed"]
    registry.fault()
    assert not run(name="plain", state="pushed", destination=name)["changed"]


@pytest.mark.parametrize("match", ["^PATCH", "^PUT .*/blobs/", "^PUT .*/manifests/"])
def test_faults_that_stay(run: Any, registry: Registry, name: str, match: str) -> None:
    """One clear error that names registry, repository and what was sent; the tag does not exist, and the next run does it."""
    registry.fault({"match": match, "status": 403})
    result = run(name="plain", state="pushed", destination=name, fail=True)
    assert result["msg"].startswith(name[:-2] + ": ") and "refuses access" in result["msg"]
    registry.fault()
    assert run(name="plain", state="pushed", destination=name)["changed"]


def test_a_killed_push(run: Any, registry: Registry, shared_host: Host, name: str) -> None:
    """The tag does not exist, nothing on the host is kept from being collected, and the next run does it."""
    registry.fault({"match": "^(PATCH|PUT) .*/blobs/", "delay": 20})
    payload = shared_host.payload("container_image", {"name": "plain", "state": "pushed", "destination": name, "plain_http": True})
    process = shared_host.start(["/usr/bin/python3", payload], stdout=subprocess.DEVNULL)
    shared_host.shell("until grep -q 'PATCH\\|PUT' '%s'; do sleep 0.05; done; pkill -KILL -f '[p]%s'"
                      % (registry.folder / "requests", payload.name[1:]))
    process.wait()
    payload.unlink()
    assert shared_host.shell("ls %s/leases" % STATE).split()
    registry.fault()
    assert not run(name=name, state="unpushed")["changed"]
    assert run(name="plain", state="pushed", destination=name)["changed"]
    assert not run(name="plain", state="pushed", destination=name)["changed"]
    run(name="two", state="tagged", tags=["other:1"])
    run(name="other:1", state="absent")
    assert shared_host.shell("ls %s/leases" % STATE).split() == []


def test_logins(run: Any, shared_host: Host) -> None:
    for login in ("basic", "token"):
        registry = Registry(shared_host, login=login)
        try:
            name = registry.address + "/team/one:1"
            assert "refuses access" in run(name="one", state="pushed", destination=name, fail=True)["msg"]
            made = run(name="one", state="pushed", destination=name, username=USER, password=PASSWORD)
            assert made["image"]["pushed"]["digest"] == ONE.digest and PASSWORD not in json.dumps(made)
            assert "refuses access" in run(name=name, state="unpushed", fail=True)["msg"]
            assert run(name=name, state="unpushed", username=USER, password=PASSWORD)["changed"]
        finally:
            registry.close()


def test_unpushed(run: Any, registry: Registry, shared_host: Host, name: str) -> None:
    """A tag goes alone, as check mode predicts it, once; by its digest a manifest goes with all its tags."""
    other, by_digest = name[:-1] + "2", "%s@%s" % (name[:-2], ONE.digest)
    for each in (name, other):
        run(name="one", state="pushed", destination=each)
    assert "expected digest %s, found %s" % (TWO.digest, ONE.digest) in run(
        name=name, state="unpushed", digest=TWO.digest, fail=True)["msg"]
    told = run(name="one", state="unpushed", destination=name, digest=ONE.digest, check_mode=True)
    made = run(name="one", state="unpushed", destination=name, digest=ONE.digest)
    assert made["changed"] and {key: told[key] for key in ("changed", "actions", "diff")} == {
        key: made[key] for key in ("changed", "actions", "diff")}
    assert made["diff"] == {"before": {"digest": ONE.digest}, "after": {"digest": None}}
    assert made["actions"][0]["action"] == "unpush" and not made["image"]["exists"] and told["image"]["exists"]
    registry.fault()
    assert not run(name=name, state="unpushed")["changed"]
    assert [line.partition(" ")[0] for line in registry.lines()] == ["HEAD"]
    assert not run(name="one", state="pushed", destination=other)["changed"], "the other tag is still there"
    listed = shared_host.run(["skopeo", "list-tags", "--tls-verify=false", "docker://" + direct(registry, name)[:-2]]).stdout
    assert json.loads(listed)["Tags"] == ["2"]
    run(name="one", state="pushed", destination=name)
    assert run(name=by_digest, state="unpushed")["changed"]
    assert [run(name=each, state="unpushed")["changed"] for each in (name, other, by_digest)] == [False] * 3
    assert run(name="one", pull="never")["image"]["id"] == ONE.id, "the store is left as it is"


def test_a_registry_that_deletes_tags(run: Any, registry: Registry, name: str) -> None:
    """Where it does so, that is one request; nothing else is sent."""
    run(name="one", state="pushed", destination=name)
    registry.fault({"match": "^DELETE .*/manifests/1", "status": 202})
    run(name=name, state="unpushed")
    assert [line.partition(" ")[0] for line in registry.lines()] == ["HEAD", "DELETE", "HEAD"]


@pytest.mark.parametrize("fault", [
    {"match": "^DELETE", "status": 405}, {"match": "^DELETE .*sha256", "status": 500}, {"match": "^PUT .*manifests/1", "status": 403,
                                                                                      "times": 1}],
    ids=["nothing is deleted", "deletion fails", "no right to push"])
def test_what_cannot_be_deleted_stays(run: Any, registry: Registry, name: str, fault: Dict[str, Any]) -> None:
    """One clear error, and the tag leads to what it led to."""
    run(name="one", state="pushed", destination=name)
    registry.fault(fault)
    failed = run(name=name, state="unpushed", fail=True)
    assert failed["msg"].startswith(name[:-2] + ": ") and "manifest" in failed["msg"]
    assert ("storage.delete.enabled" in failed["msg"]) == (fault["status"] == 405)
    registry.fault()
    assert not run(name="one", state="pushed", destination=name)["changed"]


@pytest.mark.parametrize(("arguments", "says"), [
    ({"name": "nothing"}, "is not in"), ({"name": "sha256:" + "0" * 64}, "is not in"),
    ({"name": ONE.id}, "is needed, since an image ID is no place"),
    ({"name": "one", "destination": "127.0.0.1:9/x:1"}, "127.0.0.1:9/x: manifest 1"),
])
def test_one_clear_error(run: Any, arguments: Dict[str, Any], says: str) -> None:
    assert says in run(state="pushed", fail=True, timeout=60, **arguments)["msg"]


@pytest.mark.parametrize(("arguments", "says"), [
    ({"name": ONE.id}, "is no name at a registry"), ({"name": "127.0.0.1:9/x:1"}, "127.0.0.1:9/x: manifest 1"),
    ({"name": "x", "digest": "sha256:1"}, "is no digest"), ({}, "missing"), ({"name": "A/b"}, "name"),
])
def test_one_clear_error_of_unpushed(run: Any, arguments: Dict[str, Any], says: str) -> None:
    assert says in run(state="unpushed", fail=True, timeout=60, **arguments)["msg"]
