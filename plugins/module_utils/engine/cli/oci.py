# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCI runtime command line: what containerd, CRI-O, Podman and Docker call (the options are runc's).

    coracle [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] VERB ...

Each verb is a function C(f(context, arguments)) that returns an exit status; only the file that holds it is imported.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from ..errors import EngineError
from ..instance import RUN_ROOT
from .arguments import Flag, parse

ROOT = "/run/coracle/oci"
"""Where the states of root's containers are kept that are made with this command line."""
RELEASE = "1.0.0"
"""That of the collection."""
VERBS: Dict[str, Tuple[str, str, str]] = {
    # verb: (file beside this one, its usage, one line of help)
    "create": ("oci_life", "[--bundle DIR] [--console-socket PATH] [--pid-file FILE] [--pidfd-socket PATH] [--preserve-fds N]"
               " [--no-pivot] [--no-new-keyring] ID", "make a container, to be started"),
    "start": ("oci_life", "ID", "start a created container"),
    "run": ("oci_life", "[--detach] [--keep] [options of create] ID", "make and start a container, and wait for its end"),
    "state": ("oci_info", "ID", "print a container's state as JSON"),
    "kill": ("oci_life", "[--all] [--regex] ID [SIGNAL]", "send a signal to a container"),
    "delete": ("oci_life", "[--force] [--regex] ID...", "remove a container that has ended"),
    "exec": ("oci_exec", "[--process FILE] [--tty] [--interactive] [--console-socket PATH] [--detach] [--pid-file FILE] [--user UID[:GID]]"
             " [--additional-gids GID] [--cwd DIR] [--env NAME=VALUE] [--cap CAP] [--apparmor PROFILE] [--process-label LABEL]"
             " [--no-new-privs] [--preserve-fds N] [--cgroup [CONTROLLERS:]PATH] [--ignore-paused] ID COMMAND [ARGUMENT...]",
             "run a further process in a container"),
    "list": ("oci_info", "[--format table|json] [--quiet]", "list the containers"),
    "ps": ("oci_info", "[--format table|json] ID [options of ps]", "list a container's processes"),
    "pause": ("oci_control", "ID", "stop all processes of a container where they are"),
    "resume": ("oci_control", "ID", "let them go on"),
    "update": ("oci_control", "[--resources FILE] [--memory N] [--memory-reservation N] [--memory-swap N] [--cpu-share N]"
               " [--cpu-quota N] [--cpu-period N] [--cpu-burst N] [--cpu-idle N] [--cpuset-cpus LIST] [--cpuset-mems LIST]"
               " [--pids-limit N] [--blkio-weight N] ID", "change limits of a container's resources"),
    "events": ("oci_control", "[--stats] [--interval DURATION] ID", "print what a container uses, and that its memory was short"),
    "spec": ("oci_info", "[--bundle DIR] [--rootless]", "write a configuration to begin with"),
    "features": ("oci_info", "", "print what this runtime can do, as JSON"),
    "checkpoint": ("oci_checkpoint", "[--image-path DIR] [--work-path DIR] [--parent-path DIR] [--leave-running] [--pre-dump]"
                   " [--tcp-established] [--tcp-skip-in-flight] [--ext-unix-sk] [--shell-job] [--file-locks] [--link-remap]"
                   " [--lazy-pages] [--status-fd N] [--page-server ADDRESS:PORT] [--manage-cgroups-mode MODE] [--empty-ns KIND]"
                   " [--auto-dedup] ID", "write a container's processes to files; needs CRIU"),
    "restore": ("oci_checkpoint", "[--bundle DIR] [--image-path DIR] [--work-path DIR] [--detach] [--pid-file FILE]"
                " [--console-socket PATH] [--tcp-established] [--ext-unix-sk] [--shell-job] [--file-locks] [--lazy-pages]"
                " [--manage-cgroups-mode MODE] [--empty-ns KIND] [--auto-dedup] [--lsm-profile TYPE:NAME]"
                " [--lsm-mount-context CONTEXT] ID", "make a container anew from such files; needs CRIU"),
}
_SEALED = ("create", "run", "exec")
"""The verbs with a process of this interpreter inside the container, if only for a moment."""
GLOBAL = (Flag(("root",)), Flag(("log",)), Flag(("log-format",), default="text"),
          Flag(("systemd-cgroup",), "flag"), Flag(("debug",), "flag"), Flag(("version", "v"), "flag"),
          Flag(("help", "h"), "flag"), Flag(("rootless",), default="auto"), Flag(("criu",)),
          Flag(("cgroup-manager",)))


class Log(NamedTuple):
    """Where errors, warnings and, if asked for, debug messages go: a file, or standard error where there is none.

    Attributes:
        service: Whether it is the host's log service that gets them, with C(path) as their sender.
    """

    path: str = ""
    format: str = "text"
    debug: bool = False
    service: bool = False

    def write(self, level: str, text: str) -> None:
        """Write one message, in the form that callers parse."""
        if level == "debug" and not self.debug:
            return
        if self.service:
            import syslog  # pylint: disable=import-outside-toplevel
            syslog.openlog(self.path or program(), syslog.LOG_PID, syslog.LOG_DAEMON)
            syslog.syslog({"error": syslog.LOG_ERR, "warning": syslog.LOG_WARNING}.get(level, syslog.LOG_DEBUG), text)
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            import json  # pylint: disable=import-outside-toplevel
            line = json.dumps({"level": level, "msg": text, "time": now}, separators=(",", ":")) + "\n"
        else:
            line = 'time="%s" level=%s msg="%s"\n' % (
                now, level, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        if not self.path:
            sys.stderr.write(line)
            return
        try:
            with open(self.path, "a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(line)
        except OSError as error:
            sys.stderr.write("coracle: cannot write the log %s: %s\n" % (self.path, error.strerror))

    def fail(self, text: str) -> None:
        """Write an error, and say it on standard error too."""
        self.write("error", text)
        if self.path or self.service:
            sys.stderr.write("coracle: %s\n" % text)


def open_log(options: Dict[str, Any]) -> Log:
    """The log that the global options name: a path as runc takes it, or C(file:), C(syslog:) or C(journald:) as crun does.

    Raises:
        EngineError: Its form is unknown, or the file cannot be written.
    """
    if options["log-format"] not in ("text", "json"):
        raise EngineError("invalid log-format %r" % options["log-format"], "It is text or json")
    kind, colon, rest = (options["log"] or "").partition(":")
    if colon and kind in ("syslog", "journald"):
        return Log(rest, options["log-format"], options["debug"], True)
    path = rest if colon and kind == "file" else options["log"] or ""
    if path:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise EngineError("--log: cannot open the log %s: %s" % (path, error.strerror),
                              "Name a file in a folder that exists") from error
    return Log(path, options["log-format"], options["debug"])


class Context(NamedTuple):
    """What the global options said.

    Attributes:
        root: The folder with the states of containers.
        containers: That in which an instance of the collection has its own, unless C(--root) was given.
    """

    root: str
    log: Log
    systemd_cgroup: bool
    criu: str = ""
    containers: str = ""

    def existing(self, name: str) -> str:
        """The state folder of a container, or, where none has the name, of the collection's container that has it."""
        own = self.state_dir(name)
        collected = os.path.join(self.containers, name, "runtime")
        return collected if self.containers and not os.path.exists(own) and os.path.exists(collected) else own

    def state_dir(self, name: str) -> str:
        """The state folder of a container.

        Raises:
            EngineError: This is no name for one.
        """
        wrong = [each for each in name if not (each.isalnum() and each.isascii() or each in "_+-.")]
        if wrong or name in ("", ".", "..") or len(name) > 1024:
            because = "invalid character `%s` in the ID " % wrong[0] if wrong else ""
            raise EngineError("invalid container ID format: %s'%s'" % (because, name[:1024]), "Use letters, digits and _ + - .")
        return os.path.join(self.root, name)


def is_ours(arguments: List[str]) -> bool:
    """Whether a command line is for this one rather than for the operator's."""
    if not arguments:
        return False
    name = arguments[0].lstrip("-").partition("=")[0]
    if arguments[0].startswith("-"):
        return any(name in flag.names for flag in GLOBAL if "help" not in flag.names)
    return name in VERBS


def main(arguments: List[str], run_root: str = RUN_ROOT) -> int:
    """Run the command.

    Args:
        arguments: Those after its name.
        run_root: Of the instance of the collection whose containers can be named too.
    """
    log = Log()
    try:
        parsed = parse(arguments, GLOBAL, "coracle", anywhere=False)
        options = parsed.options
        log = open_log(options)
        verb = parsed.words[0] if parsed.words else "help"
        if options["version"]:
            from ..runtime.spec import VERSION  # pylint: disable=import-outside-toplevel
            sys.stdout.write("%s version %s\ncommit: %s\nspec: %s\n" % (program(), RELEASE, source(), VERSION))
            return 0
        if options["help"] or verb in ("help", "h"):
            sys.stdout.write(usage())
            return 0
        if verb not in VERBS:
            raise EngineError("No help topic for '%s': there is no such verb" % verb, "'%s help' lists them" % program())
        if any(word in ("--help", "-h") for word in parsed.words[1:2]):
            sys.stdout.write("NAME:\n   %s %s - %s\n\nUSAGE:\n   %s %s %s\n" % (
                program(), verb, VERBS[verb][2], program(), verb, VERBS[verb][1]))
            return 0
        context = Context(os.path.abspath(options["root"] or _root()), log,
                          options["systemd-cgroup"] or options["cgroup-manager"] == "systemd", options["criu"] or "",
                          "" if options["root"] else os.path.join(run_root, "containers"))
        if verb in _SEALED:
            from ..runtime import seal  # pylint: disable=import-outside-toplevel
            seal.ensure()  # before more is imported: it starts the interpreter anew
        log.write("debug", "%s, process %d: %s" % (program(), os.getpid(), " ".join(parsed.words)))
        module = getattr(__import__(__package__, fromlist=[VERBS[verb][0]]), VERBS[verb][0])
        status = int(getattr(module, verb if verb not in ("exec", "list") else verb + "_")(context, parsed.words[1:]))
        log.write("debug", "%s: exit status %d" % (verb, status))
        return status
    except EngineError as error:
        log.fail(str(error))
        return int(error.facts.get("exit_status", 1))
    except OSError as error:
        log.fail("%s: %s" % (error.filename, error.strerror) if error.filename else str(error))
        return 1


def _root() -> str:
    from ..runtime import rootless  # pylint: disable=import-outside-toplevel
    return rootless.state_root() if rootless.limited() else ROOT


def filters() -> str:
    """Where assembled system call filters are kept, whatever C(--root) says; nowhere for a user without such a place."""
    try:
        return os.path.join(os.path.dirname(_root()), "filters")
    except EngineError:
        return ""


def program() -> str:
    """The name that the command was called by: a host may have it as C(runc), for callers that know no other."""
    return os.path.basename(sys.argv[0]) or "coracle"


def source() -> str:
    """What the running code is known by: the folder that it was installed to is named after its digest."""
    return os.path.basename(os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))


def usage() -> str:
    """The list of options and verbs."""
    lines = ["NAME:", "   %s - Open Container Initiative runtime" % program(), "", "USAGE:",
             "   %s [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] VERB ..." % program(),
             "", "VERBS:"]
    return "\n".join(lines + ["   %-11s %s" % (verb, text) for verb, (_place, _usage, text) in VERBS.items()]) + "\n"


def one(words: List[str], verb: str) -> str:
    """The one word that a verb takes.

    Raises:
        EngineError: There is none, or more.
    """
    if len(words) != 1:
        raise EngineError("%s: exactly 1 argument is needed: the container's id" % verb)
    return words[0]


Options = Dict[str, Any]
