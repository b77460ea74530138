# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries.conf says, as other container tools on the host read it, and a file of our own in the same form.

Source: containers-registries.conf(5), version 2.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import Corrupt
from . import toml

CONFIGURATION = ("/etc/containers/registries.conf", "/etc/containers/registries.conf.d")
OWN_CONFIGURATION = "/etc/coracle/registries.conf"
"""Written in the same way, read besides, and the only file that says what short names mean."""


class Rule(NamedTuple):
    """A C([[registry]]) or C([[registry.mirror]]) of registries.conf.

    Attributes:
        prefix: What it is about: a host, a host with the beginning of a path, or C(*.) and the end of a host.
        location: What stands in its place.
        pulls: Of a mirror: C(all), C(digest-only) or C(tag-only).
    """

    prefix: str
    location: str
    insecure: bool
    blocked: bool
    mirrors: Tuple["Mirror", ...]


class Mirror(NamedTuple):
    """A mirror of a rule; C(pulls) is C(all), C(digest-only) or C(tag-only)."""

    location: str
    insecure: bool
    pulls: str


class Configuration(NamedTuple):
    """What the files say.

    Attributes:
        rules: By prefix.
        aliases: What single names without a registry mean.
        registry: The registry of all others, perhaps with the beginning of a path; empty for Docker Hub.
    """

    rules: Dict[str, Rule]
    aliases: Dict[str, str]
    registry: str


def configuration(environment: Optional[Mapping[str, str]] = None) -> Configuration:
    """What the host's files say; short names only by our own.

    Raises:
        Corrupt: One of them cannot be read.
    """
    environment = os.environ if environment is None else environment
    rules: Dict[str, Rule] = {}
    aliases: Dict[str, str] = {}
    registry = ""
    for path in _files(environment):
        value = _read(path)
        for entry in _tables(value.get("registry"), path):
            rule = _rule(entry, path)
            rules[rule.prefix] = rule
        if path == OWN_CONFIGURATION:
            aliases.update({str(key): str(each) for key, each in (value.get("aliases") or {}).items()})
            searched = value.get("unqualified-search-registries") or []
            if len(searched) > 1:
                raise Corrupt("file %s: unqualified-search-registries names %d registries, and a name must mean one image"
                              % (path, len(searched)), "Name one")
            registry = str(searched[0]) if searched else registry
    return Configuration(rules, aliases, registry)


def _files(environment: Mapping[str, str]) -> Iterator[str]:
    main, folder = CONFIGURATION
    yield environment.get("CONTAINERS_REGISTRIES_CONF") or main
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    for name in names:
        if name.endswith(".conf"):
            yield os.path.join(folder, name)
    yield OWN_CONFIGURATION


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            return toml.parse(stream.read(), path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError:
        raise Corrupt("file %s is no text" % path, "Correct it")


def _tables(value: Any, path: str) -> List[Dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Corrupt("file %s: it is not of version 2 of its format" % path, "Write [[registry]] with prefix and location")
    return value


def _rule(entry: Mapping[str, Any], path: str) -> Rule:
    prefix, location = str(entry.get("prefix") or ""), str(entry.get("location") or "")
    if not prefix and not location:
        raise Corrupt("file %s: a [[registry]] has neither prefix nor location" % path, "Correct it")
    only_digests = bool(entry.get("mirror-by-digest-only"))
    mirrors = tuple(Mirror(str(each.get("location") or ""), bool(each.get("insecure")),
                           "digest-only" if only_digests else str(each.get("pull-from-mirror") or "all"))
                    for each in _tables(entry.get("mirror"), path))
    return Rule(prefix or location, location or ("" if prefix.startswith("*.") else prefix), bool(entry.get("insecure")),
                bool(entry.get("blocked")), mirrors)


def rule_for(found: Configuration, repository: str) -> Optional[Rule]:
    """The rule with the longest prefix that fits a repository (C(HOST[:PORT]/PATH))."""
    host = repository.partition("/")[0]
    fitting = [rule for prefix, rule in found.rules.items()
               if repository == prefix or repository.startswith(prefix + "/")
               or (prefix.startswith("*.") and host.endswith(prefix[1:]))]
    return max(fitting, key=lambda rule: (not rule.prefix.startswith("*."), len(rule.prefix)), default=None)
