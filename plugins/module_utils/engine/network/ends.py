# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's end of an attachment: a veth whose name follows from who it belongs to, so that it needs no record."""

from __future__ import annotations

import hashlib

from ..instance import Instance


def host_end(instance: Instance, netns: str, interface: str) -> str:
    """The name of the host's end; 13 bytes, of the kernel's 15."""
    return "co" + hashlib.sha256(("%s %s %s" % (instance.name, netns, interface)).encode()).hexdigest()[:11]
