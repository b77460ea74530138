# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount options as config.json spells them, turned into what the kernel takes (runtime-spec config.md, mount(8))."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..kernel.mounts import (MOUNT_ATTR_ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME,
                             MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY,
                             MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE,
                             MS_UNBINDABLE)

_SET: Dict[str, Tuple[int, int]] = {
    # name: (attributes to set, attributes to clear)
    "ro": (MOUNT_ATTR_RDONLY, 0), "rw": (0, MOUNT_ATTR_RDONLY),
    "nosuid": (MOUNT_ATTR_NOSUID, 0), "suid": (0, MOUNT_ATTR_NOSUID),
    "nodev": (MOUNT_ATTR_NODEV, 0), "dev": (0, MOUNT_ATTR_NODEV),
    "noexec": (MOUNT_ATTR_NOEXEC, 0), "exec": (0, MOUNT_ATTR_NOEXEC),
    "nosymfollow": (MOUNT_ATTR_NOSYMFOLLOW, 0), "symfollow": (0, MOUNT_ATTR_NOSYMFOLLOW),
    "nodiratime": (MOUNT_ATTR_NODIRATIME, 0), "diratime": (0, MOUNT_ATTR_NODIRATIME),
    "noatime": (MOUNT_ATTR_NOATIME, MOUNT_ATTR_ATIME), "atime": (MOUNT_ATTR_RELATIME, MOUNT_ATTR_ATIME),
    "relatime": (MOUNT_ATTR_RELATIME, MOUNT_ATTR_ATIME), "norelatime": (0, 0),
    "strictatime": (MOUNT_ATTR_STRICTATIME, MOUNT_ATTR_ATIME), "nostrictatime": (MOUNT_ATTR_RELATIME, MOUNT_ATTR_ATIME),
}
_PROPAGATION = {"private": MS_PRIVATE, "shared": MS_SHARED, "slave": MS_SLAVE, "unbindable": MS_UNBINDABLE}
PROPAGATION: Dict[str, int] = dict(_PROPAGATION, **{"r" + name: flag | MS_REC for name, flag in _PROPAGATION.items()})
"""MS_* of the propagation options."""
_IGNORED = frozenset(("defaults", "auto", "noauto", "user", "nouser", "users", "nofail", "_netdev", "silent", "loud",
                      "remount", "iversion", "noiversion"))
_FLAGS = frozenset(("sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime"))
NAMES = tuple(sorted(list(_SET) + ["r" + name for name in _SET] + list(PROPAGATION) + list(_IGNORED) + list(_FLAGS)
                     + ["bind", "rbind", "idmap", "ridmap", "tmpcopyup"]))
"""Every option that is not the file system's own affair, as C(features) lists them."""


class Options(NamedTuple):
    """The options of one mount.

    Attributes:
        set, clear: MOUNT_ATTR_* of the mount itself.
        set_below, clear_below: MOUNT_ATTR_* of it and of all mounts below it.
        propagation: MS_*, in the order given.
        bind, recursive: Whether something is shown at a second place, with what is mounted below it.
        data: Key and value of the file system's own options.
        copy_up: Whether a new tmpfs begins with what its place held before.
        remount: Whether an existing mount is changed.
        idmap: C(idmap) or C(ridmap), or nothing.
    """

    set: int = 0
    clear: int = 0
    set_below: int = 0
    clear_below: int = 0
    propagation: Tuple[int, ...] = ()
    bind: bool = False
    recursive: bool = False
    data: Tuple[Tuple[str, Optional[str]], ...] = ()
    copy_up: bool = False
    remount: bool = False
    idmap: str = ""


def parse(options: Sequence[str]) -> Options:
    """Sort a mount's options; the last of two that contradict wins."""
    now, below = [0, 0], [0, 0]
    propagation: List[int] = []
    data: List[Tuple[str, Optional[str]]] = []
    bind = recursive = copy_up = remount = False
    idmap = ""
    for option in options:
        pair = _SET.get(option)
        if pair is not None:
            _apply(now, pair)
        elif option in PROPAGATION:
            propagation.append(PROPAGATION[option])
        elif option[:1] == "r" and option[1:] in _SET:
            _apply(below, _SET[option[1:]])
        elif option == "bind":
            bind = True
        elif option == "rbind":
            bind = recursive = True
        elif option == "tmpcopyup":
            copy_up = True
        elif option == "remount":
            remount = True
        elif option in ("idmap", "ridmap"):
            idmap = option
        elif option and option not in _IGNORED:
            key, equals, value = option.partition("=")
            data.append((key, value if equals else None))
    return Options(now[0], now[1], below[0], below[1], tuple(propagation), bind, recursive, tuple(data), copy_up,
                   remount, idmap)


def _apply(pair: List[int], change: Tuple[int, int]) -> None:
    pair[0] = pair[0] & ~change[1] | change[0]
    pair[1] = pair[1] & ~change[0] | change[1]
