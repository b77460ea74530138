# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a container's health: a program inside, a page, or a port.

It is done by a fork of the monitor that lives as long as the probe does. A
program becomes part of the container as one of C(exec) does, with its
namespaces, cgroup, rights and filters. For a page or a port only the network
namespace is entered, and nothing of the image is run or read.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from typing import Any, List, Mapping, Optional, Tuple

from ..cgroup import freezer
from ..errors import EngineError
from ..instance import Instance
from ..kernel import namespaces, processes
from . import cgroups, health, logs, records

PAUSED = 9
"""Exit status of the fork where the container is paused, and nothing was looked at."""
FIRST = 10
"""Exit status of the fork for the first of C(health.STATUSES); one more for each of the others."""
_FAILED = -1


def begin(instance: Instance, name: str, check: Mapping[str, Any], forgiving: bool) -> int:
    """Look at the health once, in a fork; its number. Its exit status says what the health is then."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGTERM, _give_up)
            os.setsid()
            os.closerange(3, 4096)  # no one shall wait for the end of a connection that only this process still holds
            status = _look(instance, name, check, forgiving)
        finally:
            os._exit(status)
    return child


class _GivenUp(BaseException):
    """The monitor does not want to know any more."""


def _give_up(_number: int, _frame: Any) -> None:
    raise _GivenUp


def _look(instance: Instance, name: str, check: Mapping[str, Any], forgiving: bool) -> int:
    live = records.read_live(instance, name)
    pidfd = processes.open_pidfd(live.init) if live.init is not None else None
    if pidfd is None:
        return 1
    before, start = health.read(instance, name), logs.timestamp()
    deadline = time.monotonic() + check["timeout"] / 1000000
    if freezer.frozen(cgroups.of(instance, name)):
        return PAUSED
    try:
        if check["test"]:
            code, output = _program(instance, name, check["test"], deadline)
        else:
            namespaces.setns(pidfd, namespaces.NEWNET)
            code, output = _page(check["http"], deadline) if check["http"] else _port(check["tcp"], deadline)
    except (TimeoutError, socket.timeout):
        code, output = _FAILED, b"the probe took longer than %g s" % (check["timeout"] / 1000000)
    except (EngineError, OSError, ValueError) as error:
        code, output = _FAILED, str(error).encode("utf-8", "surrogateescape")
    if not processes.alive(live.init):  # type: ignore[arg-type]
        return 1  # it ended meanwhile, and what was seen of it says nothing
    text = output[:health.MOST_OUTPUT].decode("utf-8", "replace")
    found = health.after(before, health.Probe(start, logs.timestamp(), code, text), check["retries"], forgiving)
    health.write(instance, name, found)
    return FIRST + health.STATUSES.index(found.status)


def _program(instance: Instance, name: str, test: List[str], deadline: float) -> Tuple[int, bytes]:
    """Run a program in the container; its exit code and the beginning of what it wrote."""
    from ..runtime import exec as added  # pylint: disable=import-outside-toplevel
    from . import programs  # pylint: disable=import-outside-toplevel
    args = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
    wanted = added.process_like_init(records.run_folder(instance, name, "runtime"), args)
    return programs.run(instance, name, wanted, deadline, health.MOST_OUTPUT)


def _port(address: str, deadline: float) -> Tuple[int, bytes]:
    """Whether somebody takes a connection."""
    host, _colon, port = address.rpartition(":")
    _connect(host.strip("[]"), int(port), deadline).close()
    return 0, b"connected to %s" % address.encode()


def _page(url: str, deadline: float) -> Tuple[int, bytes]:
    """Whether a page is answered with a status from 200 to 399, as Kubernetes has it; no name is looked up for it."""
    match = re.match(r"(https?)://(\[[^\]]+\]|[^:/]+)(?::(\d+))?(/.*)?$", url)
    if match is None:
        raise ValueError("%s is no URL" % url)
    scheme, host, port, path = match.groups()
    link = _connect(host.strip("[]"), int(port or (443 if scheme == "https" else 80)), deadline)
    if scheme == "https":
        import ssl  # pylint: disable=import-outside-toplevel
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it asks for life, not for identity
        link = context.wrap_socket(link)
    with link:
        link.sendall(("GET %s HTTP/1.1\r\nHost: %s%s\r\nUser-Agent: coracle\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                      % (path or "/", host, ":" + port if port else "")).encode("ascii", "surrogateescape"))
        answer = b""
        while len(answer) < 2 * health.MOST_OUTPUT:
            link.settimeout(_left(deadline))
            part = link.recv(65536)
            if not part:
                break
            answer += part
    status = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    if not status:
        return 1, b"what answers is no HTTP server: " + answer
    return 0 if 200 <= int(status.group(1)) < 400 else 1, answer.partition(b"\r\n")[0] + b"\n" + answer.partition(b"\r\n\r\n")[2]


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connection; C(localhost) is both loopback addresses, since no name service is asked."""
    failure: Optional[OSError] = None
    for each in ("127.0.0.1", "::1") if host == "localhost" else (host,):
        link = socket.socket(socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            link.settimeout(_left(deadline))
            link.connect((each, port))
            return link
        except (TimeoutError, socket.timeout):
            link.close()
            raise
        except OSError as error:
            link.close()
            failure = failure or error
    raise OSError("%s port %d: %s" % (host, port, failure.strerror if failure else "no address"))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
