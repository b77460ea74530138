# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's end of an attachment: a veth whose name follows from who it belongs to, so that it needs no record."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Dict, Optional

from ..instance import Instance
from ..kernel import rtnetlink
from ..kernel.netlink import Socket
from ..store import glance

ALIAS = "coracle "
"""Begins the alias (ip link ... alias) of each link of ours."""


def host_link(sock: Socket, name: str) -> Optional[rtnetlink.Link]:
    """A link of the host; where looks are shared, of one list of all."""
    if not glance.active():
        return rtnetlink.link(sock, name)
    found: Dict[str, rtnetlink.Link] = glance.shared("links of the host", lambda: {each.name: each for each in rtnetlink.links(sock)})
    return found.get(name)


def host_end(instance: Instance, netns: str, interface: str) -> str:
    """The name of the host's end; 13 bytes, of the kernel's 15."""
    return _end("%s %s %s" % (instance.name, netns, interface))


@lru_cache(maxsize=1024)
def _end(whose: str) -> str:
    return "co" + hashlib.sha256(whose.encode()).hexdigest()[:11]
