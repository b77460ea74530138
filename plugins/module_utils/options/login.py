# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_login): each declared here and nowhere else."""

from __future__ import annotations

from typing import Any

from .. import values
from ..engine.registry import logins
from ..option import NOT_COMPARED, Option
from .registry import REGISTRY

_FILE = "an absolute path on the managed host"
_WAY = ("ca_path", "client_cert", "client_key", "plain_http", "timeout")


def _username(value: Any) -> str:
    text = str(value)
    if not text or ":" in text or not text.isprintable():
        raise ValueError("is no name of a user")
    return text


def _password(value: Any) -> str:
    text = str(value)
    if not text or "\0" in text or "\n" in text:
        raise ValueError("is no password")
    return text


def _helper(value: Any) -> str:
    text = str(value)
    text = text[len(logins.PROGRAM):] if text.startswith(logins.PROGRAM) else text
    if not text or not text.isprintable() or "/" in text or " " in text:
        raise ValueError("is no name of a helper")
    return text


OPTIONS = (
    Option("registry", default="docker.io", aliases=("registry_url", "url"), parse=logins.registry,
           form="HOST[:PORT], or with the beginning of a repository's name behind it", compare=NOT_COMPARED),
    Option("state", default="present", choices=("present", "absent"), compare=NOT_COMPARED),
    Option("username", parse=_username, form="a name without a colon", read_from="the file of logins, or the helper"),
    Option("password", no_log=True, parse=_password, form="text in one line", read_from="the file of logins, or the helper"),
    Option("store", default="docker", choices=tuple(logins.STORES), compare=NOT_COMPARED),
    Option("auth_file", type="path", aliases=("authfile", "config_path", "dockercfg_path"), parse=values.absolute_path, form=_FILE,
           compare=NOT_COMPARED),
    Option("helper", parse=_helper, form="the NAME of a program docker-credential-NAME", read_from="credHelpers in the file of logins"),
    Option("check_login", type="bool", default=True, compare=NOT_COMPARED),
    Option("reauthorize", type="bool", default=False, aliases=("reauth",), compare=NOT_COMPARED),
    Option("validate_certs", type="bool", default=True, aliases=("tlsverify", "tls_verify"), compare=NOT_COMPARED),
    *(row for row in REGISTRY if row.name in _WAY),
)
"""The table."""
