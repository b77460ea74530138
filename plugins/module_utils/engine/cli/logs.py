# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers have said and what has happened to them: logs, events."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from typing import Any, Dict, Iterator, List, Optional

from ..container import events as happened
from ..container import log_reading, records, status
from ..container import logs as log_files
from ..errors import EngineError, InvalidValue, KernelError, NotFound
from ..instance import Instance
from ..kernel import inotify
from .arguments import Flag, parse

_REST = 0.1
"""Seconds between two looks at a file that is followed, where the kernel does not tell of changes."""
_LONGEST = 1.0
"""Seconds between two where it does: a container whose monitor was killed with it ends without a word."""
_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = (Flag(("since",)), Flag(("until",)))
_LOGS = (Flag(("follow", "f"), "flag"), Flag(("timestamps", "t"), "flag"), Flag(("tail", "n"), default="all"), *_SPAN)
_EVENTS = (Flag(("follow", "f"), "flag"), Flag(("json",), "flag"), *_SPAN)


def logs(instance: Instance, arguments: List[str]) -> int:
    """Print a container's output, standard output and error each to its own."""
    parsed = parse(arguments, _LOGS, "logs")
    options = parsed.options
    if len(parsed.words) != 1:
        raise EngineError("coracle logs takes the name of one container", "'coracle ps' lists them")
    name = records.current(instance, parsed.words[0])
    record = records.read(instance, name) if name in records.names(instance) else None
    if record is None:
        raise NotFound("there is no container '%s'" % parsed.words[0], "'coracle ps' lists them")
    path = records.folder(instance, name, "container.log")
    since, until = (moment(options[key], key) for key in ("since", "until"))
    kind = log_files.driver(record.options)
    if kind not in log_files.FILES and not log_reading.files_of(path):
        raise NotFound("the output of the container '%s' goes to the log driver '%s', and no file has it" % (record.shown, kind),
                       {"journald": "Ask for it with: journalctl CONTAINER_NAME=%s" % record.shown,
                        "syslog": "Look where the syslog daemon puts it"}.get(kind, "Another 'log_driver' keeps it"))
    changes = _Changes(os.path.dirname(path)) if options["follow"] else None  # before the first look, so that none is missed
    reader = log_reading.Reader(path)
    pieces: Any = reader.more()
    if options["tail"] != "all":
        if not options["tail"].isdecimal():
            raise InvalidValue("--tail", options["tail"], "is no number of lines", "Write a number, or all")
        chosen = [piece for piece in pieces if _within(piece.time, since, until)]
        pieces = log_reading.last(chosen, int(options["tail"]))
    begun: Dict[str, bool] = {}
    _print(pieces, since, until, options["timestamps"], begun)
    while changes is not None and not (until and log_files.timestamp() > until):
        over = status.status(instance, name, records.read(instance, name), records.read_live(instance, name)) not in (
            status.RUNNING, status.PAUSED, status.RESTARTING)
        _print(reader.more(), since, until, options["timestamps"], begun)
        if over:
            break
        changes.wait()
    return 0


class _Changes:
    """Tells of changes in a folder since it was made, or was last asked."""

    def __init__(self, folder: str) -> None:
        self.poller = select.poll()
        try:
            self.handle = inotify.watch(folder, written=True)
            self.poller.register(self.handle, select.POLLIN)
        except KernelError:  # the user has too many of these, or the folder is about to come or go
            self.handle = -1

    def wait(self) -> None:
        """Wait for the next one, but for no longer than a moment."""
        if self.handle < 0:
            time.sleep(_REST)
        elif self.poller.poll(int(_LONGEST * 1000)):
            inotify.drain(self.handle)


def _print(pieces: Iterator[log_reading.Piece], since: str, until: str, stamped: bool, begun: Dict[str, bool]) -> None:
    """Print pieces; C(begun) says of each stream whether a line of it has been begun."""
    for piece in pieces:
        if not _within(piece.time, since, until):
            continue
        target = sys.stderr if piece.stream == "stderr" else sys.stdout
        if stamped and not begun.get(piece.stream):
            target.buffer.write(piece.time.encode() + b" ")
        target.buffer.write(piece.content)
        begun[piece.stream] = not piece.content.endswith(b"\n")
        target.flush()


def _within(when: str, since: str, until: str) -> bool:
    return when >= since and (not until or when <= until)


def events(instance: Instance, arguments: List[str]) -> int:
    """Print what has happened to containers since the host was booted."""
    parsed = parse(arguments, _EVENTS, "events")
    since, until = (moment(parsed.options[key], key) for key in ("since", "until"))
    position = _Position()
    changes = _Changes(instance.run_root) if parsed.options["follow"] else None
    while True:
        for entry in position.more(instance):
            if _within(entry["time"], since, until) and (not parsed.words or entry["name"] in parsed.words):
                sys.stdout.write(_event(entry, parsed.options["json"]) + "\n")
        sys.stdout.flush()
        if changes is None or until and log_files.timestamp() > until:
            return 0
        changes.wait()


class _Position:
    """How far the events have been read."""

    def __init__(self) -> None:
        self.inode = self.offset = 0

    def more(self, instance: Instance) -> Iterator[Dict[str, Any]]:
        """Those that have come since."""
        path = happened.path(instance)
        places = [place for place in (path + ".1", path) if os.path.exists(place)]
        if self.inode in [os.stat(place).st_ino for place in places[1:]]:
            places = places[1:]
        for place in places:
            with open(place, "rb") as stream:
                inode = os.fstat(stream.fileno()).st_ino
                if inode != self.inode:
                    self.inode, self.offset = inode, 0
                stream.seek(self.offset)
                for line in stream:
                    if line.endswith(b"\n"):
                        self.offset += len(line)
                        entry = happened.parse(line)
                        if entry is not None:
                            yield entry


def _event(entry: Dict[str, Any], as_json: bool) -> str:
    if as_json:
        import json  # pylint: disable=import-outside-toplevel
        return json.dumps(entry, sort_keys=True)
    more = " ".join("%s=%s" % (key, value) for key, value in sorted(entry.items()) if key not in ("time", "name", "action"))
    return "%s %s %s%s" % (entry["time"], entry["name"], entry["action"], " (%s)" % more if more else "")


def moment(text: Optional[str], option: str) -> str:
    """A moment in the form of the logs, from C(10m) (ago), seconds since the epoch, or RFC 3339; nothing for C(None).

    Raises:
        InvalidValue: It is none of them.
    """
    if text is None:
        return ""
    match = re.match(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$", text)
    if match:
        return log_files.timestamp(time.time_ns() - int(float(match.group(1)) * _UNITS[match.group(2)] * 1000000000))
    match = re.match(r"^(\d+)(?:\.(\d+))?$", text)
    if match:
        return log_files.timestamp(int(match.group(1)) * 1000000000 + _nanoseconds(match.group(2)))
    import datetime  # pylint: disable=import-outside-toplevel
    try:
        # datetime knows microseconds alone, and a line that is asked for by its own time must be found
        fraction = re.search(r"\.(\d+)", text)
        found = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text.replace("Z", "+00:00")))
    except ValueError as error:
        raise InvalidValue("--" + option, text, "is no moment", "Write 10m, 1763740800 or 2026-11-21T16:00:00Z") from error
    return log_files.timestamp(int(found.timestamp()) * 1000000000 + _nanoseconds(fraction and fraction.group(1)))


def _nanoseconds(digits: Optional[str]) -> int:
    """Those that the digits behind the point of a number of seconds say."""
    return int((digits or "0").ljust(9, "0")[:9])
