# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: what is one, what it means in full, how it is shown."""

from __future__ import annotations

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import references

HEX = "a" * 64


@pytest.mark.parametrize(("text", "full"), [
    ("alpine", "docker.io/library/alpine:latest"),
    ("alpine:3.20", "docker.io/library/alpine:3.20"),
    ("team/app", "docker.io/team/app:latest"),
    ("docker.io/alpine", "docker.io/library/alpine:latest"),
    ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
    ("localhost/app", "localhost/app:latest"),
    ("localhost:5000/app:v1", "localhost:5000/app:v1"),
    ("registry.example.com/a/b/c:1.0_x-y.z", "registry.example.com/a/b/c:1.0_x-y.z"),
    ("[::1]:5000/app", "[::1]:5000/app:latest"),
    ("HOST/app", "HOST/app:latest"),
    ("a__b/c-----d.e_f", "docker.io/a__b/c-----d.e_f:latest"),
    ("app@sha256:" + HEX, "docker.io/library/app@sha256:" + HEX),
    ("app:1@sha256:" + HEX, "docker.io/library/app:1@sha256:" + HEX),
    ("app@sha512:" + "b" * 128, "docker.io/library/app@sha512:" + "b" * 128),
    ("app:" + "t" * 128, "docker.io/library/app:" + "t" * 128),
])
def test_full_form(text: str, full: str) -> None:
    assert references.normal(text) == full
    assert references.normal(full) == full


@pytest.mark.parametrize("text", [
    "", "Alpine", "a/Alpine", "alpine:", "alpine:" + "t" * 129, "alpine:-x", "alpine: x", "/alpine", "alpine/", "a//b",
    "a..b", "a___b", "-a", "a-", "alpine@", "alpine@sha256:" + "a" * 63, "alpine@md5:" + "a" * 32, "http://x/y",
    "host:port/app", "a b", "a\n", HEX, "../x", "x" * 260, "app@sha256:" + "A" * 64, "host_name:5000/app",
])
def test_no_name(text: str) -> None:
    with pytest.raises(ValueError):
        references.normal(text)


def test_familiar_form() -> None:
    for text in ("alpine:3", "team/app:latest", "quay.io/a/b:c", "localhost:5000/x:y"):
        assert references.parse(text).familiar == text


def test_identity() -> None:
    assert references.identity("sha256:" + HEX) == HEX
    assert references.identity(HEX) == HEX
    assert references.identity("a" * 12) == "a" * 12
    assert references.identity("a" * 11) == references.identity("alpine") == ""
    assert references.name_or_identity(HEX) == "sha256:" + HEX
    assert references.name_or_identity("aaaaaaaaaaaa") == "docker.io/library/aaaaaaaaaaaa:latest"
