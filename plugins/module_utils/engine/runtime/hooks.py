# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: programs that run at given points of a container's life, its state on their standard input.

Source: runtime-spec config.md, POSIX-platform Hooks.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from typing import Any, Dict, List, Optional, Sequence

from ..errors import EngineError
from ..kernel import clone, processes
from .report import Failure

OUTPUT_LIMIT = 4096
"""Bytes of a hook's standard error that are kept for the error message."""
_SIGKILL = 9
_LONGEST = 2**30
"""Milliseconds of one wait: poll(2) takes no more than an int, and what is asked for may be more."""


class HookFailed(EngineError):
    """A hook could not be run, failed, or took too long."""


def run_all(kind: str, wanted: Sequence[Dict[str, Any]], state: bytes, inside: bool = False,
            environment: Optional[Dict[bytes, bytes]] = None) -> None:
    """Run hooks one after the other.

    Args:
        kind: As in config.json, for errors.
        state: The container's state as JSON.
        inside: Whether the root has changed already.
        environment: Of a hook that says nothing of its own; by default the caller's, as runc's and crun's hooks have it.

    Raises:
        HookFailed: The first that fails; the rest are not run.
    """
    for number, hook in enumerate(wanted):
        run("error running %s hook #%d: hooks.%s[%d]" % (kind, number, kind, number), hook, state, inside, environment)


def failed(error: BaseException) -> bool:
    """Whether a hook's failure is the cause, here or in the container's process."""
    return isinstance(error, HookFailed) or isinstance(error, Failure) and error.stage.startswith("hooks.")


def run_through(kind: str, wanted: Sequence[Dict[str, Any]], state: bytes) -> List[str]:
    """Run hooks one after the other, past failures, which are returned as warnings."""
    warnings = []
    for number, hook in enumerate(wanted):
        try:
            run("error running %s hook #%d: hooks.%s[%d]" % (kind, number, kind, number), hook, state)
        except EngineError as error:
            warnings.append(str(error))
    return warnings


def run(label: str, hook: Dict[str, Any], state: bytes, inside: bool = False,
        environment: Optional[Dict[bytes, bytes]] = None) -> None:
    """Run one hook and wait for it; for C(inside) and C(environment) see C(run_all).

    Raises:
        HookFailed: Says how it failed, with the end of its standard error.
    """
    path = hook["path"]
    arguments = [os.fsencode(each) for each in hook.get("args") or [path]]
    if hook.get("env") is not None:
        environment = _environment(hook["env"])
    elif environment is None:
        environment = dict(os.environb)
    stdin, feed = os.pipe2(os.O_CLOEXEC)
    said, stderr = os.pipe2(os.O_CLOEXEC)
    sink = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    child = clone.clone(alone=inside)
    if child.pid == 0:
        try:
            os.setsid()
            os.dup2(stdin, 0)
            os.dup2(sink, 1)
            os.dup2(stderr, 2)
            if not inside:  # else all is marked but what the program inherits, and a filter may be in force
                clone.close_from(3, only_on_exec=True)
            os.execve(path, arguments, environment)
        except BaseException as error:  # pylint: disable=broad-except
            try:
                os.write(stderr, os.fsencode(os.strerror(getattr(error, "errno", 0) or 0)))
            finally:
                os._exit(127)
    for handle in (stdin, stderr, sink):
        os.close(handle)
    timeout = hook.get("timeout")
    try:
        os.set_blocking(feed, False)
        output, ended = _attend(child, feed, said, state, None if not timeout else time.monotonic() + timeout)
        if not ended:
            processes.send_signal(child.pidfd, _SIGKILL)
            _kill_group(child.pid)
        _pid, status = os.waitpid(child.pid, 0)
    finally:
        os.close(said)
        os.close(child.pidfd)
    words = output.decode("utf-8", "replace").strip()
    because = ": " + words if words else ""
    if not ended:
        raise HookFailed("%s (%s) did not end within its timeout of %s s and was killed%s" % (label, path, timeout, because))
    if status:
        code = -(status & 0x7F) if status & 0x7F else status >> 8
        how = "was killed by signal %d (%s)" % (-code, (signal.strsignal(-code) or "").lower()) if code < 0 \
            else "ended with exit status %d" % code
        raise HookFailed("%s (%s) %s%s" % (label, path, how, because))


def _attend(child: clone.Child, feed: int, said: int, state: bytes, deadline: Any) -> Any:
    """Feed the state, keep what the hook says, till it ends or its time is up."""
    poller = select.poll()
    poller.register(child.pidfd, select.POLLIN)
    poller.register(said, select.POLLIN)
    poller.register(feed, select.POLLOUT)
    view, output, open_feed = memoryview(state), b"", True
    try:
        while True:
            left = None if deadline is None else max(0, (deadline - time.monotonic()) * 1000)
            ready = dict(poller.poll(None if left is None else min(left, _LONGEST)))
            if not ready:
                return output, False
            if open_feed and feed in ready:
                try:
                    view = view[os.write(feed, view):]
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        view = view[len(view):]
                if not view:
                    poller.unregister(feed)
                    os.close(feed)
                    open_feed = False
            if said in ready:
                part = os.read(said, OUTPUT_LIMIT)
                if part:
                    output = (output + part)[-OUTPUT_LIMIT:]
                else:
                    poller.unregister(said)
            elif child.pidfd in ready:
                return output, True
    finally:
        if open_feed:
            os.close(feed)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _SIGKILL)
    except ProcessLookupError:
        pass


def _environment(entries: Sequence[str]) -> Dict[bytes, bytes]:
    result = {}
    for each in entries:
        name, _equals, value = os.fsencode(each).partition(b"=")
        result[name] = value
    return result
