# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices: a file as a read-only block device (loop(4); LOOP_CONFIGURE, Linux 5.8)."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Tuple

from ..errors import KernelError

_CONTROL = "/dev/loop-control"
_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_READ_ONLY = 1
_AUTOCLEAR = 4
_EBUSY = 16
_CONFIG_SIZE = 304  # struct loop_config: fd, block_size, struct loop_info64 (232 bytes), reserved[8]
_FLAGS_AT = 8 + 8 * 6 + 4  # behind lo_device, inode, rdevice, offset, sizelimit, number and encrypt_type
_NAME_AT = 8 + 8 * 5 + 4 * 4


def attach(path: str) -> Tuple[int, str]:
    """Bind a file to a free loop device, read-only; the device frees itself when the last user has gone.

    Returns: A descriptor that keeps the device until something has mounted it, and the device's path.

    Raises:
        KernelError: There is no loop device to be had.
    """
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for _attempt in range(16):  # another process may take the same free number
                control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
                try:
                    device = "/dev/loop%d" % fcntl.ioctl(control, _GET_FREE)
                finally:
                    os.close(control)
                handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
                config = bytearray(_CONFIG_SIZE)
                struct.pack_into("<II", config, 0, source, 0)
                struct.pack_into("<I", config, _FLAGS_AT, _READ_ONLY | _AUTOCLEAR)
                name = os.fsencode(path)[-63:]
                config[_NAME_AT:_NAME_AT + len(name)] = name
                try:
                    fcntl.ioctl(handle, _CONFIGURE, bytes(config))
                    return handle, device
                except OSError as error:
                    os.close(handle)
                    if error.errno != _EBUSY:
                        raise
        finally:
            os.close(source)
    except OSError as error:
        raise KernelError("LOOP_CONFIGURE", error.errno or 5, path, "Load the kernel module 'loop'")
    raise KernelError("LOOP_CONFIGURE", _EBUSY, path, "Free a loop device (losetup -a lists them)")
