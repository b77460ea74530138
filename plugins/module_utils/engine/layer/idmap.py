# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers shown by other IDs than they have: the mappings, as an overlay's source tells them, and the namespace that stands for them.

Sources: user_namespaces(7), User and group ID mappings; mount_setattr(2), ID-mapped mounts.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ..errors import InvalidValue, KernelError
from ..kernel import bystander, namespaces

Rows = Sequence[Sequence[int]]
"""ID inside, ID on the host, number of IDs."""
KINDS = {"uidmap": "uid", "gidmap": "gid"}
LONGEST = 255 - len("sha256:") - 64


def note(maps: Dict[str, Optional[Rows]]) -> str:
    """Mappings (C(uidmap) and C(gidmap)) as an overlay's source has them behind the chain ID; empty for none.

    Raises:
        InvalidValue: They are longer than the kernel takes there.
    """
    found = "".join(";%s=%s" % (kind, ",".join("%d:%d:%d" % tuple(row) for row in maps[option] or ()))
                    for option, kind in KINDS.items() if maps[option])
    if len(found) > LONGEST:
        raise InvalidValue("uidmap", maps["uidmap"] or maps["gidmap"], "has more rows than the kernel's table of mounts can tell",
                           "Give fewer, larger ranges")
    return found


def read(text: str) -> Dict[str, Optional[List[List[int]]]]:
    """The reverse of C(note)."""
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    return {option: [[int(number) for number in row.split(":")] for row in parts[kind].split(",")] if kind in parts else None
            for option, kind in KINDS.items()}


def root_of(maps: Dict[str, Optional[Rows]]) -> "tuple[int, int]":
    """The host's IDs of root: user and group."""
    uid, gid = (next(row[1] for row in _either(maps, option) if row[0] == 0) for option in KINDS)
    return uid, gid


def namespace(maps: Dict[str, Optional[Rows]]) -> int:
    """The descriptor of a user namespace with these mappings, in which nobody lives.

    Raises:
        KernelError: The kernel refuses them.
    """
    with bystander.bystander(namespaces.NEWUSER) as pid:
        for option, kind in KINDS.items():
            try:
                with open("/proc/%d/%s_map" % (pid, kind), "w", encoding="ascii") as stream:
                    stream.write("".join("%d %d %d\n" % tuple(row) for row in _either(maps, option)))
            except OSError as error:
                raise KernelError("write", error.errno or 0, option) from error
        return namespaces.open_of(pid, "user")


def _either(maps: Dict[str, Optional[Rows]], option: str) -> Rows:
    """The mapping of users for groups too where there is none of their own, and the other way round."""
    return maps[option] or maps["gidmap" if option == "uidmap" else "uidmap"] or ()
