# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of stacks."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ..instance import Instance
from . import converging, reality, records


def describe(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """All stacks, or those of certain names, with services, containers and history."""
    return [_stack(instance, name) for name in (params["name"] or records.names(instance))]


def _stack(instance: Instance, name: str) -> Dict[str, Any]:
    record = records.read(instance, name)
    found = converging.there(instance, name, None)
    if record is None and not found.containers:
        return {"name": name, "exists": False}
    past = records.history(instance, name)
    return {
        "name": name, "exists": True, "declared_at": record.at if record is not None else None,
        "digest": record.digest if record is not None else None,
        "revision": _revision(record, past),
        "rolled_back": record is not None and record.rolled_back is not None,
        "history": [{"revision": each.revision, "at": each.at, "digest": each.digest, "images": each.images,
                     "services": sorted(each.definition.get("services") or {})} for each in past],
        "services": reality.report(instance, found.containers), "networks": list(found.surplus), "volumes": list(found.volumes),
    }


def _revision(record: Any, past: List[records.Good]) -> Any:
    """The number of the revision that the stack is at; C(None) where what was last asked for was not reached."""
    if record is None:
        return None
    if record.rolled_back is not None:
        return record.rolled_back
    return next((each.revision for each in reversed(past) if each.digest == record.digest), None)
