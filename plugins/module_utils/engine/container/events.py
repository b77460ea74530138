# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has happened to containers since the host was booted: one file of the instance, a JSON object a line.

    RUN/events      the newest, at most a mebibyte
    RUN/events.1    those before

A line is written by one write(2) to a file that is opened to append, so those of several monitors do not mix.
The names of the events are Docker's.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator

from ..instance import Instance
from ..store import documents
from . import logs, records

LIMIT = 1 << 20
"""Bytes of a file, after which another is begun."""


def path(instance: Instance) -> str:
    """Where the newest are."""
    return instance.run("events")


def note(instance: Instance, name: str, action: str, **attributes: Any) -> None:
    """Write down an event; a failure to do so hurts nobody."""
    line = documents.encode(dict(attributes, time=logs.timestamp(), name=records.called(name), action=action)) + "\n"
    try:
        handle = os.open(path(instance), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line.encode("ascii"))
            if os.fstat(handle).st_size >= LIMIT:
                os.rename(path(instance), path(instance) + ".1")
        finally:
            os.close(handle)
    except OSError:
        pass


def read(instance: Instance) -> Iterator[Dict[str, Any]]:
    """All that are kept, oldest first."""
    for place in (path(instance) + ".1", path(instance)):
        try:
            with open(place, "rb") as stream:
                for line in stream:
                    entry = parse(line)
                    if entry is not None:
                        yield entry
        except FileNotFoundError:
            continue


def parse(line: bytes) -> "Dict[str, Any] | None":
    """The event of a line; C(None) for one that was cut short."""
    try:
        entry = documents.decode(line.decode("ascii"))
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"time", "name", "action"} <= set(entry) else None
