# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters of the container's own namespaces (linux.sysctl), through the host's /proc.

A write to /proc/sys acts on the namespaces of the writer, so the host's procfs
serves, and whatever the image put at /proc is never asked. Opened beneath a
descriptor of it, without links and without crossing a mount.
"""

from __future__ import annotations

import os
from typing import Mapping

from ..errors import KernelError
from ..kernel import paths

_RESOLVE_NO_XDEV = 0x01


def write(proc: int, values: Mapping[str, str]) -> None:
    """Write parameters.

    Args:
        proc: Descriptor of the host's /proc.
        values: By name, with dots or slashes between its parts.
    """
    for name, value in values.items():
        handle = paths.open_beneath(proc, "sys/" + to_path(name), os.O_WRONLY | os.O_CLOEXEC,
                                    resolve=paths.RESOLVE_BENEATH | paths.RESOLVE_NO_SYMLINKS | _RESOLVE_NO_XDEV)
        try:
            os.write(handle, value.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise KernelError("write %r to" % value, error.errno or 0, name) from error
        finally:
            os.close(handle)


def to_path(name: str) -> str:
    """The path below /proc/sys; where slashes part the name, a dot belongs to it (sysctl(8))."""
    dot, slash = name.find("."), name.find("/")
    if slash >= 0 and (dot < 0 or slash < dot):
        return name
    return name.translate({ord("."): "/", ord("/"): "."})
