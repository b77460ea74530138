# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a blob from a registry to its end, however often the connection breaks.

Source: OCI distribution-spec 1.1, Pulling blobs; RFC 9110, 14 (ranges).
"""

from __future__ import annotations

import re
from typing import Callable, Iterator, Optional, Sequence

from ..store import blobs
from . import client
from .transport import Response, Unreachable

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)\Z")
_PROGRESS = 1 << 20
"""Bytes that must have come for the failures before not to count."""
Watch = Callable[[str, int], None]
"""Is told a blob's digest and how many of its bytes are there; may raise to stop."""


def chunks(repository: client.Repository, digest: str, size: int, part: blobs.Part, watch: Watch,
           mirrors: bool = True, urls: Sequence[str] = ()) -> Iterator[bytes]:
    """A blob's content: first what an earlier run has left in the part, then the rest, which is added to the part.

    What comes is not verified; the consumer sees all of it and does.

    Args:
        size: The blob's bytes, as its descriptor says.
        mirrors: Whether mirrors may send it.
        urls: As of C(Repository.blob).

    Raises:
        RegistryError, NotFound: It cannot be had; what has come stays in the part.
    """
    if part.size > size:
        part.restart()
    watch(digest, part.size)
    yield from part.read()
    failures = 0
    while part.size < size:
        before = part.size
        try:
            for chunk in _rest(repository.blob(digest, before, mirrors, urls), before, size):
                part.write(chunk)
                watch(digest, part.size)
                yield chunk
        except Unreachable as error:
            failures = 1 if part.size - before >= _PROGRESS else failures + 1
            if failures >= client.ATTEMPTS or error.permanent:
                raise client.RegistryError("%s: blob %s: %s" % (repository.name, digest, error.what),
                                           "%d of %d bytes are kept; run the task again" % (part.size, size),
                                           registry=repository.host, repository=repository.path)
            repository.session.pause(client.pause_before(failures))
    part.flush()


def small(repository: client.Repository, digest: str, size: int) -> bytes:
    """A small blob's content, verified.

    Raises:
        RegistryError, NotFound: It cannot be had, or is not what its digest says, however often it is fetched.
    """
    problem = "it has %d bytes, too many for a document" % size
    remedy: Optional[str] = None
    for attempt in range(1, 4 if size <= blobs.DOCUMENT_LIMIT else 1):
        answer = repository.blob(digest, mirrors=attempt == 1)
        try:
            content = answer.read(size + 1)
        except Unreachable as error:
            problem, remedy = error.what, error.remedy
        else:
            found = blobs.of_bytes(content, blobs.split(digest)[0])
            if found == digest:
                return content
            problem, remedy = "expected digest %s, found %s" % (digest, found), "The registry or a proxy changes content"
        repository.session.pause(client.pause_before(attempt))
    raise client.RegistryError("%s: blob %s: %s" % (repository.name, digest, problem), remedy,
                               registry=repository.host, repository=repository.path)


def _rest(answer: Response, start: int, size: int) -> Iterator[bytes]:
    """The body from C(start) on, whether the server heeds the range or not; never more than there may be."""
    at = 0
    if answer.status == 206:
        match = _RANGE.match(answer.headers.get("content-range", ""))
        if not match or int(match.group(1)) != start or match.group(2) not in ("*", str(size)):
            answer.close()
            raise Unreachable("%s: it answers another range than asked for: %s"
                              % (answer.url.authority, answer.headers.get("content-range", "")[:60]), permanent=True)
        at = start
    elif answer.length is not None and answer.length != size:
        answer.close()
        raise Unreachable("%s: it offers %d bytes, the descriptor says %d" % (answer.url.authority, answer.length, size))
    for chunk in answer.chunks():
        if at + len(chunk) > size:
            answer.close()
            raise Unreachable("%s: it sends more than the %d bytes that the descriptor says"
                              % (answer.url.authority, size))
        if at + len(chunk) > start:
            yield chunk[start - at:] if at < start else chunk
        at += len(chunk)
    if at < size:
        raise Unreachable("%s: the answer ends %d bytes too early" % (answer.url.authority, size - at))
