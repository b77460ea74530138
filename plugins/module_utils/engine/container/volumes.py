# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's volumes: which it has, and where they are when it starts.

A volume without a name of its own, which the image or the container asks for at a path only, gets one from the two: so the container
that takes its place finds the same content.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

from ..errors import Unsupported
from ..instance import Instance
from ..volume import records as volume_records
from . import mount_row, records


def anonymous(container: str, target: str) -> str:
    """The name of a container's volume at a path, if it has no other."""
    import hashlib  # pylint: disable=import-outside-toplevel
    return "%s.%s" % (container[:46], hashlib.sha256(("%s\0%s" % (container, target)).encode()).hexdigest()[:16])


def of_image(declared: Optional[Iterable[str]], container: str, targets: Iterable[str]) -> List[Dict[str, Any]]:
    """Mounts for the volumes that an image declares (image-spec, config.md, C(Volumes)), where the options mount nothing else.

    Raises:
        Unsupported: One of them is no place in a container.
    """
    found = []
    taken = set(targets)
    for path in sorted(declared or ()):
        target = "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
        if not path.startswith("/") or ".." in path.split("/") or target == "/" or "\0" in path:
            raise Unsupported("the image declares a volume at %r, which is no path that a volume can have" % path,
                              "Make the image anew without it")
        if target not in taken:
            taken.add(target)
            found.append(mount_row.complete("volume", anonymous(container, target), target))
    return found


def ready(instance: Instance, record: records.Record, root: Optional[str]) -> Dict[str, str]:
    """The folders of a container's volumes by name; made, mounted and filled from its image where they are not.

    Sources of bind mounts that are to be made are there then, too.

    Args:
        root: Where its root is mounted; C(None) where it is not, so that they wait for its start to be filled.
    """
    for row in record.options["mounts"]:
        if row.get("create_host_path"):
            os.makedirs(row["source"], 0o755, exist_ok=True)
    return {row["source"]: _ready(instance, record, root, row) for row in record.options["mounts"] if row["type"] == "volume"}


def _ready(instance: Instance, record: records.Record, root: Optional[str], row: Mapping[str, Any]) -> str:
    from ..volume import content, volumes  # pylint: disable=import-outside-toplevel
    name, target, owner = row["source"], row["target"], records.called(record.name)

    def fill(path: str) -> bool:
        return root is not None and content.copy_up(path, root, target, "volume '%s'" % name, record.ids)
    return volumes.ready(instance, name, None if row.get("no_copy") else fill, owner if name == anonymous(owner, target) else "",
                         root is not None)


def own(instance: Instance, record: Optional[records.Record]) -> Set[str]:
    """The volumes of a container that have no name of their own, and go with it where that is asked for."""
    found = set()
    for name in volume_records.mentioned(record.options if record is not None else {}):
        volume = volume_records.load(instance, name)
        if volume is not None and record is not None and volume.container == records.called(record.name):
            found.add(name)
    return found


def remove(instance: Instance, names: Set[str]) -> None:
    """Remove those of these volumes that no container mentions."""
    if names:
        from ..volume import volumes  # pylint: disable=import-outside-toplevel
        volumes.remove_unused(instance, names)
