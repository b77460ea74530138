# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(coracle) command: which word leads to which function.

Each verb is a function C(f(instance, arguments)) that returns an exit status;
only the file that holds it is imported, since a runtime's start is counted in
milliseconds.
"""

from __future__ import annotations

import os
import sys
from typing import Dict, List, Tuple

from ..errors import EngineError
from ..instance import CGROUP_ROOT, RUN_ROOT, STATE_ROOT, Instance

VERBS: Dict[str, Tuple[str, str, str]] = {
    # verb: (file beside this one, function, one line of help)
    "ps": ("containers", "ps", "list the containers"),
    "inspect": ("containers", "inspect", "NAME: all that is known of a container, as JSON"),
    "exec": ("oci", "main", "[-it] [-u UID[:GID]] [-e NAME=VALUE] NAME COMMAND...: run a further process in a container"),
    "logs": ("logs", "logs", "[-f] [--since 10m] [--until T] [--tail N] [--timestamps] NAME: print a container's output"),
    "events": ("logs", "events", "[-f] [--since 10m] [--until T] [--json] [NAME...]: what has happened to containers"),
    "stats": ("metrics", "stats", "[--no-stream] [--format table|json] [--interval 1s] [NAME...]: what containers use"),
    "top": ("metrics", "top", "[--json] NAME: the processes of a container"),
    "metrics": ("metrics", "metrics", "[--output FILE] [--label KEY]: what containers use, for Prometheus"),
    "images": ("images", "images", "[--json]: list the images and what they take of the disk"),
    "networks": ("networks", "networks", "[--json]: list the networks and who is in them"),
    "volume": ("volumes", "volume", "ls [--json] | inspect NAME...: list the volumes, or all that is known of some, as JSON"),
    "mend": ("networks", "mend", "bring bridges and rules back to what is declared, after a firewall was loaded anew"),
    "start": ("boot", "start", "--all: start all containers that do not run, each after those that it needs"),
    "stop": ("boot", "stop", "--all|NAME...: stop containers, those that others need after these others"),
    "boot": ("boot", "boot", "[--print systemd|openrc|runit|sysv]: start every container whose restart policy says so"),
    "shutdown": ("boot", "shutdown", "[--if-stopping]: end all containers before the host goes down, to come back with it"),
    "reset": ("host", "reset", "remove the instance with all its containers, images, volumes and networks"),
    "seal": ("host", "seal", "[--undo]: keep a read-only view of the interpreter, which lets the runtime start faster"),
    "unit": ("boot", "unit", "start|stop NAME: be what a container's unit of systemd runs"),
    "keeper": ("containers", "keeper", "be the keeper (started by the engine itself)"),
}
_RUNTIMES = ("runc", "crun")
"""Called by one of these names, it is that runtime's command line and nothing else."""
_ROOTS = ("--state-root", "--run-root", "--cgroup-root")


def main(arguments: List[str]) -> int:
    """Run the command; C(arguments) are those after its name."""
    roots = {"--state-root": STATE_ROOT, "--run-root": RUN_ROOT, "--cgroup-root": CGROUP_ROOT}
    rest = list(arguments)
    if os.path.basename(sys.argv[0]) in _RUNTIMES:
        from . import oci  # pylint: disable=import-outside-toplevel
        return oci.main(rest or ["--help"])
    runtime = rest[:1] == ["ps"] and rest[1:] not in ([], ["--json"]) \
        or rest[:1] == ["start"] and rest[1:] != ["--all"] \
        or rest[:1] == ["events"] and any(word.lstrip("-").partition("=")[0] in ("stats", "interval") for word in rest[1:])
    # With a name, or an option that only the runtime's has, it is about one of the runtime's.
    if rest and (runtime or rest[0] not in VERBS) and rest[0].partition("=")[0] not in _ROOTS:
        from . import oci  # pylint: disable=import-outside-toplevel
        if oci.is_ours(rest):
            return oci.main(rest)
    while rest and rest[0].partition("=")[0] in _ROOTS:
        word, equals, value = rest.pop(0).partition("=")
        if not equals:
            if not rest:
                return complain("%s needs a value" % word)
            value = rest.pop(0)
        roots[word] = value
    if not rest or rest[0] in ("help", "--help", "-h"):
        sys.stdout.write(usage())
        return 0 if rest else 2
    if rest[0] == "exec":
        from . import oci  # pylint: disable=import-outside-toplevel
        return oci.main(rest, roots["--run-root"])
    if rest[0] not in VERBS:
        return complain("No help topic for '%s': there is no such verb; 'coracle help' lists them" % rest[0])
    place, function, text = VERBS[rest[0]]
    if rest[1:] in (["--help"], ["-h"]):
        sys.stdout.write("coracle %s %s\n" % (rest[0], text))
        return 0
    try:
        step = getattr(getattr(__import__(__package__, fromlist=[place]), place), function)
        return int(step(Instance(*roots.values()), rest[1:]))
    except EngineError as error:
        return complain(str(error))
    except BrokenPipeError:
        return 1


def usage() -> str:
    """The text of C(coracle help)."""
    lines = ["coracle [--state-root DIR] [--run-root DIR] [--cgroup-root PATH] VERB [ARGUMENTS]", ""]
    lines += ["  %-10s %s" % (verb, text) for verb, (_place, _function, text) in VERBS.items()]
    lines += ["", "As an OCI runtime: coracle --root DIR help"]
    return "\n".join(lines) + "\n"


def complain(text: str) -> int:
    """Say what is wrong; the exit status of a failure."""
    sys.stderr.write("coracle: %s\n" % text)
    return 1
