# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec: run a further process in a running container: its namespaces, cgroup, root, rights and filters."""

from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, EngineError, KernelError
from ..kernel import clone, namespaces, paths, processes
from ..kernel.syscalls import try_call
from . import console, identity, labels, launch, record, report, spec, users
from .checks import Invalid

_SIGKILL = 9
_KEYCTL_JOIN_SESSION_KEYRING = 1


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
    rootfs: str
    keyring: str
    stdio: Tuple[int, int, int]
    preserved: int
    report: int
    go: int
    filter: Optional[Any]
    proc: int
    console: Optional[Any]


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
        preserved: int = 0, cgroup: str = "", socket: Optional[Any] = None) -> Started:
    """Start a process in a running container.

    Args:
        process: As runtime-spec config.md defines it; see C(process_like_init).
        stdin, stdout, stderr: Descriptors that become its 0, 1 and 2.
        preserved: How many descriptors from 3 on it inherits.
        cgroup: A group below the container's to put it into; by default the container's own.
        socket: A connected UNIX socket that gets the terminal, for C(process.terminal).

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
    if now not in ("running", "created"):
        raise Conflict("container '%s' is %s" % (kept.id, now), "A process can only be added to one that runs")
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
                     "" if flags & namespaces.NEWNS else kept.rootfs, "_ses." + kept.id, (stdin, stdout, stderr),
                     preserved, reporting, going, launch.filter_of(config), proc, socket)
        made = _make_child(target, bool(flags & namespaces.NEWPID))
        if made.pid == 0:
            os.close(go)
            _child(plan)
        for handle in (reporting, going):
            os.close(handle)
            opened.remove(handle)
        try:
            _admit(kept, cgroup, made.pid, plan)
            os.write(go, report.GO)
            said = report.read_all(reading)
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


def _make_child(target: int, join_pid: bool) -> clone.Child:
    """A child that is born in the container's PID namespace."""
    if not join_pid:
        return clone.clone()
    home = os.open("/proc/thread-self/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(target, namespaces.NEWPID)
        made = clone.clone()
        if made.pid:
            namespaces.setns(home, namespaces.NEWPID)
        return made
    finally:
        os.close(home)


def _admit(kept: record.Record, cgroup: str, pid: int, plan: _Plan) -> None:
    """Put the child where the container's processes are, with what only the host may give it."""
    affinity = plan.process.get("execCPUAffinity") or {}
    if affinity.get("initial"):
        os.sched_setaffinity(pid, launch.cpus(affinity["initial"]))
    if kept.cgroup:
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        if ".." in cgroup.split("/"):
            raise EngineError("cgroup '%s' leads out of the container's" % cgroup, "Give the path of one below it")
        group.attach((kept.cgroup + "/" + cgroup.strip("/")).rstrip("/"), pid)
    if affinity.get("final"):
        os.sched_setaffinity(pid, launch.cpus(affinity["final"]))
    if plan.flags & namespaces.NEWUSER:
        identity.raise_limits(pid, plan.who)
    launch.set_oom_score(pid, plan.who)


def _child(plan: _Plan) -> None:
    """The added process, from its birth to its execve; never returns."""
    stage = launch.Stage()
    try:
        launch.reset_signals()
        processes.set_dumpable(False)
        os.setsid()
        if os.read(plan.go, 1) != report.GO:
            os._exit(1)
        launch.seal_imports()
        stage.name = "process.apparmorProfile"
        labels.apply(plan.process, plan.proc)
        stage.name = "namespaces"
        if plan.flags:
            namespaces.setns(plan.target, plan.flags)
        if plan.flags & namespaces.NEWUSER:
            launch.become_root()
            processes.set_dumpable(False)
        if plan.rootfs:
            os.chroot(plan.rootfs)
        os.chdir("/")
        result = try_call("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, os.fsencode(plan.keyring))
        if result < 0 and result not in (-38, -1, -13):
            raise KernelError("keyctl(JOIN_SESSION_KEYRING)", -result, plan.keyring)
        inside = paths.Root("/")
        root = inside.handle
        if b"HOME" not in plan.env:
            plan.env[b"HOME"] = os.fsencode(users.home_of(inside, plan.who.uid))
        stdio = plan.stdio
        if plan.console is not None:
            stage.name = "process.terminal"
            terminal = console.make(root, plan.process)
            console.hand_out(plan.console, terminal)
            console.control(terminal)
            stdio = (terminal.slave,) * 3
        launch.assume(plan.who, plan.filter, root, plan.process.get("cwd") or "/", stdio, stage)
        inside.close()
        stage.name = "process.args"
        program = launch.find_program(plan.args[0], plan.env)
        stage.name = "process.rlimits"
        identity.set_limits(plan.who)
        if plan.filter is not None and plan.who.no_new_privileges:
            stage.name = "linux.seccomp"
            plan.filter.install()
        stage.name = "process.args"
        os.write(plan.report, report.READY)
        launch.execute(program, plan.args, plan.env, plan.preserved)
    except BaseException as error:  # pylint: disable=broad-except
        os.write(plan.report, report.encode(stage.name, error))
    finally:
        os._exit(1)
