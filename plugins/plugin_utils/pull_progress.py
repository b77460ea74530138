# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of a long pull: a bar for each layer where a person watches, else a line now and then.

The module writes how far it is to a file below the run root (engine/image/progress.py); a thread here reads it over
the task's own connection, first after some seconds, so that a task which pulls nothing costs nothing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ansible.utils.display import Display

from ..module_utils.engine.instance import RUN_ROOT

VARIABLE = "CORACLE_PROGRESS"
FIRST, WATCHED, UNWATCHED = 2.0, 1.0, 15.0
"""Seconds before the first look, and between two, where a person watches and where none does."""
WIDTH = 30
MOST = 12
"""The most layers that have a bar; the rest is counted."""
_TERMINAL = sys.stdout.isatty()  # looked at by the process that loads this, since those that run tasks may have no terminal
_CONNECTIONS = ("local", "ssh")
"""Connections that can run a second command beside the module."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def amount(size: float) -> str:
    """Bytes for people."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return "%d %s" % (size, unit) if unit == "B" else "%.1f %s" % (size, unit)
        size /= 1000
    return ""


def parse(text: str) -> Optional[Tuple[str, List[Tuple[str, int, int]]]]:
    """Name of the image, and digest, bytes there and bytes of each layer; C(None) where nothing can be read yet."""
    try:
        value = json.loads(text)
        return str(value["name"]), [(str(digest), int(there), int(size)) for digest, there, size in value["layers"]]
    except (ValueError, KeyError, TypeError):
        return None


def line(host: str, name: str, layers: Sequence[Tuple[str, int, int]]) -> str:
    """All in one line."""
    there, size = sum(each[1] for each in layers), sum(each[2] for each in layers)
    done = sum(each[1] >= each[2] for each in layers)
    return "[%s] pulling %s: %s of %s (%d %%), %d of %d layers" % (
        host, name, amount(there), amount(size), 100 * there // size if size else 100, done, len(layers))


def bars(host: str, name: str, layers: Sequence[Tuple[str, int, int]]) -> List[str]:
    """A head line, and a bar for each layer."""
    rows = [line(host, name, layers)]
    for digest, there, size in layers[:MOST]:
        full = WIDTH * there // size if size else WIDTH
        rows.append("  %s [%s%s] %s of %s" % (digest.partition(":")[2][:12], "#" * full, "." * (WIDTH - full), amount(there),
                                              amount(size)))
    if len(layers) > MOST:
        rows.append("  and %d more" % (len(layers) - MOST))
    return rows


class Watch:
    """Shows a module's pull while it runs; a context manager.

    Args:
        read: Reads a file on the managed host; an empty text where there is none.
        show: Shows a text; C(True) for one without a line's end.
        live: Whether bars are drawn over one another.
    """

    def __init__(self, host: str, read: Callable[[], str], show: Callable[[str, bool], None], live: bool,
                 pace: Tuple[float, float]) -> None:
        self._host = host
        self._read = read
        self._show = show
        self._live = live
        self._pace = pace
        self._drawn = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()
        if self._drawn:
            self._show("\x1b[%dA\x1b[J" % self._drawn, True)  # Ansible's own line on the task takes its place

    def _run(self) -> None:
        wait = self._pace[0]
        while not self._end.wait(wait):
            wait = self._pace[1]
            try:
                found = parse(self._read())
            except Exception:  # pylint: disable=broad-exception-caught
                return  # a connection that cannot do this; the module's own result is what counts
            if found is None:
                continue
            if not self._live:
                self._show(line(self._host, *found), False)
                continue
            rows = bars(self._host, *found)
            up = "\x1b[%dA" % self._drawn if self._drawn else ""
            self._show(up + "".join("\r%s\x1b[K\n" % row for row in rows), True)
            self._drawn = len(rows)


def watch(action: Any, task_vars: Dict[str, Any]) -> Optional[Watch]:
    """A watch for a task that is about to run its module, or C(None) where it cannot be watched."""
    connection = action._connection
    if connection.transport not in _CONNECTIONS or action._task.async_val or action._task.no_log:
        return None
    if connection.transport == "ssh" and connection.get_option("password"):
        return None  # the connection hands it to one command at a time
    path = "%s/progress-%s" % (action._task.args.get("run_root") or RUN_ROOT, uuid.uuid4().hex)
    action._task.environment.append({VARIABLE: path})
    host = str(task_vars.get("inventory_hostname", ""))
    live = _TERMINAL and len(task_vars.get("ansible_play_hosts") or [host]) == 1
    display = Display()

    def read() -> str:
        done = action._low_level_execute_command("cat %s 2>/dev/null" % connection._shell.quote(path))
        return str(done["stdout"]) if done["rc"] == 0 else ""

    def show(text: str, raw: bool) -> None:
        display.display(text, screen_only=raw, newline=not raw)
    pace = (FIRST, WATCHED) if _TERMINAL else (UNWATCHED, UNWATCHED)
    override = os.environ.get("CORACLE_PROGRESS_SECONDS")  # of the controller
    return Watch(host, read, show, live, (float(override), float(override)) if override else pace)
