# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCI runtime command line: what containerd, CRI-O, Podman and Docker call (the options are runc's).

    coracle [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] VERB ...

Each verb is a function C(f(context, arguments)) that returns an exit status; only the file that holds it is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from ..errors import EngineError
from .arguments import Flag, parse

ROOT = "/run/coracle/oci"
"""Where the states of containers are kept that are made with this command line."""
VERBS: Dict[str, Tuple[str, str]] = {
    # verb: (file beside this one, its usage)
    "create": ("oci_life", "[--bundle DIR] [--console-socket PATH] [--pid-file FILE] ID: make a container, to be started"),
    "start": ("oci_life", "ID: start a created container"),
    "run": ("oci_life", "[--detach] [--keep] [options of create] ID: make and start a container, and wait for it"),
    "state": ("oci_info", "ID: print a container's state as JSON"),
    "kill": ("oci_life", "[--all] ID [SIGNAL]: send a signal"),
    "delete": ("oci_life", "[--force] ID: remove a container that has ended"),
    "exec": ("oci_exec", "[--tty] [--detach] [--process FILE] ID COMMAND [ARGUMENT...]: run a further process"),
    "list": ("oci_info", "[--format table|json] [--quiet]: list the containers"),
    "ps": ("oci_info", "[--format table|json] ID [ps options]: list a container's processes"),
    "pause": ("oci_control", "ID: stop all processes where they are"),
    "resume": ("oci_control", "ID: let them go on"),
    "update": ("oci_control", "[--memory N ...] [--resources FILE] ID: change resource limits"),
    "events": ("oci_control", "--stats ID: print what the container uses"),
    "spec": ("oci_info", "[--bundle DIR] [--rootless]: write a config.json to begin with"),
    "features": ("oci_info", ": print what this runtime can do, as JSON"),
    "checkpoint": ("oci_control", "not supported"),
    "restore": ("oci_control", "not supported"),
}
_SEALED = ("create", "run", "exec")
"""The verbs with a process of this interpreter inside the container, if only for a moment."""
GLOBAL = (Flag(("root",), default=ROOT), Flag(("log",)), Flag(("log-format",), default="text"),
          Flag(("systemd-cgroup",), "flag"), Flag(("debug",), "flag"), Flag(("version", "v"), "flag"),
          Flag(("help", "h"), "flag"), Flag(("rootless",), default="auto"), Flag(("criu",)))


class Context(NamedTuple):
    """What the global options said."""

    root: str
    log: str
    log_format: str
    systemd_cgroup: bool
    debug: bool

    def state_dir(self, name: str) -> str:
        """The state folder of a container.

        Raises:
            EngineError: This is no name for one.
        """
        if not name or name in (".", "..") or len(name) > 1024 or \
                not all(each.isalnum() and each.isascii() or each in "_+-." for each in name):
            raise EngineError("invalid container id %r" % name, "Use letters, digits and _ + - .")
        return os.path.join(self.root, name)


def is_ours(arguments: List[str]) -> bool:
    """Whether a command line is for this one rather than for the operator's."""
    if not arguments:
        return False
    name = arguments[0].lstrip("-").partition("=")[0]
    if arguments[0].startswith("-"):
        return name in ("root", "log", "log-format", "systemd-cgroup", "debug", "version", "v", "rootless", "criu")
    return name in VERBS


def main(arguments: List[str]) -> int:
    """Run the command; C(arguments) are those after its name."""
    log, log_format = "", "text"
    try:
        parsed = parse(arguments, GLOBAL, "coracle")
        options = parsed.options
        log, log_format = options["log"] or "", options["log-format"]
        if log_format not in ("text", "json"):
            raise EngineError("invalid log format %r" % log_format, "It is text or json")
        if options["version"]:
            from ..runtime.spec import VERSION  # pylint: disable=import-outside-toplevel
            sys.stdout.write("coracle version 1.0.0\nspec: %s\n" % VERSION)
            return 0
        if options["help"] or not parsed.words or parsed.words[0] == "help":
            sys.stdout.write(usage())
            return 0
        verb = parsed.words[0]
        if verb not in VERBS:
            raise EngineError("there is no verb '%s'" % verb, "'coracle --root DIR help' lists them")
        context = Context(os.path.abspath(options["root"]), log, log_format, options["systemd-cgroup"], options["debug"])
        if "--help" in parsed.words[1:2] or "-h" in parsed.words[1:2]:
            sys.stdout.write("coracle %s %s\n" % (verb, VERBS[verb][1]))
            return 0
        if verb in _SEALED:
            from ..runtime import seal  # pylint: disable=import-outside-toplevel
            seal.ensure()  # before more is imported: it starts the interpreter anew
        module = importlib.import_module("." + VERBS[verb][0], __package__)
        return int(getattr(module, verb if verb not in ("exec", "list") else verb + "_")(context, parsed.words[1:]))
    except EngineError as error:
        complain(str(error), log, log_format)
        return int(error.facts.get("exit_status", 1))
    except OSError as error:
        complain("%s: %s" % (error.filename, error.strerror) if error.filename else str(error), log, log_format)
        return 1


def usage() -> str:
    """The list of verbs."""
    lines = ["coracle [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] VERB ...", ""]
    return "\n".join(lines + ["  %s %s" % (verb, text) for verb, (_place, text) in VERBS.items()]) + "\n"


def complain(text: str, log: str, log_format: str, level: str = "error") -> None:
    """Write to the log as callers parse it, and in any case say it on standard error."""
    if log:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if log_format == "json":
            import json  # pylint: disable=import-outside-toplevel
            line = json.dumps({"level": level, "msg": text, "time": now})
        else:
            line = 'time="%s" level=%s msg="%s"' % (now, level, text.replace("\\", "\\\\").replace('"', '\\"'))
        try:
            with open(log, "a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            sys.stderr.write("coracle: cannot write the log %s: %s\n" % (log, error.strerror))
    sys.stderr.write("coracle: %s\n" % text)


def one(words: List[str], verb: str) -> str:
    """The one word that a verb takes.

    Raises:
        EngineError: There is none, or more.
    """
    if len(words) != 1:
        raise EngineError("%s: exactly 1 argument is needed: the container's id" % verb)
    return words[0]


Options = Dict[str, Any]
