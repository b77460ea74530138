# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing content to a registry: asked for first, mounted from a neighbour, sent at once, or in chunks as it comes.

Source: OCI distribution-spec 1.1, Pushing blobs, Pushing manifests, Content Management.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Callable, Iterator, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, NotFound
from ..store import blobs, streams
from .client import RegistryError, Repository
from .transport import Response

ATTEMPTS = 4
"""How often an upload is begun anew, or a chunk sent again, before it is given up."""
CHUNK = 16 << 20
"""Bytes of a chunk, unless the registry wants more."""
_PUSH = "pull,push"


class Sent(NamedTuple):
    """What became of a blob: its digest, its bytes, and how many of them were sent."""

    digest: str
    size: int
    sent: int


def blob(repository: Repository, digest: str, size: int, content: Callable[[], Iterator[bytes]],
         neighbours: Sequence[str] = ()) -> Sent:
    """Let a registry have a blob whose digest is known.

    Args:
        content: Begins to read it.
        neighbours: Repositories of the same registry that may have it.

    Raises:
        RegistryError: The registry refuses, or breaks off too often; what it was sent is forgotten there.
    """
    if repository.blob_size(digest) is not None:
        return Sent(digest, size, 0)
    for other in neighbours:
        answer = repository.request("POST", "blobs/uploads/?mount=%s&from=%s" % (digest, other), expect=(201, 202),
                                    actions=_PUSH, also=(other,), what="upload of blob " + digest, body=b"")
        answer.close()
        if answer.status == 201:
            return Sent(digest, size, 0)
        _cancel(repository, _place(answer))
    for attempt in range(1, ATTEMPTS + 1):
        place = _begin(repository, digest)
        try:
            repository.request("PUT", _with_digest(place, digest),
                               {"Content-Type": "application/octet-stream", "Content-Length": str(size)}, content, (201,),
                               _PUSH, "upload of blob " + digest, again=False).close()
            return Sent(digest, size, size)
        except RegistryError as error:
            _cancel(repository, place)
            if attempt == ATTEMPTS or 400 <= error.status < 500 and error.status != 429:
                raise
            repository.session.pause(0.25 * 2 ** attempt)
    raise AssertionError("not reached")


def stream(repository: Repository, content: Iterator[bytes], what: str) -> Sent:
    """Let a registry have what shows its digest only in the end, in chunks; one that is lost on the way is sent again."""
    answer = repository.request("POST", "blobs/uploads/", expect=(202,), actions=_PUSH, what=what, body=b"")
    answer.close()
    least = answer.headers.get("oci-chunk-min-length", "")
    length = max(CHUNK, int(least) if least.isdigit() else 0)
    place, offset = _place(answer), 0
    found = hashlib.sha256()
    try:
        for chunk in streams.gathered(content, length):
            for part in chunk:
                found.update(part)
            size = sum(map(len, chunk))
            place = _chunk(repository, place, chunk, offset, size, what)
            offset += size
        digest = "sha256:" + found.hexdigest()
        _conclude(repository, place, digest, what)
    except BaseException:
        _cancel(repository, place)
        raise
    return Sent(digest, offset, offset)


def _conclude(repository: Repository, place: str, digest: str, what: str) -> None:
    """Give an upload its name, even where the answer is lost."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            repository.request("PUT", _with_digest(place, digest), {"Content-Type": "application/octet-stream"}, b"", (201,),
                               _PUSH, what, again=False).close()
            return
        except (RegistryError, NotFound) as error:
            status = error.status if isinstance(error, RegistryError) else 404
            if status in (401, 403) or repository.blob_size(digest) is None and (
                    attempt == ATTEMPTS or 400 <= status < 500 and status != 429):
                raise
            if repository.blob_size(digest) is not None:
                return
            repository.session.pause(0.25 * 2 ** attempt)


def _chunk(repository: Repository, place: str, chunk: Sequence[bytes], offset: int, size: int, what: str) -> str:
    """Send one chunk, which is in parts; returns where the next one goes."""
    headers = {"Content-Type": "application/octet-stream", "Content-Range": "%d-%d" % (offset, offset + size - 1),
               "Content-Length": str(size)}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = repository.request("PATCH", place, headers, lambda: iter(chunk), (202,), _PUSH, what, again=False)
            answer.close()
            return _place(answer, place)
        except RegistryError as error:
            if attempt == ATTEMPTS or 400 <= error.status < 500 and error.status not in (416, 429):
                raise
            repository.session.pause(0.25 * 2 ** attempt)
            place, there = _progress(repository, place, what)
            if there == offset + size:
                return place  # it had arrived, and only the answer was lost
            if there != offset:
                raise
    raise AssertionError("not reached")


def _progress(repository: Repository, place: str, what: str) -> Tuple[str, int]:
    """Where an upload goes on, and how many bytes of it have arrived."""
    answer = repository.request("GET", place, expect=(204,), actions=_PUSH, what=what)
    answer.close()
    last = answer.headers.get("range", "").rpartition("-")[2]
    return _place(answer, place), int(last) + 1 if last.isdigit() and int(last) else 0


def _begin(repository: Repository, digest: str) -> str:
    answer = repository.request("POST", "blobs/uploads/", expect=(202,), actions=_PUSH, what="upload of blob " + digest,
                                body=b"")
    answer.close()
    return _place(answer)


def _place(answer: Response, before: Optional[str] = None) -> str:
    """Where an upload goes on; relative or absolute, and all of it is to be kept."""
    from urllib.parse import urljoin  # pylint: disable=import-outside-toplevel
    place = answer.headers.get("location") or before
    if not place:
        raise RegistryError("%s: it does not say where the upload goes" % answer.url.authority, "Is this a registry?")
    return urljoin(str(answer.url), place)


def _with_digest(place: str, digest: str) -> str:
    return "%s%sdigest=%s" % (place, "&" if "?" in place else "?", digest)


def _cancel(repository: Repository, place: str) -> None:
    """Let the registry forget an upload; one that cannot, forgets it in its own time."""
    try:
        repository.request("DELETE", place, expect=(204, 404), actions=_PUSH, again=False).close()
    except EngineError:
        pass


def manifest(repository: Repository, reference: str, content: bytes, media_type: str) -> str:
    """Store a manifest under a tag or its digest; the blobs that it names must be there. Returns its digest.

    Raises:
        RegistryError: The registry refuses it, or says another digest.
    """
    answer = repository.request("PUT", "manifests/" + reference, {"Content-Type": media_type}, content, (201,), _PUSH,
                                "manifest " + reference)
    answer.close()
    digest = blobs.of_bytes(content)
    told = answer.headers.get("docker-content-digest", digest)
    if told != digest and told.startswith("sha256:"):
        raise RegistryError("%s: manifest %s: expected digest %s, found %s" % (repository.name, reference, digest, told),
                            "The registry or a proxy changes content")
    return digest


def delete_tag(repository: Repository, tag: str) -> bool:
    """Delete a tag and no other; says whether it was there.

    A registry that deletes manifests only is told that the tag means another manifest, which nothing else leads to and which
    is then deleted.

    Raises:
        RegistryError: The registry does not let anything be deleted; the tag is what it was.
    """
    try:
        return delete(repository, tag)
    except RegistryError as error:
        if error.status not in (400, 405):
            raise
    before = repository.manifest(tag)
    empty = b"{}"
    described = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": blobs.of_bytes(empty), "size": len(empty)}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    stand_in = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": [described],
                           "annotations": {"org.opencontainers.image.title": "deleted tag %s %s" % (tag, os.urandom(16).hex())}})
    digest = blobs.of_bytes(stand_in.encode())
    delete(repository, digest)  # refused before anything has changed, if nothing may be deleted
    blob(repository, blobs.of_bytes(empty), len(empty), lambda: iter([empty]))
    manifest(repository, tag, stand_in.encode(), media_type)
    try:
        return delete(repository, digest)
    except EngineError:
        manifest(repository, tag, before.content, before.media_type)
        raise


def delete(repository: Repository, reference: str) -> bool:
    """Delete a tag, or by its digest a manifest with all tags that lead to it; says whether it was there.

    Raises:
        RegistryError: The registry does not let it be deleted.
    """
    try:
        repository.request("DELETE", "manifests/" + reference, expect=(202,), actions="delete",
                           what="deletion of manifest " + reference).close()
    except NotFound:
        return False
    except RegistryError as error:
        if error.status == 405 and blobs.is_digest(reference):
            error.remedy = "Let manifests be deleted in the registry's configuration (storage.delete.enabled of docker-registry)"
        raise
    return True
