# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that another process decides on: its descriptor goes from the filtered process to that agent.

The process says under which number the descriptor will be before it has it, for
afterwards each of its calls may be one that waits for the agent. Sources:
runtime-spec config-linux.md, Seccomp, and runtime.md, The container process
state; seccomp_unotify(2), pidfd_getfd(2).
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict

from ..errors import EngineError, KernelError
from ..kernel import clone, processes
from ..kernel.syscalls import call
from . import console, spec

_EBADF = 9
_PATIENCE = 0.001
_WHERE = "linux.seccomp.listenerPath"


def pass_on(child: clone.Child, number: int, seccomp: Dict[str, Any], state: Dict[str, Any]) -> None:
    """Fetch a process's listener and send it to the agent, with the state of that process.

    Args:
        number: Of the listener among the process's descriptors, as soon as it has it.
        seccomp: linux.seccomp.
        state: Of the container.

    Raises:
        EngineError: The agent cannot be reached.
    """
    handle = _fetch(child, number)
    if handle < 0:
        return  # the process has failed, and tells why
    try:
        document = {"ociVersion": spec.VERSION, "fds": ["seccompFd"], "pid": child.pid,
                    "metadata": seccomp.get("listenerMetadata") or "", "state": state}
        import socket  # pylint: disable=import-outside-toplevel
        link = console.connect(seccomp["listenerPath"])
        with link:
            socket.send_fds(link, [json.dumps(document).encode("utf-8", "surrogateescape")], [handle])
    except OSError as error:
        raise EngineError("%s: failed to connect with seccomp agent %s: %s" % (_WHERE, seccomp["listenerPath"], error.strerror or error),
                          "The agent must listen there on a UNIX stream socket", path=_WHERE) from error
    finally:
        os.close(handle)


def _fetch(child: clone.Child, number: int) -> int:
    """The listener, once it is there; -1 if the process ends before."""
    while True:
        try:
            handle = call("pidfd_getfd", child.pidfd, number, 0)
        except KernelError as error:
            if error.errno != _EBADF:
                raise
            if processes.wait(child.pidfd, _PATIENCE):
                return -1
            continue
        if "seccomp" in os.readlink("/proc/self/fd/%d" % handle):
            return handle
        os.close(handle)
        raise EngineError("%s: the process has another descriptor in its place" % _WHERE)
