# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_image) pulls: policies, platforms, faults on the way, two at once, a full disk."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import streams

import busybox
from hosts import Host
from imagery import Image, digest, files
from registries import PASSWORD, USER, Registry, noise

MODULE = "container_image"
STATE = "/var/lib/coracle"
BASE, MIDDLE, TOP = (files({name: name.encode() * 100, "%s/big" % name: noise(600_000, ord(name))}) for name in "abc")
ONE = Image([BASE, MIDDLE], packed=True, config={"Cmd": ["/bin/one"]})
TWO = Image([BASE, TOP], packed=True, config={"Cmd": ["/bin/two"]})


@pytest.fixture(scope="module")
def registry(shared_host: Host) -> Iterator[Registry]:
    """A registry behind a proxy, in the host itself."""
    made = Registry(shared_host)
    made.proxy()
    yield made
    made.close()


@pytest.fixture(scope="module")
def guarded(shared_host: Host) -> Iterator[Registry]:
    """A registry that wants to see a login."""
    made = Registry(shared_host, login="basic")
    yield made
    made.close()


@pytest.fixture
def name(registry: Registry, request: pytest.FixtureRequest) -> str:
    """A repository of this test's own, with C(ONE) as C(1), by the proxy."""
    path = "pull/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    registry.put(path, "1", ONE)
    registry.fault()
    return "%s/%s:1" % (registry.proxy(), path)


@pytest.fixture
def run(shared_host: Host) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on the host; its store is empty again afterwards."""
    yield functools.partial(shared_host.module, MODULE, plain_http=True)
    shared_host.shell("cd %s; rm -rf blobs containers index.json ingest layers oci-layout refs sources" % STATE)


def content_of(host: Host, *folders: str) -> List[str]:
    """All files of the store that hold content or names."""
    return host.shell("cd %s && find %s -type f -printf '%%p %%s\n' 2>/dev/null | sort || true"
                      % (STATE, " ".join(folders or ("blobs", "layers", "refs")))).splitlines()


def path_of(name: str) -> str:
    return name.partition("/")[2].partition(":")[0]


def test_missing(run: Any, registry: Registry, name: str, shared_host: Host) -> None:
    """What is missing comes once; check mode tells digest and bytes; nothing is asked when it is there."""
    would = run(check_mode=True, name=name)
    assert would["changed"] and content_of(shared_host) == []
    assert would["pull"]["size"] == sum(len(layer) for layer in ONE.stored)
    assert would["pull"]["digest"] == would["pull"]["manifest_digest"] == ONE.digest
    registry.fault()
    made = run(name=name)
    assert {key: made[key] for key in ("changed", "actions", "diff", "pull")} == {
        key: would[key] for key in ("changed", "actions", "diff", "pull")}
    found = made["image"]
    assert (found["id"], found["digest"], found["references"]) == (ONE.id, ONE.digest, [name])
    assert {layer["form"] for layer in found["layers"]} == {"erofs"}
    assert sorted(registry.lines()) == sorted("GET /v2/%s/%s" % (path_of(name), each) for each in [
        "manifests/1", "blobs/" + ONE.id, *("blobs/" + digest(layer) for layer in ONE.stored)])
    assert content_of(shared_host, "ingest") == []
    registry.fault()
    again = run(name=name)
    assert not again["changed"] and registry.lines() == []


@pytest.mark.parametrize("policy", ["always", "newer"])
def test_a_moved_tag(run: Any, registry: Registry, name: str, policy: str) -> None:
    """Nothing new costs one HEAD; a moved tag moves the name, and only what differs comes."""
    run(name=name)
    registry.fault()
    again = run(name=name, pull=policy)
    assert not again["changed"]
    assert registry.lines() == ["HEAD /v2/%s/manifests/1" % path_of(name)]
    registry.put(path_of(name), "1", TWO)
    assert not run(name=name)["changed"]
    would = run(check_mode=True, name=name, pull=policy)
    moved = run(name=name, pull=policy)
    assert would["changed"] and would["actions"] == moved["actions"] and would["diff"] == moved["diff"]
    assert moved["actions"][0]["disruption"] == "recreate"
    assert moved["diff"] == {"before": {"digest": ONE.digest}, "after": {"digest": TWO.digest}}
    assert moved["pull"]["size"] == len(TWO.stored[1]) and moved["image"]["id"] == TWO.id
    assert not run(name=name, pull=policy)["changed"]


def test_a_registry_that_is_away(run: Any, registry: Registry, name: str) -> None:
    """C(newer) keeps what there is and says so, C(always) fails, C(never) does not ask."""
    run(name=name)
    registry.fault({"match": "manifests", "status": 500})
    kept = run(name=name, pull="newer")
    assert not kept["changed"] and "status 500" in str(kept["warnings"])
    failed = run(name=name, pull="always", fail=True)
    assert failed["msg"].startswith("%s: manifest 1: the registry answers with status 500" % name[:-2])
    registry.fault()
    assert not run(name=name, pull="never")["changed"] and registry.lines() == []
    assert "is not in" in run(name=name + "x", pull="never", fail=True)["msg"]
    assert registry.lines() == []


def test_platforms(run: Any, registry: Registry, name: str) -> None:
    """Of an index the host's own platform comes, or the one that is asked for."""
    config = json.loads(TWO.config)
    other = Image([MIDDLE])
    other.config = json.dumps(dict(json.loads(other.config), architecture="arm64")).encode()
    other.id = digest(other.config)
    manifest = json.loads(other.manifest)
    manifest["config"].update(digest=other.id, size=len(other.config))
    other.manifest = json.dumps(manifest).encode()
    other.digest = digest(other.manifest)
    assert config["architecture"] == "amd64"
    index = registry.put_index(path_of(name), "multi", {"linux/amd64": TWO, "linux/arm64/v8": other})
    multi = name[:-1] + "multi"
    made = run(name=multi)
    assert made["image"]["id"] == TWO.id and made["pull"]["digest"] == index
    registry.fault()
    assert not run(name=multi, pull="always")["changed"]
    assert registry.lines() == ["HEAD /v2/%s/manifests/multi" % path_of(name)]
    moved = run(name=multi, platform="arm64")
    assert moved["changed"] and moved["image"]["architecture"] == "arm64" and moved["image"]["id"] == other.id
    assert not run(name=multi, platform="linux/arm64/v8")["changed"]
    failed = run(name=multi, platform="s390x", fail=True)
    assert "holds no image for linux/s390x, only for linux/amd64, linux/arm64/v8" in failed["msg"]
    pinned = "%s@%s" % (name[:-2], index)
    assert run(name=pinned)["changed"]
    registry.fault()
    assert not run(name=pinned, pull="always")["changed"] and registry.lines() == []


LAYERS = {"plain": (BASE, "", ""), "gzip": (MIDDLE, "+gzip", ".gzip"), "zstd": (TOP, "+zstd", ".zstd")}


@pytest.mark.parametrize("kind", ["oci", "docker", "sha512"])
def test_layers_of_every_compression(run: Any, registry: Registry, name: str, kind: str) -> None:
    """Plain, gzip and zstd in one image, by OCI's media types or those of Docker's schema 2; digests may be longer ones."""
    def named(content: bytes) -> str:
        return "sha512:" + hashlib.sha512(content).hexdigest() if kind == "sha512" else digest(content)
    blobs, rows = {}, []
    for compression, (content, oci, docker) in LAYERS.items():
        stored = b"".join(streams.encoded(iter([content]), "none" if compression == "plain" else compression))
        blobs[named(stored)] = stored
        rows.append({"mediaType": "application/vnd.docker.image.rootfs.diff.tar" + docker if kind == "docker" else
                     "application/vnd.oci.image.layer.v1.tar" + oci, "digest": named(stored), "size": len(stored)})
    config = Image([content for content, _oci, _docker in LAYERS.values()]).config
    blobs[named(config)] = config
    docker_type = "application/vnd.docker.distribution.manifest.v2+json"
    media_type = docker_type if kind == "docker" else "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": rows, "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json" if kind == "docker" else
        "application/vnd.oci.image.config.v1+json", "digest": named(config), "size": len(config)}}).encode()
    assert registry.put_manifest(path_of(name), "every", manifest, media_type, blobs) == digest(manifest)
    name = name[:-1] + "every"
    would = run(check_mode=True, name=name)
    made = run(name=name)
    assert would["pull"] == made["pull"] and made["pull"]["size"] == sum(each["size"] for each in rows)
    assert made["image"]["digest"] == digest(manifest) and made["image"]["id"] == named(config)
    assert [(layer["diff_id"], layer["digest"], layer["media_type"], layer["form"]) for layer in made["image"]["layers"]] == [
        (digest(content), row["digest"], row["mediaType"], "erofs") for (content, _oci, _docker), row in zip(LAYERS.values(), rows)]
    assert not run(name=name, pull="always", digest=digest(manifest))["changed"]
    registry.fault()
    pushed = run(name=name, state="pushed", destination=name + "-again", compression="none")
    assert pushed["push"] == {"registry": name.partition("/")[0], "repository": path_of(name), "digest": digest(manifest), "size": 0}


def test_foreign_layers(run: Any, registry: Registry, shared_host: Host, name: str) -> None:
    """A layer that no registry may have comes from its own place, resumed there; no login goes there, and it is not pushed."""
    elsewhere = Registry(shared_host)
    try:
        elsewhere.put("some/where", "1", ONE)
        manifest = json.loads(ONE.manifest)
        place = "http://%s/v2/some/where/blobs/%s" % (elsewhere.proxy(), digest(ONE.stored[1]))
        manifest["layers"][1].update(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", urls=[place])
        content = json.dumps(manifest).encode()
        path = path_of(name) + "-foreign"
        registry.put_manifest(path, "1", content, manifest["mediaType"], {
            ONE.id: ONE.config, digest(ONE.stored[0]): ONE.stored[0]})
        name = "%s/%s:1" % (registry.proxy(), path)
        elsewhere.fault({"match": "GET .*blobs", "cut": 1000, "times": 1})
        made = run(name=name, username=USER, password=PASSWORD)
        assert made["image"]["digest"] == digest(content) and made["image"]["layers"][1]["form"] == "erofs"
        assert [each["headers"].get("Range") for each in elsewhere.requests()] == [None, "bytes=1000-"]
        assert not any("Authorization" in each["headers"] for each in elsewhere.requests())
        pushed = run(name=name, state="pushed", destination=name + "-again")
        assert pushed["push"]["digest"] == digest(content) and pushed["push"]["size"] == 0
        assert digest(ONE.stored[1]) not in " ".join(line for line in registry.lines() if not line.startswith("GET"))
        run(name=name, state="absent")
        elsewhere.fault({"match": "GET .*blobs", "status": 404})
        assert "blob %s is not there" % digest(ONE.stored[1]) in run(name=name, fail=True)["msg"]
    finally:
        elsewhere.close()


FAULTS: Dict[str, List[Dict[str, Any]]] = {
    "cut": [{"match": "GET .*blobs", "cut": 1000, "times": 2}],
    "cut again and again": [{"match": "GET .*blobs", "cut": 100_000, "times": 8}],
    "drop": [{"match": "GET", "drop": True, "times": 3}],
    "too many": [{"match": "GET", "status": 429, "headers": {"Retry-After": 1}, "times": 2}],
    "wrong for a while": [{"match": "GET", "status": 503, "times": 3}],
    "delay": [{"match": "GET", "delay": 1, "times": 2}],
    "no ranges": [{"match": "GET .*blobs", "cut": 5000, "times": 1}, {"match": "GET .*blobs", "plain": True}],
    "a lie about a layer": [{"match": "GET .*blobs/" + digest(ONE.stored[0]), "flip": 5000, "times": 1}],
    "a lie about a manifest": [{"match": "GET .*manifests", "flip": 40, "times": 1}],
    "a lie about a config": [{"match": "GET .*blobs/" + ONE.id, "flip": 40, "times": 1}],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes(run: Any, registry: Registry, name: str, shared_host: Host, fault: str) -> None:
    """Whatever passes ends in success."""
    registry.fault(*FAULTS[fault])
    made = run(name=name, timeout=60)
    assert made["image"]["id"] == ONE.id
    assert content_of(shared_host, "ingest") == []
    for fault_left in json.loads((registry.folder / "faults.json").read_text()):
        assert fault_left.get("times", 0) == 0, "the fault did not happen"


LASTING: Dict[str, Any] = {
    "cut": ({"match": "blobs/" + digest(ONE.stored[1]), "cut": 1000}, "blob %s: .* broke off" % digest(ONE.stored[1])),
    "status": ({"match": "blobs/" + digest(ONE.stored[1]), "status": 500}, "blob %s: .* status 500" % digest(ONE.stored[1])),
    "lie": ({"match": "blobs/" + digest(ONE.stored[1]), "flip": 1000}, "layer %s" % digest(ONE.stored[1])),
    "gone": ({"match": "blobs/" + digest(ONE.stored[1]), "status": 404}, "blob %s is not there" % digest(ONE.stored[1])),
    "stalled": ({"match": "blobs/" + digest(ONE.stored[1]), "delay": 10}, "blob %s: .* too long" % digest(ONE.stored[1])),
}


@pytest.mark.parametrize("fault", [pytest.param(each, marks=[pytest.mark.measures] if each == "stalled" else []) for each in LASTING])
def test_a_fault_that_lasts(run: Any, registry: Registry, name: str, shared_host: Host, fault: str) -> None:
    """Whatever lasts ends in one error that names all, with the store as it was, and the next run goes on."""
    before = content_of(shared_host)
    registry.fault(LASTING[fault][0])
    failed = run(name=name, fail=True, timeout=2 if fault == "stalled" else 60)
    assert re.search(LASTING[fault][1], failed["msg"]) and failed["msg"].startswith(name[:-2]), failed["msg"]
    assert [line for line in content_of(shared_host) if line not in before] == []
    kept = [line for line in content_of(shared_host, "ingest") if digest(ONE.stored[0])[7:] in line]
    there = int(kept[0].split()[1])
    registry.fault()
    made = run(name=name)
    asked = [each["headers"].get("Range") for each in registry.requests() if digest(ONE.stored[0]) in each["line"]]
    assert asked == ([] if there == len(ONE.stored[0]) else ["bytes=%d-" % there if there else None])
    assert made["image"]["id"] == ONE.id and (there == len(ONE.stored[0]) or fault == "gone")
    assert content_of(shared_host, "ingest") == []


def test_a_killed_pull_is_resumed(run: Any, registry: Registry, name: str, shared_host: Host) -> None:
    """A pull that is killed half-way leaves the store as it was; the next run asks for the rest alone."""
    registry.fault({"match": "blobs/" + digest(ONE.stored[0]), "trickle": 1})
    payload = shared_host.payload(MODULE, {"name": name, "plain_http": True})
    process = shared_host.start(["/usr/bin/python3", payload], stdout=subprocess.DEVNULL)
    shared_host.shell("until find %s/ingest -name '*%s' -size +0 2>/dev/null | grep -q .; do sleep 0.05; done; "
                      "pkill -KILL -f '[p]%s'" % (STATE, digest(ONE.stored[0])[7:], payload.name[1:]))
    process.wait()
    payload.unlink()
    assert content_of(shared_host, "layers", "refs") == []
    part = [line for line in content_of(shared_host, "ingest") if digest(ONE.stored[0])[7:] in line]
    left = int(part[0].split()[1])
    assert 0 < left < len(ONE.stored[0])
    registry.fault()
    made = run(name=name)
    ranges = [each["headers"].get("Range") for each in registry.requests() if digest(ONE.stored[0]) in each["line"]]
    assert made["image"]["id"] == ONE.id and ranges == ["bytes=%d-" % left]


@pytest.mark.parametrize(("arguments", "says"), [
    ({"auth_file": "/nowhere"}, "auth_file /nowhere: No such file"), ({"auth_file": "/run/odd"}, "file /run/odd holds no logins"),
    ({"auth_file": "/run"}, "file /run holds no logins"), ({"auth_file": "/etc/hostname"}, "file /etc/hostname holds no logins"),
    ({"auth_file": "auth.json"}, "auth_file"), ({"password": PASSWORD}, "'password': value '***' is of no user"),
    ({"ca_path": "/nowhere"}, "/nowhere: No such file"), ({"ca_path": "/etc/hostname"}, "holds no certificate"),
    ({"client_cert": "/nowhere"}, "/nowhere: No such file"), ({"client_cert": "/etc/hostname"}, "do not go together"),
    ({"client_key": "/etc/hostname"}, "has no certificate that it belongs to"), ({"timeout": 0}, "timeout"),
    ({"platform": "a/b/c/d"}, "platform"), ({"pull": "often"}, "value of pull"), ({"digest": "sha256:1"}, "is no digest"),
    ({"layer_store": "tape"}, "value of layer_store"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_one_clear_error(run: Any, guarded: Registry, shared_host: Host, arguments: Dict[str, Any], says: str) -> None:
    """Each option's wrong value is named, before anything has changed."""
    shared_host.shell("echo '{\"auths\": [1], \"credHelpers\": 3}' >/run/odd")
    over_tls = bool({"ca_path", "client_cert", "client_key"} & set(arguments))
    failed = run(name=guarded.address + "/x:1", fail=True, **{"plain_http": not over_tls, **arguments})
    assert says in failed["msg"], failed["msg"]
    assert "Traceback" not in json.dumps(failed) and PASSWORD not in failed["msg"]
    assert content_of(shared_host) == []


def test_two_at_once(run: Any, registry: Registry, name: str, shared_host: Host) -> None:
    """Two pulls of one image fetch each layer once."""
    registry.fault({"match": "GET .*blobs/" + digest(ONE.stored[0]), "delay": 1})
    payloads = [shared_host.payload(MODULE, {"name": name, "plain_http": True}) for _number in range(2)]
    pulls = [shared_host.start(["/usr/bin/python3", payload], stdout=subprocess.PIPE) for payload in payloads]
    results = [json.loads(pull.communicate(timeout=240)[0]) for pull in pulls]
    for payload in payloads:
        payload.unlink()
    assert [each["image"]["id"] for each in results] == [ONE.id, ONE.id]
    for layer in ONE.stored:
        assert sum(digest(layer) in line for line in registry.lines()) == 1


def test_a_container_pulls_its_image(shared_host: Host, registry: Registry, name: str, run: Any) -> None:
    """What is missing comes with the container; a moved tag is drift by the policy; a password is kept nowhere."""
    path = path_of(name)
    images = [Image([busybox.tar()], packed=True, config={"Cmd": ["sleep", "1000"], "Labels": {"n": str(number)}})
              for number in (1, 2)]
    registry.put(path, "1", images[0])
    arguments = {"name": "pulled", "image": name, "network_mode": "none", "stop_timeout": 0,
                 "registry": {"plain_http": True, "username": USER, "password": PASSWORD}}
    would = shared_host.module("container_run", arguments, check_mode=True)
    made = shared_host.module("container_run", arguments)
    assert would["actions"] == made["actions"] and would["pull"] == made["pull"]
    assert [step["action"] for step in made["actions"]] == ["pull", "create", "start"]
    assert made["container"]["image_id"] == images[0].id
    assert PASSWORD not in json.dumps(made)
    assert shared_host.shell("grep -rl '%s' %s /run/coracle 2>/dev/null || true" % (PASSWORD, STATE)) == ""
    registry.put(path, "1", images[1])
    assert not shared_host.module("container_run", arguments)["changed"]
    would = shared_host.module("container_run", arguments, pull="always", check_mode=True)
    moved = shared_host.module("container_run", arguments, pull="always")
    assert would["actions"] == moved["actions"]
    assert [step["action"] for step in moved["actions"]] == ["pull", "recreate", "start"]
    assert moved["container"]["image_id"] == images[1].id and moved["container"]["status"] == "running"
    assert not shared_host.module("container_run", arguments, pull="always")["changed"]
    shared_host.module("container_run", name="pulled", state="absent")


@pytest.mark.parametrize("room", [900, 1600])
def test_a_full_disk(run: Any, registry: Registry, name: str, shared_host: Host, room: int) -> None:
    """Without room the pull fails cleanly, and leaves nothing."""
    shared_host.shell("mkdir -p /run/small && mount -t tmpfs none /run/small")
    try:
        run(name=name, state_root="/run/small/state", pull="never", fail=True)  # installs the engine there
        shared_host.shell("used=$(df --output=used -k /run/small | tail -1); mount -o remount,size=$((used + %d))k /run/small" % room)
        failed = run(name=name, state_root="/run/small/state", layer_store="directory", fail=True)
        assert "is full" in failed["msg"] and "/run/small" in failed["msg"], failed["msg"]
        assert shared_host.shell("cd /run/small/state; find blobs layers refs ingest leases -type f || true") == ""
    finally:
        shared_host.shell("umount /run/small")
