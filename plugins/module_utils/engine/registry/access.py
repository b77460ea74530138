# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task wants a registry to be spoken to."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ..errors import InvalidValue


class Access(NamedTuple):
    """How a task wants a registry to be spoken to.

    Attributes:
        username, password: For the registry that the image's name tells, and no other.
        auth_file: The only file of logins to be read; empty for the usual ones.
        ca_path: A file or folder of certificates to trust beside the system's.
        client_cert, client_key: The client's own certificate.
        validate_certs: Whether the registry's certificate is checked.
        plain_http: Whether the registry is spoken to without TLS.
        timeout: Seconds without a byte after which a connection is given up.
    """

    username: str = ""
    password: str = ""
    auth_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    validate_certs: bool = True
    plain_http: bool = False
    timeout: float = 60


def access_of(options: Mapping[str, Any]) -> Access:
    """What a task's options of the same names say.

    Raises:
        InvalidValue: A password without the name of a user.
    """
    if options.get("password") and not options.get("username"):
        raise InvalidValue("password", "***", "is of no user", "Give username as well")
    return Access(**{name: options[name] for name in Access._fields if options.get(name) is not None})
