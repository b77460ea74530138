# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a project: which they are, and how they become one tree of nodes."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import dotenv
from .document import RESET, Block, Items, Node, Scalar, is_null, load
from .findings import ComposeError, Findings, Place, Source, Wrong
from .kinds import merge_blocks
from .leaves import ABSENT, read, shown
from .table import ROOT

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml")
PARTS = ("services", "networks", "volumes", "secrets", "configs")
_SERVICE = ROOT.children["services"].any
_NAME = re.compile(r"^name:[ \t]*(\S.*)$", re.MULTILINE)


def plain_read(path: str) -> bytes:
    """A file's content.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as stream:
        return stream.read()


class Project(NamedTuple):
    """A project whose files are one.

    Attributes:
        name: Its name.
        directory: Absolute path on the controller.
        variables: Those for interpolation.
        tree: All files merged; C(include) and C(extends) are resolved.
        read: Reads files.
    """

    name: str
    directory: str
    variables: Mapping[str, str]
    tree: Block
    read: Callable[[str], bytes] = plain_read


class Request(NamedTuple):
    """What a task says of a project.

    Attributes:
        project_src: Its folder, or its file.
        files: Its files, relative to the folder; by default those with the usual names.
        name: Its name.
        env_files: Files of variables, relative to the folder; by default C(.env) if there is one.
        environment: Further variables, which come first.
        read: Reads files; raises C(OSError).
    """

    project_src: Optional[str] = None
    files: Optional[Sequence[str]] = None
    name: Optional[str] = None
    env_files: Optional[Sequence[str]] = None
    environment: Mapping[str, str] = {}
    read: Callable[[str], bytes] = plain_read


def load_project(request: Request, findings: Findings) -> Project:
    """All files of a project as one tree.

    Raises:
        ComposeError: A file is missing or is none that can be read.
    """
    source, files = request.project_src, list(request.files or ())
    if source and os.path.isfile(source):
        source, files = os.path.dirname(source), [os.path.basename(source), *files]
    directory = os.path.abspath(source or os.path.dirname(files[0]) if source or files else ".")
    variables = _variables(request, directory)
    files = files or _default_files(directory, variables, findings)
    paths = [os.path.normpath(os.path.join(directory, os.path.expanduser(each))) for each in files]
    if not source:
        directory = os.path.dirname(paths[0])
    texts = [read_text(request.read, path, "a file of the project") for path in paths]
    name = request.name or variables.get("COMPOSE_PROJECT_NAME") or _declared_name(texts, variables) or _plain(os.path.basename(directory))
    variables.setdefault("COMPOSE_PROJECT_NAME", name)
    loading = _Loading(directory, findings, request.read)
    tree: Optional[Block] = None
    for path, text in zip(paths, texts):
        tree = loading.add(tree, path, text, Source(loading.shown(path), directory, variables), (path,))
    tree = tree or Block({}, {}, Place(Source(loading.shown(paths[0]), directory, variables), 1))
    return Project(name, directory, variables, tree, request.read)


def read_text(read: Callable[[str], bytes], path: str, what: str) -> str:
    """A file's text.

    Raises:
        ComposeError: It cannot be read, or is no text.
    """
    try:
        return read(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ComposeError("%s: %s cannot be read on the controller: %s" % (path, what, getattr(error, "strerror", None) or error))


def env_file(read: Callable[[str], bytes], path: str, outer: Mapping[str, str], raw: bool = False) -> Dict[str, Optional[str]]:
    """The variables of a file.

    Raises:
        ComposeError: It cannot be read.
        Wrong: A line of it is wrong.
    """
    text = read_text(read, path, "a file of variables")
    return dotenv.parse_raw(text, outer) if raw else dotenv.parse(text, outer)


def _variables(request: Request, directory: str) -> Dict[str, str]:
    files = request.env_files
    if files is None:
        files = [".env"] if os.path.isfile(os.path.join(directory, ".env")) else []
    return _with_files(request.read, [os.path.join(directory, os.path.expanduser(each)) for each in files], request.environment)


def _with_files(read: Callable[[str], bytes], paths: Sequence[str], first: Mapping[str, str]) -> Dict[str, str]:
    """Variables of files beneath others."""
    found: Dict[str, str] = {}
    for path in paths:
        try:
            told = env_file(read, path, {**found, **first})
        except Wrong as error:
            raise ComposeError("%s: %s" % (path, error))
        found.update((name, value) for name, value in told.items() if value is not None)
    found.update(first)
    return found


def _default_files(directory: str, variables: Mapping[str, str], findings: Findings) -> List[str]:
    if variables.get("COMPOSE_FILE"):
        return variables["COMPOSE_FILE"].split(variables.get("COMPOSE_PATH_SEPARATOR") or ":")
    found = [name for name in NAMES if os.path.isfile(os.path.join(directory, name))]
    if not found:
        raise ComposeError("%s: there is none of %s on the controller" % (directory, ", ".join(NAMES)))
    if len(found) > 1:
        findings.remark("%s is taken, and %s beside it left" % (found[0], ", ".join(found[1:])))
    over = [name for name in OVERRIDES if os.path.isfile(os.path.join(directory, name))]
    return found[:1] + over[:1]


def _declared_name(texts: Sequence[str], variables: Mapping[str, str]) -> Optional[str]:
    """What the last file that says C(name) says; known before the files are read, since they may use it."""
    for text in reversed(texts):
        match = _NAME.search(text)
        if match:
            node = load("name: " + match.group(1), Source("", "", variables), Findings())[0].entries["name"]
            return str(node.text) if isinstance(node, Scalar) else None
    return None


def _plain(text: str) -> str:
    """A folder's name as a project's: lower case, nothing but letters, digits, - and _."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower()).lstrip("_-") or "default"


class _Loading:
    """What has been read on the way."""

    def __init__(self, directory: str, findings: Findings, read_file: Callable[[str], bytes]) -> None:
        self._directory, self._findings, self._read = directory, findings, read_file
        self._extended: Dict[str, Block] = {}

    def shown(self, path: str) -> str:
        """A path as messages show it."""
        short = os.path.relpath(path, self._directory)
        return path if short.startswith("../../..") else short

    def add(self, tree: Optional[Block], path: str, text: str, source: Source, within: Tuple[str, ...]) -> Optional[Block]:
        """A tree with a file merged into it.

        Args:
            within: The files that include this one, itself the last.
        """
        for document in load(text, source, self._findings):
            self._extend_all(document, tree, path)
            self._include_all(document, source, within)
            tree = merge_blocks(ROOT, tree, document) if tree else document
        return tree

    # include

    def _include_all(self, document: Block, source: Source, within: Tuple[str, ...]) -> None:
        node = document.entries.pop("include", None)
        if node is None or is_null(node):
            return
        entries = read(ROOT.children["include"], node, "include", self._findings)
        for at, entry in enumerate(entries if entries is not ABSENT else ()):
            if not entry.get("path"):
                self._findings.wrong(node.place, "include[%d]" % at, "has no path")
                continue
            imported = self._included(entry, source, within, node.place)
            if imported:
                self._import(document, imported)

    def _included(self, entry: Mapping[str, Any], source: Source, within: Tuple[str, ...], place: Place) -> Optional[Block]:
        first = entry["path"][0]
        if first in within:
            names = [self.shown(each) for each in (*within, first)]
            raise ComposeError("%s: include: goes round in a circle: %s" % (place, " -> ".join(names)))
        directory = str(entry.get("project_directory") or os.path.dirname(first))
        files = [str(each) for each in entry.get("env_file") or ()]
        if not files and os.path.isfile(os.path.join(directory, ".env")):
            files = [os.path.join(directory, ".env")]
        variables = _with_files(self._read, files, source.variables)
        tree: Optional[Block] = None
        for path in entry["path"]:
            text = read_text(self._read, path, "an included file (%s)" % place)
            tree = self.add(tree, path, text, Source(self.shown(path), directory, variables), (*within, path))
        return tree

    def _import(self, document: Block, imported: Block) -> None:
        """What is included beside what is there: the same name twice is a fault, unless it says the same."""
        for part in PARTS:
            more = imported.entries.get(part)
            if not isinstance(more, Block):
                continue
            own = document.entries.get(part)
            if not isinstance(own, Block):
                document.entries[part], document.keys[part] = more, imported.keys[part]
                continue
            for name, node in more.entries.items():
                if name not in own.entries:
                    own.entries[name], own.keys[name] = node, more.keys[name]
                elif not equal(own.entries[name], node):
                    self._findings.wrong(own.keys[name], "%s.%s" % (part, name),
                                         "is included from %s too, and says something else there" % more.keys[name])

    # extends

    def _extend_all(self, document: Block, tree: Optional[Block], path: str) -> None:
        services = document.entries.get("services")
        if isinstance(services, Block):
            for name in services.entries:
                services.entries[name] = self._extended_service(services, name, tree, path, ())

    def _extended_service(self, services: Block, name: str, tree: Optional[Block], path: str, chain: Tuple[Tuple[str, str], ...]) -> Node:
        """A service with what it extends beneath it."""
        service = services.entries[name]
        if not isinstance(service, Block) or is_null(service.entries.get("extends")):
            return service
        extends = service.entries["extends"]
        where = "services.%s.extends" % name
        if (path, name) in chain:
            names = [each for _path, each in (*chain, (path, name))]
            raise ComposeError("%s: %s: goes round in a circle: %s" % (extends.place, where, " -> ".join(names)))
        base = self._base(extends, services, tree, path, where, (*chain, (path, name)))
        plain = Block({key: node for key, node in service.entries.items() if key != "extends"}, service.keys, service.place, service.tag)
        return merge_blocks(_SERVICE, base, plain) if base is not None else plain

    def _base(self, extends: Node, services: Block, tree: Optional[Block], path: str, where: str,
              chain: Tuple[Tuple[str, str], ...]) -> Optional[Block]:
        words = extends.entries if isinstance(extends, Block) else {"service": extends}
        wanted, file = words.get("service"), words.get("file")
        unknown = set(words) - {"service", "file"}
        if unknown or not isinstance(wanted, Scalar) or not isinstance(wanted.value, str) or file and not isinstance(file, Scalar):
            self._findings.wrong(extends.place, where, "is %s, but has to be a service's name, or a mapping with service and file"
                                 % shown(extends))
            return None
        if file is not None and not is_null(file):
            path = os.path.normpath(os.path.join(extends.place.source.directory, file.text))
            services = self._services_of(path, extends.place)
            tree = None
        elif wanted.text not in services.entries and tree is not None and isinstance(tree.entries.get("services"), Block):
            services = tree.entries["services"]
        if wanted.text not in services.entries:
            self._findings.wrong(extends.place, where, "names the service '%s', which %s has not" % (wanted.text, self.shown(path)))
            return None
        base = self._extended_service(services, wanted.text, tree, path, chain)
        return base if isinstance(base, Block) else None

    def _services_of(self, path: str, place: Place) -> Block:
        """The services of a file that is only extended from."""
        if path not in self._extended:
            source = Source(self.shown(path), os.path.dirname(path), place.source.variables)
            text = read_text(self._read, path, "a file that is extended (%s)" % place)
            merged: Optional[Block] = None
            for document in load(text, source, self._findings):
                merged = merge_blocks(ROOT, merged, document) if merged else document
            services = merged.entries.get("services") if merged else None
            self._extended[path] = services if isinstance(services, Block) else Block({}, {}, place)
        return self._extended[path]


def equal(one: Any, other: Any) -> bool:
    """Whether two nodes say the same."""
    if type(one) is not type(other) or one.tag != other.tag or one.tag == RESET:
        return False
    if isinstance(one, Scalar):
        return bool(one.value == other.value and type(one.value) is type(other.value))
    if isinstance(one, Items):
        return len(one.nodes) == len(other.nodes) and all(map(equal, one.nodes, other.nodes))
    return one.entries.keys() == other.entries.keys() and all(equal(node, other.entries[name]) for name, node in one.entries.items())
