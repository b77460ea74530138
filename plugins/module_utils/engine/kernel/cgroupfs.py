# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a cgroup file system: thin reads and writes whose errors name the file and the value.

A write is one C(write(2)) of the whole value, as the interface demands
(cgroups(7); Documentation/admin-guide/cgroup-v2.rst, "Conventions").
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from ..errors import KernelError

_CHUNK = 65536
V1_ENDLESS = (2 ** 63 - 1) // 65536 * 65536
"""From here on a memory limit of v1 is none; the kernel's figure is 2**63 - 1 less a part of a page."""


def read(path: str) -> str:
    """A file's content without the final newline.

    Raises:
        KernelError: The file cannot be opened or read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(handle, _CHUNK)
            if len(content) > 4000:  # seq files hand out about a page at a time
                while True:
                    more = os.read(handle, _CHUNK)
                    if not more:
                        break
                    content += more
        finally:
            os.close(handle)
    except OSError as error:
        raise KernelError("read", error.errno or 0, path)
    return content.decode("ascii", "replace").rstrip("\n")


def read_if_there(path: str) -> Optional[str]:
    """Like C(read), but C(None) where there is no such file, or the kernel cannot do what it stands for."""
    try:
        return read(path)
    except KernelError as error:
        if error.errno in (2, 19, 95):  # ENOENT, ENODEV (removed while open), EOPNOTSUPP
            return None
        raise


def write(path: str, value: str) -> None:
    """Write one value.

    Raises:
        KernelError: The kernel did not take it; the target names the file and the value.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, value.encode("ascii"))
        finally:
            os.close(handle)
    except OSError as error:
        raise KernelError("write", error.errno or 0, "'%s' to %s" % (value, path))


def number(path: str) -> Optional[int]:
    """A single whole number; C(-1) for C(max); C(None) where there is no such file."""
    text = read_if_there(path)
    if text is None or text == "":
        return None
    return -1 if text == "max" else int(text)


def pairs(path: str) -> Dict[str, int]:
    """A flat keyed file, C(KEY NUMBER) a line; empty where there is no such file. Other lines are left out."""
    found = {}
    for line in (read_if_there(path) or "").splitlines():
        key, separator, value = line.partition(" ")
        if separator and (value.isdigit() or value == "max"):
            found[key] = -1 if value == "max" else int(value)
    return found


def nested(path: str) -> Dict[str, Dict[str, str]]:
    """A nested keyed file, C(KEY A=1 B=2) a line; empty where there is no such file."""
    found = {}
    for line in (read_if_there(path) or "").splitlines():
        key, _separator, rest = line.partition(" ")
        if key:
            found[key] = dict(part.split("=", 1) for part in rest.split() if "=" in part)
    return found


def pressure(path: str) -> Optional[Dict[str, Dict[str, float]]]:
    """A pressure file (Documentation/accounting/psi.rst): C(some) and C(full) to C(avg10), C(avg60), C(avg300), which are
    per cent, and C(total_us); C(None) where the kernel does not tell."""
    rows = nested(path)
    if not rows:
        return None
    return {kind: {"total_us" if key == "total" else key: int(value) if key == "total" else float(value)
                   for key, value in row.items()} for kind, row in rows.items()}


def words(path: str) -> List[str]:
    """The space-separated words of a file; empty where there is no such file."""
    return (read_if_there(path) or "").split()


def numbers(path: str) -> List[int]:
    """One number a line, as in C(cgroup.procs); empty where there is no such group."""
    return [int(line) for line in (read_if_there(path) or "").split()]
