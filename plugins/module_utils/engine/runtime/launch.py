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
import sys
from typing import Any, Dict, List, Optional, Sequence

from ..errors import EngineError, KernelError
from ..kernel import capabilities, clone, paths
from . import identity

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a program is searched whose environment has no PATH."""


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


def reset_signals() -> None:
    """Default dispositions and an empty mask: an ignored signal would be inherited through execve(2)."""
    for number in range(1, signal.NSIG):
        try:
            if signal.getsignal(number) is not signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


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
           stdio: Sequence[int], stage: Stage) -> None:
    """Become the program's user in its working directory, with its rights and the right to its limits.

    Args:
        syscall_filter: Installed here unless there are no new privileges: then it waits for the last moment.
        root: Descriptor of the root.
        stdio: Descriptors that become 0, 1 and 2.
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
    if syscall_filter is not None and not who.no_new_privileges:
        stage.name = "linux.seccomp"
        syscall_filter.install()
    stage.name = "process.user"
    identity.become(who)
    if who.no_new_privileges:
        stage.name = "process.noNewPrivileges"
        capabilities.set_no_new_privileges()
    stage.name = "process.cwd"
    if not entered:
        enter_folder(root, cwd)


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
        raise OSError(errno.ENOENT, "the name of the program is empty", name)
    failure = errno.ENOENT
    for folder in [b""] if b"/" in name else env.get(b"PATH", DEFAULT_PATH).split(b":"):
        path = name if b"/" in name else (folder or b".") + b"/" + name
        try:
            status = os.stat(path)
        except OSError as error:
            failure = error.errno if error.errno == errno.EACCES else failure
            continue
        if stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK):
            return path
        failure = errno.EACCES
    if failure == errno.ENOENT:
        raise OSError(failure, os.strerror(failure) if b"/" in name else "executable file not found in $PATH", name)
    raise OSError(failure, os.strerror(failure), name)


def execute(program: bytes, args: List[bytes], env: Dict[bytes, bytes], preserved: int) -> None:
    """Become the program; returns only by an exception.

    Args:
        program: Its path.
        preserved: How many descriptors after the third stay open.

    Raises:
        OSError: Names the program.
    """
    clone.close_from(3 + preserved, only_on_exec=True)
    os.execve(program, args, env)


def become_root() -> None:
    """In a user namespace just entered nobody is anybody yet: become its root."""
    try:
        os.setgroups([])
    except PermissionError:
        pass  # /proc/self/setgroups says deny: an unprivileged creator may not drop groups
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


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


def cpus(text: str) -> List[int]:
    """CPU numbers of a list such as C(0-3,7) (cpuset(7), List format)."""
    found: List[int] = []
    for part in text.split(","):
        first, _dash, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise EngineError("%r is no list of CPUs" % text, "Write it as 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def filter_of(config: Dict[str, Any]) -> Optional[Any]:
    """The assembled system call filter of a configuration, or C(None).

    Raises:
        EngineError: It cannot be assembled for this machine.
    """
    wanted = (config.get("linux") or {}).get("seccomp")
    if not wanted:
        return None
    from . import syscall_filter  # pylint: disable=import-outside-toplevel
    return syscall_filter.assemble(wanted)
