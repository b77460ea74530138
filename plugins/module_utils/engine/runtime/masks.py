# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that a container may not see, and paths that it may not write (maskedPaths, readonlyPaths)."""

from __future__ import annotations

import os
import stat
from typing import Sequence

from ..kernel import mounts, paths
from . import devices, places

_EMPTY = (mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
          | mounts.MOUNT_ATTR_NOEXEC)


def mask(root: paths.Root, masked: Sequence[str]) -> None:
    """Lay the host's /dev/null over files, and an empty read-only tmpfs over folders; what is missing is left out.

    The null device is the host's, checked, and never the one that the container's root holds. All folders share one tmpfs.
    """
    empty = -1
    try:
        for path in masked:
            target = root.find(path)
            if target is None:
                continue
            try:
                if not stat.S_ISDIR(os.fstat(target).st_mode):
                    tree = devices.null()
                elif empty < 0:
                    tree = mounts.new_file_system("tmpfs", [("source", "tmpfs"), ("mode", "755")], _EMPTY)
                else:
                    tree = mounts.open_tree("", empty, clone=True)
                try:
                    places.cover(target, tree, path)
                    if empty < 0 and stat.S_ISDIR(os.fstat(tree).st_mode):
                        empty = os.dup(tree)
                finally:
                    os.close(tree)
            finally:
                os.close(target)
    finally:
        if empty >= 0:
            os.close(empty)


def protect(root: paths.Root, read_only: Sequence[str]) -> None:
    """Make what is at some paths read-only, mounts below included; what is missing is left out."""
    for path in read_only:
        target = root.find(path)
        if target is None:
            continue
        try:
            tree = mounts.open_tree("", target, clone=True, recursive=True)
            try:
                mounts.set_attributes("", mounts.MOUNT_ATTR_RDONLY, directory=tree, recursive=True)
                places.cover(target, tree, path)
            finally:
                os.close(tree)
        finally:
            os.close(target)
