# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a detached mount comes to lie in a container: always on a descriptor beneath its root, never on a path."""

from __future__ import annotations

import errno
import os

from ..errors import KernelError
from ..kernel import mounts, paths


def attach(root: paths.Root, destination: str, tree: int, folder: bool = True, mode: int = 0o644,
           strict: bool = False) -> None:
    """Put a detached mount at a place inside the root, made where missing.

    Args:
        tree: Descriptor of the mount; it stays the caller's to close.
        folder: Whether a folder is made, or else an empty file.
        mode: Permission bits of that file.
        strict: Whether a folder that is reached through a link is refused.

    Raises:
        KernelError: Names the destination.
    """
    if strict:
        target = _ordinary_folder(root, destination)
    elif folder:
        target = root.make_folders(destination)
    else:
        target = root.make_file(destination, mode)
    try:
        cover(target, tree, destination)
    finally:
        os.close(target)


def _ordinary_folder(root: paths.Root, destination: str) -> int:
    try:
        return root.make_folders(destination, resolve=paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_SYMLINKS)
    except KernelError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise KernelError("open", error.errno, destination,
                              "It must be mounted on ordinary directory: the image must hold an ordinary folder there, or nothing"
                              ) from error
        raise


def cover(target: int, tree: int, name: str) -> None:
    """Lay a detached mount over what a descriptor stands for.

    Args:
        name: What the error names.
    """
    try:
        mounts.move_mount(tree, "", target)
    except KernelError as error:
        raise KernelError("move_mount", error.errno, name) from error
