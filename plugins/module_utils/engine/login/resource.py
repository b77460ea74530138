# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_login): a login for a registry, in a file that container tools read or in a credential helper."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import EngineError, InvalidValue
from ..instance import Instance
from ..plan import Change, Difference, Plan
from ..registry import credentials, logins
from ..registry.access import Access
from ..store import files


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        name: The registry, perhaps with the beginning of a repository's name.
        key: What the file calls it.
        path: The file.
        helper: The helper that shall keep the login; empty for the one that the file names, if any.
        access: How the registry is spoken to.
        check: Whether it is asked before anything is written.
    """

    state: str
    name: str
    key: str
    path: str
    helper: str
    access: Access
    check: bool
    options: Dict[str, Any]
    warnings: Tuple[str, ...]


class Observed(NamedTuple):
    """What is.

    Attributes:
        document: The file's content.
        helper: The helper that keeps the login, or empty.
        login: The login that is there.
        listed: Whether the file has an entry for the registry.
        plain: Whether the file holds a login which the helper should.
    """

    document: Dict[str, Any]
    helper: str
    login: Optional[credentials.Credential]
    listed: bool
    plain: bool
    options: Dict[str, Any]


def key(_params: Mapping[str, Any]) -> str:
    """One at a time, since two names may lead to one file."""
    return "all"


def resolve(_instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Find the file; ask the registry where that is wanted whatever comes of it."""
    path = params["auth_file"] or logins.place(params["store"], os.environ)
    if os.path.isdir(path):
        raise InvalidValue("auth_file", path, "is a folder", "Give the path of a file, such as %s/config.json" % path.rstrip("/"))
    present = params["state"] == "present"
    options = {name: params[name] for name in ("username", "password", "helper") if present and params[name] is not None}
    access = Access(**{name: params[name] for name in Access._fields if params.get(name) is not None and name != "auth_file"})
    desired = Desired(params["state"], params["registry"], logins.key_of(params["registry"], path), path, params["helper"] or "",
                      access, present and params["check_login"] and not params["reauthorize"], options,
                      tuple(_hidden(params, path)) if present else ())
    if present and params["reauthorize"]:
        _check(desired)
    return desired


def _hidden(params: Mapping[str, Any], path: str) -> List[str]:
    """Which other files would be read before the one that is written, and hold another login."""
    found = []
    for each in logins.before(path, os.environ):
        try:
            other = logins.login_of(_document(each), params["registry"], each)
        except EngineError:
            continue
        if other is not None and (other.username, other.password) != (params["username"], params["password"]):
            found.append("%s holds another login for %s, and container tools read it before %s" % (each, params["registry"], path))
    return found


def observe(_instance: Instance, desired: Desired) -> Observed:
    """Read the file, and ask the helper if one is named."""
    document = _document(desired.path)
    named = logins.helper_of(document, desired.name)
    helper = desired.helper or named
    inside = logins.login_of(document, desired.name, desired.path)
    login = logins.stored_by(helper, desired.key, os.environ) if helper else inside
    options: Dict[str, Any] = {"username": login.username if login else None, "password": login.password if login else None,
                               "helper": named or None}
    return Observed(document, helper, login, logins.entry_of(document, desired.name) is not None,
                    bool(helper and inside is not None), options)


def _document(path: str) -> Dict[str, Any]:
    value = files.read_json(path)
    return credentials.checked(path, value) if value is not None else {}


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """One step, if any."""
    where = "%s in %s" % (desired.name, desired.path)
    if desired.state == "absent":
        there = observed.login is not None or observed.listed
        username = observed.login.username if observed.login else None
        return (Change("remove", where, differences=(Difference("username", username, None),)),) if there else ()
    if observed.plain:
        differences += (Difference("password_in_file", True, False),)
    return (Change("write", where, differences=differences),) if differences else ()


def apply(_instance: Instance, desired: Desired, observed: Observed, _steps: Plan) -> None:
    """Ask the registry, tell the helper, write the file; if that fails, the helper has again what it had."""
    if desired.check:
        _check(desired)
    document, helper = observed.document, observed.helper
    login: Optional[credentials.Credential] = None
    if desired.state == "present":
        login = credentials.Credential(desired.access.username, desired.access.password)
    if login is None:
        document = logins.without_login(document, desired.name)
        if desired.helper:
            document = logins.with_helper(document, desired.name, desired.key, "")
    elif helper:
        shared = helper == document.get("credsStore")
        document = logins.without_login(document, desired.name, desired.key if shared else "")
        if desired.helper and desired.helper != observed.options["helper"]:
            document = logins.with_helper(document, desired.name, desired.key, desired.helper)
    else:
        document = logins.with_login(document, desired.name, desired.key, login.username, login.password)
    if helper:
        _keep(helper, desired.key, login, observed.login)
    try:
        if document != observed.document:
            logins.write(desired.path, document)
    except BaseException:
        if helper:
            _keep(helper, desired.key, observed.login, login)
        raise


def _keep(helper: str, server: str, login: Optional[credentials.Credential], before: Optional[credentials.Credential]) -> None:
    if login is not None and login != before:
        logins.store(helper, server, login, os.environ)
    elif login is None and before is not None:
        logins.erase(helper, server, os.environ)


def rehearse(_instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> None:
    """Ask the registry, too."""
    if desired.check:
        _check(desired)


def _check(desired: Desired) -> None:
    """Whether the registry takes the login.

    Raises:
        RegistryError, NotFound: It does not, or cannot be reached.
    """
    from ..registry import client  # pylint: disable=import-outside-toplevel
    host, _slash, path = desired.name.partition("/")
    with client.Session(desired.access) as session:
        session.repository(host, path).ping()


def report(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """Who the host is at the registry; never the password."""
    login = observed.login
    return {"registry": desired.name, "path": desired.path, "helper": observed.helper or None, "exists": login is not None,
            "username": login.username if login else None}
