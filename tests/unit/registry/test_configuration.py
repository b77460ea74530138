# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registries.conf: our reading of TOML, and what follows from the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Corrupt, InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.registry import (
    authentication,
    configuration,
    endpoints,
    proxies,
    toml,
    urls,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.registry.access import Access
from hypothesis import given
from hypothesis import strategies as st

TEXT = """\
# a comment
unqualified-search-registries = [ "a.example", 'b.example', # two
  "c.example" ]
short-name-mode="enforcing"
number = 1_000
[aliases]
"almalinux" = "docker.io/library/almalinux"
plain = 'docker.io/library/plain'
a.b = true
[[registry]]
prefix = "docker.io"  # behind a value
location = "mirror.example/hub\\u0041"
insecure = false
[[registry.mirror]]
location = "one"
[[registry.mirror]]
location = "two"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "*.example.com"
blocked = true
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no reader of TOML before 3.11")
def test_as_python_reads_it() -> None:
    import tomllib
    assert toml.parse(TEXT, "here") == tomllib.loads(TEXT)


@pytest.mark.parametrize("text", [
    "a", "a =", "a = b", "[a", "[[a]", "a = [1, 2", 'a = "x', "a = 1 2", "a = 1\na = 2", "[a]\nb = 1\n[[a]]", "= 1",
    'a = """x"""', "a = 1979-05-27", "a = 1.5", 'a = "\\q"', "a.b = 1\na = 2", "[a] b = 1",
])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(Corrupt, match="file here, line"):
        toml.parse(text, "here")


@given(st.text(alphabet="ab[]=\"'\\\\.#,\n 1tru-", max_size=30))
def test_any_text_is_read_as_python_does_or_refused(text: str) -> None:
    if sys.version_info < (3, 11):
        return
    import tomllib
    try:
        found = toml.parse(text, "here")
    except Corrupt:
        return
    assert found == tomllib.loads(text)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the host's files."""
    monkeypatch.setattr(configuration, "CONFIGURATION", (str(tmp_path / "registries.conf"), str(tmp_path / "conf.d")))
    monkeypatch.setattr(configuration, "OWN_CONFIGURATION", str(tmp_path / "own.conf"))

    def write(text: str, name: str = "registries.conf") -> configuration.Configuration:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return configuration.configuration({})
    return write


def test_short_names_are_only_our_own_files_business(conf: Any) -> None:
    assert conf(TEXT)[1:] == ({}, "")
    found = conf('unqualified-search-registries = ["hub.example"]\n[aliases]\n"a" = "b.example/c"\n', "own.conf")
    assert found[1:] == ({"a": "b.example/c"}, "hub.example")
    with pytest.raises(Corrupt, match="must mean one image"):
        conf('unqualified-search-registries = ["a", "b"]', "own.conf")


def test_mirrors_come_before_the_registry_itself(conf: Any) -> None:
    found = conf(TEXT)
    access = Access(username="u", password="p")
    ways = endpoints.endpoints(access, "docker.io", "library/app", True, found)
    assert [(str(way.base), way.path, way.mirror, way.own) for way in ways] == [
        ("https://one/", "library/app", True, False), ("https://two/", "library/app", True, False),
        ("https://mirror.example/", "hubA/library/app", False, False)]
    assert len(endpoints.endpoints(access, "docker.io", "library/app", False, found)) == 2
    alone = endpoints.endpoints(access, "docker.io", "library/app", False, configuration.Configuration({}, {}, ""))
    assert [(str(way.base), way.own) for way in alone] == [("https://registry-1.docker.io/", True)]


@pytest.mark.parametrize(("header", "found"), [
    ('Bearer realm="https://a/t?x=1,2",service="s",scope="repository:a:pull,push"',
     [("bearer", {"realm": "https://a/t?x=1,2", "service": "s", "scope": "repository:a:pull,push"})]),
    ('Basic realm="a \\"b\\"", Bearer realm=x', [("basic", {"realm": 'a "b"'}), ("bearer", {"realm": "x"})]),
    ("Negotiate, Basic", [("negotiate", {}), ("basic", {})]), ("", []), (",,=x", []),
])
def test_challenges(header: str, found: Any) -> None:
    assert authentication.challenges(header) == found


@given(st.text(max_size=60))
def test_any_challenge_is_read(header: str) -> None:
    for each in authentication.challenges(header):
        assert each.scheme


@pytest.mark.parametrize(("url", "environment", "proxy"), [
    ("https://a.example/", {"https_proxy": "http://p:3128"}, "http p:3128"),
    ("https://a.example/", {"HTTPS_PROXY": "p:3128"}, "http p:3128"),
    ("http://a.example/", {"https_proxy": "http://p:3128"}, None), ("http://a.example/", {"all_proxy": "http://p"}, "http p:80"),
    ("https://a.example/", {"https_proxy": "http://p", "no_proxy": "b.example,.example"}, None),
    ("https://a.example:5000/", {"https_proxy": "http://p", "no_proxy": "a.example:443"}, "http p:80"),
    ("https://10.1.2.3/", {"https_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, None),
    ("https://a/", {"all_proxy": "socks5h://us%40er:pa%3Ass@p"}, "socks5h p:1080"),
    ("https://a/", {"all_proxy": "socks5://[::1]:9"}, "socks5 [::1]:9"),
    ("https://127.0.0.1:5000/", {"https_proxy": "http://p"}, None), ("https://a/", {"https_proxy": "http://p", "no_proxy": "*"}, None),
])
def test_proxies(url: str, environment: Any, proxy: Any) -> None:
    found = proxies.proxy_for(urls.url(url), environment)
    assert (None if found is None else "%s %s" % (found.scheme, found.authority)) == proxy
    if found is not None and found.username:
        assert (found.username, found.password) == ("us@er", "pa:ss") and "pa" not in found.authority


@pytest.mark.parametrize("value", ["https://p", "socks4://p", "ftp://p", "http://", "http://p:port"])
def test_other_proxies_are_refused(value: str) -> None:
    with pytest.raises(InvalidValue, match=r"'all_proxy': value '%s' names no proxy .*socks5h://HOST:PORT" % value):
        proxies.proxy_for(urls.url("https://a/"), {"all_proxy": value})
