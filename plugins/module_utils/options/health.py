# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health check of C(container_run), named as Docker names it, and what becomes of an unhealthy container, as Podman."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Tuple

from .. import values
from ..engine.plan import LIVE
from ..option import Option
from .security import RECORD

TEST_FORM = "a shell command, or a list that begins with CMD, CMD-SHELL or NONE"
HTTP_FORM = "http://ADDRESS[:PORT]/PATH with an IP address or localhost"
_URL = re.compile(r"^https?://(\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost)(?::([0-9]{1,5}))?(/[^\s#]*)?\Z")
_TCP = re.compile(r"^(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):)?([0-9]{1,5})\Z")


def _test(value: Any) -> List[str]:
    if isinstance(value, str) and value.strip():
        return ["CMD-SHELL", value]
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and "\0" not in word for word in value):
        raise ValueError("is no test of the health")
    if value == ["NONE"] or value[0] == "CMD" and len(value) > 1 or value[0] == "CMD-SHELL" and len(value) == 2:
        return list(value)
    raise ValueError("is no test of the health")


def _host_and_port(host: Any, port: Any) -> Tuple[str, int]:
    import ipaddress  # pylint: disable=import-outside-toplevel
    host = (host or "localhost").strip("[]")
    if host != "localhost":
        ipaddress.ip_address(host)  # a ValueError says what is wrong
    if not 1 <= int(port) <= 65535:
        raise ValueError("has a port that is not between 1 and 65535")
    return host, int(port)


def _http(value: Any) -> str:
    match = _URL.match(str(value))
    if not match:
        raise ValueError("is no such URL")
    _host_and_port(match.group(1), match.group(2) or 80)
    return str(value)


def _tcp(value: Any) -> str:
    match = _TCP.match(str(value))
    if not match:
        raise ValueError("is neither a port nor ADDRESS:PORT")
    host, port = _host_and_port(match.group(1), match.group(2))
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def above_zero(value: Any) -> int:
    """A duration that is one.

    Raises:
        ValueError: It is not above zero.
    """
    found = values.duration(value)
    if not found:
        raise ValueError("is not above zero")
    return found


def _healthcheck(value: Dict[str, Any]) -> Dict[str, Any]:
    if sum(value[key] is not None for key in ("test", "http", "tcp")) > 1:
        raise ValueError("has more than one of 'test', 'http' and 'tcp'")
    return value


_PARTS = (
    Option("test", type="raw", parse=_test, form=TEST_FORM),
    Option("http", parse=_http, form=HTTP_FORM),
    Option("tcp", parse=_tcp, form="PORT or ADDRESS:PORT"),
    Option("interval", parse=above_zero, form="a duration such as 30s"),
    Option("timeout", parse=above_zero, form="a duration such as 30s"),
    Option("retries", type="int", parse=values.integer(1, 1000000), form="a number from 1 on"),
    Option("start_period", parse=values.duration, form="a duration such as 10s"),
    Option("start_interval", parse=above_zero, form="a duration such as 5s"),
    Option("on_failure", choices=("none", "restart", "stop", "kill"), default="none"),
)
HEALTH = (
    Option("healthcheck", type="dict", options=_PARTS, parse=_healthcheck, disruption=LIVE, read_from=RECORD,
           form="one of 'test', 'http' and 'tcp'"),
)
"""The rows."""
