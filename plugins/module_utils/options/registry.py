# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how a registry is spoken to: none of them says how things shall be."""

from __future__ import annotations

from typing import Any

from .. import values
from ..engine.image import platforms
from ..option import NOT_COMPARED, Option

_FILE = "an absolute path on the managed host"


def _seconds(value: Any) -> int:
    number = int(value)
    if number <= 0:
        raise ValueError("is no time to wait")
    return number


def _platform(value: Any) -> str:
    return str(platforms.parse(str(value)))


REGISTRY = (
    Option("username", compare=NOT_COMPARED),
    Option("password", no_log=True, compare=NOT_COMPARED),
    Option("auth_file", type="path", parse=values.absolute_path, form=_FILE, compare=NOT_COMPARED),
    Option("ca_path", type="path", parse=values.absolute_path, form=_FILE, compare=NOT_COMPARED),
    Option("client_cert", type="path", parse=values.absolute_path, form=_FILE, compare=NOT_COMPARED),
    Option("client_key", type="path", parse=values.absolute_path, form=_FILE, no_log=False, compare=NOT_COMPARED),
    Option("validate_certs", type="bool", default=True, compare=NOT_COMPARED),
    Option("plain_http", type="bool", default=False, compare=NOT_COMPARED),
    Option("timeout", type="int", default=60, parse=_seconds, form="seconds, 1 or more", compare=NOT_COMPARED),
)
"""How to speak to a registry."""

PLATFORM = Option("platform", parse=_platform, form="OS/ARCHITECTURE[/VARIANT] such as linux/arm64/v8, or an architecture",
                  compare=NOT_COMPARED)
PULL = (
    Option("pull", default="missing", choices=("missing", "always", "newer", "never"), compare=NOT_COMPARED),
    PLATFORM,
)
"""When to pull, and what."""
