# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for registries: requests that are authorised, tried again, redirected, and sent to mirrors.

Source: OCI distribution-spec 1.1.

    session = client.Session(access.Access(username=..., password=...))
    repository = session.repository("registry.example.com:5000", "team/app")
    found = repository.manifest("1.0")

Whatever else a registry can do (uploads, tags, referrers, deletion) is C(Repository.request) with another method and
path.
"""

from __future__ import annotations

import json
import random
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Collection, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, NotFound
from ..store import blobs
from . import authentication, configuration, credentials, endpoints, transport, urls
from .access import Access
from .endpoints import Endpoint
from .transport import Body, Response, Unreachable

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json")
ATTEMPTS = 6
"""How often a request is sent before it is given up."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds between two attempts; the pause doubles."""
LONGEST_WAIT = 120.0
"""The longest C(Retry-After) that is waited for, in seconds, over all attempts of one request."""
REDIRECTS = 5
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_ERROR = 64 << 10


class RegistryError(EngineError):
    """A registry refused, or could not be reached; names registry and repository.

    Attributes:
        status: The last answer's, or 0 where none came.
        code: The registry's own word for the error, such as C(DENIED) (distribution-spec, Error Codes), or empty.
    """

    def __init__(self, what: str, remedy: Optional[str] = None, status: int = 0, code: str = "", **facts: Any) -> None:
        super().__init__(what, remedy, **facts)
        self.status = status
        self.code = code


class Document(NamedTuple):
    """A manifest or an index as a registry holds it; C(content) are the very bytes that C(digest) is of."""

    media_type: str
    digest: str
    content: bytes


class Head(NamedTuple):
    """What a registry says of a manifest without sending it; C(size) is -1 where it does not tell."""

    media_type: str
    digest: str
    size: int


class Session:
    """All that one task says to registries: its connections, its tokens.

    Args:
        access: How the task wants registries to be spoken to.
        pause: Waits so many seconds.
    """

    def __init__(self, access: Optional[Access] = None, pause: Callable[[float], None] = time.sleep) -> None:
        self.access = access or Access()
        self.pause = pause
        self.pool = transport.Pool(self.access.timeout)
        self.configuration = configuration.configuration()
        self.requests = 0
        """How many requests were sent."""
        self._tokens: Dict[transport.Trust, authentication.Tokens] = {}
        self._lock = threading.Lock()

    def repository(self, host: str, path: str) -> "Repository":
        """A repository of a registry."""
        return Repository(self, host, path)

    def send(self, method: str, asked: urls.Url, headers: Mapping[str, str], body: Body,
             trust: transport.Trust) -> Response:
        """Send one request, counted."""
        with self._lock:
            self.requests += 1
        return self.pool.send(method, asked, headers, body, trust)

    def tokens(self, trust: transport.Trust) -> authentication.Tokens:
        """The tokens of this task; a token service is spoken to as its registry is."""
        with self._lock:
            if trust not in self._tokens:
                self._tokens[trust] = authentication.Tokens(
                    lambda method, asked, headers, body: self.send(method, asked, headers, body, trust))
            return self._tokens[trust]

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Repository:
    """A repository of a registry; safe for threads.

    Attributes:
        name: C(HOST/PATH), as errors tell it.
    """

    def __init__(self, session: Session, host: str, path: str) -> None:
        self.session = session
        self.host = host
        self.path = path
        self.name = "%s/%s" % (host, path) if path else host
        self._failed: Dict[Endpoint, float] = {}

    # Requests

    def request(self, method: str, path: str, headers: Optional[Mapping[str, str]] = None, body: Body = None,
                expect: Collection[int] = (200,), actions: str = "pull", what: str = "", mirrors: bool = False,
                also: Sequence[str] = (), by_digest: bool = False, again: bool = True) -> Response:
        """Send a request until it is answered as expected; its answer must be read or closed.

        Args:
            method: Such as C(GET).
            path: Below C(/v2/REPOSITORY/); or, with a slash in front, below the registry's root; or an absolute URL that
                this registry has given.
            body: Its length must be among the headers unless it is bytes.
            expect: The statuses that are an answer.
            actions: What the token must allow: C(pull), C(pull,push), C(delete); empty for nothing but who one is.
            what: What an error says was asked for, such as C(blob sha256:...).
            mirrors: Whether mirrors may answer.
            also: Further repositories to be pulled from with the same token, for mounts.
            by_digest: Whether what is asked for is named by digest.
            again: Whether to try again after a failure that may pass.

        Raises:
            NotFound: The answer was 404.
            RegistryError: Any other answer, or none.
        """
        what = what or "%s %s" % (method, path)
        ways = [way for way in endpoints.endpoints(self.session.access, self.host, self.path, by_digest,
                                                   self.session.configuration) if mirrors or not way.mirror]
        ways.sort(key=lambda way: self._failed.get(way, 0.0))  # those that failed come later; else in their order
        for number, way in enumerate(ways):
            last = number == len(ways) - 1
            try:
                return self._ask(way, method, path, headers or {}, body, expect, actions, what, also, again and last)
            except EngineError as error:
                if last or not isinstance(error, (RegistryError, NotFound)):
                    raise
                if not isinstance(error, NotFound):
                    self._failed[way] = time.monotonic()
        raise NotFound("%s: no registry is configured for it" % self.name, "Correct registries.conf")

    def _ask(self, way: Endpoint, method: str, path: str, headers: Mapping[str, str], body: Body,
             expect: Collection[int], actions: str, what: str, also: Sequence[str], again: bool) -> Response:
        """Ask one endpoint, as often as it makes sense."""
        target = path if "://" in path or path.startswith("/") else "/v2/%s/%s" % (way.path, path)
        asked = urls.url(target, way.base)
        wanted = [(way.path, actions), *((one, "pull") for one in also)] if actions else []
        scopes = tuple("repository:%s:%s" % each for each in wanted)
        waited = 0.0
        attempt = 0
        while True:
            attempt += 1
            more = again and attempt < ATTEMPTS
            try:
                answer = self._authorised(way, method, asked, headers, body, scopes)
            except Unreachable as error:
                if not more or attempt >= (error.attempts or ATTEMPTS):
                    raise self._failure(way, what, str(error.what), error.remedy)
                self.session.pause(pause_before(attempt))
                continue
            if answer.status in expect:
                return answer
            if more and answer.status in _AGAIN:
                pause = retry_after(answer.headers.get("retry-after", ""))
                pause = pause_before(attempt) if pause is None else pause
                waited += pause
                if waited <= LONGEST_WAIT:
                    answer.close()
                    self.session.pause(pause)
                    continue
            raise self._refusal(way, what, answer)

    def _authorised(self, way: Endpoint, method: str, asked: urls.Url, headers: Mapping[str, str], body: Body,
                    scopes: Tuple[str, ...]) -> Response:
        """Send a request, with what the registry wants to see, and follow where it points."""
        tokens = self.session.tokens(way.trust)
        own = asked.origin == way.base.origin
        for again in (True, False):
            value = tokens.header(way.base, scopes) if own else None
            sent = dict(headers, Authorization=value) if value else headers
            answer = self.session.send(method, asked, sent, body, way.trust if own else way.trust._replace(
                certificate="", key=""))
            challenge = answer.headers.get("www-authenticate", "")
            if answer.status != 401 or not again or not own or not challenge:
                break
            if value:
                tokens.forget(way.base, scopes, value)
            if not tokens.answer(way.base, scopes, challenge, self._credential(way)):
                break
            answer.close()
        return self._followed(way, method, answer, headers) if method in ("GET", "HEAD") else answer

    def _followed(self, way: Endpoint, method: str, answer: Response, headers: Mapping[str, str]) -> Response:
        """Follow redirects: without what was meant for the registry alone, and never from TLS to plain HTTP."""
        for _step in range(REDIRECTS):
            place = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or not place:
                return answer
            try:
                target = urls.url(place, answer.url)
            except ValueError:
                raise Unreachable("%s: it redirects to '%s', which is no http or https URL"
                                  % (answer.url.authority, place.partition("?")[0]), permanent=True)
            if answer.url.scheme == "https" and target.scheme == "http":
                raise Unreachable("%s: it redirects to %s, which does not use TLS"
                                  % (answer.url.authority, target.authority), permanent=True)
            answer.close()
            if target.origin == way.base.origin:
                return self._authorised(way, method, target, headers, None, ())
            trust = endpoints.trust_of(Access(validate_certs=way.trust.verify, ca_path=self.session.access.ca_path),
                                       target.authority)
            answer = self.session.send(method, target, headers, None, trust)
        answer.close()
        raise Unreachable("%s: it redirects more than %d times" % (answer.url.authority, REDIRECTS), permanent=True)

    def _credential(self, way: Endpoint) -> Optional[credentials.Credential]:
        access = self.session.access
        if access.username and way.own:
            return credentials.Credential(access.username, access.password)
        return credentials.find(way.host, way.path, access.auth_file)

    # Failures

    def _failure(self, way: Endpoint, what: str, why: str, remedy: Optional[str], status: int = 0,
                 code: str = "") -> RegistryError:
        place = "" if way.host == self.host and not way.mirror else " (at %s)" % way.base.authority
        return RegistryError("%s: %s%s: %s" % (self.name, what, place, why), remedy, status, code,
                             registry=self.host, repository=self.path)

    def _refusal(self, way: Endpoint, what: str, answer: Response) -> EngineError:
        """The error for an answer that was not expected."""
        status = answer.status
        try:
            code, said = _complaint(answer.read(_LONGEST_ERROR))
        except Unreachable:
            code, said = "", ""
        tail = ": " + said if said else ""
        if status == 404:
            return NotFound("%s: %s is not there%s" % (self.name, what, tail), "Check name and tag",
                            registry=self.host, repository=self.path)
        if status in (401, 403):
            login = self._credential(way)
            if login is None:
                remedy = "Give username and password, or log in on the host"
            else:
                remedy = "Check username and password, and what they may do"
            return self._failure(way, what, "the registry refuses access (status %d%s)" % (status, tail), remedy, status,
                                 code)
        return self._failure(way, what, "the registry answers with status %d%s" % (status, tail),
                             "Try again later" if status in _AGAIN else None, status, code)

    # What every client needs

    def ping(self) -> None:
        """Look whether there is a registry, and whether the login will do (distribution-spec, Determining Support)."""
        self.request("GET", "/v2/", what="API version 2", actions="").close()

    def head_manifest(self, reference: str, types: Sequence[str] = MANIFEST_TYPES) -> Optional[Head]:
        """What the registry says of a manifest, by tag or digest; C(None) where it has none. One request.

        Where it does not tell the digest (it should), the manifest is fetched.
        """
        try:
            answer = self._manifest_request("HEAD", reference, types)
        except NotFound:
            return None
        answer.close()
        digest = answer.headers.get("docker-content-digest", "")
        if not blobs.is_digest(digest):
            found = self.manifest(reference, types)
            return Head(found.media_type, found.digest, len(found.content))
        if blobs.is_digest(reference):
            digest = reference
        length = answer.headers.get("content-length", "")
        return Head(_plain_type(answer.headers), digest, int(length) if length.isdigit() else -1)

    def manifest(self, reference: str, types: Sequence[str] = MANIFEST_TYPES) -> Document:
        """A manifest or index by tag or digest, its digest verified.

        Raises:
            NotFound: There is none.
            RegistryError: It is not what its digest says, however often it is fetched.
        """
        for attempt in range(1, 4):
            answer = self._manifest_request("GET", reference, types)
            told = reference if blobs.is_digest(reference) else answer.headers.get("docker-content-digest", "")
            try:
                content = answer.read(blobs.DOCUMENT_LIMIT + 1)
            except Unreachable as error:
                problem, remedy = error.what, error.remedy
            else:
                if len(content) > blobs.DOCUMENT_LIMIT:
                    raise RegistryError("%s: manifest %s has more than %d bytes" % (self.name, reference,
                                                                                    blobs.DOCUMENT_LIMIT))
                found = blobs.of_bytes(content, told.partition(":")[0] if blobs.is_digest(told) else "sha256")
                if not blobs.is_digest(told) or found == told:
                    return Document(_plain_type(answer.headers), found, content)
                problem, remedy = "expected digest %s, found %s" % (told, found), "The registry or a proxy changes content"
            self.session.pause(pause_before(attempt))
        raise RegistryError("%s: manifest %s: %s" % (self.name, reference, problem), remedy,
                            registry=self.host, repository=self.path)

    def _manifest_request(self, method: str, reference: str, types: Sequence[str]) -> Response:
        return self.request(method, "manifests/" + reference, {"Accept": ", ".join(types)}, what="manifest " + reference,
                            mirrors=True, by_digest=blobs.is_digest(reference))

    def blob(self, digest: str, start: int = 0, mirrors: bool = True, urls: Sequence[str] = ()) -> Response:
        """Begin to read a blob; nothing is verified.

        Args:
            start: Bytes to leave out; whether the registry did so is what status (206) and C(Content-Range) say.
            urls: Where else it is to be had, if the registry does not have it (image-spec descriptor.md); by TLS, unless
                the registry itself is spoken to without, and without a login.
        """
        headers = {"Range": "bytes=%d-" % start} if start else {}
        places = [each for each in urls if each.startswith(("https://", "http://") if self.session.access.plain_http else "https://")]
        for path in ["blobs/" + digest, *places]:
            try:
                return self.request("GET", path, headers, expect=(200, 206), what="blob " + digest, mirrors=mirrors, by_digest=True)
            except NotFound as error:
                missing = error
        raise missing

    def blob_size(self, digest: str) -> Optional[int]:
        """A blob's length in bytes, -1 where the registry does not tell it, C(None) where it has no such blob."""
        try:
            answer = self.request("HEAD", "blobs/" + digest, what="blob " + digest, by_digest=True)
        except NotFound:
            return None
        answer.close()
        length = answer.headers.get("content-length", "")
        return int(length) if length.isdigit() else -1


def _plain_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip()


def pause_before(attempt: int) -> float:
    """Seconds before the next attempt: twice as long each time, spread so that many hosts do not come at once."""
    return float(min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0))


def retry_after(value: str) -> Optional[float]:
    """Seconds to wait by a C(Retry-After) header (RFC 9110, 10.2.3), or C(None) where it says nothing of use."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return None


def _complaint(content: bytes) -> Tuple[str, str]:
    """Code and text of an error document (distribution-spec, Error Codes)."""
    try:
        first: Any = json.loads(content)["errors"][0]
        code, message = str(first.get("code") or ""), str(first.get("message") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return code, " ".join(part for part in (code, message) if part)[:300]
