# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a container's first process, from its birth to its execve: one straight line.

It is a clone of the interpreter that created it. Whatever goes wrong is
written to the report pipe, and the process ends; it never returns.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ..cgroup import entry as cgroup_entry
from ..kernel import mounts, namespaces, paths, processes, signals
from ..kernel.syscalls import call
from . import (cgroup_mount, devices, hooks, identity, init, isolation, labels, launch, masks, memory,
               parameters, record, report, rootfs, rootless, users)

if TYPE_CHECKING:
    from . import console


class Plan(NamedTuple):
    """All that the process has to know, worked out before it is born.

    Attributes:
        config: Validated.
        root: Absolute path of the root, as the host sees it.
        steps, nodes: Its mounts and device nodes.
        who: The identity of the program.
        args, env: Of the program.
        request: Its namespaces.
        late: CLONE_NEW* of those that it makes itself, since it must be in its cgroup, or user namespace, before.
        birthplace: Its cgroup, into whose v2 folder it is born; C(None) where it stays in its creator's.
        cgroups: For a mount of the cgroup file system.
        stdio: Three descriptors.
        preserved: How many descriptors from 3 on the program inherits.
        report, go: Pipe ends: to the creator, and from it.
        start, result: The two FIFOs, or C(None) where it does not wait for a start.
        proc: Descriptor of the host's /proc.
        record: Its record, for hooks in its own namespaces.
        keyring: Whether it gets a session keyring of its own.
        pivot: Whether pivot_root(2) is used.
        init: Whether a reaping first process stays in front of the program.
        filter: Assembled seccomp filter, or C(None).
        tree: Descriptor of a detached copy of the root, where a user namespace may not be able to reach its path.
        console: The socket that gets the terminal, or C(None) where there is none.
        unprivileged: Whether the creator has no rights but those in the user namespace that it makes.
        groups_denied: Whether its user namespace may be one in which nobody sets groups: none that the host's root makes is.
    """

    config: Dict[str, Any]
    root: str
    steps: List[rootfs.Step]
    nodes: List[devices.Node]
    who: identity.Identity
    args: List[bytes]
    env: Dict[bytes, bytes]
    request: isolation.Request
    late: int
    birthplace: Optional[cgroup_entry.Birthplace]
    cgroups: cgroup_mount.Cgroups
    stdio: Tuple[int, int, int]
    preserved: int
    report: int
    go: int
    start: Optional[int]
    result: Optional[int]
    proc: int
    record: record.Record
    keyring: bool
    pivot: bool
    init: bool
    filter: Optional[Any]
    tree: Optional[int]
    console: Optional[Any]
    unprivileged: bool
    groups_denied: bool


def run(plan: Plan) -> None:
    """Do it all; never returns."""
    stage = launch.Stage()
    try:
        _set_up(plan, stage)
    except BaseException as error:  # pylint: disable=broad-except
        words = report.encode(stage.name, error)
        for handle in (plan.report, plan.result):
            if handle is not None:
                try:
                    os.write(handle, words)
                except OSError:
                    pass
    finally:
        os._exit(1)


def _await_go(plan: Plan) -> None:
    """Wait for the creator's word; where it has died, so does this process."""
    if os.read(plan.go, 1) != report.GO:
        os._exit(1)


def _set_up(plan: Plan, stage: launch.Stage) -> None:
    config = plan.config
    linux = config.get("linux") or {}
    signals.reset()
    if plan.birthplace is not None:
        stage.name = "cgroup"
        cgroup_entry.enter_self(plan.birthplace)
    launch.reset_affinity()
    offsets = _open_offsets(plan) if linux.get("timeOffsets") else None
    if not (plan.unprivileged and "user" in plan.request.new):
        processes.set_dumpable(False)  # else it is once its IDs are mapped: newuidmap(1) must see whose it is
    os.setsid()
    os.umask(0)
    _await_go(plan)

    stage.name = "namespaces"
    in_user_namespace = isolation.join_in_child(plan.request, "user", plan.proc) or "user" in plan.request.new
    if plan.late:
        namespaces.unshare(plan.late)
    if in_user_namespace:
        launch.become_root()
        processes.set_dumpable(False)
        if plan.groups_denied and not rootless.may_set_groups(plan.proc):
            plan = plan._replace(who=plan.who._replace(may_set_groups=False))
    identity.lessen(plan.who)
    if linux.get("timeOffsets") or "time" in plan.request.new:
        _enter_time(plan, linux.get("timeOffsets") or {}, offsets)
    joined_mounts = isolation.join_in_child(plan.request, "mount", plan.proc)
    if plan.keyring:
        stage.name = "session keyring"
        launch.leave_keyring()

    if plan.init:
        init.wipe_traces(plan.proc)
    launch.seal_imports()
    terminal: Optional[console.Terminal] = None
    if "mount" in plan.request.new or plan.record.covered:
        late: List[int] = []
        root = _put_together(plan, stage, in_user_namespace, late)
        if plan.console is not None:
            terminal = _terminal(plan, stage, root)
        stage.name = "mounts"
        rootfs.finish(late)
        _restrict(stage, root, config)
    else:
        stage.name = "root (%s)" % plan.root
        root = paths.Root(plan.root)
        if not joined_mounts:
            _make_cwd(root, config)
        _hooks(plan, stage, root)

    stage.name = "hostname"
    if config.get("hostname"):
        name = os.fsencode(config["hostname"])
        call("sethostname", name, len(name), target=config["hostname"])
    stage.name = "domainname"
    if config.get("domainname"):
        name = os.fsencode(config["domainname"])
        call("setdomainname", name, len(name), target=config["domainname"])
    if linux.get("sysctl"):
        stage.name = "linux.sysctl"
        parameters.write(plan.proc, linux["sysctl"])

    stage.name = "root (%s)" % plan.root
    if "mount" in plan.request.new:
        rootfs.enter(root, plan.pivot)
        propagation = rootfs.propagation_of(config)
        if propagation:
            mounts.mount(None, "/", None, propagation)
    else:
        rootfs.chroot(plan.root)
        if plan.console is not None and terminal is None:
            terminal = _terminal(plan, stage, root)
    stage.name = "process.apparmorProfile"
    labels.apply(config["process"], plan.proc)
    stage.name = "linux.memoryPolicy"
    memory.apply(linux)
    _become(plan, stage, root, terminal)


def _terminal(plan: Plan, stage: launch.Stage, root: paths.Root) -> console.Terminal:
    """The container's terminal, whose other end goes to the caller."""
    from . import console  # pylint: disable=import-outside-toplevel,redefined-outer-name # which the creator has imported
    stage.name = "process.terminal"
    terminal = console.make(root.handle, plan.config["process"])
    if "mount" in plan.request.new or plan.record.covered:
        console.show(root, terminal)
    if plan.console is not None:
        console.hand_out(plan.console, terminal)
    return terminal


def _become(plan: Plan, stage: launch.Stage, root: paths.Root, terminal: Optional[console.Terminal]) -> None:
    """The part after the root has changed."""
    process = plan.config.get("process") or {}
    stdio = plan.stdio
    if terminal is not None:
        from . import console  # pylint: disable=import-outside-toplevel,redefined-outer-name
        stage.name = "process.terminal"
        console.control(terminal)
        stdio = (terminal.slave,) * 3
    launch.assume(plan.who, plan.filter, root.handle, process.get("cwd") or "/", stdio, stage,
                  (plan.report, plan.go), (plan.start, plan.result), plan.preserved)
    stage.name = "process.args"
    program = launch.find_program(plan.args[0], plan.env)

    if plan.start is not None:
        stage.name = "start"
        launch.end_by_signals(True)
        os.write(plan.report, report.READY)
        _await_go(plan)
        os.close(plan.report)
        os.close(plan.go)
        os.read(plan.start, 1)
        launch.end_by_signals(False)
    wanted, last = (plan.config.get("hooks") or {}).get("startContainer"), plan.filter
    if wanted:
        if last is not None and plan.who.no_new_privileges and not last.asks:
            stage.name = "linux.seccomp"
            last.install()  # which holds for the hooks as well
            last = None
        stage.name = "hooks.startContainer"
        hooks.run_all("startContainer", wanted, record.encode(plan.record, "created", os.getpid()), inside=True,
                      environment=plan.env)
    if plan.init:
        stage.name = "init"
        init.stay(plan, last if plan.who.no_new_privileges and last is not None and not last.asks else None)
    launch.become_program(launch.Program(program, plan.args, plan.env), plan.who, last,
                          plan.report if plan.start is None else None, stage)


def _put_together(plan: Plan, stage: launch.Stage, in_user_namespace: bool, late: List[int]) -> paths.Root:
    """The root file system with all that is mounted in it, before it becomes the root; for C(late) see C(rootfs.mount)."""
    config = plan.config
    stage.name = "root (%s)" % plan.root
    if plan.record.covered:
        root = paths.Root(plan.root)
    else:
        root = rootfs.enter_namespace(plan.root, rootfs.propagation_of(config), plan.tree)

    def ask(tree: int, step: rootfs.Step) -> None:
        os.write(plan.report, report.MAP + struct.pack("iii", tree, step.space, step.options.idmap == "ridmap"))
        _await_go(plan)
    for step in plan.steps:
        stage.name = step.label
        rootfs.mount(root, step, plan.cgroups, late, ask if in_user_namespace else None)
    if not rootfs.has_bind_at(plan.steps, "/dev"):
        stage.name = "linux.devices"
        devices.make(root, plan.nodes, in_user_namespace)
        devices.link(root)
    stage.name = "process.cwd"
    _make_cwd(root, config)
    if not plan.env.get(b"HOME"):
        plan.env[b"HOME"] = os.fsencode(users.home_of(root, plan.who.uid))
    _hooks(plan, stage, root)
    return root


def _restrict(stage: launch.Stage, root: paths.Root, config: Dict[str, Any]) -> None:
    """Take away what the container may not see or write; nothing is made in the root any more."""
    linux = config.get("linux") or {}
    if config["root"].get("readonly"):
        stage.name = "root.readonly"
        rootfs.make_read_only(root)
    stage.name = "linux.readonlyPaths"
    masks.protect(root, linux.get("readonlyPaths") or ())
    stage.name = "linux.maskedPaths"
    masks.mask(root, linux.get("maskedPaths") or ())


def _make_cwd(root: paths.Root, config: Dict[str, Any]) -> None:
    """Make the working directory where the image lacks it."""
    cwd = (config.get("process") or {}).get("cwd") or "/"
    if cwd != "/" and not root.exists(cwd):
        os.close(root.make_folders(cwd))


def _hooks(plan: Plan, stage: launch.Stage, root: paths.Root) -> None:
    """Let the creator run its hooks, then run those of this namespace, which find themselves in the root's folder."""
    wanted = plan.config.get("hooks") or {}
    if wanted.get("prestart") or wanted.get("createRuntime"):
        stage.name = "hooks.createRuntime"
        os.write(plan.report, report.HOOKS)
        _await_go(plan)
    if wanted.get("createContainer"):
        stage.name = "hooks.createContainer"
        os.fchdir(root.handle)
        hooks.run_all("createContainer", wanted["createContainer"], record.encode(plan.record, "creating", os.getpid()))


def _open_offsets(plan: Plan) -> int:
    """The file that sets the clocks; opened as long as it is this process's own, which it is not once it hides its memory."""
    return os.open("self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC, dir_fd=plan.proc)


def _enter_time(plan: Plan, offsets: Dict[str, Dict[str, int]], file: Optional[int]) -> None:
    """Make a time namespace, set its clocks and enter it (time_namespaces(7))."""
    namespaces.unshare(namespaces.NEWTIME)
    if file is not None:
        text = "".join("%s %d %d\n" % (clock, each.get("secs") or 0, each.get("nanosecs") or 0)
                       for clock, each in sorted(offsets.items()))
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    handle = os.open("self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC, dir_fd=plan.proc)
    try:
        namespaces.setns(handle, namespaces.NEWTIME)
    finally:
        os.close(handle)
