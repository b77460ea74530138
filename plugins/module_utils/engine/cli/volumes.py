# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks of volumes: which there are, and all that is known of some."""

from __future__ import annotations

import json
import sys
from typing import List

from ..errors import EngineError, NotFound
from ..instance import Instance
from ..sizes import human_size
from ..volume import information
from .table import table


def volume(instance: Instance, arguments: List[str]) -> int:
    """List the volumes, or print what is known of some."""
    verb, rest = (arguments or ["ls"])[0], arguments[1:]
    if verb == "inspect" and rest:
        return _inspect(instance, rest)
    if verb != "ls" or rest not in ([], ["--json"]):
        raise EngineError("coracle volume takes 'ls', 'ls --json' or 'inspect NAME...'", "Say one of these")
    found = information.describe(instance, {"name": None, "label": None, "usage": True})
    if rest:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    rows = [("NAME", "DRIVER", "USED", "SIZE", "USED BY")]
    rows += [(each["name"], each["driver"], "-" if each["used"] is None else human_size(each["used"]),
              "-" if each["size"] is None else human_size(each["size"]), ", ".join(each["used_by"]) or "-") for each in found]
    sys.stdout.write(table(rows))
    return 0


def _inspect(instance: Instance, names: List[str]) -> int:
    found = information.describe(instance, {"name": names, "label": None, "usage": True})
    for each in found:
        if not each["exists"]:
            raise NotFound("there is no volume '%s'" % each["name"], "'coracle volume ls' lists them")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0
