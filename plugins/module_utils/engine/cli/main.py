# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(coracle) command: which word leads to which function.

Each verb is a function C(f(instance, arguments)) that returns an exit status;
only the file that holds it is imported, since a runtime's start is counted in
milliseconds.
"""

from __future__ import annotations

import importlib
import sys
from typing import Dict, List, Tuple

from ..errors import EngineError
from ..instance import CGROUP_ROOT, RUN_ROOT, STATE_ROOT, Instance

VERBS: Dict[str, Tuple[str, str, str]] = {
    # verb: (file beside this one, function, one line of help)
    "ps": ("containers", "ps", "list the containers"),
    "inspect": ("containers", "inspect", "NAME: all that is known of a container, as JSON"),
    "logs": ("containers", "logs", "NAME: print a container's output"),
    "boot": ("containers", "boot", "start every container whose restart policy says so"),
    "reset": ("host", "reset", "remove the instance with all its containers, images, volumes and networks"),
    "keeper": ("containers", "keeper", "be the keeper (started by the engine itself)"),
}
_ROOTS = ("--state-root", "--run-root", "--cgroup-root")


def main(arguments: List[str]) -> int:
    """Run the command; C(arguments) are those after its name."""
    roots = {"--state-root": STATE_ROOT, "--run-root": RUN_ROOT, "--cgroup-root": CGROUP_ROOT}
    rest = list(arguments)
    if rest and rest[0] not in VERBS and rest[0].partition("=")[0] not in _ROOTS:
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
    if rest[0] not in VERBS:
        return complain("there is no verb '%s'; 'coracle help' lists them" % rest[0])
    place, function, _help = VERBS[rest[0]]
    try:
        step = getattr(importlib.import_module("." + place, __package__), function)
        return int(step(Instance(*roots.values()), rest[1:]))
    except EngineError as error:
        return complain(str(error))
    except BrokenPipeError:
        return 1


def usage() -> str:
    """The text of C(coracle help)."""
    lines = ["coracle [--state-root DIR] [--run-root DIR] [--cgroup-root PATH] VERB [ARGUMENTS]", ""]
    lines += ["  %-10s %s" % (verb, text) for verb, (_place, _function, text) in VERBS.items()]
    return "\n".join(lines) + "\n"


def complain(text: str) -> int:
    """Say what is wrong; the exit status of a failure."""
    sys.stderr.write("coracle: %s\n" % text)
    return 1
