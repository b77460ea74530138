# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was last asked for of each volume: C(volumes/NAME/volume.json) in the state root, beside its content in C(_data).

Owner, mode, size and what is mounted are read from the kernel; who uses it, from the containers' records.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import Corrupt
from ..instance import Instance
from ..store import files
from . import drivers

FOLDER, PROJECT, IMAGE, MOUNT = "folder", "project", "image", "mount"
"""What holds the content: a folder, one with a project quota, a file system in a sparse file, or what is mounted from elsewhere."""


class Record(NamedTuple):
    """A volume as last asked for.

    Attributes:
        name: Its name.
        driver: One of C(drivers)'s.
        driver_options: Theirs, as C(drivers.normal) has them.
        labels: By which it is found and spared.
        owner, group, mode: Of its topmost folder; C(None) where nobody asked, and the image may decide.
        size: Bytes; C(None) where nobody asked, less than 0 for no limit.
        backing: One of the four above.
        project: The number of its project, or 0.
        created: RFC 3339 in UTC.
        fresh: Whether nothing has been put into it yet, so that it is filled from the image of the first container.
        container: Whose it is, if it has no name of its own: an image or a container asked for a volume at a path only.
    """

    name: str
    driver: str = drivers.LOCAL
    driver_options: Dict[str, str] = {}
    labels: Dict[str, str] = {}
    owner: Optional[int] = None
    group: Optional[int] = None
    mode: Optional[int] = None
    size: Optional[int] = None
    backing: str = FOLDER
    project: int = 0
    created: str = ""
    fresh: bool = True
    container: str = ""

    @property
    def call(self) -> Optional[drivers.Call]:
        """What has to be mounted for it, an image of its own apart."""
        return drivers.call_of(self.driver, self.driver_options, self.size)

    @property
    def ours(self) -> bool:
        """Whether the content is below the state root or in memory, and goes with the volume."""
        return self.backing != MOUNT or self.driver == drivers.TMPFS


def folder(instance: Instance, name: str, *parts: str) -> str:
    """A path in a volume's folder."""
    return instance.state("volumes", name, *parts)


def content(instance: Instance, name: str) -> str:
    """Where a volume's content is."""
    return folder(instance, name, "_data")


def image(instance: Instance, name: str) -> str:
    """The sparse file that holds a volume's file system, where it has one."""
    return folder(instance, name, "image")


def load(instance: Instance, name: str) -> Optional[Record]:
    """The record of a volume, or C(None).

    Raises:
        Corrupt: There is one that cannot be read.
    """
    document = files.read_json(folder(instance, name, "volume.json"))
    if document is None:
        return None
    try:
        return Record(**{field: document[field] for field in Record._fields if field in document})
    except (TypeError, KeyError):
        raise Corrupt("%s is no record of a volume" % folder(instance, name, "volume.json"),
                      "Remove the file, and declare the volume again")


def save(instance: Instance, record: Record) -> None:
    """Keep a record."""
    files.write_json(folder(instance, record.name, "volume.json"), record._asdict())


def every(instance: Instance) -> List[Record]:
    """All records, by name."""
    try:
        names = sorted(os.listdir(instance.state("volumes")))
    except FileNotFoundError:
        return []
    found = (load(instance, name) for name in names if not name.startswith("."))
    return [record for record in found if record is not None]


def users(instance: Instance) -> Dict[str, Tuple[str, ...]]:
    """The names of the containers that mention each volume, those that do not run included."""
    from ..image import garbage  # pylint: disable=import-outside-toplevel
    found: Dict[str, List[str]] = {}
    for name, document in garbage.containers(instance):
        if name.startswith("."):  # set aside while another takes its place
            continue
        for volume in mentioned(document.get("options") or {}):
            found.setdefault(volume, []).append(name.rstrip("~"))
    return {volume: tuple(sorted(set(names))) for volume, names in found.items()}


def mentioned(options: Mapping[str, Any]) -> List[str]:
    """The names of the volumes in a container's options, in order."""
    return [str(row["source"]) for row in options.get("mounts") or () if row["type"] == "volume"]
