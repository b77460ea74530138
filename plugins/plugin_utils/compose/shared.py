# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What services share: networks, volumes, secrets and configs in the words of the collection's own modules."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.coracle.containers.plugins.module_utils import option
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.options import network
from .findings import Findings
from .project import Project
from .table import OTHERS

_DRIVERS = ("bridge", "macvlan", "ipvlan")
_VOLUME_DRIVERS = ("local", "tmpfs", "nfs", "cephfs", "glusterfs", "cifs")
_SETS = {part: tuple((row.path.split(".")[2], row.sets) for row in OTHERS if row.sets and row.path.startswith(part + "."))
         for part in ("networks", "volumes")}


def outside(said: Mapping[str, Any]) -> Tuple[bool, Optional[str]]:
    """Whether somebody else makes it, and what it says that it is called on the host."""
    external = said.get("external") or {}
    return bool(external.get("external", bool(external))), said.get("name") or external.get("name")


class Shared:
    """One of them on its way."""

    def __init__(self, part: str, key: str, said: Mapping[str, Any], project: Project, findings: Findings) -> None:
        self.path = "%s.%s" % (part, key)
        self.said = said
        self.project = project
        self.findings = findings
        self.external, name = outside(said)
        self.found: Dict[str, Any] = {"external": self.external, "name": name or (key if self.external else "%s_%s" % (project.name, key))}
        if self.external:
            for each in sorted(set(said) - {"external", "name"}):
                self.wrong(each, "does not go with 'external', since somebody else makes it")

    def wrong(self, key: str, text: str) -> None:
        """A fault of a key."""
        path = "%s.%s" % (self.path, key) if key else self.path
        self.findings.wrong(self.findings.at(path), path, text)

    def unsupported(self, key: str, text: str) -> None:
        """A value that cannot be had."""
        path = "%s.%s" % (self.path, key)
        self.findings.unsupported(self.findings.at(path), path, text)

    def simple(self, part: str) -> None:
        """The keys that are an option each."""
        for key, name in _SETS[part]:
            if key in self.said:
                self.found[name] = self.said[key]

    def check(self, rows: Sequence[option.Option]) -> None:
        """What was found, by the rows of the options."""
        for row in rows:
            value = self.found.get(row.name)
            if value is None or row.parse is None and not row.options:
                continue
            if row.options and isinstance(value, list):
                value = [{each.name: entry.get(each.name) for each in row.options} for entry in value]
            try:
                option.parse((row,), {row.name: value})
            except InvalidValue as error:
                self.wrong("", str(error))


def a_network(shared: Shared) -> Dict[str, Any]:
    """A network as C(container_network) has it."""
    said = shared.said
    shared.simple("networks")
    driver = said.get("driver")
    if driver in _DRIVERS:
        shared.found["driver"] = driver
    elif driver not in (None, "", "default"):
        shared.unsupported("driver", "'%s' is none of %s" % (driver, ", ".join(_DRIVERS)))
    if said.get("enable_ipv4") is False:
        shared.unsupported("enable_ipv4", "a network without IPv4 is not there")
    ipam = said.get("ipam", {})
    if ipam.get("driver") not in (None, "", "default"):
        shared.unsupported("ipam.driver", "'%s' is not 'default'" % ipam["driver"])
    subnets = []
    for row in ipam.get("config", ()):
        if row.get("subnet"):
            subnets.append(row)
        elif row:
            shared.wrong("ipam.config", "has an entry without a subnet")
    if subnets:
        shared.found["subnets"] = subnets
    shared.check([row for row in network.OPTIONS if row.name != "name"])
    return shared.found


def a_volume(shared: Shared) -> Dict[str, Any]:
    """A volume as C(container_volume) has it."""
    shared.simple("volumes")
    driver = shared.said.get("driver")
    if driver == "default":
        return shared.found
    if driver and driver not in _VOLUME_DRIVERS:
        shared.unsupported("driver", "'%s' is none of %s" % (driver, ", ".join(_VOLUME_DRIVERS)))
    elif driver and driver != "local":
        shared.found["driver"] = driver
    return shared.found


def a_content(shared: Shared) -> Dict[str, Any]:
    """A secret or config, its content read here."""
    said = shared.said
    given = [key for key in ("file", "environment", "content") if key in said]
    if shared.external:
        return shared.found
    if len(given) != 1:
        shared.wrong("", "needs one of file, environment, content and external" if not given else
                     "says its content twice: %s" % ", ".join(given))
        return shared.found
    text: Optional[str] = None
    if given == ["content"]:
        text = said["content"]
    elif given == ["environment"]:
        place = shared.findings.at(shared.path + ".environment")
        text = (place.source if place else shared.project).variables.get(said["environment"])
        if text is None:
            shared.wrong("environment", "needs the variable '%s', which is not set" % said["environment"])
    else:
        text = _content(shared, said["file"])
    if text is not None:
        shared.found["content"] = text
    return shared.found


def _content(shared: Shared, path: str) -> Optional[str]:
    try:
        return shared.project.read(path).decode("utf-8")
    except OSError as error:
        shared.wrong("file", "'%s' cannot be read on the controller: %s" % (path, error.strerror))
    except UnicodeDecodeError:
        shared.unsupported("file", "'%s' is no text in UTF-8" % path)
    return None


def circle(needs: Mapping[str, Sequence[str]]) -> List[str]:
    """Services that need one another in a circle, the first of them again at the end; none if there is no circle."""
    done: Dict[str, bool] = {}
    for start in needs:
        stack: List[Tuple[str, int]] = [(start, 0)]
        way = [start]
        while stack:
            name, at = stack.pop()
            if at == 0 and done.get(name):
                way.pop()
                continue
            if at < len(needs.get(name, ())):
                stack.append((name, at + 1))
                other = needs[name][at]
                if other in way:
                    return [*way[way.index(other):], other]
                way.append(other)
                stack.append((other, 0))
            else:
                done[name] = True
                way.pop()
    return []
