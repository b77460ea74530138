# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of security modules: AppArmor profiles and SELinux contexts, and a clear word where the kernel has neither.

A label is written to the process's own attr files of the host's /proc, whose
descriptor was opened before the root changed: whatever lies at /proc in the
container never gets it. Sources: proc_pid_attr(5), apparmor(7).
"""

from __future__ import annotations

import os
from typing import Any, Dict

from ..errors import KernelError
from .checks import Invalid

_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_SELINUX = "/sys/fs/selinux/enforce"
_UNCONFINED = "unconfined"


def apparmor_enabled() -> bool:
    """Whether this kernel enforces AppArmor profiles."""
    try:
        with open(_APPARMOR, "rb") as stream:
            return stream.read(1) == b"Y"
    except OSError:
        return False


def selinux_enabled() -> bool:
    """Whether this kernel enforces SELinux contexts."""
    return os.path.exists(_SELINUX)


def confined_by(process: int) -> str:
    """The AppArmor profile that a process runs under now, without its mode; C(unconfined) for none.

    Args:
        process: Descriptor of its folder in /proc.
    """
    for name in ("attr/apparmor/current", "attr/current"):
        try:
            handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
        except FileNotFoundError:  # the first is there since Linux 5.8
            continue
        try:
            return os.read(handle, 4096).decode("utf-8", "replace").rstrip("\0\n").partition(" (")[0]
        finally:
            os.close(handle)
    return _UNCONFINED


def check(config: Dict[str, Any]) -> None:
    """Refuse labels that nothing would enforce.

    Raises:
        Invalid: Names the member.
    """
    process = config.get("process") or {}
    if process.get("apparmorProfile") not in (None, "", _UNCONFINED) and not apparmor_enabled():
        raise Invalid("process.apparmorProfile", "this kernel has no AppArmor to enforce it", "Leave it out")
    for where, value in (("process.selinuxLabel", process.get("selinuxLabel")),
                         ("linux.mountLabel", (config.get("linux") or {}).get("mountLabel"))):
        if value and not selinux_enabled():
            raise Invalid(where, "this kernel has no SELinux to enforce it", "Leave it out")


def apply(process: Dict[str, Any], proc: int) -> None:
    """Let the next execve(2) change to the process's labels.

    Args:
        proc: Descriptor of the host's /proc.

    Raises:
        KernelError: There is no such profile or context.
    """
    profile = process.get("apparmorProfile")
    if profile and apparmor_enabled():
        _write(proc, ("thread-self/attr/apparmor/exec", "thread-self/attr/exec"), "exec " + profile, profile)
    if process.get("selinuxLabel"):
        _write(proc, ("thread-self/attr/exec",), process["selinuxLabel"], process["selinuxLabel"])


def _write(proc: int, places: Any, content: str, label: str) -> None:
    for place in places:
        try:
            handle = os.open(place, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        except FileNotFoundError:
            continue
        try:
            os.write(handle, content.encode())
        except OSError as error:
            raise KernelError("write", error.errno or 0, label) from error
        finally:
            os.close(handle)
        return
    raise KernelError("open", 2, places[-1])
