# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in a file: written in check mode, read by people, and carried out later only if nothing has changed since."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Mapping, Sequence

from ..errors import Conflict, NotFound
from ..store import files
from . import planning
from .planning import Operation
from .reality import Reality

VERSION = 1


def document(stack: str, definition: str, state: str, reality: Reality, operations: Sequence[Operation]) -> Dict[str, Any]:
    """The plan as it is written.

    Args:
        definition: The digest of the definition.
        state: As the option.
    """
    found = {"version": VERSION, "stack": stack, "state": state, "definition": definition,
             "reality": _fingerprint(reality), "operations": planning.shown(operations), "plan": planning.lines(operations)}
    return dict(found, digest=_digest(found))


def _digest(plan: Mapping[str, Any]) -> str:
    """Of all that a plan says, but for its digest."""
    content = files.encode_json({key: value for key, value in plan.items() if key != "digest"})
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _fingerprint(reality: Reality) -> str:
    """Of what the plan started from: who was there, and how."""
    seen = [(each.container.name, each.observed.status, each.observed.record.id if each.observed.record is not None else "",
             [(diff.option, repr(diff.before)) for diff in each.differences]) for each in (*reality.containers, *reality.doomed)]
    nets = [(each.kind, each.name, each.exists, [(diff.option, repr(diff.before)) for diff in each.differences]) for each in reality.shared]
    found = [(key[0], finding.image.id if finding.image is not None else "") for key, finding in sorted(reality.findings.items())]
    everything = repr((seen, nets, found, sorted(reality.members), reality.surplus))
    return hashlib.sha256(everything.encode("utf-8", "surrogateescape")).hexdigest()


def write(path: str, plan: Dict[str, Any]) -> None:
    """Keep a plan."""
    files.write_json(path, plan)


def demand(path: str, plan: Dict[str, Any]) -> None:
    """See that a plan that was kept is still what would be done.

    Raises:
        NotFound: There is none.
        Conflict: Reality, or what is asked for, is another now; says what.
    """
    kept = files.read_json(path)
    if not isinstance(kept, dict) or "digest" not in kept:
        raise NotFound("option 'plan': there is no plan in %s" % path, "Write it first, by this task in check mode")
    if kept["digest"] != _digest(kept):
        why = "it is not what was written: its digest is that of another"
    elif kept["digest"] == plan["digest"]:
        return
    elif kept.get("stack") != plan["stack"]:
        why = "it is of the stack '%s'" % kept.get("stack")
    elif kept.get("definition") != plan["definition"] or kept.get("state") != plan["state"]:
        why = "the task asks for something else now"
    else:
        before, now = set(kept.get("plan") or ()), set(plan["plan"])
        why = "; ".join(["no more: " + each for each in sorted(before - now)] + ["new: " + each for each in sorted(now - before)]) \
            or "what it started from is another now"
    raise Conflict("the plan in %s does not fit any more: %s" % (path, why),
                   "Nothing was changed. Write it anew, by this task in check mode, and look at it", plan=plan["plan"])
