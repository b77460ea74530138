# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices: a file as a block device (loop(4); LOOP_CONFIGURE, Linux 5.8)."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import Tuple

from ..errors import KernelError

_CONTROL = "/dev/loop-control"
_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_GET_STATUS = 0x4C05
_SET_CAPACITY = 0x4C07
_READ_ONLY = 1
_AUTOCLEAR = 4
_EBUSY = 16
_CONFIG_SIZE = 304  # struct loop_config: fd, block_size, struct loop_info64 (232 bytes), reserved[8]
_FLAGS_AT = 8 + 8 * 6 + 4  # behind lo_device, inode, rdevice, offset, sizelimit, number and encrypt_type
_NAME_AT = 8 + 8 * 5 + 4 * 4


def attach(path: str, read_only: bool = True) -> Tuple[int, str]:
    """Bind a file to a free loop device; the device frees itself when the last user has gone.

    Returns: A descriptor that keeps the device until something has mounted it, and the device's path.

    Raises:
        KernelError: There is no loop device to be had.
    """
    try:
        access = os.O_RDONLY if read_only else os.O_RDWR
        source = os.open(path, access | os.O_CLOEXEC)
        try:
            for _attempt in range(16):  # another process may take the same free number
                control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
                try:
                    device = "/dev/loop%d" % fcntl.ioctl(control, _GET_FREE)
                finally:
                    os.close(control)
                handle = os.open(device, access | os.O_CLOEXEC)
                config = bytearray(_CONFIG_SIZE)
                struct.pack_into("<II", config, 0, source, 0)
                struct.pack_into("<I", config, _FLAGS_AT, (_READ_ONLY if read_only else 0) | _AUTOCLEAR)
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


def grown(device: str) -> None:
    """Let a device see that its file has grown (LOOP_SET_CAPACITY).

    Raises:
        KernelError: The kernel refuses.
    """
    handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _SET_CAPACITY, 0)
    except OSError as error:
        raise KernelError("LOOP_SET_CAPACITY", error.errno or 5, device)
    finally:
        os.close(handle)


def freed(device: str, path: str, patience: float = 10.0) -> bool:
    """Wait until a device is no longer bound to a file, which is a little after its last user has gone; whether it came to that."""
    file = os.stat(path)
    deadline = time.monotonic() + patience
    while True:
        handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # struct loop_info64 begins with lo_device and lo_inode; 232 bytes
            _device, inode = struct.unpack_from("=QQ", fcntl.ioctl(handle, _GET_STATUS, bytes(232)))
        except OSError:  # ENXIO: bound to nothing
            return True
        finally:
            os.close(handle)
        if inode != file.st_ino:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
