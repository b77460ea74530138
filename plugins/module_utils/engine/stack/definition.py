# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack as it is declared: the containers, networks, volumes and files that follow from its services.

Containers are called STACK-SERVICE-NUMBER and labelled as Compose v2 does it (docs.docker.com/compose/how-tos/project-name),
so that tools which look for these labels find them.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..container import mount_row
from ..errors import EngineError
from ..network import publish
from .kinds import COMPLETED, HEALTHY, STARTED, container_name
from .secrecy import bytes_of

STACK, SERVICE, REPLICA = "coracle.stack", "coracle.stack.service", "coracle.stack.replica"
"""The labels of what belongs to a stack."""
DEFAULT = "default"
"""The network of services that name none."""
_COMPOSE = ("com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.container-number")
_SPACES = ("network_mode", "ipc_mode", "pid_mode")


class Need(NamedTuple):
    """What a service waits for.

    Attributes:
        condition: Of C(CONDITIONS).
        restart: Whether a replacement or restart of the other means a restart of this one.
        implied: Whether it lives in namespaces of the other, rather than saying that it depends on it.
    """

    condition: str = STARTED
    restart: bool = False
    implied: bool = False


class Container(NamedTuple):
    """One container of a service; C(params) are the options of C(container_run), typed."""

    name: str
    service: str
    number: int
    params: Dict[str, Any]


class Policy(NamedTuple):
    """How the containers of a service are replaced, in turn; times in seconds."""

    order: Optional[str] = None
    parallelism: int = 1
    delay: float = 0.0
    failure_action: str = "pause"
    monitor: float = 0.0
    max_failure_ratio: float = 0.0


class Service(NamedTuple):
    """A service.

    Attributes:
        containers: Its replicas.
        needs: Other services, by name.
        one_shot: Whether it is done once it has ended with exit code 0.
    """

    name: str
    containers: Tuple[Container, ...]
    needs: Mapping[str, Need]
    update: Policy
    rollback: Policy
    one_shot: bool
    build: Optional[Mapping[str, Any]] = None


class File(NamedTuple):
    """What a config is to a container: a file of the host with an owner and a mode of its own.

    Attributes:
        path: Below the stack's folder; named after the content, so that other content is another mount.
        content: Or C(None) where it is read from C(source).
    """

    path: str
    content: Optional[str]
    source: Optional[str]
    uid: int
    gid: int
    mode: int


class Stack(NamedTuple):
    """All of it.

    Attributes:
        networks: By real name, the options of C(container_network).
        volumes: By real name.
        external: Kind and name of what must be there, and is nobody's business here.
        files: Configs by path.
        secrets: By the name under which each is kept on the host.
        digest: Of the definition as it was written.
    """

    name: str
    services: Mapping[str, Service]
    networks: Mapping[str, Dict[str, Any]]
    volumes: Mapping[str, Dict[str, Any]]
    external: FrozenSet[Tuple[str, str]]
    files: Mapping[str, File]
    secrets: Mapping[str, bytes]
    digest: str

    @property
    def containers(self) -> List[Container]:
        """Those of all services."""
        return [each for service in self.services.values() for each in service.containers]

    def service_of(self, container: str) -> Optional[Service]:
        """The service that a container is of."""
        return next((service for service in self.services.values() for each in service.containers if each.name == container), None)


def real_name(stack: str, key: str, row: Mapping[str, Any]) -> str:
    """The name of a network or volume: the one it is given, an external one's key, else with the stack's name before it."""
    return str(row.get("name") or (key if row.get("external") else "%s_%s" % (stack, key)))


def labels_of(stack: str, service: str, number: int) -> Dict[str, str]:
    """The labels of a container."""
    values = (stack, service, str(number))
    return dict(zip((STACK, SERVICE, REPLICA) + _COMPOSE, values * 2))


def expand(document: Mapping[str, Any], digest: str, folder: str, place: Callable[[str, bytes], str], task: Mapping[str, Any]) -> Stack:
    """What a definition means.

    Args:
        document: As C(Kinds.read) returns it.
        folder: Where the stack keeps its files.
        place: The name under which a secret is kept on the host, by its key and its content.
        task: The options of C(container_stack).

    Raises:
        EngineError: It refers to what it does not have, goes in a circle, or asks for the same thing twice; tells all of that.
    """
    faults: List[str] = []
    building = _Building(document, folder, place, task, faults)
    services = {name: building.service(name, row) for name, row in document["services"].items()}
    chosen = _chosen(services, task.get("services"), faults)
    services = {name: service for name, service in services.items() if name in chosen}
    _circle(services, faults)
    _twice(services, faults)
    if faults:
        raise EngineError("the definition of the stack '%s' does not hold together:\n%s\n" % (
            document["name"], "\n".join("- " + each for each in faults)),
            "Nothing was changed. Correct it, and run the task again", faults=faults)
    used = {row["name"] for service in services.values() for each in service.containers for row in each.params["networks"] or ()}
    if task.get("services"):
        building.networks = {name: row for name, row in building.networks.items() if name in used}
    return Stack(document["name"], services, building.networks, building.volumes, frozenset(building.external), building.files,
                 building.secrets, digest)


class _Building:
    """Collects what the services refer to."""

    def __init__(self, document: Mapping[str, Any], folder: str, place: Callable[[str, bytes], str], task: Mapping[str, Any],
                 faults: List[str]) -> None:
        self.name: str = document["name"]
        self.document, self.folder, self.place, self.task, self.faults = document, folder, place, task, faults
        self.files: Dict[str, File] = {}
        self.secrets: Dict[str, bytes] = {}
        self.external = {(kind, real_name(self.name, key, row)) for kind, part in (("network", "networks"), ("volume", "volumes"))
                         for key, row in document[part].items() if row["external"]}
        self.networks: Dict[str, Dict[str, Any]] = {}
        self.volumes: Dict[str, Dict[str, Any]] = {}
        for part, found in (("networks", self.networks), ("volumes", self.volumes)):
            for key, row in document[part].items():
                if not row["external"]:
                    name = real_name(self.name, key, row)
                    if name in found:
                        faults.append("definition.%s.%s: another one is called '%s' too" % (part, key, name))
                    if len(name) > 63:
                        faults.append("definition.%s.%s: the name '%s' is longer than 63 characters" % (part, key, name))
                    labels = dict(row.get("labels") or {}, **{STACK: self.name})
                    found[name] = dict({key: value for key, value in row.items() if key != "external"}, name=name, labels=labels)
        self.dependants = {other for row in document["services"].values() for other, need in (row["depends_on"] or {}).items()
                           if need["condition"] == COMPLETED}

    def service(self, name: str, row: Mapping[str, Any]) -> Service:
        """One service with all its containers."""
        path = "definition.services.%s" % name
        if row["container_name"] and row["replicas"] > 1:
            self.faults.append("%s.container_name: cannot be with %d replicas" % (path, row["replicas"]))
        if not row["container"]["image"]:
            if row["build"] is None:
                self.faults.append("%s: lacks 'image'" % path)
            else:
                row["container"]["image"] = "localhost/%s-%s:latest" % (self.name, name)
        needs = self._needs(name, row, path)
        update = _policy(row["update"])
        one_shot = row["one_shot"] or name in self.dependants
        build = row["build"] and dict(row["build"], secrets=self._secrets(row["build"], path + ".build"))
        params = self._params(name, row, path, update)
        containers = []
        for number in range(1, row["replicas"] + 1):
            called = container_name(self.name, name, row["container_name"], number)
            if len(called) > 63:
                self.faults.append("%s: the container's name '%s' is longer than 63 characters" % (path, called))
            own = dict(params, name=called, labels=dict(params["labels"] or {}, **labels_of(self.name, name, number)))
            containers.append(Container(called, name, number, own))
        return Service(name, tuple(containers), needs, update, _policy(row["rollback"]) if row["rollback"] else update, one_shot,
                       build)

    def _needs(self, name: str, row: Mapping[str, Any], path: str) -> Dict[str, Need]:
        services = self.document["services"]
        needs = {}
        for other, need in (row["depends_on"] or {}).items():
            if other == name:
                self.faults.append("%s.depends_on: depends on itself" % path)
            elif other in services:
                needs[other] = Need(need["condition"], need["restart"])
            elif need["required"]:
                self.faults.append("%s.depends_on: there is no service '%s'" % (path, other))
        called = {container_name(self.name, other, each["container_name"], number): other for other, each in services.items()
                  for number in range(1, max(1, each["replicas"]) + 1)}
        for option in _SPACES:
            mode, _colon, joined = str(row["container"][option] or "").partition(":")
            other = called.get(joined)
            if mode == "container" and other == name:
                self.faults.append("%s.%s: joins itself" % (path, option))
            elif mode == "container" and other is not None:
                needs[other] = needs.get(other, Need())._replace(implied=True, restart=True)
        return needs

    def _params(self, name: str, row: Mapping[str, Any], path: str, update: Policy) -> Dict[str, Any]:
        task = self.task
        params = dict(row["container"], state="started", secrets=self._secrets(row, path), detach=True, recreate=task["recreate"],
                      force=task["force"], keep_volumes=task["keep_volumes"], healthy_wait_timeout=task["wait_timeout"],
                      update_order=None if update.order == "stop_first" and not row["container"]["healthcheck"] else update.order)
        if task["pull"] and "pull" not in row["said"]:
            params["pull"] = task["pull"]
        mode = params["network_mode"]
        rows = [dict(each) for each in params["networks"] or ()]
        if not rows and mode == "bridge" and "network_mode" not in row["said"]:
            rows = [dict.fromkeys(("ipv4_address", "ipv6_address", "mac_address", "aliases", "interface", "bandwidth", "vlan"), None)]
            rows[0]["name"] = DEFAULT
            if DEFAULT not in self.document["networks"]:
                real = "%s_%s" % (self.name, DEFAULT)
                self.networks.setdefault(real, dict(self.document["plain_network"], name=real, labels={STACK: self.name}))
        for each in rows:
            aliases = list(each["aliases"] or ())
            each["aliases"] = aliases + [name] * (name not in aliases)
            each["name"] = self._real("networks", each["name"], path)
        params["networks"] = rows
        params["depends_on"] = self._before(row)
        params["volumes"] = self._mounts(params["volumes"], path)
        params["mounts"] = (self._mounts(params["mounts"], path) or []) + self._files(row, path)
        return params

    def _before(self, row: Mapping[str, Any]) -> List[str]:
        """The containers that start before those of a service at boot, too; what has done its work is not done again."""
        services = self.document["services"]
        return ["%s:%s" % (container_name(self.name, other, services[other]["container_name"], number), HEALTHY)
                if need["condition"] == HEALTHY else container_name(self.name, other, services[other]["container_name"], number)
                for other, need in (row["depends_on"] or {}).items() if other in services and need["condition"] != COMPLETED
                for number in range(1, services[other]["replicas"] + 1)]

    def _real(self, part: str, key: str, path: str) -> str:
        row = self.document[part].get(key)
        if row is None and not (part == "networks" and key == DEFAULT):
            self.faults.append("%s.%s: there is no '%s' in definition.%s" % (path, part, key, part))
        return real_name(self.name, key, row or {})

    def _mounts(self, rows: Optional[Sequence[Mapping[str, Any]]], path: str) -> Optional[List[Dict[str, Any]]]:
        if rows is None:
            return None
        return [dict(row, source=self._real("volumes", row["source"], path)) if row["type"] == "volume" and row["source"] else dict(row)
                for row in rows]

    def _secrets(self, row: Mapping[str, Any], path: str) -> Optional[List[Dict[str, Any]]]:
        """The secrets of a service, or of its build, by the names under which they are kept on the host."""
        found = []
        for at, each in enumerate(row["secrets"] or ()):
            key, where = each["source"], "%s.secrets[%d]" % (path, at)
            source = self._source("secrets", key, where)
            if source is None:
                continue
            if source["external"]:
                name = str(source["name"] or key)
                self.external.add(("secret", name))
            else:
                content = self._content(source, key, where)
                if content is None:
                    continue
                name = self.place(key, content)
                self.secrets[name] = content
            found.append(dict(each, source=name, target=each["target"] or key))
        return found or None

    def _files(self, row: Mapping[str, Any], path: str) -> List[Dict[str, Any]]:
        """The mounts of configs."""
        found = []
        for at, each in enumerate(row["configs"] or ()):
            where = "%s.configs[%d]" % (path, at)
            source = self._source("configs", each["source"], where)
            if source is None:
                continue
            target = each["target"] or each["source"]
            file = self._file(source, each, where)
            if file is not None:
                self.files[file.path] = file
                found.append(mount_row.complete("bind", file.path, os.path.join("/", target), read_only=True))
        return found

    def _source(self, part: str, key: str, where: str) -> Optional[Mapping[str, Any]]:
        """What the definition says of a secret or config."""
        source: Optional[Mapping[str, Any]] = self.document[part].get(key)
        if source is None:
            self.faults.append("%s: there is no '%s' in definition.%s" % (where, key, part))
        return source

    def _content(self, source: Mapping[str, Any], key: str, where: str) -> Optional[bytes]:
        content, path = source["content"], source["file"]
        if (content is None) == (path is None):
            self.faults.append("%s: '%s' %s" % (
                where, key, "says neither 'content' nor 'file'" if path is None else "says both 'content' and 'file'"))
            return None
        if path is None:
            return bytes_of(content)
        try:
            with open(path, "rb") as stream:
                return stream.read()
        except OSError as error:
            self.faults.append("%s: cannot read the file %s: %s" % (where, path, error.strerror))
            return None

    def _file(self, source: Mapping[str, Any], use: Mapping[str, Any], where: str) -> Optional[File]:
        if source["external"]:
            self.faults.append("%s: the config '%s' is external, and a host keeps none by itself. Say its 'content' or 'file'" % (
                where, use["source"]))
            return None
        data = self._content(source, use["source"], where)
        if data is None:
            return None
        digest = hashlib.sha256(b"%d:%d:%o:" % (use["uid"], use["gid"], use["mode"]) + data).hexdigest()
        return File("%s/files/%s" % (self.folder, digest[:32]), source["content"], source["file"], use["uid"], use["gid"], use["mode"])


def _policy(row: Optional[Mapping[str, Any]]) -> Policy:
    if row is None:
        return Policy()
    return Policy(row["order"], row["parallelism"], row["delay"] / 1000000, row["failure_action"], row["monitor"] / 1000000,
                  row["max_failure_ratio"])


def _chosen(services: Mapping[str, Service], wanted: Optional[Sequence[str]], faults: List[str]) -> FrozenSet[str]:
    """The services that were asked for, and those that they need."""
    if not wanted:
        return frozenset(services)
    faults.extend("services: there is no service '%s'" % name for name in wanted if name not in services)
    found, queue = set(), [name for name in wanted if name in services]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(services[name].needs)
    return frozenset(found)


def _circle(services: Mapping[str, Service], faults: List[str]) -> None:
    """Services that wait for one another."""
    done: Dict[str, bool] = {}

    def visit(name: str, path: List[str]) -> None:
        if done.get(name):
            return
        if name in path:
            circle = path[path.index(name):] + [name]
            faults.append("definition.services: depend on one another in a circle: %s" % " -> ".join(circle))
            return
        for other in services[name].needs:
            visit(other, path + [name])
        done[name] = True

    for name in services:
        before = len(faults)
        visit(name, [])
        if len(faults) > before:
            return  # the same circle would be found from each of its services


def _twice(services: Mapping[str, Service], faults: List[str]) -> None:
    """Names and ports that two containers ask for."""
    names: Dict[str, str] = {}
    ports: Dict[Tuple[str, int], List[Tuple[str, str]]] = {}
    for service in services.values():
        for each in service.containers:
            if each.name in names:
                faults.append("definition.services.%s: the container's name '%s' is that of the service '%s' too" % (
                    service.name, each.name, names[each.name]))
            names[each.name] = service.name
            for port in publish.expand(each.params["published_ports"] or ()):
                for address, other in ports.setdefault((port.protocol, port.host_port), []):
                    if not address or not port.address or address == port.address:
                        faults.append("definition.services.%s.published_ports: port %d/%s of the host is also that of '%s'" % (
                            service.name, port.host_port, port.protocol, other))
                        break
                else:
                    ports[port.protocol, port.host_port].append((port.address, each.name))
