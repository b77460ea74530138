# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another OCI runtime, driven by the command line that all of them share: runc's.

What it can do is asked first (runtime-spec features.md) and remembered until
its program changes. It keeps its state below the container's state folder,
where this engine keeps the same record as of a container of its own:

    STATE_DIR/external.json    which program it is, and where it keeps its state
    STATE_DIR/bundle/          the configuration that it gets
    STATE_DIR/root/            its own
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, NotFound, Unsupported
from ..kernel import commands, processes
from ..store import documents, files
from . import console, record

if TYPE_CHECKING:
    import socket

BUILT_IN = "coracle"
"""The name of the engine's own runtime."""
_FOLDERS = ("bundle", "root")
_INIT = "/dev/init"
"""Where the first process lies in a container; on a file system of its own, so that nothing is made in the image's."""
_INITS = ("catatonit", "docker-init", "tini-static")
_SILENT = (1, 0, 2)
"""What is asked at most of a runtime that does not tell its features."""
_RECURSIVE = frozenset(("rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnoatime", "ratime", "rrelatime",
                        "rnorelatime", "rstrictatime", "rnostrictatime", "rnodiratime", "rdiratime", "rnosymfollow", "rsymfollow"))


class Created(NamedTuple):
    """A container that was made and started: its first process."""

    pid: int
    start_time: int


def find(name: str) -> str:
    """The path of a runtime's program.

    Raises:
        NotFound: There is none.
    """
    path = name if name.startswith("/") else commands.find(name)
    if path is None or not os.access(path, os.X_OK) or os.path.isdir(path):
        raise NotFound("option 'runtime': there is no program '%s' on this host" % name,
                       "Install it, or leave the option out for the runtime that this engine has itself")
    return path


def features(program: str, cache: str, keep: bool) -> Optional[Dict[str, Any]]:
    """What a runtime says that it can do; C(None) where it does not know the question, as those from before 2023.

    Args:
        cache: Folder in which answers are kept; an answer holds for as long as the program is the same file.
        keep: Whether this one is to be kept.
    """
    status = os.stat(program)
    key = "%s %d %d %d" % (program, status.st_ino, status.st_size, status.st_mtime_ns)
    path = os.path.join(cache, "%s.json" % os.path.basename(program))
    known = files.read_json(path)
    if known and known.get("of") == key:
        return dict(known["features"]) if known["features"] is not None else None
    done = commands.run([program, "features"])
    found: Optional[Dict[str, Any]] = None
    if done.status == 0:
        try:
            said = documents.decode(done.stdout.decode("utf-8"))
            found = said if isinstance(said, dict) else None
        except ValueError:
            pass
    if keep:
        files.make_folder(cache)
        files.write_json(path, {"of": key, "features": found}, durable=False)
    return found


def lowest_version(config: Mapping[str, Any]) -> Tuple[int, int, int]:
    """The lowest version of the specification that has all that a configuration uses (its ChangeLog)."""
    linux, process = config.get("linux") or {}, config.get("process") or {}
    cpu = (linux.get("resources") or {}).get("cpu") or {}
    options = {option for mount in config.get("mounts") or () for option in mount.get("options") or ()}
    if linux.get("netDevices") or linux.get("memoryPolicy"):
        return 1, 3, 0
    if process.get("execCPUAffinity"):
        return 1, 2, 1
    if options & {"idmap", "ridmap"}:
        return 1, 2, 0
    if process.get("scheduler") or process.get("ioPriority") or config.get("domainname") or linux.get("timeOffsets") \
            or cpu.get("burst") is not None or cpu.get("idle") is not None or options & _RECURSIVE \
            or any(mount.get("uidMappings") for mount in config.get("mounts") or ()) \
            or any(each["type"] == "time" for each in linux.get("namespaces") or ()) \
            or (linux.get("seccomp") or {}).get("listenerPath"):
        return 1, 1, 0
    return 1, 0, 2


def check(program: str, can: Optional[Mapping[str, Any]], config: Mapping[str, Any], cgroups: str) -> None:
    """Refuse what a runtime cannot do.

    Args:
        can: Its features.
        cgroups: C(v1), C(v2) or C(hybrid).

    Raises:
        Unsupported: Names the runtime and what it lacks.
    """
    for lack in _lacks(can, config, cgroups):
        raise Unsupported("option 'runtime': %s cannot do what this container needs: %s" % (program, lack),
                          "Leave out what needs it, take a newer version of the runtime, or leave 'runtime' out")


def _lacks(can: Optional[Mapping[str, Any]], config: Mapping[str, Any], cgroups: str) -> List[str]:
    needed = lowest_version(config)
    if can is None:
        return ["version %d.%d.%d of the runtime-spec, and it does not tell its features" % needed] if needed > _SILENT else []
    found: List[str] = []
    most = _version(str(can.get("ociVersionMax") or "1.0.2"))
    if needed > most:
        found.append("version %d.%d.%d of the runtime-spec; it knows %s" % (*needed, can.get("ociVersionMax")))
    has, linux = can.get("linux") or {}, config.get("linux") or {}
    kinds = has.get("namespaces")
    found += ["a %s namespace" % each["type"] for each in linux.get("namespaces") or ()
              if kinds is not None and each["type"] not in kinds and each["type"] != "time"]
    offered = can.get("mountOptions")
    found += ["the mount option %s" % option for mount in config.get("mounts") or () for option in mount.get("options") or ()
              if offered is not None and option in _RECURSIVE and option not in offered]
    if any(mount.get("uidMappings") for mount in config.get("mounts") or ()) \
            and not ((has.get("mountExtensions") or {}).get("idmap") or {}).get("enabled"):
        found.append("mounts that are shown through the mappings of a user namespace")
    if linux.get("seccomp"):
        found += _lacks_of_filter(has.get("seccomp") or {}, linux["seccomp"])
    for member, key in (("apparmorProfile", "apparmor"), ("selinuxLabel", "selinux")):
        if (config.get("process") or {}).get(member) and not (has.get(key) or {}).get("enabled"):
            found.append("process.%s" % member)
    groups = has.get("cgroup") or {}
    version = "v2" if cgroups == "v2" else "v1"
    if groups.get(version) is False:
        found.append("cgroup %s, which this host has" % version)
    return found


def _lacks_of_filter(can: Mapping[str, Any], wanted: Mapping[str, Any]) -> List[str]:
    if not can.get("enabled"):
        return ["a system call filter (seccomp)"]
    actions = {wanted["defaultAction"], *(each["action"] for each in wanted.get("syscalls") or ())}
    return ["the seccomp action %s" % each for each in sorted(actions) if can.get("actions") and each not in can["actions"]]


def _version(text: str) -> Tuple[int, ...]:
    numbers = text.partition("-")[0].partition("+")[0].split(".")
    return tuple(int(each) for each in numbers if each.isdecimal())


def create(program: str, state_dir: str, config: Dict[str, Any], identity: str, stdio: Sequence[int],
           terminal: Optional["socket.socket"] = None) -> Created:
    """Make a container with another runtime and start it.

    The container's process is no child of this one, but of the next among its ancestors that adopts (PR_SET_CHILD_SUBREAPER).

    Args:
        stdio: Descriptors that become its 0, 1 and 2.
        terminal: A connected UNIX socket that gets its terminal, for C(process.terminal).

    Raises:
        EngineError: What the runtime says; nothing remains.
    """
    files.make_folder(state_dir, 0o700)
    bundle, root = (os.path.join(state_dir, name) for name in _FOLDERS)
    files.make_folder(bundle, 0o700)
    config = dict(config, ociVersion="%d.%d.%d" % lowest_version(config))
    files.write(os.path.join(bundle, "config.json"), documents.encode(config).encode("ascii"), durable=False)
    files.write(os.path.join(state_dir, record.CONFIG), documents.encode(config).encode("ascii"), durable=False)
    files.write_json(os.path.join(state_dir, record.FOREIGN), {"program": program, "id": identity}, durable=False)
    opened = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        number = os.path.join(bundle, "pid")
        words = ["create", "--bundle", bundle, "--pid-file", number]
        if terminal is None:
            _call(state_dir, [*words, identity], stdio)
        else:
            waiting, place = console.listen(opened)
            with waiting:
                _call(state_dir, [*words, "--console-socket", place, identity], stdio)
                console.relay(waiting, terminal)
        with open(number, "rb") as stream:
            pid = int(stream.read())
        made = Created(pid, processes.start_time(pid) or 0)
        record.save(state_dir, record.Record(
            identity, config["ociVersion"], bundle, config["root"]["path"], config["linux"]["cgroupsPath"], *made,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), {}, True))
        _call(state_dir, ["start", identity])
    except BaseException:
        delete(state_dir)
        for name in (record.FILE, record.CONFIG):
            files.remove(os.path.join(state_dir, name))
        raise
    finally:
        os.close(opened)
    return made


def init_program() -> Optional[str]:
    """The host's own small first process for containers, as Podman and Docker have one, or C(None)."""
    return next(filter(None, map(commands.find, _INITS)), None)


def with_init(config: Dict[str, Any]) -> Dict[str, Any]:
    """A configuration whose program has that process before it; the engine's own is a part of its runtime.

    Raises:
        Unsupported: The host has none.
    """
    program = init_program()
    if program is None:
        raise Unsupported("option 'init': beside another runtime it takes a first process of the host, which has none of %s"
                          % ", ".join(_INITS), "Install the package catatonit or tini, or leave 'runtime' out")
    mount = {"destination": _INIT, "type": "bind", "source": os.path.realpath(program), "options": ["bind", "ro", "nosuid", "nodev"]}
    process = dict(config["process"], args=[_INIT, "--", *config["process"]["args"]])
    return dict(config, mounts=[*(config.get("mounts") or ()), mount], process=process)


def manages(state_dir: str) -> bool:
    """Whether a container was made by another runtime."""
    return os.path.exists(os.path.join(state_dir, record.FOREIGN))


def act(state_dir: str, verb: str, *arguments: str) -> bool:
    """Let the runtime that made a container act on it: C(kill), C(pause), C(resume); say whether there is one.

    Raises:
        EngineError: What the runtime says.
    """
    note = files.read_json(os.path.join(state_dir, record.FOREIGN))
    if not note:
        return False
    _call(state_dir, [verb, note["id"], *arguments])
    return True


def add(state_dir: str, process: Mapping[str, Any], stdio: Sequence[int], preserved: int = 0,
        terminal: Optional["socket.socket"] = None, options: Sequence[str] = ()) -> int:
    """Let the runtime that made a container run a further process in it; its number.

    The runtime's own process is gone then, and the new one a child of the caller.

    Args:
        process: As runtime-spec config.md defines it.
        stdio: Descriptors that become its 0, 1 and 2.
        preserved: How many of the caller's descriptors from 3 on it inherits.
        terminal: A connected UNIX socket that gets its terminal, for C(process.terminal).
        options: Further words for C(exec).

    Raises:
        EngineError: What the runtime says.
    """
    note = files.read_json(os.path.join(state_dir, record.FOREIGN)) or {}
    import tempfile  # it brings random, which each fork would seed  # pylint: disable=import-outside-toplevel
    folder = tempfile.mkdtemp(prefix="exec-", dir=state_dir)
    words = ["exec", "--detach", *options]
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    waiting: Optional["socket.socket"] = None
    try:
        for option, name in (("--process", "process.json"), ("--pid-file", "pid")):
            words += [option, os.path.join(folder, name)]
        files.write(os.path.join(folder, "process.json"), documents.encode(dict(process)).encode("ascii"), durable=False)
        if preserved:
            words += ["--preserve-fds", str(preserved)]
        if terminal is not None:
            waiting, place = console.listen(opened)
            words += ["--tty", "--console-socket", place]
        processes.set_subreaper(True)
        try:
            _call(state_dir, [*words, note["id"]], [*stdio, *range(3, 3 + preserved)], os.path.join(folder, "log"))
        finally:
            processes.set_subreaper(False)
        if waiting is not None and terminal is not None:
            console.relay(waiting, terminal)
        with open(os.path.join(folder, "pid"), "rb") as stream:
            return int(stream.read())
    finally:
        if waiting is not None:
            waiting.close()
        os.close(opened)
        shutil.rmtree(folder, ignore_errors=True)


def delete(state_dir: str) -> None:
    """Let the runtime forget a container that it made; what is left of it is killed."""
    note = files.read_json(os.path.join(state_dir, record.FOREIGN))
    if not note:
        return
    try:
        _call(state_dir, ["delete", "--force", note["id"]])
    except EngineError as error:  # it may never have known it; what it leaves is removed here
        sys.stderr.write("coracle: %s\n" % error)
    for name in _FOLDERS:
        shutil.rmtree(os.path.join(state_dir, name), ignore_errors=True)
    for name in (record.FOREIGN, "log"):
        files.remove(os.path.join(state_dir, name))


def _call(state_dir: str, words: Sequence[str], stdio: Optional[Sequence[int]] = None, log: str = "") -> None:
    """Call the runtime; what it has to say goes to its log, since its streams may be the container's."""
    note = files.read_json(os.path.join(state_dir, record.FOREIGN)) or {}
    log = log or os.path.join(state_dir, "log")
    files.remove(log)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        status = commands.call([note["program"], "--root", os.path.join(state_dir, "root"), "--log", log, "--log-format", "json",
                                *words], stdio or (null,) * 3)
    finally:
        os.close(null)
    if status == 127 and not os.access(note["program"], os.X_OK):
        raise EngineError("%s cannot be run" % note["program"], "Install it again")
    if status:
        raise EngineError("%s %s: %s" % (note["program"], words[0], _last_words(log) or "it ended with status %d" % status),
                          None if words[0] == "exec" else "Leave 'runtime' out for the runtime that this engine has itself",
                          runtime=note["program"])


def _last_words(log: str) -> str:
    """The last error in a runtime's log."""
    said = ""
    try:
        with open(log, "rb") as stream:
            for line in stream.read(1 << 16).splitlines():
                entry = documents.decode(line.decode("utf-8", "replace"))
                if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
                    said = str(entry.get("msg"))
    except (OSError, ValueError):
        pass
    return said[:1000]
