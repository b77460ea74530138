# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a volume: of C(container_volume), and wherever else one is declared."""

from __future__ import annotations

import re
from typing import Any, Dict, Union

from .. import values
from ..engine.plan import RECREATE
from ..engine.volume import drivers
from ..option import NOT_COMPARED, Option

SMALLEST = 1 << 20
"""Bytes; no file system fits into less."""
_RECORD = "volumes/NAME/volume.json"


def _driver_options(value: Dict[str, Any]) -> Dict[str, str]:
    """What was said of them, as text."""
    found = {key: ",".join(item) if isinstance(item, list) else item for key, item in value.items() if item is not None}
    for key, text in found.items():
        if "\0" in text or "\n" in text:
            raise ValueError("has a value of '%s' that is no single line" % key)
    return found


def account(value: Any) -> Union[int, str]:
    """A user or group by name or number."""
    text = str(value)
    if re.match(r"^[0-9]{1,10}\Z", text) and int(text) <= values.LAST_ID:
        return int(text)
    if not re.match(r"^[a-zA-Z_][a-zA-Z0-9_.-]*\$?\Z", text):
        raise ValueError("is neither a name nor a number")
    return text


def mode(value: Any) -> int:
    """Permission bits; a number has lost its leading zero to YAML, and with it what it means."""
    if not isinstance(value, str):
        raise ValueError("is no octal mode in quotes")
    return values.octal(value)


def _size(value: Any) -> int:
    size = values.size(value)
    if size != values.UNLIMITED and size < SMALLEST:
        raise ValueError("is less than 1M")
    return size


def _octal(value: Any) -> Any:
    return "%04o" % value if isinstance(value, int) else value


_DRIVER_OPTIONS = (
    *(Option(name) for name in ("server", "path", "share", "volume", "username", "domain")),
    Option("password", no_log=True),
    *(Option(name) for name in ("credentials_file", "monitors", "user")),
    Option("secret_file", no_log=False),
    *(Option(name) for name in ("fs", "type", "device")),
    Option("o", type="list", elements="str"),
)
_ACCOUNT_FORM = "the name of an account of the host, or a number"
OF_VOLUME = (
    Option("driver", choices=drivers.NAMES, disruption=RECREATE, read_from=_RECORD),
    Option("driver_options", type="dict", aliases=("options", "opt"), options=_DRIVER_OPTIONS, parse=_driver_options,
           mask=drivers.masked, disruption=RECREATE, form="each on one line", read_from=_RECORD),
    Option("labels", type="dict", aliases=("label",), parse=values.mapping_of_text, form="a mapping of names to quoted strings",
           read_from=_RECORD),
    Option("owner", aliases=("uid",), parse=account, form=_ACCOUNT_FORM, read_from="the volume's folder"),
    Option("group", aliases=("gid",), parse=account, form=_ACCOUNT_FORM, read_from="the volume's folder"),
    Option("mode", type="raw", parse=mode, mask=_octal, form="an octal mode such as '0750', in quotes", read_from="the volume's folder"),
    Option("size", parse=_size, form="a size of at least 1M such as 10G, or -1 for no limit",
           read_from="the project's quota, the image's or the tmpfs's size"),
)
"""A volume, as far as one says something of it."""

OPTIONS = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED, aliases=("volume_name",),
           form="letters, digits, _, ., -; at most 63, the first a letter or digit"),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    *OF_VOLUME,
    Option("backup", type="path", parse=values.absolute_path, compare=NOT_COMPARED, form="an absolute path such as /srv/data.tar.gz"),
    Option("restore", type="path", parse=values.absolute_path, compare=NOT_COMPARED, form="an absolute path such as /srv/data.tar.gz"),
    Option("recreate", default="never", choices=("always", "never", "options-changed"), compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
)
"""The table."""
