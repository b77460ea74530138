# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the keeper: find it, start it where it is not, hand it a request.

A keeper listens on C(RUN/keeper-DIGEST.sock), where the digest is that of its
own source: a newer engine has a keeper of its own, and what the older one
watches stays with it.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any, Dict, Optional

from ..errors import EngineError, Unsupported
from ..instance import Instance
from ..store import files
from . import sockets

ENGINE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that this engine runs from."""
PATIENCE = 30.0
"""Seconds that a keeper may take to answer for the first time."""
AGAIN = 2.0
"""Seconds after which another is started, where the first has met the end of an older one and gone."""
_begun: Dict[Instance, float] = {}
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def socket_path(instance: Instance) -> str:
    """Where this engine's keeper listens."""
    return instance.run("keeper-%s.sock" % os.path.basename(ENGINE))


def ask(instance: Instance, request: Dict[str, Any]) -> socket.socket:
    """Send a request to the keeper, starting it if need be.

    Returns: The connection, on which the answers come.

    Raises:
        EngineError: No keeper could be started.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        link = sockets.connect(socket_path(instance))
        if link is not None:
            if sockets.send(link, request):
                return link
            link.close()  # it was about to go; the next one will take it
        elif time.monotonic() > _begun.get(instance, -AGAIN) + AGAIN:
            _start(instance)
        if time.monotonic() > deadline:
            raise EngineError("the keeper did not answer on %s within %d s" % (socket_path(instance), PATIENCE),
                              "Look at %s" % instance.run("keeper.log"))
        time.sleep(0.002)


def warm(instance: Instance) -> None:
    """Start a keeper where there is none, without waiting for it: for who is about to need it."""
    link = sockets.connect(socket_path(instance))
    if link is not None:
        link.close()
    else:
        _start(instance)


def answer(link: socket.socket) -> Dict[str, Any]:
    """The next answer on a connection.

    Raises:
        EngineError: What the other end failed with, or that it went away.
    """
    message = sockets.receive(link)
    if message is None:
        raise EngineError("the container's monitor ended before it answered", "Run the task again")
    if "error" in message:
        raise EngineError(message["error"], message.get("remedy"), **message.get("facts", {}))
    return message


def _start(instance: Instance) -> None:
    """Start a keeper that outlives this process and its terminal."""
    launcher = os.path.join(ENGINE, "coracle")
    if not os.path.exists(launcher):
        raise Unsupported("the engine in %s is not installed" % ENGINE, "Run any module of the collection once")
    _begun[instance] = time.monotonic()
    files.make_folder(instance.run_root)
    command = [launcher, "--state-root", instance.state_root, "--run-root", instance.run_root,
               "--cgroup-root", instance.cgroup_root, "keeper"]
    if os.path.isdir("/run/systemd/system"):
        # A service of its own: a session's or an SSH connection's end must not take the keeper with it, nor must
        # the end of the keeper take the monitors. At the host's end the containers end before it.
        _detached(["/usr/bin/systemd-run", "--quiet", "--collect", "--property=KillMode=process",
                   "--property=Delegate=yes", "--property=Before=%s.service" % instance.name,
                   "--unit=%s-keeper-%s" % (instance.name, os.path.basename(ENGINE))]
                  + command, instance)
    else:
        _detached(command, instance)


def _detached(command: "list[str]", instance: Instance) -> None:
    child: Optional[int] = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open("/dev/null", os.O_RDWR)
        log = os.open(instance.run("keeper.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 65536)
        os.chdir("/")
        os.umask(0o022)
        os.execve(command[0], command, _ENVIRONMENT)
    finally:
        os._exit(127)
