# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a repository is to be had: the registry itself, its mirrors, and how each is spoken to.

Sources: containers-registries.conf(5), version 2; containers-certs.d(5); docs.docker.com, Use certificates.
"""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional

from ..errors import Conflict, Corrupt
from . import transport, urls
from .access import Access
from .configuration import CONFIGURATION, Configuration, configuration, rule_for

CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")
_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"


class Endpoint(NamedTuple):
    """One place that a repository can be had from.

    Attributes:
        base: The server's root.
        path: Of the repository there.
        trust: For TLS.
        host: As logins name it.
        mirror: Whether it stands in for another.
        own: Whether what the task says about access is meant for it.
    """

    base: urls.Url
    path: str
    trust: transport.Trust
    host: str
    mirror: bool = False
    own: bool = True


def endpoints(access: Access, host: str, path: str, by_digest: bool = False,
              found: Optional[Configuration] = None) -> List[Endpoint]:
    """Where to ask for a repository: its mirrors, then the registry itself.

    Args:
        by_digest: Whether what is asked for is named by digest, which some mirrors are only for.

    Raises:
        Conflict: The host's configuration blocks the registry.
    """
    found = configuration() if found is None else found
    name = "%s/%s" % (host, path)
    rule = rule_for(found, name)
    if rule is None:
        return _ways(access, host, path, access.plain_http, False, False)
    if rule.blocked:
        raise Conflict("registry %s is blocked by this host's registries.conf (%s)" % (host, rule.prefix),
                       "Use another registry, or correct %s" % CONFIGURATION[0])
    ways: List[Endpoint] = []
    rest = name[len(rule.prefix):] if not rule.prefix.startswith("*.") else "/" + path
    for mirror in rule.mirrors:
        if mirror.location and mirror.pulls in ("all", "digest-only" if by_digest else "tag-only"):
            ways += _located(Access(auth_file=access.auth_file, timeout=access.timeout), mirror.location + rest,
                             mirror.insecure, True)
    if rule.location and rule.location != rule.prefix:
        location = rule.location + rest
        return ways + _located(access._replace(username="", password=""), location, rule.insecure, False)
    return ways + _ways(access, host, path, access.plain_http, rule.insecure, False)


def _located(access: Access, location: str, insecure: bool, mirror: bool) -> List[Endpoint]:
    """The ways to another place than the one named; what the task's login is for is not there."""
    host, _slash, path = location.partition("/")
    return [way._replace(own=False) for way in _ways(access, host, path, access.plain_http, insecure, mirror)]


def _ways(access: Access, host: str, path: str, plain: bool, insecure: bool, mirror: bool) -> List[Endpoint]:
    """How to reach a host: by TLS; if the configuration calls it insecure, unverified, and then without TLS."""
    server = _HUB_HOST if host == _HUB else host
    trust = trust_of(access, server)
    if insecure:
        trust = trust._replace(verify=False)
    ways = []
    for scheme in ["http"] if plain else ["https", "http"] if insecure else ["https"]:
        try:
            base = urls.url("%s://%s/" % (scheme, server))
        except ValueError:
            raise Corrupt("'%s' is no host with an optional port" % host, "Correct the name or registries.conf")
        ways.append(Endpoint(base, path, trust, host, mirror))
    return ways


def trust_of(access: Access, server: str) -> transport.Trust:
    """How a server (C(HOST[:PORT])) is spoken to by TLS: as the task says, with the certificates kept for it."""
    authorities = [access.ca_path] if access.ca_path else []
    certificate, key = access.client_cert, access.client_key
    home = os.environ.get("HOME") or ""
    folders = [*CERTIFICATES, *([os.path.join(home, ".config/containers/certs.d")] if home else [])]
    for folder in folders:
        place = os.path.join(folder, server)
        try:
            names = sorted(os.listdir(place))
        except OSError:
            continue
        authorities += [os.path.join(place, name) for name in names if name.endswith(".crt")]
        for name in names:
            if not certificate and name.endswith(".cert") and name[:-5] + ".key" in names:
                certificate, key = os.path.join(place, name), os.path.join(place, name[:-5] + ".key")
    return transport.Trust(access.validate_certs, tuple(authorities), certificate, key)
