# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks on the host: ps, inspect."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, List

from ..container import records
from ..errors import EngineError, NotFound
from ..instance import Instance
from .table import table


def ps(instance: Instance, arguments: List[str]) -> int:
    """List the containers as a table, or with C(--json) as JSON."""
    from ..container import observe  # pylint: disable=import-outside-toplevel
    states = [observe.report_of(instance, name) for name in records.listed(instance)]
    if arguments == ["--json"]:
        sys.stdout.write(json.dumps(states, indent=1, sort_keys=True) + "\n")
        return 0
    rows = [("NAME", "IMAGE", "STATUS", "PID", "ADDRESS", "PORTS")]
    for state in states:
        rows.append((state["name"], str(state.get("image") or "-"), status_text(state), str(state.get("pid") or "-"),
                     ",".join((state.get("addresses") or {}).values()) or "-",
                     ",".join(state.get("published_ports") or ()) or "-"))
    sys.stdout.write(table(rows))
    return 0


def status_text(state: Dict[str, Any]) -> str:
    """The status as a person reads it: C(exited (137, out of memory))."""
    if state["status"] == "running" and state.get("health"):
        return "running (%s)" % state["health"]["status"]
    if state["status"] != "exited" or state.get("exit_code") is None:
        return str(state["status"])
    return "exited (%d%s)" % (state["exit_code"], ", out of memory" if state.get("oom_killed") else "")


def inspect(instance: Instance, arguments: List[str]) -> int:
    """Print all that is known of a container."""
    from ..container import observe  # pylint: disable=import-outside-toplevel
    name = _name(instance, arguments, "inspect")
    sys.stdout.write(json.dumps(observe.report_of(instance, name), indent=1, sort_keys=True) + "\n")
    return 0


def keeper(instance: Instance, _arguments: List[str]) -> int:
    """Be the keeper."""
    from ..runtime import seal  # pylint: disable=import-outside-toplevel
    seal.ensure()
    from ..container import keeper as process  # pylint: disable=import-outside-toplevel
    return process.main(instance)


def _name(instance: Instance, arguments: List[str], verb: str) -> str:
    if len(arguments) != 1:
        raise EngineError("coracle %s takes the name of one container" % verb, "'coracle ps' lists them")
    name = records.current(instance, arguments[0])
    if name not in records.names(instance):
        raise NotFound("there is no container '%s'" % arguments[0], "'coracle ps' lists them")
    return name
