# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the OCI command line that make, start, signal and remove containers."""

from __future__ import annotations

import os
import signal
from typing import Any, Dict, List, Optional

from ..errors import Conflict, EngineError, NotFound
from ..runtime import create as create_verb
from ..runtime import delete as delete_verb
from ..runtime import kill as kill_verb
from ..runtime import record, spec
from ..runtime import start as start_verb
from ..store import files
from .arguments import Flag, parse
from .oci import Context, complain, one

_CREATE = (Flag(("bundle", "b"), default="."), Flag(("console-socket",)), Flag(("pid-file",)), Flag(("pidfd-socket",)),
           Flag(("preserve-fds",), "number", 0), Flag(("no-pivot",), "flag"), Flag(("no-new-keyring",), "flag"))
_RUN = _CREATE + (Flag(("detach", "d"), "flag"), Flag(("keep",), "flag"), Flag(("no-subreaper",), "flag"))


def create(context: Context, arguments: List[str]) -> int:
    """coracle create."""
    parsed = parse(arguments, _CREATE, "create")
    made = _make(context, one(parsed.words, "create"), parsed.options, wait=True)
    os.close(made.pidfd)
    return 0


def start(context: Context, arguments: List[str]) -> int:
    """coracle start."""
    name = one(parse(arguments, (), "start").words, "start")
    for warning in start_verb.start(context.state_dir(name)):
        complain(warning, context.log, context.log_format, "warning")
    return 0


def run(context: Context, arguments: List[str]) -> int:
    """coracle run: with a terminal of the caller's own unless detached."""
    parsed = parse(arguments, _RUN, "run")
    name, options = one(parsed.words, "run"), parsed.options
    if options["detach"]:
        made = _make(context, name, options, wait=False)
        os.close(made.pidfd)
        _after_start(context, made)
        return 0
    from . import oci_attend  # pylint: disable=import-outside-toplevel
    config = _read(options["bundle"])
    terminal = oci_attend.Terminal() if config["process"].get("terminal") and not options["console-socket"] else None
    made = _make(context, name, options, wait=False, config=config, console=terminal.theirs if terminal else None)
    _after_start(context, made)
    status = oci_attend.attend(made.pid, made.pidfd, terminal)
    if not options["keep"]:
        delete_verb.delete(context.state_dir(name))
    return status


def _after_start(context: Context, made: create_verb.Created) -> None:
    for warning in start_verb.poststart(made.state_dir, made.record):
        complain(warning, context.log, context.log_format, "warning")


def _read(bundle: str) -> Dict[str, Any]:
    config, _content = spec.read(bundle)
    if not config.get("process"):
        raise EngineError("process: is missing")
    return config


def _make(context: Context, name: str, options: Dict[str, Any], wait: bool, config: Optional[Dict[str, Any]] = None,
          console: Optional[Any] = None) -> create_verb.Created:
    state_dir = context.state_dir(name)
    if os.path.lexists(os.path.join(state_dir, record.FILE)):
        raise Conflict("container with id exists: '%s'" % name, "Delete it first, or choose another name")
    if config is None:
        config = _read(options["bundle"])
    if options["console-socket"]:
        from ..runtime import console as terminals  # pylint: disable=import-outside-toplevel
        try:
            console = terminals.connect(options["console-socket"])
        except OSError as error:
            raise EngineError("console socket %s: %s" % (options["console-socket"], error.strerror)) from error
    files.make_folder(context.root)
    made = create_verb.create(
        options["bundle"], state_dir, config, identity=name, wait=wait, console=console,
        cgroup=cgroup_of(context, name, (config.get("linux") or {}).get("cgroupsPath") or ""),
        preserved=options["preserve-fds"] + int(os.environ.get("LISTEN_FDS") or 0), pivot=not options["no-pivot"],
        keyring=not options["no-new-keyring"])
    if console is not None:
        console.close()
    for warning in made.warnings:
        complain(warning, context.log, context.log_format, "warning")
    if options["pid-file"]:
        try:
            files.write(os.path.abspath(options["pid-file"]), b"%d" % made.pid, 0o644, durable=False)
        except OSError:
            delete_verb.delete(state_dir, force=True)
            raise
    return made


def cgroup_of(context: Context, name: str, path: str) -> str:
    """A container's cgroup, absolute below each hierarchy.

    With C(--systemd-cgroup) the path has systemd's form C(SLICE:PREFIX:NAME); the group is made at the place where
    systemd would put that scope. A relative path is below C(/coracle).
    """
    if context.systemd_cgroup and path.count(":") == 2:
        slice_name, prefix, scope = path.split(":")
        return "%s/%s" % (slice_path(slice_name or "system.slice"),
                          scope if scope.endswith(".slice") else "%s-%s.scope" % (prefix, scope) if prefix else scope + ".scope")
    if path.startswith("/"):
        return os.path.normpath(path)
    return os.path.normpath("/coracle/" + (path or name))


def slice_path(name: str) -> str:
    """The folder of a slice: C(a-b.slice) lies in C(a.slice) (systemd.slice(5))."""
    if name in ("-.slice", "-"):
        return ""
    stem = name[:-len(".slice")] if name.endswith(".slice") else name
    parts = stem.split("-")
    return "".join("/%s.slice" % "-".join(parts[:count]) for count in range(1, len(parts) + 1))


def kill(context: Context, arguments: List[str]) -> int:
    """coracle kill."""
    parsed = parse(arguments, (Flag(("all", "a"), "flag"),), "kill")
    words = parsed.words
    if "--all" in words or "-a" in words:
        parsed.options["all"] = True
        words = [each for each in words if each not in ("--all", "-a")]
    if len(words) not in (1, 2):
        raise EngineError("kill: an id and a signal are needed")
    kill_verb.kill(context.state_dir(words[0]), signal_number(words[1] if len(words) > 1 else "SIGTERM"),
                   parsed.options["all"])
    return 0


def signal_number(text: str) -> int:
    """The number of a signal named as C(9), C(KILL), C(SIGKILL) or C(RTMIN+3).

    Raises:
        EngineError: There is no such signal.
    """
    if text.isdigit():
        if 0 < int(text) < signal.NSIG:
            return int(text)
    else:
        name, plus, more = text.upper().partition("+")
        name = name if name.startswith("SIG") else "SIG" + name
        try:
            base = int(signal.Signals[name])
        except KeyError:
            base = 0
        if base and (not plus or more.isdigit() and base + int(more) < signal.NSIG):
            return base + int(more or 0)
    raise EngineError("unknown signal %r" % text, "Give a name such as TERM, or a number")


def delete(context: Context, arguments: List[str]) -> int:
    """coracle delete."""
    parsed = parse(arguments, (Flag(("force", "f"), "flag"),), "delete")
    words = [each for each in parsed.words if each not in ("--force", "-f")]
    force = parsed.options["force"] or len(words) != len(parsed.words)
    if not words:
        raise EngineError("delete: an id is needed")
    for name in words:
        try:
            for warning in delete_verb.delete(context.state_dir(name), force):
                complain(warning, context.log, context.log_format, "warning")
        except NotFound:
            if not force:
                raise
    return 0
