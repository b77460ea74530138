# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service says in the words of C(container_run)."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.coracle.containers.plugins.module_utils import option
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.options import container
from .findings import Findings, Place, Wrong
from .leaves import Located
from .project import Project
from .service_keys import SERVICE

_SETS: Tuple[Tuple[Tuple[str, ...], str], ...] = tuple(
    (tuple(row.path.split(".")[2:]), row.sets) for row in SERVICE if row.sets)
_OPTIONS: Mapping[str, option.Option] = {row.name: row for row in container.OPTIONS}
_MAY_BE_EMPTY = ("command", "entrypoint")


class Setting(NamedTuple):
    """What all services of a project share.

    Attributes:
        project: The project.
        folder: Where the project's folder lies on the managed host.
        services: What all enabled services say, by name.
        findings: Gets what is wrong.
        mount_options: What C(container_run) takes of a mount.
    """

    project: Project
    folder: str
    services: Mapping[str, Dict[str, Any]]
    findings: Findings
    mount_options: Sequence[str] = ()

    def on_host(self, path: Located) -> str:
        """The path on the managed host of what is written in a file of the project."""
        if path.startswith("~"):
            raise Wrong("%r begins in a home folder, and whose is not known; write an absolute path" % str(path))
        if os.path.isabs(path):
            return os.path.normpath(path)
        there = os.path.join(path.place.source.directory, path)
        return os.path.normpath(os.path.join(self.folder, os.path.relpath(there, self.project.directory)))


class Service:
    """A service on its way from one language to the other."""

    def __init__(self, setting: Setting, name: str) -> None:
        self.name = name
        self.setting = setting
        self.said = setting.services[name]
        self.path = "services." + name
        self.findings = setting.findings
        self.found: Dict[str, Any] = {}
        self._from: Dict[str, str] = {}

    # how faults are told

    def at(self, path: str) -> Optional[Place]:
        """Where a key below the service stands."""
        return self.findings.at("%s.%s" % (self.path, path))

    def wrong(self, path: str, text: str) -> None:
        """A fault of a key."""
        self.findings.wrong(self.at(path), "%s.%s" % (self.path, path), text)

    def unsupported(self, path: str, text: str) -> None:
        """A key whose value cannot be had."""
        self.findings.unsupported(self.at(path), "%s.%s" % (self.path, path), text)

    def put(self, name: str, value: Any, path: str) -> None:
        """An option, and the key that it comes from."""
        self.found[name] = value
        self._from[name] = path

    # the steps

    def translate(self, steps: Sequence[Callable[["Service"], None]]) -> Dict[str, Any]:
        """The service as the stack takes it, after the steps that are more than one key for one option."""
        self._simple()
        for step in steps:
            step(self)
        self._check()
        return {name: value for name, value in sorted(self.found.items()) if value not in (None, [], {}) or name in _MAY_BE_EMPTY}

    def _simple(self) -> None:
        """The keys that are an option each; two of them may be the same one."""
        for keys, name in _SETS:
            value: Any = self.said
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
                if value is None:
                    break
            else:
                if value == "":  # of a variable that is not set: as if the key were not there
                    continue
                path = ".".join(keys)
                if name in self.found and self.found[name] != value:
                    self.wrong(path, "contradicts %s, which says %s (%s)" % (self._from[name], self.found[name], self.at(self._from[name])))
                self.put(name, value, path)

    def _check(self) -> None:
        """Every value by the row of its option, as the module would on the host."""
        for name, value in self.found.items():
            row = _OPTIONS.get(name)
            if row is None or row.parse is None and not row.choices and not row.options or name == "networks":
                continue
            if isinstance(value, str) and value.startswith("service:"):
                continue  # a container that only the stack can name
            try:
                if row.choices and value not in row.choices:
                    raise InvalidValue(name, value, "is none of these", "Write one of " + ", ".join(row.choices))
                option.parse((row,), {name: _filled(row, value)})
            except InvalidValue as error:
                text = str(error)
                self.wrong(self._from.get(name, ""), text[0].lower() + text[1:])


def _filled(row: option.Option, value: Any) -> Any:
    """A value with the suboptions that it does not say."""
    if row.options and isinstance(value, dict):
        return {each.name: value.get(each.name) for each in row.options}
    if row.options and isinstance(value, list):
        return [{each.name: entry.get(each.name, each.default) for each in row.options} for entry in value]
    return value
