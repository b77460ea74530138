# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""create: a container's first process, set up in its namespaces and cgroup, waiting for its start.

The process is a direct child of the caller, born by one clone3(2). What fails in
it comes back as one error, and nothing is left behind.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..cgroup import entry as cgroup_entry
from ..errors import Conflict, EngineError, InvalidValue, KernelError
from ..kernel import clone, mounts, processes
from ..store import files
from . import cgroup_mount, child, devices, hooks, identity, isolation, labels, launch, memory, record, report, rootfs, spec
from .checks import Invalid

_SIGKILL = 9


class Created(NamedTuple):
    """A container that was made.

    Attributes:
        pid, start_time: Of its first process.
        pidfd: Stands for that process; the caller closes it.
        state_dir, record: Where its state is, and what was written to state.json.
        warnings: What was ignored.
    """

    pid: int
    pidfd: int
    start_time: int
    state_dir: str
    record: record.Record
    warnings: Tuple[str, ...]


class Options(NamedTuple):
    """How a container is made, beside what its configuration says.

    Attributes:
        identity: Its name; by default that of its state folder.
        stdin, stdout, stderr: Descriptors that become its 0, 1 and 2.
        cgroup: Its own cgroup, absolute below each hierarchy, which is made and removed with it; by default what
            linux.cgroupsPath says. Without either it stays in the caller's.
        preserved: How many descriptors from 3 on it inherits.
        init: Whether a reaping first process stands in front of the program.
        pivot: Whether pivot_root(2) is used; not where / is the initramfs.
        keyring: Whether it gets a session keyring of its own.
        wait: Whether it waits for C(start); else the program runs when C(create) returns.
        console: A connected UNIX socket (C(socket.socket)) that gets the terminal, for C(process.terminal).
    """

    identity: str = ""
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    cgroup: str = ""
    preserved: int = 0
    init: bool = False
    pivot: bool = True
    keyring: bool = True
    wait: bool = True
    console: Optional[Any] = None


def create(bundle: str, state_dir: str, config: Optional[Dict[str, Any]] = None, **choices: Any) -> Created:
    """Make a container.

    Args:
        bundle: Folder of its configuration and root.
        state_dir: Folder for its state, made if missing (0700); it must hold no container.
        config: Its configuration, where it is not to be read from the bundle.
        choices: Any of C(Options), by name.

    Raises:
        Invalid: The configuration breaks the specification; nothing was done.
        Failure: A step of its set-up failed; nothing remains.
        EngineError: A cgroup, namespace or hook failed; nothing remains.
    """
    bundle = os.path.abspath(bundle)
    options = Options(**choices)
    content: Optional[bytes] = None
    if config is None:
        config, content = spec.read(bundle)
        warnings = spec.warnings(config)
    else:
        warnings = spec.validate(config)
    process = config.get("process")
    if not process or not process.get("args"):
        raise Invalid("process.args", "is missing", "A container needs a program to run")
    _refuse(config)
    if bool(process.get("terminal")) != (options.console is not None):
        raise Invalid("process.terminal", "is %s, but %s console socket was given"
                      % (("true", "no") if process.get("terminal") else ("false", "a")),
                      "A terminal and a socket that gets it belong together")
    root = os.path.realpath(os.path.join(bundle, config["root"]["path"]))
    if not os.path.isdir(root):
        raise Invalid("root.path", "%s is no folder" % root)
    undo: List[Callable[[], Any]] = []
    try:
        return _create(bundle, root, state_dir, config, content, options, warnings, undo)
    except BaseException:
        for step in reversed(undo):
            try:
                step()
            except (OSError, EngineError):
                pass
        raise


def _refuse(config: Dict[str, Any]) -> None:
    """Say clearly what this kernel or this runtime does not do, before anything is made.

    Raises:
        Invalid: Names the member.
    """
    linux = config.get("linux") or {}
    labels.check(config)
    memory.check(linux)
    if linux.get("intelRdt"):
        raise Invalid("linux.intelRdt", "resource control groups are not supported by this runtime",
                      "Leave it out, or use an external runtime")
    if linux.get("netDevices"):
        raise Invalid("linux.netDevices", "moving links into the container is not supported by this runtime",
                      "Attach the container to a network, or use an external runtime")


def _create(bundle: str, root: str, state_dir: str, config: Dict[str, Any], content: Optional[bytes],
            options: Options, warnings: List[str], undo: List[Callable[[], Any]]) -> Created:
    linux = config.get("linux") or {}
    options = options._replace(cgroup=options.cgroup or linux.get("cgroupsPath") or "")
    name = options.identity or os.path.basename(state_dir.rstrip("/"))
    request = isolation.open_request(config)
    undo.append(request.close)
    _claim(state_dir, undo)
    kept = record.Record(name, config["ociVersion"], bundle, root, options.cgroup, 0, 0,
                         time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), config.get("annotations") or {},
                         "pid" in request.new)
    record.save(state_dir, kept)
    undo.append(lambda: files.remove(os.path.join(state_dir, record.FILE)))
    _keep_config(state_dir, config, content, undo)

    entry = _cgroup(options.cgroup, linux.get("resources") or {}, undo)
    opened: List[int] = []
    try:
        start = result = None
        if options.wait:
            start = _fifo(os.path.join(state_dir, record.START_FIFO), undo)
            opened.append(start)
            result = _fifo(os.path.join(state_dir, record.RESULT_FIFO), undo)
            opened.append(result)
        reading, reporting = os.pipe2(os.O_CLOEXEC)
        going, go = os.pipe2(os.O_CLOEXEC)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened += [reading, reporting, going, go, proc]

        root_tree, steps = _trees(config, bundle, root, request, opened)
        born, late = _split(request, entry is None or bool(entry.own))
        plan = child.Plan(
            config=config, root=root, steps=steps, nodes=devices.nodes(config),
            who=identity.of(config["process"]), args=launch.arguments(config["process"]["args"]),
            env=launch.environment(config["process"].get("env") or ()), request=request, late=late,
            entry=entry, cgroups=_cgroups(config, options.cgroup, request),
            stdio=(options.stdin, options.stdout, options.stderr),
            preserved=options.preserved, report=reporting, go=going, start=start, result=result, proc=proc,
            record=kept, keyring="_ses." + name if options.keyring else "", pivot=options.pivot, init=options.init,
            filter=launch.filter_of(config), tree=root_tree, console=options.console)
        made = isolation.make_child(request, born, entry.v2 if entry is not None else None)
        if made.pid == 0:
            os.close(go)
            child.run(plan)
        undo.append(lambda: _end(made))
        for handle in (reporting, going, proc) + ((result,) if result is not None else ()):
            os.close(handle)
            opened.remove(handle)
        _prepare(made.pid, config, plan)
        kept = kept._replace(pid=made.pid, start_time=processes.start_time(made.pid) or 0)
        os.write(go, report.GO)
        _converse(reading, go, kept, config, state_dir, options)
    finally:
        for handle in opened:
            os.close(handle)
        opened.clear()
        request.close()
        undo.remove(request.close)
        if entry is not None:
            cgroup_entry.close_entry(entry)
    return Created(made.pid, made.pidfd, kept.start_time, state_dir, kept, tuple(warnings))


def _trees(config: Dict[str, Any], bundle: str, root: str, request: isolation.Request,
           opened: List[int]) -> Tuple[Optional[int], List[rootfs.Step]]:
    """The mounts to be made, those that the child may not reach opened already; and so its root."""
    steps = rootfs.steps(config, bundle)
    in_user_namespace = request.has("user")
    try:
        steps = rootfs.prepared(steps, config, in_user_namespace, opened)
    except KernelError as error:
        raise report.Failure("start the container", "mounts", error.errno, error.target, str(error)) from error
    if not in_user_namespace or "mount" not in request.new:
        return None, steps
    opened.append(mounts.open_tree(root, clone=True, recursive=True))
    return opened[-1], steps


def _converse(reading: int, go: int, kept: record.Record, config: Dict[str, Any], state_dir: str,
              options: Options) -> None:
    """Answer the child till it is ready, or runs."""
    wanted = config.get("hooks") or {}
    if not options.wait:
        record.save(state_dir, kept)  # while the child is busy
    ready = False
    while True:
        word = os.read(reading, 1)
        if word == report.HOOKS:
            state = record.encode(kept, "creating")
            hooks.run_all("prestart", wanted.get("prestart") or (), state)
            hooks.run_all("createRuntime", wanted.get("createRuntime") or (), state)
            _say(go)
        elif word == report.READY and options.wait:
            record.save(state_dir, kept)
            _say(go)
            return
        elif word == report.READY:
            ready = True
        elif word == b"" and ready:
            return  # closed by the execve
        else:
            raise report.decode(word + report.read_all(reading))


def _say(go: int) -> None:
    try:
        os.write(go, report.GO)
    except BrokenPipeError:
        pass  # the report pipe tells why


def _claim(state_dir: str, undo: List[Callable[[], Any]]) -> None:
    """Make the state folder this container's."""
    if os.path.exists(os.path.join(state_dir, record.FILE)):
        raise Conflict("container with id exists: '%s'" % os.path.basename(state_dir.rstrip("/")),
                       "Delete it first, or choose another name")
    if not os.path.isdir(state_dir):
        files.make_folder(state_dir, 0o700)
        undo.append(lambda: os.rmdir(state_dir))


def _keep_config(state_dir: str, config: Dict[str, Any], content: Optional[bytes],
                 undo: List[Callable[[], Any]]) -> None:
    path = os.path.join(state_dir, record.CONFIG)
    if content is None:
        import json  # pylint: disable=import-outside-toplevel
        content = json.dumps(config).encode("utf-8", "surrogateescape")
    files.write(path, content, durable=False)
    undo.append(lambda: files.remove(path))


def _cgroup(path: str, resources: Dict[str, Any], undo: List[Callable[[], Any]]) -> Any:
    """Make the container's cgroup with its limits and open the door to it; C(None) without one."""
    if not path:
        return None
    if not path.startswith("/") or ".." in path.split("/"):
        raise InvalidValue("cgroup", path, "is no absolute path without '..'", "Give one such as /coracle/web")
    from ..cgroup import group, limits  # pylint: disable=import-outside-toplevel
    rules = [{"allow": False, "access": "rwm"}] + list(resources.get("devices") or ()) + devices.allow_rules()
    try:
        wanted = limits.from_oci(dict(resources, devices=rules))
    except ValueError as error:
        raise Invalid("linux.resources", str(error)) from error
    if group.exists(path) and group.processes(path):
        raise Conflict("cgroup %s holds processes already" % path, "Choose another, or end them")
    undo.append(lambda: group.remove(path))
    group.create(path, wanted)
    return group.open_entry(path)


def _split(request: isolation.Request, moves: bool) -> Tuple[int, int]:
    """The clone flags of the namespaces got at birth, and of those made later by the child.

    Args:
        moves: Whether the child is not born into all of its cgroup, whose namespace must then wait.
    """
    kinds = [kind for kind in request.new if kind != "time"]
    if request.handle("user") is not None and "pid" not in kinds:
        return 0, isolation.flags_of(tuple(kinds))  # what is made new must belong to the namespace that is joined first
    late = [kind for kind in kinds if kind == "cgroup" and moves]
    return isolation.flags_of(tuple(kind for kind in kinds if kind not in late)), isolation.flags_of(tuple(late))


def _cgroups(config: Dict[str, Any], path: str, request: isolation.Request) -> cgroup_mount.Cgroups:
    """What a mount of the cgroup file system will need; found out only where there is such a mount."""
    if not any(each.get("type") in ("cgroup", "cgroup2") for each in config.get("mounts") or ()):
        return cgroup_mount.Cgroups()
    from ..cgroup import hierarchy  # pylint: disable=import-outside-toplevel
    found = hierarchy.discover()
    own = "cgroup" in request.new
    mounted = mounts.table()
    rows = [(os.path.basename(folder), cgroup_mount.setting_of(folder, mounted), hierarchy.folder(folder, path or "/"))
            for folder in found.folders]
    v2 = hierarchy.folder(found.v2, path or "/") if found.v2 else None
    return cgroup_mount.Cgroups(tuple(rows), v2, os.path.basename(found.v2) if found.v2 and rows else "", own)


def _prepare(pid: int, config: Dict[str, Any], plan: child.Plan) -> None:
    """What only the host may do to the child."""
    if "user" in plan.request.new:
        isolation.write_maps(pid, config.get("linux") or {})
    if plan.request.has("user"):
        identity.raise_limits(pid, plan.who)
    launch.set_oom_score(pid, plan.who)


def _fifo(path: str, undo: List[Callable[[], Any]]) -> int:
    """A FIFO held open at both ends, so that neither opening it nor writing to it waits."""
    os.mkfifo(path, 0o600)
    undo.append(lambda: files.remove(path))
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def _end(made: clone.Child) -> None:
    """Kill and reap a child whose set-up failed."""
    processes.send_signal(made.pidfd, _SIGKILL)
    try:
        os.waitpid(made.pid, 0)
    except ChildProcessError:
        pass
    os.close(made.pidfd)
