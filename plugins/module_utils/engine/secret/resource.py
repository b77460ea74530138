# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_secret): a secret in memory, and those who have been given it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..container import records, renewing, secret_files, status
from ..errors import Conflict, InvalidValue, NotFound
from ..instance import Instance
from ..kernel import paths
from ..plan import LIVE, RESTART, Change, Difference, Plan
from ..store import locks

GIVEN = "CORACLE_SECRET"
"""Environment variable that tells where the controller has put a secret that was not to be among the options."""


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        content: The secret; C(None) where it is to go.
        options: For the comparison: its fingerprint.
    """

    name: str
    state: str
    force: bool
    content: Optional[bytes]
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is there.

    Attributes:
        there: Whether there is a secret of this name.
        users: The containers that are to have it.
        stale: Those of them that run and were given another content, by name, and what each is to get: C(restart) or C(renew).
        names: All secrets.
    """

    there: bool
    users: Tuple[str, ...]
    stale: Dict[str, str]
    names: Tuple[str, ...]
    options: Dict[str, Any]


def key(params: Mapping[str, Any]) -> str:
    """The secret's name."""
    return str(params["name"])


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Read the secret from where it is. Changes nothing.

    Raises:
        InvalidValue, NotFound: There is none, or too much of it; what it is is never said.
    """
    content = None
    if params["state"] == "present":
        content = _content(params)
        if len(content) > secret_files.MOST:
            raise InvalidValue("path" if params["path"] else "data", "%d bytes" % len(content), "are too many for a secret",
                               "Give at most %d bytes" % secret_files.MOST)
    elif params["path"] is not None or params["data"] is not None:
        raise InvalidValue("state", "absent", "needs neither 'data' nor 'path'", "Leave them out")
    return Desired(params["name"], params["state"], params["force"], content, {"data": secret_files.fingerprint(instance, content)})


def _content(params: Mapping[str, Any]) -> bytes:
    path = os.environ.get(GIVEN)
    if path:
        with open(path, "rb") as stream:
            said = stream.read()
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    elif params["path"] is not None:
        return _file(params["path"])
    elif params["data"] is not None:
        said = str(params["data"]).encode("utf-8", "surrogateescape")
    else:
        raise InvalidValue("data", None, "is missing: a secret has a content", "Say it with 'data', or name a file with 'path'")
    if not params["data_is_b64"]:
        return said
    import base64  # pylint: disable=import-outside-toplevel
    try:
        return base64.b64decode(b"".join(said.split()), validate=True)
    except ValueError:
        raise InvalidValue("data_is_b64", True, "needs 'data' in Base64, which it is not", "Encode it, or leave it out") from None


def _file(path: str) -> bytes:
    root = paths.Seen("/")
    try:
        return root.read(path, secret_files.MOST + 1)
    except Exception as error:
        raise NotFound("option 'path': the file %s cannot be read: %s" % (path, error), "Name a file of the managed host",
                       option="path") from None
    finally:
        root.close()


def observe(instance: Instance, desired: Desired) -> Observed:
    """What there is, and who has it."""
    now = secret_files.fingerprint(instance, secret_files.read(instance, desired.name))
    wanted = desired.options["data"]
    users, stale = [], {}
    for name in records.listed(instance):
        record = records.read(instance, name)
        rows = [row for row in (record.options.get("secrets") if record else None) or () if row["source"] == desired.name]
        if record is None or not rows:
            continue
        users.append(record.shown)
        live = records.read_live(instance, name)
        if wanted is not None and status.status(instance, name, record, live) in (status.RUNNING, status.PAUSED) \
                and secret_files.given(instance, name).get(desired.name) != wanted:
            stale[record.shown] = "restart" if rows[0]["on_change"] == secret_files.RESTART else "renew"
    return Observed(now is not None, tuple(users), stale, tuple(secret_files.names(instance)), {"data": now})


def plan(desired: Desired, observed: Observed, differences: Tuple[Difference, ...]) -> Plan:
    """Keep or forget it, then see to those who have it.

    Raises:
        Conflict: A container needs what is to go.
    """
    if desired.state == "absent":
        if observed.there and observed.users and not desired.force:
            raise Conflict("the secret '%s' is needed by %s" % (desired.name, ", ".join(observed.users)),
                           "Remove these containers first, or say 'force: true': they go on, and cannot be started again",
                           containers=list(observed.users))
        return (Change("remove", desired.name),) if observed.there else ()
    steps: List[Change] = [Change("update" if observed.there else "create", desired.name, LIVE, differences)] if differences else []
    return (*steps, *(Change(action, "container " + name, RESTART if action == "restart" else LIVE)
                      for name, action in observed.stale.items()))


def apply(instance: Instance, desired: Desired, observed: Observed, steps: Plan) -> None:
    """Do it; each container by itself, with its lock."""
    for step in steps:
        if step.action == "remove":
            secret_files.remove(instance, desired.name)
        elif step.action in ("create", "update") and desired.content is not None:
            secret_files.write(instance, desired.name, desired.content)
    for shown in observed.stale:
        with locks.held(instance, "container", shown):
            renewing.bring(instance, records.current(instance, shown))


def report(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """All but what it is."""
    return {"name": desired.name, "exists": observed.there, "containers": list(observed.users), "names": list(observed.names)}
