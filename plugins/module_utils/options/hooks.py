# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are run in a container after its start and before it is stopped, named as the Compose specification names them."""

from __future__ import annotations

from typing import Any

from .. import values
from ..engine.container import secrets
from ..engine.plan import LIVE
from ..option import Option
from .health import above_zero
from .security import RECORD


def _masked(hooks: Any) -> Any:
    rows = hooks if isinstance(hooks, list) else []  # what is wrong with them may be just this
    return [dict(row, env=secrets.mask(row["env"])) if isinstance(row.get("env"), dict) else row for row in rows]


_HOOK = (
    Option("command", type="list", elements="str", required=True, parse=values.argument),
    Option("user", parse=values.user, form="NAME, UID, NAME:GROUP or UID:GID"),
    Option("working_dir", aliases=("workdir",), parse=values.absolute_path, form="an absolute path"),
    Option("env", type="dict", parse=values.environment, form="a mapping of names to quoted strings"),
    Option("privileged", type="bool", default=False),
    Option("timeout", default="60s", parse=above_zero, form="a duration such as 60s"),
)
HOOKS = tuple(Option(name, type="list", elements="dict", options=_HOOK, disruption=LIVE, mask=_masked, read_from=RECORD)
              for name in ("post_start", "pre_stop"))
"""The rows."""
