# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_image_info): each declared here and nowhere else."""

from __future__ import annotations

from ..engine.image import references
from ..option import NOT_COMPARED, Option
from .registry import PLATFORM, REGISTRY

OPTIONS = (
    Option("name", type="list", elements="str", parse=references.name_or_identity, form=references.FORM,
           compare=NOT_COMPARED, aliases=("reference",)),
    Option("registry", type="bool", default=False, compare=NOT_COMPARED),
    PLATFORM,
    Option("referrers", type="bool", default=False, compare=NOT_COMPARED),
    Option("fetch", type="list", elements="str", compare=NOT_COMPARED),
    Option("registry_tags", type="bool", default=False, compare=NOT_COMPARED),
    *REGISTRY,
)
"""The table."""
