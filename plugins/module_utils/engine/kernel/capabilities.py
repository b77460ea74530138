# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities: names, and the five sets of the calling thread (capabilities(7), capset(2), prctl(2))."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Dict, FrozenSet, Iterable, Tuple

from ..errors import KernelError
from .syscalls import call, try_call

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)
"""By number, as in the kernel's uapi/linux/capability.h."""
NUMBERS: Dict[str, int] = {name: number for number, name in enumerate(NAMES)}
CAP_SYS_ADMIN = 21
CAP_SYS_RESOURCE = 24

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4
_PR_SET_NO_NEW_PRIVS = 38


def mask(names: Iterable[str]) -> int:
    """The bits of the named capabilities; names that this table lacks give none."""
    bits = 0
    for name in names:
        number = NUMBERS.get(name)
        if number is not None:
            bits |= 1 << number
    return bits


def unknown(names: Iterable[str]) -> FrozenSet[str]:
    """The names that this table lacks."""
    return frozenset(name for name in names if name not in NUMBERS)


def own() -> Tuple[int, int, int]:
    """Effective, permitted and inheritable set of the calling thread, as bits."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    call("capget", header, data)
    low = struct.unpack("=6I", data.raw)
    return low[0] | low[3] << 32, low[1] | low[4] << 32, low[2] | low[5] << 32


def set_own(effective: int, permitted: int, inheritable: int) -> None:
    """Set three sets of the calling thread; bits that it may not have must not be among them.

    Raises:
        KernelError: EPERM.
    """
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    low = 0xFFFFFFFF
    data = ctypes.create_string_buffer(struct.pack("=6I", effective & low, permitted & low, inheritable & low,
                                                   effective >> 32, permitted >> 32, inheritable >> 32), 24)
    call("capset", header, data)


def bounding() -> int:
    """The bounding set of the calling thread."""
    with open("/proc/thread-self/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"CapBnd:"):
                return int(line.split()[1], 16)
    return 0


def limit_bounding(keep: int) -> None:
    """Drop all but some capabilities from the bounding set, for good.

    Raises:
        KernelError: EPERM without CAP_SETPCAP.
    """
    for number in range(64):
        if keep >> number & 1:
            continue
        result = try_call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        if result == -errno.EINVAL:  # past the last capability of this kernel
            return
        if result < 0:
            if try_call("prctl", _PR_CAPBSET_READ, number, 0, 0, 0) == 0:
                continue  # was not in it
            raise KernelError("prctl(PR_CAPBSET_DROP)", -result, str(number))


def set_ambient(bits: int) -> None:
    """Make the ambient set exactly these; each must be permitted and inheritable."""
    result = try_call("prctl", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    if result < 0 and bits:
        raise KernelError("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", -result)
    for number in range(64):
        if bits >> number & 1:
            call("prctl", _PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0, target=str(number))


def keep_over_setuid(on: bool) -> None:
    """Whether permitted capabilities survive the change to another user (PR_SET_KEEPCAPS)."""
    call("prctl", _PR_SET_KEEPCAPS, int(on), 0, 0, 0)


def set_no_new_privileges() -> None:
    """Let execve(2) grant nothing from now on (PR_SET_NO_NEW_PRIVS)."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def give_up() -> None:
    """Have no capability any more, and get none by any program: for a process of root's that needs none.

    Raises:
        KernelError: EPERM without CAP_SETPCAP.
    """
    limit_bounding(0)
    set_own(0, 0, 0)
    set_no_new_privileges()
