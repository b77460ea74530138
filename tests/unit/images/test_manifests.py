# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and configs: what is accepted, which platform is chosen, how ours are made."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt, NotFound, Unsupported
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import manifests, rootfs
from ansible_collections.coracle.containers.plugins.module_utils.options import image as options

DIGEST = "sha256:" + "a" * 64


def entry(architecture: str, variant: str = "", system: str = "linux") -> Dict[str, Any]:
    return {"digest": DIGEST, "platform": {"os": system, "architecture": architecture, "variant": variant}}


@pytest.mark.parametrize(("own", "offered", "chosen"), [
    (("amd64", ""), [entry("arm64"), entry("amd64"), entry("amd64", system="windows")], 1),
    (("arm", "v7"), [entry("arm", "v5"), entry("arm", "v6"), entry("arm", "v8")], 1),
    (("arm", "v7"), [entry("arm", "v6"), entry("arm", "v7")], 1),
    (("arm64", "v8"), [entry("arm64"), entry("arm64", "v9")], 0),
    (("amd64", ""), [{"digest": DIGEST}], 0),
])
def test_choice_of_platform(monkeypatch: pytest.MonkeyPatch, own: Any, offered: List[Any], chosen: int) -> None:
    monkeypatch.setattr(manifests, "platform", lambda: own)
    assert manifests.choose(offered, "test") is offered[chosen]


def test_no_platform_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "platform", lambda: ("amd64", ""))
    with pytest.raises(NotFound, match="no image for linux/amd64, only for linux/arm64, windows/amd64"):
        manifests.choose([entry("arm64"), entry("amd64", system="windows")], "test")


@pytest.mark.parametrize("value", [{}, {"digest": DIGEST}, {"digest": "x", "size": 1}, {"digest": DIGEST, "size": -1},
                                   {"digest": DIGEST, "size": "1"}, {"digest": 5, "size": 1}, "text", None,
                                   {"digest": "sha256:../../etc/passwd", "size": 1}, {"digest": DIGEST + "\n", "size": 1}])
def test_no_descriptor(value: Any) -> None:
    with pytest.raises(Corrupt, match="no descriptor"):
        manifests.descriptor(value, "test")


def test_what_is_no_manifest() -> None:
    with pytest.raises(Unsupported, match="schema 1"):
        manifests.manifest({"schemaVersion": 1, "fsLayers": []}, "test")
    with pytest.raises(Corrupt, match="no image manifest"):
        manifests.manifest({"schemaVersion": 2}, "test")
    for content in (b"", b"[]", b"{", b"\xff\xfe"):
        with pytest.raises(Corrupt):
            manifests.document(content, "test")
    for config in ({}, {"rootfs": 1}, {"rootfs": {"diff_ids": ["x"]}}, {"rootfs": {"diff_ids": [1]}}):
        with pytest.raises(Corrupt, match="no layers by diff ID"):
            manifests.diff_ids(config, "test")


def test_config_and_options_are_the_same_thing() -> None:
    given = {"entrypoint": ["/a"], "cmd": ["b"], "env": {"A": "1=2", "B": ""}, "working_dir": "/w", "user": "1:2",
             "exposed_ports": ["53/udp", "80/tcp"], "labels": {"x": "y"}, "volumes": ["/v"], "stop_signal": "SIGINT",
             "created": "2026-01-31T12:00:00Z"}
    assert rootfs.options_of(rootfs.make_config(given, DIGEST)) == given
    assert rootfs.options_of(rootfs.make_config({}, DIGEST)) == dict.fromkeys(rootfs.CONFIG_OPTIONS)
    assert rootfs.make_config(given, DIGEST)["rootfs"] == {"type": "layers", "diff_ids": [DIGEST]}


@pytest.mark.parametrize(("parse", "given", "value"), [
    (options.port, "80", "80/tcp"), (options.port, 53, "53/tcp"), (options.port, "53/udp", "53/udp"),
    (options.port, "8000-8010", "8000-8010/tcp"), (options.stop_signal, "term", "SIGTERM"),
    (options.stop_signal, 15, "SIGTERM"), (options.stop_signal, "SIGRTMIN+3", "SIGRTMIN+3"),
])
def test_values(parse: Any, given: Any, value: str) -> None:
    assert parse(given) == value


@pytest.mark.parametrize(("parse", "given"), [
    (options.port, "0"), (options.port, "65536"), (options.port, "80/icmp"), (options.port, "80\n"),
    (options.stop_signal, "SIGNONE"), (options.stop_signal, "99"), (options.digest, "sha256:" + "A" * 64),
])
def test_no_values(parse: Any, given: Any) -> None:
    with pytest.raises(ValueError):
        parse(given)
