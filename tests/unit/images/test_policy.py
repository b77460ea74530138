# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(policy.json): scopes from the most specific to the least, identities, and files that are refused as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import policy

ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}


def marked(name: str) -> Any:
    return [{"type": "sigstoreSigned", "keyPath": name}]


SCOPES = {"docker.io/library/busybox:1": marked("tag"), "docker.io/library/busybox": marked("repository"),
          "docker.io/library": marked("namespace"), "docker.io": marked("host"), "*.example.com": marked("wildcard"),
          "*.b.example.com": marked("narrow"), "": marked("transport")}


@pytest.mark.parametrize(("name", "chosen"), [
    ("docker.io/library/busybox:1", "tag"), ("docker.io/library/busybox:2", "repository"),
    ("docker.io/library/busybox@sha256:" + "0" * 64, "repository"), ("docker.io/library/alpine:1", "namespace"),
    ("docker.io/other/busybox:1", "host"), ("a.example.com/x:1", "wildcard"), ("a.b.example.com/x:1", "narrow"),
    ("example.com/x:1", "transport"), ("docker.io/library2/x:1", "host"),
])
def test_the_most_specific_scope_counts(name: str, chosen: str) -> None:
    value = {"default": marked("default"), "transports": {"docker": SCOPES, "oci": {}}}
    assert policy.demands(value, "docker", name) == marked(chosen)
    assert policy.demands(value, "oci", "/srv/x:name") == policy.demands(value, "dir", "/srv") == marked("default")


def test_scopes_of_paths() -> None:
    value = {"default": [REJECT], "transports": {"oci": {"/srv/a:x": marked("image"), "/srv/a": marked("layout"),
                                                         "/srv": marked("folder")}}}
    found = {place: policy.demands(value, "oci", place)[0].get("keyPath")
             for place in ("/srv/a:x", "/srv/a:y", "/srv/b:x", "/opt/a:x")}
    assert found == {"/srv/a:x": "image", "/srv/a:y": "layout", "/srv/b:x": "folder", "/opt/a:x": None}


@pytest.mark.parametrize(("identity", "wanted", "signed", "fits"), [
    (None, "a.com/b:1", "a.com/b:1", True), (None, "a.com/b:1", "a.com/b:2", False), (None, "a.com/b:1", "a.com/b", False),
    (None, "a.com/b@sha256:" + "0" * 64, "a.com/b:7", True), (None, "a.com/b:1", "", False),
    (None, "docker.io/library/b:1", "b:1", True), (None, "a.com/b:latest", "a.com/b", False),
    ("matchExact", "a.com/b@sha256:" + "0" * 64, "a.com/b:7", False), ("matchRepository", "a.com/b:1", "a.com/b", True),
    ("matchRepository", "a.com/b:1", "a.com/c", False),
    ({"type": "exactReference", "dockerReference": "x.com/y:1"}, "a.com/b:1", "x.com/y:1", True),
    ({"type": "exactReference", "dockerReference": "x.com/y:1"}, "x.com/y:2", "x.com/y:2", False),
    ({"type": "exactRepository", "dockerRepository": "x.com/y"}, "a.com/b:1", "x.com/y:9", True),
    ({"type": "remapIdentity", "prefix": "mirror.com", "signedPrefix": "a.com"}, "mirror.com/b:1", "a.com/b:1", True),
    ({"type": "remapIdentity", "prefix": "mirror.com", "signedPrefix": "a.com"}, "mirror.com/b:1", "mirror.com/b:1", False),
    ({"type": "remapIdentity", "prefix": "mirror.co", "signedPrefix": "a.com"}, "mirror.com/b:1", "a.comm/b:1", False),
])
def test_identities(identity: Any, wanted: str, signed: str, fits: bool) -> None:
    demand: Dict[str, Any] = {"type": "sigstoreSigned", "keyPath": "/x"}
    if identity:
        demand["signedIdentity"] = identity if isinstance(identity, dict) else {"type": identity}
    assert policy.identity_fits(demand, wanted, signed) is fits


@pytest.mark.parametrize(("text", "why"), [
    ("{", "is no policy"), ("[]", "'default'"), ("{}", "'default'"), ('{"default": []}', "at least one"),
    ('{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}', "twice"),
    ('{"default": [{"type": "reject"}], "more": 1}', "nothing else"), ('{"default": [{"type": "trust"}]}', "'trust'"),
    ('{"default": [{"type": "reject", "x": 1}]}', "unknown key 'x'"), ('{"default": ["reject"]}', "type None"),
    ('{"default": [{"type": "reject"}], "transports": {"docker": []}}', "maps transports"),
    ('{"default": [{"type": "reject"}], "transports": {"docker": {"a.com": []}}}', "docker: 'a.com'"),
    ('{"default": [{"type": "sigstoreSigned", "keyPath": "/x", "signedIdentity": {"type": "any"}}]}', "signedIdentity"),
    ('{"default": [{"type": "sigstoreSigned", "keyPath": "/x", "signedIdentity": {"type": "matchExact", "x": 1}}]}',
     "signedIdentity"),
])
def test_a_file_is_right_or_nothing(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=why):
        policy.read(str(path))
    with pytest.raises(EngineError, match="No such file"):
        policy.read(str(tmp_path / "none"))


def test_what_cannot_be_checked_is_not_taken_for_checked() -> None:
    for demand in ({"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x"}, {"type": "signedBaseLayer"},
                   {"type": "sigstoreSigned", "fulcio": {}}, {"type": "sigstoreSigned", "keyPath": "/x",
                                                               "rekorPublicKeyPath": "/y"}):
        assert "cannot be checked here" in policy.cannot(demand)
    assert policy.cannot({"type": "sigstoreSigned", "keyPath": "/x"}) == policy.cannot(ACCEPT) == policy.cannot(REJECT) == ""
    for demand in ({"type": "sigstoreSigned"}, {"type": "sigstoreSigned", "keyPath": "/x", "keyData": "eA=="},
                   {"type": "sigstoreSigned", "keyData": "!"}):
        with pytest.raises(ValueError, match="sigstoreSigned"):
            policy.keys(demand)


def test_the_distribution_s_own_policy() -> None:
    """What Debian's packages install."""
    for path in ("/etc/containers/policy.json", "/usr/share/containers/policy.json"):
        if Path(path).exists():
            assert json.loads(Path(path).read_text(encoding="utf-8")) == policy.read(path)
