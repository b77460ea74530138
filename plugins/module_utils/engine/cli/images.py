# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator asks of images: which there are, and what each takes of the disk."""

from __future__ import annotations

import json
import sys
from typing import List

from ..errors import EngineError
from ..image import information
from ..instance import Instance
from ..sizes import human_size
from .table import table


def images(instance: Instance, arguments: List[str]) -> int:
    """List the images: what only each takes of the disk, and what it shares with others."""
    if arguments not in ([], ["--json"]):
        raise EngineError("coracle images takes nothing but --json", "Leave the rest out")
    found = information.describe(instance, {"name": None, "registry": False, "referrers": False, "fetch": None,
                                            "registry_tags": False})["images"]
    if arguments:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    rows = [("NAME", "ID", "CREATED", "UNIQUE", "SHARED", "USED BY")]
    rows += [(name, each["id"].partition(":")[2][:12], (each["created"] or "-")[:10], human_size(each["disk"]["unique"]),
              human_size(each["disk"]["shared"]), ", ".join(each["containers"]) or "-")
             for each in found for name in each["references"] or ["-"]]
    sys.stdout.write(table(rows))
    return 0
