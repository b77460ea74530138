# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_info): each declared here and nowhere else."""

from __future__ import annotations

from typing import Any, Dict, Optional

from .. import values
from ..engine.image import references
from ..option import NOT_COMPARED, Option

PARTS = ("network", "mounts", "usage", "limits", "processes", "drift")


def _labels(value: Any) -> Dict[str, Optional[str]]:
    return {str(key): None if item is None else str(item) for key, item in value.items()}


OPTIONS = (
    Option("name", type="list", elements="str", parse=values.name, aliases=("names",), compare=NOT_COMPARED,
           form="names of containers"),
    Option("label", type="dict", parse=_labels, aliases=("labels",), compare=NOT_COMPARED),
    Option("image", parse=references.name_or_identity, compare=NOT_COMPARED, form="an image's name, ID, or beginning of an ID"),
    Option("state", type="list", elements="str", compare=NOT_COMPARED,
           choices=("created", "running", "paused", "restarting", "exited")),
    Option("gather", type="list", elements="str", choices=PARTS, default=["network", "mounts", "usage", "limits"],
           compare=NOT_COMPARED),
    Option("logs_tail", type="int", parse=values.integer(0, 100000), compare=NOT_COMPARED, form="a number from 0 to 100000"),
    Option("interval", default="0s", parse=values.duration, compare=NOT_COMPARED, form="a time such as 500ms or 2s"),
)
"""The table."""
