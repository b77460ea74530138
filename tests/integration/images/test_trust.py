# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what is trusted is unpacked: keys in both of cosign's forms, and policies; at a registry and in a layout."""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from hosts import Host
from imagery import Image, digest, docker, files, layout, write_folder, write_tar
from registries import Registry
from signing import BUNDLE, KINDS, MANIFEST, SIMPLE, Signer

STATE = "/var/lib/coracle"
IMAGE = Image([files({"a": b"1" * 1000})], packed=True)
OTHER = Image([files({"b": b"2" * 1000})], packed=True)


@pytest.fixture(scope="module")
def registry(shared_host: Host) -> Iterator[Registry]:
    """A registry on the host."""
    made = Registry(shared_host)
    yield made
    made.close()


@pytest.fixture(scope="module")
def signers(shared_host: Host) -> Dict[str, Signer]:
    """One of each kind, and a stranger."""
    return {**{kind: Signer(shared_host.folder, kind, kind) for kind in KINDS},
            "stranger": Signer(shared_host.folder, "stranger")}


@pytest.fixture
def run(shared_host: Host) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on a host whose store is empty, and will be."""
    yield functools.partial(shared_host.module, "container_image", plain_http=True)
    shared_host.shell("cd %s 2>/dev/null && rm -rf blobs index.json ingest layers leases oci-layout refs sources || true" % STATE)


def nothing(host: Host) -> bool:
    """Whether no blob and no layer is in the store."""
    return host.shell("cd %s && find blobs layers refs ingest -type f 2>/dev/null || true" % STATE) == ""


def attach(registry: Registry, name: str, tag: str, made: Any) -> str:
    content, blobs = made
    return registry.put_manifest(name, tag, content, MANIFEST, blobs)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("form", ["tag", "bundle"])
def test_a_signed_image_at_a_registry(run: Any, shared_host: Host, registry: Registry, signers: Dict[str, Signer],
                                      form: str, kind: str) -> None:
    path = "trust/%s-%s" % (form, kind)
    registry.put(path, "1", IMAGE)
    name, signer, stranger = "%s/%s:1" % (registry.address, path), signers[kind], signers["stranger"]
    assert "the key has not signed it" in run(name=name, verify={"keys": [str(signer.public)]}, fail=True)["msg"]
    if form == "tag":
        attach(registry, path, IMAGE.digest.replace(":", "-") + ".sig", signer.simple(IMAGE.digest, name))
    else:  # a registry without the referrers interface: by the tag that stands in for it
        made = signer.bundle(IMAGE.digest, size=len(IMAGE.manifest))
        reference = attach(registry, path, digest(made[0]), made)
        index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
            {"mediaType": MANIFEST, "digest": reference, "size": len(made[0]), "artifactType": BUNDLE}]}).encode()
        registry.put_manifest(path, IMAGE.digest.replace(":", "-"), index, "application/vnd.oci.image.index.v1+json", {})
    refused = run(name=name, verify={"keys": [str(stranger.public)]}, fail=True)
    assert name in refused["msg"] and "is not trusted: the key has not signed it" in refused["msg"]
    assert nothing(shared_host)
    assert "none of the 2 keys" in run(name=name, verify={"keys": [str(stranger.public)] * 2}, fail=True)["msg"]
    keys = [str(stranger.public), signer.public.read_text(encoding="ascii")]  # as a path, and as PEM
    assert run(name=name, check_mode=True, verify={"keys": keys})["changed"] and nothing(shared_host)
    assert run(name=name, verify={"keys": keys})["image"]["id"] == IMAGE.id
    assert not run(name=name, verify={"keys": keys})["changed"]
    assert run(name=name, verify={"keys": [str(stranger.public)]}, fail=True), "what is there is checked too"


def signed_layout(folder: Path, made: Any, subject: bool) -> str:
    """A layout with the image, and with what is attached to it."""
    content = layout({"registry.example.com/app:1": IMAGE})
    manifest, blobs = made
    for each in (manifest, *blobs.values()):
        content["blobs/" + digest(each).replace(":", "/")] = each
    index = json.loads(content["index.json"])
    entry = {"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest)}
    if not subject:
        entry["annotations"] = {"org.opencontainers.image.ref.name": IMAGE.digest.replace(":", "-") + ".sig"}
    index["manifests"].append(entry)
    content["index.json"] = json.dumps(index).encode()
    return str(write_folder(folder, content))


def variants(good: Signer, bad: Signer) -> Dict[str, Any]:
    """What is signed, and by which form; only those called good are."""
    payload_of_another = good.simple(OTHER.digest)
    return {
        "good tag": (good.simple(IMAGE.digest), False), "good bundle": (good.bundle(IMAGE.digest), True),
        "another key": (bad.simple(IMAGE.digest), False), "another key's bundle": (bad.bundle(IMAGE.digest), True),
        "another image": (payload_of_another, False), "another image's bundle": (
            (good.bundle(OTHER.digest)[0].replace(OTHER.digest.encode(), IMAGE.digest.encode()),
             good.bundle(OTHER.digest)[1]), True),
        "a signature of something else": (good.simple(IMAGE.digest, signature=good.sign(b"else")), False),
        "another type of document": (good.simple(IMAGE.digest, kind="something else"), False),
        "an attestation": (good.bundle(IMAGE.digest, predicate="https://spdx.dev/Document"), True),
        "no signature": (good.simple(IMAGE.digest, signature=b"\0"), False),
    }


@pytest.mark.parametrize("variant", [
    "good tag", "good bundle", "another key", "another key's bundle", "another image", "another image's bundle",
    "a signature of something else", "another type of document", "an attestation", "no signature"])
def test_signatures_in_a_layout(run: Any, shared_host: Host, signers: Dict[str, Signer], tmp_path: Path,
                                variant: str) -> None:
    """A layout as C(cosign save) writes it; and every way in which a signature is none."""
    made, subject = variants(signers["ecdsa"], signers["stranger"])[variant]
    source = signed_layout(tmp_path / "layout", made, subject)
    arguments = {"name": "app", "source": source, "source_reference": "registry.example.com/app:1",
                 "verify": {"keys": [str(signers["ecdsa"].public)]}}
    if variant.startswith("good"):
        assert run(**arguments)["image"]["digest"] == IMAGE.digest
    else:
        assert "has not signed it" in run(fail=True, **arguments)["msg"]
        assert nothing(shared_host)


@pytest.mark.parametrize(("policy", "why"), [
    ({"default": [{"type": "insecureAcceptAnything"}]}, ""),
    ({"default": [{"type": "reject"}]}, "nothing from there is accepted"),
    ({"default": [{"type": "reject"}], "transports": {"docker": {"127.0.0.1": [{"type": "insecureAcceptAnything"}]}}},
     "nothing from there is accepted"),
    ({"default": [{"type": "reject"}], "transports": {"docker": {"ADDRESS": [{"type": "insecureAcceptAnything"}]}}}, ""),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "KEY"}]}, ""),
    ({"default": [{"type": "sigstoreSigned", "keyData": "DATA"}]}, ""),
    ({"default": [{"type": "sigstoreSigned", "keyPaths": ["STRANGER", "KEY"]}]}, ""),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "STRANGER"}]}, "a signature by its key"),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "KEY"}, {"type": "sigstoreSigned", "keyPath": "STRANGER"}]},
     "a signature by its key"),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "signedIdentity": {
        "type": "exactRepository", "dockerRepository": "example.com/other"}}]}, "a signature for this name"),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "KEY", "rekorPublicKeyPath": "KEY"}]}, "cannot be checked here"),
    ({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "KEY"}]}, "cannot be checked here"),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "/nowhere"}]}, "cannot be read"),
    ({"default": [{"type": "sigstoreSigned", "keyPath": "POLICY"}]}, "is no public key"),
])
def test_policies(run: Any, shared_host: Host, registry: Registry, signers: Dict[str, Signer], tmp_path: Path,
                  policy: Any, why: str) -> None:
    """As Podman reads them; whatever is not satisfied keeps the image out."""
    registry.put("trust/policy", "1", IMAGE)
    name = registry.address + "/trust/policy:1"
    attach(registry, "trust/policy", IMAGE.digest.replace(":", "-") + ".sig", signers["ecdsa"].simple(IMAGE.digest, name))
    path = tmp_path / "policy.json"
    text = json.dumps(policy)
    for word, value in (("ADDRESS", registry.address), ("KEY", signers["ecdsa"].public),
                        ("STRANGER", signers["stranger"].public), ("POLICY", path),
                        ("DATA", base64.b64encode(signers["ecdsa"].public.read_bytes()).decode())):
        text = text.replace('"%s"' % word, '"%s"' % value)
    path.write_text(text, encoding="utf-8")
    result = run(name=name, verify={"policy": str(path)}, fail=bool(why))
    if why:
        assert why in result["msg"] and nothing(shared_host)
    else:
        assert result["image"]["id"] == IMAGE.id


def test_archives_have_policies_too(run: Any, shared_host: Host, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}], "transports": {
        "docker-archive": {"": [{"type": "reject"}]}, "oci": {str(tmp_path / "bad"): [{"type": "reject"}]}}}))
    archive = write_tar(tmp_path / "docker.tar", docker({"app:1": IMAGE}))
    for source, state in ((archive, "present"), (archive, "loaded"), (write_folder(tmp_path / "bad", layout({"app:1": IMAGE})),
                                                                      "loaded")):
        arguments = {"name": "app:1"} if state == "present" else {}
        assert "nothing from there" in run(source=str(source), state=state, verify={"policy": str(path)}, fail=True,
                                           **arguments)["msg"]
        assert nothing(shared_host)
    good = write_folder(tmp_path / "good", layout({"app:1": IMAGE}))
    assert run(source=str(good), state="loaded", verify={"policy": str(path)})["changed"]


def test_what_is_attached_can_be_fetched(run: Any, shared_host: Host, registry: Registry) -> None:
    """A bill of materials, by the tag that stands in for the referrers interface; and all tags."""
    registry.put("trust/attached", "1", IMAGE)
    registry.put("trust/attached", "2", OTHER)
    name = registry.address + "/trust/attached:1"
    bill, empty = json.dumps({"spdxVersion": "SPDX-2.3", "packages": ["x"]}).encode(), b"{}"
    content = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/spdx+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(empty), "size": 2},
        "layers": [{"mediaType": "application/spdx+json", "digest": digest(bill), "size": len(bill)}],
        "subject": {"mediaType": MANIFEST, "digest": IMAGE.digest, "size": len(IMAGE.manifest)}}).encode()
    registry.put_manifest("trust/attached", digest(content), content, MANIFEST, {digest(bill): bill, digest(empty): empty})
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": MANIFEST, "digest": digest(content), "size": len(content), "artifactType": "application/spdx+json"}]})
    registry.put_manifest("trust/attached", IMAGE.digest.replace(":", "-"), index.encode(),
                          "application/vnd.oci.image.index.v1+json", {})
    run(name=name)
    ask = functools.partial(shared_host.module, "container_image_info", name=[name], plain_http=True)
    assert "referrers" not in ask()["images"][0]
    row = ask(referrers=True)["images"][0]["referrers"][0]
    assert (row["artifact_type"], row["digest"], row["subject"]) == ("application/spdx+json", digest(content), IMAGE.digest)
    assert "documents" not in row
    found = ask(fetch=["application/spdx+json"], registry_tags=True)["images"][0]
    assert found["referrers"][0]["documents"][0]["content"] == json.loads(bill)
    tags = sorted(["1", "2", IMAGE.digest.replace(":", "-")])
    assert found["registry_tags"] == {registry.address + "/trust/attached": tags}
    there = ask(name=[name, name[:-1] + "2", name + "x"], registry=True, registry_tags=True, fetch=["application/spdx+json"])
    assert [(row["exists"], row.get("present"), row.get("digest")) for row in there["registry"]] == [
        (True, True, IMAGE.digest), (True, False, OTHER.digest), (False, None, None)]
    assert [row["tags"] for row in there["registry"]] == [tags] * 3
    assert there["registry"][0]["referrers"] == found["referrers"] and there["registry"][1]["referrers"] == []
    assert [layer["diff_id"] for layer in there["registry"][1]["layers"]] == OTHER.diff_ids
    assert there["registry"][1]["platforms"] == [] and there["registry"][1]["id"] == OTHER.id
    assert "is for linux/amd64" in ask(name=[name], registry=True, platform="arm64", fail=True)["msg"]
    assert "needs names" in ask(name=None, registry=True, fail=True)["msg"]
    assert "is an image ID" in ask(name=[IMAGE.id], registry=True, fail=True)["msg"]


def test_a_media_type_that_tells_nothing(signers: Dict[str, Signer]) -> None:
    """The test's own documents are as cosign's specifications say."""
    manifest = json.loads(signers["ecdsa"].simple(IMAGE.digest)[0])
    assert manifest["layers"][0]["mediaType"] == SIMPLE
    assert json.loads(signers["ecdsa"].bundle(IMAGE.digest)[0])["artifactType"] == BUNDLE
