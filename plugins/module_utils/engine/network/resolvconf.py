# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's /etc/resolv.conf (resolv.conf(5)): what it says, and following it as it changes."""

from __future__ import annotations

import os
import socket
from typing import List, NamedTuple, Optional, Tuple

_MOST_SERVERS = 3  # MAXNS
_STUB = "127.0.0.53"
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"


class Settings(NamedTuple):
    """What resolv.conf says.

    Attributes:
        servers: Addresses, in order.
        search: Domains.
        options: As written.
        timeout: Seconds to wait for a server.
        attempts: How often each is asked.
    """

    servers: Tuple[str, ...] = ()
    search: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ()
    timeout: float = 2.0
    attempts: int = 2


def parse(text: str) -> Settings:
    """What a text says; lines that nobody understands are passed over, as libc does."""
    servers: List[str] = []
    search: List[str] = []
    options: List[str] = []
    for line in text.splitlines():
        fields = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(fields) < 2:
            continue
        if fields[0] == "nameserver":
            servers.append(fields[1])
        elif fields[0] in ("search", "domain"):
            search = fields[1:]
        elif fields[0] == "options":
            options += fields[1:]
    numbers = {"timeout": 2, "attempts": 2}  # who asks us waits 5 s by default: the second server's answer shall come in that time
    for option in options:
        key, _colon, value = option.partition(":")
        if key in numbers and value.isdecimal():
            numbers[key] = max(1, min(int(value), 30 if key == "timeout" else 5))
    return Settings(tuple(servers), tuple(search), tuple(options), float(numbers["timeout"]), numbers["attempts"])


def host() -> str:
    """The host's resolv.conf, for who does not share the host's loopback: instead of a stub, the servers behind it."""
    text = read("/etc/resolv.conf")
    if _STUB in text:
        return read(_BEHIND_STUB) or text
    return text


def read(where: str) -> str:
    """A text file; empty where there is none."""
    try:
        with open(where, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


class Followed:
    """A resolv.conf that is read again when it was rewritten or replaced."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark: Optional[Tuple[int, ...]] = (-1,)
        self._settings = Settings()

    def now(self) -> Settings:
        """What it says now; of its servers, those that can be asked, as many as libc asks."""
        try:
            status = os.stat(self._path)
            mark: Optional[Tuple[int, ...]] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:
            mark = None
        if mark != self._mark:
            said = parse(read(self._path))
            self._mark = mark
            self._settings = said._replace(servers=tuple(each for each in said.servers if _is_address(each))[:_MOST_SERVERS])
        return self._settings


def _is_address(text: str) -> bool:
    address = text.partition("%")[0]
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return False
    return True
