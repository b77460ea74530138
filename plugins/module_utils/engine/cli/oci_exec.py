# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""coracle exec: a further process in a running container."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Tuple

from ..errors import EngineError
from ..runtime import console, record, spec
from ..runtime import exec as exec_verb
from ..runtime.checks import parse as parse_json
from ..store import files
from .arguments import Flag, parse
from .oci import Context, filters

_FLAGS = (Flag(("process", "p")), Flag(("tty", "t"), "flag"), Flag(("console-socket",)), Flag(("detach", "d"), "flag"),
          Flag(("pid-file",)), Flag(("user", "u")), Flag(("additional-gids", "g"), "list"), Flag(("cwd",)),
          Flag(("env", "e"), "list"), Flag(("cap", "c"), "list"), Flag(("apparmor",)), Flag(("process-label",)),
          Flag(("no-new-privs",), "flag"), Flag(("preserve-fds",), "number", 0), Flag(("cgroup",), "list"),
          Flag(("ignore-paused",), "flag"), Flag(("no-subreaper",), "flag"), Flag(("pidfd-socket",)),
          Flag(("interactive", "i"), "flag"))  # as it always is: standard input is the caller's
_FAILED = 255
"""The exit status of an exec that could not run its program, as runc's."""


def exec_(context: Context, arguments: List[str]) -> int:
    """coracle exec; returns the program's exit status, or 0 at once where it is detached."""
    parsed = parse(arguments, _FLAGS, "exec", anywhere=False)
    options, words = parsed.options, parsed.words
    if not words:
        raise EngineError("exec: an id is needed", exit_status=_FAILED)
    state_dir = context.existing(words[0])
    try:
        process = _process(state_dir, options, words[1:])
        return _run(context, state_dir, process, options)
    except EngineError as error:
        error.facts["exit_status"] = _FAILED
        error.args = ("exec failed: " + error.what,)
        error.what = "exec failed: " + error.what
        raise
    except OSError as error:
        raise EngineError("exec failed: %s: %s" % (error.filename, error.strerror) if error.filename else "exec failed: %s" % error,
                          exit_status=_FAILED) from error


def _run(context: Context, state_dir: str, process: Dict[str, Any], options: Dict[str, Any]) -> int:
    from . import oci_attend  # pylint: disable=import-outside-toplevel
    terminal: Optional[oci_attend.Terminal] = None
    socket: Optional[Any] = None
    if process.get("terminal"):
        if options["console-socket"]:
            socket = console.connect(options["console-socket"])
        elif options["detach"]:
            raise EngineError("a detached process with a terminal needs --console-socket")
        else:
            terminal = oci_attend.Terminal()
            socket = terminal.theirs
    started = exec_verb.run(state_dir, process, preserved=options["preserve-fds"] + int(os.environ.get("LISTEN_FDS") or 0),
                            cgroup=_cgroup(options["cgroup"]), socket=socket, paused=options["ignore-paused"],
                            filters=filters())
    for warning in started.warnings:
        context.log.write("warning", warning)
    if options["pidfd-socket"]:
        console.send(options["pidfd-socket"], b"pidfd", started.pidfd)
    if options["pid-file"]:
        files.write(os.path.abspath(options["pid-file"]), b"%d" % started.pid, 0o644, durable=False)
    if options["detach"]:
        return 0
    return oci_attend.attend(started.pid, started.pidfd, terminal)


def _cgroup(given: List[str]) -> Dict[str, str]:
    """The groups below the container's, of C(path) for all hierarchies or C(controller,...:path) for some."""
    found = {}
    for each in given:
        controllers, _colon, path = each.rpartition(":")
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _process(state_dir: str, options: Dict[str, Any], args: List[str]) -> Dict[str, Any]:
    """The process object, from a file or from the container's own and the options."""
    if options["process"]:
        with open(options["process"], "rb") as stream:
            process = parse_json(stream.read(spec.LIMIT + 1), options["process"], spec.LIMIT)
        if not isinstance(process, dict):
            raise EngineError("%s is no process object" % options["process"])
        return process
    if not args:
        raise EngineError("process args cannot be empty", "Say which program to run")
    record.load(state_dir)
    process = exec_verb.process_like_init(state_dir, args, env=options["env"])
    process.pop("consoleSize", None)
    process["terminal"] = options["tty"]
    if options["cwd"]:
        process["cwd"] = options["cwd"]
    if options["user"] is not None:
        uid, gid = _user(options["user"])
        process["user"] = dict(process.get("user") or {}, uid=uid)
        if gid is not None:
            process["user"]["gid"] = gid
    if options["additional-gids"]:
        process["user"]["additionalGids"] = [_id(each, "additional-gids") for each in options["additional-gids"]]
    if options["cap"]:
        sets = dict(process.get("capabilities") or {})
        for kind in ("bounding", "effective", "permitted"):  # never inheritable: that would reach into other programs
            sets[kind] = sorted({*(sets.get(kind) or ()), *options["cap"]})
        if sets.get("inheritable"):
            sets["ambient"] = sorted({*(sets.get("ambient") or ()), *options["cap"]})
        process["capabilities"] = sets
    if options["no-new-privs"]:
        process["noNewPrivileges"] = True
    if options["apparmor"]:
        process["apparmorProfile"] = options["apparmor"]
    if options["process-label"]:
        process["selinuxLabel"] = options["process-label"]
    return process


def _user(text: str) -> Tuple[int, Optional[int]]:
    uid, colon, gid = text.partition(":")
    if not uid or (colon and not gid):
        raise EngineError("user %r is not of the form UID or UID:GID" % text)
    return _id(uid, "user"), _id(gid, "user") if gid else None


def _id(text: str, option: str) -> int:
    if not text.isdecimal() or len(text) > 10 or int(text) > 2**32 - 2:
        raise EngineError("--%s: %r is no user or group number" % (option, text), "Give numbers: names are the engine's affair")
    return int(text)
