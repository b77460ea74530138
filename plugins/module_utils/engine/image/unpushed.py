# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_image) with C(state=unpushed): no such name at the registry any more.

Source: OCI distribution-spec 1.1, Deleting tags, Deleting manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ..errors import InvalidValue
from ..instance import Instance
from ..plan import Change, Difference, Plan
from ..registry.access import Access, access_of
from ..store import blobs
from . import references

if TYPE_CHECKING:
    from ..registry import client


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        name: The complete name at the registry; with a digest and no tag, the manifest itself with all its tags.
        digest: What the name must lead to, or empty.
        options: Nothing is compared by table.
    """

    state: str
    name: references.Reference
    digest: str
    access: Access
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What is: the digest that the name has at the registry, or C(None) where it has none."""

    remote: Optional[str]
    options: Dict[str, Any]


def resolve(_instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Take the name apart; the store need not have such an image."""
    place = params["destination"] or params["name"]
    if references.identity(place):
        raise InvalidValue("name", place, "is an image ID, which is no name at a registry", "Give the name that it has there")
    name = references.parse(place)
    return Desired(params["state"], name, name.digest or params["digest"] or "", access_of(params), {})


def observe(_instance: Instance, desired: Desired) -> Observed:
    """Ask for the manifest's digest: one request.

    Raises:
        Corrupt: The name leads to another digest than was asked for.
    """
    with _session(desired) as session:
        repository = _repository(session, desired)
        head = repository.head_manifest(desired.name.tag or desired.name.digest)
    if head is not None and desired.digest not in ("", head.digest):
        raise blobs.mismatch("%s: manifest %s" % (repository.name, desired.name.tag), desired.digest, head.digest)
    return Observed(None if head is None else head.digest, {})


def _session(desired: Desired) -> client.Session:
    from ..registry import client  # pylint: disable=import-outside-toplevel,redefined-outer-name
    return client.Session(desired.access)


def _repository(session: client.Session, desired: Desired) -> client.Repository:
    return session.repository(desired.name.host, desired.name.path)


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """One step, if any."""
    if observed.remote is None:
        return ()
    return (Change("unpush", str(desired.name), differences=(Difference("digest", observed.remote, None),)),)


def apply(_instance: Instance, desired: Desired, observed: Observed, _steps: Plan) -> None:
    """Delete the tag, or the manifest.

    Raises:
        RegistryError: The registry does not let it be deleted.
    """
    from ..registry import upload  # pylint: disable=import-outside-toplevel
    with _session(desired) as session:
        repository = _repository(session, desired)
        if desired.name.tag:
            upload.delete_tag(repository, desired.name.tag)
        else:
            upload.delete(repository, str(observed.remote))


def report(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """Whether the registry has the name, and what it leads to there."""
    return {"exists": observed.remote is not None, "pushed": {"name": str(desired.name), "digest": observed.remote}}
