# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that are no files: the journal, by its own protocol, and syslog, on this host or another.

A service that is away, or does not take what it is sent, must not hold the
container up: what it does not take within a moment is dropped, counted, and the
number is said when it takes something again.

Sources: systemd, docs/JOURNAL_NATIVE_PROTOCOL; systemd.journal-fields(7); RFC 3164, RFC 5424, RFC 6587.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import logs

JOURNAL = "/run/systemd/journal/socket"
LOCAL = "unix:///dev/log"
PATIENCE = 0.2
"""Seconds that a service may take for one message."""
FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp") + ("",) * 4 + tuple(
    "local%d" % number for number in range(8))
"""By their numbers (RFC 5424, table 1)."""
_PRIORITY = {"stdout": 6, "stderr": 3}


def open_log(kind: str, name: str, identity: str, options: Mapping[str, Any], unit: str = "") -> logs.Log:
    """The log of a container.

    Args:
        kind: C(journald) or C(syslog).
        name, identity: The container's.
        options: Of C(container_run).
        unit: Of systemd, under which the journal shows the output too.
    """
    wanted = options.get("log_options") or {}
    tag = wanted.get("tag") or name
    if kind == logs.JOURNALD:
        return Journal(name, identity, tag, unit)
    return Syslog(wanted.get("syslog_address") or LOCAL, tag, wanted.get("facility") or "daemon")


class _Service(logs.Log):
    """One message for each piece, over a connection that is made anew when it breaks."""

    def __init__(self) -> None:
        super().__init__()
        self._link: Optional[socket.socket] = None

    def close(self) -> None:
        """Finish and hang up."""
        self.finish()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _write(self, stream: str, pieces: List[bytes]) -> int:
        for at, piece in enumerate(pieces):
            if not self._send(self._message(stream, piece)):
                return len(pieces) - at
        return 0

    def _send(self, message: bytes) -> bool:
        for _attempt in range(2):  # the service may have been started anew since the last message
            try:
                if self._link is None:
                    self._link = self._connect()
                self._link.sendall(message)
                return True
            except OSError:
                self._hang_up()
        return False

    def _message(self, stream: str, piece: bytes) -> bytes:
        raise NotImplementedError

    def _connect(self) -> socket.socket:
        raise NotImplementedError


class Journal(_Service):
    """The journal of systemd, with the fields that Docker and Podman give."""

    def __init__(self, name: str, identity: str, tag: str, unit: str = "") -> None:
        super().__init__()
        self._fields: Dict[str, str] = {"CONTAINER_NAME": name, "CONTAINER_ID": identity[:12], "CONTAINER_ID_FULL": identity,
                                        "CONTAINER_TAG": tag, "SYSLOG_IDENTIFIER": tag}
        if unit:  # by which journalctl(1) finds it for -u, also before the monitor is in the unit's group
            self._fields["OBJECT_SYSTEMD_UNIT"] = unit

    def _connect(self) -> socket.socket:
        return _unix(JOURNAL)

    def _message(self, stream: str, piece: bytes) -> bytes:
        whole = piece.endswith(b"\n")
        fields: List[Tuple[str, bytes]] = [(key, value.encode()) for key, value in self._fields.items()]
        fields.append(("PRIORITY", b"%d" % _PRIORITY[stream]))
        if not whole:
            fields.append(("CONTAINER_PARTIAL_MESSAGE", b"true"))
        fields.append(("MESSAGE", piece[:-1] if whole else piece))
        return b"".join(key.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n" for key, value in fields)


class Syslog(_Service):
    """A syslog daemon: on this host as RFC 3164 has it, over the network as RFC 5424."""

    def __init__(self, address: str, tag: str, facility: str) -> None:
        super().__init__()
        self._address, self._tag = address, tag
        self._facility = FACILITIES.index(facility) * 8

    def _connect(self) -> socket.socket:
        scheme, _separator, rest = self._address.partition("://")
        if scheme == "unix":
            return _unix(rest)
        host, _colon, port = rest.rpartition(":")
        host = host.strip("[]")
        link = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                             (socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM) | socket.SOCK_CLOEXEC)
        return _connected(link, (host, int(port)))

    def _message(self, stream: str, piece: bytes) -> bytes:
        priority, text = self._facility + _PRIORITY[stream], piece.rstrip(b"\n").replace(b"\n", b" ")
        if self._address.startswith("unix:"):
            now = time.strftime("%b %e %H:%M:%S", time.localtime())
            return b"<%d>%s %s: %s" % (priority, now.encode(), self._tag.encode(), text)
        message = b"<%d>1 %s %s %s - - - %s" % (priority, logs.timestamp()[:26].encode() + b"Z", socket.gethostname().encode(),
                                                self._tag.encode(), text)
        return b"%d %s" % (len(message), message) if self._address.startswith("tcp:") else message  # RFC 6587, octet counting


def _unix(path: str) -> socket.socket:
    return _connected(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC), path)


def _connected(link: socket.socket, address: Any) -> socket.socket:
    try:
        link.settimeout(PATIENCE)
        link.connect(address)
    except OSError:
        link.close()
        raise
    return link
