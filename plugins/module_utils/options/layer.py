# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_layer): each declared here and nowhere else."""

from __future__ import annotations

from .. import values
from ..engine.image import references
from ..engine.plan import RESTART
from ..option import NOT_COMPARED, Option
from .image import diff_id, digest

_FORM = "sha256: and 64 lower-case hexadecimal digits"
_PATH = "an absolute path on the managed host"

OPTIONS = (
    Option("state", default="present", choices=("present", "absent", "mounted", "unmounted", "diff", "committed"),
           compare=NOT_COMPARED),
    Option("source", type="path", parse=values.absolute_path, form=_PATH, compare=NOT_COMPARED),
    Option("digest", parse=digest, form=_FORM, compare=NOT_COMPARED),
    Option("diff_id", parse=diff_id, form=_FORM, read_from="layers/"),
    Option("layers", type="list", elements="str", parse=diff_id, form=_FORM, disruption=RESTART,
           read_from="mountinfo: lowerdir, and the source, which is the chain ID"),
    Option("image", parse=references.name_or_identity, form=references.FORM, compare=NOT_COMPARED),
    Option("path", type="path", parse=values.absolute_path, form=_PATH, compare=NOT_COMPARED, aliases=("target",)),
    Option("upper", type="path", parse=values.absolute_path, form=_PATH, disruption=RESTART,
           read_from="mountinfo: upperdir"),
    Option("work", type="path", parse=values.absolute_path, form=_PATH, disruption=RESTART,
           read_from="mountinfo: workdir"),
    Option("read_only", type="bool", default=False, disruption=RESTART, read_from="mountinfo: ro, upperdir"),
    Option("uidmap", type="list", elements="str", parse=values.id_row, whole=values.id_map, form=values.ID_MAP_FORM,
           disruption=RESTART, read_from="mountinfo: the source"),
    Option("gidmap", type="list", elements="str", parse=values.id_row, whole=values.id_map, form=values.ID_MAP_FORM,
           disruption=RESTART, read_from="mountinfo: the source"),
    Option("dest", type="path", parse=values.absolute_path, form=_PATH, compare=NOT_COMPARED),
    Option("compression", default="none", choices=("none", "gzip"), read_from="the first bytes of dest"),
    Option("source_date_epoch", type="int", parse=values.integer(0, 1 << 40), form="seconds since the epoch",
           compare=NOT_COMPARED),
    Option("commit_as", parse=references.normal, form=references.FORM, compare=NOT_COMPARED),
    Option("layer_store", default="auto", choices=("auto", "erofs", "directory"), compare=NOT_COMPARED),
)
"""The table."""
