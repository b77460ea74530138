# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: C([HOST[:PORT]/]PATH[:TAG][@DIGEST]).

The grammar is that of the distribution reference (distribution/reference,
regexp.go, as Docker, containerd and Podman use it); a name without a host means
Docker Hub (or what F(/etc/coracle/registries.conf) says), and one without tag and digest means C(latest), as in Docker.
"""

from __future__ import annotations

import os
import re
from typing import Mapping, NamedTuple, Optional

DEFAULT_HOST = "docker.io"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
FORM = "[HOST[:PORT]/]PATH[:TAG][@DIGEST], such as alpine:3.20 or registry.example.com:5000/team/app:1.0"

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = r"(?:%s(?:\.%s)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?" % (_LABEL, _LABEL)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(r"^(?:(%s)/)?(%s(?:/%s)*)\Z" % (_HOST, _PART, _PART))
_TAG = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_IDENTITY = re.compile(r"^(?:sha256:)?([0-9a-f]{12,64})\Z")
_LONGEST = 255


class Reference(NamedTuple):
    """A name of an image, complete.

    Attributes:
        host: Of the registry, with port where one was given.
        path: The repository within the registry.
        tag: May be empty where there is a digest.
        digest: May be empty.
    """

    host: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """Host and path."""
        return "%s/%s" % (self.host, self.path)

    def __str__(self) -> str:
        return self.repository + (":" + self.tag if self.tag else "") + ("@" + self.digest if self.digest else "")

    @property
    def familiar(self) -> str:
        """As Docker shows it: without the default host and namespace."""
        text = str(self)
        for prefix in ("%s/%s/" % (DEFAULT_HOST, DEFAULT_NAMESPACE), DEFAULT_HOST + "/"):
            if text.startswith(prefix) and (prefix.count("/") == 2 or "/" in self.path):
                return text[len(prefix):]
        return text


class ShortNames(NamedTuple):
    """What names without a host mean.

    Attributes:
        registry: Stands in front of them, perhaps with the beginning of a path; empty for Docker Hub.
        aliases: Names of repositories by such a name, for those that are elsewhere.
    """

    registry: str = ""
    aliases: Mapping[str, str] = {}


def parse(text: str, short: Optional[ShortNames] = None) -> Reference:
    """The complete form of a name.

    Args:
        short: What it means without a host; Docker's reading by default.

    Raises:
        ValueError: It is none; the text says why.
    """
    if re.match(r"^[0-9a-f]{64}\Z", text):
        raise ValueError("is an image ID, not a name")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.match(digest):
        raise ValueError("has a digest that is not sha256: and 64 lower-case hexadecimal digits")
    tag = ""
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    if colon >= 0:
        rest, tag = rest[:colon], rest[colon + 1:]
        if not _TAG.match(tag):
            raise ValueError("has a tag with characters that a tag must not have, or longer than 128")
    first, slash_found, path = rest.partition("/")
    if slash_found and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        host = first
    elif short is not None and (rest in short.aliases or short.registry):
        return _elsewhere(rest, tag, digest, short)
    else:
        host, path = DEFAULT_HOST, rest
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = DEFAULT_HOST
    if not _NAME.match("%s/%s" % (host, path)):
        if path.lower() != path:
            raise ValueError("has upper-case letters in the repository")
        raise ValueError("is no name of an image")
    if host == DEFAULT_HOST and "/" not in path:
        path = "%s/%s" % (DEFAULT_NAMESPACE, path)
    if len(host) + 1 + len(path) > _LONGEST:
        raise ValueError("has a repository longer than %d characters" % _LONGEST)
    if not tag and not digest:
        tag = DEFAULT_TAG
    return Reference(host, path, tag, digest)


def _elsewhere(name: str, tag: str, digest: str, short: ShortNames) -> Reference:
    parse(name)  # with an error that names what was written
    try:
        found = parse(short.aliases.get(name) or "%s/%s" % (short.registry, name))
    except ValueError as error:
        raise ValueError("means a name that %s" % error)
    return found._replace(tag=tag or ("" if digest else found.tag), digest=digest)


def short_names() -> ShortNames:
    """What this host's own file says about names without a host."""
    from ..registry import configuration  # pylint: disable=import-outside-toplevel
    if not os.path.exists(configuration.OWN_CONFIGURATION):
        return ShortNames()
    found = configuration.configuration()
    return ShortNames(found.registry, found.aliases)


def normal(text: str) -> str:
    """The complete form as text, as this host reads it; for option tables."""
    return str(parse(str(text), short_names()))


def identity(text: str) -> str:
    """The hexadecimal digits of an image ID or its beginning (at least 12), or an empty text where it is none."""
    match = _IDENTITY.match(text)
    return match.group(1) if match else ""


def name_or_identity(value: object) -> str:
    """An image's name in its complete form, or an image ID as given; for option tables."""
    text = str(value)
    if text.startswith("sha256:") and identity(text):
        return text
    if re.match(r"^[0-9a-f]{64}\Z", text):
        return "sha256:" + text
    return normal(text)
