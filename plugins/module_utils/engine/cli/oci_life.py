# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the OCI command line that make, start, signal and remove containers."""

from __future__ import annotations

import os
import signal
from typing import Any, Dict, List, Optional

from ..errors import Conflict, EngineError, NotFound
from ..instance import CGROUP_ROOT
from ..runtime import create as create_verb
from ..runtime import delete as delete_verb
from ..runtime import kill as kill_verb
from ..runtime import record, rootless, spec
from ..runtime import start as start_verb
from ..store import files
from .arguments import Flag, parse
from .oci import Context, filters, one

_CREATE = (Flag(("bundle", "b"), default="."), Flag(("console-socket",)), Flag(("pid-file",)), Flag(("pidfd-socket",)),
           Flag(("preserve-fds",), "number", 0), Flag(("no-pivot",), "flag"), Flag(("no-new-keyring",), "flag"),
           Flag(("config", "f"), default="config.json"))
_REGEX = Flag(("regex", "r"), "flag")
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
        context.log.write("warning", warning)
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
    config = read_config(options)
    terminal = oci_attend.Terminal() if config["process"].get("terminal") and not options["console-socket"] else None
    made = _make(context, name, options, wait=False, config=config, console=terminal.theirs if terminal else None)
    _after_start(context, made)
    status = oci_attend.attend(made.pid, made.pidfd, terminal)
    if not options["keep"]:
        delete_verb.delete(context.state_dir(name))
    return status


def _after_start(context: Context, made: create_verb.Created) -> None:
    for warning in start_verb.poststart(made.state_dir, made.record):
        context.log.write("warning", warning)


def read_config(options: Dict[str, Any]) -> Dict[str, Any]:
    """The configuration of a bundle.

    Raises:
        Invalid: It breaks the specification.
        EngineError: It cannot be read, or has no process.
    """
    config, _content = spec.read(options["bundle"], options.get("config") or record.CONFIG)
    if not config.get("process"):
        raise EngineError("process: is missing")
    if os.environ.get("LISTEN_FDS"):  # sockets that systemd has opened (sd_listen_fds(3))
        config["process"].setdefault("env", []).extend(("LISTEN_FDS=" + os.environ["LISTEN_FDS"], "LISTEN_PID=1"))
    return config


def _make(context: Context, name: str, options: Dict[str, Any], wait: bool, config: Optional[Dict[str, Any]] = None,
          console: Optional[Any] = None) -> create_verb.Created:
    state_dir = context.state_dir(name)
    if os.path.lexists(os.path.join(state_dir, record.FILE)):
        raise Conflict("container with id exists: '%s'" % name, "Delete it first, or choose another name")
    if config is None:
        config = read_config(options)
    if options["console-socket"]:
        console = connect(options["console-socket"])
    files.make_folder(context.root)
    cgroup = cgroup_of(context, name, (config.get("linux") or {}).get("cgroupsPath") or "")
    if rootless.limited():
        cgroup = rootless.cgroup(name, cgroup, context.systemd_cgroup)
        if not cgroup:
            rootless.without_cgroup(config)
    made = create_verb.create(
        options["bundle"], state_dir, config, identity=name, wait=wait, console=console,
        cgroup=cgroup, systemd=context.systemd_cgroup and not rootless.limited(),
        preserved=options["preserve-fds"] + int(os.environ.get("LISTEN_FDS") or 0), pivot=not options["no-pivot"],
        filters=filters(), keyring=not options["no-new-keyring"])
    if console is not None:
        console.close()
    announce(context, options, made)
    return made


def connect(path: str) -> Any:
    """A connection to the socket that is to get a terminal.

    Raises:
        EngineError: Nobody listens there.
    """
    from ..runtime import console as terminals  # pylint: disable=import-outside-toplevel
    try:
        return terminals.connect(path)
    except OSError as error:
        raise EngineError("console socket %s: %s" % (path, error.strerror)) from error


def announce(context: Context, options: Dict[str, Any], made: create_verb.Created) -> None:
    """Tell the caller of a new container: its warnings, and its process in the file or through the socket that it named.

    Raises:
        OSError: It could not be told; the container is gone.
    """
    for warning in made.warnings:
        context.log.write("warning", warning)
    try:
        if options.get("pidfd-socket"):
            from ..runtime import console as terminals  # pylint: disable=import-outside-toplevel
            terminals.send(options["pidfd-socket"], b"pidfd", made.pidfd)
        if options["pid-file"]:
            files.write(os.path.abspath(options["pid-file"]), b"%d" % made.pid, 0o644, durable=False)
    except OSError as error:
        delete_verb.delete(made.state_dir, force=True)
        told = [options[name] for name in ("pidfd-socket", "pid-file") if options.get(name)]
        raise EngineError("cannot tell of the container's process through %s: %s" % (" and ".join(told), error.strerror)) from error


def cgroup_of(context: Context, name: str, path: str) -> str:
    """A container's cgroup, absolute below each hierarchy.

    With C(--systemd-cgroup) the path has systemd's form C(SLICE:PREFIX:NAME), and stands for the scope C(PREFIX-NAME.scope), or
    the slice C(NAME), which systemd then starts. A relative path is below C(/coracle).

    Raises:
        EngineError: It has not that form, or a C(..) in it, which would lead elsewhere.
    """
    if ".." in path.replace(":", "/").split("/"):
        raise EngineError("linux.cgroupsPath: %r has '..' in it" % path[:200], "Give a path without", path="linux.cgroupsPath")
    if context.systemd_cgroup and not path:
        path = "system.slice:coracle:" + name
    if context.systemd_cgroup:
        if path.count(":") != 2:
            raise EngineError("linux.cgroupsPath: %r is not of the form SLICE:PREFIX:NAME, which --systemd-cgroup expects" % path,
                              "Write it so, or leave out --systemd-cgroup")
        slice_name, prefix, scope = path.split(":")
        from ..cgroup import systemd  # pylint: disable=import-outside-toplevel
        if scope.endswith(".slice"):
            return systemd.place(scope)
        return systemd.place("%s-%s.scope" % (prefix, scope) if prefix else scope + ".scope", slice_name or "system.slice")
    if path.startswith("/"):
        return os.path.normpath(path)
    return os.path.normpath(CGROUP_ROOT + "/" + (path or name))


def kill(context: Context, arguments: List[str]) -> int:
    """coracle kill."""
    parsed = parse(arguments, (Flag(("all", "a"), "flag"), _REGEX), "kill")
    words = parsed.words
    if len(words) not in (1, 2):
        raise EngineError("kill: an id and a signal are needed")
    number = signal_number(words[1] if len(words) > 1 else "SIGTERM")
    for name in _matching(context, words[:1]) if parsed.options["regex"] else words[:1]:
        kill_verb.kill(context.state_dir(name), number, parsed.options["all"])
    return 0


def _matching(context: Context, patterns: List[str]) -> List[str]:
    """The containers whose names match one of the patterns, as crun's C(--regex) chooses them.

    Raises:
        EngineError: A pattern is none.
    """
    import re  # pylint: disable=import-outside-toplevel
    try:
        wanted = [re.compile(each) for each in patterns]
    except re.error as error:
        raise EngineError("--regex: %r: %s" % (patterns, error)) from error
    names = sorted(os.listdir(context.root)) if os.path.isdir(context.root) else []
    return [name for name in names if any(each.search(name) for each in wanted)]


def signal_number(text: str) -> int:
    """The number of a signal named as C(9), C(KILL), C(SIGKILL) or C(RTMIN+3).

    Raises:
        EngineError: There is no such signal.
    """
    if text.isdecimal():
        if 0 <= int(text) < signal.NSIG:
            return int(text)
    else:
        name, plus, more = text.upper().partition("+")
        name = name if name.startswith("SIG") else "SIG" + name
        base = 0 if name.startswith("SIG_") else int(getattr(signal, name, 0))
        if base and (not plus or more.isdecimal() and base + int(more) < signal.NSIG):
            return base + int(more or 0)
    raise EngineError("unknown signal %r" % text, "Give a name such as TERM, or a number")


def delete(context: Context, arguments: List[str]) -> int:
    """coracle delete."""
    parsed = parse(arguments, (Flag(("force", "f"), "flag"), _REGEX), "delete")
    words, force = parsed.words, parsed.options["force"]
    if not words:
        raise EngineError("delete: an id is needed")
    for name in _matching(context, words) if parsed.options["regex"] else words:
        try:
            for warning in delete_verb.delete(context.state_dir(name), force):
                context.log.write("warning", warning)
        except NotFound:
            if not force:
                raise
    return 0
