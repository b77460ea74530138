# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answering a registry's challenge: Basic, or a bearer token from its token service.

Sources: RFC 9110, 11.6.1; distribution, docs/spec/auth/token.md and oauth.md.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlencode

from . import transport, urls
from .credentials import Credential

_LIFE = 60.0
"""Seconds that a token is good for where the service does not say (token.md)."""
_LONGEST = 1 << 20


class Challenge(NamedTuple):
    """What a server wants to see.

    Attributes:
        scheme: In lower case.
        parameters: By lower-case name.
    """

    scheme: str
    parameters: Dict[str, str]


def challenges(header: str) -> List[Challenge]:
    """The challenges of a C(WWW-Authenticate) header; what cannot be read is left out."""
    found: List[Challenge] = []
    at = 0
    while at < len(header):
        while at < len(header) and header[at] in " \t,":
            at += 1
        start = at
        while at < len(header) and header[at] not in " \t,=":
            at += 1
        word = header[start:at]
        if at < len(header) and header[at] == "=":
            value, at = _value(header, at + 1)
            if found:
                found[-1].parameters[word.lower()] = value
        elif word:
            found.append(Challenge(word.lower(), {}))
        elif at == start:
            at += 1
    return found


def _value(text: str, at: int) -> Tuple[str, int]:
    if at < len(text) and text[at] == '"':
        out = []
        at += 1
        while at < len(text) and text[at] != '"':
            if text[at] == "\\":
                at += 1
            out.append(text[at:at + 1])
            at += 1
        return "".join(out), at + 1
    start = at
    while at < len(text) and text[at] not in " \t,":
        at += 1
    return text[start:at], at


class Tokens:
    """Authorization headers, kept while they are good; safe for threads.

    Args:
        send: Sends one request to a token service.
    """

    def __init__(self, send: Callable[..., transport.Response]) -> None:
        self._send = send
        self._kept: Dict[Tuple[urls.Url, Tuple[str, ...]], Tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, base: urls.Url, scopes: Tuple[str, ...]) -> Optional[str]:
        """What to send, or C(None) where nothing good is known."""
        with self._lock:
            value, until = self._kept.get((base, scopes)) or self._kept.get((base, ())) or (None, 0.0)
            return value if value and time.monotonic() < until else None

    def forget(self, base: urls.Url, scopes: Tuple[str, ...], value: str) -> None:
        """Drop what the registry has refused."""
        with self._lock:
            for key in ((base, scopes), (base, ())):
                if key in self._kept and self._kept[key][0] == value:
                    del self._kept[key]

    def answer(self, base: urls.Url, scopes: Tuple[str, ...], header: str, credential: Optional[Credential]) -> bool:
        """Answer a challenge; says whether there is now something to send.

        Raises:
            Unreachable: The token service does not answer, or refuses.
        """
        offered = {each.scheme: each.parameters for each in challenges(header)}
        if "bearer" in offered:
            if credential is not None and credential.bearer:
                self._keep(base, (), "Bearer " + credential.bearer, 1e9)
                return True
            asked = offered["bearer"]
            wanted = scopes or ((asked["scope"],) if asked.get("scope") else ())
            value, life = self._fetch(base, asked, wanted, credential)
            self._keep(base, scopes, "Bearer " + value, life)
            return True
        if "basic" in offered and credential is not None and credential.username:
            self._keep(base, (), urls.basic(credential.username, credential.password), 1e9)
            return True
        return False

    def _keep(self, base: urls.Url, scopes: Tuple[str, ...], value: str, life: float) -> None:
        with self._lock:
            self._kept[base, scopes] = (value, time.monotonic() + life)

    def _fetch(self, base: urls.Url, asked: Dict[str, str], scopes: Tuple[str, ...],
               credential: Optional[Credential]) -> Tuple[str, float]:
        try:
            realm = urls.url(asked.get("realm", ""))
        except ValueError:
            raise transport.Unreachable("%s: it names no token service" % base.authority, permanent=True)
        if realm.scheme == "http" and base.scheme != "http":
            raise transport.Unreachable("%s: its token service %s does not use TLS" % (base.authority, realm.authority),
                                        "Nothing was sent there; correct the registry's configuration", permanent=True)
        fields = [("service", asked["service"])] if asked.get("service") else []
        if credential is not None and credential.identity:
            form = [*fields, ("grant_type", "refresh_token"), ("refresh_token", credential.identity),
                    ("client_id", transport.AGENT), ("scope", " ".join(scopes))]
            answer = self._send("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"},
                                urlencode(form).encode())
        else:
            headers = {}
            if credential is not None and credential.username:
                headers["Authorization"] = urls.basic(credential.username, credential.password)
                fields.append(("account", credential.username))
            fields += [("scope", each) for each in scopes]
            query = urlencode(fields, quote_via=quote, safe=":/,")
            target = realm.target + ("&" if "?" in realm.target else "?") + query if query else realm.target
            answer = self._send("GET", realm._replace(target=target), headers, None)
        content = answer.read(_LONGEST)
        if answer.status != 200:
            whom = "the login of '%s'" % credential.username if credential is not None and credential.username \
                else "the stored login" if credential is not None else "a request without login"
            raise transport.Unreachable("%s: its token service %s refuses %s (status %d)"
                                        % (base.authority, realm.authority, whom, answer.status),
                                        "Check username and password", permanent=answer.status in (400, 401, 403, 404))
        try:
            value = json.loads(content)
            token = value.get("token") or value.get("access_token")
            life = float(value.get("expires_in") or _LIFE)
        except (ValueError, AttributeError, TypeError):
            token = None
        if not token or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise transport.Unreachable("%s: its token service %s answers no token" % (base.authority, realm.authority))
        return token, max(life - 10, life / 2)
