# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack's definition may say: the options of the collection's own modules, and what only a stack has."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Mapping, Set, Tuple

from .. import values
from ..checking import Checker, mapping, told
from ..engine.container import secrets
from ..engine.errors import EngineError
from ..engine.image import references
from ..engine.stack.kinds import CONDITIONS, Kinds, container_name
from ..option import HIDDEN, Option, differences
from . import container, network, volume
from .secrets import SECRETS

_DEPENDS_FORM = "a list of services, or a mapping of services to condition, restart and required"
_PARTS = ("name", "services", "networks", "volumes", "secrets", "configs")
_SAID_BY_THE_STACK = ("name", "state", "detach", "recreate", "force", "keep_volumes", "healthy_wait_timeout", "update_order")


def _dependencies(value: Any) -> Dict[str, Dict[str, Any]]:
    if isinstance(value, list):
        value = dict.fromkeys(map(str, value))
    if not isinstance(value, dict):
        raise ValueError("is neither a list nor a mapping")
    found = {}
    for name, row in value.items():
        row = {} if row is None else row
        if not isinstance(row, dict) or set(row) - {"condition", "restart", "required"}:
            raise ValueError("says of '%s' what it cannot" % name)
        condition = str(row.get("condition", "started"))
        condition = condition[len("service_"):] if condition.startswith("service_") else condition
        if condition not in CONDITIONS:
            raise ValueError("has for '%s' the condition '%s', which is none of %s" % (name, condition, ", ".join(CONDITIONS)))
        for key in ("restart", "required"):
            if not isinstance(row.get(key, True), bool):
                raise ValueError("has for '%s' a '%s' that is neither true nor false" % (name, key))
        found[str(name)] = {"condition": condition, "restart": row.get("restart", False), "required": row.get("required", True)}
    return found


def _ratio(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError("is not between 0 and 1")
    return number


UPDATE = (
    Option("order", choices=("auto", "stop_first", "start_first")),
    Option("parallelism", type="int", default=1, parse=values.integer(0, 10000), form="a number; 0 for all at once"),
    Option("delay", type="raw", default="0s", parse=values.duration, form="a duration such as 10s"),
    Option("failure_action", choices=("pause", "continue", "rollback"), default="pause"),
    Option("monitor", type="raw", default="0s", parse=values.duration, form="a duration such as 10s"),
    Option("max_failure_ratio", type="float", default=0.0, parse=_ratio, form="a part such as 0.2"),
)
"""How the containers of a service are replaced."""
BUILD = (
    Option("context", required=True),
    Option("dockerfile"),
    Option("dockerfile_inline"),
    Option("target"),
    Option("args", type="dict"),
    Option("labels", type="dict"),
    Option("network"),
    Option("no_cache", type="bool"),
    Option("pull", type="bool"),
    Option("platforms", type="list", elements="str"),
    Option("additional_contexts", type="dict"),
    Option("tags", type="list", elements="str", parse=references.normal, form=references.FORM),
    Option("shm_size", type="raw"),
    Option("extra_hosts", type="dict"),
    Option("secrets", type="list", elements="dict", options=(Option("source", required=True), Option("target"))),
)
"""How a service's image is made on the host."""
_MOUNTED = (
    Option("source", required=True),
    Option("target"),
    Option("uid", type="int", default=0, parse=values.integer(0, values.LAST_ID), form="a user id"),
    Option("gid", type="int", default=0, parse=values.integer(0, values.LAST_ID), form="a group id"),
    Option("mode", type="raw", default="0444", parse=values.octal, form="an octal mode such as '0440', in quotes"),
)
_OF_SERVICE = (
    Option("depends_on", type="raw", parse=_dependencies, form=_DEPENDS_FORM),
    Option("replicas", type="int", default=1, parse=values.integer(0, 1000), form="a number from 0 to 1000"),
    Option("container_name", parse=values.name, form="letters, digits, _, ., -"),
    Option("update", type="dict", options=UPDATE),
    Option("rollback", type="dict", options=UPDATE),
    Option("build", type="dict", options=BUILD),
    Option("one_shot", type="bool", default=False),
    SECRETS,
    Option("configs", type="list", elements="dict", options=_MOUNTED),
)
_SOURCE = (
    Option("content", no_log=True),
    Option("file", parse=values.absolute_path, form="an absolute path on the managed host"),
    Option("external", type="bool", default=False),
    Option("name", parse=values.name, form="letters, digits, _, ., -"),
)
_NETWORK = (
    *(row for row in network.OPTIONS if row.name not in ("name", "state", "force")),
    Option("external", type="bool", default=False),
    Option("name", parse=values.name, form="letters, digits, _, ., -"),
)
_VOLUME = (
    *volume.OF_VOLUME,
    Option("external", type="bool", default=False),
    Option("name", parse=values.name, form="letters, digits, _, ., -"),
)
SERVICE = tuple(row for row in container.OPTIONS if row.name not in ("depends_on", "secrets")) + _OF_SERVICE
"""All that a service can say."""
_FIRST = {name: row.name for row in SERVICE for name in (row.name, *row.aliases)}
_SPACES = tuple(name for name, first in _FIRST.items() if first in ("network_mode", "ipc_mode", "pid_mode"))


def read(definition: Mapping[str, Any], stack: str) -> Dict[str, Any]:
    """A definition as C(engine.stack.definition) takes it.

    Args:
        definition: As it was written.
        stack: The stack's name.

    Raises:
        EngineError: It has faults; all of them are told.
    """
    faults = []  # type: List[str]
    faults.extend("definition.%s: is no part of a stack; these are %s" % (each, ", ".join(_PARTS))
                  for each in definition if each not in _PARTS)
    service, nets, kept, source = Checker(SERVICE, _SAID_BY_THE_STACK), Checker(_NETWORK), Checker(_VOLUME), Checker(_SOURCE)
    found = {"name": stack, "services": {}}  # type: Dict[str, Any]
    given = dict(mapping(definition.get("services"), "definition.services", faults))
    for name, value in given.items():
        path = "definition.services.%s" % name
        _name(name, path, faults)
        row = service.check(_plain(stack, given, value, path, faults), path, faults)
        found["services"][name] = {option.name: row.pop(option.name) for option in _OF_SERVICE}
        found["services"][name].update(container=row, said=_said(value))
    for part, checker in (("networks", nets), ("volumes", kept), ("secrets", source), ("configs", source)):
        found[part] = {}
        for name, value in mapping(definition.get(part), "definition." + part, faults):
            path = "definition.%s.%s" % (part, name)
            _name(name, path, faults)
            found[part][name] = checker.check({} if value is None else value, path, faults)
    found["plain_network"] = nets.check({}, "", faults)
    if faults:
        raise EngineError("the definition of the stack '%s' has %d %s:\n%s\n" % (
            stack, len(faults), "fault" if len(faults) == 1 else "faults", told(faults)),
            "Nothing was changed. Correct them all, and run the task again", faults=faults)
    return found


def _name(name: str, path: str, faults: List[str]) -> None:
    try:
        values.name(name)
    except ValueError as error:
        faults.append("%s: %s" % (path, error))


def _plain(stack: str, services: Mapping[str, Any], value: Any, path: str, faults: List[str]) -> Any:
    """A service with the short forms written out: names of networks, and C(service:NAME) where a container is meant."""
    if not isinstance(value, Mapping):
        return value
    value = dict(value)
    for said in _SPACES:
        text = str(value.get(said) or "")
        if text.startswith("service:"):
            other = text.partition(":")[2]
            if other not in services:
                faults.append("%s.%s: there is no service '%s'" % (path, said, other))
            rows = services.get(other)
            value[said] = "container:" + container_name(stack, other, rows.get("container_name") if isinstance(rows, Mapping) else None, 1)
    _written_out(value, ("networks", "name"), ("secrets", "source"), ("configs", "source"))
    if isinstance(value.get("build"), Mapping):
        value["build"] = _written_out(dict(value["build"]), ("secrets", "source"))
    return value


def _written_out(value: Dict[str, Any], *parts: Tuple[str, str]) -> Dict[str, Any]:
    """A mapping whose lists have a mapping in the place of each name."""
    for part, key in parts:
        if isinstance(value.get(part), list):
            value[part] = [{key: each} if isinstance(each, str) else each for each in value[part]]
    return value


def _said(value: Any) -> List[str]:
    """The options that a service names, by their first names."""
    return [_FIRST.get(str(each), str(each)) for each in value] if isinstance(value, Mapping) else []


def hide(params: Mapping[str, Any]) -> Tuple[Dict[str, Any], Set[str]]:
    """The task's options as they may be shown: what is secret by its name, and the content of secrets, hidden; and these values."""
    found = set()  # type: Set[str]
    shown = {}
    for name, key in (("definition", ""), ("environment", "env")):
        value = params.get(name)  # not yet checked, where another option is at fault
        shown[name] = _hidden(value, key, found) if value is None or isinstance(value, Mapping) else _secret(value, found)
    return dict(params, **shown), found


def _hidden(value: Any, key: str, found: Set[str]) -> Any:
    if isinstance(value, Mapping):
        masked = secrets.mask({str(name): "" for name in value}) if key in ("env", "args", "driver_options", "registry") else {}
        return {name: _secret(each, found) if masked.get(str(name)) or name == "content" else _hidden(each, str(name), found)
                for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each, key, found) for each in value]
    return value


def _secret(value: Any, found: Set[str]) -> str:
    if len(str(value).strip()) >= 8:  # shorter ones would hide parts of what is none
        found.add(str(value).strip())
    return HIDDEN


KINDS = Kinds(
    read=read,
    container=partial(differences, container.OPTIONS),
    shared={"network": partial(differences, network.OPTIONS), "volume": partial(differences, volume.OPTIONS)},
    hide=hide,
    params={"network": lambda row: dict(row, state="present", force=False),
            "volume": lambda row: dict(row, state="present", force=False, backup=None, restore=None, recreate="never")},
)
"""What the engine needs of all this."""
