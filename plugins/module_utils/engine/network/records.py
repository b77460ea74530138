# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was last asked for of each network namespace: C(netns/NAME.json) in the state root.

The firewall and the hosts files are made from these and the leases; what is true comes from the kernel.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..instance import Instance
from ..store import files
from . import documents


class Record(NamedTuple):
    """One namespace as last asked for.

    Attributes:
        name: The namespace's; for a container its name.
        mode: C(bridge), C(none), C(host) or C(container:NAME).
        attachments: Network and interface of each, in order.
        published: In their written form.
        names: What the hosts files need; see C(hosts.Names).
        labels: By which policies name it.
        policy: Who may speak with it; see C(policy).
        proxy: Whether its ports are led to it by the proxy instead of the table.
    """

    name: str
    mode: str
    attachments: Tuple[Tuple[str, str], ...] = ()
    published: Tuple[str, ...] = ()
    names: Optional[Dict[str, Any]] = None
    labels: Optional[Dict[str, str]] = None
    policy: Optional[Dict[str, Any]] = None
    proxy: bool = False


def path(instance: Instance, name: str) -> str:
    """Where a namespace is recorded."""
    return instance.state("netns", name + ".json")


def load(instance: Instance, name: str) -> Optional[Record]:
    """The record of a namespace, or C(None); one that a power cut has spoilt is none."""
    return documents.read(path(instance, name), _record)


def every(instance: Instance) -> List[Record]:
    """All records, by name."""
    return documents.each(instance.state("netns"), _record)


def save(instance: Instance, record: Record) -> None:
    """Write a record; not waiting for the disk, since a namespace does not outlive the host's uptime."""
    files.make_folder(instance.state_root)
    files.make_folder(instance.state("netns"))
    documents.write(path(instance, record.name), record._asdict(), _record)


def forget(instance: Instance, name: str) -> None:
    """Remove a record, and the folder with the last one."""
    files.remove(path(instance, name))
    documents.forget(path(instance, name))
    files.remove_empty(instance.state("netns"))


def _record(document: Any) -> Record:
    return Record(str(document["name"]), str(document["mode"]),
                  tuple((str(network), str(interface)) for network, interface in document["attachments"]),
                  tuple(str(text) for text in document["published"]), document.get("names"),
                  document.get("labels"), document.get("policy"), bool(document.get("proxy")))
