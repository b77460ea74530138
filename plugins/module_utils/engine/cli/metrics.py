# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers use, on a terminal and for machines: stats, top, metrics."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Dict, List, Optional, Sequence

from .. import sizes
from ..container import metrics as measuring
from ..container import records
from ..errors import EngineError, InvalidValue, NotFound
from ..instance import Instance
from .arguments import Flag, parse
from .table import table

_STATS = (Flag(("no-stream",), "flag"), Flag(("format",), default="table"), Flag(("json",), "flag"),
          Flag(("all", "a"), "flag"), Flag(("interval",)))
_TOP = (Flag(("json",), "flag"),)
_METRICS = (Flag(("output", "o"), default="-"), Flag(("label",), "list"))
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def stats(instance: Instance, arguments: List[str]) -> int:
    """Show what containers use: again and again, or once with C(--no-stream).

    CPU and the rates are those since the last look; without one before (C(--no-stream) without C(--interval)) they are
    the mean since the container was started.
    """
    parsed = parse(arguments, _STATS, "stats")
    options = parsed.options
    kind = "json" if options["json"] else options["format"]
    if kind not in ("table", "json"):
        raise InvalidValue("--format", kind, "is no format", "Write table or json")
    pause = _duration(options["interval"] or ("0s" if options["no-stream"] else "1s"))
    before: Dict[str, measuring.Sample] = {}
    if options["no-stream"]:
        if pause:
            before = {each.name: each for each in measuring.samples(instance, _names(instance, parsed.words))}
            time.sleep(pause)
        _show(instance, parsed.words, before, kind, options["all"], False)
        return 0
    try:
        while True:
            before = _show(instance, parsed.words, before, kind, options["all"], True)
            time.sleep(max(pause, 0.1))
    except KeyboardInterrupt:
        return 0


def _names(instance: Instance, wanted: Sequence[str]) -> List[str]:
    there = records.listed(instance)
    for name in wanted:
        if records.current(instance, name) not in there:
            raise NotFound("there is no container '%s'" % name, "'coracle ps' lists them")
    return [records.current(instance, name) for name in wanted] or there


def _duration(text: str) -> float:
    digits = text.rstrip("ms")
    unit = text[len(digits):] or "s"
    try:
        return float(digits) * _UNITS[unit]
    except (ValueError, KeyError) as error:
        raise InvalidValue("--interval", text, "is no duration", "Write it as 500ms, 2s or 1m") from error


def _show(instance: Instance, wanted: Sequence[str], before: Dict[str, measuring.Sample], kind: str, everything: bool,
          again: bool) -> Dict[str, measuring.Sample]:
    now = measuring.samples(instance, _names(instance, wanted))
    shown = [each for each in now if everything or wanted or each.usage is not None]
    reports = [measuring.report(each, before.get(each.name)) for each in shown]
    if kind == "json":
        text = json.dumps(reports, indent=None if again else 1, sort_keys=True) + "\n"
    else:
        text = table([_HEADS] + [_row(each) for each in reports])
        if again and sys.stdout.isatty():
            text = "\033[H\033[J" + text
    sys.stdout.write(text)
    sys.stdout.flush()
    return {each.name: each for each in now}


_HEADS = ("NAME", "CPU %", "THROTTLED", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS", "OOM")


def _row(report: Dict[str, Any]) -> Sequence[str]:
    used, name = report["usage"], report["name"]
    if used is None:
        return (name, report["status"]) + ("-",) * (len(_HEADS) - 2)
    rates, limit = report["rates"], report["limits"].get("memory_max", {}).get("value", -1)
    links = None if report["network"] is None else report["network"].values()
    return (name, _per_cent(rates["cpu_percent"]), _per_cent(rates["throttled_percent"]),
            "%s / %s" % (size(used["memory"]["working_set"]), size(limit if limit >= 0 else measuring.host_memory())),
            _per_cent(report["memory_percent"]),
            "-" if links is None else "%s / %s" % tuple(size(sum(row[key] for row in links)) for key in ("rx_bytes", "tx_bytes")),
            "%s / %s" % tuple(size(sum(row.get(key, 0) for row in used["io"].values())) for key in ("read_bytes", "write_bytes")),
            "-" if used["pids"]["current"] is None else str(used["pids"]["current"]),
            "-" if used["memory"]["events"]["oom_kill"] is None else str(used["memory"]["events"]["oom_kill"]))


def _per_cent(value: Optional[float]) -> str:
    return "-" if value is None else "%.2f%%" % value


def size(amount: Optional[int]) -> str:
    """Bytes as people read them; a dash where the kernel does not tell."""
    return "-" if amount is None else sizes.human_size(amount)


def top(instance: Instance, arguments: List[str]) -> int:
    """Show the processes of a container, those of groups that it has made below its own too."""
    parsed = parse(arguments, _TOP, "top")
    words = [word for word in parsed.words if word != "--json"]
    if len(words) != 1:
        raise EngineError("coracle top takes the name of one container", "'coracle ps' lists them")
    found = measuring.processes(instance, words[0])
    if parsed.options["json"] or len(words) != len(parsed.words):
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return 0
    rows = [("PID", "PPID", "UID", "S", "THREADS", "TIME", "RSS", "COMMAND")]
    rows += [(str(row["pid"]), str(row["ppid"]), str(row["uid"]), row["state"], str(row["threads"]),
              "%d:%05.2f" % divmod(row["cpu_seconds"], 60), size(row["rss"]), row["command"]) for row in found]
    sys.stdout.write(table(rows))
    return 0


def metrics(instance: Instance, arguments: List[str]) -> int:
    """Write all metrics in the text format of Prometheus, to standard output or, atomically, to a file."""
    options = parse(arguments, _METRICS, "metrics").options
    from ..container import exposition  # pylint: disable=import-outside-toplevel
    text = exposition.render(measuring.samples(instance, records.listed(instance)), options["label"])
    if options["output"] == "-":
        sys.stdout.write(text)
        return 0
    from ..store import files  # pylint: disable=import-outside-toplevel
    path = os.path.abspath(options["output"])
    if not os.path.isdir(os.path.dirname(path)):
        raise NotFound("there is no folder %s" % os.path.dirname(path),
                       "Make it, and name it to node exporter with --collector.textfile.directory")
    files.write(path, text.encode("utf-8", "replace"), 0o644, durable=False)
    return 0
