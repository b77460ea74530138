# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_exec): a program in a running container."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..container import inside, programs, records, status
from ..errors import Conflict, InvalidValue
from ..instance import Instance
from ..kernel import paths
from ..plan import Change, Difference, Plan


class Desired(NamedTuple):
    """What was asked for.

    Attributes:
        container: The name of the container's folder.
        record: Its record.
        root: What it sees as its root.
        process: The program, as the runtime-spec describes it.
    """

    container: str
    record: records.Record
    root: paths.Root
    process: Dict[str, Any]
    params: Mapping[str, Any]
    options: Dict[str, Any] = {}


class Observed(NamedTuple):
    """What decides whether it runs.

    Attributes:
        reason: Why it need not; nothing where it does.
    """

    reason: str = ""
    options: Dict[str, Any] = {}


def key(_params: Mapping[str, Any]) -> None:
    """Programs run beside one another."""
    return


def resolve(instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Find the container, and the user in its files. Reads only.

    Raises:
        NotFound, Conflict: There is no such container, or it does not run.
        InvalidValue: Options contradict each other, or the container does not know the user.
    """
    if params["detach"]:
        for option in ("stdin", "tty", "timeout"):
            if params[option]:
                raise InvalidValue(option, params[option], "does not go with 'detach: true', which waits for nothing",
                                   "Leave one of the two out")
    name = records.current(instance, params["container"])
    record, live = inside.known(instance, name), records.read_live(instance, name)
    now = status.status(instance, name, record, live)
    if now != status.RUNNING or live.init is None:
        raise Conflict("the container '%s' does not run: its status is %s" % (record.shown, now),
                       "Unpause it first with 'state: started' of container_run" if now == status.PAUSED
                       else "Start it first with container_run", option="container")
    root = inside.root_of(live.init)
    said = dict(params, cwd=params["chdir"])
    return Desired(name, record, root, programs.process(instance, record, root, params["argv"] or params["command"], said), params)


def observe(_instance: Instance, desired: Desired) -> Observed:
    """Look for the files that decide, as a path of the container's."""
    params = desired.params
    if params["creates"] is not None and desired.root.exists(params["creates"]):
        return Observed("since %s exists" % params["creates"])
    if params["removes"] is not None and not desired.root.exists(params["removes"]):
        return Observed("since %s does not exist" % params["removes"])
    return Observed()


def plan(desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """One step, or none. What is run is not said: a command line may hold what a log shall not."""
    return () if observed.reason else (Change("exec", desired.record.shown),)


def apply(instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """Run it."""
    from . import running  # pylint: disable=import-outside-toplevel
    params = desired.params
    told = {"cmd": _command(desired)}
    if params["detach"]:
        return dict(told, pid=running.leave(instance, desired.container, desired.process))
    text: Optional[str] = params["stdin"]
    if text is not None and params["stdin_add_newline"]:
        text += "\n"
    entered = b"" if text is None else text.encode("utf-8", "surrogateescape")
    done = running.attend(instance, desired.container, desired.process, entered,
                          running.Bounds(params["timeout"] and params["timeout"] / 1000000, params["max_output"]))
    return {**told, **_result(done, params)}


def _result(done: Any, params: Mapping[str, Any]) -> Dict[str, Any]:
    """What a task returns of it, as C(ansible.builtin.command) does; it has failed where the program says so."""
    result: Dict[str, Any] = {"rc": done.status, "start": done.start, "end": done.end, "delta": done.delta,
                              "timed_out": done.timed_out}
    warnings: List[str] = []
    for stream, output in (("stdout", done.stdout), ("stderr", done.stderr)):
        text = bytes(output.kept).decode("utf-8", "surrogateescape")
        result[stream] = text.rstrip("\r\n") if params["strip_empty_ends"] else text
        result[stream + "_dropped"] = output.dropped
        if output.dropped:
            warnings.append("%s was longer than %d bytes: the first %d bytes of it are not here; 'max_output' allows more"
                            % (stream, params["max_output"], output.dropped))
    if warnings:
        result["warnings"] = warnings
    if done.timed_out:
        result.update(failed=True, msg="the command did not end within %g s, and was killed with all that it had started"
                      % (params["timeout"] / 1000000))
    elif done.status:
        result.update(failed=True, msg="non-zero return code")
    return result


def _command(desired: Desired) -> List[str]:
    return list(desired.process["args"])


def rehearse(_instance: Instance, desired: Desired, _observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """Check mode: what a command would do cannot be known, unless a file decides whether it runs at all."""
    told: Dict[str, Any] = {"cmd": _command(desired), "rc": 0, "stdout": "", "stderr": "",
                            "msg": "Command would have run if not in check mode"}
    if desired.params["creates"] is None and desired.params["removes"] is None:
        told.update(changed=False, skipped=True)
    return told


def idle(_instance: Instance, desired: Desired, observed: Observed) -> Dict[str, Any]:
    """It need not run."""
    return {"cmd": _command(desired), "rc": 0, "stdout": "skipped, " + observed.reason, "stderr": "",
            "msg": "Did not run command " + observed.reason}


def report(_instance: Instance, desired: Desired, _observed: Observed) -> Dict[str, Any]:
    """Where it ran."""
    user = desired.process["user"]
    return {"container": desired.record.shown, "container_id": desired.record.id, "uid": user["uid"], "gid": user["gid"],
            "chdir": os.path.normpath(desired.process.get("cwd") or "/")}
