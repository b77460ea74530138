# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_login) beside real registries with logins, and Skopeo and Podman, who read what it writes."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any, Callable, Dict, Iterator

import pytest

from hosts import Host
from imagery import Image, files, layout, write_folder
from registries import PASSWORD, USER, Registry

FILES = {"docker": "/root/.docker/config.json", "containers": "/root/.config/containers/auth.json",
         "runtime": "/run/containers/0/auth.json"}
AUTH = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
HELPER = """#!/bin/sh
# Keeps one file for each server, as docker-credential-helpers' protocol wants it.
cd /run/kept || exit 1
case $1 in
store) input=$(cat)
       server=$(printf '%s' "$input" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/' | tr / _)
       printf '%s' "$input" >"$server" ;;
get) cat "$(tr / _)" 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
erase) rm "$(tr / _)" ;;
esac
"""


@pytest.fixture(scope="module")
def registry(shared_host: Host) -> Iterator[Registry]:
    """A registry that wants to see a name and a password."""
    made = Registry(shared_host, login="basic")
    yield made
    made.close()


@pytest.fixture(scope="module")
def by_token(shared_host: Host) -> Iterator[Registry]:
    """A registry with a token service."""
    made = Registry(shared_host, login="token")
    yield made
    made.close()


@pytest.fixture
def login(shared_host: Host, registry: Registry, by_token: Registry) -> Iterator[Callable[..., Dict[str, Any]]]:
    """Run the module on a host where nobody is logged in; what is written to root's home goes to memory."""
    shared_host.shell("mkdir -p /run/home/upper /run/home/work; rm -rf /run/containers;"
                      "mount -t overlay -o lowerdir=/root,upperdir=/run/home/upper,workdir=/run/home/work none /root;"
                      "rm -rf /root/.docker /root/.config")
    yield functools.partial(shared_host.module, "container_login", registry=registry.address, plain_http=True)
    shared_host.shell("umount /root; rm -rf /run/containers /run/home")


def written(host: Host) -> str:
    """The files below root's home that hold something."""
    return host.shell("find /run/home/upper -type f -size +0")


def document(host: Host, path: str) -> Dict[str, Any]:
    """What a file says; nobody but its owner may read it."""
    assert host.shell("stat -c %%a %s" % path) == "600\n"
    found: Dict[str, Any] = json.loads(host.shell("cat " + path))
    return found


def converged(login: Any, **options: Any) -> Dict[str, Any]:
    """Check mode predicts it, then it is done, and then there is nothing to do; the password is nowhere."""
    told = login(check_mode=True, **options)
    made = login(**options)
    assert made["changed"] and {key: told[key] for key in ("changed", "actions", "diff")} == {
        key: made[key] for key in ("changed", "actions", "diff")}
    assert not login(**options)["changed"]
    for said in (told, made):
        said = {key: value for key, value in said.items() if key != "invocation"}
        assert str(options.get("password")) not in json.dumps(said) and AUTH not in json.dumps(said)
    return dict(made)


@pytest.mark.parametrize("store", FILES)
def test_who_reads_what_is_written(login: Any, shared_host: Host, registry: Registry, store: str) -> None:
    made = converged(login, username=USER, password=PASSWORD, store=store)
    assert made["login"] == {"registry": registry.address, "path": FILES[store], "helper": None, "exists": True, "username": USER}
    assert document(shared_host, FILES[store]) == {"auths": {registry.address: {"auth": AUTH}}}
    assert shared_host.run(["skopeo", "login", "--get-login", registry.address]).stdout == USER + "\n"
    assert shared_host.run(["podman", "login", "--get-login", registry.address]).stdout == USER + "\n"
    gone = converged(login, state="absent", store=store)
    assert gone["diff"] == {"before": {"username": USER}, "after": {"username": None}} and not gone["login"]["exists"]
    assert shared_host.run(["skopeo", "login", "--get-login", registry.address], check=False).returncode


def test_pulls_use_it(login: Any, shared_host: Host, registry: Registry) -> None:
    name = registry.address + "/team/app:1"
    source = shared_host.folder / "login-layout"
    write_folder(source, layout({"app": Image([files({"x": b"y"})])}))
    login(username=USER, password=PASSWORD)
    assert shared_host.run(["skopeo", "copy", "--dest-tls-verify=false", "oci:%s:app" % source, "docker://" + name]).returncode == 0
    assert shared_host.module("container_image", name=name, plain_http=True)["changed"]
    login(state="absent")
    assert "refuses access" in shared_host.module("container_image", name=name, plain_http=True, pull="always", fail=True)["msg"]
    shared_host.module("container_image", name=name, state="absent")


def test_what_another_tool_has_written(login: Any, shared_host: Host, registry: Registry) -> None:
    """Podman's own login is seen, changed where it stands, and removed; other entries and unknown members stay."""
    shared_host.run(["podman", "login", "--tls-verify=false", "-u", USER, "--password-stdin", registry.address], input=PASSWORD)
    assert not login(username=USER, password=PASSWORD, store="runtime")["changed"]
    path = FILES["runtime"]
    before = {"auths": {"https://%s/v1/" % registry.address: {"auth": "b2xkOm9sZA==", "email": "me@example.com", "identitytoken": "x"},
                        "other.example": {"auth": AUTH}}, "HttpHeaders": {"a": "b"}, "credHelpers": {"third.example": "third"}}
    shared_host.run(["sh", "-c", "cat >%s; chown 1000:1000 %s" % (path, path)], input=json.dumps(before))
    made = converged(login, username=USER, password=PASSWORD, store="runtime")
    assert made["diff"]["before"]["username"] == "old" and made["diff"]["after"] == {"username": USER, "password": "********"}
    after = document(shared_host, path)
    assert after["auths"] == {"other.example": {"auth": AUTH}, registry.address: {"email": "me@example.com", "auth": AUTH}}
    assert {key: after[key] for key in ("HttpHeaders", "credHelpers")} == {key: before[key] for key in ("HttpHeaders", "credHelpers")}
    assert shared_host.shell("stat -c %%u:%%g %s" % path) == "1000:1000\n"
    assert shared_host.shell("ls -A /run/containers/0") == "auth.json\n"
    converged(login, state="absent", store="runtime")
    assert document(shared_host, path) == {**before, "auths": {"other.example": {"auth": AUTH}}}


def test_a_login_that_is_refused_is_not_written(login: Any, shared_host: Host, registry: Registry) -> None:
    for check_mode in (True, False):
        failed = login(username=USER, password="wrong one", check_mode=check_mode, fail=True)
        assert registry.address in failed["msg"] and "Check username and password" in failed["msg"] and "wrong one" not in failed["msg"]
    assert not written(shared_host)
    login(username=USER, password="wrong one", check_login=False)
    assert login(username=USER, password="wrong one")["changed"] is False
    assert "refuses" in login(username=USER, password="wrong one", reauthorize=True, fail=True)["msg"]
    assert login(username=USER, password=PASSWORD, reauthorize=True)["changed"]
    away = login(registry="127.0.0.1:1", username=USER, password=PASSWORD, fail=True)
    assert "127.0.0.1:1" in away["msg"] and "127.0.0.1:1" not in shared_host.shell("cat " + FILES["docker"])


def test_a_token_service_checks_it(login: Any, by_token: Registry) -> None:
    assert "refuses" in login(registry=by_token.address, username=USER, password="no", fail=True)["msg"]
    converged(login, registry=by_token.address, username=USER, password=PASSWORD)


def test_a_credential_helper(login: Any, shared_host: Host, registry: Registry) -> None:
    """The helper keeps it, the file names the helper; Skopeo asks it. Then the file itself names one for all."""
    shared_host.run(["sh", "-c", "mkdir -p /run/kept /run/bin; cat >/run/bin/docker-credential-kept; chmod 755 /run/bin/*;"
                     "mkdir -p /run/upper /run/work; mount -t overlay -o lowerdir=/run/bin:/usr/local/bin none /usr/local/bin"],
                    input=HELPER)
    path = FILES["docker"]
    try:
        login(username=USER, password=PASSWORD)
        made = converged(login, username=USER, password=PASSWORD, helper="kept")
        assert made["login"]["helper"] == "kept" and made["diff"]["after"]["password_in_file"] is False
        assert document(shared_host, path) == {"auths": {}, "credHelpers": {registry.address: "kept"}}
        assert json.loads(shared_host.shell("cat /run/kept/*"))["Secret"] == PASSWORD
        assert shared_host.run(["skopeo", "login", "--get-login", registry.address]).stdout == USER + "\n"
        assert login(username=USER, password="other", check_login=False)["login"]["helper"] == "kept"
        converged(login, state="absent", helper="kept")
        assert document(shared_host, path) == {"auths": {}, "credHelpers": {}} and not shared_host.shell("ls /run/kept")
        shared_host.run(["sh", "-c", "cat >" + path], input='{"credsStore": "kept"}')
        converged(login, registry="docker.io", username=USER, password=PASSWORD, check_login=False)
        assert document(shared_host, path) == {"credsStore": "kept", "auths": {"https://index.docker.io/v1/": {}}}
        assert shared_host.shell("ls /run/kept") == "https:__index.docker.io_v1_\n"
        converged(login, registry="https://index.docker.io/v1/", state="absent")
        assert not shared_host.shell("ls /run/kept")
        missing = login(username=USER, password=PASSWORD, helper="absent", fail=True)["msg"]
        assert "docker-credential-absent" in missing and document(shared_host, path) == {"credsStore": "kept", "auths": {}}
    finally:
        shared_host.shell("umount /usr/local/bin; rm -rf /run/kept /run/bin")


def test_another_file(login: Any, shared_host: Host, registry: Registry) -> None:
    """It is made with its folder; a link stays a link; another login that would be read first is told of."""
    made = converged(login, username=USER, password=PASSWORD, auth_file="/root/deep/er/auth.json")
    assert "warnings" not in made and shared_host.shell("stat -c %a /root/deep/er") == "700\n"
    shared_host.shell("mkdir /root/.docker; ln -s ../deep/er/auth.json " + FILES["docker"])
    assert not login(username=USER, password=PASSWORD)["changed"]
    login(username="bob", password="b", check_login=False)
    assert shared_host.shell("readlink " + FILES["docker"]) == "../deep/er/auth.json\n"
    login(username=USER, password=PASSWORD, store="containers")
    (warning,) = login(username="bob", password="b", check_login=False)["warnings"]
    assert "%s holds another login for %s" % (FILES["containers"], registry.address) in json.dumps(warning)


@pytest.mark.parametrize(("options", "said"), [
    ({"registry": "a b"}, "is no registry"), ({"registry": "https://"}, "is no registry"), ({"username": "a:b"}, "is no name of a user"),
    ({"password": "a\nb"}, "is no password"), ({"helper": "../x"}, "is no name of a helper"), ({"auth_file": "auth.json"}, "auth_file"),
    ({"auth_file": "/run"}, "is a folder"), ({"password": None}, "password"), ({"username": None}, "username"),
])
def test_what_is_wrong(login: Any, shared_host: Host, options: Dict[str, Any], said: str) -> None:
    failed = login(fail=True, **{"username": USER, "password": PASSWORD, **options})
    assert said in failed["msg"] and "a\nb" not in failed["msg"]
    assert not written(shared_host)


def test_a_file_that_holds_no_logins(login: Any, shared_host: Host) -> None:
    for text in ("[]", "{", '{"auths": [1]}'):
        shared_host.run(["sh", "-c", "mkdir -p /root/.docker; cat >" + FILES["docker"]], input=text)
        assert FILES["docker"] in login(username=USER, password=PASSWORD, fail=True)["msg"]
        assert shared_host.shell("cat " + FILES["docker"]) == text
