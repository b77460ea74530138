# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are run in a container after it has been started, and before it is stopped (C(post_start), C(pre_stop)).

Who starts or stops it runs them: a task, the boot, the command. A start by the restart policy has none, nor has an end that nobody
asked for. What becomes of one that fails is as the Compose specification has it.
"""

from __future__ import annotations

import time
from typing import Any, Mapping

from ..cgroup import freezer
from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from . import cgroups, inside, programs, records

POST_START = "post_start"
PRE_STOP = "pre_stop"
_MOST_OUTPUT = 4096


def run(instance: Instance, record: records.Record, kind: str) -> None:
    """Run them in their order; none in a container that does not run, is paused, or ends meanwhile.

    Raises:
        EngineError: One ends with another exit code than 0, cannot be run, or takes too long; the later ones are not run.
    """
    for at, hook in enumerate(record.options.get(kind) or ()):
        init = records.read_live(instance, record.name).init
        if init is None or not processes.alive(init) or freezer.frozen(cgroups.of(instance, record.name)):
            return
        try:
            why = _run(instance, record, init, hook)
        except (EngineError, OSError) as error:
            why = str(error)
        if why and processes.alive(init):
            other = "; 'state: killed' ends the container without it" if kind == PRE_STOP else ""
            raise EngineError("%s[%d] of the container '%s' has failed: %s" % (kind, at, record.shown, why),
                              "Correct it, or leave it out" + other)


def _run(instance: Instance, record: records.Record, init: processes.Process, hook: Mapping[str, Any]) -> str:
    """Run one; why it has failed, or nothing."""
    root = inside.root_of(init)
    try:
        wanted = programs.process(instance, record, root, list(hook["command"]), dict(hook, cwd=hook["working_dir"]))
    finally:
        root.close()
    seconds = int(hook["timeout"]) / 1000000
    try:
        code, output = programs.run(instance, record.name, wanted, time.monotonic() + seconds, _MOST_OUTPUT)
    except TimeoutError:
        return "it took longer than %g s" % seconds
    return "" if code == 0 else "it ended with exit code %d: %s" % (code, output.decode("utf-8", "replace").strip() or "it wrote nothing")
