# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a stack on disk.

    STATE/stacks/NAME/stack.json      what was last asked for, and what belongs to it
    STATE/stacks/NAME/good/NUMBER.json  definitions that were reached, the highest number last; the last ten
    STATE/stacks/NAME/files/DIGEST    the content of configs, as containers mount it
"""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, NamedTuple, Optional

from ..container.logs import timestamp
from ..errors import Corrupt
from ..instance import Instance
from ..store import files

KEPT = 10
"""How many definitions that were reached are kept."""


class Record(NamedTuple):
    """What was last asked for.

    Attributes:
        definition: As it was written, with the names of its secrets in the place of their contents.
        digest: Of it.
        networks, volumes: By real name, those that the stack has made, though it may declare them no more.
        at: When, RFC 3339.
        rolled_back: The revision that it was brought back to, if so, and not to anything else since.
    """

    name: str
    definition: Dict[str, Any]
    digest: str
    networks: List[str]
    volumes: List[str]
    at: str
    rolled_back: Optional[int] = None


class Good(NamedTuple):
    """A definition that was reached.

    Attributes:
        revision: Its number, from 1 on.
        images: By the name of each service, the digest of its image's config then.
    """

    revision: int
    definition: Dict[str, Any]
    digest: str
    images: Dict[str, str]
    at: str


def folder(instance: Instance, name: str, *parts: str) -> str:
    """A path in the stack's folder."""
    return instance.state("stacks", name, *parts)


def names(instance: Instance) -> List[str]:
    """All stacks."""
    try:
        return sorted(os.listdir(instance.state("stacks")))
    except FileNotFoundError:
        return []


def read(instance: Instance, name: str) -> Optional[Record]:
    """The record, or C(None)."""
    found: Optional[Record] = _load(folder(instance, name, "stack.json"), Record)
    return found


def write(instance: Instance, record: Record) -> None:
    """Keep a record."""
    for path in (instance.state_root, instance.state("stacks"), folder(instance, record.name)):
        files.make_folder(path)
    files.write_json(folder(instance, record.name, "stack.json"), record._asdict())


def history(instance: Instance, name: str) -> List[Good]:
    """The definitions that were reached, the latest last."""
    found = []
    try:
        numbers = sorted(int(each[:-5]) for each in os.listdir(folder(instance, name, "good")) if each[:-5].isdigit())
    except FileNotFoundError:
        return []
    for number in numbers:
        good = _load(folder(instance, name, "good", "%d.json" % number), Good)
        if good is not None:
            found.append(good)
    return found


def note_good(instance: Instance, name: str, definition: Dict[str, Any], digest: str, images: Dict[str, str]) -> int:
    """Keep a definition as reached; its number. The same again is no new one."""
    past = history(instance, name)
    if past and past[-1].digest == digest and past[-1].images == images:
        if past[-1].definition != definition:  # its secrets are in memory again, after a reboot
            _write_good(instance, name, past[-1]._replace(definition=definition))
        return past[-1].revision
    good = Good(past[-1].revision + 1 if past else 1, definition, digest, images, timestamp())
    files.make_folder(folder(instance, name, "good"))
    _write_good(instance, name, good)
    for each in past[:max(0, len(past) + 1 - KEPT)]:
        files.remove(folder(instance, name, "good", "%d.json" % each.revision))
    return good.revision


def _write_good(instance: Instance, name: str, good: Good) -> None:
    files.write_json(folder(instance, name, "good", "%d.json" % good.revision), good._asdict())


def remove(instance: Instance, name: str) -> None:
    """Forget a stack."""
    path = folder(instance, name)
    if os.path.isdir(path):
        shutil.rmtree(path)
    files.remove_empty(instance.state("stacks"))


def _load(path: str, form: Any) -> Any:
    document = files.read_json(path)
    if document is None:
        return None
    try:
        return form(**{field: document[field] for field in form._fields if field in document})
    except (TypeError, KeyError):
        raise Corrupt("%s is no record of a stack" % path, "Remove it, and run the task that declares the stack again")
