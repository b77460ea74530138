# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a project in the Compose specification's language, and writes it in ours."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.coracle.containers.plugins.module_utils.options import container
from . import running, shared, storage, wiring
from .document import Block, Items, Node, Scalar, is_null
from .findings import ComposeError, Findings
from .leaves import ABSENT, read as read_node
from .project import PARTS, Project, Request, load_project
from .services import Service, Setting
from .table import ROOT

STEPS = (*running.STEPS, *wiring.STEPS, *storage.STEPS)
_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")
_MOUNT_OPTIONS = tuple(each.name for row in container.OPTIONS if row.name == "mounts" for each in row.options or ())


class Reading(NamedTuple):
    """What a project says.

    Attributes:
        definition: As C(container_stack) takes it: plain values, always the same ones of the same files.
        warnings: What a person should know.
    """

    definition: Dict[str, Any]
    warnings: List[str]


def read(request: Request, profiles: Optional[Sequence[str]] = None, unsupported: str = "fail", folder: Optional[str] = None) -> Reading:
    """A project as a definition.

    Args:
        request: Which one.
        profiles: Those that are active; C(*) for all. By default those in the variable C(COMPOSE_PROFILES).
        unsupported: C(fail) or C(warn).
        folder: Where the project's folder lies on the managed host, for bind mounts and builds; by default where it lies here.

    Raises:
        ComposeError: It has faults; all of them are told, with file, line and path.
    """
    findings = Findings()
    project = load_project(request, findings)
    said = _parts(project, findings)
    services, off = _enabled(project, profiles, findings)
    for name, node in services.items():
        value = read_node(_service(), node, "services." + name, findings)
        said["services"][name] = value if value is not ABSENT else {}
    _faults_of_disabled(off, findings)
    _host_networks(said, findings)
    if not _NAME.match(project.name):
        findings.wrong(findings.at("name"), "name", "'%s' is no name of letters, digits, '_', '.' and '-'" % project.name)
    setting = Setting(project, folder or project.directory, said["services"], findings, _MOUNT_OPTIONS)
    found: Dict[str, Any] = {"name": project.name, "services": {}}
    for name in sorted(said["services"]):
        for part, _key, text in storage.missing(setting, name, said):
            path = "services.%s.%s" % (name, part)
            findings.wrong(findings.at(path), path, text)
        found["services"][name] = Service(setting, name).translate(STEPS)
    found.update(_shared(setting, said, found["services"]))
    _check_circle(found["services"], findings)
    return Reading(found, findings.settle(unsupported))


def _service() -> Any:
    return ROOT.children["services"].any


def _parts(project: Project, findings: Findings) -> Dict[str, Dict[str, Any]]:
    """What the parts of the project say, but for its services."""
    tree = project.tree
    parts = Block({name: node for name, node in tree.entries.items() if name != "services"}, tree.keys, tree.place)
    found = read_node(ROOT, parts, "", findings)
    found = {} if found is ABSENT else found
    return {part: found.get(part, {}) for part in PARTS}


def _enabled(project: Project, profiles: Optional[Sequence[str]], findings: Findings) -> Tuple[Dict[str, Block], Dict[str, Block]]:
    """The services that are there, and those that are not, by profile; what one needs is there with it."""
    node = project.tree.entries.get("services")
    if is_null(node):
        raise ComposeError("%s: there is no service" % project.tree.place.source.name)
    if not isinstance(node, Block):
        raise ComposeError("%s: services: is %s, but has to be a mapping" % (node.place, node.word))  # type: ignore[union-attr]
    all_of: Dict[str, Block] = {}
    for name, each in node.entries.items():
        findings.places["services." + name] = node.keys[name]
        if name.startswith("x-"):
            continue
        if isinstance(each, Block):
            all_of[name] = each
        else:
            findings.wrong(node.keys[name], "services." + name, "is %s, but has to be a mapping" % each.word)
    if profiles is None:
        profiles = [each.strip() for each in project.variables.get("COMPOSE_PROFILES", "").split(",") if each.strip()]
    active = set(profiles)
    found = {name: each for name, each in all_of.items() if _is_active(each, active)}
    pending = sorted(found)
    while pending:
        name = pending.pop()
        for other in _needs(found[name]):
            if other in all_of and other not in found:
                findings.remark("The service '%s' is there because '%s' needs it, although none of its profiles is active" % (other, name))
                found[other] = all_of[other]
                pending.append(other)
    return found, {name: each for name, each in all_of.items() if name not in found}


def _is_active(node: Block, active: "set[str]") -> bool:
    said = node.entries.get("profiles")
    names = {each.text for each in said.nodes if isinstance(each, Scalar)} if isinstance(said, Items) else set()
    return not names or bool(names & active) or "*" in active


def _needs(node: Block) -> List[str]:
    """The services that one cannot be without."""
    said: Dict[str, Any] = {}
    quiet = Findings()
    for key in ("depends_on", "links", "volumes_from", "network_mode", "ipc", "pid"):
        value = read_node(_service().children[key], node.entries[key], "", quiet) if key in node.entries else ABSENT
        if value is not ABSENT:
            said[key] = value
    found = [name for name, row in said.get("depends_on", {}).items() if row.get("required", True)]
    return found + [name for _key, name in wiring.implied(said)]


def _faults_of_disabled(off: Mapping[str, Node], findings: Findings) -> None:
    """What is wrong in services that are not there; what is not supported in them does no harm."""
    for name, node in off.items():
        findings.take_wrong(lambda aside, name=name, node=node: read_node(_service(), node, "services." + name, aside))


def _host_networks(said: Mapping[str, Dict[str, Any]], findings: Findings) -> None:
    """What is an external network called host or none to the specification is a mode of the container's network to us."""
    modes = {key: name for key, row in said["networks"].items() for external, name in [shared.outside(row or {})]
             if external and name in ("host", "none")}
    for name, service in said["services"].items():
        keys = [key for key in service.get("networks") or () if key in modes]
        if keys and len(service["networks"]) > 1:
            path = "services.%s.networks" % name
            findings.wrong(findings.at(path), path, "has '%s', which is '%s', beside other networks" % (keys[0], modes[keys[0]]))
        elif keys:
            service["network_mode"] = modes[keys[0]]
            del service["networks"]


def _shared(setting: Setting, said: Mapping[str, Dict[str, Any]], services: Mapping[str, Dict[str, Any]]) -> Dict[str, Any]:
    """The networks, volumes, secrets and configs that a service uses."""
    used: Dict[str, Dict[str, bool]] = {part: {} for part in PARTS}
    for row in services.values():
        for entry in row.get("networks", ()):
            used["networks"][entry["name"]] = True
        for entry in row.get("mounts", ()):
            if entry["type"] == "volume":
                used["volumes"][entry["source"]] = True
        for part in ("secrets", "configs"):
            for entry in (*row.get(part, ()), *(row.get("build", {}).get(part, ()))):
                if "source" in entry:
                    used[part][entry["source"]] = True
    found: Dict[str, Any] = {}
    for part, make in (("networks", shared.a_network), ("volumes", shared.a_volume), ("secrets", shared.a_content),
                       ("configs", shared.a_content)):
        found[part] = {key: make(shared.Shared(part, key, said[part].get(key) or {}, setting.project, setting.findings))
                       for key in sorted(used[part]) if key in said[part] or part in ("networks", "volumes")}
    return found


def _check_circle(services: Mapping[str, Mapping[str, Any]], findings: Findings) -> None:
    way = shared.circle({name: sorted(row.get("depends_on", ())) for name, row in services.items()})
    if way:
        path = "services.%s.depends_on" % way[0]
        findings.wrong(findings.at(path), path, "goes round in a circle: " + " -> ".join(way))
