# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks of networks: which there are, and to be brought back to what is declared."""

from __future__ import annotations

import json
import sys
from typing import List

from ..errors import EngineError
from ..instance import Instance
from ..network import declare, information
from .table import table


def networks(instance: Instance, arguments: List[str]) -> int:
    """List the networks."""
    if arguments not in ([], ["--json"]):
        raise EngineError("coracle networks takes nothing but --json", "Leave the rest out")
    found = information.describe(instance, {"name": None, "label": None})
    if arguments:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    rows = [("NAME", "DRIVER", "SUBNETS", "MEMBERS")]
    rows += [(each["name"], each["driver"], ", ".join(pool["subnet"] for pool in each["subnets"]),
              ", ".join(member["name"] for member in each["members"])) for each in found]
    sys.stdout.write(table(rows))
    return 0


def mend(instance: Instance, arguments: List[str]) -> int:
    """Bring bridges and rules back; say so where something had to be."""
    if arguments:
        raise EngineError("coracle mend takes no arguments", "Leave them out")
    if declare.mend(instance):
        sys.stdout.write("coracle: the networks' bridges or rules had been changed; they are as declared again\n")
    return 0
