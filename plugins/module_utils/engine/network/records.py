# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was last asked for of each network namespace: C(netns/NAME.json) in the state root.

The firewall and the hosts files are made from these and the leases; what is true comes from the kernel.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..instance import Instance
from ..store import files


class Record(NamedTuple):
    """One namespace as last asked for.

    Attributes:
        name: The namespace's; for a container its name.
        mode: C(bridge), C(none), C(host) or C(container:NAME).
        attachments: Network and interface of each, in order.
        published: In their written form.
        names: What the hosts files need; see C(hosts.Names).
    """

    name: str
    mode: str
    attachments: Tuple[Tuple[str, str], ...] = ()
    published: Tuple[str, ...] = ()
    names: Optional[Dict[str, Any]] = None


def path(instance: Instance, name: str) -> str:
    """Where a namespace is recorded."""
    return instance.state("netns", name + ".json")


def load(instance: Instance, name: str) -> Optional[Record]:
    """The record of a namespace, or C(None); one that a power cut has spoilt is none."""
    try:
        value = files.read_json(path(instance, name))
        return None if value is None else Record(
            str(value["name"]), str(value["mode"]), tuple((str(net), str(nic)) for net, nic in value["attachments"]),
            tuple(str(text) for text in value["published"]), value.get("names"))
    except (ValueError, KeyError, TypeError):
        return None


def every(instance: Instance) -> List[Record]:
    """All records, by name."""
    try:
        names = sorted(os.listdir(instance.state("netns")))
    except FileNotFoundError:
        return []
    found = [load(instance, name[:-5]) for name in names
             if name.endswith(".json") and not name.startswith(files.TEMPORARY)]
    return [each for each in found if each is not None]


def save(instance: Instance, record: Record) -> None:
    """Write a record; not waiting for the disk, since a namespace does not outlive the host's uptime."""
    files.make_folder(instance.state_root)
    files.make_folder(instance.state("netns"))
    files.write_json(path(instance, record.name), record._asdict(), durable=False)


def forget(instance: Instance, name: str) -> None:
    """Remove a record, and the folder with the last one."""
    files.remove(path(instance, name))
    try:
        os.rmdir(instance.state("netns"))
    except OSError:
        pass
