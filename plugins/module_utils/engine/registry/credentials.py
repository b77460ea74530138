# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who to be at a registry: what the task says, or what other tools' logins have left on the host.

Sources: docker(1), Configuration files; containers-auth.json(5); the protocol of docker-credential-helpers.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from ..errors import Corrupt, EngineError, InvalidValue, NotFound
from ..store import files

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
"""What Docker calls it in its files."""


class Credential(NamedTuple):
    """A name and a password, or a token that stands for both.

    Attributes:
        identity: A refresh token for the registry's token service (OAuth 2), or empty.
        bearer: A token to be sent as it is, or empty.
    """

    username: str = ""
    password: str = ""
    identity: str = ""
    bearer: str = ""


def find(host: str, repository: str, auth_file: str = "",
         environment: Optional[Mapping[str, str]] = None) -> Optional[Credential]:
    """What a login has left for a repository; the longest key that fits wins, and within a file a helper.

    Args:
        host: Of the registry, with port where it has one.
        repository: Its path at the registry.
        auth_file: The only file to look at, or empty for all of the usual places.

    Raises:
        NotFound: C(auth_file) is not there.
        Corrupt: A file is no JSON, or a helper fails.
    """
    environment = os.environ if environment is None else environment
    if auth_file and not os.path.exists(auth_file):
        raise NotFound("auth_file %s: No such file or directory" % auth_file, "Give the path of a file on the managed host")
    for path in [auth_file] if auth_file else places(environment):
        found = _in_file(path, host, repository, environment)
        if found is not None:
            return found
    return None


def places(environment: Mapping[str, str]) -> List[str]:
    """Where logins are kept, in the order in which they are looked through."""
    home = environment.get("HOME") or os.path.expanduser("~")
    if environment.get("REGISTRY_AUTH_FILE"):
        return [environment["REGISTRY_AUTH_FILE"]]
    runtime = environment.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.geteuid()
    return [os.path.join(runtime, "containers", "auth.json"),
            "/run/containers/%d/auth.json" % os.geteuid(),
            os.path.join(environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "containers", "auth.json"),
            os.path.join(environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")]


def _in_file(path: str, host: str, repository: str, environment: Mapping[str, str]) -> Optional[Credential]:
    try:
        value = files.read_json(path)
    except (EngineError, IsADirectoryError):
        value = ()
    if value is None:
        return None
    value = checked(path, value)
    helpers = {plain_key(key): (key, str(helper)) for key, helper in (value.get("credHelpers") or {}).items()}
    for key in _keys(host, repository):
        if key in helpers:
            written, helper = helpers[key]
            return ask(helper, written, environment)
    logins: Dict[str, Any] = {plain_key(key): each for key, each in (value.get("auths") or {}).items()}
    for key in _keys(host, repository):
        entry = logins.get(key)
        if isinstance(entry, dict) and entry:
            return login(path, key, entry)
    if value.get("credsStore"):
        return ask(str(value["credsStore"]), HUB_KEY if host == HUB else host, environment)
    return None


def checked(path: str, value: Any) -> Dict[str, Any]:
    """A file's content, if it is one of logins.

    Raises:
        Corrupt: It is none.
    """
    if not isinstance(value, dict) or not all(isinstance(value.get(key) or {}, dict) for key in ("auths", "credHelpers")):
        raise Corrupt("file %s holds no logins" % path, "Log in again, or remove it")
    return value


def _keys(host: str, repository: str) -> Iterator[str]:
    """What a login may be kept under: the repository, its parents, the host."""
    path = "%s/%s" % (host, repository)
    while path:
        yield path
        path = path.rpartition("/")[0]
    if host == HUB:
        yield "index.docker.io"
        yield "registry-1.docker.io"


def plain_key(key: str) -> str:
    """A key without the scheme and the version of the API, which Docker writes for some hosts."""
    for scheme in ("https://", "http://"):
        if key.startswith(scheme):
            key = key[len(scheme):].rstrip("/")
            for version in ("/v1", "/v2"):
                if key.endswith(version):
                    key = key[:-3]
    return key.rstrip("/")


def login(path: str, key: str, entry: Mapping[str, Any]) -> Optional[Credential]:
    """What an entry of a file says; C(None) where it says nothing.

    Raises:
        Corrupt: It cannot be read.
    """
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            username, _colon, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError:
            raise Corrupt("file %s: the login for %s is not as base64 writes it" % (path, key), "Log in again")
    found = Credential(username, password.rstrip("\0"), str(entry.get("identitytoken") or ""),
                       str(entry.get("registrytoken") or ""))
    return found if found != Credential() else None


def ask(helper: str, server: str, environment: Mapping[str, str]) -> Optional[Credential]:
    """What a credential helper answers; C(None) where it knows no login for the server."""
    from ..kernel import commands  # pylint: disable=import-outside-toplevel
    name = "docker-credential-" + helper
    outcome = commands.run([program(helper, server), "get"], server.encode(), environment)
    said = outcome.stdout.decode("utf-8", "replace").strip()
    if outcome.status:
        if "credentials not found" in said:
            return None
        raise Corrupt("%s cannot tell the login for %s (exit status %d)" % (name, server, outcome.status),
                      "Run it by hand to see why: echo %s | %s get" % (server, name))
    try:
        answer = json.loads(said)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise Corrupt("%s answers no login for %s" % (name, server), "Run it by hand to see why")
    return Credential(identity=secret) if username == "<token>" else Credential(username, secret)


def program(helper: str, server: str) -> str:
    """The path of the program that keeps the login for a server.

    Raises:
        InvalidValue: The helper's name is none.
        NotFound: The host lacks it.
    """
    from ..kernel import commands  # pylint: disable=import-outside-toplevel
    name = "docker-credential-" + helper
    if "/" in helper:
        raise InvalidValue("credHelpers", helper, "is no name of a helper", "Name a program docker-credential-NAME")
    found = commands.find(name)
    if found is None:
        raise NotFound("the login for %s is kept by %s, which this host does not have" % (server, name),
                       "Install it, or give username and password")
    return found
