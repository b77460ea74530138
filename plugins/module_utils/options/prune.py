# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_prune): each declared here and nowhere else."""

from __future__ import annotations

from .. import values
from ..option import NOT_COMPARED, Option

_UNTIL = Option("until", parse=values.duration, form="a duration such as 24h or 90m", compare=NOT_COMPARED)
_LABELS = (
    Option("labels", aliases=("label",), type="list", elements="str", compare=NOT_COMPARED),
    Option("without_labels", type="list", elements="str", compare=NOT_COMPARED),
)
OPTIONS = (
    Option("containers", aliases=("container",), type="bool", default=False, compare=NOT_COMPARED),
    Option("containers_filters", aliases=("container_filters",), type="dict", options=(_UNTIL,) + _LABELS, compare=NOT_COMPARED),
    Option("images", aliases=("image",), type="bool", default=False, compare=NOT_COMPARED),
    Option("images_filters", aliases=("image_filters",), type="dict", compare=NOT_COMPARED, options=(
        Option("dangling", type="bool", default=True, compare=NOT_COMPARED), _UNTIL) + _LABELS),
    Option("volumes", aliases=("volume",), type="bool", default=False, compare=NOT_COMPARED),
    Option("volumes_filters", aliases=("volume_filters",), type="dict", compare=NOT_COMPARED, options=(
        Option("all", type="bool", default=False, compare=NOT_COMPARED), _UNTIL) + _LABELS),
    Option("networks", aliases=("network",), type="bool", default=False, compare=NOT_COMPARED),
    Option("networks_filters", aliases=("network_filters",), type="dict", options=(_UNTIL,) + _LABELS, compare=NOT_COMPARED),
    Option("layers", type="bool", default=False, compare=NOT_COMPARED),
    Option("parts", type="bool", default=False, compare=NOT_COMPARED),
    Option("parts_filters", type="dict", options=(_UNTIL,), compare=NOT_COMPARED),
)
"""The table."""
