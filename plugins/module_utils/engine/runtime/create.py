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
from ..errors import Conflict, EngineError, KernelError
from ..kernel import clone, mounts, processes
from ..kernel.syscalls import call
from ..store import documents, files
from . import (cgroup_mount, child, devices, hooks, identity, isolation, labels, launch, memory, record, report, rootfs,
               rootless, spec)
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
        systemd: Whether that cgroup is a scope or a slice, to be started by systemd.
        preserved: How many descriptors from 3 on it inherits.
        init: Whether a reaping first process stands in front of the program.
        pivot: Whether pivot_root(2) is used; not where / is the initramfs.
        keyring: Whether it gets a session keyring of its own.
        wait: Whether it waits for C(start); else the program runs when C(create) returns.
        console: A connected UNIX socket (C(socket.socket)) that gets the terminal, for C(process.terminal).
        filters: Folder where assembled system call filters are kept; nowhere by default.
    """

    identity: str = ""
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    cgroup: str = ""
    systemd: bool = False
    preserved: int = 0
    init: bool = False
    pivot: bool = True
    keyring: bool = True
    wait: bool = True
    console: Optional[Any] = None
    filters: str = ""


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
    refuse(config)
    if bool(process.get("terminal")) != (options.console is not None):
        raise Invalid("process.terminal", "is %s, but %s console socket was given"
                      % (("true", "no") if process.get("terminal") else ("false", "a")),
                      "A terminal and a socket that gets it belong together")
    if options.console is not None:
        from . import console  # noqa: F401  # pylint: disable=import-outside-toplevel,unused-import # the child cannot any more
    root = os.path.realpath(os.path.join(bundle, config["root"]["path"]))
    if not os.path.isdir(root):
        raise Invalid("root.path", "%s is no folder" % root)
    undo: List[Callable[[], Any]] = []
    try:
        return _create(bundle, root, state_dir, config, content, options, warnings, undo)
    except BaseException as error:
        for step in reversed(undo):
            try:
                step()
            except (OSError, EngineError):
                pass
        if hooks.failed(error):
            kept = new_record(options.identity or os.path.basename(state_dir.rstrip("/")), config, bundle, root, options)
            hooks.run_through("poststop", (config.get("hooks") or {}).get("poststop") or (), record.encode(kept, "stopped"))
        raise


def refuse(config: Dict[str, Any]) -> None:
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


def _create(bundle: str, root: str, state_dir: str, config: Dict[str, Any], content: Optional[bytes],
            options: Options, warnings: List[str], undo: List[Callable[[], Any]]) -> Created:
    linux = config.get("linux") or {}
    options = options._replace(cgroup=options.cgroup or linux.get("cgroupsPath") or "")
    name = options.identity or os.path.basename(state_dir.rstrip("/"))
    request = isolation.open_request(config)
    undo.append(request.close)
    claim(state_dir, undo)
    kept = new_record(name, config, bundle, root, options)._replace(covered=_cover(config, root, request, undo))
    record.save(state_dir, kept)
    undo.append(lambda: files.remove(os.path.join(state_dir, record.FILE)))
    keep_config(state_dir, config, content, undo)

    place, leave = own_cgroup(options.cgroup, linux.get("resources") or {}, options.systemd, undo)
    opened: List[int] = []
    nodes_made: List[str] = []
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
        nodes = devices.nodes(config)
        if "user" in request.new and "mount" in request.new:
            nodes = devices.prepared(nodes, linux, state_dir, opened, nodes_made)
        born, late = _split(request, place is None or bool(place.own))
        plan = child.Plan(
            config=config, root=root, steps=steps, nodes=nodes,
            who=identity.of(config["process"]), args=launch.arguments(config["process"]["args"]),
            env=launch.environment(config["process"].get("env") or ()), request=request, late=late,
            birthplace=place, cgroups=cgroup_mount.needed(config, options.cgroup, "cgroup" in request.new),
            stdio=launch.streams((options.stdin, options.stdout, options.stderr), opened),
            preserved=options.preserved, report=reporting, go=going, start=start, result=result, proc=proc,
            record=kept, keyring=options.keyring, pivot=options.pivot, init=options.init,
            filter=launch.filter_of(config, options.filters), tree=root_tree, console=options.console,
            unprivileged=rootless.unprivileged(),
            groups_denied=request.handle("user") is not None or "user" in request.new and rootless.limited())
        made = isolation.make_child(request, born, place.v2 if place is not None else None)
        if made.pid == 0:
            os.close(go)
            child.run(plan)
        undo.append(lambda: _end(made))
        for handle in (reporting, going, proc) + ((result,) if result is not None else ()):
            os.close(handle)
            opened.remove(handle)
        _prepare(made.pid, config, plan)
        kept = kept._replace(pid=made.pid, start_time=processes.start_time(made.pid) or 0)
        settled: Callable[[], Any] = bool
        if linux.get("netDevices"):
            from . import net_devices  # pylint: disable=import-outside-toplevel
            settled = net_devices.move(made.pid, linux["netDevices"], undo)
        os.write(go, report.GO)
        _converse(reading, go, made, kept, config, state_dir, options)
        settled()
    finally:
        for handle in opened:
            os.close(handle)
        opened.clear()
        for path in nodes_made:
            files.remove(path)
        request.close()
        undo.remove(request.close)
        if place is not None:
            cgroup_entry.close_birthplace(place)
        leave()
    return Created(made.pid, made.pidfd, kept.start_time, state_dir, kept, tuple(warnings))


def new_record(name: str, config: Dict[str, Any], bundle: str, root: str, options: Options) -> record.Record:
    """What is kept of a container, before it has a process."""
    return record.Record(
        name, config["ociVersion"], bundle, root, options.cgroup, 0, 0, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        config.get("annotations") or {},
        any(each["type"] == "pid" and not each.get("path") for each in (config.get("linux") or {}).get("namespaces") or ()),
        launch.names((options.stdin, options.stdout, options.stderr)))


def _cover(config: Dict[str, Any], root: str, request: isolation.Request, undo: List[Callable[[], Any]]) -> bool:
    """Where the container has mounts but no mount namespace: lay a copy of the root over it, with which they all go again."""
    if not config.get("mounts") or request.has("mount"):
        return False
    tree = mounts.open_tree(root, clone=True, recursive=True)
    try:
        mounts.move_mount(tree, root)
        undo.append(lambda: mounts.unmount(root, mounts.MNT_DETACH))
        mounts.set_attributes("", 0, directory=tree, propagation=mounts.MS_PRIVATE, recursive=True)
    finally:
        os.close(tree)
    return True


def _trees(config: Dict[str, Any], bundle: str, root: str, request: isolation.Request,
           opened: List[int]) -> Tuple[Optional[int], List[rootfs.Step]]:
    """The mounts to be made, those that the child may not reach opened already; and so its root."""
    steps = rootfs.steps(config, bundle)
    # A user without rights here reaches in a namespace of its own what it could reach before, and must do it there.
    by_parent = request.has("user")
    if rootless.unprivileged():
        rootless.check(request.has("user"), [step.label for step in steps if step.options.idmap])
        by_parent = False
    try:
        steps = rootfs.prepared(steps, config, root, by_parent, opened)
        if isolation.foreign_network(request):
            steps = rootfs.with_sysfs(steps, request.handle("network"), not by_parent, opened)
    except KernelError as error:
        raise report.Failure("start the container", "mounts", error.errno, error.target, str(error)) from error
    if not by_parent or "mount" not in request.new:
        return None, steps
    opened.append(mounts.open_tree(root, clone=True, recursive=True))
    return opened[-1], steps


def _converse(reading: int, go: int, made: clone.Child, kept: record.Record, config: Dict[str, Any], state_dir: str,
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
        elif word == report.LISTENER:
            from . import listener  # pylint: disable=import-outside-toplevel
            listener.pass_on(made, report.read_number(reading), config["linux"]["seccomp"], record.document(kept, "creating"))
            _say(go)
        elif word == report.MAP:
            _map(made, *(report.read_number(reading) for _each in range(3)))
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


def _map(made: clone.Child, tree: int, space: int, recursive: int) -> None:
    """Show a mount of the child's mapped, which its user namespace may not do."""
    own = call("pidfd_getfd", made.pidfd, tree, 0)
    try:
        rootfs.show_mapped("mounts", os.readlink("/proc/self/fd/%d" % own), own, space, bool(recursive))
    finally:
        os.close(own)


def _say(go: int) -> None:
    try:
        os.write(go, report.GO)
    except BrokenPipeError:
        pass  # the report pipe tells why


def claim(state_dir: str, undo: List[Callable[[], Any]]) -> None:
    """Make the state folder this container's."""
    if os.path.exists(os.path.join(state_dir, record.FILE)):
        raise Conflict("container with id exists: '%s'" % os.path.basename(state_dir.rstrip("/")),
                       "Delete it first, or choose another name")
    if not os.path.isdir(state_dir):
        files.make_folder(state_dir, 0o700)
        undo.append(lambda: os.rmdir(state_dir))


def keep_config(state_dir: str, config: Dict[str, Any], content: Optional[bytes],
                undo: List[Callable[[], Any]]) -> None:
    path = os.path.join(state_dir, record.CONFIG)
    if content is None:
        content = documents.encode(config).encode("ascii")
    files.write(path, content, durable=False)
    undo.append(lambda: files.remove(path))


def own_cgroup(path: str, resources: Dict[str, Any], by_systemd: bool,
               undo: List[Callable[[], Any]]) -> Tuple[Any, Callable[[], Any]]:
    """Make the container's cgroup with its limits and open it for the first process; C(None) without one.

    Returns: Where that is born, and what to call once the container is in.
    """
    leave: Callable[[], Any] = int
    if not path:
        return None, leave
    if not path.startswith("/") or ".." in path.split("/"):
        raise Invalid("linux.cgroupsPath", "%r is no absolute path without '..'" % path, "Give one such as /coracle/web")
    from ..cgroup import group, limits  # pylint: disable=import-outside-toplevel
    rules = [{"allow": False, "access": "rwm"}] + list(resources.get("devices") or ()) + devices.allow_rules()
    try:
        # Only the host's root may load a program that guards devices; for others their own rights on the nodes hold.
        wanted = limits.from_oci(dict(resources, devices=None if rootless.limited() else rules))
    except ValueError as error:
        raise Invalid("linux.resources", str(error).replace("linux.resources.", "")) from error
    if group.exists(path) and group.processes(path):
        raise Conflict("the container's cgroup is not empty: %s holds processes already" % path, "Choose another, or end them")
    if group.frozen(path):
        raise Conflict("the container's cgroup unexpectedly frozen: %s" % path, "Thaw it, or choose another")
    undo.append(lambda: group.remove(path))
    if by_systemd:
        from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
        undo.append(lambda: systemd.stop(os.path.basename(path)))
        leave = systemd.hold(path, wanted)
        undo.append(leave)
    try:
        group.create(path, wanted)
    except EngineError as error:
        raise _of_resources(error, limits.OCI_KEYS) from error
    return group.open_birthplace(path), leave


def _of_resources(error: EngineError, keys: Dict[str, str]) -> EngineError:
    """A refused limit, by the name that it has in config.json."""
    for field, key in keys.items():
        if "option '%s'" % field in error.what:
            return Invalid("linux.resources." + key, error.what.replace("option '%s': " % field, ""), error.remedy)
    return Invalid("linux.resources", "invalid configuration: " + error.what, error.remedy)


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
