# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports that the kernel alone cannot lead to a container: which these are, written down for who relays them.

No packet of the host's C([::1]) reaches another network namespace, and none of IPv6 one without IPv6; and some want the host's own
rules of input to decide, for which a connection has to end on the host (C(publish_mode: proxy)).
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import List, NamedTuple, Sequence, Tuple

from ..instance import Instance
from ..store import files
from . import documents
from .publish import Published

FILE = "proxied"


class Way(NamedTuple):
    """A port to be listened at, and where its connections and packets go.

    Attributes:
        protocol: C(tcp) or C(udp).
        address: C(0.0.0.0) and C(::) for all of a family.
        needed: Whether somebody asked for just this; else a host that cannot do it does without.
    """

    protocol: str
    address: str
    port: int
    target: str
    target_port: int
    needed: bool


@lru_cache(maxsize=1024)  # as those of the table
def ways(published: Tuple[Published, ...], targets: Tuple[str, ...], proxy: bool) -> Tuple[Way, ...]:
    """What has to be relayed for a container.

    Args:
        targets: Its addresses, at most one of each family.
        proxy: Whether all of its ports are.
    """
    six = next((each for each in targets if ":" in each), "")
    four = next((each for each in targets if ":" not in each), "")
    found = []
    for port in published:
        if port.protocol == "sctp" or not targets:
            continue
        if proxy:
            at = [port.address] if port.address else ["0.0.0.0", "::"]
        elif ":" in port.address:
            at = [] if six and port.address != "::1" else [port.address]
        else:
            at = [] if port.address else ["::1" if six else "::"]
        for address in at:
            target = (six or four) if ":" in address else (four or six)
            found.append(Way(port.protocol, address, port.host_port, target, port.port, proxy and address != "::" or bool(port.address)))
    return tuple(found)


def path(instance: Instance) -> str:
    """Where they are written: among the zones, a change of which wakes the resolver."""
    return os.path.join(instance.run("names"), FILE)


def write(instance: Instance, found: Sequence[Way]) -> None:
    """Write them down, where they have changed."""
    if list(found) == read(instance):
        return
    if found:
        files.make_folder(instance.run_root)
        files.make_folder(instance.run("names"))
        files.write_json(path(instance), [list(each) for each in found], durable=False)
    else:
        files.remove(path(instance))
        files.remove_empty(instance.run("names"))
    documents.forget(path(instance))


def read(instance: Instance) -> List[Way]:
    """What is to be relayed."""
    return list(documents.read(path(instance), _ways) or ())


def _ways(document: List[Tuple[str, str, int, str, int, bool]]) -> List[Way]:
    return [Way(*each) for each in document]
