# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last steps of a container's process, the same for its first one and for one that C(exec) adds.

From the moment the root changes nothing is imported, looked up or decoded by
way of a file: what the image holds is never run or read by this interpreter.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import struct
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, KernelError
from ..kernel import capabilities, clone, mounts, paths
from ..kernel.syscalls import try_call
from . import devices, identity, report

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a program is searched whose environment has no PATH."""
_KEYCTL_JOIN_SESSION_KEYRING = 1


class Stage:
    """What is being done, for the report of a failure."""

    name = "set-up"


_before: List[Any] = []


def seal_imports() -> None:
    """From now on no module can be loaded, whatever lies at the paths of the interpreter.

    What was there is kept, unused: to free it would cost up to three milliseconds.
    """
    _before.extend((sys.path, sys.meta_path, sys.path_hooks, sys.path_importer_cache))
    sys.path, sys.meta_path, sys.path_hooks, sys.path_importer_cache = [], [], [], {}


def end_by_signals(wanted: bool) -> None:
    """Whether the caller ends by a signal that asks it to: the first process of a PID namespace ignores what it does not catch."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, _end if wanted else signal.SIG_DFL)


def _end(number: int, _frame: Any) -> None:
    os._exit(128 + number)


def place_stdio(handles: Sequence[int]) -> None:
    """Make three descriptors 0, 1 and 2, in whatever order they are numbered now."""
    if tuple(handles) == (0, 1, 2):
        for handle in handles:
            os.set_inheritable(handle, True)
        return
    safe = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 3) for handle in handles]
    for number, handle in enumerate(safe):
        os.dup2(handle, number)
        os.close(handle)


def streams(handles: Sequence[int], opened: List[int]) -> Tuple[int, int, int]:
    """Standard streams as a container may have them: the host's null device by way of a read-only mount alone.

    By a plain descriptor of it root inside could change the device's owner and mode for the whole host.

    Args:
        handles: Three descriptors.
        opened: Gets the descriptors that are opened, for the caller to close.
    """
    result = []
    for handle in handles:
        if os.geteuid() == 0 and devices.is_null(handle):
            tree = devices.null()
            opened.append(tree)
            mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY, directory=tree)
            handle = os.open("/proc/self/fd/%d" % tree, fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE | os.O_CLOEXEC)
            opened.append(handle)
        result.append(handle)
    return result[0], result[1], result[2]


def names(handles: Sequence[int]) -> Tuple[str, ...]:
    """What descriptors stand for, as /proc/PID/fd names it."""
    return tuple(os.readlink("/proc/self/fd/%d" % handle) for handle in handles)


def let_go(keep: Sequence[Optional[int]], preserved: int) -> None:
    """Close every descriptor but the three streams, what the program inherits, and some others.

    To mark them would not do: till the execve is through, its path may lead through /proc/self/fd.

    Args:
        keep: What is needed to the end; pipes alone, through which no path leads.
        preserved: How many after the third the program inherits, of those that the creator let it inherit.
    """
    kept = sorted({each for each in keep if each is not None})
    for each in range(3, 3 + preserved):
        try:
            if each not in kept and not os.get_inheritable(each):
                os.close(each)
        except OSError:
            continue  # not open
    first = 3 + preserved
    for each in kept:
        if each >= first:
            clone.close_from(first, last=each - 1)
            first = each + 1
    clone.close_from(first)


def hand_over_stdio(uid: int) -> None:
    """Let the program's user open its own standard streams again by way of /proc/self/fd, as /dev/stdout does.

    Only pipes, sockets and terminals are given away: a file of the host stays whose it is.
    """
    for handle in range(3):
        status = os.fstat(handle)
        if status.st_uid == uid or not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)
                                        or os.isatty(handle)):
            continue
        try:
            os.fchown(handle, uid, -1)
        except OSError:
            pass  # of another user namespace, or on a read-only file system: then it is not possible, and no harm


def environment(entries: Sequence[str]) -> Dict[bytes, bytes]:
    """NAME=value entries as execve takes them; of two with one name the last counts."""
    result = {}
    for each in entries:
        name, _equals, value = each.encode("utf-8", "surrogateescape").partition(b"=")
        result[name] = value
    return result


def arguments(args: Sequence[str]) -> List[bytes]:
    """Arguments as execve takes them."""
    return [each.encode("utf-8", "surrogateescape") for each in args]


def enter_folder(root: int, cwd: str) -> None:
    """Change to the working directory, resolved beneath the root and without magic links.

    Raises:
        KernelError, OSError: It is missing, no folder, or not for this user.
    """
    handle = paths.open_beneath(root, cwd, os.O_PATH | os.O_DIRECTORY)
    try:
        os.fchdir(handle)
    finally:
        os.close(handle)
    if not os.getcwd().startswith("/"):
        raise OSError(errno.ENOENT, "lies outside of the container's root", cwd)


def assume(who: identity.Identity, syscall_filter: Optional[Any], root: int, cwd: str,
           stdio: Sequence[int], stage: Stage, ends: Tuple[int, int], keep: Sequence[Optional[int]], preserved: int) -> None:
    """Become the program's user in its working directory, with its rights and the right to its limits.

    Args:
        syscall_filter: Installed here unless there are no new privileges: then it waits for the last moment, or, where
            another process is to be asked, till this process has its rights.
        root: Descriptor of the root; closed here.
        stdio: Descriptors that become 0, 1 and 2.
        ends: Of the pipes to the creator and from it.
        keep, preserved: See C(let_go), which comes before a filter that may not know its calls.
    """
    stage.name = "process.stdio"
    place_stdio(stdio)
    hand_over_stdio(who.uid)
    stage.name = "process.rlimits"
    identity.raise_limits(0, who)
    stage.name = "process.scheduler"
    identity.set_priorities(who)
    stage.name = "process.cwd"
    entered = _try_folder(root, cwd)
    let_go((root, *ends, *keep), preserved)
    if syscall_filter is not None and not who.no_new_privileges:
        stage.name = "linux.seccomp"
        _install(syscall_filter, ends)
    stage.name = "process.user"
    identity.become(who)
    if who.no_new_privileges:
        stage.name = "process.noNewPrivileges"
        capabilities.set_no_new_privileges()
    stage.name = "process.cwd"
    if not entered:
        enter_folder(root, cwd)
    os.close(root)
    if syscall_filter is not None and who.no_new_privileges and syscall_filter.asks:
        stage.name = "linux.seccomp"
        _install(syscall_filter, ends)


def _install(syscall_filter: Any, ends: Tuple[int, int]) -> None:
    """Put the filter in force; where it asks another process, the creator fetches the listener and sends it there."""
    if not syscall_filter.asks:
        syscall_filter.install()
        return
    number = os.dup(0)  # the lowest that is free, and so the listener's
    os.close(number)
    os.write(ends[0], report.LISTENER + struct.pack("i", number))
    syscall_filter.install()
    if os.read(ends[1], 1) != report.GO:
        os._exit(1)
    os.close(number)


def _try_folder(root: int, cwd: str) -> bool:
    """Enter the working directory with the creator's rights; where they do not suffice, the user's are tried later."""
    try:
        enter_folder(root, cwd)
    except KernelError as error:
        if error.errno == errno.EACCES:
            return False
        raise
    return True


def find_program(name: bytes, env: Dict[bytes, bytes]) -> bytes:
    """The path of a program, searched in $PATH where it has no slash, as the user that will run it.

    Raises:
        OSError: There is none, or it may not be run; names it.
    """
    if not name:
        raise OSError(errno.ENOENT, 'exec: "": the name of the program is empty')
    failure = errno.ENOENT
    for folder in [b""] if b"/" in name else env.get(b"PATH", DEFAULT_PATH).split(b":"):
        path = name if b"/" in name else (folder or b".") + b"/" + name
        try:
            status = os.stat(path)
        except OSError as error:
            failure = error.errno if error.errno == errno.EACCES else failure
            continue
        # access(2) does not count the capabilities of who is not root; what counts them, older filters do not know.
        if stat.S_ISREG(status.st_mode) and (os.access(path, os.X_OK) or os.access(path, os.X_OK, effective_ids=True)):
            return path
        failure = errno.EACCES
    because = os.strerror(failure).lower()
    if failure == errno.ENOENT:
        because = "stat %s: %s" % (name.decode("utf-8", "replace"), because) if b"/" in name \
            else "executable file not found in $PATH"
    raise OSError(failure, 'exec: "%s": %s' % (name.decode("utf-8", "replace"), because))


class Program(NamedTuple):
    """What a process becomes at last.

    Attributes:
        path: Of the file.
    """

    path: bytes
    args: List[bytes]
    env: Dict[bytes, bytes]


def become_program(program: Program, who: identity.Identity, syscall_filter: Optional[Any], ready: Optional[int],
                   stage: Stage) -> None:
    """The very last steps: what would have been in the way till now, and execve(2); returns only by an exception.

    Args:
        syscall_filter: Installed here where there are no new privileges; see C(assume).
        ready: The pipe that is told that all went well and is closed by the execve, or C(None).

    Raises:
        OSError: Names the program.
    """
    stage.name = "process.rlimits"
    identity.set_limits(who)
    if syscall_filter is not None and who.no_new_privileges and not syscall_filter.asks:
        stage.name = "linux.seccomp"
        syscall_filter.install()
    stage.name = "process.args"
    if ready is not None:
        os.write(ready, report.READY)
    try:
        os.execve(program.path, program.args, program.env)
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise OSError(error.errno, "exec %s: %s" % (program.path.decode("utf-8", "replace"), why)) from error


def leave_keyring() -> None:
    """Leave the host's session keyring, whose keys are not the container's, for a new one (keyctl(2)).

    It has no name: whoever knew the name of another's could join that.
    """
    result = try_call("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, None)
    if result < 0 and result not in (-errno.ENOSYS, -errno.EPERM):  # a kernel without keys, or a filter that hides them
        raise KernelError("keyctl(JOIN_SESSION_KEYRING)", -result)


def become_root() -> None:
    """In a user namespace just entered nobody is anybody yet: become its root."""
    try:
        os.setgroups([])
    except PermissionError:
        pass  # /proc/self/setgroups says deny: an unprivileged creator may not drop groups
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def reset_affinity() -> None:
    """Let the caller run on every CPU that its cgroup allows, whatever the process that made it was tied to."""
    if len(os.sched_getaffinity(0)) < (os.cpu_count() or 1):
        os.sched_setaffinity(0, range(1024))


def set_oom_score(pid: int, who: identity.Identity) -> None:
    """From the host: how gladly the kernel kills a process when memory is short (proc_pid_oom_score_adj(5)).

    Raises:
        EngineError: It is lower than the host allows.
    """
    if who.oom_score_adj is None:
        return
    handle = os.open("/proc/%d/oom_score_adj" % pid, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, b"%d" % who.oom_score_adj)
    except PermissionError as error:
        raise EngineError("process.oomScoreAdj: %d is lower than this host allows" % who.oom_score_adj,
                          "Lowering it needs CAP_SYS_RESOURCE", errno=error.errno, path="process.oomScoreAdj") from error
    finally:
        os.close(handle)


def filter_of(config: Dict[str, Any], folder: str = "") -> Optional[Any]:
    """The assembled system call filter of a configuration, or C(None).

    Args:
        folder: Where assembled filters are kept; see C(syscall_filter.assemble).

    Raises:
        EngineError: It cannot be assembled for this machine.
    """
    wanted = (config.get("linux") or {}).get("seccomp")
    if not wanted:
        return None
    from . import syscall_filter  # pylint: disable=import-outside-toplevel
    return syscall_filter.assemble(wanted, folder)
