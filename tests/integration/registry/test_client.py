# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against real registries: TLS, logins, tokens, redirects, proxies."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.registry import client
from ansible_collections.coracle.containers.plugins.module_utils.engine.registry.access import Access

import imagery
from hosts import Host
from registries import PASSWORD, USER, Registry

IMAGE = imagery.Image([imagery.files({"etc/motd": b"hello\n"})], packed=True)


@pytest.fixture(scope="module")
def plain(shared_host: Host) -> Iterator[Registry]:
    """A registry without anything."""
    made = Registry(shared_host)
    made.put("team/app", "1", IMAGE)
    made.proxy()
    yield made
    made.close()


def head(address: str, path: str = "team/app", tag: str = "1", environment: Any = None, **access: Any) -> Any:
    """The digest of an image; to be called on the host."""
    os.environ.update(environment or {})
    with client.Session(Access(**access), lambda _seconds: None) as session:
        found = session.repository(address, path).head_manifest(tag)
        return None if found is None else found.digest


def test_plain_http_only_where_it_is_named(plain: Registry) -> None:
    """Without TLS a registry is only spoken to when told so."""
    assert plain.host.call(lambda: head(plain.address, plain_http=True)) == IMAGE.digest
    with pytest.raises(EngineError, match=r"%s/team/app: manifest 1: .* does not speak TLS.*plain_http" % plain.address):
        plain.host.call(lambda: head(plain.address))


def test_what_is_not_there(plain: Registry) -> None:
    """A missing tag is told from a failure."""
    assert plain.host.call(lambda: head(plain.address, tag="2", plain_http=True)) is None

    def fetch() -> Any:
        with client.Session(Access(plain_http=True)) as session:
            return session.repository(plain.address, "team/app").manifest("2")
    with pytest.raises(NotFound, match="team/app: manifest 2 is not there"):
        plain.host.call(fetch)


def test_tls_is_verified(shared_host: Host) -> None:
    """An unknown authority is refused, unless it is given, kept for the host, or verification is switched off."""
    registry = Registry(shared_host, tls=True, login="basic")
    call = registry.host.call
    with pytest.raises(EngineError, match="certificate cannot be trusted"):
        call(lambda: head(registry.address))
    ca = str(registry.folder / "ca.crt")
    with pytest.raises(EngineError, match=r"refuses access \(status 401.*Give username and password"):
        call(lambda: head(registry.address, ca_path=ca))
    with pytest.raises(EngineError, match="Check username and password") as caught:
        call(lambda: head(registry.address, ca_path=ca, username=USER, password="guess"))
    assert "guess" not in str(caught.value)
    assert call(lambda: head(registry.address, ca_path=ca, username=USER, password=PASSWORD)) is None
    assert call(lambda: head(registry.address, validate_certs=False, username=USER, password=PASSWORD)) is None
    place = Path("/etc/containers/certs.d", registry.address)
    shared_host.shell("mkdir -p '%s' && cp '%s' '%s/ca.crt'" % (place, ca, place))
    assert call(lambda: head(registry.address, username=USER, password=PASSWORD)) is None
    shared_host.shell("rm -r '%s'" % place)
    registry.close()


# Tokens

@pytest.fixture(scope="module")
def guarded(shared_host: Host) -> Iterator[Registry]:
    """A registry that wants to see tokens, behind a proxy."""
    made = Registry(shared_host, login="token")
    made.proxy()
    yield made
    made.close()


def grants(registry: Registry) -> List[Dict[str, Any]]:
    """What the token service has granted so far."""
    return [json.loads(line) for line in (registry.folder / "grants").read_text().splitlines()]


def test_tokens(guarded: Registry) -> None:
    """A token is asked for once for each scope, without a login or with one, and none of it is in an error."""
    call, address = guarded.host.call, guarded.proxy()
    guarded.fault()
    assert call(lambda: head(address, plain_http=True)) is None  # nothing was pushed there, and it may be seen
    assert grants(guarded)[-1] == {"user": "", "scopes": ["repository:team/app:pull"]}
    assert [line.split()[0] for line in guarded.lines()] == ["HEAD", "HEAD"]
    with pytest.raises(EngineError, match=r"refuses access \(status 401.*Give username and password"):
        call(lambda: head(address, "private/app", plain_http=True))
    assert call(lambda: head(address, "private/app", plain_http=True, username=USER, password=PASSWORD)) is None
    with pytest.raises(EngineError, match="refuses the login of 'alice'") as caught:
        call(lambda: head(address, plain_http=True, username=USER, password="guess me"))
    assert "guess me" not in str(caught.value)

    def many() -> Any:
        with client.Session(Access(plain_http=True, username=USER, password=PASSWORD)) as session:
            repository = session.repository(address, "team/app")
            for _round in range(3):
                repository.head_manifest("1")
            repository.request("POST", "blobs/uploads/", {"Content-Length": "0"}, actions="pull,push", expect=(202,)).close()
            return session.requests
    before = len(grants(guarded))
    # A challenge, a token and its answer; two with the token; for the upload a challenge, another token and its answer.
    assert call(many) == 3 + 2 + 3
    assert [each["scopes"] for each in grants(guarded)[before:]] == [
        ["repository:team/app:pull"], ["repository:team/app:pull,push"]]


def test_a_token_that_ends_is_fetched_anew(guarded: Registry) -> None:
    """A token whose life is over is not sent again."""
    (guarded.folder / "life").write_text("4")

    def twice() -> int:
        import time
        with client.Session(Access(plain_http=True)) as session:
            repository = session.repository(guarded.address, "team/app")
            repository.head_manifest("1")
            time.sleep(4.1)
            repository.head_manifest("1")
            return session.requests
    assert guarded.host.call(twice) == 6
    (guarded.folder / "life").unlink()


LOGIN = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()


@pytest.mark.parametrize("kind", ["docker", "containers", "variable", "prefix", "helper", "store", "identity"])
def test_logins_of_other_tools(guarded: Registry, kind: str) -> None:
    """What other tools' logins have left is found, wherever they keep it."""
    host, address = guarded.host, guarded.address
    login: Any = {"auths": {address: {"auth": LOGIN}}}
    place, environment = "/run/home/.docker/config.json", {"HOME": "/run/home"}
    helper = "#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get %s' ] && echo '%s' || { echo credentials not found; exit 1; }\n"
    if kind == "containers":
        place, environment["XDG_RUNTIME_DIR"] = "/run/home/xdg/containers/auth.json", "/run/home/xdg"
    elif kind == "variable":
        place, environment["REGISTRY_AUTH_FILE"] = "/run/home/here.json", "/run/home/here.json"
    elif kind == "prefix":
        login = {"auths": {address: {"auth": base64.b64encode(b"bob:x").decode()}, address + "/private": {"auth": LOGIN}}}
    elif kind == "helper":
        login = {"credHelpers": {address: "tests"}}
    elif kind == "store":
        login = {"credsStore": "tests"}
    elif kind == "identity":
        login = {"auths": {address: {"identitytoken": "refresh me"}}}
    host.shell("mkdir -p '%s'; cat >'%s' <<'END'\n%s\nEND" % (os.path.dirname(place), place, json.dumps(login)))
    host.shell("cat >/usr/local/bin/docker-credential-tests <<'END'\n%sEND\nchmod 755 /usr/local/bin/docker-credential-tests"
               % (helper % (address, json.dumps({"ServerURL": address, "Username": USER, "Secret": PASSWORD}))))
    try:
        assert host.call(lambda: head(address, "private/app", environment=environment, plain_http=True)) is None
        assert grants(guarded)[-1]["user"] == "alice"
    finally:
        host.shell("rm -rf /run/home /usr/local/bin/docker-credential-tests")


# Ways

def test_a_redirect_takes_no_login_along(plain: Registry, shared_host: Host) -> None:
    """Where a registry points to another host, the blob comes from there, and the login does not go there."""
    second = Registry(shared_host)
    second.put("team/app", "1", IMAGE)
    elsewhere = "http://%s/v2/team/app/blobs/%s" % (second.proxy(), IMAGE.id)
    front = Registry(shared_host, login="basic")
    front.proxy()
    front.fault({"match": "GET .*blobs", "times": 1, "status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}},
                {"match": "GET .*blobs", "status": 307, "headers": {"Location": elsewhere}})
    second.fault()

    def fetch() -> bytes:
        with client.Session(Access(plain_http=True, username=USER, password=PASSWORD)) as session:
            return session.repository(front.proxy(), "team/app").blob(IMAGE.id).read(1 << 20)
    assert shared_host.call(fetch) == IMAGE.config
    assert "Authorization" in front.requests()[1]["headers"]
    assert "Authorization" not in second.requests()[0]["headers"] and len(second.requests()) == 1
    second.close()
    front.close()


def configured(host: Host, text: str) -> None:
    """Write the host's registries.conf."""
    host.shell("mkdir -p /etc/containers; cat >/etc/containers/registries.conf <<'END'\n%s\nEND" % text)


def test_mirrors(plain: Registry, shared_host: Host) -> None:
    """A mirror is asked first; what it lacks or cannot give comes from the registry itself; what is blocked is refused."""
    mirror = Registry(shared_host)
    mirror.put("hub/team/app", "1", IMAGE)
    mirror.proxy()
    plain.put("team/other", "1", IMAGE)
    try:
        configured(shared_host, '[[registry]]\nlocation = "%s"\ninsecure = true\n[[registry.mirror]]\nlocation = "%s/hub"\n'
                   'insecure = true\n' % (plain.proxy(), mirror.proxy()))
        plain.fault()
        mirror.fault()
        assert shared_host.call(lambda: head(plain.proxy(), username=USER, password=PASSWORD)) == IMAGE.digest
        assert plain.lines() == [] and mirror.lines() == ["HEAD /v2/hub/team/app/manifests/1"]
        assert shared_host.call(lambda: head(plain.proxy(), "team/other")) == IMAGE.digest
        assert plain.lines() == ["HEAD /v2/team/other/manifests/1"]
        mirror.fault({"match": ".", "status": 503})
        plain.fault()
        assert shared_host.call(lambda: head(plain.proxy())) == IMAGE.digest
        assert len(plain.lines()) == len(mirror.lines()) == 1
        configured(shared_host, '[[registry]]\nprefix = "example.com/hub"\nlocation = "%s"\ninsecure = true\n'
                   '[[registry]]\nprefix = "*.example.org"\nblocked = true\n' % plain.proxy())
        assert shared_host.call(lambda: head("example.com", "hub/team/app")) == IMAGE.digest
        with pytest.raises(EngineError, match="registry a.example.org is blocked by this host's registries.conf"):
            shared_host.call(lambda: head("a.example.org"))
        configured(shared_host, '[[registry]\nprefix = 1\n')
        with pytest.raises(EngineError, match="file /etc/containers/registries.conf, line 1"):
            shared_host.call(lambda: head("a.example.org"))
    finally:
        shared_host.shell("rm -f /etc/containers/registries.conf")
        mirror.close()


def test_a_proxy_of_the_environment(plain: Registry) -> None:
    """A registry elsewhere is reached by the proxy that the environment names, and its login stays with the proxy."""
    environment = {"http_proxy": "http://us%%er:pass@%s" % plain.proxy()}
    plain.fault()
    found = plain.host.call(lambda: head("registry.example.com", environment=environment, plain_http=True))
    assert found == IMAGE.digest
    assert plain.lines() == ["HEAD http://registry.example.com/v2/team/app/manifests/1"]
    assert plain.requests()[0]["headers"]["Proxy-Authorization"] == "Basic " + base64.b64encode(b"us%er:pass").decode()
    with pytest.raises(EngineError, match="registry.example.com"):
        plain.host.call(lambda: head("registry.example.com", environment={**environment, "no_proxy": ".example.com"},
                                     plain_http=True))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls and login"])
def test_a_socks_proxy(shared_host: Host, tls: bool) -> None:
    """Names are looked up on either side, as the scheme says; what the proxy does not allow is one clear error."""
    registry = Registry(shared_host, tls=tls)
    way = registry.socks(login=tls)
    login = "%s:%s@" % (USER, PASSWORD.replace(" ", "%20")) if tls else ""
    shared_host.shell("cp /etc/hosts /run/hosts; echo '192.0.2.9 near.example.com' >>/etc/hosts")

    def through(scheme: str, name: str, given: str = login) -> Any:
        return head("%s:%d" % (name, registry.port), plain_http=not tls, validate_certs=False,
                    environment={"all_proxy": "%s://%s%s" % (scheme, given, way)})
    try:
        for scheme, name, asked in [("socks5h", "far.example.com", "3 far.example.com"), ("socks5", "near.example.com", "1 192.0.2.9")]:
            assert shared_host.call(through, scheme, name) is None
            assert (registry.folder / "socks").read_text().splitlines()[-1] == asked
        with pytest.raises(EngineError, match=r"by the proxy %s\): the proxy says that its rules do not allow it" % way):
            shared_host.call(through, "socks5h", "no.example.com")
        if tls:
            with pytest.raises(EngineError, match="the proxy wants a login"):
                shared_host.call(through, "socks5h", "far.example.com", "")
            with pytest.raises(EngineError, match="the proxy refuses its login") as caught:
                shared_host.call(through, "socks5h", "far.example.com", "alice:guess@")
            assert "guess" not in str(caught.value)
    finally:
        shared_host.shell("cat /run/hosts >/etc/hosts; rm /run/hosts")
        registry.close()


@pytest.mark.parametrize(("resolver", "pauses"), [("files", 0), ("dns", 1)])
def test_a_name_that_leads_nowhere(shared_host: Host, resolver: str, pauses: int) -> None:
    """A name that does not exist is not asked for again; a resolver that does not answer is asked once more."""
    shared_host.shell("cp /etc/nsswitch.conf /etc/resolv.conf /run/; echo 'hosts: %s' >/etc/nsswitch.conf; "
                      "printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >/etc/resolv.conf" % resolver)

    def look() -> List[float]:
        waited: List[float] = []
        with client.Session(Access(), waited.append) as session:
            with pytest.raises(EngineError, match=r"absent.example/team/app: manifest 1: .*absent.example: .*Check the name"):
                session.repository("absent.example", "team/app").manifest("1")
        return waited
    try:
        assert len(shared_host.call(look)) == pauses
    finally:
        shared_host.shell("cat /run/nsswitch.conf >/etc/nsswitch.conf; cat /run/resolv.conf >/etc/resolv.conf; "
                          "rm /run/nsswitch.conf /run/resolv.conf")


def test_a_client_certificate(shared_host: Host) -> None:
    """A registry that asks for a certificate is shown the one that is given."""
    registry = Registry(shared_host, client=True)
    ca, certificate, key = (str(registry.folder / name) for name in ("ca.crt", "client.crt", "client.key"))
    assert shared_host.call(lambda: head(registry.address, ca_path=ca, client_cert=certificate, client_key=key)) is None
    with pytest.raises(EngineError, match=registry.address):
        shared_host.call(lambda: head(registry.address, ca_path=ca))

    def mismatched() -> str:
        try:
            return str(head(registry.address, ca_path=ca, client_cert=certificate, client_key=ca))
        except EngineError as error:
            return str(error)
    assert "do not go together" in shared_host.call(mismatched)
    registry.close()
