# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing logins where other tools read them: files as Docker's and containers' tools write them, and credential helpers.

Sources: docker(1), Configuration files; containers-auth.json(5); the protocol of docker-credential-helpers.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import Corrupt
from ..store import files
from . import credentials

PROGRAM = "docker-credential-"
"""What the names of all helpers begin with."""
STORES = ("docker", "containers", "runtime")
"""The usual files, by whose they are."""
_SECRETS = ("auth", "username", "password", "identitytoken", "registrytoken")


def registry(value: Any) -> str:
    """A registry, perhaps with the beginning of a repository's name, as logins name it: C(HOST[:PORT][/PATH]).

    Raises:
        ValueError: It is none.
    """
    text = credentials.plain_key(str(value).strip())
    host, slash, path = text.partition("/")
    if not host or any(each in text for each in "@?# \t\n\"'") or not text.isprintable() or slash and not path:
        raise ValueError("is no registry")
    host = host.lower()
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = credentials.HUB
    return host + slash + path


def place(store: str, environment: Mapping[str, str]) -> str:
    """The usual file of a store, whether it is there or not."""
    home = environment.get("HOME") or os.path.expanduser("~")
    if store == "docker":
        return os.path.join(environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")
    if store == "runtime":
        runtime = environment.get("XDG_RUNTIME_DIR")
        return os.path.join(runtime, "containers/auth.json") if runtime else "/run/containers/%d/auth.json" % os.geteuid()
    return environment.get("REGISTRY_AUTH_FILE") or os.path.join(
        environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "containers", "auth.json")


def key_of(name: str, path: str) -> str:
    """What a login is kept under in a file: the registry, but Docker Hub in Docker's file as Docker calls it."""
    return credentials.HUB_KEY if name == credentials.HUB and os.path.basename(path) == "config.json" else name


def entry_of(document: Mapping[str, Any], name: str, member: str = "auths") -> Optional[str]:
    """The key in a file that stands for a registry, or C(None)."""
    return next((key for key in document.get(member) or {} if _same(key, name)), None)


def _same(key: str, name: str) -> bool:
    try:
        return registry(key) == name
    except ValueError:
        return False


def login_of(document: Mapping[str, Any], name: str, path: str) -> Optional[credentials.Credential]:
    """The login that a file itself holds for a registry, or C(None).

    Raises:
        Corrupt: It cannot be read.
    """
    key = entry_of(document, name)
    login = (document.get("auths") or {}).get(key)
    return credentials.login(path, str(key), login) if isinstance(login, dict) and login else None


def helper_of(document: Mapping[str, Any], name: str) -> str:
    """The helper that a file names for a registry, or for all; or empty."""
    key = entry_of(document, name, "credHelpers")
    return str(document["credHelpers"][key]) if key is not None else str(document.get("credsStore") or "")


def with_login(document: Mapping[str, Any], name: str, key: str, username: str, password: str) -> Dict[str, Any]:
    """A file's content with a login; what else there is stays."""
    auth = base64.b64encode(("%s:%s" % (username, password)).encode()).decode()
    kept, rest = _without(document.get("auths") or {}, name)
    return {**document, "auths": {**rest, key: {**kept, "auth": auth}}}


def without_login(document: Mapping[str, Any], name: str, key: str = "") -> Dict[str, Any]:
    """A file's content without a login; with a key, an entry stays that says that a helper has it."""
    kept, rest = _without(document.get("auths") or {}, name)
    if key:
        rest[key] = kept
    return {**document, "auths": rest} if rest or "auths" in document else dict(document)


def _without(logins: Mapping[str, Any], name: str) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """What an entry says besides the login, and the other entries."""
    kept: Dict[str, Any] = {}
    for key, entry in logins.items():
        if _same(key, name) and isinstance(entry, dict):
            kept.update({member: value for member, value in entry.items() if member not in _SECRETS})
    return kept, {key: entry for key, entry in logins.items() if not _same(key, name)}


def with_helper(document: Mapping[str, Any], name: str, key: str, helper: str) -> Dict[str, Any]:
    """A file's content that names a helper for a registry, or, if it is empty, none."""
    helpers = {each: value for each, value in (document.get("credHelpers") or {}).items() if not _same(each, name)}
    if helper:
        helpers[key] = helper
    return {**document, "credHelpers": helpers} if helpers or "credHelpers" in document else dict(document)


def write(path: str, document: Mapping[str, Any]) -> None:
    """Replace a file of logins: at once, 0600, whoever owned it; where it is a link, what it leads to."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        files.make_folder(folder)
    try:
        status = os.stat(target)
    except FileNotFoundError:
        status = os.stat(folder)
    content = json.dumps(document, indent="\t", ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
    files.write(target, content, owner=(status.st_uid, status.st_gid))


# Helpers

def stored_by(helper: str, server: str, environment: Mapping[str, str]) -> Optional[credentials.Credential]:
    """The login that a helper has for a server, or C(None)."""
    return credentials.ask(helper, server, environment)


def store(helper: str, server: str, login: credentials.Credential, environment: Mapping[str, str]) -> None:
    """Let a helper keep a login.

    Raises:
        NotFound: The host lacks the helper.
        Corrupt: It fails.
    """
    secret = {"ServerURL": server, "Username": login.username or "<token>", "Secret": login.password or login.identity}
    _told(helper, "store", server, json.dumps(secret).encode(), environment)


def erase(helper: str, server: str, environment: Mapping[str, str]) -> None:
    """Let a helper forget a login.

    Raises:
        NotFound: The host lacks the helper.
        Corrupt: It fails.
    """
    _told(helper, "erase", server, server.encode(), environment)


def _told(helper: str, verb: str, server: str, content: bytes, environment: Mapping[str, str]) -> None:
    from ..kernel import commands  # pylint: disable=import-outside-toplevel
    outcome = commands.run([credentials.program(helper, server), verb], content, environment)
    if outcome.status:
        # What it says is not passed on: it may repeat what it was told
        raise Corrupt("%s%s cannot %s the login for %s (exit status %d)" % (PROGRAM, helper, verb, server, outcome.status),
                      "See whether it works on this host: echo %s | %s%s get" % (server, PROGRAM, helper))


def before(path: str, environment: Mapping[str, str]) -> List[str]:
    """The usual files that are read before this one."""
    found = credentials.places(environment)
    return found[:found.index(path)] if path in found else []
