# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec: run a further process in a running container: its namespaces, cgroup, root, rights and filters."""

from __future__ import annotations

import errno
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..cgroup import entry as cgroup_entry
from ..errors import Conflict, EngineError
from ..kernel import clone, namespaces, paths, processes, signals
from . import console, identity, isolation, labels, launch, memory, record, report, rootless, spec, users
from .checks import Invalid, numbers

_SIGKILL = 9


class Started(NamedTuple):
    """A process that runs in a container: a direct child of the caller, who reaps it and closes the pidfd."""

    pid: int
    pidfd: int
    warnings: Tuple[str, ...]


class _Plan(NamedTuple):
    process: Dict[str, Any]
    who: identity.Identity
    args: Any
    env: Any
    target: int
    flags: int
    inside: int
    rootfs: str
    linux: Dict[str, Any]
    stdio: Tuple[int, int, int]
    preserved: int
    report: int
    go: int
    filter: Optional[Any]
    proc: int
    console: Optional[Any]
    birthplace: Optional[cgroup_entry.Birthplace]


def process_like_init(state_dir: str, args: Sequence[str], **changes: Any) -> Dict[str, Any]:
    """A process object for C(run): the container's own, with other arguments.

    Args:
        changes: Members of the process object to replace; C(env) is added to what is there.
    """
    process = dict(spec.load(os.path.join(state_dir, record.CONFIG)).get("process") or {})
    process.update(terminal=False, args=list(args))
    environment = list(process.get("env") or ()) + list(changes.pop("env", ()))
    process.update(changes, env=environment)
    return process


def run(state_dir: str, process: Dict[str, Any], stdin: int = 0, stdout: int = 1, stderr: int = 2,
        preserved: int = 0, cgroup: Optional[Mapping[str, str]] = None, socket: Optional[Any] = None,
        paused: bool = False, filters: str = "") -> Started:
    """Start a process in a running container.

    Args:
        process: As runtime-spec config.md defines it; see C(process_like_init).
        stdin, stdout, stderr: Descriptors that become its 0, 1 and 2.
        preserved: How many descriptors from 3 on it inherits.
        cgroup: A group below the container's to put it into, by v1 controller, or by nothing for all; by default the
            container's own.
        socket: A connected UNIX socket that gets the terminal, for C(process.terminal).
        paused: Whether the container may be paused: the process then waits with the others, and so does this call.
        filters: As for C(create).

    Raises:
        Invalid: The process object breaks the specification.
        Conflict: The container does not run.
        Failure: A step failed; no process remains.
    """
    warnings = spec.validate_process(process)
    if bool(process.get("terminal")) != (socket is not None):
        raise Invalid("process.terminal", "and a console socket belong together: give both or neither")
    labels.check({"process": process})
    kept = record.load(state_dir)
    now = record.status(state_dir, kept)
    if now == "paused" and not paused:
        raise Conflict("cannot exec in a paused container: '%s'" % kept.id, "Resume it, or use --ignore-paused")
    if now not in ("running", "created", "paused"):
        raise Conflict("cannot exec in a %s container: '%s'" % (now, kept.id), "A process can only be added to one that runs")
    if os.path.exists(os.path.join(state_dir, record.FOREIGN)):
        from . import external  # pylint: disable=import-outside-toplevel
        words = [word for controller, path in (cgroup or {}).items()
                 for word in ("--cgroup", "%s:%s" % (controller, path) if controller else path)]
        pid = external.add(state_dir, process, (stdin, stdout, stderr), preserved, socket,
                           words + ["--ignore-paused"] * paused)
        return Started(pid, os.pidfd_open(pid), tuple(warnings))
    config = spec.load(os.path.join(state_dir, record.CONFIG))
    target = processes.open_pidfd(kept.process)
    if target is None:
        raise Conflict("container '%s' is stopped" % kept.id, "It has just ended")
    opened = [target]
    try:
        reading, reporting = os.pipe2(os.O_CLOEXEC)
        going, go = os.pipe2(os.O_CLOEXEC)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened += [reading, reporting, going, go, proc]
        flags = _foreign(kept.pid)
        plan = _Plan(process, identity.of(process), launch.arguments(process["args"]),
                     launch.environment(process.get("env") or ()), target, flags & ~namespaces.NEWPID,
                     namespaces.NEWUSER if flags & namespaces.NEWPID and rootless.unprivileged() else 0,
                     "" if flags & namespaces.NEWNS else kept.rootfs, config.get("linux") or {},
                     launch.streams((stdin, stdout, stderr), opened), preserved, reporting, going, launch.filter_of(config, filters),
                     proc, socket, None)
        made, plan = _make_child(kept, cgroup, plan, flags)
        if made.pid == 0:
            os.close(go)
            _child(plan)
        for handle in (reporting, going):
            os.close(handle)
            opened.remove(handle)
        try:
            _admit(made.pid, plan)
            os.write(go, report.GO)
            said = os.read(reading, 1)
            if said == report.LISTENER:
                from . import listener  # pylint: disable=import-outside-toplevel
                listener.pass_on(made, report.read_number(reading), config["linux"]["seccomp"], record.document(kept, now))
                os.write(go, report.GO)
                said = b""
            said += report.read_all(reading)
            if said != report.READY:
                raise report.decode(said.lstrip(report.READY), "run the process in container '%s'" % kept.id)
        except BaseException:
            processes.send_signal(made.pidfd, _SIGKILL)
            os.waitpid(made.pid, 0)
            os.close(made.pidfd)
            raise
    finally:
        for handle in opened:
            os.close(handle)
    return Started(made.pid, made.pidfd, tuple(warnings))


def _foreign(pid: int) -> int:
    """The clone flags of those namespaces of a process that are not the caller's."""
    flags = 0
    for kind, name in namespaces.FILES.items():
        try:
            if namespaces.identity("/proc/%d/ns/%s" % (pid, name)) != namespaces.identity("/proc/thread-self/ns/" + name):
                flags |= namespaces.FLAGS[kind]
        except FileNotFoundError:
            continue  # a kernel without this kind
    return flags


def _make_child(kept: record.Record, below: Optional[Mapping[str, str]], plan: _Plan, flags: int,
                ) -> Tuple[clone.Child, _Plan]:
    """A child that is born in the container's PID namespace and v2 cgroup; and the plan with the door to the others.

    A user without rights where it is has them once it has joined the container's user namespace.
    """
    if not kept.cgroup:
        return _clone(plan.target, flags, None), plan
    place = cgroup_entry.open_birthplace(kept.cgroup, below)
    try:
        try:
            made = _clone(plan.target, flags, place.v2)
        except EngineError as error:
            if error.facts.get("errno") != errno.EBUSY or below:
                raise
            # The container has groups of its own with controllers, so that none but them may hold processes.
            cgroup_entry.close_birthplace(place)
            place = cgroup_entry.open_birthplace(kept.cgroup, v2=cgroup_entry.v2_group_of(kept.pid))
            made = _clone(plan.target, flags, place.v2)
        if made.pid == 0:
            return made, plan._replace(birthplace=place)
    except BaseException:
        cgroup_entry.close_birthplace(place)
        raise
    cgroup_entry.close_birthplace(place)
    return made, plan


def _clone(target: int, flags: int, cgroup: Optional[int]) -> clone.Child:
    if not flags & namespaces.NEWPID:
        return clone.clone(0, cgroup)
    if rootless.limited():
        inside = namespaces.NEWUSER if rootless.unprivileged() else 0
        return isolation.clone_within([(target, flags & inside | namespaces.NEWPID)], 0, cgroup)
    home = os.open("/proc/thread-self/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(target, namespaces.NEWPID)
        try:
            made = clone.clone(0, cgroup)
        except BaseException:
            namespaces.setns(home, namespaces.NEWPID)
            raise
        if made.pid:
            namespaces.setns(home, namespaces.NEWPID)
        return made
    finally:
        os.close(home)


def _admit(pid: int, plan: _Plan) -> None:
    """Give the child what only the host may give it."""
    if plan.flags & namespaces.NEWUSER:
        identity.raise_limits(pid, plan.who)
    launch.set_oom_score(pid, plan.who)


def _enter_cgroup(plan: _Plan, stage: launch.Stage) -> None:
    """Be where the container's processes are, on the CPUs that are meant for one that is added."""
    affinity = plan.process.get("execCPUAffinity") or {}
    stage.name = "process.execCPUAffinity"
    if affinity.get("initial"):
        os.sched_setaffinity(0, numbers(affinity["initial"], "process.execCPUAffinity.initial"))
    stage.name = "cgroup"
    if plan.birthplace is not None:
        cgroup_entry.enter_self(plan.birthplace)
    stage.name = "process.execCPUAffinity"
    if affinity.get("final"):
        os.sched_setaffinity(0, numbers(affinity["final"], "process.execCPUAffinity.final"))
    elif not affinity.get("initial"):
        launch.reset_affinity()


def _child(plan: _Plan) -> None:
    """The added process, from its birth to its execve; never returns."""
    stage = launch.Stage()
    try:
        signals.reset()
        _enter_cgroup(plan, stage)
        processes.set_dumpable(False)
        os.setsid()
        if os.read(plan.go, 1) != report.GO:
            os._exit(1)
        launch.seal_imports()
        stage.name = "process.apparmorProfile"
        labels.apply(plan.process, plan.proc)
        stage.name = "linux.memoryPolicy"
        memory.apply(plan.linux)
        stage.name = "namespaces"
        if plan.flags & ~plan.inside:
            namespaces.setns(plan.target, plan.flags & ~plan.inside)
        who = plan.who
        if plan.flags & namespaces.NEWUSER:
            launch.become_root()
            processes.set_dumpable(False)
            who = who._replace(may_set_groups=rootless.may_set_groups(plan.proc))
        identity.lessen(who)
        if plan.rootfs:
            os.chroot(plan.rootfs)
        os.chdir("/")
        launch.leave_keyring()
        inside = paths.Root("/")
        root = inside.handle
        if not plan.env.get(b"HOME"):
            plan.env[b"HOME"] = os.fsencode(users.home_of(inside, plan.who.uid))
        stdio = plan.stdio
        if plan.console is not None:
            stage.name = "process.terminal"
            terminal = console.make(root, plan.process)
            console.hand_out(plan.console, terminal)
            console.control(terminal)
            stdio = (terminal.slave,) * 3
        launch.assume(who, plan.filter, root, plan.process.get("cwd") or "/", stdio, stage, (plan.report, plan.go), (),
                      plan.preserved)
        stage.name = "process.args"
        program = launch.find_program(plan.args[0], plan.env)
        launch.become_program(launch.Program(program, plan.args, plan.env), plan.who, plan.filter,
                              plan.report, stage)
    except BaseException as error:  # pylint: disable=broad-except
        os.write(plan.report, report.encode(stage.name, error))
    finally:
        os._exit(1)
