# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to system calls that the C(os) module does not offer.

Numbers are of the kernel's asm/unistd.h. From 424 on they are the same on all
architectures; the older ones are listed per machine.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Optional

from ..errors import EngineError, KernelError, Unsupported

libc = ctypes.CDLL(None, use_errno=True)
_syscall = libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6  # a register each: no object has to be made of a number
_NOUGHTS = (0,) * 6

_OLD = {
    # name: (x86_64, the generic table: aarch64, riscv64, loongarch64)
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "unshare": (272, 97),
    "capget": (125, 90),
    "capset": (126, 91),
    "prctl": (157, 167),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "personality": (135, 92),
    "ioprio_set": (251, 30),
    "sched_setattr": (314, 274),
    "renameat2": (316, 276),
    "set_mempolicy": (238, 237),
    "mknodat": (259, 33),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
}
_NEW = {
    "pidfd_send_signal": 424,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "pidfd_open": 434,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
}
MACHINE = os.uname().machine
"""The kernel's name of this architecture."""
_COLUMN = 0 if MACHINE == "x86_64" else 1


def number(name: str) -> int:
    """The number of a system call on this machine."""
    return _NEW[name] if name in _NEW else _OLD[name][_COLUMN]


def call(name: str, *arguments: Any, target: str = "") -> int:
    """Make a system call; integers, bytes, C(None) and ctypes pointers are passed as they are.

    Args:
        name: As in its man page.
        arguments: As in its man page; integers are passed as 64 bits wide.
        target: What a failure should name.

    Returns: What the call returned.

    Raises:
        Unsupported: The kernel does not know the call.
        KernelError: The call failed.
    """
    result = try_call(name, *arguments)
    if result < 0:
        raise failure(name, -result, target)
    return result


def failure(name: str, number_of_error: int, target: str) -> EngineError:
    """What is raised for a call that failed."""
    if number_of_error == 38:  # ENOSYS: the same number everywhere that we run
        return Unsupported("this kernel (%s) has no system call %s" % (os.uname().release, name),
                           "Run a kernel of version 5.12 or newer")
    return KernelError(name, number_of_error, target)


def try_call(name: str, *arguments: Any) -> int:
    """Like C(call), but a failure is returned as the negative errno."""
    result = int(_syscall(number(name), *arguments, *_NOUGHTS[len(arguments):]))
    return result if result >= 0 else -ctypes.get_errno()


def library(*names: str) -> Optional[ctypes.CDLL]:
    """Load the first shared library of these names that the host has, or C(None).

    The dynamic linker's own search is used: C(ctypes.util.find_library) would start a compiler or ldconfig.
    """
    for name in names:
        try:
            return ctypes.CDLL(name, use_errno=True)
        except OSError:
            continue
    return None
