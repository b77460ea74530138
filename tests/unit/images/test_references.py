# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: what is one, what it means in full, how it is shown."""

from __future__ import annotations

import re

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import references
from hypothesis import assume, given
from hypothesis import strategies as st

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


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
HOST = st.one_of(st.just("localhost"), st.builds("{}.{}".format, LABEL, LABEL), st.builds("{}:{}".format, LABEL, st.integers(1, 65535)))
PART = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
PATH = st.lists(PART, min_size=1, max_size=4).map("/".join)
TAG = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))
DIGEST = st.one_of(st.just(""), st.just("sha256:" + HEX), st.just("sha512:" + "0" * 128))


@given(HOST, PATH, TAG, DIGEST)
def test_what_is_put_together_is_taken_apart(host: str, path: str, tag: str, digest: str) -> None:
    """Every name that the grammar makes is read as what it was made of, and its complete form is itself."""
    text = "%s/%s%s%s" % (host, path, tag and ":" + tag, digest and "@" + digest)
    found = references.parse(text)
    assert found == (host, path, tag or ("" if digest else "latest"), digest)
    assert references.parse(str(found)) == found == references.parse(found.familiar)


@given(PATH, TAG, DIGEST)
def test_short_names_mean_one_place(path: str, tag: str, digest: str) -> None:
    """A name without a host is at the one place that is configured; a complete one is not moved."""
    text = path + (tag and ":" + tag) + (digest and "@" + digest)
    assume(not references.parse(text).repository.startswith(path + "/") and not re.match(r"^[0-9a-f]{64}$", text)
           and not ("." in path.partition("/")[0] and "/" in path) and not path.startswith("localhost/"))
    plain = references.parse(text)
    assert plain.host == "docker.io" and plain.path == (path if "/" in path else "library/" + path)
    short = references.ShortNames("registry.example.com:5000/hub", {"app": "quay.io/team/app"})
    moved = references.parse(text, short)
    assert moved.repository == ("quay.io/team/app" if path == "app" else "registry.example.com:5000/hub/" + path)
    assert (moved.tag, moved.digest) == (plain.tag, plain.digest)
    assert references.parse(str(plain), short) == plain


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_none(text: str) -> None:
    """Whatever is written is refused with a reason, or has a complete form that means the same."""
    try:
        found = references.parse(text)
    except ValueError as error:
        assert str(error)
    else:
        assert references.parse(str(found)) == found
