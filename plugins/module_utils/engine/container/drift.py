# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no longer as it was asked for: a container compared with its own record, as a task that repeats it would."""

from __future__ import annotations

from typing import Any, Dict, List

from ..cgroup import request
from ..instance import Instance
from . import observe, records, wiring
from .desired import Desired


def describe(instance: Instance, key: str) -> List[Dict[str, Any]]:
    """The differences, each with C(option), C(before) and C(after); empty where all is as it was asked for, or where it does not run.

    Args:
        key: The container's folder.
    """
    record = records.read(instance, key)
    if record is None:
        return []
    options = record.options
    netns = wiring.settle(instance, key, options)
    wanted = Desired(record.shown, "started", options, dict(options, image=record.image_id, networks=wiring.view(netns)),
                     limits=request.from_options(options), netns=netns)
    seen = observe.observe(instance, wanted)
    if not seen.live.init:
        return []
    found = [{"option": option, "before": seen.options[option], "after": wanted.options[option]} for option in wanted.options
             if option in seen.options and seen.options[option] != wanted.options[option] and option not in ("env", "image")]
    found += [{"option": each.option, "before": each.before, "after": each.after} for each in (*seen.network_drift, *seen.drift)]
    if not seen.monitored:
        found.append({"option": "monitor", "before": None, "after": "running"})
    return found
