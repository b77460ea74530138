# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option by which a container is given secrets."""

from __future__ import annotations

import re
from typing import Any, Dict, List

from .. import values
from ..engine.plan import RECREATE
from ..option import Option
from .security import RECORD

_ID_FORM = "a name or a number"


def _id(value: Any) -> str:
    if not re.match(r"^[^:\s/\0]+\Z", str(value)):
        raise ValueError("is no name of a user or group")
    return str(value)


def _target(value: Any) -> str:
    text = str(value)
    return values.absolute_path(text) if text.startswith("/") else values.name(text)


def _mode(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("is a number, which YAML may have read otherwise than it was written")
    return values.octal(value)


def _on_change(value: Any) -> str:
    text = {"False": "none", "None": "none"}.get(str(value), str(value))
    kind, _colon, number = text.partition(":")
    if kind == "signal" and number:
        return "signal:%d" % values.signal(number)
    if text not in ("none", "restart"):
        raise ValueError("is none of none, restart and signal:NAME")
    return text


def _rows(value: Any) -> List[Dict[str, Any]]:
    targets = [row["target"] or row["source"] for row in value]
    for target in targets:
        if targets.count(target) > 1:
            raise ValueError("has two secrets at '%s'" % target)
    return list(value)


SECRETS = Option("secrets", type="list", elements="dict", no_log=False, parse=_rows, disruption=RECREATE, read_from=RECORD,
                 form="for each secret a source, and a target of its own", options=(
                     Option("source", required=True, aliases=("name",), parse=values.name, form="the name of a secret"),
                     Option("target", parse=_target, form="a file name, or an absolute path such as /etc/app/key"),
                     Option("uid", aliases=("owner",), parse=_id, form=_ID_FORM),
                     Option("gid", aliases=("group",), parse=_id, form=_ID_FORM),
                     Option("mode", type="raw", default="0400", parse=_mode, form="an octal mode in quotes, such as '0440'"),
                     Option("on_change", default="none", parse=_on_change, form="none, restart, or a signal such as signal:HUP")))
"""Of C(container_run)."""
